//! Truncated back-propagation through time: a long sequence in windows.

use crate::layer::RecurrentLayer;
use crate::sequence_options::SequenceOptions;
use crate::state::RecurrentState;
use burn::Tensor;
use std::ops::Range;

/// A pass over a sequence that is too long for one backward pass, or that has no end.
///
/// After each `every` steps there is a [`Window`] with the outputs of these steps. Its gradient reaches back over the
/// last `depth` steps, and no further. This is BPTT(*h*; *h′*) of Williams and Peng (1990, "An efficient gradient-based
/// algorithm for on-line training of recurrent network trajectories"), with *h* = `depth` and *h′* = `every`; also
/// known as *k*₁ = `every` and *k*₂ = `depth`. With `every = depth` the windows do not overlap; this is the usual
/// meaning of truncated BPTT. With `depth > every` they overlap: each step is computed `depth / every` times, and the
/// gradient is nearer to the whole one. If `depth` is at least the sequence's length, the sum over all windows *is* the
/// whole gradient, to rounding.
///
/// `Truncated` carries the states and detaches them. The tape of a window is gone after its `backward`, so that
/// memory does not depend on the length. The caller decides what to do with the gradients: accumulate them
/// (Burn's `GradientsAccumulator`), or take a step of the optimiser after each window and pass the new layer to
/// the next.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::{GruConfig, Truncated};
/// use burn::tensor::{Device, Distribution, Tensor};
///
/// let device = Device::flex().autodiff();
/// let gru = GruConfig::new(3, 8).init(&device);
/// let input = Tensor::<3>::random([2, 100, 3], Distribution::Default, &device);
///
/// let mut truncated = Truncated::new(100, 10, 30, None);
/// while let Some(window) = truncated.next(&gru, |steps| input.clone().slice([0..2, steps])) {
///     assert_eq!(window.outputs.dims(), [2, window.steps.len(), 8]);
///     let loss = window.outputs.powf_scalar(2.0).mean();
///     let gradients = loss.backward();
///     // … a step of the optimiser …
///     assert!(gru.weights[0].weight_hh.grad(&gradients).is_some());
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Truncated<S> {
    time: usize,
    every: usize,
    depth: usize,
    /// How many steps the windows have output so far.
    done: usize,
    /// `state` is the state before this step.
    start: usize,
    state: Option<S>,
}

/// One window of a [`Truncated`] pass.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Window {
    /// The outputs of `steps`, laid out as the layer's are.
    pub outputs: Tensor<3>,
    /// Which steps these are: `every` steps, or fewer at the end of the sequence.
    pub steps: Range<usize>,
    /// The first step that the gradient reaches.
    pub reach: usize,
}

impl<S: RecurrentState> Truncated<S> {
    /// Makes a pass that has not begun.
    ///
    /// # Arguments
    ///
    /// - `time`: how many steps the sequence has
    /// - `every`: `k₁`, how many steps lie between two windows
    /// - `depth`: `k₂`, how many steps the gradient of a window reaches back
    /// - `state`: the state to start from; `None` means zeros
    ///
    /// # Panics
    ///
    /// If `every` is zero, or larger than `depth`, because some outputs would have no gradient.
    pub fn new(time: usize, every: usize, depth: usize, state: Option<S>) -> Self {
        assert!(
            (1..=depth).contains(&every),
            "truncated BPTT every {every} steps with a depth of {depth}: expected 1 <= every <= depth",
        );
        let state = state.map(S::detach);
        Self { time, every, depth, done: 0, start: 0, state }
    }

    /// The next window, or `None` at the end of the sequence.
    ///
    /// # Arguments
    ///
    /// - `layer`: the layer as it is now
    /// - `input`: returns the input of some steps in the layer's layout; it is called at most twice, for
    ///   neighbouring steps
    ///
    /// # Panics
    ///
    /// As [`Recurrent::forward`](crate::Recurrent::forward).
    pub fn next<R: RecurrentLayer<State = S>>(
        &mut self,
        layer: &R,
        input: impl Fn(Range<usize>) -> Tensor<3>,
    ) -> Option<Window> {
        self.next_with(layer, |steps| (input(steps), SequenceOptions::new()))
    }

    /// As [`next`](Self::next), for a sequence with lengths or a mask, or with resets.
    ///
    /// # Arguments
    ///
    /// - `layer`: the layer as it is now
    /// - `part`: returns the input of some steps in the layer's layout, and the options of these steps: the lengths
    ///   that are left to them, or the flags of these steps. A reset at the first of them sets back the state that was
    ///   carried
    ///
    /// # Panics
    ///
    /// As [`Recurrent::forward_with`](crate::Recurrent::forward_with).
    pub fn next_with<R: RecurrentLayer<State = S>>(
        &mut self,
        layer: &R,
        part: impl Fn(Range<usize>) -> (Tensor<3>, SequenceOptions<S>),
    ) -> Option<Window> {
        if self.done == self.time {
            return None;
        }
        // `every` and `depth` may be any number: `usize::MAX` may stand for the whole sequence.
        let after = |step: usize| step.saturating_add(self.every).min(self.time);
        let steps = self.done..after(self.done);
        let reach = self.start;
        // The state at the beginning of the next window is kept, so that no step is computed only for this state.
        let next = after(steps.end).saturating_sub(self.depth).max(reach);
        let axis = if layer.is_batch_first() { 1 } else { 0 };
        let mut outputs = Vec::new();
        let mut state = self.state.take();
        if next == reach {
            self.state = state.clone();
        }
        for range in [reach..next, next..steps.end] {
            if range.is_empty() {
                continue;
            }
            let (input, options) = part(range.clone());
            let (output, after) = layer.forward_with(input, &options, state);
            if range.end == next {
                self.state = Some(after.clone().detach());
            }
            state = Some(after);
            if range.end > steps.start {
                let from = steps.start.max(range.start) - range.start;
                outputs.push(output.narrow(axis, from, range.len() - from));
            }
        }
        self.start = next;
        self.done = steps.end;
        Some(Window { outputs: Tensor::cat(outputs, axis), steps, reach })
    }

    /// The detached state, and the step that follows it. With `every = depth`, after the last window, it is the state
    /// at the end of the sequence.
    pub fn state(&self) -> (Option<&S>, usize) {
        (self.state.as_ref(), self.start)
    }
}
