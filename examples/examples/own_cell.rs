//! A cell of your own: the minimal gated unit, in one file.
//!
//! ```text
//! f  = σ(W_f x + b_f + U_f h + b_hf)
//! q  = f ⊙ h                                the gated hidden state
//! n  = tanh(W_n x + b_n + U_n q + b_hn)
//! h' = (1 - f) ⊙ h + f ⊙ n
//! ```
//!
//! Backward:
//!
//! ```text
//! d_a_n = d_h' ⊙ f ⊙ (1 - n²)
//! d_q   = U_nᵀ d_a_n                        by the layer
//! d_a_f = (d_h' ⊙ (n - h) + d_q ⊙ h) ⊙ f (1 - f)
//! d_h   = d_h' ⊙ (1 - f) + d_q ⊙ f  +  U_fᵀ d_a_f
//! ```
//!
//! G.-B. Zhou, J. Wu, C.-L. Zhang and Z.-H. Zhou, "Minimal gated unit for recurrent neural
//! networks", International Journal of Automation and Computing 13 (2016), 226–234.
//!
//! Shows: everything that a new cell is, and that it has both engines at once: the hand-written
//! backward below against Burn's autograd of the `step` above it; then the certificate that
//! `bptt_probe::check` gives in one call, and how it finds a wrong derivative. Nothing is trained.
//!
//! Command: `cargo run --release --example own_cell`
//! (`--features wgpu` compares on another backend)
//!
//! What to expect (in f64; on a backend without f64 the errors are those of f32):
//!
//! ```text
//! gradient               |manual - autograd| / |autograd|
//! weight_ih_l0           2.8e-16
//! weight_hh_l0           2.1e-16
//! weight_ih_l0_reverse   2.9e-16
//! weight_hh_l0_reverse   1.9e-16
//! weight_ih_l1           2.2e-16
//! weight_hh_l1           1.5e-16
//! weight_ih_l1_reverse   2.2e-16
//! weight_hh_l1_reverse   1.4e-16
//! input                  1.5e-16
//! ```
//!
//! Then the certificate: `minimal-gated: right in all of 203 comparisons`, and for the same cell with one
//! sign turned `WRONG in …`, the first line of which names the gate: `one step: d_gates[0]`.

// ANCHOR: cell
use bptt::cells::{AnalyticCell, Backward, Forward, GateRole, HiddenTerm, Layout, Number, State};

/// The minimal gated unit, gates in the order `f n`.
#[derive(Clone, Copy, Debug, Default)]
struct MinimalGated;

impl Layout for MinimalGated {
    const NAME: &'static str = "minimal-gated";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Added, HiddenTerm::Gated];
    const GATE_ROLES: &'static [GateRole] = &[GateRole::Input, GateRole::Other];
    const PROJECTABLE: bool = false;
    type Gates<N: Number> = [N; 2];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 0];
    /// `f` and `n`: `2 H` numbers a row and step.
    type Saved<N: Number> = [N; 2];
}

impl AnalyticCell for MinimalGated {
    fn gated_hidden<N: Number>(&self, [a_f, _]: &[N; 2], before: &State<N, [N; 0]>) -> N {
        a_f.sigmoid() * &before.hidden
    }

    fn step<N: Number>(
        &self,
        [a_f, a_n]: [N; 2],
        []: [N; 0],
        before: &State<N, [N; 0]>,
    ) -> Forward<Self, N> {
        let h = &before.hidden;
        let (f, n) = (a_f.sigmoid(), a_n.tanh());
        let h = f.one_minus() * h + &f * &n;
        (State { hidden: h, memory: [] }, [f, n])
    }

    fn step_backward<N: Number>(
        &self,
        [f, n]: [N; 2],
        before: &State<N, [N; 0]>,
        _after: &State<N, [N; 0]>,
        State { hidden: d_h, .. }: State<N, [N; 0]>,
    ) -> Backward<Self, N> {
        let h = &before.hidden;
        let d_n = &d_h * &f * n.tanh_slope();
        let d_f = &d_h * (n - h) * f.sigmoid_slope();
        let d_h = d_h * f.one_minus();
        Backward { d_gates: [d_f, d_n], d_separate: [], d_hidden: Some(d_h), d_memory: [] }
    }

    fn gated_hidden_backward<N: Number>(
        &self,
        [f, _]: &[N; 2],
        before: &State<N, [N; 0]>,
        d_q: N,
        Backward { d_gates: [d_f, d_n], d_separate, d_hidden, d_memory }: Backward<Self, N>,
    ) -> Backward<Self, N> {
        let d_f = d_f + &d_q * &before.hidden * f.sigmoid_slope();
        let d_hidden = d_hidden.map(|d_h| d_h + d_q * f);
        Backward { d_gates: [d_f, d_n], d_separate, d_hidden, d_memory }
    }

    fn gated_hidden_of_saved<N: Number>(&self, [f, _]: &[N; 2], hidden_before: &N) -> N {
        f * hidden_before
    }
}
// ANCHOR_END: cell

// ANCHOR: compare
use bptt::{ConfigError, Engine, Recurrent, StackConfig};
use burn::Tensor;
use burn::tensor::{DType, Distribution, FloatDType};

fn main() -> Result<(), ConfigError> {
    let mut device = bptt_examples::device();
    if device.supports_dtype(DType::F64) {
        // Before the first tensor: from then on the default is fixed.
        device.configure(FloatDType::F64).expect("the device was not used yet");
    }
    let device = device.autodiff();
    device.seed(1);

    let layer = StackConfig::new(3, 8)
        .with_num_layers(2)
        .with_bidirectional(true)
        .try_init(MinimalGated, &device)?;
    let input = Tensor::random([4, 20, 3], Distribution::Normal(0.0, 1.0), &device);
    let lengths = [20, 7, 0, 13];

    let manual = gradients(layer.clone().with_engine(Engine::Manual), &input, &lengths);
    let autograd = gradients(layer.with_engine(Engine::Autograd), &input, &lengths);
    println!("gradient               |manual - autograd| / |autograd|");
    for ((name, a), (_, b)) in manual.iter().zip(&autograd) {
        println!("{name:<22} {:.1e}", error(a, b));
    }

    // The whole certificate in one call; and what it says of the cell with one sign turned.
    print!("\n{}", bptt_probe::check(MinimalGated));
    print!("\nWith one sign turned, in the gradient of gate 0:\n{}", check_of_a_wrong_cell());
    Ok(())
}

fn check_of_a_wrong_cell() -> bptt_probe::Certificate {
    bptt_probe::check(bptt_probe::Sabotaged { cell: MinimalGated, gate: 0 })
}

/// dLoss/d(parameter) by name, flattened, and last the input's; the loss is the mean square.
fn gradients(
    layer: Recurrent<MinimalGated>,
    input: &Tensor<3>,
    lengths: &[usize],
) -> Vec<(String, Vec<f64>)> {
    let input = input.clone().detach().require_grad();
    let (output, _) = layer.forward_lengths(input.clone(), lengths, None);
    let grads = output.powi_scalar(2).mean().backward();

    let mut all = Vec::new();
    for (suffix, weights) in layer.suffixes().zip(&layer.weights) {
        let (weight_ih, weight_hh) = (weights.weight_ih.val(), weights.weight_hh.val());
        for (name, weight) in [("weight_ih", weight_ih), ("weight_hh", weight_hh)] {
            let d = weight.grad(&grads).expect("parameters are tracked");
            all.push((format!("{name}{suffix}"), d.into_data().iter().collect()));
        }
    }
    let d_input = input.grad(&grads).expect("the input is tracked");
    all.push(("input".to_string(), d_input.into_data().iter().collect()));
    all
}

/// `‖a - b‖ / ‖b‖`
fn error(a: &[f64], b: &[f64]) -> f64 {
    let norm = |x: &mut dyn Iterator<Item = f64>| x.map(|x| x * x).sum::<f64>().sqrt();
    let difference = norm(&mut a.iter().zip(b).map(|(a, b)| a - b));
    difference / norm(&mut b.iter().copied()).max(f64::MIN_POSITIVE)
}
// ANCHOR_END: compare
