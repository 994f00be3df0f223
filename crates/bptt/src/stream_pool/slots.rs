//! The inputs and states of the streams, and the order in which they were fed. There are no tensors here.

use crate::stream_pool::stream::{Evicted, Shape, StreamKey, StreamState};
use std::collections::{BTreeMap, HashMap, VecDeque};
use std::time::Instant;

/// Stores a row of numbers for each stream. Free rows are used again, and memory is never freed.
#[derive(Debug)]
pub(crate) struct Slots<K> {
    shape: Shape,
    most: usize,
    places: HashMap<K, usize>,
    slots: Vec<Option<Slot<K>>>,
    free: Vec<usize>,
    /// The streams without a waiting input, the one fed least recently first.
    idle: BTreeMap<u64, usize>,
    /// The streams with a waiting input, the one fed least recently first.
    waiting: VecDeque<usize>,
    /// The number of feeds and additions so far.
    count: u64,
    /// `[slots, I]`
    inputs: Vec<f32>,
    /// `[slots, L·P]`
    hidden: Vec<f32>,
    /// `[slots, L·M·H]`
    memory: Vec<f32>,
}

#[derive(Debug)]
struct Slot<K> {
    key: K,
    fed: Instant,
    /// Its position in the order of feeding.
    count: u64,
    is_waiting: bool,
}

impl<K: StreamKey> Slots<K> {
    pub(crate) fn new(shape: Shape, most: usize) -> Self {
        Self {
            shape,
            most,
            places: HashMap::new(),
            slots: Vec::new(),
            free: Vec::new(),
            idle: BTreeMap::new(),
            waiting: VecDeque::new(),
            count: 0,
            inputs: Vec::new(),
            hidden: Vec::new(),
            memory: Vec::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.places.len()
    }

    pub(crate) fn is_full(&self) -> bool {
        self.len() == self.most
    }

    pub(crate) fn waiting(&self) -> usize {
        self.waiting.len()
    }

    pub(crate) fn find(&self, key: &K) -> Option<usize> {
        self.places.get(key).copied()
    }

    pub(crate) fn key(&self, slot: usize) -> &K {
        &self.slot(slot).key
    }

    pub(crate) fn is_waiting(&self, slot: usize) -> bool {
        self.slot(slot).is_waiting
    }

    /// When it was fed last, or added.
    pub(crate) fn fed(&self, slot: usize) -> Instant {
        self.slot(slot).fed
    }

    /// The time at which the oldest waiting input began to wait.
    pub(crate) fn waits_since(&self) -> Option<Instant> {
        self.waiting.front().map(|&slot| self.fed(slot))
    }

    pub(crate) fn oldest_without_input(&self) -> Option<usize> {
        self.idle.first_key_value().map(|(_, &slot)| slot)
    }

    fn slot(&self, slot: usize) -> &Slot<K> {
        self.slots[slot].as_ref().expect("a stream is there")
    }

    /// Adds a stream. The caller has checked that it is new and that there is room.
    pub(crate) fn insert(&mut self, key: K, state: &StreamState, now: Instant) {
        self.count += 1;
        let row = Slot { key: key.clone(), fed: now, count: self.count, is_waiting: false };
        let slot = self.free.pop().unwrap_or_else(|| {
            let slot = self.slots.len();
            self.slots.push(None);
            self.inputs.resize((slot + 1) * self.shape.input, 0.0);
            self.hidden.resize((slot + 1) * self.shape.hidden_len(), 0.0);
            self.memory.resize((slot + 1) * self.shape.memory_len(), 0.0);
            slot
        });
        self.slots[slot] = Some(row);
        self.places.insert(key, slot);
        self.idle.insert(self.count, slot);
        self.set_state(slot, state);
    }

    /// Replaces the state of a stream.
    pub(crate) fn set_state(&mut self, slot: usize, state: &StreamState) {
        let [hidden, memory] = [self.shape.hidden_len(), self.shape.memory_len()];
        self.hidden[slot * hidden..][..hidden].copy_from_slice(&state.hidden);
        self.memory[slot * memory..][..memory].copy_from_slice(&state.memory);
    }

    pub(crate) fn remove(&mut self, slot: usize) -> Evicted<K> {
        let state = self.state(slot);
        let Slot { key, count, is_waiting, .. } =
            self.slots[slot].take().expect("a stream is there");
        if is_waiting {
            self.waiting.retain(|&other| other != slot);
        } else {
            self.idle.remove(&count);
        }
        self.places.remove(&key);
        self.free.push(slot);
        Evicted { key, state }
    }

    /// Adds an input to a stream without a waiting input.
    pub(crate) fn feed(&mut self, slot: usize, input: &[f32], now: Instant) {
        self.count += 1;
        let row = self.slots[slot].as_mut().expect("a stream is there");
        self.idle.remove(&row.count);
        (row.fed, row.count, row.is_waiting) = (now, self.count, true);
        self.waiting.push_back(slot);
        self.inputs[slot * self.shape.input..][..self.shape.input].copy_from_slice(input);
    }

    /// The streams that have waited longest, at most `most` of them.
    pub(crate) fn first(&self, most: usize) -> Vec<usize> {
        self.waiting.iter().take(most).copied().collect()
    }

    /// `[B, I]`
    pub(crate) fn inputs(&self, rows: &[usize]) -> Vec<f32> {
        gathered(&self.inputs, rows, [1, self.shape.input])
    }

    /// `[L, B, P]`
    pub(crate) fn hidden(&self, rows: &[usize]) -> Vec<f32> {
        gathered(&self.hidden, rows, self.shape.hidden)
    }

    /// `[L·M, B, H]`
    pub(crate) fn memory(&self, rows: &[usize]) -> Vec<f32> {
        gathered(&self.memory, rows, self.shape.memory)
    }

    /// Stores the states of the [`first`](Self::first) streams after their step; they wait no longer.
    pub(crate) fn bring_back(&mut self, rows: &[usize], hidden: &[f32], memory: &[f32]) {
        scatter(&mut self.hidden, rows, self.shape.hidden, hidden);
        scatter(&mut self.memory, rows, self.shape.memory, memory);
        self.waiting.drain(..rows.len());
        for &slot in rows {
            let row = self.slots[slot].as_mut().expect("a stream is there");
            row.is_waiting = false;
            self.idle.insert(row.count, slot);
        }
    }

    pub(crate) fn state(&self, slot: usize) -> StreamState {
        let [hidden, memory] = [self.shape.hidden_len(), self.shape.memory_len()];
        StreamState {
            hidden: self.hidden[slot * hidden..][..hidden].to_vec(),
            memory: self.memory[slot * memory..][..memory].to_vec(),
        }
    }

    /// All streams without a waiting input, the one fed least recently first.
    pub(crate) fn all(&self) -> Vec<(K, StreamState)> {
        self.idle.values().map(|&slot| (self.key(slot).clone(), self.state(slot))).collect()
    }
}

/// From `[slots, planes, size]` to `[planes, rows, size]`.
fn gathered(from: &[f32], rows: &[usize], [planes, size]: [usize; 2]) -> Vec<f32> {
    let mut all = Vec::with_capacity(planes * rows.len() * size);
    for plane in 0..planes {
        for row in rows {
            all.extend_from_slice(&from[(row * planes + plane) * size..][..size]);
        }
    }
    all
}

/// The reverse.
fn scatter(to: &mut [f32], rows: &[usize], [planes, size]: [usize; 2], from: &[f32]) {
    for plane in 0..planes {
        for (index, row) in rows.iter().enumerate() {
            let from = &from[(plane * rows.len() + index) * size..][..size];
            to[(row * planes + plane) * size..][..size].copy_from_slice(from);
        }
    }
}
