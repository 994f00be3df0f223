//! Beam search: at each step the most probable hypotheses.

use crate::layer::RecurrentLayer;
use crate::seq2seq::decoded::Decoded;
use crate::seq2seq::model::Seq2Seq;
use crate::seq2seq::search::Search;
use burn::config::Config;
use burn::tensor::activation::log_softmax;
use burn::tensor::{Device, Int, Tensor, TensorData};

/// How a beam search runs.
#[derive(Config, Debug)]
#[non_exhaustive]
pub struct BeamConfig {
    /// How many hypotheses of each source are kept. One is greedy decoding.
    pub width: usize,
    /// After how many symbols a hypothesis without an end is cut off.
    pub max_length: usize,
    /// `α` of the length penalty: ended hypotheses are sorted by `log P / ((5 + length) / 6)^α`. Y. Wu et al., "Google's
    /// neural machine translation system", 2016, equation 14 (without their coverage penalty). With 0, short sequences
    /// win.
    #[config(default = 0.6)]
    pub length_penalty: f64,
}

impl<E: RecurrentLayer, D: RecurrentLayer> Seq2Seq<E, D> {
    /// Writes several targets for each source, the best first.
    ///
    /// At each step, the most probable continuations of a source's hypotheses are kept. A hypothesis that ends leaves the
    /// beam and keeps its place in the width (I. Sutskever, O. Vinyals and Q. V. Le, "Sequence to sequence learning with
    /// neural networks", NeurIPS 2014). The search ends when all places are taken, or at the maximum length.
    ///
    /// On a device with autodiff the tape grows with each step. Take the model that
    /// [`valid`](burn::module::Module::valid) returns.
    ///
    /// # Arguments
    ///
    /// - `source`, `lengths`: as for [`encode`](Self::encode)
    ///
    /// # Panics
    ///
    /// As [`encode`](Self::encode), and if the width is zero.
    pub fn beam(
        &self,
        source: Tensor<2, Int>,
        lengths: Option<&[usize]>,
        config: &BeamConfig,
    ) -> Vec<Vec<Decoded>> {
        assert!(config.width > 0, "seq2seq: the width of the beam is 0: expected at least 1");
        let device = source.device();
        let (all_keys, mut state) = self.encode(source, lengths);
        let [batch, _] = all_keys.dims();
        let mut search = Search::new(batch, config.width, config.length_penalty, self.end);
        let mut rows = search.rows();
        let (mut keys, mut symbols) = (all_keys.clone(), vec![self.begin; batch]);
        for _ in 0..config.max_length {
            let step = self.step(ints(&symbols, &device), state, &keys);
            let scores: Vec<f64> = log_softmax(step.scores, 1).into_data().iter().collect();
            let weights: Vec<f32> = step.weights.into_data().iter().collect();
            let (parents, chosen) = search.extend(&scores, &weights);
            if chosen.is_empty() {
                break;
            }
            state = step.state.select_rows(ints(&parents, &device));
            symbols = chosen;
            // The keys change only when the number of hypotheses of a row does.
            if rows != search.rows() {
                rows = search.rows();
                keys = all_keys.select_rows(ints(&rows, &device));
            }
        }
        search.finish()
    }
}

fn ints(numbers: &[usize], device: &Device) -> Tensor<1, Int> {
    let numbers: Vec<i64> = numbers.iter().map(|&number| number as i64).collect();
    let count = numbers.len();
    Tensor::from_data(TensorData::new(numbers, [count]), device)
}
