//! Layers with connections around each of them: residual, or highway.

use crate::engine::Engine;
use crate::error::ConfigError;
use crate::layer::RecurrentLayer;
use crate::sequence_options::SequenceOptions;
use crate::state::RecurrentState;
use bptt_kernels::MaskedOutput;
use burn::Tensor;
use burn::module::{Initializer, Module, ModuleDisplay};
use burn::nn::{Dropout, DropoutConfig, Linear, LinearConfig};
use burn::tensor::{Bool, DType, TensorData};

/// How the input of a layer reaches its output, besides through the layer.
#[derive(Clone, Copy, Debug, PartialEq)]
#[non_exhaustive]
pub enum SkipConnection {
    /// `y = x + F(x)`
    ///
    /// K. He et al., "Deep residual learning for image recognition", CVPR 2016; between recurrent layers Y. Wu et al.,
    /// "Google's neural machine translation system" (2016), arXiv:1609.08144.
    Residual,
    /// `y = t ⊙ F(x) + (1 - t) ⊙ x` with the gate `t = σ(W x + b)`
    ///
    /// R. K. Srivastava, K. Greff and J. Schmidhuber, "Training very deep networks", NeurIPS 2015.
    Highway {
        /// What all of `b` begins as. Negative: the stack begins as if it had few layers. They recommend -1 to -3.
        bias: f64,
    },
}

/// A stack of recurrent layers of any kind, with a connection around each layer whose input is as large as its output.
/// It is a [`RecurrentLayer`] itself, so it goes where a layer goes.
///
/// The state has the states of the layers under each other, the lowest layer first, as in a stack of
/// [`Recurrent`](crate::Recurrent). Outputs at masked steps are zero, whatever the options say.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::{GruConfig, RecurrentLayer, ResidualStack, SkipConnection};
/// use burn::tensor::{Device, Distribution, Tensor};
///
/// let device = Device::flex().autodiff();
/// // The first layer changes the size, so it has no connection around it.
/// let layers = [3, 8, 8].map(|d_input| GruConfig::new(d_input, 8).init(&device));
/// let stack = ResidualStack::new(layers.into(), SkipConnection::Residual).unwrap().with_dropout(0.1);
///
/// let input = Tensor::<3>::random([4, 10, 3], Distribution::Default, &device);
/// let (output, state) = stack.forward(input, None);
/// assert_eq!((output.dims(), state.hidden.dims()), ([4, 10, 8], [3, 4, 8]));
/// # }
/// ```
#[derive(Module, Debug)]
pub struct ResidualStack<R: Module> {
    /// The layers, the lowest first.
    pub layers: Vec<R>,
    /// With [`SkipConnection::Highway`]: `W` and `b` of each layer with a connection.
    pub gates: Vec<Linear>,
    /// Of the outputs of layers before a connection adds to them, while training.
    pub dropout: Dropout,
    /// How many planes the hidden state and the memory of a layer have.
    #[module(skip)]
    planes: [usize; 2],
}

impl<R: RecurrentLayer + ModuleDisplay> ResidualStack<R> {
    /// Makes a stack of layers. The gates of highway connections are drawn from the device of the layers.
    ///
    /// # Arguments
    ///
    /// - `layers`: the lowest first; all with states of one shape
    ///
    /// # Errors
    ///
    /// One line, if the layers do not fit each other, or if no layer has an input as large as its output.
    pub fn new(layers: Vec<R>, connection: SkipConnection) -> Result<Self, ConfigError> {
        let error = |message: String| Err(ConfigError::new(format!("a residual stack: {message}")));
        let Some(first) = layers.first() else {
            return error("no layers: expected at least one".to_string());
        };
        for (k, pair) in layers.windows(2).enumerate() {
            let (below, above) = (pair[0].d_output(), pair[1].d_input());
            if below != above {
                return error(format!(
                    "layer {k} has outputs of size {below}, and layer {} inputs of size {above}: \
                     expected equal sizes",
                    k + 1
                ));
            }
            if pair[0].is_batch_first() != pair[1].is_batch_first() {
                return error(
                    "layers with and without batch_first: expected one layout".to_string(),
                );
            }
        }
        let shapes: Vec<_> = layers.iter().map(state_shape).collect();
        if shapes.iter().any(|shape| *shape != shapes[0]) {
            return error(format!(
                "layers with states of the shapes {shapes:?}: expected one shape"
            ));
        }
        if !layers.iter().any(has_connection) {
            return error("no layer has an input as large as its output: expected one".to_string());
        }
        let device = first.devices().remove(0);
        let gate = |layer: &R, bias: f64| {
            let size = layer.d_input();
            let linear = LinearConfig::new(size, size).init(&device);
            let bias = Some(Initializer::Constant { value: bias }.init([size], &device));
            Linear { bias, ..linear }
        };
        let gates = match connection {
            SkipConnection::Residual => Vec::new(),
            SkipConnection::Highway { bias } => layers
                .iter()
                .filter(|layer| has_connection(*layer))
                .map(|l| gate(l, bias))
                .collect(),
        };
        let planes = [shapes[0].0[0], shapes[0].1.map_or(0, |shape| shape[0])];
        let dropout = DropoutConfig::new(0.0).init();
        Ok(Self { layers, gates, dropout, planes })
    }

    /// The same stack with dropout of the layers' outputs, before a connection adds to them.
    ///
    /// # Panics
    ///
    /// If the probability is not in `[0, 1)`.
    pub fn with_dropout(mut self, probability: f64) -> Self {
        assert!(
            (0.0..1.0).contains(&probability),
            "dropout is {probability}, and has to be in [0, 1)"
        );
        self.dropout = DropoutConfig::new(probability).init();
        self
    }

    /// Runs the layers one after the other, each by a function of the layer, its input and its number.
    fn run<const D: usize>(
        &self,
        input: Tensor<D>,
        mut run: impl FnMut(&R, Tensor<D>, usize) -> (Tensor<D>, R::State),
    ) -> (Tensor<D>, R::State) {
        let mut gates = self.gates.iter();
        let (mut hidden, mut memory) = (Vec::new(), Vec::new());
        let mut x = input;
        for (k, layer) in self.layers.iter().enumerate() {
            let (y, state) = run(layer, x.clone(), k);
            let (hidden_k, memory_k) = state.into_parts();
            hidden.push(hidden_k);
            memory.extend(memory_k);
            let y = self.dropout.forward(y);
            let connected = has_connection(layer);
            let gate = if connected { gates.next() } else { None };
            x = match gate {
                None if connected => x + y,
                None => y,
                Some(gate) => {
                    // σ by tanh, because Burn's σ computes f64 in f32.
                    let open = gate.forward(x.clone()).mul_scalar(0.5).tanh();
                    let open = open.mul_scalar(0.5).add_scalar(0.5);
                    x.clone() + open * (y - x)
                }
            };
        }
        let memory = (!memory.is_empty()).then(|| Tensor::cat(memory, 0));
        (x, R::State::from_parts(Tensor::cat(hidden, 0), memory))
    }

    /// The part of a state that belongs to layer `k`.
    fn part(&self, state: &Option<R::State>, k: usize) -> Option<R::State> {
        let (hidden, memory) = state.clone()?.into_parts();
        let (found, expected) = (hidden.dims()[0], self.planes[0] * self.layers.len());
        assert!(
            found == expected,
            "a residual stack: the state has {found} planes, expected {expected}, those of all layers"
        );
        let of = |all: Tensor<3>, planes: usize| all.slice([k * planes..(k + 1) * planes]);
        let [of_hidden, of_memory] = self.planes;
        Some(R::State::from_parts(of(hidden, of_hidden), memory.map(|all| of(all, of_memory))))
    }

    /// Which outputs are of masked steps, in the layout of the outputs; `None` without a mask.
    fn masked(
        &self,
        input: &Tensor<3>,
        options: &SequenceOptions<R::State>,
    ) -> Option<Tensor<3, Bool>> {
        let [rows, columns, _] = input.dims();
        let [batch, time] = if self.is_batch_first() { [rows, columns] } else { [columns, rows] };
        let valid = match (&options.lengths, &options.mask) {
            (Some(lengths), _) => {
                let within = |&length: &usize| (0..time).map(move |t| t < length);
                let flags: Vec<bool> = lengths.iter().flat_map(within).collect();
                // The layer says so if there are not as many lengths as rows.
                let data = TensorData::new(flags, [lengths.len(), time]);
                Tensor::<2, Bool>::from_data(data, &input.device())
            }
            (None, Some(mask)) => mask.clone(),
            (None, None) => return None,
        };
        if valid.dims() != [batch, time] {
            return None;
        }
        let masked = valid.bool_not();
        let masked = if self.is_batch_first() { masked } else { masked.swap_dims(0, 1) };
        Some(masked.unsqueeze_dim(2))
    }
}

/// Whether there is a connection around the layer.
fn has_connection(layer: &impl RecurrentLayer) -> bool {
    layer.d_input() == layer.d_output()
}

/// The shapes of a layer's hidden state and memory for one row.
fn state_shape<R: RecurrentLayer>(layer: &R) -> ([usize; 3], Option<[usize; 3]>) {
    let options = (&layer.devices()[0], layer.dtype());
    let (_, state) = layer.forward(Tensor::zeros([1, 1, layer.d_input()], options), None);
    let (hidden, memory) = state.into_parts();
    (hidden.dims(), memory.map(|memory| memory.dims()))
}

impl<R: RecurrentLayer + ModuleDisplay> RecurrentLayer for ResidualStack<R> {
    type State = R::State;

    fn forward(&self, input: Tensor<3>, state: Option<R::State>) -> (Tensor<3>, R::State) {
        self.run(input, |layer, x, k| layer.forward(x, self.part(&state, k)))
    }

    fn forward_lengths(
        &self,
        input: Tensor<3>,
        lengths: &[usize],
        state: Option<R::State>,
    ) -> (Tensor<3>, R::State) {
        self.forward_with(input, &SequenceOptions::new().with_lengths(lengths), state)
    }

    fn forward_masked(
        &self,
        input: Tensor<3>,
        mask: Tensor<2, Bool>,
        masked_output: MaskedOutput,
        state: Option<R::State>,
    ) -> (Tensor<3>, R::State) {
        let options = SequenceOptions::new().with_mask(mask).with_masked_output(masked_output);
        self.forward_with(input, &options, state)
    }

    fn forward_with(
        &self,
        input: Tensor<3>,
        options: &SequenceOptions<R::State>,
        state: Option<R::State>,
    ) -> (Tensor<3>, R::State) {
        // A connection must not carry on what the layers leave out, which may be no number. Above it, masked steps are
        // zero.
        let input = match self.masked(&input, options) {
            Some(masked) => {
                let shape = input.dims();
                input.mask_fill(masked.expand(shape), 0.0)
            }
            None => input,
        };
        self.run(input, |layer, x, k| {
            let mut options = options.clone().with_masked_output(MaskedOutput::Zero);
            options.reset_state = self.part(&options.reset_state, k);
            layer.forward_with(x, &options, self.part(&state, k))
        })
    }

    fn step(&self, input: Tensor<2>, state: Option<R::State>) -> (Tensor<2>, R::State) {
        self.run(input, |layer, x, k| layer.step(x, self.part(&state, k)))
    }

    fn with_engine(self, engine: Engine) -> Self {
        let layers = self.layers.into_iter().map(|layer| layer.with_engine(engine)).collect();
        Self { layers, ..self }
    }

    fn dtype(&self) -> DType {
        self.layers[0].dtype()
    }

    fn d_input(&self) -> usize {
        self.layers[0].d_input()
    }

    fn d_output(&self) -> usize {
        self.layers[self.layers.len() - 1].d_output()
    }

    fn is_batch_first(&self) -> bool {
        self.layers[0].is_batch_first()
    }

    fn is_bidirectional(&self) -> bool {
        self.layers[0].is_bidirectional()
    }

    fn output_is_hidden(&self) -> bool {
        false
    }
}
