//! A sequence that a decoder wrote.

/// A sequence that a decoder wrote.
#[derive(Clone, Debug, PartialEq)]
pub struct Decoded {
    /// The symbols, without the one that ends the sequence.
    pub symbols: Vec<usize>,
    /// The logarithm of its probability, with that of the end, in nats.
    pub log_probability: f64,
    /// What hypotheses are sorted by: the log-probability divided by the length penalty of
    /// [`BeamConfig`](crate::seq2seq::BeamConfig); the log-probability itself for a greedy decoder.
    pub score: f64,
    /// Whether it has an end, or was cut off at the maximum length.
    pub ended: bool,
    /// How much each symbol attended to each step of the source: a row of `Ts` weights for each symbol.
    pub weights: Vec<Vec<f32>>,
}
