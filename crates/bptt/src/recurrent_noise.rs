//! Noise inside of recurrent layers while they are trained: zoneout and several kinds of dropout.

use crate::cell::{CellVisitor, SequenceCell};
use crate::error::ConfigError;
use crate::noise_rates::NoiseRates;
use serde::{Deserialize, Serialize};
use std::sync::Arc;

/// Noise inside of a recurrent layer while it is trained. Each probability is in `[0, 1)`, and zero means none.
///
/// | | what | source |
/// | --- | --- | --- |
/// | zoneout | a unit keeps its state of the step before: `h_t = h_{t-1}`, and `c_t = c_{t-1}` | Krueger et al. 2017 |
/// | variational dropout | one mask for all steps of a sequence: of a layer's input, and of `h` where it enters a recurrent product | Gal & Ghahramani 2016 |
/// | recurrent dropout | the candidate is dropped before it is added to the memory, which loses nothing (LSTM, GRU) | Semeniuta et al. 2016 |
/// | weight drop | entries of `weight_hh` are zero for a whole sequence | Merity et al. 2018 |
///
/// The layer draws the numbers before a sequence, in host memory, so all engines, kernels and devices have the same.
/// They depend on the seed, and on how many sequences the layer has run before; clones of a layer count together. What is
/// not dropped is scaled by `1/(1 - p)`.
///
/// The noise is off where Burn's dropout is off: on a device without autodiff, in the layer that
/// [`valid`](burn::module::Module::valid) returns, and in one that is frozen. Zoneout is its expectation there,
/// `h_t = z h_{t-1} + (1 - z) h̃_t`.
///
/// A call is a sequence: a chunk of a longer one, or a step of a stream, has a mask of its own.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::{LstmConfig, RecurrentNoise};
/// use burn::tensor::{Device, Distribution, Tensor};
///
/// let device = Device::flex().autodiff();
/// let noise = RecurrentNoise::new().with_zoneout(0.05, 0.5).with_seed(7);
/// let lstm = LstmConfig::new(3, 4).with_noise(Some(noise)).init(&device);
/// let input = Tensor::<3>::random([2, 5, 3], Distribution::Default, &device);
/// let first = lstm.forward(input.clone(), None).0;
/// assert_ne!(first.to_data(), lstm.forward(input.clone(), None).0.to_data());
/// // The same seed gives the same numbers.
/// assert_eq!(first.to_data(), lstm.with_noise_seed(7).forward(input, None).0.to_data());
/// # }
/// ```
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
#[non_exhaustive]
pub struct RecurrentNoise {
    /// The probability that a unit keeps its hidden state.
    pub zoneout_hidden: f64,
    /// The probability that a unit keeps its memories, all of them together.
    pub zoneout_memory: f64,
    /// The probability of dropping a number of a layer's input, in all steps of a sequence.
    pub input_dropout: f64,
    /// The probability of dropping a number of the hidden state where it enters a recurrent product, in all steps of a
    /// sequence.
    pub state_dropout: f64,
    /// The probability of dropping a number of the candidate, before it is added to the memory; or to the state of a
    /// GRU.
    pub recurrent_dropout: f64,
    /// Whether recurrent dropout has one mask for all steps of a sequence; otherwise each step has its own.
    pub dropout_per_sequence: bool,
    /// The probability of dropping an entry of `weight_hh`.
    pub weight_drop: f64,
    /// From which the numbers are drawn.
    pub seed: u64,
}

/// What is drawn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum NoiseKind {
    /// What a layer's input is multiplied with, `[B, I]`.
    Input,
    /// What the hidden state is multiplied with, `[B, P]`.
    State,
    /// What zoneout keeps of the hidden state, `[T, B, P]`.
    KeptHidden,
    /// What zoneout keeps of the memories, `[T, B, H]`.
    KeptMemory,
    /// What `weight_hh` is multiplied with, `[G·H, P]`.
    Weight,
    /// What the candidate is multiplied with, `[T, B, H]`, or `[B, H]` for a sequence.
    Candidate,
}

impl RecurrentNoise {
    /// No noise.
    pub fn new() -> Self {
        Self::default()
    }

    /// With zoneout of the hidden state and of the memories. Krueger et al. take 0.05 and 0.5 for an LSTM.
    pub fn with_zoneout(mut self, hidden: f64, memory: f64) -> Self {
        (self.zoneout_hidden, self.zoneout_memory) = (hidden, memory);
        self
    }

    /// With variational dropout of each layer's input, and of its hidden state.
    pub fn with_variational_dropout(mut self, input: f64, state: f64) -> Self {
        (self.input_dropout, self.state_dropout) = (input, state);
        self
    }

    /// With recurrent dropout, which draws a mask for each step.
    pub fn with_recurrent_dropout(mut self, probability: f64) -> Self {
        self.recurrent_dropout = probability;
        self
    }

    /// Whether recurrent dropout has one mask for all steps of a sequence.
    pub fn with_dropout_per_sequence(mut self, per_sequence: bool) -> Self {
        self.dropout_per_sequence = per_sequence;
        self
    }

    /// With weight drop.
    pub fn with_weight_drop(mut self, probability: f64) -> Self {
        self.weight_drop = probability;
        self
    }

    /// With another seed.
    pub fn with_seed(mut self, seed: u64) -> Self {
        self.seed = seed;
        self
    }

    /// The noise that the command line asks for. One probability of zoneout is also that of the memory, if the cell has
    /// one.
    pub fn of_rates(
        cell: &impl SequenceCell,
        zoneout: NoiseRates,
        variational_dropout: NoiseRates,
        [recurrent_dropout, weight_drop]: [f64; 2],
    ) -> Self {
        let (hidden, memory) = match zoneout {
            NoiseRates::Same(p) if cell.memories() > 0 => (p, p),
            NoiseRates::Same(p) => (p, 0.0),
            NoiseRates::Each(p, q) => (p, q),
        };
        let (input, state) = match variational_dropout {
            NoiseRates::Same(p) => (p, p),
            NoiseRates::Each(p, q) => (p, q),
        };
        Self::new()
            .with_zoneout(hidden, memory)
            .with_variational_dropout(input, state)
            .with_recurrent_dropout(recurrent_dropout)
            .with_weight_drop(weight_drop)
    }

    /// Whether there is none, whatever the seed.
    pub fn is_none(&self) -> bool {
        Self { seed: 0, dropout_per_sequence: false, ..*self } == Self::default()
    }

    fn named(&self) -> [(&'static str, f64); 6] {
        [
            ("zoneout of the hidden state", self.zoneout_hidden),
            ("zoneout of the memory", self.zoneout_memory),
            ("variational dropout of the input", self.input_dropout),
            ("variational dropout of the state", self.state_dropout),
            ("weight drop", self.weight_drop),
            ("recurrent dropout", self.recurrent_dropout),
        ]
    }

    /// Checks that the cell can have it.
    ///
    /// # Errors
    ///
    /// One line that says which probability is wrong, or what the cell does not have.
    pub fn check(&self, cell: &impl SequenceCell) -> Result<(), ConfigError> {
        let error = |message: String| Err(ConfigError::new(message));
        let mut named = self.named().into_iter();
        if let Some((name, p)) = named.find(|(_, p)| !(0.0..1.0).contains(p)) {
            return error(format!("{name} is {p}, and has to be in [0, 1)"));
        }
        let layout = cell.layout();
        if self.zoneout_memory > 0.0 && layout.states() == 0 {
            return error(format!(
                "zoneout of the memory is {}, and this cell has no memory beside its hidden state: \
                 expected 0",
                self.zoneout_memory
            ));
        }
        // Its memories are scaled by one another, so a mean of two of each is no mean of what they stand for.
        if self.zoneout_memory > 0.0 && cell.name() == "slstm" {
            return error(format!(
                "zoneout of the memory is {}, and a mean of this cell's memories has no meaning, because \
                 one is the scale of the others: expected 0",
                self.zoneout_memory
            ));
        }
        if self.recurrent_dropout > 0.0 && cell.accept_dropped(IsThere).is_none() {
            let why = match cfg!(feature = "recurrent-dropout") {
                true => {
                    "this cell has no form with a mask on its candidate (lstm and gru have one)"
                }
                false => {
                    "this build has no such cells: turn on the feature `recurrent-dropout` of bptt"
                }
            };
            return error(format!(
                "recurrent dropout is {}, and {why}: expected 0",
                self.recurrent_dropout
            ));
        }
        if layout.has_recurrent_weights() {
            return Ok(());
        }
        for (name, p) in [self.named()[3], self.named()[4]] {
            if p > 0.0 {
                return error(format!(
                    "{name} is {p}, and this cell has no recurrent products: expected 0"
                ));
            }
        }
        Ok(())
    }

    fn probability(&self, kind: NoiseKind) -> f64 {
        match kind {
            NoiseKind::Input => self.input_dropout,
            NoiseKind::State => self.state_dropout,
            NoiseKind::KeptHidden => self.zoneout_hidden,
            NoiseKind::KeptMemory => self.zoneout_memory,
            NoiseKind::Weight => self.weight_drop,
            NoiseKind::Candidate => self.recurrent_dropout,
        }
    }

    /// The numbers for a sequence; `None` if the probability is zero. Zoneout keeps 1 with the probability, else 0.
    /// Masks are 0 with the probability, else `1/(1 - p)`.
    ///
    /// # Arguments
    ///
    /// - `call`: how many sequences the layer has run before
    /// - `part`: which layer and direction, as in [`Recurrent::weights`](crate::Recurrent::weights); of an input, which
    ///   is the same for both directions, that of the forward direction
    /// - `count`: how many numbers
    pub fn draw(
        &self,
        kind: NoiseKind,
        call: u64,
        part: usize,
        count: usize,
    ) -> Option<Arc<[f32]>> {
        let p = self.probability(kind);
        if p <= 0.0 {
            return None;
        }
        let [drawn, other] = match kind {
            NoiseKind::KeptHidden | NoiseKind::KeptMemory => [1.0, 0.0],
            _ => [0.0, (1.0 / (1.0 - p)) as f32],
        };
        let key = [call, part as u64, kind as u64]
            .into_iter()
            .fold(mixed(self.seed), |key, word| mixed(key ^ mixed(word.wrapping_add(GOLDEN))));
        // Each half of a random number decides about one.
        let below = (p * (1_u64 << 32) as f64).round() as u64;
        let two = |n: u64| {
            let random = mixed(key.wrapping_add(n.wrapping_mul(GOLDEN)));
            [random >> 32, random & 0xffff_ffff].map(|r| if r < below { drawn } else { other })
        };
        let mut numbers: Vec<f32> = Vec::with_capacity(count + 1);
        for n in 0..count.div_ceil(2) as u64 {
            numbers.extend_from_slice(&two(n));
        }
        numbers.truncate(count);
        Some(numbers.into())
    }
}

/// Does nothing with a cell.
struct IsThere;

impl CellVisitor for IsThere {
    type Output = ();

    fn visit<C: bptt_cells::Cell>(self, _: C) {}
}

/// The golden ratio as a fraction of 2⁶⁴.
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;

/// SplitMix64's output function: each bit of the result depends on all bits.
///
/// G. L. Steele, D. Lea and C. H. Flood, "Fast splittable pseudorandom number generators", OOPSLA 2014.
fn mixed(x: u64) -> u64 {
    let x = (x ^ (x >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let x = (x ^ (x >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    x ^ (x >> 31)
}
