//! The parameters of one layer in one direction.

use bptt_kernels::WeightCache;
use burn::Tensor;
use burn::module::{Initializer, Param};
use burn::tensor::Device;

/// The parameters of one layer in one direction, with PyTorch's names and shapes.
#[derive(Clone, Debug)]
pub struct Weights {
    /// `W`, `[G·H, I]`
    pub weight_ih: Param<Tensor<2>>,
    /// `U`, `[G·H, P]`; for a cell without recurrent products ([`HiddenTerm::None`](bptt_cells::HiddenTerm::None)) its
    /// diagonal weights, `[V, H]`
    pub weight_hh: Param<Tensor<2>>,
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
    /// `G·H`
    pub(crate) gates: usize,
    /// The layer's input: `I`, or `D·P` above the first layer.
    pub(crate) input: usize,
    /// `H`
    pub(crate) hidden: usize,
    /// `P` if there is a projection.
    pub(crate) projection: Option<usize>,
    /// `V`
    pub(crate) diagonal: usize,
    /// Whether the cell has recurrent products.
    pub(crate) recurrent: bool,
    pub(crate) bias: bool,
}

/// The initializer of each kind of parameter.
pub(crate) struct Initializers {
    pub(crate) input: Initializer,
    pub(crate) recurrent: Initializer,
    pub(crate) bias: Initializer,
}

impl Weights {
    pub(crate) fn init(sizes: &Sizes, initializers: &Initializers, device: &Device) -> Self {
        let Sizes { gates, input, hidden, projection, diagonal, recurrent, bias } = *sizes;
        let matrix = |initializer: &Initializer, shape: [usize; 2]| {
            now(initializer.init_with(shape, Some(shape[1]), Some(shape[0]), device))
        };
        let vector = |is_there: bool| {
            is_there.then(|| now(initializers.bias.init_with([gates], Some(hidden), None, device)))
        };
        let recurrent_shape = match recurrent {
            true => [gates, projection.unwrap_or(hidden)],
            false => [diagonal, hidden],
        };
        // The values are drawn in PyTorch's order, so that a seed always gives the same weights.
        Self {
            weight_ih: matrix(&initializers.input, [gates, input]),
            weight_hh: matrix(&initializers.recurrent, recurrent_shape),
            bias_ih: vector(bias),
            bias_hh: vector(bias && recurrent),
            weight_hr: projection.map(|p| matrix(&initializers.recurrent, [p, hidden])),
            weight_diag: (diagonal > 0 && recurrent)
                .then(|| matrix(&initializers.recurrent, [diagonal, hidden])),
            cache: WeightCache::default(),
        }
    }
}

/// Draws the values now and not at first use, because they must not depend on which engine runs first.
fn now<const D: usize>(param: Param<Tensor<D>>) -> Param<Tensor<D>> {
    let _ = param.val();
    param
}
