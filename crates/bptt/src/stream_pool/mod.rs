//! Live streams, each with its own state, whose steps are computed in batches.

mod saved;
mod slots;
mod stream;

pub use saved::SavedStreams;
pub use stream::{Evicted, StreamKey, StreamState};

use crate::cell::SequenceCell;
use crate::error::StreamError;
use crate::recurrent::Recurrent;
use crate::state::RecurrentState;
use crate::stream_pool::stream::Shape;
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{DType, Device, TensorData};
use slots::Slots;
use std::time::{Duration, Instant};

/// The limits of a [`StreamPool`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StreamPoolConfig {
    /// The most streams. If one more is added, the pool evicts the stream that was fed least recently.
    pub max_streams: usize,
    /// The most rows of a batch. Up to 128, the packed weights are kept from one batch to the next (see
    /// [`Recurrent::step`]).
    pub max_batch: usize,
    /// The longest time that an input waits until a batch is full.
    pub max_wait: Duration,
    /// [`evict_idle`](StreamPool::evict_idle) evicts a stream after this time without an input; `None`: never.
    pub max_idle: Option<Duration>,
}

impl Default for StreamPoolConfig {
    /// 65,536 streams, 128 rows, 2 ms, no eviction of idle streams.
    fn default() -> Self {
        Self {
            max_streams: 1 << 16,
            max_batch: 128,
            max_wait: Duration::from_millis(2),
            max_idle: None,
        }
    }
}

impl StreamPoolConfig {
    /// Makes an empty pool. `K` is the type of the streams' keys, such as a number or a string.
    ///
    /// # Errors
    ///
    /// One line, if a limit is zero, if the layer is bidirectional or reversed (such a layer has no next step), or if
    /// it is in f64. (The pool keeps states in f32, which represents smaller types exactly.)
    pub fn init<C: SequenceCell, K: StreamKey>(
        &self,
        layer: &Recurrent<C>,
    ) -> Result<StreamPool<C, K>, StreamError> {
        let name = layer.cell().name();
        if self.max_streams == 0 || self.max_batch == 0 {
            return Err(StreamError::new(format!(
                "a pool of at most {} streams in batches of at most {}: expected at least one of each",
                self.max_streams, self.max_batch,
            )));
        }
        if layer.is_bidirectional() || layer.is_reverse() {
            return Err(StreamError::new(format!(
                "{name}: streams need a layer that runs forward only"
            )));
        }
        // Without the tape, which would grow with each step.
        let layer = layer.valid();
        let weight = layer.weights[0].weight_ih.val();
        if weight.dtype() == DType::F64 {
            return Err(StreamError::new(format!("{name}: streams are f32, and the layer is f64")));
        }
        let (hidden, memory) = layer.zero_state(1, &weight).into_parts();
        let planes = |state: &Tensor<3>| [state.dims()[0], state.dims()[2]];
        let shape = Shape {
            input: layer.d_input(),
            hidden: planes(&hidden),
            memory: memory.as_ref().map_or([0, 0], planes),
        };
        Ok(StreamPool {
            slots: Slots::new(shape, self.max_streams),
            config: self.clone(),
            device: weight.device(),
            dtype: weight.dtype(),
            shape,
            layer,
        })
    }
}

/// Live streams, each with its own state, whose steps are computed in batches.
///
/// Streams can be added ([`add`](Self::add)), fed ([`feed`](Self::feed)) and removed ([`remove`](Self::remove),
/// [`evict_idle`](Self::evict_idle)) at any time. An input waits until `max_batch` inputs wait, or until it has waited
/// for `max_wait`. Then [`poll`](Self::poll) computes the output, in one step of the layer for all that wait. A stream
/// has at most one waiting input. So memory does not grow, even if `poll` is called rarely.
///
/// With the kernels for host memory, a stream's outputs are the same bits as if it were alone. (Elsewhere they are
/// the same up to rounding, because the order of sums in a product may depend on the number of rows.)
///
/// States and inputs are in plain host memory, a row for each stream. A batch gathers its rows into tensors and writes
/// the states back. The layer runs without a tape ([`valid`](burn::module::Module::valid)). The pool reads no clock:
/// the caller passes `now`, so that tests can choose it.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::{GruConfig, StreamPool, StreamPoolConfig};
/// use burn::tensor::Device;
/// use std::time::{Duration, Instant};
///
/// let gru = GruConfig::new(2, 8).init(&Device::flex());
/// let mut pool: StreamPool<_, &str> = StreamPoolConfig::default().init(&gru)?;
/// let now = Instant::now();
/// pool.add("left", now)?;
/// pool.add("right", now)?;
/// pool.feed(&"left", &[0.5, 1.0], now)?;
/// pool.feed(&"right", &[-0.5, 0.0], now)?;
/// assert!(pool.poll(now).is_empty()); // they wait for others
/// let answers = pool.poll(now + Duration::from_millis(2));
/// for (stream, output) in answers.iter() {
///     println!("{stream}: {output:?}");
/// }
/// assert_eq!(answers.len(), 2);
/// # }
/// # Ok::<(), bptt::StreamError>(())
/// ```
#[derive(Debug)]
pub struct StreamPool<C, K> {
    layer: Recurrent<C>,
    config: StreamPoolConfig,
    device: Device,
    dtype: DType,
    shape: Shape,
    slots: Slots<K>,
}

/// The outputs of the streams whose inputs were computed, in the order in which these were fed.
#[derive(Clone, Debug, PartialEq)]
pub struct StreamOutputs<K> {
    keys: Vec<K>,
    outputs: Vec<f32>,
}

impl<K> StreamOutputs<K> {
    /// The number of outputs.
    pub fn len(&self) -> usize {
        self.keys.len()
    }

    /// Whether there are no outputs, because nothing was due.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Each stream with its output.
    pub fn iter(&self) -> impl Iterator<Item = (&K, &[f32])> {
        // `max`, because chunks cannot have the width zero that no outputs have.
        let width = (self.outputs.len() / self.keys.len().max(1)).max(1);
        self.keys.iter().zip(self.outputs.chunks(width))
    }
}

impl<C: SequenceCell, K: StreamKey> StreamPool<C, K> {
    /// Adds a stream, with a state of zeros.
    ///
    /// # Returns
    ///
    /// The stream that was evicted, if the pool was full: of the streams without a waiting input, the one that was fed
    /// least recently (or added, if it was never fed).
    ///
    /// # Errors
    ///
    /// One line, and nothing is changed: if the pool already has this stream, or if the pool is full and each stream
    /// has a waiting input.
    pub fn add(&mut self, key: K, now: Instant) -> Result<Option<Evicted<K>>, StreamError> {
        self.add_from(key, &self.shape.zero_state(), now)
    }

    /// Adds a stream, with a state that it had before.
    ///
    /// # Errors
    ///
    /// As [`add`](Self::add), and if the state belongs to another layer.
    pub fn add_from(
        &mut self,
        key: K,
        state: &StreamState,
        now: Instant,
    ) -> Result<Option<Evicted<K>>, StreamError> {
        self.check(&key, state)?;
        let evicted = if self.slots.is_full() {
            let oldest = self.slots.oldest_without_input().ok_or_else(|| {
                StreamError::new(format!(
                    "no room for stream {key:?}: all of the {} streams have an input that waits",
                    self.len(),
                ))
            })?;
            Some(self.slots.remove(oldest))
        } else {
            None
        };
        self.slots.insert(key, state, now);
        Ok(evicted)
    }

    /// Gives a stream the input of its next step.
    ///
    /// # Arguments
    ///
    /// - `input`: `I` numbers
    /// - `now`: the time at which the input begins to wait
    ///
    /// # Errors
    ///
    /// One line, and nothing is changed: if there is no such stream, if the input has another size, or
    /// if the stream's last input still waits (see [`is_waiting`](Self::is_waiting)).
    pub fn feed(&mut self, key: &K, input: &[f32], now: Instant) -> Result<(), StreamError> {
        let slot = self.slot(key)?;
        if input.len() != self.shape.input {
            return Err(StreamError::new(format!(
                "stream {key:?}: the input has {} numbers, expected I = {}",
                input.len(),
                self.shape.input,
            )));
        }
        if self.slots.is_waiting(slot) {
            return Err(StreamError::new(format!(
                "stream {key:?}: its last input still waits for an answer, and a stream has one at a time",
            )));
        }
        self.slots.feed(slot, input, now);
        Ok(())
    }

    /// Computes the outputs that are due: full batches, and inputs that have waited for `max_wait`.
    pub fn poll(&mut self, now: Instant) -> StreamOutputs<K> {
        self.poll_with(now, |outputs| outputs)
    }

    /// As [`poll`](Self::poll), with a head after the layer.
    ///
    /// # Arguments
    ///
    /// - `head`: takes a batch's outputs `[B, P]` and returns a row for each, such as a linear layer does. (The bits
    ///   of Burn's products depend on the number of rows.)
    ///
    /// # Panics
    ///
    /// If the head returns another number of rows. Inputs and states do not change then.
    pub fn poll_with(
        &mut self,
        now: Instant,
        head: impl Fn(Tensor<2>) -> Tensor<2>,
    ) -> StreamOutputs<K> {
        self.answer(head, |pool| {
            pool.slots.waiting() >= pool.config.max_batch
                || pool.due().is_some_and(|due| due <= now)
        })
    }

    /// Computes all inputs that wait, at once.
    pub fn flush(&mut self) -> StreamOutputs<K> {
        self.flush_with(|outputs| outputs)
    }

    /// As [`flush`](Self::flush), with a head after the layer; see [`poll_with`](Self::poll_with).
    ///
    /// # Panics
    ///
    /// As [`poll_with`](Self::poll_with).
    pub fn flush_with(&mut self, head: impl Fn(Tensor<2>) -> Tensor<2>) -> StreamOutputs<K> {
        self.answer(head, |_| true)
    }

    /// The time at which the next input is due, if no other input is fed. `None` if no input waits, or if `max_wait` is
    /// so long (such as [`Duration::MAX`]) that the clock cannot represent the time.
    pub fn due(&self) -> Option<Instant> {
        self.slots.waits_since()?.checked_add(self.config.max_wait)
    }

    /// Removes a stream, with its waiting input.
    ///
    /// # Returns
    ///
    /// Its state, to add it again later ([`add_from`](Self::add_from)).
    ///
    /// # Errors
    ///
    /// One line, if there is no such stream.
    pub fn remove(&mut self, key: &K) -> Result<StreamState, StreamError> {
        let slot = self.slot(key)?;
        Ok(self.slots.remove(slot).state)
    }

    /// Removes the streams that have had no input for longer than `max_idle`, the longest idle first.
    pub fn evict_idle(&mut self, now: Instant) -> Vec<Evicted<K>> {
        let Some(max_idle) = self.config.max_idle else { return Vec::new() };
        let mut evicted = Vec::new();
        while let Some(slot) = self.slots.oldest_without_input() {
            if now.saturating_duration_since(self.slots.fed(slot)) <= max_idle {
                break;
            }
            evicted.push(self.slots.remove(slot));
        }
        evicted
    }

    /// The state of a stream after its last output.
    ///
    /// # Errors
    ///
    /// One line, if there is no such stream.
    pub fn state(&self, key: &K) -> Result<StreamState, StreamError> {
        Ok(self.slots.state(self.slot(key)?))
    }

    /// Sets the state of a stream back to zeros, as at the beginning of another sequence. The next step of the stream
    /// reads it, also that of an input that waits already.
    ///
    /// # Errors
    ///
    /// One line, if there is no such stream.
    pub fn reset(&mut self, key: &K) -> Result<(), StreamError> {
        self.set_state(key, &self.shape.zero_state())
    }

    /// As [`reset`](Self::reset), with a state that is given.
    ///
    /// # Errors
    ///
    /// One line, and nothing is changed: if there is no such stream, or if the state belongs to another layer.
    pub fn set_state(&mut self, key: &K, state: &StreamState) -> Result<(), StreamError> {
        let slot = self.slot(key)?;
        self.check_state(key, state)?;
        self.slots.set_state(slot, state);
        Ok(())
    }

    /// The states of all streams, to be written to a file.
    ///
    /// # Errors
    ///
    /// One line, if inputs wait, because they would be lost. Call [`flush`](Self::flush) first.
    pub fn snapshot(&self) -> Result<SavedStreams<K>, StreamError> {
        match self.slots.waiting() {
            0 => Ok(SavedStreams { streams: self.slots.all() }),
            count => Err(StreamError::new(format!(
                "{count} inputs wait for an answer: expected none, so that nothing is lost by saving",
            ))),
        }
    }

    /// Adds the streams of a [`snapshot`](Self::snapshot), in their order.
    ///
    /// # Errors
    ///
    /// One line, and nothing is changed: if there are too many streams, if one of them is already in the pool or occurs
    /// twice in the snapshot, or if they belong to another layer.
    pub fn restore(&mut self, saved: &SavedStreams<K>, now: Instant) -> Result<(), StreamError> {
        let room = self.config.max_streams - self.len();
        if saved.streams.len() > room {
            return Err(StreamError::new(format!(
                "{} streams to restore, and room for {room} beside the {} that are here",
                saved.streams.len(),
                self.len(),
            )));
        }
        let mut seen = std::collections::HashSet::new();
        for (key, state) in &saved.streams {
            self.check(key, state)?;
            if !seen.insert(key) {
                return Err(StreamError::new(format!("stream {key:?} is in the snapshot twice")));
            }
        }
        for (key, state) in &saved.streams {
            self.slots.insert(key.clone(), state, now);
        }
        Ok(())
    }

    /// How many streams there are.
    pub fn len(&self) -> usize {
        self.slots.len()
    }

    /// Whether there is no stream.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// How many inputs wait.
    pub fn waiting(&self) -> usize {
        self.slots.waiting()
    }

    /// Whether there is such a stream.
    pub fn contains(&self, key: &K) -> bool {
        self.slots.find(key).is_some()
    }

    /// Whether there is such a stream, and an input of it waits.
    pub fn is_waiting(&self, key: &K) -> bool {
        self.slots.find(key).is_some_and(|slot| self.slots.is_waiting(slot))
    }

    fn slot(&self, key: &K) -> Result<usize, StreamError> {
        let slot = self.slots.find(key);
        slot.ok_or_else(|| {
            StreamError::new(format!("there is no stream {key:?}: expected one that was added"))
        })
    }

    /// Whether a stream can be added.
    fn check(&self, key: &K, state: &StreamState) -> Result<(), StreamError> {
        if self.contains(key) {
            return Err(StreamError::new(format!("there is a stream {key:?} already")));
        }
        self.check_state(key, state)
    }

    /// Whether a state belongs to the layer.
    fn check_state(&self, key: &K, state: &StreamState) -> Result<(), StreamError> {
        let found = [state.hidden.len(), state.memory.len()];
        let expected = [self.shape.hidden_len(), self.shape.memory_len()];
        if found != expected {
            return Err(StreamError::new(format!(
                "stream {key:?}: its state has {} hidden numbers and {} of memory, expected {} and {}",
                found[0], found[1], expected[0], expected[1],
            )));
        }
        Ok(())
    }

    fn answer(
        &mut self,
        head: impl Fn(Tensor<2>) -> Tensor<2>,
        is_due: impl Fn(&Self) -> bool,
    ) -> StreamOutputs<K> {
        let mut answers = StreamOutputs { keys: Vec::new(), outputs: Vec::new() };
        while self.slots.waiting() > 0 && is_due(self) {
            self.batch(&head, &mut answers);
        }
        answers
    }

    /// Computes one batch, of the inputs that have waited longest.
    fn batch(&mut self, head: impl Fn(Tensor<2>) -> Tensor<2>, answers: &mut StreamOutputs<K>) {
        let rows = self.slots.first(self.config.max_batch);
        let count = rows.len();
        let Shape { input, hidden, memory } = self.shape;
        let place = (&self.device, self.dtype);
        let input = TensorData::new(self.slots.inputs(&rows), [count, input]);
        let part = |values: Vec<f32>, [planes, size]: [usize; 2]| {
            Tensor::<3>::from_data(TensorData::new(values, [planes, count, size]), place)
        };
        let state = C::State::from_parts(
            part(self.slots.hidden(&rows), hidden),
            (memory != [0, 0]).then(|| part(self.slots.memory(&rows), memory)),
        );
        let (outputs, state) = self.layer.step(Tensor::from_data(input, place), state);
        let outputs = head(outputs);
        assert!(
            outputs.dims()[0] == count,
            "what stands behind the layer made {:?} of {count} rows: expected a row for each",
            outputs.dims(),
        );
        let outputs = numbers(outputs);
        let (hidden, memory) = state.into_parts();
        let (hidden, memory) = (numbers(hidden), memory.map_or_else(Vec::new, numbers));
        // The pool changes only from here on, after everything that may panic.
        self.slots.bring_back(&rows, &hidden, &memory);
        answers.keys.extend(rows.iter().map(|&slot| self.slots.key(slot).clone()));
        answers.outputs.extend(outputs);
    }
}

fn numbers<const D: usize>(x: Tensor<D>) -> Vec<f32> {
    let data = x.into_data().convert::<f32>();
    data.try_to_vec().expect("they were made f32")
}
