//! Beam search over plain numbers: which hypotheses live on. It knows no tensors.

use crate::seq2seq::decoded::Decoded;

/// The hypotheses of a batch of rows.
pub(super) struct Search {
    /// How many hypotheses a row has, living and ended ones.
    width: usize,
    /// `α`
    length_penalty: f64,
    /// The symbol that ends a hypothesis.
    end: usize,
    /// The living ones, row by row.
    living: Vec<Living>,
    /// The ended ones of each row.
    ended: Vec<Vec<Decoded>>,
    /// The symbols of all hypotheses: each refers to the one before it, so that hypotheses share their beginnings.
    nodes: Vec<Node>,
}

#[derive(Clone, Copy)]
struct Living {
    row: usize,
    log_probability: f64,
    /// Its last symbol.
    node: Option<usize>,
}

struct Node {
    before: Option<usize>,
    symbol: usize,
    weights: Vec<f32>,
}

/// A living hypothesis and one more symbol.
#[derive(Clone, Copy)]
struct Candidate {
    log_probability: f64,
    /// Which of the living hypotheses.
    parent: usize,
    symbol: usize,
}

impl Search {
    /// One empty hypothesis in each row.
    pub(super) fn new(rows: usize, width: usize, length_penalty: f64, end: usize) -> Self {
        let living =
            (0..rows).map(|row| Living { row, log_probability: 0.0, node: None }).collect();
        let ended = (0..rows).map(|_| Vec::new()).collect();
        Self { width, length_penalty, end, living, ended, nodes: Vec::new() }
    }

    /// The row of each living hypothesis, `[N]`.
    pub(super) fn rows(&self) -> Vec<usize> {
        self.living.iter().map(|living| living.row).collect()
    }

    /// Continues the living hypotheses by one symbol. In each row the most probable continuations are kept, as many as the
    /// width has room for beside the ended ones; those that end leave the beam.
    ///
    /// # Arguments
    ///
    /// - `log_probabilities`: of each symbol after each living hypothesis, `[N, V]`
    /// - `weights`: what this step attended to, `[N, Ts]`
    ///
    /// # Returns
    ///
    /// For each hypothesis that lives on, which one it continues, and its new symbol.
    pub(super) fn extend(
        &mut self,
        log_probabilities: &[f64],
        weights: &[f32],
    ) -> (Vec<usize>, Vec<usize>) {
        let count = self.living.len();
        let (symbols, steps) = (log_probabilities.len() / count, weights.len() / count);
        let before = std::mem::take(&mut self.living);
        let (mut parents, mut chosen) = (Vec::new(), Vec::new());
        let mut first = 0;
        for of_row in before.chunk_by(|a, b| a.row == b.row) {
            let candidates = of_row.iter().enumerate().flat_map(|(k, living)| {
                let parent = first + k;
                let of_symbols = &log_probabilities[parent * symbols..(parent + 1) * symbols];
                of_symbols.iter().enumerate().map(move |(symbol, log_probability)| Candidate {
                    log_probability: living.log_probability + log_probability,
                    parent,
                    symbol,
                })
            });
            let row = of_row[0].row;
            let room = self.width - self.ended[row].len();
            for candidate in most_probable(candidates.collect(), room) {
                let Candidate { log_probability, parent, symbol } = candidate;
                let living = before[parent];
                if symbol == self.end {
                    let decoded = self.decoded(Living { log_probability, ..living }, true);
                    self.ended[row].push(decoded);
                    continue;
                }
                let weights = weights[parent * steps..(parent + 1) * steps].to_vec();
                self.nodes.push(Node { before: living.node, symbol, weights });
                let node = Some(self.nodes.len() - 1);
                self.living.push(Living { row, log_probability, node });
                parents.push(parent);
                chosen.push(symbol);
            }
            first += of_row.len();
        }
        (parents, chosen)
    }

    /// The hypotheses of each row, the best first; those that still live are cut off.
    pub(super) fn finish(mut self) -> Vec<Vec<Decoded>> {
        for living in std::mem::take(&mut self.living) {
            let decoded = self.decoded(living, false);
            self.ended[living.row].push(decoded);
        }
        for row in &mut self.ended {
            row.sort_by(|a, b| b.score.total_cmp(&a.score));
        }
        self.ended
    }

    fn decoded(&self, living: Living, ended: bool) -> Decoded {
        let path = std::iter::successors(living.node, |&node| self.nodes[node].before);
        let mut path: Vec<&Node> = path.map(|node| &self.nodes[node]).collect();
        path.reverse();
        let length = path.len() + usize::from(ended);
        Decoded {
            symbols: path.iter().map(|node| node.symbol).collect(),
            log_probability: living.log_probability,
            score: living.log_probability / penalty(length, self.length_penalty),
            ended,
            weights: path.iter().map(|node| node.weights.clone()).collect(),
        }
    }
}

/// `((5 + length) / 6)^α`, equation 14 of Wu et al. (2016). The length counts the symbol that ends.
fn penalty(length: usize, length_penalty: f64) -> f64 {
    ((5 + length) as f64 / 6.0).powf(length_penalty)
}

/// The most probable candidates, the best first; of equal ones the first parent, and then the lowest symbol.
fn most_probable(mut candidates: Vec<Candidate>, count: usize) -> Vec<Candidate> {
    let order = |a: &Candidate, b: &Candidate| {
        let by_probability = b.log_probability.total_cmp(&a.log_probability);
        by_probability.then(a.parent.cmp(&b.parent)).then(a.symbol.cmp(&b.symbol))
    };
    if count < candidates.len() {
        candidates.select_nth_unstable_by(count, order);
        candidates.truncate(count);
    }
    candidates.sort_unstable_by(order);
    candidates
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Two symbols and the end, 2. Greedy takes 0 first (0.6), and the most probable sequence begins with 1.
    fn log_probabilities(before: &[usize]) -> [f64; 3] {
        let p: [f64; 3] = match before {
            [] => [0.6, 0.4, 0.0],
            [0] => [0.4, 0.3, 0.3],
            [1] => [0.0, 0.1, 0.9],
            _ => [0.1, 0.1, 0.8],
        };
        p.map(f64::ln)
    }

    fn search(width: usize, length_penalty: f64) -> Vec<Decoded> {
        let mut search = Search::new(1, width, length_penalty, 2);
        let mut living: Vec<Vec<usize>> = vec![Vec::new()];
        for step in 0..4 {
            let scores: Vec<f64> = living.iter().flat_map(|of| log_probabilities(of)).collect();
            let weights: Vec<f32> = living.iter().map(|_| step as f32).collect();
            let (parents, symbols) = search.extend(&scores, &weights);
            let continued = parents.iter().zip(symbols);
            living = continued.map(|(&k, s)| [&living[k][..], &[s]].concat()).collect();
            if living.is_empty() {
                break;
            }
        }
        search.finish().remove(0)
    }

    #[test]
    fn a_beam_finds_what_greedy_misses() {
        let narrow = search(1, 0.0);
        assert_eq!(narrow.len(), 1);
        assert_eq!(narrow[0].symbols, [0, 0]);
        let wide = search(2, 0.0);
        assert_eq!(wide[0].symbols, [1]);
        assert!((wide[0].log_probability - (0.4f64 * 0.9).ln()).abs() < 1e-12);
        assert!(wide.iter().all(|decoded| decoded.ended) && wide.len() == 2, "{wide:?}");
    }

    #[test]
    fn the_penalty_favours_long_sequences_and_hypotheses_keep_their_weights() {
        // log 0.36 for two symbols with the end, log 0.192 for three.
        let (plain, long) = (search(8, 0.0), search(8, 4.0));
        assert_eq!(plain[0].symbols, [1]);
        assert!(long[0].symbols.len() > 1, "{long:?}");
        let divisor = ((5.0 + long[0].symbols.len() as f64 + 1.0) / 6.0).powf(4.0);
        assert!((long[0].score - long[0].log_probability / divisor).abs() < 1e-12);
        let steps: Vec<Vec<f32>> = (0..long[0].symbols.len()).map(|t| vec![t as f32]).collect();
        assert_eq!(long[0].weights, steps);
    }

    #[test]
    fn rows_do_not_mix() {
        // In row 0 symbol 0 is the best one, in row 1 symbol 1.
        let mut search = Search::new(2, 2, 0.0, 2);
        let (parents, symbols) = search.extend(&[-0.1, -2.0, -9.0, -3.0, -0.2, -9.0], &[]);
        assert_eq!((parents, symbols), (vec![0, 0, 1, 1], vec![0, 1, 1, 0]));
        assert_eq!(search.rows(), [0, 0, 1, 1]);
        let row = |a, b, c| [a, b, c];
        let all = [
            row(-9.0, -9.0, -0.1),
            row(-9.0, -9.0, -9.0),
            row(-0.1, -9.0, -9.0),
            row(-9.0, -9.0, -9.0),
        ];
        let (parents, symbols) = search.extend(&all.concat(), &[]);
        // Row 0: the end takes one place, so one hypothesis is left.
        assert_eq!((parents.len(), search.rows()), (3, vec![0, 1, 1]));
        assert_eq!((parents[1], symbols[1]), (2, 0));
        let done = search.finish();
        assert!(done[0][0].ended && done[0][0].symbols == [0]);
        assert_eq!(done[1][0].symbols, [1, 0]);
    }
}
