//! One step of an LSTM cell by hand, with numbers that one can follow on paper.
//!
//! Shows: the equations of the book's chapter "Cells" at `H = 1` on plain `f64`, forward and
//! backward; then the same step as a layer, differentiated by both engines.
//!
//! Command: `cargo run --release --example one_step`
//! (`--features wgpu` runs the layer on another backend)
//!
//! What to expect:
//!
//! ```text
//! x = 1, h = 0.5, c = 2, loss L = h'
//! a = W x + U h      i  1.000000  f  0.750000  g -0.750000  o  1.250000
//! gates σ σ tanh σ   i  0.731059  f  0.679179  g -0.635149  o  0.777300
//! c' = f c + i g = 0.894026, h' = o tanh(c') = 0.554508
//! dL/da              i -0.047669  f  0.166353  g  0.166486  o  0.123489
//!
//!               by hand        manual      autograd
//! h'       0.554507619   0.554507619   0.554507619
//! c'       0.894026308   0.894026308   0.894026308
//! dL/dx    0.006904309   0.006904309   0.006904309
//! dL/dh    0.199375237   0.199375237   0.199375237
//! dL/dc    0.259260874   0.259260874   0.259260874
//! dL/dWi  -0.047669257  -0.047669257  -0.047669257
//! dL/dUi  -0.023834629  -0.023834629  -0.023834629
//! dL/dWf   0.166352822   0.166352822   0.166352822
//! dL/dUf   0.083176411   0.083176411   0.083176411
//! dL/dWg   0.166486116   0.166486116   0.166486116
//! dL/dUg   0.083243058   0.083243058   0.083243058
//! dL/dWo   0.123488924   0.123488924   0.123488924
//! dL/dUo   0.061744462   0.061744462   0.061744462
//! ```

use bptt::cells::{AnalyticCell, Lstm, State};
use bptt::{Engine, LstmConfig, LstmState};
use burn::Tensor;
use burn::module::Param;
use burn::tensor::{DType, Device, FloatDType, TensorData};

const X: f64 = 1.0;
const H: f64 = 0.5;
const C: f64 = 2.0;
/// One row a gate, in the order `i f g o`.
const W: [f64; 4] = [0.5, 1.0, -1.0, 0.25];
const U: [f64; 4] = [1.0, -0.5, 0.5, 2.0];

fn main() {
    let by_hand = by_hand();
    let mut device = bptt_examples::device();
    if device.supports_dtype(DType::F64) {
        // Before the first tensor: from then on the default is fixed.
        device.configure(FloatDType::F64).expect("the device was not used yet");
    }
    let manual = by_layer(Engine::Manual, &device.clone().autodiff());
    let autograd = by_layer(Engine::Autograd, &device.autodiff());

    println!("\n              by hand        manual      autograd");
    for (k, name) in ["h'", "c'", "dL/dx", "dL/dh", "dL/dc"].into_iter().enumerate() {
        println!("{name:<6} {:13.9} {:13.9} {:13.9}", by_hand[k], manual[k], autograd[k]);
    }
    for (k, gate) in ["i", "f", "g", "o"].into_iter().enumerate() {
        for (matrix, at) in [("W", 5 + k), ("U", 9 + k)] {
            let (a, b, c) = (by_hand[at], manual[at], autograd[at]);
            println!("dL/d{matrix}{gate} {a:13.9} {b:13.9} {c:13.9}");
        }
    }
}

/// The step with the loss `L = h'`: `h' c' d_x d_h d_c`, then `d_W` and `d_U` of each gate.
fn by_hand() -> Vec<f64> {
    println!("x = {X}, h = {H}, c = {C}, loss L = h'");
    let a: [f64; 4] = std::array::from_fn(|k| W[k] * X + U[k] * H);
    let before = State { hidden: H, memory: [C] };
    let (after, saved) = Lstm.step(a, [], &before);
    println!("a = W x + U h      i {:9.6}  f {:9.6}  g {:9.6}  o {:9.6}", a[0], a[1], a[2], a[3]);
    let (i, f, g, o) = (saved.i, saved.f, saved.g, saved.o);
    println!("gates σ σ tanh σ   i {i:9.6}  f {f:9.6}  g {g:9.6}  o {o:9.6}");
    println!("c' = f c + i g = {:.6}, h' = o tanh(c') = {:.6}", after.memory[0], after.hidden);

    let cotangent = State { hidden: 1.0, memory: [0.0] };
    let back = Lstm.step_backward(saved, &before, &after, cotangent);
    let d_a = back.d_gates;
    println!(
        "dL/da              i {:9.6}  f {:9.6}  g {:9.6}  o {:9.6}",
        d_a[0], d_a[1], d_a[2], d_a[3]
    );
    // Whoever multiplies matrices takes it from here: the transposed products.
    let d_x: f64 = W.iter().zip(&d_a).map(|(w, d)| w * d).sum();
    let d_h: f64 = U.iter().zip(&d_a).map(|(u, d)| u * d).sum();
    let mut all = vec![after.hidden, after.memory[0], d_x, d_h, back.d_memory[0]];
    all.extend(d_a.map(|d| d * X));
    all.extend(d_a.map(|d| d * H));
    all
}

/// The same list by a layer with `I = H = B = T = 1`.
fn by_layer(engine: Engine, device: &Device) -> Vec<f64> {
    let mut layer = LstmConfig::new(1, 1).with_bias(false).with_engine(engine).init(device);
    let column =
        |values: [f64; 4]| Tensor::<2>::from_data(TensorData::new(values.into(), [4, 1]), device);
    layer.weights[0].weight_ih = Param::from_tensor(column(W));
    layer.weights[0].weight_hh = Param::from_tensor(column(U)).into();

    let scalar = |value: f64| Tensor::<3>::full([1, 1, 1], value, device).require_grad();
    let (x, h, c) = (scalar(X), scalar(H), scalar(C));
    let (output, state) = layer.forward(x.clone(), Some(LstmState::new(h.clone(), c.clone())));
    let grads = output.clone().sum().backward();

    let mut all = vec![number(output), number(state.cell)];
    all.extend([x, h, c].map(|x| number(x.grad(&grads).expect("it was tracked"))));
    for weight in [layer.weights[0].weight_ih.val(), layer.weights[0].weight_hh.val()] {
        all.extend(weight.grad(&grads).expect("it was tracked").into_data().iter::<f64>());
    }
    all
}

fn number(x: Tensor<3>) -> f64 {
    x.into_data().iter::<f64>().next().expect("one number")
}
