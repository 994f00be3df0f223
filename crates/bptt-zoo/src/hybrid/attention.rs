//! Causal attention over the last steps.

use burn::Tensor;
use burn::module::Module;
use burn::nn::{Linear, LinearConfig, RotaryEncodingConfig};
use burn::tensor::module::attention;
use burn::tensor::ops::AttentionModuleOptions;
use burn::tensor::{Bool, Device, TensorData};

/// A head has at least this many units, if the model has.
const HEAD: usize = 32;

/// Each step attends to itself and the `N - 1` steps before it: `softmax(q kᵀ / √d) v`. All heads share one key and one
/// value, so that a stream keeps few numbers. Queries and keys are rotated by their positions (RoPE), so that a score
/// depends on the distance and not on the place.
///
/// N. Shazeer, "Fast transformer decoding: one write-head is all you need", 2019; J. Su et al., "RoFormer: enhanced
/// transformer with rotary position embedding", 2021; I. Beltagy, M. Peters and A. Cohan, "Longformer: the long-document
/// transformer", 2020, for the window.
#[derive(Module, Debug)]
pub struct LocalAttention {
    /// From `W` to the queries of all heads, `W`.
    pub query: Linear,
    /// From `W` to the key, `d = W / heads`.
    pub key: Linear,
    /// From `W` to the value, `d`.
    pub value: Linear,
    /// `W_o`, from the heads' contexts to `W`.
    pub output: Linear,
    heads: usize,
    window: usize,
}

impl LocalAttention {
    pub(super) fn new(width: usize, window: usize, device: &Device) -> Self {
        let heads = heads(width);
        let of_head = LinearConfig::new(width, width / heads);
        let whole = LinearConfig::new(width, width);
        Self {
            query: whole.init(device),
            key: of_head.init(device),
            value: of_head.init(device),
            output: whole.init(device),
            heads,
            window,
        }
    }

    /// How many numbers the state of a row has: keys and values of the `N - 1` last steps.
    pub(super) fn state_size(width: usize, window: usize) -> usize {
        2 * (window - 1) * (width / heads(width))
    }

    /// Runs over the steps of a chunk.
    ///
    /// # Arguments
    ///
    /// - `x`: `[B, T, W]`
    /// - `state`: keys and values of the `N - 1` steps before, `[B, 2·(N-1)·d]`
    /// - `seen`: how many of these steps there were, `[B, 1]`; the others are not attended to
    ///
    /// # Returns
    ///
    /// - `[B, T, W]`
    /// - the state after the chunk
    pub(super) fn forward(
        &self,
        x: Tensor<3>,
        state: Tensor<2>,
        seen: &Tensor<2>,
    ) -> (Tensor<3>, Tensor<2>) {
        let [batch, time, width] = x.dims();
        let (size, cached) = (width / self.heads, self.window - 1);
        let part = |k: usize| {
            let part = state.clone().narrow(1, k * cached * size, cached * size);
            part.reshape([batch, cached, size])
        };
        let keys = Tensor::cat(vec![part(0), self.key.forward(x.clone())], 1);
        let values = Tensor::cat(vec![part(1), self.value.forward(x.clone())], 1);
        let last =
            |all: &Tensor<3>| all.clone().narrow(1, time, cached).reshape([batch, cached * size]);
        let state = Tensor::cat(vec![last(&keys), last(&values)], 1);

        let query = self.query.forward(x).reshape([batch, time, self.heads, size]);
        // Positions count from the first key, so they stay small however long the stream is.
        let rotary = RotaryEncodingConfig::new(cached + time, size).init(&query.device());
        let query: Tensor<4> = rotary.apply(query.swap_dims(1, 2), cached);
        let all_heads = |x: Tensor<3>| -> Tensor<4> {
            let [_, steps, _] = x.dims();
            x.reshape([batch, 1, steps, size]).expand([batch, self.heads, steps, size])
        };
        let keys = all_heads(rotary.apply(keys, 0));
        let masked = self.masked(time, seen);
        let masked: Tensor<4, Bool> = masked.expand([batch, self.heads, time, cached + time]);
        let options = AttentionModuleOptions::default();
        let context = attention(query, keys, all_heads(values), Some(masked), None, options);
        let context = context.swap_dims(1, 2).reshape([batch, time, width]);
        (self.output.forward(context), state)
    }

    /// Which keys a step does not attend to, `[B, 1, T, N-1+T]`: those outside of its window, and those before the
    /// beginning of the row.
    fn masked(&self, time: usize, seen: &Tensor<2>) -> Tensor<4, Bool> {
        let ([batch, _], cached) = (seen.dims(), self.window - 1);
        let keys = cached + time;
        let outside: Vec<bool> = (0..time)
            .flat_map(|t| (0..keys).map(move |k| !(t..=t + cached).contains(&k)))
            .collect();
        let outside: Tensor<2, Bool> =
            Tensor::from_data(TensorData::new(outside, [time, keys]), &seen.device());
        // Key `k` is step `k - (N-1)` of the chunk, and there is none before step `-seen`.
        let missing: Vec<f32> = (0..keys).map(|k| cached as f32 - k as f32).collect();
        let missing = Tensor::<1>::from_data(
            TensorData::new(missing, [keys]),
            (&seen.device(), seen.dtype()),
        );
        let missing: Tensor<2> = missing.reshape([1, keys]).expand([batch, keys]);
        let seen: Tensor<2> = seen.clone().expand([batch, keys]);
        let missing = missing.greater(seen);
        let whole =
            |mask: Tensor<4, Bool>| -> Tensor<4, Bool> { mask.expand([batch, 1, time, keys]) };
        whole(outside.reshape([1, 1, time, keys]))
            .bool_or(whole(missing.reshape([batch, 1, 1, keys])))
    }
}

/// The largest number of heads whose size is even and at least [`HEAD`]; else 1.
fn heads(width: usize) -> usize {
    let fits = |heads: &usize| width.is_multiple_of(2 * heads) && width / heads >= HEAD;
    (1..=width / HEAD).rev().find(fits).unwrap_or(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heads_have_an_even_size() {
        for (width, expected) in [(2, 1), (32, 1), (64, 2), (128, 4), (96, 3), (100, 2), (66, 1)] {
            assert_eq!(heads(width), expected, "{width}");
        }
    }

    /// A step has the output that it has as the last step of a sequence which begins at its window. So it reads the
    /// whole window and nothing before it, and of positions only distances.
    #[cfg(feature = "flex")]
    #[test]
    fn a_step_reads_its_window_and_nothing_else() {
        use burn::tensor::Distribution;

        let device = Device::flex();
        let (width, window, time) = (64, 5, 12);
        let attention = LocalAttention::new(width, window, &device);
        assert_eq!(attention.heads, 2);
        let size = LocalAttention::state_size(width, window);
        let forward = |x: Tensor<3>| {
            // What is in the state of a row that has not begun is not read.
            let state = Tensor::ones([1, size], &device);
            attention.forward(x, state, &Tensor::zeros([1, 1], &device)).0
        };
        let distance = |a: Tensor<3>, b: Tensor<3>| (a - b).abs().max().into_scalar::<f32>();
        let x = Tensor::<3>::random([1, time, width], Distribution::Normal(0.0, 1.0), &device);
        let whole = forward(x.clone());
        for t in 0..time {
            let first = (t + 1).saturating_sub(window);
            let last = |x: Tensor<3>| x.clone().narrow(1, x.dims()[1] - 1, 1);
            let alone = last(forward(x.clone().narrow(1, first, t + 1 - first)));
            let found = whole.clone().narrow(1, t, 1);
            assert!(distance(alone, found.clone()) < 1e-5, "step {t}");
            // The first step of the window matters.
            if first < t {
                let shorter = last(forward(x.clone().narrow(1, first + 1, t - first)));
                assert!(distance(shorter, found) > 1e-3, "step {t}");
            }
        }
    }
}
