//! The recurrent matrix of the reference body: whole, or the blocks on its diagonal.

use crate::reference::tensor_number::TensorNumber;
use std::ops::Range;

/// `U`, or those of its gates that are multiplied with one operand.
pub(super) enum RecurrentMatrix<N> {
    /// `[A·H, P]`, with `A` gates under each other.
    Whole(N),
    /// The blocks on the diagonal of each gate's matrix, `[heads, H/heads, H/heads]`.
    Heads(Vec<N>),
}

impl<N: TensorNumber> RecurrentMatrix<N> {
    /// Some gates of `weight_hh`, which is `[G·H, P]`, or `[heads, G·H/heads, H/heads]`.
    pub(super) fn of(weight: &N, gates: Range<usize>, hidden: usize) -> Self {
        let shape = weight.shape();
        if shape.num_dims() == 2 {
            return Self::Whole(weight.rows(gates.start * hidden, gates.end * hidden));
        }
        let (heads, head) = (shape[0], shape[2]);
        // A gate's rows of all heads side by side.
        let by_row = weight.clone().swap_first_dims().reshape([shape[1], hidden]);
        let gate = |g: usize| {
            by_row.rows(g * head, (g + 1) * head).reshape([head, heads, head]).swap_first_dims()
        };
        Self::Heads(gates.map(gate).collect())
    }

    /// `x Uᵀ + bias`: `[m, P]` to `[m, A·H]`.
    pub(super) fn times(&self, x: N, bias: Option<N>) -> N {
        match self {
            Self::Whole(weight) => x.affine(weight.clone(), bias),
            Self::Heads(gates) => {
                let x = by_head(x, &gates[0]);
                let product = |gate: &N| beside(x.clone().matmul(gate.clone().transpose()));
                let all = N::concatenate(gates.iter().map(product).collect(), 1);
                match bias {
                    Some(bias) => all.plus_row(bias),
                    None => all,
                }
            }
        }
    }

    /// `d U`: `[m, A·H]` to `[m, P]`.
    pub(super) fn back(&self, d: N) -> N {
        match self {
            Self::Whole(weight) => d.matmul(weight.clone()),
            Self::Heads(gates) => {
                let hidden = d.shape()[1] / gates.len();
                let product = |(g, gate): (usize, &N)| {
                    let d_gate = d.columns(g * hidden, (g + 1) * hidden);
                    beside(by_head(d_gate, gate).matmul(gate.clone()))
                };
                let sum = gates.iter().enumerate().map(product).reduce(|sum, gate| sum + gate);
                sum.expect("a cell has a gate")
            }
        }
    }
}

/// The gradient of some gates of `U`, a sum over rows of outer products of `d [m, A·H]` and `x [m, P]`: `[A·H, P]`, or
/// `[heads, A·H/heads, H/heads]` if `weight_hh` is in heads. Gates are under each other along the dimension
/// [`gate_dim`].
pub(super) fn gradient<N: TensorNumber>(weight_hh: &N, d: N, x: N) -> N {
    if gate_dim(weight_hh) == 0 {
        return d.transposed_matmul(x);
    }
    let hidden = x.shape()[1];
    let x = by_head(x, weight_hh);
    let of_gate = |g: usize| {
        let d_gate = by_head(d.columns(g * hidden, (g + 1) * hidden), weight_hh);
        d_gate.transposed_matmul(x.clone())
    };
    N::concatenate((0..d.shape()[1] / hidden).map(of_gate).collect(), 1)
}

/// The dimension of `weight_hh` along which its gates are.
pub(super) fn gate_dim<N: TensorNumber>(weight_hh: &N) -> usize {
    weight_hh.shape().num_dims() - 2
}

/// `[m, H]` to `[heads, m, H/heads]`, with as many heads as `like` has.
fn by_head<N: TensorNumber>(x: N, like: &N) -> N {
    let ([rows, width], heads) = (x.shape().dims(), like.shape()[0]);
    x.reshape([rows, heads, width / heads]).swap_first_dims()
}

/// `[heads, m, H/heads]` to `[m, H]`.
fn beside<N: TensorNumber>(x: N) -> N {
    let [heads, rows, width] = x.shape().dims();
    x.swap_first_dims().reshape([rows, heads * width])
}

/// The whole matrix `[G·H, H]` of blocks `[heads, G·H/heads, H/heads]`, with zeros beside them.
pub(crate) fn block_diagonal<N: TensorNumber>(blocks: &N) -> N {
    let [heads, rows, head] = blocks.shape().dims();
    let flat = blocks.clone().reshape([heads * rows, head]);
    let zeros = |width: usize| flat.zeros([head, width]);
    let mut all = Vec::with_capacity(heads * rows / head);
    for gate in 0..rows / head {
        for k in 0..heads {
            let from = k * rows + gate * head;
            let block = flat.rows(from, from + head);
            let parts = [(k > 0).then(|| zeros(k * head)), Some(block)];
            let behind = (k + 1 < heads).then(|| zeros((heads - 1 - k) * head));
            all.push(N::concatenate(parts.into_iter().flatten().chain(behind).collect(), 1));
        }
    }
    N::concatenate(all, 0)
}

/// The blocks `[heads, G·H/heads, H/heads]` on the diagonals of a matrix `[G·H, H]`.
pub(crate) fn diagonal_blocks<N: TensorNumber>(matrix: &N, heads: usize) -> N {
    let [rows, hidden] = matrix.shape().dims();
    let (gates, head) = (rows / hidden, hidden / heads);
    let mut all = Vec::with_capacity(heads * gates);
    for k in 0..heads {
        for gate in 0..gates {
            let from = gate * hidden + k * head;
            all.push(matrix.rows(from, from + head).columns(k * head, (k + 1) * head));
        }
    }
    N::concatenate(all, 0).reshape([heads, gates * head, head])
}
