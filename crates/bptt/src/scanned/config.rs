//! The configs of the scanned layers.

use super::diagonal::Readout;
use super::layer::ScannedLayer;
use super::minimal::{MinGruLayer, MinLstmLayer};
use super::options::{StackOptions, check_engine};
use super::rg_lru::{C, RgLruLayer};
use super::stack::Scanned;
use super::state_space::{LruLayer, S5Layer};
use crate::engine::Engine;
use crate::error::ConfigError;
use bptt_kernels::Kernel;
use burn::Tensor;
use burn::config::Config;
use burn::module::{Initializer, Param};
use burn::nn::DropoutConfig;
use burn::tensor::{Device, Distribution};

/// Declares a config: its own options, followed by those of all scanned layers. `layer` makes one layer in one direction
/// from the config, the size of its input, and the device.
macro_rules! config {
    (
        $(#[$meta:meta])*
        $Config:ident for $Layer:ident, $name:literal {
            $($(#[$own_meta:meta])* $own:ident: $own_type:ty,)*
        }
        check: $check:expr, layer: $layer:expr,
    ) => {
        $(#[$meta])*
        #[derive(Config, Debug)]
        #[non_exhaustive]
        pub struct $Config {
            /// The size of the input, `I`.
            pub d_input: usize,
            /// The number of units, `H`.
            pub d_hidden: usize,
            $($(#[$own_meta])* pub $own: $own_type,)*
            /// How many layers are stacked, `L`.
            #[config(default = 1)]
            pub num_layers: usize,
            /// Whether inputs are `[B, T, I]` (else `[T, B, I]`).
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
            /// How the layer is differentiated: manual or autograd.
            #[config(default = "Engine::Manual")]
            pub engine: Engine,
            /// Which kernel the manual engine runs.
            #[config(default = "Kernel::Auto")]
            pub kernel: Kernel,
        }

        impl $Config {
            /// Makes the layer.
            ///
            /// # Panics
            ///
            /// If the options exclude each other; [`try_init`](Self::try_init) returns this as an error.
            pub fn init(&self, device: &Device) -> Scanned<$Layer> {
                self.try_init(device).unwrap_or_else(|error| panic!("{error}"))
            }

            /// Makes the layer.
            ///
            /// # Errors
            ///
            /// One line that says which options exclude each other.
            pub fn try_init(&self, device: &Device) -> Result<Scanned<$Layer>, ConfigError> {
                let check: fn(&Self) -> Result<(), String> = $check;
                let own = check(self);
                let options = StackOptions {
                    num_layers: self.num_layers,
                    batch_first: self.batch_first,
                    bidirectional: self.bidirectional,
                    reverse: self.reverse,
                    engine: self.engine,
                    kernel: self.kernel,
                };
                let sizes = [("d_input", self.d_input), ("d_hidden", self.d_hidden)];
                check_stack($name, &options, &sizes, self.dropout, own)?;
                let layer: fn(&Self, usize, &Device) -> $Layer = $layer;
                Ok(stack(options, self.dropout, self.d_input, |input| layer(self, input, device)))
            }
        }
    };
}

config! {
    /// Makes a [`MinGru`](super::MinGru): `h' = (1 - z) ⊙ h + z ⊙ c`, with gates of the input only.
    ///
    /// L. Feng et al., "Were RNNs all we needed?", 2024. Weights and biases are drawn from `U(-1/√I, 1/√I)`, as in
    /// PyTorch's linear layer, unless there is an initializer.
    MinGruConfig for MinGruLayer, "mingru" {
        /// Whether the candidate is made positive, `g(x) = x + 1/2` for `x ≥ 0` and `σ(x)` below, which is the paper's
        /// form with logarithms. The scan needs no logarithms for it.
        #[config(default = false)]
        log_space: bool,
        /// Whether there is a bias.
        #[config(default = true)]
        bias: bool,
        /// The weight's initializer.
        #[config(default = "None")]
        input_initializer: Option<Initializer>,
        /// The bias' initializer.
        #[config(default = "None")]
        bias_initializer: Option<Initializer>,
    }
    check: |_| Ok(()),
    layer: |config, input, device| {
        let (of_weight, of_bias) = (&config.input_initializer, &config.bias_initializer);
        let rows = 2 * config.d_hidden;
        let weight_ih = matrix(of_weight, [rows, input], device);
        let bias_ih = config.bias.then(|| vector(of_bias, rows, input, device));
        MinGruLayer { weight_ih, bias_ih, log_space: config.log_space }
    },
}

config! {
    /// Makes a [`MinLstm`](super::MinLstm): `h' = f ⊙ h + i ⊙ c`, with normalised gates of the input only, `f + i = 1`.
    ///
    /// L. Feng et al., "Were RNNs all we needed?", 2024. Weights and biases are drawn from `U(-1/√I, 1/√I)`, as in
    /// PyTorch's linear layer, unless there is an initializer.
    MinLstmConfig for MinLstmLayer, "minlstm" {
        /// Whether the candidate is made positive; see [`MinGruConfig::log_space`].
        #[config(default = false)]
        log_space: bool,
        /// Whether there is a bias.
        #[config(default = true)]
        bias: bool,
        /// The weight's initializer.
        #[config(default = "None")]
        input_initializer: Option<Initializer>,
        /// The bias' initializer.
        #[config(default = "None")]
        bias_initializer: Option<Initializer>,
    }
    check: |_| Ok(()),
    layer: |config, input, device| {
        let (of_weight, of_bias) = (&config.input_initializer, &config.bias_initializer);
        let rows = 3 * config.d_hidden;
        let weight_ih = matrix(of_weight, [rows, input], device);
        let bias_ih = config.bias.then(|| vector(of_bias, rows, input, device));
        MinLstmLayer { weight_ih, bias_ih, log_space: config.log_space }
    },
}

config! {
    /// Makes an [`RgLru`](super::RgLru): `h' = a ⊙ h + √(1 - a²) ⊙ (i ⊙ x)`, with `a = e^(-8 softplus(Λ) r)` and gates `r`
    /// and `i` of the input. If the input does not have the size of the state, it is projected first.
    ///
    /// S. De et al., "Griffin: mixing gated linear recurrences with local attention for efficient language models",
    /// 2024. Weights and biases are drawn as in PyTorch's linear layer, and `Λ` such that `e^(-8 softplus(Λ))` is
    /// uniform between `decay_min` and `decay_max`.
    RgLruConfig for RgLruLayer, "rg-lru" {
        /// The smallest `a` at the beginning, with `r = 1`.
        #[config(default = 0.9)]
        decay_min: f64,
        /// The largest `a` at the beginning, with `r = 1`.
        #[config(default = 0.999)]
        decay_max: f64,
        /// Whether the gates have biases.
        #[config(default = true)]
        bias: bool,
        /// The weights' initializer.
        #[config(default = "None")]
        input_initializer: Option<Initializer>,
        /// The biases' initializer.
        #[config(default = "None")]
        bias_initializer: Option<Initializer>,
    }
    check: |config| check_range("decay", [config.decay_min, config.decay_max], false),
    layer: |config, input, device| {
        let (of_weight, of_bias) = (&config.input_initializer, &config.bias_initializer);
        let hidden = config.d_hidden;
        let weight_in =
            (input != hidden).then(|| matrix(of_weight, [hidden, input], device));
        let weight_ih = matrix(of_weight, [2 * hidden, hidden], device);
        let bias_ih = config.bias.then(|| vector(of_bias, 2 * hidden, hidden, device));
        let decay = uniform(hidden, [config.decay_min, config.decay_max], device);
        // softplus(Λ) = -log(decay) / c, and softplus⁻¹(y) = log(e^y - 1).
        let lambda = decay.log().div_scalar(-C).exp().sub_scalar(1.0).log();
        RgLruLayer { weight_in, weight_ih, bias_ih, lambda: Param::from_tensor(lambda) }
    },
}

config! {
    /// Makes an [`Lru`](super::Lru): `h' = λ h + γ B x` in complex numbers, and `y = Re(C h) + D x`.
    ///
    /// A. Orvieto et al., "Resurrecting recurrent neural networks for long sequences", ICML 2023. `λ` is drawn uniformly
    /// from the ring between `r_min` and `r_max`, with a phase of up to `max_phase`, and `γ` is `√(1 - |λ|²)`.
    LruConfig for LruLayer, "lru" {
        /// The size of the output, `O`; 0: `H`.
        #[config(default = 0)]
        d_output: usize,
        /// The inner radius of the ring.
        #[config(default = 0.0)]
        r_min: f64,
        /// The outer radius of the ring.
        #[config(default = 1.0)]
        r_max: f64,
        /// The largest phase.
        #[config(default = "2.0 * std::f64::consts::PI")]
        max_phase: f64,
    }
    check: |config| {
        check_range("r", [config.r_min, config.r_max], true)?;
        check_positive("max_phase", config.max_phase)
    },
    layer: |config, input, device| {
        let hidden = config.d_hidden;
        let [low, high] = [config.r_min, config.r_max].map(|r| r * r);
        // |λ|² is uniform, so λ is uniform in the ring. It is never 0 nor 1.
        let square = uniform(hidden, [low, high], device).clamp(1e-6, 1.0 - 1e-6);
        let nu_log = square.clone().log().mul_scalar(-0.5).log();
        let theta_log = uniform(hidden, [0.0, config.max_phase], device).clamp_min(1e-6).log();
        let gamma_log = square.neg().add_scalar(1.0).log().mul_scalar(0.5);
        let deviation = (0.5 / input as f64).sqrt();
        LruLayer {
            nu_log: Param::from_tensor(nu_log),
            theta_log: Param::from_tensor(theta_log),
            gamma_log: Param::from_tensor(gamma_log),
            weight_re: normal([hidden, input], deviation, device),
            weight_im: normal([hidden, input], deviation, device),
            readout: readout([config.d_output, hidden, input], device),
        }
    },
}

config! {
    /// Makes an [`S5`](super::S5): a diagonal state-space model `dh/dt = Λ h + B x` in complex numbers, with a zero-order
    /// hold over steps of a length that is learned, and `y = Re(C h) + D x`.
    ///
    /// J. T. H. Smith, A. Warrington and S. W. Linderman, "Simplified state space layers for sequence modeling", ICLR
    /// 2023. `Λ = -1/2 + i π n` at the beginning, the form S4D-Lin of A. Gu et al., "On the parameterization and
    /// initialization of diagonal state space models", NeurIPS 2022; lengths of steps are log-uniform.
    S5Config for S5Layer, "s5" {
        /// The size of the output, `O`; 0: `H`.
        #[config(default = 0)]
        d_output: usize,
        /// The smallest length of a step.
        #[config(default = 0.001)]
        step_min: f64,
        /// The largest length of a step.
        #[config(default = 0.1)]
        step_max: f64,
    }
    check: |config| {
        check_positive("step_min", config.step_min)?;
        check_positive("step_max", config.step_max)?;
        match config.step_min <= config.step_max {
            true => Ok(()),
            false => Err(format!(
                "step_min is {} and step_max {}: expected step_min <= step_max",
                config.step_min, config.step_max
            )),
        }
    },
    layer: |config, input, device| {
        let hidden = config.d_hidden;
        let frequency: Vec<f32> =
            (0..hidden).map(|n| (std::f64::consts::PI * n as f64) as f32).collect();
        let steps = [config.step_min.ln(), config.step_max.ln()];
        let rate = Tensor::<1>::zeros([hidden], device).add_scalar(0.5_f64.ln());
        let deviation = (0.5 / input as f64).sqrt();
        S5Layer {
            rate_log: Param::from_tensor(rate),
            frequency: Param::from_tensor(Tensor::from_floats(&frequency[..], device)),
            step_log: Param::from_tensor(uniform(hidden, steps, device)),
            weight_re: normal([hidden, input], deviation, device),
            weight_im: normal([hidden, input], deviation, device),
            readout: readout([config.d_output, hidden, input], device),
        }
    },
}

/// The layers of a stack, each by the size of its input.
fn stack<L: ScannedLayer>(
    options: StackOptions,
    dropout: f64,
    d_input: usize,
    layer: impl Fn(usize) -> L,
) -> Scanned<L> {
    let directions = options.directions();
    let mut layers: Vec<L> = Vec::new();
    for k in 0..options.num_layers * directions {
        let input = if k < directions { d_input } else { directions * layers[0].d_output() };
        layers.push(layer(input));
    }
    Scanned { layers, dropout: DropoutConfig::new(dropout).init(), options }
}

fn check_stack(
    name: &str,
    options: &StackOptions,
    sizes: &[(&str, usize)],
    dropout: f64,
    own: Result<(), String>,
) -> Result<(), ConfigError> {
    let error = |message: String| Err(ConfigError::new(format!("{name}: {message}")));
    for &(what, value) in sizes.iter().chain([&("num_layers", options.num_layers)]) {
        // Burn computes the sizes of tensors without a check for overflow.
        if value == 0 || value > 1 << 24 {
            return error(format!("{what} is {value}, and has to be between 1 and {}", 1 << 24));
        }
    }
    if !(0.0..1.0).contains(&dropout) {
        return error(format!("dropout is {dropout}, and has to be in [0, 1)"));
    }
    if options.bidirectional && options.reverse {
        return error("bidirectional and reverse exclude each other".to_string());
    }
    check_engine(name, options.engine)?;
    own.or_else(error)
}

/// Checks a range between 0 and 1; `closed`: whether both may be in it.
fn check_range(name: &str, [min, max]: [f64; 2], closed: bool) -> Result<(), String> {
    let fits = if closed { 0.0 <= min && max <= 1.0 } else { 0.0 < min && max < 1.0 };
    if fits && min < max {
        return Ok(());
    }
    let sign = if closed { "<=" } else { "<" };
    Err(format!(
        "{name}_min is {min} and {name}_max {max}: expected 0 {sign} {name}_min < {name}_max {sign} 1"
    ))
}

fn check_positive(name: &str, value: f64) -> Result<(), String> {
    match value > 0.0 && value.is_finite() {
        true => Ok(()),
        false => Err(format!("{name} is {value}, and has to be a positive number")),
    }
}

/// The initializer of PyTorch's linear layer.
fn linear(input: usize) -> Initializer {
    let bound = 1.0 / (input as f64).sqrt();
    Initializer::Uniform { min: -bound, max: bound }
}

fn matrix(
    initializer: &Option<Initializer>,
    shape: [usize; 2],
    device: &Device,
) -> Param<Tensor<2>> {
    let initializer = initializer.clone().unwrap_or_else(|| linear(shape[1]));
    now(initializer.init_with(shape, Some(shape[1]), Some(shape[0]), device))
}

fn vector(
    initializer: &Option<Initializer>,
    len: usize,
    input: usize,
    device: &Device,
) -> Param<Tensor<1>> {
    let initializer = initializer.clone().unwrap_or_else(|| linear(input));
    now(initializer.init_with([len], Some(input), None, device))
}

fn normal(shape: [usize; 2], std: f64, device: &Device) -> Param<Tensor<2>> {
    now(Initializer::Normal { mean: 0.0, std }.init(shape, device))
}

fn uniform(len: usize, [min, max]: [f64; 2], device: &Device) -> Tensor<1> {
    Tensor::random([len], Distribution::Uniform(min, max), device)
}

/// `C` and `D` for sizes `[O, H, I]`; `O` may be 0 for `H`. As in the papers, the parts of `C` have the variance `1/H`;
/// that of `D` is `1/I`.
fn readout([output, hidden, input]: [usize; 3], device: &Device) -> Readout {
    let output = if output == 0 { hidden } else { output };
    let deviation = 1.0 / (hidden as f64).sqrt();
    Readout {
        weight_re: normal([output, hidden], deviation, device),
        weight_im: normal([output, hidden], deviation, device),
        weight_skip: normal([output, input], 1.0 / (input as f64).sqrt(), device),
    }
}

/// Draws the values now and not at first use, because they must not depend on which engine runs first.
fn now<const D: usize>(param: Param<Tensor<D>>) -> Param<Tensor<D>> {
    let _ = param.val();
    param
}
