//! The number of the reference body: a tensor.

use bptt_cells::{Dual, Rectify};
use burn::tensor::Shape;

/// A number that is a tensor of one to three dimensions. Elementwise operations come from [`Rectify`]. These are the
/// few other operations that the reference body uses.
///
/// It is implemented for a backend's tensor (`ops.rs`), and for a dual number of such tensors. So the same code gives
/// the gradient, and its derivative along a direction.
pub(crate) trait TensorNumber: Rectify {
    fn shape(&self) -> Shape;

    fn reshape(self, shape: impl Into<Shape>) -> Self;

    /// The first two dimensions exchanged.
    fn swap_first_dims(self) -> Self;

    /// `[m, k]` times `[k, n]`.
    fn matmul(self, other: Self) -> Self;

    /// `[m, n]`, transposed: `[n, m]`.
    fn transpose(self) -> Self;

    /// `[m, n]` with the same row `[n]` added to each row.
    fn plus_row(self, row: Self) -> Self;

    /// The sum over the rows of `[m, n]`: `[n]`.
    fn sum_rows(self) -> Self;

    /// Rows `[from, to)` of a matrix.
    fn rows(&self, from: usize, to: usize) -> Self;

    /// Columns `[from, to)` of a matrix.
    fn columns(&self, from: usize, to: usize) -> Self;

    /// Entries `[from, to)` of a vector.
    fn entries(&self, from: usize, to: usize) -> Self;

    /// Matrices or vectors side by side along `dim`.
    fn concatenate(parts: Vec<Self>, dim: usize) -> Self;

    /// Zeros of the same type and on the same device.
    fn zeros(&self, shape: impl Into<Shape>) -> Self;

    /// These values, of the same type and on the same device.
    fn constant(&self, values: &[f64], shape: impl Into<Shape>) -> Self;

    /// `yes` in the valid rows, `no` in the others. The value that is not selected has no effect, even if it is NaN.
    fn select(valid: &[bool], yes: Self, no: Self) -> Self;

    /// This tensor in the valid rows, and zero in the others.
    fn only(self, valid: &[bool]) -> Self {
        let zero = self.zeros(self.shape());
        Self::select(valid, self, zero)
    }

    /// The sum of the squares of all elements, in f64; of a dual number, of its value.
    fn sum_of_squares(&self) -> f64;

    /// `x weightᵀ + bias`, with `x [m, k]`, `weight [n, k]` and `bias [n]`.
    fn affine(self, weight: Self, bias: Option<Self>) -> Self {
        let product = self.matmul(weight.transpose());
        match bias {
            Some(bias) => product.plus_row(bias),
            None => product,
        }
    }

    /// The transposed `self [m, k]` times `other [m, n]`, the sum over rows of outer products: `[k, n]`.
    fn transposed_matmul(self, other: Self) -> Self {
        self.transpose().matmul(other)
    }
}

/// A linear function of value and tangent.
fn both<N>(x: Dual<N>, function: impl Fn(N) -> N) -> Dual<N> {
    Dual { value: function(x.value), tangent: x.tangent.map(function) }
}

/// The tangent, with zeros if there is none.
fn tangent<N: TensorNumber>(x: &Dual<N>) -> N {
    x.tangent.clone().unwrap_or_else(|| x.value.zeros(x.value.shape()))
}

impl<N: TensorNumber> TensorNumber for Dual<N> {
    fn shape(&self) -> Shape {
        self.value.shape()
    }

    fn reshape(self, shape: impl Into<Shape>) -> Self {
        let shape = shape.into();
        both(self, |x| x.reshape(shape.clone()))
    }

    fn swap_first_dims(self) -> Self {
        both(self, N::swap_first_dims)
    }

    fn matmul(self, other: Self) -> Self {
        self.bilinear(&other, |a, b| a.clone().matmul(b.clone()), |a, b| a + b)
    }

    fn transpose(self) -> Self {
        both(self, N::transpose)
    }

    fn plus_row(self, row: Self) -> Self {
        // If `row` has a tangent, every row of the sum has one, even if `self` has none.
        let tangent = match (&self.tangent, row.tangent) {
            (_, Some(row)) => Some(tangent(&self).plus_row(row)),
            (tangent, None) => tangent.clone(),
        };
        Self { value: self.value.plus_row(row.value), tangent }
    }

    fn sum_rows(self) -> Self {
        both(self, N::sum_rows)
    }

    fn rows(&self, from: usize, to: usize) -> Self {
        self.linear(|x| x.rows(from, to))
    }

    fn columns(&self, from: usize, to: usize) -> Self {
        self.linear(|x| x.columns(from, to))
    }

    fn entries(&self, from: usize, to: usize) -> Self {
        self.linear(|x| x.entries(from, to))
    }

    fn concatenate(parts: Vec<Self>, dim: usize) -> Self {
        let changes = parts.iter().any(|part| part.tangent.is_some());
        let tangent = changes.then(|| N::concatenate(parts.iter().map(tangent).collect(), dim));
        let value = N::concatenate(parts.into_iter().map(|part| part.value).collect(), dim);
        Self { value, tangent }
    }

    fn zeros(&self, shape: impl Into<Shape>) -> Self {
        Self::constant(self.value.zeros(shape))
    }

    fn constant(&self, values: &[f64], shape: impl Into<Shape>) -> Self {
        Dual::constant(self.value.constant(values, shape))
    }

    fn sum_of_squares(&self) -> f64 {
        self.value.sum_of_squares()
    }

    fn select(valid: &[bool], yes: Self, no: Self) -> Self {
        let changes = yes.tangent.is_some() || no.tangent.is_some();
        let tangent = changes.then(|| N::select(valid, tangent(&yes), tangent(&no)));
        Self { value: N::select(valid, yes.value, no.value), tangent }
    }
}
