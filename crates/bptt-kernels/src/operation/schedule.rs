//! Checkpointing: which states of a long sequence are kept, and which steps are computed again.
//!
//! A. Gruslys, R. Munos, I. Danihelka, M. Lanctot and A. Graves, "Memory-efficient backpropagation
//! through time" (2016); A. Griewank, "Achieving logarithmic growth of temporal and spatial
//! complexity in reverse automatic differentiation" (1992).

/// The least number of forward steps that back-propagation over `steps` steps takes, where at most
/// `memory` hidden states are kept at a time, the first one among them.
///
/// `C(t, m) = min over y of y + C(t − y, m − 1) + C(y, m)`, with `C(t, 1) = t (t + 1) / 2`, and
/// `C(t, m) = 2 t − 1` for `m ≥ t`: each step runs forward once to reach the next, and once more with its
/// trace before its backward step. Only the last step runs once.
///
/// ```
/// use bptt_kernels::hidden_state_cost;
///
/// assert_eq!(hidden_state_cost(1000, 50), 2948);
/// assert_eq!(hidden_state_cost(1000, 10), 4636);
/// ```
///
/// # Panics
///
/// If `memory` is zero and `steps` is not.
pub fn hidden_state_cost(steps: usize, memory: usize) -> usize {
    if memory >= steps {
        (2 * steps).saturating_sub(1)
    } else {
        Table::new(CheckpointKind::Hidden, steps, memory).cost(steps, memory)
    }
}

/// The least number of forward steps, if the whole traces of at most `memory` steps are kept (Gruslys et al.: internal
/// states).
///
/// `D(t, m) = min over y of y + D(t − y, m − 1) + D(y − 1, m)`, with `D(t, 1) = t (t + 1) / 2`, and
/// `D(t, m) = t` for `m ≥ t`.
///
/// ```
/// use bptt_kernels::internal_state_cost;
///
/// assert_eq!(internal_state_cost(1000, 50), 1950);
/// assert_eq!(internal_state_cost(1000, 10), 3640);
/// assert_eq!(internal_state_cost(100, 50), 150);
/// ```
///
/// # Panics
///
/// If `memory` is zero and `steps` is not.
pub fn internal_state_cost(steps: usize, memory: usize) -> usize {
    if memory >= steps {
        steps
    } else {
        Table::new(CheckpointKind::Internal, steps, memory).cost(steps, memory)
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum CheckpointKind {
    Hidden,
    Internal,
}

/// The optimum for all numbers of steps and states up to a bound, by dynamic programming.
#[derive(Clone, Debug)]
struct Table {
    /// `[m][t]`, with `m` from 1: the cost, and the length `y` of the first piece.
    best: Vec<Vec<(usize, usize)>>,
}

impl Table {
    fn new(kept: CheckpointKind, steps: usize, memory: usize) -> Self {
        assert!(
            memory > 0 || steps == 0,
            "back-propagation needs at least one state to start from"
        );
        let mut best: Vec<Vec<(usize, usize)>> =
            vec![(0..=steps).map(|t| (t * (t + 1) / 2, 1)).collect()];
        for m in 1..memory {
            let before = &best[m - 1];
            let mut row: Vec<(usize, usize)> = vec![(0, 1), (1, 1)];
            // The best first piece does not become shorter when the sequence becomes longer, so the search continues
            // from the last `y`.
            let mut y = 1;
            for t in 2..=steps {
                let cost = |y: usize| match kept {
                    CheckpointKind::Hidden => y + before[t - y].0 + row[y].0,
                    CheckpointKind::Internal => y + before[t - y].0 + row[y - 1].0,
                };
                let last = match kept {
                    CheckpointKind::Hidden => t - 1,
                    CheckpointKind::Internal => t,
                };
                y = y.min(last);
                while y < last && cost(y + 1) <= cost(y) {
                    y += 1;
                }
                row.push((cost(y), y));
            }
            row.truncate(steps + 1);
            best.push(row);
        }
        Self { best }
    }

    fn cost(&self, steps: usize, memory: usize) -> usize {
        self.best[memory - 1][steps].0
    }

    #[cfg(any(feature = "host", test))]
    fn first(&self, steps: usize, memory: usize) -> usize {
        self.best[memory - 1][steps].1
    }
}

/// How a sequence is computed with a bounded trace. It is cut into chunks of steps, and only one chunk at a time has
/// its whole trace. For some chunks, the state at their beginning is kept.
#[derive(Clone, Debug)]
pub struct TraceSchedule {
    time: usize,
    /// How many steps a chunk has.
    chunk: usize,
    /// How many states are kept, including the state before the first step.
    states: usize,
    step_bytes: usize,
    state_bytes: usize,
    /// The optimum, if fewer states are kept than there are chunks.
    table: Option<Table>,
}

impl TraceSchedule {
    /// The largest number of chunks. The time of planning grows with it.
    const CHUNKS: usize = 512;

    /// The schedule with the fewest forward steps within the budget.
    ///
    /// # Arguments
    ///
    /// - `time`: how many steps there are
    /// - `step_bytes`: the trace of one step
    /// - `state_bytes`: what has to be kept to start again from a step; 0 for a cell without memory, because
    ///   the hidden states are the outputs, which are kept anyway
    /// - `budget`: how many bytes the trace of one chunk and the states that are kept may take together
    ///
    /// # Errors
    ///
    /// One line, if no schedule fits the budget. It says which budget would fit.
    pub fn new(
        time: usize,
        step_bytes: usize,
        state_bytes: usize,
        budget: usize,
    ) -> Result<Self, String> {
        let with = |chunk: usize, states| Self {
            time,
            chunk,
            states,
            step_bytes,
            state_bytes,
            table: None,
        };
        let smallest = time.div_ceil(Self::CHUNKS).max(1);
        let mut best: Option<Self> = None;
        let mut tried = 0;
        for chunks in (1..=time.div_ceil(smallest)).rev() {
            let chunk = time.div_ceil(chunks);
            if chunk == tried {
                continue;
            }
            tried = chunk;
            let mut candidate = with(chunk, 1);
            let Some(left) = budget.checked_sub(candidate.bytes()) else { continue };
            let chunks = time.div_ceil(chunk);
            let more = left.checked_div(state_bytes).unwrap_or(chunks);
            candidate.states = more.saturating_add(1).min(chunks);
            candidate.plan();
            if best.as_ref().is_none_or(|best| candidate.forward_steps() <= best.forward_steps()) {
                best = Some(candidate);
            }
        }
        best.ok_or_else(|| {
            let [ample, least] = Self::least(time, step_bytes, state_bytes);
            format!(
                "a trace of {} bytes does not fit a budget of {budget} bytes: expected at least \
                 {least}, with which each chunk of {smallest} of the {time} steps is worked from the \
                 start; better {ample}",
                with(time, 1).bytes(),
            )
        })
    }

    /// A budget with which no step runs more than twice (nearly the least such budget), and the least possible budget.
    pub(crate) fn least(time: usize, step_bytes: usize, state_bytes: usize) -> [usize; 2] {
        let bytes = |chunk: usize, states: usize| {
            step_bytes.saturating_mul(chunk).saturating_add(state_bytes.saturating_mul(states))
        };
        let smallest = time.div_ceil(Self::CHUNKS).max(1);
        // A chunk needs its trace, and each chunk needs a state. The sum is smallest if both are equal.
        let even = (time as f64 * state_bytes as f64 / step_bytes.max(1) as f64).sqrt() as usize;
        let chunks =
            [even, even.saturating_add(1)].map(|chunk| chunk.clamp(smallest, time.max(smallest)));
        let ample = chunks.map(|chunk| bytes(chunk, time.div_ceil(chunk)));
        [ample[0].min(ample[1]), bytes(smallest, 1)]
    }

    fn plan(&mut self) {
        let chunks = self.chunks();
        let is_short = self.states < chunks;
        self.table = is_short.then(|| Table::new(CheckpointKind::Hidden, chunks, self.states));
    }

    /// How many chunks there are.
    pub fn chunks(&self) -> usize {
        self.time.div_ceil(self.chunk)
    }

    /// How many steps a chunk has; the last one may have fewer.
    pub fn chunk(&self) -> usize {
        self.chunk
    }

    /// The largest number of states that are kept at a time, including the state before the first step.
    pub fn states(&self) -> usize {
        self.states
    }

    /// The largest number of bytes that traces and states take. The state before the first step is an operand and does
    /// not count. The trace of a chunk has one more state, at its end.
    pub fn bytes(&self) -> usize {
        let traces = self.chunk.saturating_mul(self.step_bytes);
        traces.saturating_add(self.states.saturating_mul(self.state_bytes))
    }

    /// How many forward steps the chunks take in all; without a budget it is `time`.
    pub fn forward_steps(&self) -> usize {
        let chunks = self.chunks();
        let worked = match &self.table {
            None => (2 * chunks).saturating_sub(1),
            Some(table) => table.cost(chunks, self.states),
        };
        worked * self.chunk
    }

    /// Where to split these steps: the first part runs forward to get the state at its end. `kept` states are kept
    /// already, with that before the first of these steps. `None` if these steps are one chunk.
    #[cfg(any(feature = "host", test))]
    pub(crate) fn split(&self, steps: &std::ops::Range<usize>, kept: usize) -> Option<usize> {
        let chunks = steps.len().div_ceil(self.chunk);
        if chunks <= 1 {
            return None;
        }
        let states = self.states + 1 - kept;
        let first = match &self.table {
            Some(table) if states < chunks => table.first(chunks, states),
            _ => 1,
        };
        // With a single state, the first part reaches to the last chunk.
        let first = if states == 1 { chunks - 1 } else { first };
        Some(steps.start + first * self.chunk)
    }
}

/// How much memory a trace takes within a budget, and how many forward steps that costs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TraceCost {
    /// How many bytes the whole trace would take.
    pub whole: usize,
    /// How many bytes the trace takes at most.
    pub bytes: usize,
    /// `T`
    pub time: usize,
    /// How many forward steps each layer and direction takes in all; `T` if the whole trace fits.
    pub forward_steps: usize,
}

impl TraceCost {
    /// How often a step runs forward, on average. It is 1 if the whole trace fits.
    pub fn ratio(&self) -> f64 {
        self.forward_steps as f64 / self.time.max(1) as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The recurrence, evaluated term by term.
    fn plain(kept: CheckpointKind, steps: usize, memory: usize) -> Vec<Vec<usize>> {
        let mut all = vec![vec![0; steps + 1]; memory + 1];
        for m in 1..=memory {
            for t in 1..=steps {
                all[m][t] = match kept {
                    _ if m == 1 => t * (t + 1) / 2,
                    CheckpointKind::Hidden if m >= t => 2 * t - 1,
                    CheckpointKind::Internal if m >= t => t,
                    CheckpointKind::Hidden => {
                        (1..t).map(|y| y + all[m - 1][t - y] + all[m][y]).min().unwrap_or(1)
                    }
                    CheckpointKind::Internal => {
                        (1..=t).map(|y| y + all[m - 1][t - y] + all[m][y - 1]).min().unwrap_or(1)
                    }
                };
            }
        }
        all
    }

    #[test]
    fn costs_are_the_optimum() {
        let hidden = plain(CheckpointKind::Hidden, 120, 40);
        let internal = plain(CheckpointKind::Internal, 120, 40);
        for m in 1..=40 {
            for t in 1..=120 {
                assert_eq!(hidden_state_cost(t, m), hidden[m][t], "C({t}, {m})");
                assert_eq!(internal_state_cost(t, m), internal[m][t], "D({t}, {m})");
            }
        }
    }

    /// Counts the passes that the kernels run.
    fn counted(schedule: &TraceSchedule) -> (usize, usize) {
        let (mut stack, mut end) = (vec![0], schedule.time);
        let (mut forward, mut most) = (0, 1);
        while let Some(&start) = stack.last() {
            match schedule.split(&(start..end), stack.len()) {
                Some(middle) => {
                    forward += middle - start;
                    if stack.len() < schedule.states {
                        stack.push(middle);
                    } else {
                        // No state can be kept: the last chunk is computed from here at once.
                        forward += end - middle;
                        end = middle;
                    }
                }
                None => {
                    forward += end - start;
                    end = start;
                    stack.pop();
                }
            }
            most = most.max(stack.len());
        }
        (forward, most)
    }

    #[test]
    fn recomputation_costs_what_was_predicted() {
        for time in [1, 7, 64, 100, 1000] {
            for (step, state) in [(5, 1), (4, 0), (10, 10)] {
                for share in [100, 50, 20, 10, 5, 2, 1] {
                    let budget = time * step * share / 100;
                    let Ok(schedule) = TraceSchedule::new(time, step, state, budget) else {
                        continue;
                    };
                    let (forward, most) = counted(&schedule);
                    assert!(schedule.bytes() <= budget && most <= schedule.states);
                    // The last chunk may be shorter than the others.
                    let cost = schedule.forward_steps();
                    assert!(
                        forward <= cost
                            && forward + 2 * cost.div_ceil(time) * schedule.chunk >= cost,
                        "T {time}, step {step}, state {state}, {share} %: {forward} of {cost}, {schedule:?}"
                    );
                }
            }
        }
    }

    #[test]
    fn a_twentieth_of_the_trace_costs_one_more_forward() {
        let schedule = TraceSchedule::new(1000, 5, 1, 250).expect("possible");
        assert!(schedule.forward_steps() <= 2000, "{schedule:?}");
        let error = TraceSchedule::new(1000, 5, 1, 3).expect_err("too small");
        assert!(error.contains("a budget of 3 bytes: expected at least 11"), "{error}");
    }
}
