//! What a policy does in several environments side by side, and what is learned from it.

use super::environment::{Environment, Episode};
use crate::tasks::flip_flop::Regressor;
use bptt::{AnyLayer, AnyState, RecurrentLayer, RecurrentState, SequenceOptions};
use burn::Tensor;
use burn::tensor::{Bool, Device, TensorData};
use rand::RngExt;
use serde::{Deserialize, Serialize};

/// `λ` of the advantages: J. Schulman, P. Moritz, S. Levine, M. I. Jordan and P. Abbeel, "High-dimensional continuous control
/// using generalized advantage estimation", ICLR 2016.
const LAMBDA: f64 = 0.95;

/// Environments side by side, between two windows.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Rows {
    /// The number of the batch that goes on from here.
    pub(super) batch: u64,
    pub(super) episodes: Vec<Episode>,
    /// Whether the next step is the first of an episode.
    pub(super) begins: Vec<bool>,
}

impl Rows {
    /// Each at the beginning of an episode.
    pub(super) fn new(episodes: Vec<Episode>) -> Self {
        Self { batch: 0, begins: vec![true; episodes.len()], episodes }
    }
}

/// What happened in a window of `T` steps, row by row.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Window {
    /// What was seen, `[B, T, I]`.
    pub(super) input: Vec<f32>,
    /// Where the state is set back, `[B, T]`.
    pub(super) resets: Vec<bool>,
    /// `[B, T]`
    pub(super) actions: Vec<i32>,
    /// How much better than expected each action was, `[B, T]`: their mean is 0 and their standard deviation 1.
    pub(super) advantages: Vec<f32>,
    /// What the values should have been, `[B, T]`.
    pub(super) returns: Vec<f32>,
}

/// The scores of the actions and the value at each step, `[B, T, A + 1]`, and the state after the last step.
///
/// # Arguments
///
/// - `input`: `[B, T, I]`
/// - `resets`: where the state is set back, `[B, T]`
pub(super) fn scored(
    model: &Regressor<AnyLayer>,
    input: Tensor<3>,
    resets: &[bool],
    state: Option<AnyState>,
) -> (Tensor<3>, AnyState) {
    let outer = input.dtype();
    let [batch, time, _] = input.dims();
    let resets = TensorData::new(resets.to_vec(), [batch, time]);
    let resets = Tensor::<2, Bool>::from_data(resets, &input.device());
    let options = SequenceOptions::new().with_resets(resets);
    let input = input.cast(model.recurrent.dtype());
    let (outputs, state) = model.recurrent.forward_with(input, &options, state);
    (model.head.forward(outputs.cast(outer)), state)
}

/// A policy that acts. Its model is on a device without autodiff.
pub(super) struct Player<'a> {
    pub(super) model: &'a Regressor<AnyLayer>,
    pub(super) environment: Environment,
    /// Whether the state is set back at each step.
    pub(super) memoryless: bool,
    pub(super) device: &'a Device,
}

impl Player<'_> {
    /// What is seen in each row, `[B, I]`; the scores of the actions and the value, `[B, A + 1]`.
    fn look(&self, rows: &Rows, state: &mut Option<AnyState>) -> (Vec<f32>, Vec<f64>) {
        let mut seen = Vec::new();
        rows.episodes.iter().for_each(|episode| self.environment.see(episode, &mut seen));
        let shape = [rows.episodes.len(), 1, self.environment.width()];
        let input = Tensor::from_data(TensorData::new(seen.clone(), shape), self.device);
        let resets: Vec<bool> =
            rows.begins.iter().map(|begins| self.memoryless || *begins).collect();
        let (answers, next) = scored(self.model, input, &resets, state.take());
        *state = Some(next);
        (seen, answers.into_data().iter::<f64>().collect())
    }

    /// Acts for a window of `time` steps, and leaves the rows where they are then. Where an episode ends the next one begins.
    ///
    /// # Arguments
    ///
    /// - `state`: the state after the window before
    /// - `random`: draws the actions and the beginnings of episodes
    pub(super) fn act(
        &self,
        rows: &mut Rows,
        mut state: Option<AnyState>,
        random: &mut impl RngExt,
        time: usize,
    ) -> Window {
        let environment = self.environment;
        let (width, actions) = (environment.width(), environment.actions());
        let (count, scale) = (rows.episodes.len(), environment.scale());
        let mut window = Window {
            input: vec![0.0; count * time * width],
            resets: vec![false; count * time],
            actions: vec![0; count * time],
            ..Window::default()
        };
        let mut past = vec![Past::default(); count];
        for t in 0..time {
            let (seen, answers) = self.look(rows, &mut state);
            for row in 0..count {
                let at = row * time + t;
                let answers = &answers[row * (actions + 1)..(row + 1) * (actions + 1)];
                let action = drawn(&answers[..actions], random.random());
                let seen = &seen[row * width..(row + 1) * width];
                window.input[at * width..(at + 1) * width].copy_from_slice(seen);
                window.resets[at] = self.memoryless || rows.begins[row];
                window.actions[at] = action as i32;
                let outcome = environment.act(&mut rows.episodes[row], action);
                past[row].add(answers[actions], scale * outcome.reward, outcome.ended);
                rows.begins[row] = outcome.ended;
                if outcome.ended {
                    rows.episodes[row] = environment.begin(random);
                }
            }
        }
        let (_, after) = self.look(rows, &mut state);
        let mut advantages = Vec::with_capacity(count * time);
        for (past, after) in past.iter().zip(after.chunks(actions + 1)) {
            let of_row = past.advantages(after[actions], environment.discount());
            let returns = of_row.iter().zip(&past.values).map(|(a, value)| (a + value) as f32);
            window.returns.extend(returns);
            advantages.extend(of_row);
        }
        window.advantages = standardized(&advantages);
        window
    }

    /// The return of each of these episodes, with the action of the highest score at each step.
    pub(super) fn greedy(&self, episodes: &[Episode]) -> Vec<f64> {
        let mut rows = Rows::new(episodes.to_vec());
        let (mut returns, mut running) = (vec![0.0; episodes.len()], vec![true; episodes.len()]);
        let mut state = None;
        let actions = self.environment.actions();
        while running.contains(&true) {
            let (_, answers) = self.look(&rows, &mut state);
            rows.begins.fill(false);
            for (row, answers) in answers.chunks(actions + 1).enumerate() {
                if !running[row] {
                    continue;
                }
                let action = likeliest(&answers[..actions]);
                let outcome = self.environment.act(&mut rows.episodes[row], action);
                returns[row] += outcome.reward;
                running[row] = !outcome.ended;
            }
        }
        returns
    }
}

/// The same state on the device without autodiff.
pub(super) fn without_tape(state: AnyState) -> AnyState {
    let (hidden, memory) = state.into_parts();
    let inner = |x: Tensor<3>| if x.device().is_autodiff() { x.inner() } else { x };
    AnyState::from_parts(inner(hidden), memory.map(inner))
}

/// The values, rewards and ends of a row.
#[derive(Clone, Debug, Default)]
struct Past {
    values: Vec<f64>,
    rewards: Vec<f64>,
    ends: Vec<bool>,
}

impl Past {
    fn add(&mut self, value: f64, reward: f64, ended: bool) {
        self.values.push(value);
        self.rewards.push(reward);
        self.ends.push(ended);
    }

    /// `A_t = δ_t + γλ A_{t+1}` with `δ_t = r_t + γ V_{t+1} - V_t`. Behind an end there is nothing to come.
    ///
    /// # Arguments
    ///
    /// - `after`: the value after the last step
    fn advantages(&self, after: f64, discount: f64) -> Vec<f64> {
        let (mut next_value, mut next) = (after, 0.0);
        let mut advantages = vec![0.0; self.values.len()];
        for t in (0..self.values.len()).rev() {
            let goes_on = if self.ends[t] { 0.0 } else { discount };
            let error = self.rewards[t] + goes_on * next_value - self.values[t];
            next = error + goes_on * LAMBDA * next;
            next_value = self.values[t];
            advantages[t] = next;
        }
        advantages
    }
}

/// With mean 0 and standard deviation 1.
fn standardized(numbers: &[f64]) -> Vec<f32> {
    let count = numbers.len() as f64;
    let mean = numbers.iter().sum::<f64>() / count;
    let variance = numbers.iter().map(|x| (x - mean).powi(2)).sum::<f64>() / count;
    numbers.iter().map(|x| ((x - mean) / (variance.sqrt() + 1e-8)) as f32).collect()
}

/// An action by the softmax of the scores, for a random number from 0 to 1.
fn drawn(scores: &[f64], random: f64) -> usize {
    let highest = scores.iter().copied().fold(f64::NEG_INFINITY, f64::max);
    let weights = scores.iter().map(|score| (score - highest).exp());
    let mut rest = random * weights.clone().sum::<f64>();
    let mut before = weights.enumerate().skip_while(|(_, weight)| {
        rest -= weight;
        rest >= 0.0
    });
    // Rounding may leave something over.
    before.next().map_or(scores.len() - 1, |(action, _)| action)
}

/// The first action of the highest score.
fn likeliest(scores: &[f64]) -> usize {
    (1..scores.len()).fold(0, |best, k| if scores[k] > scores[best] { k } else { best })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// By hand, with γ = 1/2 and λ = 0.95.
    #[test]
    fn advantages_are_those_of_the_formula_and_end_with_an_episode() {
        let past = Past {
            values: vec![1.0, 2.0, 4.0],
            rewards: vec![3.0, 5.0, 7.0],
            ends: vec![false, true, false],
        };
        // 7 + 8/2 - 4 = 7; an end: 5 - 2 = 3; 3 + 2/2 - 1 = 3, and 0.475 times the 3 after it.
        let expected = [3.0 + 0.475 * 3.0, 3.0, 7.0];
        assert_eq!(past.advantages(8.0, 0.5), expected);
        let standard = standardized(&expected);
        assert!(standard.iter().sum::<f32>().abs() < 1e-6);
        assert!((standard.iter().map(|x| x * x).sum::<f32>() - 3.0).abs() < 1e-5);
        assert_eq!(standardized(&[2.0, 2.0]), [0.0, 0.0]);
    }

    #[test]
    fn actions_are_drawn_by_their_probabilities() {
        let scores = [0.2f64.ln() + 3.0, 0.5f64.ln() + 3.0, 0.3f64.ln() + 3.0];
        let of = |random: f64| drawn(&scores, random);
        assert_eq!([of(0.0), of(0.199), of(0.201), of(0.699)], [0, 0, 1, 1]);
        assert_eq!([of(0.701), of(0.999_999)], [2, 2]);
        assert_eq!(drawn(&[-1e300, 0.0], 0.0), 1);
        assert_eq!(likeliest(&scores), 1);
        assert_eq!(likeliest(&[1.0, 1.0]), 0);
    }
}
