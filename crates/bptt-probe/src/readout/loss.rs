//! The linear layer and the loss, forward and backward, in dual numbers.

use crate::curvature::Dual;
use crate::readout::data::Target;
use burn::Tensor;

type Matrix = Dual<Tensor<2>>;

/// The loss and its slopes.
pub(super) struct Scored {
    pub(super) loss: f64,
    /// dLoss/d(what was read), `[N, D·P]`
    pub(super) d_read: Matrix,
    /// `[D·P, O]`
    pub(super) d_weight: Matrix,
    /// `[1, O]`
    pub(super) d_bias: Matrix,
}

/// Scores what the recurrent layers have answered: `z = y W + b`, and the loss of `z`.
///
/// # Arguments
///
/// - `read`: `y`, `[N, D·P]`
/// - `rows`: the weight of each row in the loss, `[N, 1]`
pub(super) fn score(
    read: &Matrix,
    weight: &Matrix,
    bias: Option<&Dual<Tensor<1>>>,
    target: &Target,
    rows: &Tensor<2>,
) -> Scored {
    let mut z = product(read, weight);
    if let Some(bias) = bias {
        z = add_row(z, bias);
    }
    let (loss, d_z) = match target {
        Target::Values(target) => squared(&z, target, rows),
        Target::Classes(classes) => {
            let [_, count] = z.value.dims();
            let dtype = z.value.dtype();
            let one_hot = classes.clone().one_hot::<2>(count).float().cast(dtype);
            cross_entropy(&z, &one_hot, rows)
        }
    };
    let transposed = |x: &Matrix| x.linear(|x| x.clone().transpose());
    Scored {
        loss,
        d_read: product(&d_z, &transposed(weight)),
        d_weight: product(&transposed(read), &d_z),
        d_bias: d_z.linear(|x| x.clone().sum_dim(0)),
    }
}

fn product(a: &Matrix, b: &Matrix) -> Matrix {
    a.bilinear(b, |a, b| a.clone().matmul(b.clone()), |a, b| a + b)
}

fn add_row(z: Matrix, bias: &Dual<Tensor<1>>) -> Matrix {
    let row = bias.linear(|b| b.clone().unsqueeze::<2>());
    let tangent = match (z.tangent, row.tangent) {
        (Some(z), Some(row)) => Some(z + row),
        (None, Some(row)) => Some(row.expand(z.value.dims())),
        (tangent, None) => tangent,
    };
    Dual { value: z.value + row.value, tangent }
}

/// The mean over rows and answers of `(z - t)²`, and its slope `2 (z - t)`, which is linear.
fn squared(z: &Matrix, target: &Tensor<2>, rows: &Tensor<2>) -> (f64, Matrix) {
    let [_, answers] = z.value.dims();
    let error = z.value.clone() - target.clone();
    let rows = rows.clone() / answers as f64;
    let loss = sum(error.clone().mul(error.clone()).mul(rows.clone()));
    let slope = |x: Tensor<2>| x.mul(rows.clone()).mul_scalar(2.0);
    (loss, Dual { value: slope(error), tangent: z.tangent.clone().map(slope) })
}

/// The mean over rows of `-log p` of the class, and its slope `p - 1`, where `1` is one-hot. With the softmax `p`, the
/// tangent of the slope is `ṗ = p (ż - Σ p ż)`.
fn cross_entropy(z: &Matrix, one_hot: &Tensor<2>, rows: &Tensor<2>) -> (f64, Matrix) {
    let below = z.value.clone() - z.value.clone().max_dim(1);
    let exponential = below.clone().exp();
    let total = exponential.clone().sum_dim(1);
    let log = below - total.clone().log();
    let loss = -sum(log.mul(one_hot.clone()).mul(rows.clone()));
    let p = exponential / total;
    let tangent = z.tangent.clone().map(|z| {
        let mean = p.clone().mul(z.clone()).sum_dim(1);
        p.clone().mul(z - mean).mul(rows.clone())
    });
    (loss, Dual { value: (p - one_hot.clone()).mul(rows.clone()), tangent })
}

/// The sum of all entries, in f64 in the order of the memory.
fn sum(x: Tensor<2>) -> f64 {
    x.into_data().iter::<f64>().sum()
}
