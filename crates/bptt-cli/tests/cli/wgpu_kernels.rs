//! The kernels for GPUs, on a software or real one.

use crate::{bptt, stderr, stdout};
use bptt::cells::{AnalyticCell, Backward, Forward, HiddenTerm, Layout, Number, State};
use bptt::kernels::sequence_launches;
use bptt::{Kernel, LstmConfig, StackConfig};
use burn::Tensor;
use burn::tensor::{Device, DeviceKind, Distribution};

fn verified(kernel: &str, cell: &str) {
    let done =
        bptt(&["verify", "--device", "wgpu", "--verbose", "--kernel", kernel, "--cell", cell]);
    assert_eq!(done.status.code(), Some(0), "{kernel}, {cell}: {}{}", stdout(&done), stderr(&done));
    assert!(stdout(&done).contains(kernel), "{}", stdout(&done));
}

/// The strategy that `auto` does not take: cells with and without a gated hidden state.
#[test]
fn wgpu_one_launch_a_sequence_is_right() {
    verified("rows", "lstm");
    verified("rows", "gru");
}

/// How many kernels a run of `bptt bench` launches.
fn launches(cell: &str, kernel: &str, time: &str) -> u64 {
    let done = bptt(&[
        "bench",
        "--device",
        "wgpu",
        "--cell",
        cell,
        "--kernel",
        kernel,
        "--batch",
        "3",
        "--time",
        time,
        "--input",
        "2",
        "--hidden",
        "5",
        "--repeats",
        "1",
        "--no-ceiling",
        "--json",
        "-",
    ]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let report: serde_json::Value = serde_json::from_slice(&done.stdout).expect("JSON");
    report["launches"].as_u64().expect("a number of launches")
}

/// Forward `T`, backward `T`, and one for the gradient of the initial state; twice the steps for a gated hidden state.
#[test]
fn wgpu_launches_are_few() {
    assert_eq!(launches("lstm", "steps", "7"), 7 + 7 + 1);
    assert_eq!(launches("mgu", "steps", "7"), 14 + 14 + 1);
    for time in ["7", "19"] {
        assert_eq!(launches("lstm", "rows", time), 2);
        assert_eq!(launches("mgu", "rows", time), 2);
    }
    assert_eq!(launches("lstm", "reference", "7"), 0);
}

/// A leaky unit: a cell that this project does not have, and that no kernel names.
#[derive(Clone, Copy, Debug)]
struct Leaky {
    rate: f64,
}

impl Layout for Leaky {
    const NAME: &'static str = "leaky";
    const HIDDEN_TERMS: &'static [HiddenTerm] = &[HiddenTerm::Added];
    const PROJECTABLE: bool = false;
    type Gates<N: Number> = [N; 1];
    type Separate<N: Number> = [N; 0];
    type Memory<N: Number> = [N; 0];
    type Saved<N: Number> = [N; 1];
}

impl AnalyticCell for Leaky {
    fn step<N: Number>(
        &self,
        [a]: [N; 1],
        []: [N; 0],
        before: &State<N, [N; 0]>,
    ) -> Forward<Self, N> {
        let n = a.tanh();
        let h = before.hidden.scale(1.0 - self.rate) + n.scale(self.rate);
        (State { hidden: h, memory: [] }, [n])
    }

    fn step_backward<N: Number>(
        &self,
        [n]: [N; 1],
        _before: &State<N, [N; 0]>,
        _after: &State<N, [N; 0]>,
        State { hidden: d_h, .. }: State<N, [N; 0]>,
    ) -> Backward<Self, N> {
        let d_a = d_h.scale(self.rate) * n.tanh_slope();
        let d_h = d_h.scale(1.0 - self.rate);
        Backward { d_gates: [d_a], d_separate: [], d_hidden: Some(d_h), d_memory: [] }
    }
}

/// A cell of one's own has kernels made from its own text, for each of its options.
#[test]
fn wgpu_a_cell_of_ones_own_runs_by_the_kernels() {
    let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
    device.seed(1);
    let input = Tensor::<3>::random([4, 9, 3], Distribution::Normal(0.0, 1.0), &device);
    for rate in [0.3, 0.9] {
        let layer = StackConfig::new(3, 8).try_init(Leaky { rate }, &device).expect("a layer");
        let run = |kernel: Kernel| {
            let input = input.clone().require_grad();
            let before = sequence_launches();
            let (output, _) = layer.clone().with_kernel(kernel).forward(input.clone(), None);
            let gradients = (output.clone() * output.clone()).sum().backward();
            let d_input = input.grad(&gradients).expect("the gradient of the input");
            let numbers = |x: Tensor<3>| x.into_data().try_to_vec::<f32>().expect("f32");
            (numbers(output.inner()), numbers(d_input), sequence_launches() - before)
        };
        let (output, d_input, none) = run(Kernel::Reference);
        assert_eq!(none, 0);
        for (kernel, count) in [(Kernel::Auto, 19), (Kernel::Steps, 19), (Kernel::Rows, 2)] {
            let (by_kernel, d_by_kernel, launched) = run(kernel);
            assert_eq!(launched, count, "{kernel:?}");
            let error = |a: &[f32], b: &[f32]| {
                let square = |x: f32| f64::from(x) * f64::from(x);
                let off: f64 = a.iter().zip(b).map(|(a, b)| square(a - b)).sum();
                (off / b.iter().map(|&b| square(b)).sum::<f64>()).sqrt()
            };
            assert!(error(&by_kernel, &output) < 1e-6, "{kernel:?}");
            assert!(error(&d_by_kernel, &d_input) < 1e-5, "{kernel:?}");
        }
    }
}

/// Two runs have the same bits: no unit reads what another writes at the same time. Sizes that do not fill the kernels'
/// groups of rows and units.
#[test]
fn wgpu_runs_have_the_same_bits() {
    let device = Device::wgpu(DeviceKind::DefaultDevice).autodiff();
    device.seed(2);
    let layer = LstmConfig::new(3, 70).with_bidirectional(true).init(&device);
    let input = Tensor::<3>::random([5, 11, 3], Distribution::Normal(0.0, 1.0), &device);
    for kernel in [Kernel::Steps, Kernel::Rows] {
        let layer = layer.clone().with_kernel(kernel);
        let run = || -> Vec<u32> {
            let input = input.clone().require_grad();
            let (output, _) = layer.forward(input.clone(), None);
            let gradients = (output.clone() * output.clone()).sum().backward();
            let d_input = input.grad(&gradients).expect("the gradient of the input");
            let numbers = |x: Tensor<3>| x.into_data().try_to_vec::<f32>().expect("f32");
            let all = [numbers(output.inner()), numbers(d_input)].concat();
            all.into_iter().map(f32::to_bits).collect()
        };
        let first = run();
        assert!((0..5).all(|_| run() == first), "{kernel:?}");
    }
}

/// A run trains by the kernel that is named, goes on in host memory, which has no such kernel, and its model is loaded there.
#[test]
fn wgpu_a_run_goes_on_in_host_memory() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let out = folder.path().join("run");
    let out = out.to_str().expect("a plain path");
    let train = |more: &[&str]| {
        let task = ["train", "adding", "--length", "4", "--batch", "4", "--out", out];
        bptt(&[&task[..], more].concat())
    };
    let new = ["--hidden", "8", "--steps", "3", "--device", "wgpu", "--kernel", "rows"];
    let done = train(&new);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));

    let done = train(&["--resume", "--steps", "5", "--device", "flex"]);
    assert_eq!(done.status.code(), Some(2), "{}", stderr(&done));
    assert!(stderr(&done).contains("'flex' has no kernel rows"), "{}", stderr(&done));
    let moved = ["--resume", "--steps", "5", "--device", "flex", "--kernel", "auto"];
    let done = train(&moved);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));

    let done = train(&["--resume", "--steps", "7", "--device", "wgpu", "--kernel", "rows"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
    let done = bptt(&["dynamics", "--run", out, "--device", "flex"]);
    assert_eq!(done.status.code(), Some(0), "{}", stderr(&done));
}
