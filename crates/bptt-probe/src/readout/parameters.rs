//! All parameters of a model as one vector.

use crate::curvature::WeightVariables;
use bptt::{Recurrent, SequenceCell, Weights};
use burn::Tensor;
use burn::module::Param;
use burn::tensor::{DType, TensorData};
use std::ops::Range;

/// The part of the parameters that is one tensor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Block {
    /// Its name in the module, such as `recurrent.weight_ih_l0`.
    pub name: String,
    /// Where it is.
    pub range: Range<usize>,
    /// Its filters.
    pub filters: Filters,
}

/// Which entries of a tensor belong together, because they make one unit's sum, or one token's vector.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Filters {
    /// Each row of a matrix with this many columns.
    Rows {
        /// The columns.
        columns: usize,
    },
    /// Each column of a matrix with this many columns.
    Columns {
        /// The columns.
        columns: usize,
    },
    /// A bias, or diagonal weights: they have no filters.
    Bias,
}

/// The blocks of an embedding, recurrent layers, and a linear layer's weight and bias.
pub(super) fn blocks<C: SequenceCell>(
    embedding: Option<&Tensor<2>>,
    recurrent: &Recurrent<C>,
    weight: &Tensor<2>,
    bias: Option<&Tensor<1>>,
) -> Vec<Block> {
    let mut all: Vec<Block> = Vec::new();
    let mut add = |name: String, size: usize, filters: Filters| {
        let start = all.last().map_or(0, |block| block.range.end);
        all.push(Block { name, range: start..start + size, filters });
    };
    let rows = |x: &Tensor<2>| (x.dims()[0] * x.dims()[1], Filters::Rows { columns: x.dims()[1] });
    if let Some(table) = embedding {
        let (size, filters) = rows(table);
        add("embedding.weight".to_string(), size, filters);
    }
    for (suffix, weights) in recurrent.suffixes().zip(&recurrent.weights) {
        let path = |name: &str| format!("recurrent.{name}{suffix}");
        let matrices =
            [("weight_ih", weights.weight_ih.val()), ("weight_hh", weights.weight_hh.val())];
        for (name, weight) in matrices {
            let (size, filters) = rows(&weight);
            add(path(name), size, filters);
        }
        for (name, bias) in [("bias_ih", &weights.bias_ih), ("bias_hh", &weights.bias_hh)] {
            if let Some(bias) = bias {
                add(path(name), bias.val().dims()[0], Filters::Bias);
            }
        }
        if let Some(weight) = &weights.weight_hr {
            let (size, filters) = rows(&weight.val());
            add(path("weight_hr"), size, filters);
        }
        if let Some(weight) = &weights.weight_diag {
            // As a bias: each unit has one number of each row.
            add(path("weight_diag"), rows(&weight.val()).0, Filters::Bias);
        }
    }
    let [inputs, columns] = weight.dims();
    add("head.weight".to_string(), inputs * columns, Filters::Columns { columns });
    if let Some(bias) = bias {
        add("head.bias".to_string(), bias.dims()[0], Filters::Bias);
    }
    all
}

/// The numbers of a tensor, row by row.
pub(super) fn entries<const D: usize>(tensor: &Tensor<D>) -> Vec<f64> {
    tensor.to_data().iter::<f64>().collect()
}

/// Numbers as a matrix, on the device and in the type of another one.
pub(super) fn matrix(values: Vec<f64>, columns: usize, like: &Tensor<2>) -> Tensor<2> {
    let rows = values.len() / columns;
    let data = TensorData::new(values, [rows, columns]);
    Tensor::from_data(data, (&like.device(), like.dtype()))
}

pub(super) fn extend_weights(all: &mut Vec<f64>, weights: &Weights) {
    all.extend(entries(&weights.weight_ih.val()));
    all.extend(entries(&weights.weight_hh.val()));
    all.extend(weights.bias_ih.iter().flat_map(|bias| entries(&bias.val())));
    all.extend(weights.bias_hh.iter().flat_map(|bias| entries(&bias.val())));
    all.extend(weights.weight_hr.iter().flat_map(|weight| entries(&weight.val())));
    all.extend(weights.weight_diag.iter().flat_map(|weight| entries(&weight.val())));
}

pub(super) fn extend(all: &mut Vec<f64>, weights: &WeightVariables) {
    all.extend(weights.weight_ih.iter().flat_map(entries));
    all.extend(weights.weight_hh.iter().flat_map(entries));
    all.extend(weights.bias_ih.iter().flat_map(entries));
    all.extend(weights.bias_hh.iter().flat_map(entries));
    all.extend(weights.weight_hr.iter().flat_map(entries));
    all.extend(weights.weight_diag.iter().flat_map(entries));
}

pub(super) fn cast(weights: &mut Weights, dtype: DType) {
    fn param<const D: usize>(param: &mut Param<Tensor<D>>, dtype: DType) {
        *param = Param::from_tensor(param.val().cast(dtype));
    }
    param(&mut weights.weight_ih, dtype);
    weights.weight_hh = weights.weight_hh.with_values(weights.weight_hh.val().cast(dtype));
    weights.bias_ih.iter_mut().for_each(|bias| param(bias, dtype));
    weights.bias_hh.iter_mut().for_each(|bias| param(bias, dtype));
    weights.weight_hr.iter_mut().for_each(|weight| param(weight, dtype));
    weights.weight_diag.iter_mut().for_each(|weight| param(weight, dtype));
}

/// Takes tensors from a direction, one after the other.
pub(super) struct Cursor<'a> {
    left: Option<&'a [f64]>,
}

impl<'a> Cursor<'a> {
    pub(super) fn new(direction: Option<&'a [f64]>) -> Self {
        Self { left: direction }
    }

    /// The next numbers, as a tensor like another one. `None` without a direction.
    pub(super) fn take_like<const D: usize>(&mut self, like: &Tensor<D>) -> Option<Tensor<D>> {
        let (these, left) = self.left?.split_at(like.dims().iter().product());
        self.left = Some(left);
        let data = TensorData::new(these.to_vec(), like.dims());
        Some(Tensor::from_data(data, (&like.device(), like.dtype())))
    }

    /// The same, where there are numbers.
    pub(super) fn take<const D: usize>(&mut self, like: &Tensor<D>) -> Tensor<D> {
        self.take_like(like).expect("parameters are given")
    }

    /// Puts the next numbers in the place of a parameter.
    pub(super) fn replace<const D: usize>(&mut self, param: &mut Param<Tensor<D>>) {
        *param = Param::from_tensor(self.take(&param.val()));
    }

    pub(super) fn take_weights(&mut self, weights: &Weights) -> WeightVariables {
        WeightVariables {
            weight_ih: self.take_like(&weights.weight_ih.val()),
            weight_hh: self.take_like(&weights.weight_hh.val()),
            bias_ih: weights.bias_ih.as_ref().and_then(|bias| self.take_like(&bias.val())),
            bias_hh: weights.bias_hh.as_ref().and_then(|bias| self.take_like(&bias.val())),
            weight_hr: weights.weight_hr.as_ref().and_then(|w| self.take_like(&w.val())),
            weight_diag: weights.weight_diag.as_ref().and_then(|w| self.take_like(&w.val())),
        }
    }
}
