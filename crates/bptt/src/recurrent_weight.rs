//! The recurrent weight of a layer: a whole matrix, or in heads the blocks on its diagonal.

use bptt_kernels::AnyTensor;
use burn::Tensor;
use burn::module::Param;
use burn::tensor::Gradients;

/// `U`, the recurrent weight of a layer in one direction.
///
/// In heads, the units are in groups of `H/heads`, and the units of a head read the hidden state of that head alone. So
/// each gate's matrix has blocks on its diagonal and zeros beside them, and only the blocks are parameters. Block `k` is
/// the `weight_hh` that a layer of `H/heads` units would have. [`block_diagonal`] makes the matrix of the blocks.
///
/// M. Beck et al., "xLSTM: Extended long short-term memory", NeurIPS 2024; K. Pöppel, M. Beck and S. Hochreiter,
/// "FlashRNN: I/O-aware optimization of traditional RNNs on modern hardware", ICLR 2025.
#[derive(Clone, Debug)]
pub enum RecurrentWeight {
    /// `[G·H, P]`; for a cell without recurrent products ([`HiddenTerm::None`](bptt_cells::HiddenTerm::None)) its
    /// diagonal weights, `[V, H]`.
    Whole(Param<Tensor<2>>),
    /// `[heads, G·H/heads, H/heads]`: for each head, the rows of its units, gate by gate.
    Heads(Param<Tensor<3>>),
}

impl RecurrentWeight {
    /// The parameter's value as a matrix: the whole one, or the blocks of all heads under each other,
    /// `[G·H, H/heads]`.
    pub fn val(&self) -> Tensor<2> {
        match self {
            Self::Whole(weight) => weight.val(),
            Self::Heads(weight) => flat(weight.val()),
        }
    }

    /// Its gradient, in the shape of [`val`](Self::val).
    pub fn grad(&self, gradients: &Gradients) -> Option<Tensor<2>> {
        match self {
            Self::Whole(weight) => weight.grad(gradients),
            Self::Heads(weight) => weight.grad(gradients).map(flat),
        }
    }

    /// The whole matrix, `[G·H, P]`, with the zeros beside the blocks.
    pub fn whole(&self) -> Tensor<2> {
        match self {
            Self::Whole(weight) => weight.val(),
            Self::Heads(weight) => block_diagonal(weight.val()),
        }
    }

    /// How many heads it has; 1 for a whole matrix.
    pub fn heads(&self) -> usize {
        match self {
            Self::Whole(_) => 1,
            Self::Heads(weight) => weight.dims()[0],
        }
    }

    /// A parameter of the same shape with these values, which are given in the shape of [`val`](Self::val).
    ///
    /// # Panics
    ///
    /// If there are more or fewer values.
    pub fn with_values(&self, values: Tensor<2>) -> Self {
        match self {
            Self::Whole(_) => Self::Whole(Param::from_tensor(values)),
            Self::Heads(weight) => Self::Heads(Param::from_tensor(values.reshape(weight.dims()))),
        }
    }

    /// The parameter, if it is a whole matrix.
    pub fn as_whole(&self) -> Option<&Param<Tensor<2>>> {
        match self {
            Self::Whole(weight) => Some(weight),
            Self::Heads(_) => None,
        }
    }

    /// The value in the parameter's own shape.
    pub fn any(&self) -> AnyTensor {
        match self {
            Self::Whole(weight) => weight.val().into(),
            Self::Heads(weight) => weight.val().into(),
        }
    }
}

impl From<Param<Tensor<2>>> for RecurrentWeight {
    fn from(weight: Param<Tensor<2>>) -> Self {
        Self::Whole(weight)
    }
}

impl From<Param<Tensor<3>>> for RecurrentWeight {
    fn from(weight: Param<Tensor<3>>) -> Self {
        Self::Heads(weight)
    }
}

/// The blocks of all heads under each other.
pub(crate) fn flat(blocks: Tensor<3>) -> Tensor<2> {
    let [heads, rows, columns] = blocks.dims();
    blocks.reshape([heads * rows, columns])
}

/// The recurrent matrix `[G·H, H]` of a layer in heads, from its blocks `[heads, G·H/heads, H/heads]`: the `weight_hh` of
/// a layer without heads that computes the same. With `s = H/heads`,
///
/// ```text
/// matrix[g·H + k·s + i, k·s + j] = blocks[k, g·s + i, j]
/// ```
///
/// for head `k`, gate `g` and units `i` and `j` of the head; all other entries are zero.
///
/// ```
/// # #[cfg(feature = "flex")] {
/// use bptt::block_diagonal;
/// use burn::Tensor;
/// use burn::tensor::Device;
///
/// // An RNN of two heads with one unit each.
/// let blocks = Tensor::<3>::from_data([[[2.0_f32]], [[3.0]]], &Device::flex());
/// block_diagonal(blocks).into_data().assert_eq(&[[2.0_f32, 0.0], [0.0, 3.0]].into(), true);
/// # }
/// ```
///
/// # Panics
///
/// If the blocks have no shape of this kind.
pub fn block_diagonal(blocks: Tensor<3>) -> Tensor<2> {
    let [heads, rows, size] = blocks.dims();
    assert!(
        size > 0 && rows % size == 0,
        "blocks of shape {:?}: expected [heads, G·H/heads, H/heads]",
        blocks.dims(),
    );
    let gates = rows / size;
    let options = (&blocks.device(), blocks.dtype());
    let zeros = |width: usize| Tensor::<3>::zeros([gates, size, width], options);
    // A head's rows of all gates, [G, H/heads, H].
    let rows_of = |(k, block): (usize, Tensor<3>)| {
        let block = block.reshape([gates, size, size]);
        let before = (k > 0).then(|| zeros(k * size));
        let behind = (k + 1 < heads).then(|| zeros((heads - 1 - k) * size));
        Tensor::cat(before.into_iter().chain([block]).chain(behind).collect(), 2)
    };
    let all = blocks.split(1, 0).into_iter().enumerate().map(rows_of).collect();
    Tensor::stack::<4>(all, 1).reshape([gates * heads * size, heads * size])
}

/// The blocks `[heads, G·H/heads, H/heads]` on the diagonals of a recurrent matrix `[G·H, H]`: the reverse of
/// [`block_diagonal`]. What lies beside the blocks is left out.
///
/// # Panics
///
/// If the matrix has another shape, or the heads do not divide `H`.
pub fn diagonal_blocks(matrix: Tensor<2>, heads: usize) -> Tensor<3> {
    let [rows, hidden] = matrix.dims();
    assert!(
        hidden > 0 && rows % hidden == 0 && heads > 0 && hidden % heads == 0,
        "a matrix of shape {:?} in {heads} heads: expected [G·H, H] and heads that divide H",
        [rows, hidden],
    );
    let (gates, size) = (rows / hidden, hidden / heads);
    let by_gate = matrix.reshape([gates, hidden, hidden]);
    let block = |k: usize| {
        let units = k * size..(k + 1) * size;
        by_gate.clone().slice([0..gates, units.clone(), units]).reshape([gates * size, size])
    };
    Tensor::stack((0..heads).map(block).collect(), 0)
}
