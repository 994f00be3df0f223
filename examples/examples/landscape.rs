//! The cliff: why gradients are clipped.
//!
//! Shows: the loss surface of a recurrent network with one unit, `x_t = w σ(x_{t-1}) + b` over 50 steps from
//! `x_0 = 0.5`, with the loss `(σ(x_50) - 0.7)²`, and the path of gradient descent over it, with and without clipping.
//! Figure 6 of R. Pascanu, T. Mikolov, Y. Bengio, "On the difficulty of training recurrent neural networks", ICML 2013.
//! Loss and gradient are those of an ordinary layer, by the hand-written backward pass; the page is made by
//! `bptt_probe::landscape`.
//!
//! Command: `cargo run --release --example landscape` writes `landscape.html` into the current folder
//! (`--features wgpu` computes on another backend).
//!
//! What to expect (in f64):
//!
//! ```text
//! without clipping          steepest gradient 143, ends at w = 12.1, b =  9.8 with loss 0.09
//! clipped to a norm of 0.5  steepest gradient 118, ends at w =  4.4, b = -2.2 with loss 0.00
//! landscape.html
//! ```

use bptt::{Rnn, RnnConfig, RnnState};
use bptt_probe::landscape::surface;
use bptt_probe::picture::{Figure, HeatMap, Page, Path};
use burn::Tensor;
use burn::module::{Param, ParamId};
use burn::tensor::{DType, Device, FloatDType};

/// Steps of the network.
const TIME: usize = 50;
/// What `σ(x_50)` should be.
const TARGET: f64 = 0.7;
/// The middle of the surface, `w` and `b`, and how far it goes.
const CENTER: [f64; 2] = [4.8, -2.1];
const SPAN: [f64; 2] = [1.2, 0.9];
/// Where gradient descent begins, its learning rate, and its steps.
const START: [f64; 2] = [5.2, -1.8];
const RATE: f64 = 0.1;
const STEPS: usize = 400;
/// The largest norm of a gradient, if it is clipped.
const CLIP: f64 = 0.5;

fn main() {
    let mut device = bptt_examples::device();
    if device.supports_dtype(DType::F64) {
        // Before the first tensor: from then on the default is fixed.
        device.configure(FloatDType::F64).expect("the device was not used yet");
    }
    let rnn = RnnConfig::new(1, 1).init(&device);
    let axes: [&[f64]; 2] = [&[1.0, 0.0], &[0.0, 1.0]];
    let loss = |at: &[f64]| number(loss(&rnn, [at[0], at[1]], &device).0);
    let mut map = surface(&CENTER, axes, SPAN, 121, &mut { loss });
    // From distances to the parameters themselves.
    map.x.iter_mut().for_each(|x| *x += CENTER[0]);
    map.y.iter_mut().for_each(|y| *y += CENTER[1]);

    let mut paths = Vec::new();
    for (name, clip) in [("without clipping", f64::INFINITY), ("clipped to a norm of 0.5", CLIP)] {
        let (points, steepest) = descend(&rnn, clip, &device.clone().autodiff());
        let [w, b] = points[STEPS];
        let end = loss(&[w, b]);
        println!(
            "{name:<25} steepest gradient {steepest:3.0}, ends at w = {w:4.1}, b = {b:4.1} with loss {end:.2}"
        );
        let name = format!("gradient descent {name}: ends with loss {end:.2}");
        paths.push(Path { name, points, dashed: clip == f64::INFINITY });
    }
    std::fs::write("landscape.html", page(&map, &paths)).expect("the folder can be written");
    println!("landscape.html");
}

/// Gradient descent: the places, and the largest norm of a gradient on the way.
fn descend(rnn: &Rnn, clip: f64, device: &Device) -> (Vec<[f64; 2]>, f64) {
    let (mut places, mut steepest) = (vec![START], 0.0);
    for _ in 0..STEPS {
        let at = places[places.len() - 1];
        let (loss, parameters) = loss(rnn, at, device);
        let gradients = loss.backward();
        let slope = parameters.map(|p| number(p.grad(&gradients).expect("it was tracked")));
        let norm = slope[0].hypot(slope[1]);
        steepest = f64::max(steepest, norm);
        let rate = RATE * (clip / norm).min(1.0);
        places.push([at[0] - rate * slope[0], at[1] - rate * slope[1]]);
    }
    (places, steepest)
}

/// The loss, and the tensors of `w` and `b`.
///
/// Our layer has tanh. With `σ(x) = (1 + tanh(x / 2)) / 2` and `h = 2 σ(x) - 1`, the network of the paper is
/// `h_t = tanh(w / 4 · h_{t-1} + (w / 4 + b / 2))`, and its loss is `(h_50 + 1 - 2 · 0.7)² / 4`.
fn loss(rnn: &Rnn, [w, b]: [f64; 2], device: &Device) -> (Tensor<1>, [Tensor<1>; 2]) {
    let parameter = |value: f64| {
        let leaf = Tensor::<1>::full([1], value, device);
        if device.is_autodiff() { leaf.require_grad() } else { leaf }
    };
    let (w, b) = (parameter(w), parameter(b));
    let mut rnn = rnn.clone();
    let weights = &mut rnn.weights[0];
    let quarter = w.clone().mul_scalar(0.25);
    let bias = quarter.clone() + b.clone().mul_scalar(0.5);
    weights.weight_ih = Param::from_tensor(Tensor::zeros([1, 1], device));
    // These are no leaves of the tape, but computed from `w` and `b`.
    weights.weight_hh = Param::initialized(ParamId::new(), quarter.reshape([1, 1])).into();
    weights.bias_ih = Some(Param::initialized(ParamId::new(), bias));
    weights.bias_hh = Some(Param::from_tensor(Tensor::zeros([1], device)));
    let begin = RnnState::new(Tensor::full([1, 1, 1], 0.25f64.tanh(), device));
    let (_, end) = rnn.forward(Tensor::zeros([1, TIME, 1], device), Some(begin));
    let error = end.hidden.reshape([1]).add_scalar(1.0 - 2.0 * TARGET);
    (error.clone().mul(error).mul_scalar(0.25), [w, b])
}

fn number(x: Tensor<1>) -> f64 {
    x.into_data().iter::<f64>().next().expect("one number")
}

fn page(map: &bptt_probe::landscape::Surface, paths: &[Path]) -> String {
    let svg = HeatMap {
        title: "The loss of a network with one unit, and two paths of gradient descent",
        x: &map.x,
        y: &map.y,
        height: &map.loss,
        axes: ["recurrent weight w", "bias b"],
        height_name: "loss after 50 steps",
        center: false,
        paths,
        places: &[],
    };
    let reading = "Brighter is a higher loss, on a logarithmic scale. The region below on the left and the plain on the right \
                   are nearly flat, and between them is a wall, because on either side of it the network settles in another \
                   fixed point. Both paths begin on the right, and are the same down to the wall. There the gradient is \
                   hundreds of times as long as before. Without clipping (dashed), one step throws the network out of the \
                   picture, to where the loss is flat. Clipped (solid), the step is short, and the path goes to and fro along \
                   the foot of the wall, down into the dark valley.";
    let page = Page {
        title: "The cliff".to_string(),
        summary: "A recurrent network with a single unit has a loss surface with a wall, and gradient descent has to be \
                  clipped to stay near it."
            .to_string(),
        facts: [
            ("network", "x_t = w σ(x_{t-1}) + b, 50 steps from x_0 = 0.5".to_string()),
            ("loss", format!("(σ(x_50) - {TARGET})²")),
            ("start", format!("w = {}, b = {}", START[0], START[1])),
            ("steps", format!("{STEPS} with learning rate {RATE}")),
        ]
        .map(|(name, value)| (name.to_string(), value))
        .into(),
        figures: vec![Figure {
            heading: "Two paths over the loss surface".to_string(),
            svg: svg.svg(),
            reading: reading.to_string(),
        }],
    };
    page.html()
}
