//! The parameters of one layer in one direction.

use crate::initializers::bias::BiasInitializer;
use crate::initializers::diagonal::draw_diagonals;
use crate::initializers::weight::{GateBlocks, WeightInitializer};
use crate::recurrent_weight::RecurrentWeight;
use bptt_cells::{DiagonalRole, GateRole};
use bptt_kernels::WeightCache;
use burn::Tensor;
use burn::module::Param;
use burn::tensor::Device;

/// The parameters of one layer in one direction, with PyTorch's names and shapes.
#[derive(Clone, Debug)]
pub struct Weights {
    /// `W`, `[G·H, I]`
    pub weight_ih: Param<Tensor<2>>,
    /// `U`, `[G·H, P]`; in heads `[heads, G·H/heads, H/heads]`; for a cell without recurrent products
    /// ([`HiddenTerm::None`](bptt_cells::HiddenTerm::None)) its diagonal weights, `[V, H]`
    pub weight_hh: RecurrentWeight,
    /// `b`, `[G·H]`
    pub bias_ih: Option<Param<Tensor<1>>>,
    /// `b_h`, `[G·H]`; for cells with recurrent products
    pub bias_hh: Option<Param<Tensor<1>>>,
    /// The projection, `[P, H]`
    pub weight_hr: Option<Param<Tensor<2>>>,
    /// The diagonal weights, `[V, H]`: parameters that are one number for each unit, such as peepholes; for cells that
    /// also have recurrent products
    pub weight_diag: Option<Param<Tensor<2>>>,
    /// The packed weights of short calls by the manual engine. They are used only for the tensors that were packed. A
    /// clone shares them. Weights that are mapped, trained or loaded begin without packed weights.
    pub(crate) cache: WeightCache,
}

/// The sizes of [`Weights`].
pub(crate) struct Sizes {
    /// `G`
    pub(crate) gates: usize,
    /// One for each gate, or none.
    pub(crate) gate_roles: &'static [GateRole],
    /// The layer's input: `I`, or `D·P` above the first layer.
    pub(crate) input: usize,
    /// `H`
    pub(crate) hidden: usize,
    /// How many heads the recurrent weights have.
    pub(crate) heads: usize,
    /// `P` if there is a projection.
    pub(crate) projection: Option<usize>,
    /// `V`
    pub(crate) diagonal: usize,
    /// One for each of them, or none.
    pub(crate) diagonal_roles: &'static [DiagonalRole],
    /// Whether the cell has recurrent products.
    pub(crate) recurrent: bool,
    pub(crate) bias: bool,
}

/// The initializer of each kind of parameter.
pub(crate) struct Initializers {
    pub(crate) input: WeightInitializer,
    pub(crate) recurrent: WeightInitializer,
    pub(crate) bias: BiasInitializer,
}

impl Weights {
    pub(crate) fn init(sizes: &Sizes, initializers: &Initializers, device: &Device) -> Self {
        let Sizes { gates, gate_roles, input, hidden, heads, .. } = *sizes;
        let Sizes { projection, diagonal, recurrent, bias, .. } = *sizes;
        let matrix = |initializer: &WeightInitializer, gates, rows, columns| {
            now(initializer.draw(&GateBlocks { gates, rows, columns, hidden }, device))
        };
        let diagonals = || {
            let by = (&initializers.recurrent, &initializers.bias);
            now(draw_diagonals(by, [diagonal, hidden], sizes.diagonal_roles, device))
        };
        let state = projection.unwrap_or(hidden);
        // The values are drawn in PyTorch's order, so that a seed always gives the same weights.
        let weight_ih = matrix(&initializers.input, gates, hidden, input);
        let weight_hh = match recurrent {
            true if heads > 1 => in_heads(&initializers.recurrent, [gates, hidden, heads], device),
            true => matrix(&initializers.recurrent, gates, hidden, state).into(),
            false => diagonals().into(),
        };
        let biases = bias.then(|| {
            let [bias_ih, bias_hh] = initializers.bias.draw(gates, hidden, gate_roles, device);
            (now(bias_ih), now(bias_hh))
        });
        let (bias_ih, bias_hh) = biases.unzip();
        let bias_hh = bias_hh.filter(|_| recurrent);
        let weight_hr = projection.map(|p| matrix(&initializers.recurrent, 1, p, hidden));
        let weight_diag = (diagonal > 0 && recurrent).then(diagonals);
        let cache = WeightCache::default();
        Self { weight_ih, weight_hh, bias_ih, bias_hh, weight_hr, weight_diag, cache }
    }
}

/// Draws recurrent weights in heads, each block of each gate by itself, as a layer of `H/heads` units would.
fn in_heads(
    initializer: &WeightInitializer,
    [gates, hidden, heads]: [usize; 3],
    device: &Device,
) -> RecurrentWeight {
    let size = hidden / heads;
    let all = GateBlocks { gates: heads * gates, rows: size, columns: size, hidden: size };
    let drawn = initializer.draw(&all, device).val();
    Param::from_tensor(drawn.reshape([heads, gates * size, size]).detach()).into()
}

/// Draws the values now and not at first use, because they must not depend on which engine runs first.
fn now<const D: usize>(param: Param<Tensor<D>>) -> Param<Tensor<D>> {
    let _ = param.val();
    param
}
