//! What a Hessian-vector product costs, next to a gradient.
//!
//! Command: `cargo run --release -p bptt-benches --example hvp_cost` (half a minute).
//!
//! What to expect: a line for each cell and size, with the time of a gradient by the reference kernel, of
//! one by the host kernels, and of a product by the host kernels, absolute and over each. Three matrix
//! products for each one of the gradient's: 2 to 4 times a gradient by the same kernels, most for small
//! RNNs, where copies of the sequences count most.

use bptt::{AnyRecurrent, AnyRecurrentConfig, CellKind, Kernel};
use bptt_benches::median;
use bptt_probe::curvature::{Dual, LayerResults, Point, Variables, hessian_vector_product};
use burn::Tensor;
use burn::tensor::{Device, Distribution};
use std::time::Instant;

fn main() {
    println!(
        "{:>5} {:>15}  {:>12} {:>12} {:>12}  {:>11} {:>9}",
        "cell", "B, T, I = H", "reference ms", "host ms", "product ms", "/ reference", "/ host"
    );
    for cell in CellKind::ALL {
        for [batch, time, width] in [[1, 100, 32], [16, 100, 64], [32, 100, 128], [64, 50, 256]] {
            let layer =
                AnyRecurrentConfig::new(cell, width, width).init(&Device::flex().autodiff());
            let normal = Distribution::Normal(0.0, 1.0);
            let input = Tensor::random([batch, time, width], normal, &Device::flex());
            let direction = everywhere(&layer, &input);
            let with = |kernel| layer.clone().with_kernel(kernel);
            let (reference, host) = (with(Kernel::Reference), with(Kernel::Auto));
            // In turns, so that a machine that slows down slows all of them down.
            let mut seconds = [vec![], vec![], vec![]];
            for round in 0..8 {
                let taken = [
                    timed(|| gradient(&reference, &input)),
                    timed(|| gradient(&host, &input)),
                    timed(|| product(&layer, &input, &direction)),
                ];
                for (seconds, taken) in seconds.iter_mut().zip(taken) {
                    if round > 0 {
                        seconds.push(taken);
                    }
                }
            }
            let [reference, host, product] = seconds.map(median);
            println!(
                "{:>5} {:>15}  {:>12.2} {:>12.2} {:>12.2}  {:>11.2} {:>9.2}",
                cell.name(),
                format!("{batch}, {time}, {width}"),
                1e3 * reference,
                1e3 * host,
                1e3 * product,
                product / reference,
                product / host,
            );
        }
    }
}

fn timed(work: impl FnOnce()) -> f64 {
    let start = Instant::now();
    work();
    start.elapsed().as_secs_f64()
}

/// The gradient of the sum of the outputs, for the input and all parameters.
fn gradient(layer: &AnyRecurrent, input: &Tensor<3>) {
    let leaf = Tensor::from_inner(input.clone()).require_grad();
    let gradients = layer.forward(leaf.clone(), None).0.sum().backward();
    assert!(leaf.grad(&gradients).is_some());
}

fn product(layer: &AnyRecurrent, input: &Tensor<3>, direction: &Variables) {
    let point = Point::new(input.clone());
    let curvature = hessian_vector_product(layer, &point, direction, |results| LayerResults {
        output: Dual::constant(results.output.value.ones_like()),
        ..results.zeros()
    });
    assert!(curvature.product.input.is_some());
}

/// A direction in which everything changes.
fn everywhere(layer: &AnyRecurrent, input: &Tensor<3>) -> Variables {
    let mut direction = Variables::none(layer);
    direction.input = Some(input.ones_like());
    for (along, weights) in direction.weights.iter_mut().zip(&layer.weights) {
        along.weight_ih = Some(weights.weight_ih.val().inner());
        along.weight_hh = Some(weights.weight_hh.val().inner());
        along.bias_ih = weights.bias_ih.as_ref().map(|bias| bias.val().inner());
        along.bias_hh = weights.bias_hh.as_ref().map(|bias| bias.val().inner());
    }
    direction
}
