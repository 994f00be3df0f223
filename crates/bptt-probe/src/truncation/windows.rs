//! The windows of a truncated gradient, as batches.

use crate::readout::{Batch, Derivatives, Input, Readout, Reads, Target};
use crate::truncation::states::States;
use bptt::SequenceCell;
use burn::Tensor;

/// A batch that can be cut into windows: it knows the states at all borders.
pub struct Cut<'a, C: SequenceCell> {
    readout: &'a Readout<C>,
    batch: &'a Batch,
    states: States,
}

impl<'a, C: SequenceCell> Cut<'a, C> {
    /// Runs the layers over the batch once.
    ///
    /// # Panics
    ///
    /// If the shapes do not fit the model.
    pub fn new(readout: &'a Readout<C>, batch: &'a Batch) -> Self {
        Self { readout, batch, states: States::of(readout, batch) }
    }

    /// The loss of the batch and its truncated gradient.
    ///
    /// - With [`Reads::EveryStep`], windows of `window` steps follow each other from the first step on. If steps are left
    ///   over at the end, their gradient goes back over `window` steps, too. This is
    ///   [`Truncated`](bptt::Truncated) with `every` and `depth` of `window` steps.
    /// - With [`Reads::LastHidden`], there is one answer at the end of each row, and its gradient goes back over the last
    ///   `window` steps of the row.
    ///
    /// # Panics
    ///
    /// If the window has no step.
    pub fn derivatives(&self, window: usize) -> Derivatives {
        self.readout.derivatives(&self.batches(window), None)
    }

    /// The windows, each row as a row of its own. A batch with a negative share takes away answers of the batch before it.
    ///
    /// # Panics
    ///
    /// If the window has no step.
    pub fn batches(&self, window: usize) -> Vec<Batch> {
        assert!(window > 0, "a window has at least one step");
        let [_, time] = sizes(self.batch);
        let window = window.min(time);
        match self.readout.reads {
            Reads::LastHidden => vec![self.ends(window)],
            Reads::EveryStep => {
                let (whole, rest) = (time / window, time % window);
                let mut batches: Vec<_> = self.windows(0, window, whole).into_iter().collect();
                if rest > 0 {
                    // The last `window` steps, of which only the last answers are still to be counted.
                    let start = time - window;
                    batches.extend(self.windows(start, window, 1));
                    let counted = self.windows(start, window - rest, 1);
                    batches.extend(counted.map(|batch| Batch { share: -batch.share, ..batch }));
                }
                batches
            }
        }
    }

    /// `count` windows of `steps` steps, from a step on; `None` if no answer in them counts.
    fn windows(&self, start: usize, steps: usize, count: usize) -> Option<Batch> {
        let [rows, time] = sizes(self.batch);
        let (end, all) = (start + steps * count, rows * count);
        let lengths = self.batch.lengths.as_ref().map(|lengths| {
            let of = |length: &usize| {
                let length = *length;
                (0..count).map(move |n| length.saturating_sub(start + n * steps).min(steps))
            };
            lengths.iter().flat_map(of).collect::<Vec<_>>()
        });
        let counted = |lengths: &Option<Vec<usize>>, all: usize| {
            lengths.as_ref().map_or(all, |lengths| lengths.iter().sum())
        };
        let these = counted(&lengths, all * steps);
        if these == 0 {
            return None;
        }
        let starts: Vec<_> = (0..count).map(|n| start + n * steps).collect();
        let (hidden, memory) = self.states.before(&starts);
        let input = match &self.batch.input {
            Input::Values(values) => {
                let width = values.dims()[2];
                let part = values.clone().slice([0..rows, start..end]);
                Input::Values(part.reshape([all, steps, width]))
            }
            Input::Tokens(tokens) => {
                Input::Tokens(tokens.clone().slice([0..rows, start..end]).reshape([all, steps]))
            }
        };
        let target = match &self.batch.target {
            Target::Values(values) => {
                let [_, answers] = values.dims();
                let values = values.clone().reshape([rows, time, answers]);
                let part = values.slice([0..rows, start..end]);
                Target::Values(part.reshape([all * steps, answers]))
            }
            Target::Classes(classes) => {
                let part = classes.clone().reshape([rows, time]).slice([0..rows, start..end]);
                Target::Classes(part.reshape([all * steps]))
            }
        };
        let share = these as f64 / counted(&self.batch.lengths, rows * time) as f64;
        let share = self.batch.share * share;
        Some(Batch { input, target, lengths, hidden: Some(hidden), memory, share })
    }

    /// The last steps of each row.
    fn ends(&self, window: usize) -> Batch {
        let [rows, time] = sizes(self.batch);
        let length = |row: usize| self.batch.lengths.as_ref().map_or(time, |lengths| lengths[row]);
        let starts: Vec<usize> = (0..rows).map(|row| length(row).saturating_sub(window)).collect();
        let (hidden, memory) = self.states.before_each(&starts);
        let input = match &self.batch.input {
            Input::Values(values) => {
                let part = |(row, start): (usize, &usize)| {
                    values.clone().slice([row..row + 1, *start..start + window])
                };
                Input::Values(Tensor::cat(starts.iter().enumerate().map(part).collect(), 0))
            }
            Input::Tokens(tokens) => {
                let part = |(row, start): (usize, &usize)| {
                    tokens.clone().slice([row..row + 1, *start..start + window])
                };
                Input::Tokens(Tensor::cat(starts.iter().enumerate().map(part).collect(), 0))
            }
        };
        let lengths = self.batch.lengths.as_ref();
        let lengths = lengths.map(|l| l.iter().map(|length| *length.min(&window)).collect());
        Batch { input, lengths, hidden: Some(hidden), memory, ..self.batch.clone() }
    }
}

/// `[B, T]`
pub(super) fn sizes(batch: &Batch) -> [usize; 2] {
    match &batch.input {
        Input::Values(values) => [values.dims()[0], values.dims()[1]],
        Input::Tokens(tokens) => tokens.dims(),
    }
}

/// Joins batches of which each goes on where the one before ended, `count` at a time, into longer sequences. A group that
/// would be shorter than the others is left out.
///
/// Batches go on with each other if all but the first have an initial state, and none has lengths. Others are returned as
/// they are. An answer is needed at every step.
pub fn joined(batches: &[Batch], count: usize) -> Vec<Batch> {
    let go_on = batches.iter().skip(1).all(|batch| batch.hidden.is_some());
    if !go_on || batches.iter().any(|batch| batch.lengths.is_some()) {
        return batches.to_vec();
    }
    let whole: Vec<_> = batches.iter().filter(|batch| sizes(batch) == sizes(&batches[0])).collect();
    let count = count.clamp(1, whole.len().max(1));
    whole.chunks_exact(count).map(join).collect()
}

fn join(parts: &[&Batch]) -> Batch {
    let [rows, time] = sizes(parts[0]);
    let values = |part: &&Batch| match &part.input {
        Input::Values(values) => Some(values.clone()),
        Input::Tokens(_) => None,
    };
    let tokens = |part: &&Batch| match &part.input {
        Input::Tokens(tokens) => Some(tokens.clone()),
        Input::Values(_) => None,
    };
    let input = match parts[0].input {
        Input::Values(_) => {
            Input::Values(Tensor::cat(parts.iter().filter_map(values).collect(), 1))
        }
        Input::Tokens(_) => {
            Input::Tokens(Tensor::cat(parts.iter().filter_map(tokens).collect(), 1))
        }
    };
    let values = |part: &&Batch| match &part.target {
        Target::Values(values) => Some(values.clone().reshape([rows, time, values.dims()[1]])),
        Target::Classes(_) => None,
    };
    let classes = |part: &&Batch| match &part.target {
        Target::Classes(classes) => Some(classes.clone().reshape([rows, time])),
        Target::Values(_) => None,
    };
    let all = rows * time * parts.len();
    let target = match &parts[0].target {
        Target::Values(first) => {
            let joined = Tensor::cat(parts.iter().filter_map(values).collect(), 1);
            Target::Values(joined.reshape([all, first.dims()[1]]))
        }
        Target::Classes(_) => {
            let joined = Tensor::cat(parts.iter().filter_map(classes).collect(), 1);
            Target::Classes(joined.reshape([all]))
        }
    };
    let share = parts.iter().map(|part| part.share).sum();
    Batch { input, target, share, ..parts[0].clone() }
}
