//! A tensor whose rank is known at run time: operands have one, two or three dimensions.

use burn::Tensor;
use burn::backend::tensor::FloatTensor;
use burn::backend::{Dispatch, TensorMetadata};
use burn::tensor::{DType, Shape};

/// An operand as a tensor: of one, two or three dimensions.
#[derive(Clone, Debug)]
pub enum AnyTensor {
    /// A bias.
    Vector(Tensor<1>),
    /// A weight or a hidden state.
    Matrix(Tensor<2>),
    /// A sequence, a memory, or recurrent weights in heads.
    Cube(Tensor<3>),
}

impl AnyTensor {
    /// The shape.
    pub fn shape(&self) -> Shape {
        match self {
            Self::Vector(x) => x.shape(),
            Self::Matrix(x) => x.shape(),
            Self::Cube(x) => x.shape(),
        }
    }

    pub(crate) fn dtype(&self) -> DType {
        match self {
            Self::Vector(x) => x.dtype(),
            Self::Matrix(x) => x.dtype(),
            Self::Cube(x) => x.dtype(),
        }
    }

    /// The number of elements.
    pub fn len(&self) -> usize {
        self.shape().num_elements()
    }

    /// Whether it has no elements.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The tensor of Burn's dispatch, which has one, two or three dimensions.
    pub fn from_dispatch(x: FloatTensor<Dispatch>) -> Self {
        match x.shape().num_dims() {
            1 => Self::Vector(Tensor::from_dispatch(x)),
            2 => Self::Matrix(Tensor::from_dispatch(x)),
            _ => Self::Cube(Tensor::from_dispatch(x)),
        }
    }

    /// The same tensor for Burn's dispatch.
    pub fn into_dispatch(self) -> FloatTensor<Dispatch> {
        match self {
            Self::Vector(x) => x.into_dispatch(),
            Self::Matrix(x) => x.into_dispatch(),
            Self::Cube(x) => x.into_dispatch(),
        }
    }
}

impl From<Tensor<1>> for AnyTensor {
    fn from(x: Tensor<1>) -> Self {
        Self::Vector(x)
    }
}

impl From<Tensor<2>> for AnyTensor {
    fn from(x: Tensor<2>) -> Self {
        Self::Matrix(x)
    }
}

impl From<Tensor<3>> for AnyTensor {
    fn from(x: Tensor<3>) -> Self {
        Self::Cube(x)
    }
}
