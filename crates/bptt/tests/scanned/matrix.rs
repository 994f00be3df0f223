//! Engines, kernels, devices and types against each other, and against differences.

use super::*;
use bptt::MaskedOutput;
use proptest::prelude::*;

/// What runs a layer.
#[derive(Clone, Debug)]
struct Setting {
    engine: Engine,
    kernel: Kernel,
    device: Device,
    dtype: DType,
}

/// All of them; the first is the reference.
fn settings() -> Vec<Setting> {
    let mut devices = vec![(Device::flex().autodiff(), true)];
    #[cfg(feature = "ndarray")]
    devices.push((Device::ndarray().autodiff(), true));
    // A GPU has no f64.
    #[cfg(feature = "wgpu")]
    devices.push((Device::wgpu(burn::tensor::DeviceKind::DefaultDevice).autodiff(), false));
    let mut all = Vec::new();
    for dtype in [DType::F64, DType::F32] {
        for (device, has_f64) in &devices {
            if dtype == DType::F64 && !has_f64 {
                continue;
            }
            for (engine, kernel) in [
                (Engine::Manual, Kernel::Auto),
                (Engine::Manual, Kernel::Reference),
                (Engine::Autograd, Kernel::Auto),
            ] {
                all.push(Setting { engine, kernel, device: device.clone(), dtype });
            }
        }
    }
    all
}

/// What a sequence has besides its input.
#[derive(Clone, Debug, Default)]
struct Rows {
    lengths: Option<Vec<usize>>,
    mask: Option<Vec<bool>>,
    hold: bool,
    resets: Option<Vec<bool>>,
    reset_state: bool,
}

/// Outputs, final state, and all gradients of a layer: of its parameters, input, initial and reset state.
fn run<L: ScannedLayer>(
    layer: &Scanned<L>,
    [batch, time]: [usize; 2],
    rows: &Rows,
    setting: &Setting,
) -> Vec<Vec<f64>> {
    let Setting { engine, kernel, device, dtype } = setting;
    let layer = layer.clone().map(&mut Onto(device, *dtype));
    let layer = layer.with_engine(*engine).with_kernel(*kernel);
    let mut noise = Noise::new(3);
    let mut leaf = |shape| noise.tensor::<3>(shape, device, *dtype).require_grad();
    let width = layer.d_input();
    let input =
        leaf(if layer.is_batch_first() { [batch, time, width] } else { [time, batch, width] });
    let [parts, _, d_state] = layer.zero_state(1, &input).hidden.dims();
    let (initial, reset) = (leaf([parts, batch, d_state]), leaf([parts, 1, d_state]));
    let mut options = SequenceOptions::new();
    if let Some(lengths) = &rows.lengths {
        options = options.with_lengths(lengths);
    }
    let flags = |flags: &[bool]| bools(flags, [batch, time], device);
    if let Some(mask) = &rows.mask {
        options = options.with_mask(flags(mask));
    }
    if rows.hold {
        options = options.with_masked_output(MaskedOutput::Hold);
    }
    if let Some(resets) = &rows.resets {
        options = options.with_resets(flags(resets));
        if rows.reset_state {
            options = options.with_reset_state(ScannedState::new(reset.clone()));
        }
    }
    let state = ScannedState::new(initial.clone());
    let (outputs, end) = layer.forward_with(input.clone(), &options, Some(state));
    let mut noise = Noise::new(5);
    let mut weigh = |x: &Tensor<3>| (x.clone() * noise.tensor(x.dims(), device, *dtype)).sum();
    // Every part of the result has a gradient.
    let loss = weigh(&outputs) + weigh(&end.hidden);
    let gradients = loss.backward();
    let mut collect = Collect(&gradients, Vec::new());
    layer.visit(&mut collect);
    let mut all = collect.1;
    for x in [&input, &initial, &reset] {
        // What is not read has none, which is zero.
        let d = x.grad(&gradients).map(numbers);
        all.push(d.unwrap_or_else(|| vec![0.0; x.shape().num_elements()]));
    }
    all.extend([numbers(outputs), numbers(end.hidden)]);
    all
}

/// Runs each setting against the first one.
struct Agree {
    sizes: [usize; 2],
    rows: Rows,
}

impl Visit for Agree {
    fn visit<L: ScannedLayer>(&mut self, layer: Scanned<L>) {
        let settings = settings();
        let expected = run(&layer, self.sizes, &self.rows, &settings[0]);
        for setting in &settings[1..] {
            let found = run(&layer, self.sizes, &self.rows, setting);
            let tolerance = if setting.dtype == DType::F64 { 1e-10 } else { 1e-4 };
            let what = format!("{} {:?} {setting:?}", layer.name(), self.rows);
            close(&found, &expected, tolerance, &what);
        }
    }
}

/// The kinds of rows, for 3 rows of 7 steps.
fn kinds() -> Vec<Rows> {
    let flags = |seed: u64, share: f64| -> Vec<bool> {
        let mut noise = Noise::new(seed);
        (0..21).map(|_| noise.next() < share).collect()
    };
    let (mask, resets) = (flags(1, 0.4), flags(2, -0.4));
    let lengths = Some(vec![7, 0, 4]);
    vec![
        Rows::default(),
        Rows { lengths: lengths.clone(), ..Rows::default() },
        Rows { mask: Some(mask.clone()), hold: true, ..Rows::default() },
        Rows { resets: Some(resets.clone()), ..Rows::default() },
        Rows { lengths, resets: Some(resets.clone()), reset_state: true, ..Rows::default() },
        Rows { mask: Some(mask), resets: Some(resets), reset_state: true, ..Rows::default() },
    ]
}

#[test]
fn engines_kernels_devices_and_types_agree() {
    let shape = Shape::plain(3, 5);
    for rows in kinds() {
        let deep = Shape { layers: 2, bidirectional: true, ..shape };
        every_layer(deep, &mut Agree { sizes: [3, 7], rows: rows.clone() });
        let back = Shape { reverse: true, batch_first: false, ..shape };
        every_layer(back, &mut Agree { sizes: [3, 7], rows });
    }
}

#[test]
fn single_steps_and_long_sequences_agree() {
    every_layer(Shape::plain(5, 5), &mut Agree { sizes: [2, 1], rows: Rows::default() });
    every_layer(Shape::plain(2, 3), &mut Agree { sizes: [1, 1201], rows: Rows::default() });
}

/// The gradients of the manual engine against central differences.
struct Differences(Rows);

impl Visit for Differences {
    fn visit<L: ScannedLayer>(&mut self, layer: Scanned<L>) {
        let device = Device::flex().autodiff();
        let layer = layer.map(&mut Onto(&device, DType::F64));
        let setting = &settings()[0];
        let found = run(&layer, [3, 7], &self.0, setting);
        // The loss, from outputs and final state, which are the last two lists.
        let loss = |layer: &Scanned<L>| -> f64 {
            let all = run(layer, [3, 7], &self.0, setting);
            let mut noise = Noise::new(5);
            all[all.len() - 2..].iter().flatten().map(|x| x * noise.next()).sum()
        };
        let mut count = 0;
        let mut counter = Count(&mut count);
        layer.visit(&mut counter);
        for index in 0..count {
            // The first number and a number in the middle of each parameter.
            for k in [0, found[index].len() / 2] {
                let moved = |by: f64| loss(&layer.clone().map(&mut Move { index, k, by }));
                let expected = (moved(1e-5) - moved(-1e-5)) / 2e-5;
                let found = found[index][k];
                assert!(
                    (found - expected).abs() < 1e-7 * (1.0 + expected.abs()),
                    "{}: number {k} of parameter {index}: {found}, by differences {expected}",
                    layer.name()
                );
            }
        }
    }
}

/// Parameters of zeros: all of them, or the vectors.
struct Zeros {
    all: bool,
}

impl ModuleMapper for Zeros {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_zero = self.all || D == 1;
        param.map(|x| if is_zero { x.zeros_like().require_grad() } else { x })
    }
}

/// Every layer with zeros for all parameters, so that its gates are equal: rectifiers are exactly where their slope jumps.
struct Equal;

impl Visit for Equal {
    fn visit<L: ScannedLayer>(&mut self, layer: Scanned<L>) {
        let layer = layer.map(&mut Zeros { all: true });
        Agree { sizes: [3, 7], rows: Rows::default() }.visit(layer);
    }
}

#[test]
fn gates_may_be_equal() {
    every_layer(Shape::plain(3, 5), &mut Equal);
}

/// The decay of RG-LRU is a function whose parts have no slope at zero.
#[test]
fn parameters_may_be_zero() {
    let layer = RgLruConfig::new(3, 4).init(&Device::flex().autodiff());
    let layer = layer.map(&mut Vary(Noise::new(7))).map(&mut Zeros { all: false });
    Differences(Rows::default()).visit(layer);
}

struct Count<'a>(&'a mut usize);

impl ModuleVisitor for Count<'_> {
    fn visit_float<const D: usize>(&mut self, _: &Param<Tensor<D>>) {
        *self.0 += 1;
    }
}

/// Adds to one number of one parameter.
struct Move {
    index: usize,
    k: usize,
    by: f64,
}

impl ModuleMapper for Move {
    fn map_float<const D: usize>(&mut self, param: Param<Tensor<D>>) -> Param<Tensor<D>> {
        let is_it = self.index == 0;
        self.index = self.index.wrapping_sub(1);
        if !is_it {
            return param;
        }
        param.map(|tensor| {
            let (shape, device, dtype) = (tensor.shape(), tensor.device(), tensor.dtype());
            let mut values = numbers(tensor);
            values[self.k] += self.by;
            Tensor::from_data(TensorData::new(values, shape), (&device, dtype)).require_grad()
        })
    }
}

#[test]
fn gradients_are_those_by_differences() {
    let deep = Shape { layers: 2, bidirectional: true, ..Shape::plain(3, 4) };
    for rows in [kinds().remove(0), kinds().remove(4)] {
        every_layer(deep, &mut Differences(rows));
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    /// Any sizes, masks and resets: the manual engine is the autograd engine.
    #[test]
    fn manual_is_autograd(
        (batch, time, mask, resets) in (1_usize..4, 1_usize..20).prop_flat_map(|(batch, time)| {
            let flags = || proptest::option::of(proptest::collection::vec(any::<bool>(), batch * time));
            (Just(batch), Just(time), flags(), flags())
        }),
        hidden in 1_usize..20,
        layers in 1_usize..3,
        bidirectional: bool,
        hold: bool,
        reset_state: bool,
    ) {
        let rows = Rows { lengths: None, mask, hold, resets, reset_state };
        let shape = Shape { layers, bidirectional, ..Shape::plain(2, hidden) };
        every_layer(shape, &mut Agree { sizes: [batch, time], rows });
    }
}
