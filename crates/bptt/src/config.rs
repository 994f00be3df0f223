//! The configs of the layers.

use crate::cell::{CellOptions, GruCell, LstmCell, Nonlinearity, RnnCell, SequenceCell};
use crate::cell_list::{AnyCell, CellKind};
use crate::engine::Engine;
use crate::error::ConfigError;
use crate::initializers::bias::{BiasInitializer, has_memory_shifts};
use crate::initializers::weight::WeightInitializer;
use crate::layer_noise::LayerNoise;
use crate::recurrent::{Options, Recurrent};
use crate::recurrent_noise::RecurrentNoise;
use crate::weights::{Initializers, Sizes, Weights};
use bptt_kernels::{Kernel, available_memory, in_host_memory};
use burn::Tensor;
use burn::config::Config;
use burn::nn::DropoutConfig;
use burn::tensor::Device;

/// Declares a config with its own options, followed by the options of all layers.
macro_rules! config {
    (
        $(#[$meta:meta])*
        $Config:ident {
            $($(#[$required_meta:meta])* $required:ident: $required_type:ty,)*
            =>
            $($(#[$own_meta:meta])* $own:ident: $own_type:ty,)*
        }
    ) => {
        $(#[$meta])*
        #[derive(Config, Debug)]
        #[non_exhaustive]
        pub struct $Config {
            $($(#[$required_meta])* pub $required: $required_type,)*
            /// The size of the input, `I`.
            pub d_input: usize,
            /// The size of the hidden state, `H`.
            pub d_hidden: usize,
            $($(#[$own_meta])* pub $own: $own_type,)*
            /// How many layers are stacked, `L`.
            #[config(default = 1)]
            pub num_layers: usize,
            /// How many heads the recurrent weights have. The units of a head read the hidden state of that head alone:
            /// each gate's recurrent matrix has so many blocks on its diagonal, of which the weight
            /// `[heads, G·H/heads, H/heads]` consists; see [`RecurrentWeight`](crate::RecurrentWeight). 1: a whole matrix.
            #[config(default = 1)]
            pub num_heads: usize,
            /// Whether there are biases, `b` and `b_h`.
            #[config(default = true)]
            pub bias: bool,
            /// Whether inputs are `[B, T, I]` (else `[T, B, I]`). PyTorch's default is false.
            #[config(default = true)]
            pub batch_first: bool,
            /// The probability of dropping an output between two layers, while training.
            #[config(default = 0.0)]
            pub dropout: f64,
            /// Whether there is a backward direction beside the forward one.
            #[config(default = false)]
            pub bidirectional: bool,
            /// Whether the layer runs from the last step to the first; only for one direction.
            #[config(default = false)]
            pub reverse: bool,
            /// How the layer is differentiated.
            #[config(default = "Engine::Manual")]
            pub engine: Engine,
            /// Which kernel the manual engine runs.
            #[config(default = "Kernel::Auto")]
            pub kernel: Kernel,
            /// How much memory the manual engine may keep from the forward to the backward pass, in
            /// bytes; see [`Recurrent::with_trace_budget`].
            #[config(default = "None")]
            pub trace_budget: Option<usize>,
            /// The first values of the input weights.
            #[config(default = "WeightInitializer::Torch")]
            pub input_initializer: WeightInitializer,
            /// The first values of the recurrent weights, of the projection and of diagonal weights.
            #[config(default = "WeightInitializer::Torch")]
            pub recurrent_initializer: WeightInitializer,
            /// The first values of the biases.
            #[config(default = "BiasInitializer::Torch")]
            pub bias_initializer: BiasInitializer,
            /// Noise inside of the layer while it is trained: zoneout, and several kinds of dropout.
            #[config(default = "None")]
            pub noise: Option<RecurrentNoise>,
        }
    };
}

/// Declares the config of a layer. Its cell is made from the config's own options.
macro_rules! layer_config {
    (
        $(#[$meta:meta])*
        $Config:ident for $Cell:ty {
            $($(#[$required_meta:meta])* $required:ident: $required_type:ty,)*
            =>
            $($(#[$own_meta:meta])* $own:ident: $own_type:ty,)*
        }
        cell: $cell:expr, projection: $projection:expr,
    ) => {
        config! {
            $(#[$meta])*
            $Config {
                $($(#[$required_meta])* $required: $required_type,)*
                =>
                $($(#[$own_meta])* $own: $own_type,)*
            }
        }

        impl $Config {
            /// Makes the layer.
            ///
            /// # Panics
            ///
            /// If the options exclude each other; [`try_init`](Self::try_init) returns this as an error.
            pub fn init(&self, device: &Device) -> Recurrent<$Cell> {
                self.try_init(device).unwrap_or_else(|error| panic!("{error}"))
            }

            /// Makes the layer.
            ///
            /// # Errors
            ///
            /// One line that says which options exclude each other.
            pub fn try_init(&self, device: &Device) -> Result<Recurrent<$Cell>, ConfigError> {
                self.stack().try_init(self.cell()?, device)
            }

            /// The cell with its options.
            ///
            /// # Errors
            ///
            /// One line that says which option the cell does not have.
            pub fn cell(&self) -> Result<$Cell, ConfigError> {
                let cell: fn(&Self) -> Result<$Cell, ConfigError> = $cell;
                cell(self)
            }

            /// The options that layers of all cells have.
            pub fn stack(&self) -> StackConfig {
                let projection: fn(&Self) -> Option<usize> = $projection;
                StackConfig {
                    d_input: self.d_input,
                    d_hidden: self.d_hidden,
                    num_layers: self.num_layers,
                    proj_size: projection(self),
                    num_heads: self.num_heads,
                    bias: self.bias,
                    batch_first: self.batch_first,
                    dropout: self.dropout,
                    bidirectional: self.bidirectional,
                    reverse: self.reverse,
                    engine: self.engine,
                    kernel: self.kernel,
                    trace_budget: self.trace_budget,
                    input_initializer: self.input_initializer.clone(),
                    recurrent_initializer: self.recurrent_initializer.clone(),
                    bias_initializer: self.bias_initializer.clone(),
                    noise: self.noise,
                }
            }
        }
    };
}

layer_config! {
    /// Makes an [`Rnn`](crate::Rnn): `h' = φ(W x + b + U h + b_h)`.
    ///
    /// J. L. Elman, "Finding structure in time", Cognitive Science 14 (1990).
    RnnConfig for RnnCell {
        =>
        /// `φ`.
        #[config(default = "Nonlinearity::Tanh")]
        nonlinearity: Nonlinearity,
    }
    cell: |config| Ok(RnnCell(config.nonlinearity)), projection: |_| None,
}

layer_config! {
    /// Makes an [`Lstm`](crate::Lstm), gates in the order `i f g o`.
    ///
    /// S. Hochreiter and J. Schmidhuber, "Long short-term memory", Neural Computation 9 (1997);
    /// the projection and the clip are those of H. Sak, A. Senior and F. Beaufays (2014), the coupled
    /// gates those of K. Greff et al. (2017).
    LstmConfig for LstmCell {
        =>
        /// The size `P` of a projection after each step; 0: no projection.
        #[config(default = 0)]
        proj_size: usize,
        /// Whether the forget gate is `1 - i` (coupled gates): three gates, in the order `i g o`.
        #[config(default = false)]
        input_forget: bool,
        /// Bounds the memory `c` to `[-clip, clip]` after each step.
        #[config(default = "None")]
        clip: Option<f64>,
    }
    cell: |config| Ok(LstmCell { input_forget: config.input_forget, clip: config.clip }),
    projection: |config| some(config.proj_size),
}

layer_config! {
    /// Makes a [`Gru`](crate::Gru), gates in the order `r z n`.
    ///
    /// K. Cho et al., "Learning phrase representations using RNN encoder–decoder", EMNLP 2014.
    GruConfig for GruCell {
        =>
        /// Whether the reset gate comes after the recurrent product (PyTorch) or before (Cho).
        #[config(default = true)]
        reset_after: bool,
    }
    cell: |config| Ok(GruCell { reset_after: config.reset_after }), projection: |_| None,
}

layer_config! {
    /// Makes an [`AnyRecurrent`](crate::AnyRecurrent): the cell is chosen at run time. An option that this cell does
    /// not have must keep its default.
    AnyRecurrentConfig for AnyCell {
        /// Which cell.
        kind: CellKind,
        =>
        /// For an RNN or an IndRNN.
        #[config(default = "Nonlinearity::Tanh")]
        nonlinearity: Nonlinearity,
        /// For a GRU.
        #[config(default = true)]
        reset_after: bool,
        /// For an LSTM, and other cells that may have a projection: its size; 0: none.
        #[config(default = 0)]
        proj_size: usize,
        /// For an LSTM: whether the forget gate is `1 - i`.
        #[config(default = false)]
        input_forget: bool,
        /// For an LSTM: the bound of its memory.
        #[config(default = "None")]
        clip: Option<f64>,
    }
    cell: |config| config.kind.cell(&CellOptions {
        nonlinearity: config.nonlinearity,
        reset_after: config.reset_after,
        input_forget: config.input_forget,
        clip: config.clip,
    }),
    projection: |config| some(config.proj_size),
}

/// The size of a projection. As in PyTorch, 0 means that there is none.
fn some(proj_size: usize) -> Option<usize> {
    (proj_size > 0).then_some(proj_size)
}

config! {
    /// The options that layers of all cells have. With it you make a layer of your own cell.
    StackConfig {
        =>
        /// The size `P` of a projection behind each step.
        #[config(default = "None")]
        proj_size: Option<usize>,
    }
}

impl StackConfig {
    /// Makes a layer of the cell.
    ///
    /// # Errors
    ///
    /// If the options exclude each other.
    pub fn try_init<C: SequenceCell>(
        &self,
        cell: C,
        device: &Device,
    ) -> Result<Recurrent<C>, ConfigError> {
        self.check(&cell)?;
        self.check_memory(&cell, device)?;
        let directions = if self.bidirectional { 2 } else { 1 };
        let d_state = self.proj_size.unwrap_or(self.d_hidden);
        let initializers = Initializers {
            input: self.input_initializer.clone(),
            recurrent: self.recurrent_initializer.clone(),
            bias: self.bias_initializer.clone(),
        };
        let weights = (0..self.num_layers * directions)
            .map(|k| {
                let first = k < directions;
                let sizes = Sizes {
                    gates: cell.gates(),
                    gate_roles: cell.layout().gate_roles,
                    input: if first { self.d_input } else { directions * d_state },
                    hidden: self.d_hidden,
                    heads: self.num_heads,
                    projection: self.proj_size,
                    diagonal: cell.diagonal_weights(),
                    diagonal_roles: cell.layout().diagonal_roles,
                    recurrent: cell.layout().has_recurrent_weights(),
                    bias: self.bias,
                };
                Weights::init(&sizes, &initializers, device)
            })
            .collect();
        Ok(Recurrent {
            weights,
            dropout: DropoutConfig::new(self.dropout).init(),
            cell,
            custom_kernel: None,
            gradient_probe: None,
            noise: self.noise.filter(|noise| !noise.is_none()).map(LayerNoise::new),
            options: Options {
                d_input: self.d_input,
                d_hidden: self.d_hidden,
                num_layers: self.num_layers,
                proj_size: self.proj_size,
                num_heads: self.num_heads,
                batch_first: self.batch_first,
                bidirectional: self.bidirectional,
                reverse: self.reverse,
                engine: self.engine,
                kernel: self.kernel,
                trace_budget: self.trace_budget,
            },
        })
    }

    /// Checks that the parameters fit the memory, because an allocation that fails would end the process.
    fn check_memory(&self, cell: &impl SequenceCell, device: &Device) -> Result<(), ConfigError> {
        // The product is in `u128` and saturates, because each of the sizes may be any number.
        let product = |sizes: &[usize]| {
            sizes.iter().fold(1_u128, |product, &size| product.saturating_mul(size as u128))
        };
        let directions = if self.bidirectional { 2 } else { 1 };
        let (hidden, gates) = (self.d_hidden, cell.gates());
        let state = self.proj_size.unwrap_or(hidden);
        let layer = |input: u128| {
            let rows = product(&[gates, hidden]);
            let has_matrix = cell.layout().has_recurrent_weights();
            let state = if has_matrix { state / self.num_heads } else { 0 };
            let columns = input.saturating_add(state as u128).saturating_add(2);
            let projection = self.proj_size.map_or(0, |size| product(&[size, hidden]));
            let diagonal = product(&[cell.diagonal_weights(), hidden]);
            rows.saturating_mul(columns).saturating_add(projection).saturating_add(diagonal)
        };
        let above =
            product(&[self.num_layers - 1]).saturating_mul(layer(product(&[directions, state])));
        let numbers = layer(self.d_input as u128).saturating_add(above);
        let bytes = numbers.saturating_mul(product(&[directions, size_of::<f32>()]));
        // This is not checked on a GPU, which reports an allocation that fails.
        let available =
            |need| if is_in_host_memory(device) { available_memory(need) } else { None };
        bptt_kernels::check_memory(bytes, available).map_err(|too_much| {
            let Self { d_input, d_hidden, num_layers, .. } = self;
            ConfigError::new(format!(
                "{}: the parameters for d_input = {d_input}, d_hidden = {d_hidden} and num_layers = \
                 {num_layers} {too_much}: expected smaller sizes",
                cell.name()
            ))
        })
    }

    fn check(&self, cell: &impl SequenceCell) -> Result<(), ConfigError> {
        let error = |message: String| Err(ConfigError::new(format!("{}: {message}", cell.name())));
        for (name, value) in [
            ("d_input", self.d_input),
            ("d_hidden", self.d_hidden),
            ("num_layers", self.num_layers),
        ] {
            if value == 0 {
                return error(format!("{name} is 0, and has to be at least 1"));
            }
        }
        cell.check().or_else(|reason| error(reason.to_string()))?;
        if !(0.0..1.0).contains(&self.dropout) {
            return error(format!("dropout is {}, and has to be in [0, 1)", self.dropout));
        }
        if self.bidirectional && self.reverse {
            return error("bidirectional and reverse exclude each other".to_string());
        }
        // Burn computes the first dimension of the weights without a check for overflow.
        if cell.gates().checked_mul(self.d_hidden).is_none() {
            return error(format!(
                "d_hidden is {}, which is more than a tensor can have",
                self.d_hidden
            ));
        }
        let layout = cell.layout();
        if !layout.has_recurrent_weights() && layout.diagonal_weights == 0 {
            return error("a cell without recurrent products needs diagonal weights".to_string());
        }
        match self.proj_size {
            Some(_) if !cell.projectable() => {
                return error("this cell cannot stand before a projection (proj_size)".to_string());
            }
            Some(size) if size == 0 || size >= self.d_hidden => {
                return error(format!(
                    "proj_size is {size}, and has to be at least 1 and smaller than d_hidden = {}",
                    self.d_hidden
                ));
            }
            _ => {}
        }
        self.check_heads(cell).or_else(|reason| error(reason.to_string()))?;
        let noise = self.noise.unwrap_or_default();
        noise.check(cell).or_else(|reason| error(reason.to_string()))?;
        self.check_initializers(cell).or_else(|reason| error(reason.to_string()))
    }

    fn check_heads(&self, cell: &impl SequenceCell) -> Result<(), ConfigError> {
        let Self { num_heads, d_hidden, .. } = self;
        let why = match num_heads {
            0 => "and has to be at least 1".to_string(),
            1 => return Ok(()),
            _ if !cell.layout().has_recurrent_weights() => {
                "and this cell has no recurrent matrix: expected 1".to_string()
            }
            _ if self.proj_size.is_some() => {
                "and a layer with a projection (proj_size) has no heads: expected 1".to_string()
            }
            heads if d_hidden % heads != 0 => format!("and has to divide d_hidden = {d_hidden}"),
            _ => return Ok(()),
        };
        Err(ConfigError::new(format!("num_heads is {num_heads}, {why}")))
    }

    fn check_initializers(&self, cell: &impl SequenceCell) -> Result<(), ConfigError> {
        let bias = &self.bias_initializer;
        if !self.bias && bias.sets_memory_gates() && !has_memory_shifts(&cell.layout()) {
            let message = format!("bias_initializer is {bias}, and bias is false: expected biases");
            return Err(ConfigError::new(message));
        }
        let (input, recurrent) = (&self.input_initializer, &self.recurrent_initializer);
        let check_recurrent = || match cell.layout().has_recurrent_weights() {
            true => recurrent.check_recurrent(self.proj_size.is_some()),
            false => recurrent.check_diagonal(),
        };
        let checks = [
            ("input_initializer", input.to_string(), input.check_input()),
            ("recurrent_initializer", recurrent.to_string(), check_recurrent()),
            ("bias_initializer", bias.to_string(), bias.check(cell)),
        ];
        checks.into_iter().try_for_each(|(option, value, check)| {
            check.map_err(|why| ConfigError::new(format!("{option} is {value}: {why}")))
        })
    }
}

/// Whether tensors of the device are in host memory.
fn is_in_host_memory(device: &Device) -> bool {
    in_host_memory(&Tensor::<1>::zeros([1], device))
}
