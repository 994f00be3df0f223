//! One layer with all its numbers.

#[cfg(feature = "scanned-cells")]
use crate::scanned::parameters;
use crate::setting::DType;
#[cfg(feature = "scanned-cells")]
use bptt::scanned::AnyScannedConfig;
use bptt::{
    AnyCell, AnyLayerConfig, AnyRecurrentConfig, LayerKind, MaskedOutput, Nonlinearity,
    RecurrentNoise, SequenceCell,
};
use bptt_kernels::CellLayout;
use burn::module::Initializer;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Numbers with a shape, in f64, in row-major order.
#[derive(Clone, Debug, PartialEq)]
pub struct Array {
    /// The shape.
    pub shape: Vec<usize>,
    /// The values. Their number is the product of the shape.
    pub values: Vec<f64>,
}

/// The options of a layer and the sizes of its input, as in the metadata of a reference file.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct LayerOptions {
    /// Which cell, or which layer that runs as a scan.
    pub cell: LayerKind,
    /// For an RNN.
    pub nonlinearity: Nonlinearity,
    /// For a GRU.
    pub reset_after: bool,
    /// For an LSTM: whether the forget gate is `1 - i`.
    pub input_forget: bool,
    /// For an LSTM: the bound of its memory.
    pub clip: Option<f64>,
    /// For minGRU and minLSTM: whether the candidate is made positive.
    #[serde(default)]
    pub log_space: bool,
    /// `I`
    pub input_size: usize,
    /// `H`
    pub hidden_size: usize,
    /// `L`
    pub num_layers: usize,
    /// Whether there are biases.
    pub bias: bool,
    /// Whether the input is `[B, T, I]`.
    pub batch_first: bool,
    /// Whether there is a backward direction too.
    pub bidirectional: bool,
    /// Whether the one direction runs backward.
    pub reverse: bool,
    /// `P`, or `O` of an LRU and an S5; 0 for none.
    pub proj_size: usize,
    /// How many heads the recurrent weights have.
    #[serde(default = "one")]
    pub num_heads: usize,
    /// `B`
    pub batch: usize,
    /// `T`
    pub time: usize,
    /// The length of each row.
    pub lengths: Option<Vec<usize>>,
    /// Which steps of each row are valid, `[B, T]`; only without lengths.
    pub mask: Option<Vec<bool>>,
    /// What the output is at masked steps; only with a mask or lengths.
    #[serde(rename = "skipped")]
    pub masked_output: MaskedOutput,
    /// Before which steps of each row the state is set back, `[B, T]`.
    #[serde(default)]
    pub resets: Option<Vec<bool>>,
    /// Whether the state that a reset sets is given; otherwise it is zero. Only with resets.
    #[serde(default)]
    pub reset_state: bool,
    /// How much memory the manual engine may keep, in bytes.
    pub trace_budget: Option<usize>,
    /// How the layer is given the sequence.
    #[serde(default, rename = "fed")]
    pub input_mode: InputMode,
    /// Whether the initial state is given; otherwise it is zero.
    pub initial_state: bool,
    /// The noise of a layer that is trained. Its masks are those of the layer's first call.
    #[serde(default)]
    pub noise: Option<RecurrentNoise>,
    /// Whether the layer runs as in evaluation, so that its noise is the expectation, or none.
    #[serde(default)]
    pub evaluates: bool,
}

/// How many heads there are in files from before there was a choice.
fn one() -> usize {
    1
}

/// How a layer is given its sequence. The results must not depend on it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub enum InputMode {
    /// The whole sequence at once.
    #[default]
    Whole,
    /// As a [`PackedSequence`](bptt::PackedSequence). This needs lengths.
    Packed,
    /// In chunks of this many steps. Each chunk begins with the final state of the chunk before.
    /// A reset at the first step of a chunk replaces that state.
    Chunks(usize),
    /// In windows of this many outputs. Each window has its own backward pass, which reaches back to the first step
    /// ([`Truncated`](bptt::Truncated)). The gradients are summed over the windows. There is no initial state, because
    /// such a pass detaches it. The final state comes from a pass over the whole sequence.
    Windows(usize),
    /// In batches of this many rows, made by [`Bucketing`](bptt::Bucketing). This needs lengths.
    Batches(usize),
    /// By a [`StreamPool`](bptt::StreamPool), step by step, in batches that mix different steps of different rows. A
    /// pool computes only outputs and final states, in f32. For gradients, and in other types, the layer is given the whole
    /// sequence. A reset sets the state of a stream.
    Pool,
}

/// One layer with all its numbers: parameters, input, initial state, reset state and cotangents. The names are those of
/// the reference format: `input`, `h_0`, `h_reset`, `weight_ih_l0`, `cotangent.output`, …
#[derive(Clone, Debug)]
pub struct Problem {
    /// The name in the case table, or the reference file's stem.
    pub name: String,
    /// What the layer is.
    pub options: LayerOptions,
    /// The numbers that go in.
    pub given: BTreeMap<String, Array>,
    /// The known results: `output`, `h_n`, `c_n`, `grad.…`; may be empty.
    pub expected: BTreeMap<String, Array>,
}

impl LayerOptions {
    /// PyTorch's defaults, but batch first. The sizes are small and all different, so that mixed-up dimensions are
    /// noticed.
    pub(crate) fn plain(cell: impl Into<LayerKind>) -> Self {
        Self {
            cell: cell.into(),
            nonlinearity: Nonlinearity::Tanh,
            reset_after: true,
            input_forget: false,
            clip: None,
            log_space: false,
            input_size: 3,
            hidden_size: 4,
            num_layers: 1,
            bias: true,
            batch_first: true,
            bidirectional: false,
            reverse: false,
            proj_size: 0,
            num_heads: 1,
            batch: 2,
            time: 5,
            lengths: None,
            mask: None,
            masked_output: MaskedOutput::Zero,
            resets: None,
            reset_state: false,
            trace_budget: None,
            input_mode: InputMode::Whole,
            initial_state: true,
            noise: None,
            evaluates: false,
        }
    }

    /// Whether the layer runs with a mask on the candidate of its cell.
    pub fn has_candidate_mask(&self) -> bool {
        !self.evaluates && self.noise.is_some_and(|noise| noise.recurrent_dropout > 0.0)
    }

    /// `D`
    pub fn directions(&self) -> usize {
        if self.bidirectional { 2 } else { 1 }
    }

    /// `P`, or `H` without a projection; `2·H` if the state is complex.
    pub fn state_size(&self) -> usize {
        #[cfg(feature = "scanned-cells")]
        if let LayerKind::Scanned(kind) = self.cell {
            return if kind.is_complex() { 2 * self.hidden_size } else { self.hidden_size };
        }
        self.output_size()
    }

    /// The size of the output in one direction: `P`, `O` or `H`.
    pub fn output_size(&self) -> usize {
        if self.proj_size > 0 { self.proj_size } else { self.hidden_size }
    }

    /// How many units a head has: all without heads.
    pub fn head_size(&self) -> usize {
        self.hidden_size / self.num_heads
    }

    /// The cell with its options.
    ///
    /// # Panics
    ///
    /// If the cell does not have one of the options, or if the layer runs as a scan.
    pub(crate) fn cell(&self) -> AnyCell {
        self.config().cell().unwrap_or_else(|error| panic!("{error}"))
    }

    /// The cell's name in tables: `rnn-tanh`, `rnn-relu`, `lstm`, `lstm-coupled`, …
    pub fn cell_name(&self) -> &'static str {
        match (self.cell.cell(), self.cell.name(), self.log_space) {
            (Some(_), ..) => self.cell().name(),
            (None, "mingru", true) => "mingru-log",
            (None, "minlstm", true) => "minlstm-log",
            (None, name, _) => name,
        }
    }

    /// The config of a layer whose cell runs step by step. Its parameters begin as zeros, because the problem has the
    /// numbers.
    ///
    /// # Panics
    ///
    /// If the layer runs as a scan: [`layer_config`](Self::layer_config) has the config of any layer.
    pub fn config(&self) -> AnyRecurrentConfig {
        let Some(cell) = self.cell.cell() else {
            panic!("{}: a layer that runs as a scan, expected a cell", self.cell.name());
        };
        AnyRecurrentConfig::new(cell, self.input_size, self.hidden_size)
            .with_nonlinearity(self.nonlinearity)
            .with_reset_after(self.reset_after)
            .with_input_forget(self.input_forget)
            .with_clip(self.clip)
            .with_num_layers(self.num_layers)
            .with_bias(self.bias)
            .with_batch_first(self.batch_first)
            .with_bidirectional(self.bidirectional)
            .with_reverse(self.reverse)
            .with_proj_size(self.proj_size)
            .with_num_heads(self.num_heads)
            .with_trace_budget(self.trace_budget)
            .with_noise(self.noise)
            .with_input_initializer(Initializer::Zeros.into())
            .with_recurrent_initializer(Initializer::Zeros.into())
            .with_bias_initializer(Initializer::Zeros.into())
    }

    /// The config of the layer.
    pub fn layer_config(&self) -> AnyLayerConfig {
        #[cfg(feature = "scanned-cells")]
        if let LayerKind::Scanned(kind) = self.cell {
            return AnyScannedConfig::new(kind, self.input_size, self.hidden_size)
                .with_log_space(self.log_space)
                .with_bias(self.bias)
                .with_d_output(self.proj_size)
                .with_num_layers(self.num_layers)
                .with_batch_first(self.batch_first)
                .with_bidirectional(self.bidirectional)
                .with_reverse(self.reverse)
                .into();
        }
        self.config().into()
    }

    /// The parameters, with PyTorch's names, shapes and order. PyTorch does not have `weight_diag`, `[V, H]`, nor heads, with
    /// which `weight_hh` is `[heads, G·H/heads, H/heads]`.
    /// `None` if a size is too large.
    pub fn parameters(&self) -> Option<Vec<(String, Vec<usize>)>> {
        #[cfg(feature = "scanned-cells")]
        if let AnyLayerConfig::Scanned(config) = self.layer_config() {
            return parameters(&config);
        }
        self.parameters_of(&self.cell().layout())
    }

    fn parameters_of(&self, cell: &CellLayout) -> Option<Vec<(String, Vec<usize>)>> {
        let gates = cell.gates().checked_mul(self.hidden_size)?;
        let above = self.directions().checked_mul(self.state_size())?;
        let is_recurrent = cell.has_recurrent_weights();
        let mut all = Vec::new();
        for layer in 0..self.num_layers {
            let input = if layer == 0 { self.input_size } else { above };
            for reverse in ["", "_reverse"].iter().take(self.directions()) {
                let mut add = |name: &str, shape: Vec<usize>| {
                    all.push((format!("{name}_l{layer}{reverse}"), shape));
                };
                add("weight_ih", vec![gates, input]);
                add(
                    "weight_hh",
                    match is_recurrent {
                        true if self.num_heads > 1 => {
                            let (heads, size) = (self.num_heads, self.head_size());
                            vec![heads, gates / heads, size]
                        }
                        true => vec![gates, self.state_size()],
                        false => vec![cell.diagonal_weights, self.hidden_size],
                    },
                );
                if self.bias {
                    add("bias_ih", vec![gates]);
                }
                if self.bias && is_recurrent {
                    add("bias_hh", vec![gates]);
                }
                if self.proj_size > 0 {
                    add("weight_hr", vec![self.proj_size, self.hidden_size]);
                }
                if cell.diagonal_weights > 0 && is_recurrent {
                    add("weight_diag", vec![cell.diagonal_weights, self.hidden_size]);
                }
            }
        }
        Some(all)
    }

    fn sequence_shape(&self, width: usize) -> Vec<usize> {
        match self.batch_first {
            true => vec![self.batch, self.time, width],
            false => vec![self.time, self.batch, width],
        }
    }

    /// How many memories a unit of the cell has.
    fn memories(&self) -> usize {
        self.cell.cell().map_or(0, |_| self.cell().memories())
    }

    /// The states, `h` and for a cell with memories `c`, with their shapes.
    fn states(&self, memories: usize) -> Option<Vec<(&'static str, Vec<usize>)>> {
        let rows = self.num_layers.checked_mul(self.directions())?;
        let mut all = vec![("h", vec![rows, self.batch, self.state_size()])];
        if memories > 0 {
            let rows = rows.checked_mul(memories)?;
            all.push(("c", vec![rows, self.batch, self.hidden_size]));
        }
        Some(all)
    }

    /// The names and shapes of the inputs. `None` if a size is too large.
    pub fn given(&self) -> Option<Vec<(String, Vec<usize>)>> {
        self.given_with(self.memories(), self.parameters()?)
    }

    /// The same for another cell.
    pub(crate) fn given_of(&self, cell: &CellLayout) -> Option<Vec<(String, Vec<usize>)>> {
        self.given_with(cell.states(), self.parameters_of(cell)?)
    }

    fn given_with(
        &self,
        memories: usize,
        parameters: Vec<(String, Vec<usize>)>,
    ) -> Option<Vec<(String, Vec<usize>)>> {
        let width = self.directions().checked_mul(self.output_size())?;
        let mut all = vec![("input".to_string(), self.sequence_shape(self.input_size))];
        let kinds = [(self.initial_state, "0"), (self.reset_state, "reset")];
        for (_, kind) in kinds.into_iter().filter(|(is_given, _)| *is_given) {
            let states = self.states(memories)?.into_iter();
            all.extend(states.map(|(s, shape)| (format!("{s}_{kind}"), shape)));
        }
        all.extend(parameters);
        all.push(("cotangent.output".to_string(), self.sequence_shape(width)));
        all.extend(
            self.states(memories)?
                .into_iter()
                .map(|(s, shape)| (format!("cotangent.{s}_n"), shape)),
        );
        Some(all)
    }

    /// The names and shapes of the results. `None` if a size is too large.
    pub fn results(&self) -> Option<Vec<(String, Vec<usize>)>> {
        let width = self.directions().checked_mul(self.output_size())?;
        let mut all = vec![("output".to_string(), self.sequence_shape(width))];
        all.extend(
            self.states(self.memories())?.into_iter().map(|(s, shape)| (format!("{s}_n"), shape)),
        );
        all.extend(
            self.given()?
                .into_iter()
                .filter(|(name, _)| !name.starts_with("cotangent."))
                .map(|(name, shape)| (format!("grad.{name}"), shape)),
        );
        Some(all)
    }
}

impl Problem {
    /// Rounds every input to a type, and also the bound of a memory.
    pub fn round_to(&mut self, dtype: DType) {
        self.options.clip = self.options.clip.map(|bound| dtype.rounded(bound));
        for array in self.given.values_mut() {
            array.values.iter_mut().for_each(|value| *value = dtype.rounded(*value));
        }
    }

    /// The input with this name.
    ///
    /// # Panics
    ///
    /// If there is none.
    pub fn array(&self, name: &str) -> &Array {
        self.given.get(name).unwrap_or_else(|| panic!("{}: no tensor `{name}`", self.name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use bptt::CellKind;

    /// The names in files must stay the same, even if fields and variants are renamed.
    #[test]
    fn options_are_read_by_the_names_that_older_files_have() {
        let mut options = LayerOptions::plain(CellKind::Gru);
        (options.masked_output, options.input_mode) = (MaskedOutput::Hold, InputMode::Chunks(4));
        let json = serde_json::to_value(&options).expect("plain data");
        assert_eq!(json["skipped"], "Held");
        assert_eq!(json["fed"]["Chunks"], 4);
        assert_eq!(
            serde_json::from_value::<LayerOptions>(json.clone()).expect("the same"),
            options
        );
        // Files from before there were resets have none.
        let mut older = json;
        let fields = older.as_object_mut().expect("a struct");
        assert!(fields.remove("resets").is_some() && fields.remove("reset_state").is_some());
        assert!(fields.remove("num_heads").is_some());
        assert_eq!(serde_json::from_value::<LayerOptions>(older).expect("no resets"), options);
    }
}
