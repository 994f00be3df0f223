//! The scores of given targets, for training.

use crate::engine::time_steps;
use crate::layer::RecurrentLayer;
use crate::seq2seq::model::Seq2Seq;
use crate::seq2seq::teaching::Teaching;
use burn::tensor::{Int, Tensor};

/// The scores of a batch of targets.
#[derive(Clone, Debug)]
pub struct Scored {
    /// The scores of each symbol at each step, `[B, Tt, V]`.
    pub scores: Tensor<3>,
    /// How much each step attended to each step of the source, `[B, Tt, Ts]`.
    pub weights: Tensor<3>,
}

impl<E: RecurrentLayer, D: RecurrentLayer> Seq2Seq<E, D> {
    /// Scores each symbol at each step of a batch of targets.
    ///
    /// # Arguments
    ///
    /// - `source`, `lengths`: as for [`encode`](Self::encode)
    /// - `target`: the symbols to be written, `[B, Tt]`, with the one that ends them and without the one that begins them;
    ///   behind the end any symbols of the vocabulary
    /// - `teaching`: which symbols the decoder reads
    ///
    /// # Panics
    ///
    /// As [`encode`](Self::encode), if the target has other rows than the source or no step, and if a probability is none.
    pub fn forward(
        &self,
        source: Tensor<2, Int>,
        lengths: Option<&[usize]>,
        target: Tensor<2, Int>,
        teaching: &Teaching,
    ) -> Scored {
        let [batch, time] = target.dims();
        assert!(
            source.dims()[0] == batch && time > 0,
            "seq2seq: the target has shape {:?} ([B, Tt]) for a source of shape {:?} ([B, Ts]): \
             expected the same B, and at least one step",
            target.dims(),
            source.dims(),
        );
        // The symbols one step later, behind the one that begins them.
        let begin = target.zeros_like().slice([0..batch, 0..1]).add_scalar(self.begin as i64);
        let before = Tensor::cat(vec![begin, target], 1).slice([0..batch, 0..time]);
        let mut sampler = teaching.sampler();
        let given = match sampler {
            None => time_steps(self.target_embedding.forward(before.clone()).swap_dims(0, 1)),
            Some(_) => Vec::new(),
        };
        let mut given = given.into_iter();
        let (keys, mut state) = self.encode(source, lengths);
        let (mut attentional, mut weights) = (Vec::<Tensor<2>>::new(), Vec::new());
        for t in 0..time {
            let vectors = match &mut sampler {
                None => given.next().expect("one for each step"),
                Some(sampler) => {
                    let truth = before.clone().slice([0..batch, t..t + 1]).reshape([batch]);
                    let own =
                        attentional.last().map(|last| self.output.forward(last.clone().detach()));
                    self.vectors(match own {
                        Some(scores) => sampler.choose(truth, scores.detach()),
                        None => truth,
                    })
                }
            };
            let (hidden, of_source, after) = self.advance(vectors, state, &keys);
            attentional.push(hidden);
            weights.push(of_source);
            state = after;
        }
        let attentional: Tensor<3> = Tensor::stack(attentional, 1);
        Scored { scores: self.output.forward(attentional), weights: Tensor::cat(weights, 1) }
    }
}
