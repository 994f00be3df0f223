//! The way back over a sequence whose trace is bounded: what was not kept is computed again.

use crate::host::gemm::dispatch::Gemm;
use crate::host::layout::sizes::Layer;
use crate::host::memory::buffer::Buffer;
use crate::host::sequence::passes::{Forwarder, Outputs, Passed};
use crate::host::simd::real::Real;
use crate::operation::schedule::TraceSchedule;
use bptt_cells::Cell;
use std::sync::{Mutex, PoisonError};

/// Where on the way back it stands.
#[derive(Clone, Debug)]
pub(crate) struct Walk<T> {
    schedule: TraceSchedule,
    /// Steps before which the memories are known, and those, `[B, M, Hp]`; `None` for the operand. (The
    /// hidden states are in the outputs.)
    known: Vec<(usize, Option<Buffer<T>>)>,
    /// Steps from here on are done.
    end: usize,
}

impl<T: Real> Walk<T> {
    /// Under the budget; `None` if the whole trace fits.
    ///
    /// # Panics
    ///
    /// If nothing fits.
    pub(crate) fn new(name: &str, layer: &Layer, budget: usize) -> Option<Self> {
        let schedule = schedule::<T>(layer, budget).unwrap_or_else(|error| {
            panic!("{name}: {error} (each layer and direction has an equal part of the whole)")
        })?;
        Some(Self { schedule, known: vec![(0, None)], end: layer.time })
    }

    /// Works what is needed for the trace of the last steps that are not done, and that.
    pub(crate) fn next<C: Cell>(
        &mut self,
        forwarder: &Forwarder<'_, C, T>,
        mut outputs: Outputs<'_, T>,
    ) -> Option<Passed<T>>
    where
        T: Gemm,
    {
        loop {
            let (start, memory) = self.known.last()?.clone();
            let memory = memory.unwrap_or_else(|| forwarder.first_memory());
            let steps = start..self.end;
            let Some(middle) = self.schedule.split(&steps, self.known.len()) else {
                self.known.pop();
                self.end = start;
                return Some(forwarder.pass(steps, memory, outputs, true));
            };
            let passed = forwarder.pass(start..middle, memory, outputs.again(), false);
            if self.known.len() == self.schedule.states() {
                let steps = middle..self.end;
                self.end = middle;
                return Some(forwarder.pass(steps, passed.memory, outputs, true));
            }
            self.known.push((middle, Some(passed.memory)));
        }
    }

    /// How much memory the kept states take, in bytes.
    pub(crate) fn bytes(&self) -> usize {
        self.known.iter().filter_map(|(_, memory)| memory.as_ref()).map(Buffer::bytes).sum()
    }
}

/// How the layer is worked within a budget; `None` if the whole trace fits.
///
/// # Errors
///
/// One line, if nothing fits.
pub(crate) fn schedule<T>(layer: &Layer, budget: usize) -> Result<Option<TraceSchedule>, String> {
    let [step, state] = layer.trace::<T>();
    if whole::<T>(layer) <= budget {
        return Ok(None);
    }
    planned([layer.time, step, state, budget]).map(Some)
}

/// What the whole trace takes, in bytes.
pub(crate) fn whole<T>(layer: &Layer) -> usize {
    let [step, state] = layer.trace::<T>();
    layer.time.saturating_mul(step).saturating_add(state)
}

/// The schedule for time, step, state and budget; those that were planned last are remembered.
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
