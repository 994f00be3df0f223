//! Control: a policy that needs memory, learned by its own actions.
//!
//! Several environments run side by side, one in each row of the batch. The policy acts for a window of `--time` steps;
//! then gradients go back through the window, and the state is carried to the next one. Where an episode ends, the next one begins, and the
//! state is set back in the middle of the sequence (`SequenceOptions::with_resets`).
//!
//! The layers' output at each step has a linear layer on it, with a score for each action and a value, the return that is expected. It
//! is learned by the gradient of the policy with advantages: R. J. Williams, "Simple statistical gradient-following algorithms for
//! connectionist reinforcement learning", Machine Learning 8 (1992), with several environments in step as in V. Mnih and others,
//! "Asynchronous methods for deep reinforcement learning", ICML 2016 (A2C), for recurrent policies as in Wierstra and others
//! (2010). The gradient of a window is that of
//!
//! `mean_t [ -A_t log π(a_t) + ½ (R_t - V_t)² - β H(π_t) ]`
//!
//! with advantages `A` of mean 0 and standard deviation 1, and the entropy `H`. This sum says nothing about how good the policy is. So the
//! number that the loss has is what is missing of the largest return, as a share of it: in training `1 - mean_t R_t`, with the
//! discounted returns of the window, and in the validation by the returns of whole episodes.

mod cart_pole;
mod environment;
mod outcome;
mod rollout;
pub(crate) mod score;
mod t_maze;

use crate::error::Error;
use crate::folder_files::FolderInfo;
use crate::model_config::ModelConfig;
use crate::option::{LONGEST, TaskOption};
use crate::random::{Purpose, generator};
use crate::settings::Settings;
use crate::task::{Scores, SequenceSize, StepLoss, Task, TestScores};
use crate::tasks::flip_flop::{Regressor, RegressorConfig};
use crate::tasks::parts::with_chrono;
use bptt::{AnyLayer, AnyState, RecurrentLayer};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::activation::log_softmax;
use burn::tensor::{DType, Device, Int, TensorData};
pub use environment::EnvironmentKind;
use environment::{Environment, Episode};
use rollout::{Player, Rows, Window, scored, without_tape};
use score::{ControlScores, episodes, mean};
use serde::{Deserialize, Serialize};
use std::sync::{Mutex, OnceLock, PoisonError};

/// How much the error of the values counts.
const VALUE_SHARE: f64 = 0.5;
/// `β`: how much the entropy of the policy counts.
const ENTROPY_SHARE: f64 = 0.01;
/// Steps in the corridor of a T-maze, if nothing else is said.
const CORRIDOR: usize = 10;

/// The options of [`Control`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct ControlOptions {
    /// What the policy acts in.
    pub environment: EnvironmentKind,
    /// Steps in the corridor of a T-maze; `None`: 10.
    pub length: Option<usize>,
    /// Steps in a window, `T`.
    pub time: usize,
    /// Whether the state is set back before each step, so that there is no memory.
    pub memoryless: bool,
}

impl Default for ControlOptions {
    fn default() -> Self {
        Self { environment: EnvironmentKind::CartPole, length: None, time: 32, memoryless: false }
    }
}

impl ControlOptions {
    fn environment(&self) -> Environment {
        match self.environment {
            EnvironmentKind::CartPole => Environment::CartPole,
            EnvironmentKind::TMaze => Environment::TMaze(self.length.unwrap_or(CORRIDOR)),
        }
    }
}

/// The control task.
#[derive(Debug)]
pub struct Control {
    settings: Settings,
    options: ControlOptions,
    environment: Environment,
    others: OnceLock<ControlScores>,
    kept: Mutex<Kept>,
}

/// Where the environments are.
#[derive(Debug, Default)]
struct Kept {
    /// Before the last window.
    before: Option<Rows>,
    /// The last window.
    last: Option<Last>,
}

/// A window. The gradients of several engines are of the same one.
#[derive(Debug)]
struct Last {
    batch: u64,
    /// The type of the layers that chose the actions. Those of another type would choose others.
    dtype: DType,
    window: Window,
    after: Rows,
}

impl Kept {
    /// Where the environments are before a batch, if it is known.
    fn rows(&self, batch: u64) -> Option<&Rows> {
        let after = self.last.as_ref().map(|last| &last.after);
        after.into_iter().chain(&self.before).find(|rows| rows.batch == batch)
    }
}

impl Control {
    /// Returns of policies without a network. They play thousands of episodes, so only who asks waits for them: a model
    /// that is loaded does not.
    fn others(&self) -> ControlScores {
        *self.others.get_or_init(|| ControlScores::of(self.environment))
    }

    /// The config of the model: what is seen at each step; a score for each action and the value.
    pub fn config(&self) -> RegressorConfig {
        let layers = self.settings.layer_config(self.environment.width());
        RegressorConfig::new(layers, self.environment.actions() + 1)
    }

    fn player<'a>(&self, model: &'a Regressor<AnyLayer>, device: &'a Device) -> Player<'a> {
        let Self { environment, options, .. } = self;
        Player { model, environment: *environment, memoryless: options.memoryless, device }
    }

    /// What the policy does in the window of a batch.
    fn window(
        &self,
        model: &Regressor<AnyLayer>,
        batch: u64,
        state: Option<AnyState>,
        device: &Device,
    ) -> Window {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let dtype = model.recurrent.dtype();
        let same = kept.last.as_ref().filter(|last| (last.batch, last.dtype) == (batch, dtype));
        if let Some(last) = same {
            return last.window.clone();
        }
        let mut random = generator(self.settings.seed, Purpose::Training, batch);
        let before = kept.rows(batch).cloned().unwrap_or_else(|| {
            let begin = |_| self.environment.begin(&mut random);
            Rows { batch, ..Rows::new((0..self.settings.batch).map(begin).collect()) }
        });
        // The policy acts by the engine of the run, whichever engine is differentiated, and without a probe.
        let model = if device.is_autodiff() { model.valid() } else { model.clone() };
        let layers = model.recurrent.with_engine(self.settings.engine).with_gradient_probe(None);
        let model = Regressor { recurrent: layers, ..model };
        let plain = model.head.weight.val().device();
        let mut after = Rows { batch: batch + 1, ..before.clone() };
        let state = state.map(without_tape);
        let window =
            self.player(&model, &plain).act(&mut after, state, &mut random, self.options.time);
        kept.before = Some(before);
        kept.last = Some(Last { batch, dtype, window: window.clone(), after });
        window
    }

    fn scores(&self, returns: &[f64]) -> Scores {
        let metric = mean(returns);
        Scores { loss: 1.0 - metric / self.environment.largest_return(), metric }
    }

    fn judged(&self, model: &Regressor<AnyLayer>, begun: &[Episode], device: &Device) -> Scores {
        self.scores(&self.player(model, device).greedy(begun))
    }
}

/// What the gradient of a window is that of.
///
/// # Arguments
///
/// - `answers`: the scores of the actions and the value at each step, `[B · T, A + 1]`
fn policy_loss(answers: Tensor<2>, window: &Window) -> Tensor<1> {
    let [steps, count] = answers.dims();
    let device = answers.device();
    let column = |numbers: &[f32]| {
        Tensor::<2>::from_data(TensorData::new(numbers.to_vec(), [steps, 1]), &device)
    };
    let actions = TensorData::new(window.actions.clone(), [steps, 1]);
    let actions = Tensor::<2, Int>::from_data(actions, &device);
    let logs = log_softmax(answers.clone().narrow(1, 0, count - 1), 1);
    let chosen = logs.clone().gather(1, actions) * column(&window.advantages);
    let negative_entropy = (logs.clone().exp() * logs).sum_dim(1);
    let error = answers.narrow(1, count - 1, 1) - column(&window.returns);
    let error = (error.clone() * error).mul_scalar(VALUE_SHARE);
    (error - chosen + negative_entropy.mul_scalar(ENTROPY_SHARE)).mean()
}

impl Task for Control {
    const NAME: &'static str = "control";
    const ABOUT: &'static str = "Act where not all is seen: cart-pole without velocities, T-maze";
    const LOSS: &'static str = "of the largest return missing";
    const METRIC: &'static str = "mean_return";
    const HAS_TEST: bool = true;
    const LOGARITHMIC: bool = false;
    const CURVE_OF_METRIC: bool = true;
    const OPTIONS: &'static [TaskOption] = &[
        TaskOption::choice(
            "environment",
            "NAME",
            "what the policy acts in: cart-pole, of which the velocities are not seen; or t-maze, a cue, a corridor and a \
             junction",
            &["cart-pole", "t-maze"],
        ),
        TaskOption::size("length", "T", "steps in the corridor of a t-maze [10]", 1, 10_000),
        TaskOption::size("time", "T", "steps in a window, how far gradients go back", 2, LONGEST),
        TaskOption::switch(
            "memoryless",
            "the state is set back before each step: what can be reached without memory",
        ),
    ];
    const ONE_DIRECTION: Option<&'static str> =
        Some("a policy acts before it sees what comes of it");

    type Options = ControlOptions;
    type Model = Regressor<AnyLayer>;

    fn defaults() -> Settings {
        let common = Settings::new(Self::NAME, &ControlOptions::default());
        let sizes = Settings { hidden: 32, batch: 32, ..common };
        Settings { lr: 5e-3, steps: Some(600), validate_every: 25, ..sizes }
    }

    fn adapted(settings: Settings) -> Settings {
        // With other biases one seed in three does not learn to remember the cue.
        match settings.options::<ControlOptions>().map(|options| options.environment()) {
            Ok(Environment::TMaze(length)) => with_chrono(settings, length + 2),
            _ => settings,
        }
    }

    fn check(_settings: &Settings, options: &ControlOptions) -> Result<(), Error> {
        match (options.environment, options.length) {
            (EnvironmentKind::CartPole, Some(length)) => Err(Error::input(format!(
                "--length {length}: is of the corridor of a t-maze, and cart-pole has none; leave it out, or take \
                 --environment t-maze"
            ))),
            _ => Ok(()),
        }
    }

    fn new(settings: &Settings) -> Result<Self, Error> {
        let options: ControlOptions = settings.options()?;
        let environment = options.environment();
        let (others, kept) = (OnceLock::new(), Mutex::default());
        Ok(Self { settings: settings.clone(), options, environment, others, kept })
    }

    fn sequence_size(options: &ControlOptions) -> SequenceSize {
        let input = options.environment().width();
        SequenceSize { time: options.time, input, input_has_gradients: false }
    }

    fn model(&self, device: &Device) -> Result<Self::Model, Error> {
        self.config().try_init(device)
    }

    fn loss(
        &self,
        model: &Self::Model,
        step: u64,
        state: Option<AnyState>,
        device: &Device,
    ) -> StepLoss {
        let window = self.window(model, step, state.clone(), device);
        let [batch, time] = [self.settings.batch, self.options.time];
        let input = TensorData::new(window.input.clone(), [batch, time, self.environment.width()]);
        let input = Tensor::from_data(input, device);
        let (answers, state) = scored(model, input, &window.resets, state);
        let loss = policy_loss(answers.flatten(0, 1), &window);
        // The gradient of the one, and the number of the other.
        let loss = loss.clone() - loss.detach() + (1.0 - mean_of(&window.returns));
        (loss, Some(state))
    }

    fn validate(&self, model: &Self::Model, device: &Device) -> Scores {
        self.judged(model, &episodes(self.environment, Purpose::Validation), device)
    }

    fn test(&self, model: &Self::Model, device: &Device) -> Option<TestScores> {
        let begun = episodes(self.environment, Purpose::Test);
        let scores = self.judged(model, &begun, device);
        let control = Some(self.others());
        Some(TestScores { control, ..TestScores::new(begun.len(), scores) })
    }

    fn carried(&self, batch: u64) -> Option<String> {
        let kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let rows = kept.rows(batch)?;
        Some(serde_json::to_string(rows).expect("environments are plain data"))
    }

    fn carry_on(&self, carried: &str) -> Result<(), Error> {
        let rows: Rows =
            serde_json::from_str(carried).map_err(|error| Error::input(error.to_string()))?;
        let count = self.settings.batch;
        let fits = [rows.episodes.len(), rows.begins.len()] == [count; 2]
            && rows.episodes.iter().all(|episode| self.environment.has(episode));
        if !fits {
            return Err(Error::input(format!("not {count} episodes of this environment")));
        }
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        *kept = Kept { before: Some(rows), last: None };
        Ok(())
    }

    fn units(&self) -> (usize, &'static str) {
        (self.settings.batch * self.options.time, "steps")
    }

    fn describe(&self) -> String {
        let name = match self.environment {
            Environment::CartPole => "cart-pole without velocities".to_string(),
            Environment::TMaze(length) => format!("a T-maze with a corridor of {length} steps"),
        };
        let tried = self.environment.memoryless().len();
        let ControlScores { random_return, memoryless_return, largest_return } = self.others();
        format!(
            "{name}, episodes of at most {} steps; the largest return is {largest_return}, random actions have \
             {random_return:.2}, the best of {tried} policies without memory {memoryless_return:.2}",
            self.environment.longest_episode(),
        )
    }

    fn info(&self) -> FolderInfo {
        FolderInfo::of_model(&self.config())
    }
}

fn mean_of(numbers: &[f32]) -> f64 {
    numbers.iter().map(|number| f64::from(*number)).sum::<f64>() / numbers.len() as f64
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;

    /// Beside the sums in `f64`.
    #[test]
    fn the_loss_of_a_window_is_that_of_the_formula() {
        let device = Device::flex();
        let rows = [[0.3, -0.2, 0.5], [1.0, 0.1, -0.4]];
        let answers = Tensor::<2>::from_floats([[0.3, -0.2, 0.5], [1.0, 0.1, -0.4]], &device);
        let window = Window {
            actions: vec![1, 0],
            advantages: vec![-1.5, 0.5],
            returns: vec![0.2, 0.7],
            ..Window::default()
        };
        let found = policy_loss(answers, &window).into_scalar::<f32>();
        let mut expected = 0.0f64;
        for (k, [a, b, value]) in rows.into_iter().enumerate() {
            let sum = f64::exp(a) + f64::exp(b);
            let logs = [a - sum.ln(), b - sum.ln()];
            let entropy: f64 = logs.iter().map(|log| -log * log.exp()).sum();
            let chosen = logs[window.actions[k] as usize];
            let error = value - f64::from(window.returns[k]);
            expected +=
                -f64::from(window.advantages[k]) * chosen + 0.5 * error * error - 0.01 * entropy;
        }
        assert!((f64::from(found) - expected / 2.0).abs() < 1e-6, "{found} {expected}");
    }

    /// A window is the same whoever asks, and the next one begins where it ended.
    #[test]
    fn windows_follow_each_other_and_are_drawn_once() {
        let settings = Settings { batch: 3, hidden: 5, ..Control::defaults() };
        let settings = settings.with_option("time", 30);
        let device = Device::flex();
        let [one, two] = [(); 2].map(|()| Control::new(&settings).unwrap());
        let model = one.model(&device).unwrap();
        let first = one.window(&model, 0, None, &device);
        assert_eq!(first, one.window(&model, 0, None, &device));
        let carried = one.carried(1).unwrap();
        assert!(one.carried(2).is_none());
        let second = one.window(&model, 1, None, &device);
        assert!(first.resets.contains(&true) && first.input != second.input);
        // Another run that has only what was carried.
        two.carry_on(&carried).unwrap();
        assert_eq!(second, two.window(&model, 1, None, &device));
        assert_eq!(one.carried(2), two.carried(2));
        assert!(two.carry_on("{}").is_err());
        let other = Control::new(&settings.with_option("environment", "t-maze")).unwrap();
        let why = other.carry_on(&carried).unwrap_err().to_string();
        assert!(why.contains("not 3 episodes"), "{why}");
    }
}
