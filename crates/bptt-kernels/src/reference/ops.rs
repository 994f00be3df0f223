//! The few operations that the reference body uses, for a backend's tensors.

use crate::reference::primitive::Primitive;
use crate::reference::tensor_number::TensorNumber;
use burn::backend::tensor::{BoolTensor, FloatTensor};
use burn::backend::{Backend, TensorMetadata, get_device_settings};
use burn::tensor::{Shape, Slice, TensorData, try_read_sync};

/// `a + b`. Both have the same shape, or `b` is a row `[1, n]`.
pub(crate) fn add<B: Backend>(a: FloatTensor<B>, b: FloatTensor<B>) -> FloatTensor<B> {
    B::float_add(a, b)
}

/// `x [m, k]` times the transposed `weight [n, k]`: `[m, n]`.
pub(crate) fn times_transposed<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
) -> FloatTensor<B> {
    B::float_matmul(x, B::float_transpose(weight))
}

/// `x weightᵀ + bias`, with `bias [n]`.
pub(crate) fn linear<B: Backend>(
    x: FloatTensor<B>,
    weight: FloatTensor<B>,
    bias: Option<FloatTensor<B>>,
) -> FloatTensor<B> {
    let product = times_transposed::<B>(x, weight);
    match bias {
        Some(bias) => {
            let n = bias.shape()[0];
            add::<B>(product, reshape::<B>(bias, [1, n]))
        }
        None => product,
    }
}

/// The sum over the rows of `x [m, n]`: `[n]`.
pub(crate) fn sum_rows<B: Backend>(x: FloatTensor<B>) -> FloatTensor<B> {
    let n = x.shape()[1];
    reshape::<B>(B::float_sum_dim(x, 0), [n])
}

pub(crate) fn reshape<B: Backend>(x: FloatTensor<B>, shape: impl Into<Shape>) -> FloatTensor<B> {
    B::float_reshape(x, shape.into())
}

/// Zeros of the type and on the device of another tensor.
pub(crate) fn zeros_like<B: Backend>(like: &FloatTensor<B>, shape: &[usize]) -> FloatTensor<B> {
    B::float_zeros(Shape::from(shape.to_vec()), &like.device(), like.dtype().into())
}

/// Rows `[from, to)` of a matrix.
pub(crate) fn rows<B: Backend>(x: &FloatTensor<B>, from: usize, to: usize) -> FloatTensor<B> {
    let [m, n] = x.shape().dims();
    if (from, to) == (0, m) {
        return x.clone();
    }
    B::float_slice(x.clone(), &[Slice::from(from..to), Slice::from(0..n)])
}

/// Columns `[from, to)` of a matrix.
pub(crate) fn columns<B: Backend>(x: &FloatTensor<B>, from: usize, to: usize) -> FloatTensor<B> {
    let [m, n] = x.shape().dims();
    if (from, to) == (0, n) {
        return x.clone();
    }
    B::float_slice(x.clone(), &[Slice::from(0..m), Slice::from(from..to)])
}

/// Matrices or vectors side by side along `dim`.
pub(crate) fn concatenate<B: Backend>(
    mut parts: Vec<FloatTensor<B>>,
    dim: usize,
) -> FloatTensor<B> {
    match parts.len() {
        1 => parts.remove(0),
        _ => B::float_cat(parts, dim),
    }
}

/// A `[B, width]` mask that is true in the active rows.
pub(crate) fn row_mask<B: Backend>(
    active: &[bool],
    width: usize,
    like: &FloatTensor<B>,
) -> BoolTensor<B> {
    let data: Vec<f32> =
        active.iter().flat_map(|&on| std::iter::repeat_n(f32::from(u8::from(on)), width)).collect();
    let data = TensorData::new(data, [active.len(), width]).convert_dtype(like.dtype());
    let device = like.device();
    let ones = B::float_from_data(data, &device);
    B::float_greater_elem(ones, 0.5f32.into(), get_device_settings::<B>(&device).bool_dtype)
}

/// `yes` in the active rows, `no` in the others. The value that is not selected has no effect, even if it is NaN.
pub(crate) fn select<B: Backend>(
    active: &[bool],
    yes: FloatTensor<B>,
    no: FloatTensor<B>,
) -> FloatTensor<B> {
    let width = yes.shape()[1];
    let mask = row_mask::<B>(active, width, &yes);
    B::float_mask_where(no, mask, yes)
}

/// `x` in the rows that are active, zero in the others.
pub(crate) fn only<B: Backend>(active: &[bool], x: FloatTensor<B>) -> FloatTensor<B> {
    let zero = B::float_zeros(x.shape(), &x.device(), x.dtype().into());
    select::<B>(active, x, zero)
}

impl<B: Backend> TensorNumber for Primitive<B> {
    fn shape(&self) -> Shape {
        self.0.shape()
    }

    fn reshape(self, shape: impl Into<Shape>) -> Self {
        Self(reshape::<B>(self.0, shape))
    }

    fn swap_first_dims(self) -> Self {
        Self(B::float_swap_dims(self.0, 0, 1))
    }

    fn matmul(self, other: Self) -> Self {
        Self(B::float_matmul(self.0, other.0))
    }

    fn transpose(self) -> Self {
        Self(B::float_transpose(self.0))
    }

    fn plus_row(self, row: Self) -> Self {
        let n = row.0.shape()[0];
        Self(add::<B>(self.0, reshape::<B>(row.0, [1, n])))
    }

    fn sum_rows(self) -> Self {
        Self(sum_rows::<B>(self.0))
    }

    fn rows(&self, from: usize, to: usize) -> Self {
        Self(rows::<B>(&self.0, from, to))
    }

    fn columns(&self, from: usize, to: usize) -> Self {
        Self(columns::<B>(&self.0, from, to))
    }

    fn entries(&self, from: usize, to: usize) -> Self {
        if (from, to) == (0, self.0.shape()[0]) {
            return self.clone();
        }
        Self(B::float_slice(self.0.clone(), &[Slice::from(from..to)]))
    }

    fn concatenate(parts: Vec<Self>, dim: usize) -> Self {
        Self(concatenate::<B>(parts.into_iter().map(|part| part.0).collect(), dim))
    }

    fn zeros(&self, shape: impl Into<Shape>) -> Self {
        Self(B::float_zeros(shape.into(), &self.0.device(), self.0.dtype().into()))
    }

    fn constant(&self, values: &[f64], shape: impl Into<Shape>) -> Self {
        let data = TensorData::new(values.to_vec(), shape.into()).convert_dtype(self.0.dtype());
        Self(B::float_from_data(data, &self.0.device()))
    }

    fn sum_of_squares(&self) -> f64 {
        // Squares of small gradients would be zero in f32.
        let data = try_read_sync(B::float_into_data(self.0.clone()));
        let data = data.and_then(Result::ok).expect("the backend reads its tensors at once");
        data.iter::<f64>().map(|x| x * x).sum()
    }

    fn select(valid: &[bool], yes: Self, no: Self) -> Self {
        Self(select::<B>(valid, yes.0, no.0))
    }
}
