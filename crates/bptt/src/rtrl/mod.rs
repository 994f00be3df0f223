//! Real-time recurrent learning: the gradient carried forwards, known after every step.

mod layer;
mod tangent;

use layer::{Advance, Influenced, Parameters};

use crate::cell::SequenceCell;
use crate::config::ConfigError;
use crate::recurrent::Recurrent;
use crate::state::RecurrentState;
use burn::Tensor;
use layer::{Column, Columns};

/// A layer that learns while it runs: after every step, the exact gradient of whatever is made of its
/// output, without going back.
///
/// Beside the state `s` of each layer it carries the *influence* `∂s/∂θ` of all parameters of that layer
/// and those below on it, forwards: `∂s'/∂θ = (∂s'/∂s) ∂s/∂θ + ∂s'/∂θ|s`. So memory does not depend on how
/// long it has run, and nothing is kept of the past; the price is `B · N · S` numbers for `N` parameters and
/// `S` numbers of state, and about `N` times the work of a step. It is for small networks on endless
/// streams, and it is a witness: it reaches no hand-written derivative, not even in the cell.
///
/// The sum of the gradients after each step is the gradient of the sum of the losses, as
/// back-propagation through time has it. If the parameters change on the way ([`update`](Self::update)),
/// the influence is still that of the parameters as they were; with small steps that is the usual
/// approximation.
///
/// Stacks of any depth, one direction, forwards, every cell; no dropout.
///
/// R. J. Williams and D. Zipser, "A learning algorithm for continually running fully recurrent neural
/// networks", Neural Computation 1 (1989), 270–280.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::{GruConfig, Rtrl};
/// use burn::tensor::{Device, Distribution, Tensor};
///
/// let device = Device::flex();
/// let gru = GruConfig::new(3, 4).with_num_layers(2).init(&device);
/// let mut online = Rtrl::new(&gru, gru.zero_state(1, &gru.weights[0].weight_hh.val())).unwrap();
/// for _ in 0..10 {
///     let x = Tensor::<2>::random([1, 3], Distribution::Default, &device);
///     let output = online.step(x); // [B, P]
///     // loss = Σ output² / 2, so d_output = output
///     let gradients = online.gradients(output);
///     assert_eq!(gradients[0].weight_hh.dims(), [12, 4]);
///     // … a step of the optimiser, and online.update(&gru) …
/// }
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Rtrl<C: SequenceCell> {
    cell: C,
    parameters: Vec<Parameters>,
    layers: Vec<Influenced>,
}

/// The gradients of one layer's parameters and of its initial state.
#[derive(Clone, Debug)]
pub struct RtrlGradients {
    /// `[G·H, I]`
    pub weight_ih: Tensor<2>,
    /// `[G·H, P]`
    pub weight_hh: Tensor<2>,
    /// `[G·H]`
    pub bias_ih: Option<Tensor<1>>,
    /// `[G·H]`
    pub bias_hh: Option<Tensor<1>>,
    /// `[P, H]`
    pub weight_hr: Option<Tensor<2>>,
    /// Of the state it began with, `[B, P]`
    pub hidden: Tensor<2>,
    /// Of the memory it began with, `[M, B, H]`
    pub memory: Option<Tensor<3>>,
}

/// dLoss/d(state), of all layers.
#[derive(Clone, Debug)]
pub struct StateCotangent {
    /// `[L, B, P]`
    pub hidden: Tensor<3>,
    /// `[L·M, B, H]`
    pub memory: Option<Tensor<3>>,
}

impl<C: SequenceCell> Rtrl<C> {
    /// Begins from a state, with no influence of anything but the state itself.
    ///
    /// # Arguments
    ///
    /// - `layer`: its parameters are taken as they are now; on a device with autodiff, untracked
    /// - `state`: hidden `[L, B, P]`
    ///
    /// # Errors
    ///
    /// If the layer has two directions, runs in reverse, or drops outputs.
    ///
    /// # Panics
    ///
    /// If the state has another shape.
    pub fn new(layer: &Recurrent<C>, state: C::State) -> Result<Self, ConfigError> {
        let options = &layer.options;
        if options.bidirectional || options.reverse || layer.dropout.prob > 0.0 {
            return Err(ConfigError::new(format!(
                "{}: learning in real time needs a layer that runs forward only, without dropout",
                layer.cell.name()
            )));
        }
        let cell = layer.cell.clone();
        let parameters = parameters(layer);
        let (hidden, memory) = state.into_parts();
        let (hidden, memory) = (plain(hidden), memory.map(plain));
        let memories = cell.memories();
        let [_, batch, output] = hidden.dims();
        layer.check_state(&hidden, memory.as_ref(), batch);
        let layers = (0..parameters.len())
            .map(|k| {
                let row = |all: &Tensor<3>, k: usize| {
                    let [_, batch, width] = all.dims();
                    all.clone().slice([k..k + 1]).reshape([batch, width])
                };
                let own = Columns::of(&parameters[k], memories);
                // A state depends on itself.
                let itself = |range: std::ops::Range<usize>, size: usize, first: usize| {
                    let eye = Tensor::<2>::eye(size, &hidden.device()).cast(hidden.dtype());
                    let options = (&hidden.device(), hidden.dtype());
                    let zeros = |columns| Tensor::<3>::zeros([batch, columns, size], options);
                    let at = range.start + first;
                    let parts = [
                        zeros(at),
                        eye.unsqueeze::<3>().expand([batch, size, size]),
                        zeros(own.count() - at - size),
                    ];
                    let parts = parts.into_iter().filter(|part| part.dims()[1] > 0);
                    Tensor::cat(parts.collect(), 1)
                };
                let blocks = |own: Tensor<3>| -> Vec<Tensor<3>> {
                    let [_, _, size] = own.dims();
                    let below = parameters[..k].iter().map(|below| {
                        let columns = Columns::of(below, memories).count();
                        Tensor::zeros([batch, columns, size], (&own.device(), own.dtype()))
                    });
                    below.chain([own.clone()]).collect()
                };
                let memory: Vec<_> = (0..memories)
                    .map(|m| row(memory.as_ref().expect("a cell with memory"), k * memories + m))
                    .collect();
                Influenced {
                    hidden: row(&hidden, k),
                    d_hidden: blocks(itself(own.range(Column::Hidden), output, 0)),
                    d_memory: (memory.iter().enumerate())
                        .map(|(m, c)| {
                            let [_, size] = c.dims();
                            blocks(itself(own.range(Column::Memory), size, m * size))
                        })
                        .collect(),
                    memory,
                }
            })
            .collect();
        Ok(Self { cell, parameters, layers })
    }

    /// One step. Returns the output of the last layer, `[B, P]`, for an input `[B, I]`.
    pub fn step(&mut self, input: Tensor<2>) -> Tensor<2> {
        self.step_of_rows(input, None)
    }

    /// One step in which only some rows take part; the others stand still, and what is returned of
    /// them is the state that they hold.
    pub fn step_masked(&mut self, input: Tensor<2>, present: &[bool]) -> Tensor<2> {
        let absent: Vec<_> = present.iter().map(|present| !present).collect();
        let any = absent.contains(&true);
        self.step_of_rows(input, any.then_some(absent))
    }

    fn step_of_rows(&mut self, input: Tensor<2>, absent: Option<Vec<bool>>) -> Tensor<2> {
        let mut input = plain(input);
        let mut d_input = Vec::new();
        for (parameters, layer) in self.parameters.iter().zip(&mut self.layers) {
            *layer = self.cell.accept(Advance {
                parameters: parameters.clone(),
                before: layer.clone(),
                input,
                d_input,
                absent: absent.clone(),
            });
            (input, d_input) = (layer.hidden.clone(), layer.d_hidden.clone());
        }
        input
    }

    /// The gradients, layer by layer, of a loss whose gradient with respect to the last output is
    /// `d_output`, `[B, P]`: of this step's loss, through all steps so far.
    pub fn gradients(&self, d_output: Tensor<2>) -> Vec<RtrlGradients> {
        let last = self.layers.len() - 1;
        let d_output = plain(d_output);
        let sums = (0..=last).map(|k| through(&d_output, &self.layers[last].d_hidden[k]));
        self.apart(sums.collect())
    }

    /// The gradients of a loss of the states as they are now, of all layers.
    pub fn gradients_of_state(&self, cotangent: StateCotangent) -> Vec<RtrlGradients> {
        let row = |all: &Tensor<3>, k: usize| {
            let [_, batch, width] = all.dims();
            plain(all.clone()).slice([k..k + 1]).reshape([batch, width])
        };
        let mut sums: Vec<Option<Tensor<2>>> = vec![None; self.layers.len()];
        for (k, layer) in self.layers.iter().enumerate() {
            let d_hidden = row(&cotangent.hidden, k);
            let mut add = |d: &Tensor<2>, blocks: &[Tensor<3>]| {
                for (sum, block) in sums.iter_mut().zip(blocks) {
                    let part = through(d, block);
                    *sum = Some(match sum.take() {
                        Some(sum) => sum + part,
                        None => part,
                    });
                }
            };
            add(&d_hidden, &layer.d_hidden);
            for (m, blocks) in layer.d_memory.iter().enumerate() {
                let d_memory = cotangent.memory.as_ref().expect("a cell with memory");
                add(&row(d_memory, k * layer.memory.len() + m), blocks);
            }
        }
        self.apart(sums.into_iter().map(|sum| sum.expect("each layer influences itself")).collect())
    }

    /// Goes on with the layer's parameters as they are now.
    pub fn update(&mut self, layer: &Recurrent<C>) {
        self.parameters = parameters(layer);
    }

    /// The state of all layers.
    pub fn state(&self) -> C::State {
        let hidden = self.layers.iter().map(|layer| layer.hidden.clone()).collect();
        let memory: Vec<_> = self.layers.iter().flat_map(|layer| layer.memory.clone()).collect();
        let memory = (!memory.is_empty()).then(|| Tensor::stack(memory, 0));
        C::State::from_parts(Tensor::stack(hidden, 0), memory)
    }

    /// The gradients `[B, N]` of each block, by parameter.
    fn apart(&self, blocks: Vec<Tensor<2>>) -> Vec<RtrlGradients> {
        let memories = self.cell.memories();
        let of = |(block, parameters): (Tensor<2>, &Parameters)| {
            let columns = Columns::of(parameters, memories);
            let rows = |part| block.clone().slice_dim(1, columns.range(part));
            let sum = |part| -> Tensor<1> {
                let sum = rows(part).sum_dim(0);
                let [_, size] = sum.dims();
                sum.reshape([size])
            };
            let matrix = |part, like: &Tensor<2>| sum(part).reshape(like.dims());
            let biases = parameters.biases.is_some();
            let [batch, _] = block.dims();
            let hidden = rows(Column::Hidden);
            RtrlGradients {
                weight_ih: matrix(Column::WeightIh, &parameters.weight_ih),
                weight_hh: matrix(Column::WeightHh, &parameters.weight_hh),
                bias_ih: biases.then(|| sum(Column::BiasIh)),
                bias_hh: biases.then(|| sum(Column::BiasHh)),
                weight_hr: parameters.weight_hr.as_ref().map(|w| matrix(Column::WeightHr, w)),
                hidden,
                memory: (memories > 0).then(|| {
                    let rows = rows(Column::Memory);
                    let [_, size] = rows.dims();
                    rows.reshape([batch, memories, size / memories]).swap_dims(0, 1)
                }),
            }
        };
        blocks.into_iter().zip(&self.parameters).map(of).collect()
    }
}

/// `Σ_p d[b, p] ∂[b, n, p]`, `[B, N]`
fn through(d: &Tensor<2>, influence: &Tensor<3>) -> Tensor<2> {
    let [batch, columns, _] = influence.dims();
    let sum = (influence.clone() * d.clone().unsqueeze_dim::<3>(1)).sum_dim(2);
    sum.reshape([batch, columns])
}

fn parameters<C: SequenceCell>(layer: &Recurrent<C>) -> Vec<Parameters> {
    let of = |weights: &crate::weights::Weights| Parameters {
        weight_ih: plain(weights.weight_ih.val()),
        weight_hh: plain(weights.weight_hh.val()),
        biases: weights
            .bias_ih
            .as_ref()
            .zip(weights.bias_hh.as_ref())
            .map(|(ih, hh)| [plain(ih.val()), plain(hh.val())]),
        weight_hr: weights.weight_hr.as_ref().map(|weight| plain(weight.val())),
    };
    layer.weights.iter().map(of).collect()
}

/// The tensor without a tape.
fn plain<const D: usize>(tensor: Tensor<D>) -> Tensor<D> {
    if tensor.device().is_autodiff() { tensor.inner() } else { tensor }
}
