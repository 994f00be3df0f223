//! Converts parameters: bptt has one matrix for all gates, `burn::nn` has a pair of `Linear` for each gate.
//!
//! A gate of `burn::nn` computes `x A + a + h B + b` with `A [I, H]` and `B [H, H]`. A gate of bptt computes
//! `W x + b + U h + b_h`. So the matrices of the gates are transposed and concatenated.

use crate::burn_nn::refuse::refuse;
use crate::error::ConversionError;
use crate::weights::Weights;
use bptt_kernels::WeightCache;
use burn::Tensor;
use burn::module::Param;
use burn::nn::{GateController, Linear};

/// Joins the gates of one direction, in PyTorch's order, to one set of parameters.
pub(super) fn join(name: &str, gates: &[&GateController]) -> Result<Weights, ConversionError> {
    let inputs: Vec<&Linear> = gates.iter().map(|gate| &gate.input_transform).collect();
    let hiddens: Vec<&Linear> = gates.iter().map(|gate| &gate.hidden_transform).collect();
    check_shapes(name, &inputs, &hiddens)?;
    let weight = |transforms: &[&Linear]| {
        let weights: Vec<_> = transforms.iter().map(|linear| linear.weight.clone()).collect();
        join_params(name, weights, |weight| weight.transpose())
    };
    let bias = |transforms: &[&Linear]| {
        let biases: Vec<_> = transforms.iter().filter_map(|linear| linear.bias.clone()).collect();
        match biases.len() {
            0 => Ok(None),
            n if n == transforms.len() => join_params(name, biases, |bias| bias).map(Some),
            _ => refuse(format!("{name}: some of its gates have a bias, and others have none")),
        }
    };
    let weights = Weights {
        weight_ih: weight(&inputs)?,
        weight_hh: weight(&hiddens)?.into(),
        bias_ih: bias(&inputs)?,
        bias_hh: bias(&hiddens)?,
        weight_hr: None,
        weight_diag: None,
        cache: WeightCache::default(),
    };
    if weights.bias_ih.is_some() != weights.bias_hh.is_some() {
        return refuse(format!(
            "{name}: it has one of the two biases, and here there are both or none"
        ));
    }
    Ok(weights)
}

/// The reverse of [`join`].
pub(super) fn split(weights: &Weights, gates: usize) -> Vec<GateController> {
    let weight_hh = weights.weight_hh.as_whole().expect("a layer in heads was refused");
    let linear = |weight: &Param<Tensor<2>>, bias: &Option<Param<Tensor<1>>>, gate: usize| Linear {
        weight: part(weight, gates, gate, |weight| weight.transpose()),
        bias: bias.as_ref().map(|bias| part(bias, gates, gate, |bias| bias)),
    };
    (0..gates)
        .map(|gate| GateController {
            input_transform: linear(&weights.weight_ih, &weights.bias_ih, gate),
            hidden_transform: linear(weight_hh, &weights.bias_hh, gate),
        })
        .collect()
}

/// Checks the shapes, because the fields of Burn's modules are public and may hold anything.
fn check_shapes(
    name: &str,
    inputs: &[&Linear],
    hiddens: &[&Linear],
) -> Result<(), ConversionError> {
    let [input, hidden] = inputs[0].weight.dims();
    for (linears, wanted) in [(inputs, [input, hidden]), (hiddens, [hidden, hidden])] {
        for linear in linears {
            let bias = linear.bias.as_ref().map_or(hidden, |bias| bias.dims()[0]);
            if linear.weight.dims() != wanted || input * hidden == 0 || bias != hidden {
                return refuse(format!(
                    "{name}: a gate has a weight of shape {:?} and a bias of {bias}, expected \
                     {wanted:?} and {hidden}",
                    linear.weight.dims(),
                ));
            }
        }
    }
    Ok(())
}

/// A new parameter: the concatenation of the given ones.
fn join_params<const D: usize>(
    name: &str,
    params: Vec<Param<Tensor<D>>>,
    turned: impl Fn(Tensor<D>) -> Tensor<D>,
) -> Result<Param<Tensor<D>>, ConversionError> {
    let frozen = params.iter().filter(|param| is_frozen(param)).count();
    if frozen != 0 && frozen != params.len() {
        return refuse(format!(
            "{name}: some of its gates are frozen and others are not, and here they are one parameter"
        ));
    }
    let parts = params.iter().map(|param| turned(param.val())).collect();
    Ok(param(Tensor::cat(parts, 0), frozen > 0))
}

/// A new parameter: one gate's part of the given one.
fn part<const D: usize>(
    whole: &Param<Tensor<D>>,
    gates: usize,
    gate: usize,
    turned: impl Fn(Tensor<D>) -> Tensor<D>,
) -> Param<Tensor<D>> {
    let rows = whole.dims()[0] / gates;
    let part = whole.val().narrow(0, gate * rows, rows);
    param(turned(part), is_frozen(whole))
}

fn param<const D: usize>(value: Tensor<D>, frozen: bool) -> Param<Tensor<D>> {
    // The tensor is detached at the end. A tensor that is detached from a parameter is a tracked leaf again, and a
    // tensor that is computed from such a leaf is not a leaf.
    Param::from_tensor(value.detach()).set_require_grad(!frozen)
}

/// Whether a parameter is frozen. Burn knows this on a device with autodiff only.
fn is_frozen<const D: usize>(param: &Param<Tensor<D>>) -> bool {
    let value = param.val();
    value.device().is_autodiff() && !value.is_require_grad()
}
