//! Checkpointing: under a trace budget, the backward pass computes again what the forward pass did not keep.

use crate::host::gemm::dispatch::Gemm;
use crate::host::layout::sizes::Layer;
use crate::host::memory::buffer::Buffer;
use crate::host::sequence::passes::{Forwarder, Outputs, PassResult};
use crate::host::simd::real::Real;
use crate::operation::schedule::TraceSchedule;
use std::sync::{Mutex, PoisonError};

/// The steps that the backward pass still has to compute again, and the checkpoints to start from.
#[derive(Clone, Debug)]
pub(crate) struct Recompute<T> {
    schedule: TraceSchedule,
    /// The steps before which the memories are kept, with these memories, `[B, M, Hp]`; `None` is the initial state.
    /// (The hidden states are in the outputs.)
    checkpoints: Vec<(usize, Option<Buffer<T>>)>,
    /// The steps from here on are done.
    end: usize,
}

impl<T: Real> Recompute<T> {
    /// Plans for a budget; `None` if the whole trace fits.
    ///
    /// # Panics
    ///
    /// If no schedule fits.
    pub(crate) fn new(name: &str, layer: &Layer, budget: usize) -> Option<Self> {
        let schedule = schedule::<T>(layer, budget).unwrap_or_else(|error| {
            panic!("{name}: {error} (each layer and direction has an equal part of the whole)")
        })?;
        Some(Self { schedule, checkpoints: vec![(0, None)], end: layer.time })
    }

    /// Computes the trace of the last segment that is not done, and the checkpoints on the way to it.
    pub(crate) fn next(
        &mut self,
        forwarder: &Forwarder<'_, T>,
        outputs: Outputs<'_, T>,
    ) -> Option<PassResult<T>>
    where
        T: Gemm,
    {
        loop {
            let (start, memory) = self.checkpoints.last()?.clone();
            let memory = memory.unwrap_or_else(|| forwarder.first_memory());
            let steps = start..self.end;
            let Some(middle) = self.schedule.split(&steps, self.checkpoints.len()) else {
                self.checkpoints.pop();
                self.end = start;
                return Some(forwarder.pass(steps, memory, outputs, true));
            };
            let pass = forwarder.pass(start..middle, memory, outputs, false);
            if self.checkpoints.len() == self.schedule.states() {
                let steps = middle..self.end;
                self.end = middle;
                return Some(forwarder.pass(steps, pass.memory, outputs, true));
            }
            self.checkpoints.push((middle, Some(pass.memory)));
        }
    }

    /// How much memory the checkpoints take, in bytes.
    #[cfg(test)]
    pub(crate) fn bytes(&self) -> usize {
        self.checkpoints.iter().filter_map(|(_, memory)| memory.as_ref()).map(Buffer::bytes).sum()
    }
}

/// The schedule for a layer and a budget; `None` if the whole trace fits.
///
/// # Errors
///
/// One line, if no schedule fits.
pub(crate) fn schedule<T>(layer: &Layer, budget: usize) -> Result<Option<TraceSchedule>, String> {
    let [step, state] = layer.trace::<T>();
    if whole::<T>(layer) <= budget {
        return Ok(None);
    }
    planned([layer.time, step, state, budget]).map(Some)
}

/// How many bytes the whole trace takes.
pub(crate) fn whole<T>(layer: &Layer) -> usize {
    let [step, state] = layer.trace::<T>();
    layer.time.saturating_mul(step).saturating_add(state)
}

/// The schedule for time, step, state and budget. The most recent ones are kept, because planning takes time.
fn planned(key: [usize; 4]) -> Result<TraceSchedule, String> {
    static LAST: Mutex<Vec<([usize; 4], TraceSchedule)>> = Mutex::new(Vec::new());
    const MOST: usize = 16;
    let last = || LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if let Some((_, schedule)) = last().iter().find(|(of, _)| *of == key) {
        return Ok(schedule.clone());
    }
    let [time, step, state, budget] = key;
    let schedule = TraceSchedule::new(time, step, state, budget)?;
    let mut last = last();
    if last.len() == MOST {
        last.remove(0);
    }
    last.push((key, schedule.clone()));
    Ok(schedule)
}
