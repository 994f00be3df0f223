//! Greedy decoding: at each step the symbol with the highest score.

use crate::layer::RecurrentLayer;
use crate::seq2seq::decoded::Decoded;
use crate::seq2seq::model::Seq2Seq;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Int, Tensor};

impl<E: RecurrentLayer, D: RecurrentLayer> Seq2Seq<E, D> {
    /// Writes a target for each source: at each step the symbol with the highest score (of equal ones the lowest symbol).
    ///
    /// On a device with autodiff the tape grows with each step. Take the model that
    /// [`valid`](burn::module::Module::valid) returns.
    ///
    /// # Arguments
    ///
    /// - `source`, `lengths`: as for [`encode`](Self::encode)
    /// - `max_length`: after how many symbols a sequence without an end is cut off
    ///
    /// # Panics
    ///
    /// As [`encode`](Self::encode).
    pub fn greedy(
        &self,
        source: Tensor<2, Int>,
        lengths: Option<&[usize]>,
        max_length: usize,
    ) -> Vec<Decoded> {
        let [batch, time] = source.dims();
        let mut symbols = Tensor::<1, Int>::full([batch], self.begin as i64, &source.device());
        let (keys, mut state) = self.encode(source, lengths);
        let empty = Decoded {
            symbols: Vec::new(),
            log_probability: 0.0,
            score: 0.0,
            ended: false,
            weights: Vec::new(),
        };
        let mut rows = vec![empty; batch];
        for _ in 0..max_length {
            let step = self.step(symbols, state, &keys);
            let best = step.scores.clone().argmax(1);
            let probabilities = log_softmax(step.scores, 1).gather(1, best.clone()).into_data();
            let weights: Vec<f32> = step.weights.into_data().iter().collect();
            let chosen: Vec<usize> =
                best.to_data().iter::<i64>().map(|symbol| symbol as usize).collect();
            for (b, probability) in probabilities.iter::<f64>().enumerate() {
                let row = &mut rows[b];
                if row.ended {
                    continue;
                }
                row.log_probability += probability;
                row.score = row.log_probability;
                row.ended = chosen[b] == self.end;
                if !row.ended {
                    row.symbols.push(chosen[b]);
                    row.weights.push(weights[b * time..(b + 1) * time].to_vec());
                }
            }
            if rows.iter().all(|row| row.ended) {
                break;
            }
            symbols = best.reshape([batch]);
            state = step.state;
        }
        rows
    }
}
