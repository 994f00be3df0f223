//! A program, written into a kernel.

use crate::cube::program::{Operation, Program};
use burn_cubecl::cubecl::{self, prelude::*};
use std::sync::Arc;

/// The results of a program. While the kernel's source is made, each operation of the program becomes one of the kernel;
/// nothing of the list is left on the device.
#[cube]
#[allow(unused_variables, reason = "the body is the expansion")]
pub(super) fn evaluate(inputs: &Sequence<f32>, #[comptime] program: Arc<Program>) -> Sequence<f32> {
    intrinsic!(|scope| {
        let mut values: Vec<NativeExpand<f32>> = Vec::new();
        for &operation in &program.operations {
            let value = match operation {
                Operation::Input(k) => inputs.__expand_index_method(scope, k.into()).clone(),
                operation => applied(scope, operation, |place| values[place].clone()),
            };
            values.push(value);
        }
        let mut results = Sequence::<f32>::__expand_new(scope);
        for &place in &program.results {
            results.__expand_push_method(scope, values[place].clone());
        }
        results
    })
}

type Value = NativeExpand<f32>;

/// One operation, but for an input.
fn applied(scope: &Scope, operation: Operation, at: impl Fn(usize) -> Value) -> Value {
    match operation {
        Operation::Input(_) => unreachable!("inputs are there already"),
        Operation::Add(a, b) => add::expand(scope, at(a), at(b)),
        Operation::Sub(a, b) => subtract::expand(scope, at(a), at(b)),
        Operation::Mul(a, b) => multiply::expand(scope, at(a), at(b)),
        Operation::Neg(a) => negative::expand(scope, at(a)),
        Operation::OneMinus(a) => one_minus::expand(scope, at(a)),
        Operation::Sigmoid(a) => sigmoid::expand(scope, at(a)),
        Operation::Tanh(a) => tanh::expand(scope, at(a)),
        Operation::Exp(a) => exp::expand(scope, at(a)),
        Operation::LogSigmoid(a) => log_sigmoid::expand(scope, at(a)),
        Operation::Recip(a) => reciprocal::expand(scope, at(a)),
        Operation::InverseSqrt(a, epsilon) => {
            inverse_sqrt::expand(scope, at(a), epsilon.value() as f32)
        }
        Operation::Scale(a, factor) => scaled::expand(scope, at(a), factor.value() as f32),
        Operation::Mean(_) => unreachable!("programs that mix units have no kernel"),
        Operation::Relu(a) => relu::expand(scope, at(a)),
        Operation::ReluBackward(a, d) => relu_backward::expand(scope, at(a), at(d)),
        Operation::Clip(a, bound) => clip::expand(scope, at(a), bound.value() as f32),
        Operation::ClipBackward(a, bound, d) => {
            clip_backward::expand(scope, at(a), at(d), bound.value() as f32)
        }
    }
}

#[cube]
fn add(a: f32, b: f32) -> f32 {
    a + b
}

#[cube]
fn subtract(a: f32, b: f32) -> f32 {
    a - b
}

#[cube]
fn multiply(a: f32, b: f32) -> f32 {
    a * b
}

#[cube]
fn negative(x: f32) -> f32 {
    -x
}

#[cube]
fn one_minus(x: f32) -> f32 {
    1.0 - x
}

#[cube]
fn sigmoid(x: f32) -> f32 {
    1.0 / (1.0 + (-x).exp())
}

#[cube]
fn tanh(x: f32) -> f32 {
    x.tanh()
}

#[cube]
fn exp(x: f32) -> f32 {
    x.exp()
}

/// `min(x, 0) - log(1 + e^-|x|)`, which does not overflow.
#[cube]
fn log_sigmoid(x: f32) -> f32 {
    select(x < 0.0, x, 0.0) - (-x.abs()).exp().log1p()
}

#[cube]
fn reciprocal(x: f32) -> f32 {
    1.0 / x
}

#[cube]
fn inverse_sqrt(x: f32, #[comptime] epsilon: f32) -> f32 {
    1.0 / (x + epsilon).sqrt()
}

#[cube]
fn scaled(x: f32, #[comptime] factor: f32) -> f32 {
    x * factor
}

// Bounds are selected and not computed by `min` and `max`, because a NaN has to give a NaN.

#[cube]
fn relu(x: f32) -> f32 {
    select(x < 0.0, 0.0, x)
}

#[cube]
fn relu_backward(output: f32, d: f32) -> f32 {
    select(output <= 0.0, 0.0, d)
}

#[cube]
fn clip(x: f32, #[comptime] bound: f32) -> f32 {
    select(x > bound, bound.runtime(), select(x < -bound, (-bound).runtime(), x))
}

#[cube]
fn clip_backward(output: f32, d: f32, #[comptime] bound: f32) -> f32 {
    select(output.abs() >= bound, 0.0, d)
}
