//! Streams, chunks, lengths, masks and resets: each is what the same steps give when they are run alone.

use super::*;
use bptt::{MaskedOutput, RecurrentState, Truncated};

const F64: DType = DType::F64;

fn device() -> Device {
    Device::flex()
}

fn plain<L: ScannedLayer>(layer: Scanned<L>) -> Scanned<L> {
    layer.map(&mut Onto(&device(), F64))
}

fn same(found: Tensor<3>, expected: Tensor<3>, what: &str) {
    assert_eq!(found.dims(), expected.dims(), "{what}");
    close(&[numbers(found)], &[numbers(expected)], 1e-12, what);
}

/// Steps, and chunks of odd sizes.
struct Streams;

impl Visit for Streams {
    fn visit<L: ScannedLayer>(&mut self, layer: Scanned<L>) {
        let layer = plain(layer);
        let name = layer.name();
        let input = Noise::new(1).tensor::<3>([2, 13, 3], &device(), F64);
        let (whole, end) = layer.forward(input.clone(), None);
        let (mut state, mut outputs) = (None, Vec::new());
        for t in 0..13 {
            let x = input.clone().narrow(1, t, 1).reshape([2, 3]);
            let (output, after) = layer.step(x, state);
            outputs.push(output.unsqueeze_dim::<3>(1));
            state = Some(after);
        }
        same(Tensor::cat(outputs, 1), whole.clone(), name);
        same(state.expect("steps").hidden, end.hidden.clone(), name);
        let (mut state, mut from) = (None, 0);
        for count in [5, 1, 7] {
            let (output, after) = layer.forward(input.clone().narrow(1, from, count), state);
            same(output, whole.clone().narrow(1, from, count), name);
            (state, from) = (Some(after), from + count);
        }
        same(state.expect("chunks").hidden, end.hidden, name);
    }
}

#[test]
fn steps_and_chunks_are_the_sequence() {
    every_layer(Shape { layers: 2, ..Shape::plain(3, 9) }, &mut Streams);
}

/// Lengths, in both directions.
struct Lengths;

impl Visit for Lengths {
    fn visit<L: ScannedLayer>(&mut self, layer: Scanned<L>) {
        let layer = plain(layer);
        let name = layer.name();
        let lengths = [4, 0, 9, 1];
        let mut input = Noise::new(2).tensor::<3>([4, 9, 3], &device(), F64);
        let state =
            Noise::new(4).tensor::<3>(layer.zero_state(4, &input).hidden.dims(), &device(), F64);
        // Nothing in the padding reaches a result.
        for (row, &length) in lengths.iter().enumerate() {
            let padding = Tensor::full([1, 9 - length, 3], f64::NAN, (&device(), F64));
            if length < 9 {
                input = input.slice_assign([row..row + 1, length..9, 0..3], padding);
            }
        }
        let given = Some(ScannedState::new(state.clone()));
        let (outputs, end) = layer.forward_lengths(input.clone(), &lengths, given.clone());
        let mask: Vec<bool> =
            lengths.iter().flat_map(|&length| (0..9).map(move |t| t < length)).collect();
        let mask = bools(&mask, [4, 9], &device());
        let (masked, _) = layer.forward_masked(input.clone(), mask, MaskedOutput::Zero, given);
        same(masked, outputs.clone(), name);
        for (row, &length) in lengths.iter().enumerate() {
            let row_state = state.clone().narrow(1, row, 1);
            let padding = outputs.clone().narrow(0, row, 1);
            if length < 9 {
                let zeros = numbers(padding.narrow(1, length, 9 - length));
                assert!(zeros.iter().all(|&x| x == 0.0), "{name}: padding of row {row}");
            }
            let row_end = end.hidden.clone().narrow(1, row, 1);
            if length == 0 {
                same(row_end, row_state, name);
                continue;
            }
            let alone = input.clone().narrow(0, row, 1).narrow(1, 0, length);
            let (alone, alone_end) = layer.forward(alone, Some(ScannedState::new(row_state)));
            same(outputs.clone().narrow(0, row, 1).narrow(1, 0, length), alone, name);
            same(row_end, alone_end.hidden, name);
        }
    }
}

#[test]
fn rows_of_any_length_are_each_alone() {
    every_layer(Shape { layers: 2, bidirectional: true, ..Shape::plain(3, 5) }, &mut Lengths);
}

/// A row with resets is its parts, run one by one; also if a part has no numbers.
struct Resets;

impl Visit for Resets {
    fn visit<L: ScannedLayer>(&mut self, layer: Scanned<L>) {
        for kernel in [Kernel::Auto, Kernel::Reference] {
            let layer = plain(layer.clone()).with_kernel(kernel);
            let name = layer.name();
            let mut input = Noise::new(6).tensor::<3>([1, 11, 3], &device(), F64);
            let spoilt = Tensor::full([1, 1, 3], f64::NAN, (&device(), F64));
            input = input.slice_assign([0..1, 5..6, 0..3], spoilt);
            let cuts = [0, 3, 4, 8, 11];
            let flags: Vec<bool> = (0..11).map(|t| t > 0 && cuts.contains(&t)).collect();
            let mut dims = layer.zero_state(1, &input).hidden.dims();
            let state = ScannedState::new(Noise::new(8).tensor::<3>(dims, &device(), F64));
            dims[1] = 1;
            let reset = ScannedState::new(Noise::new(9).tensor::<3>(dims, &device(), F64));
            let options = SequenceOptions::new()
                .with_resets(bools(&flags, [1, 11], &device()))
                .with_reset_state(reset.clone());
            let (outputs, end) = layer.forward_with(input.clone(), &options, Some(state.clone()));
            let mut begin = state;
            for steps in cuts.windows(2) {
                let count = steps[1] - steps[0];
                let part = input.clone().narrow(1, steps[0], count);
                let (alone, alone_end) = layer.forward(part, Some(begin));
                let here = outputs.clone().narrow(1, steps[0], count);
                if steps[0] == 4 {
                    assert!(numbers(here).iter().any(|x| x.is_nan()));
                } else {
                    same(here, alone, name);
                }
                if steps[1] == 11 {
                    same(end.hidden.clone(), alone_end.hidden, name);
                }
                begin = reset.clone();
            }
        }
    }
}

#[test]
fn a_row_with_resets_is_its_parts() {
    every_layer(Shape { layers: 2, ..Shape::plain(3, 5) }, &mut Resets);
}

/// Padding without numbers spoils no gradient.
struct Padding;

impl Visit for Padding {
    fn visit<L: ScannedLayer>(&mut self, layer: Scanned<L>) {
        let device = Device::flex().autodiff();
        for (engine, kernel) in [
            (Engine::Manual, Kernel::Auto),
            (Engine::Manual, Kernel::Reference),
            (Engine::Autograd, Kernel::Auto),
        ] {
            let layer = layer.clone().with_engine(engine).with_kernel(kernel);
            let input = Noise::new(1).tensor::<3>([2, 6, 3], &device, DType::F32);
            let spoilt = Tensor::full([1, 3, 3], f32::NAN, &device);
            let input = input.slice_assign([0..1, 3..6, 0..3], spoilt).require_grad();
            let (outputs, end) = layer.forward_lengths(input.clone(), &[3, 6], None);
            let gradients = (outputs.sum() + end.hidden.sum()).backward();
            let mut collect = Collect(&gradients, Vec::new());
            layer.visit(&mut collect);
            let mut all = collect.1;
            all.push(numbers(input.grad(&gradients).expect("tracked")));
            let all: Vec<f64> = all.concat();
            assert!(all.iter().all(|x| x.is_finite()), "{} {engine:?} {kernel:?}", layer.name());
        }
    }
}

#[test]
fn padding_without_numbers_spoils_no_gradient() {
    every_layer(Shape { layers: 2, ..Shape::plain(3, 5) }, &mut Padding);
}

/// Windows as long as the sequence have the whole gradient; the generic interface carries the state.
struct Windows;

impl Visit for Windows {
    fn visit<L: ScannedLayer>(&mut self, layer: Scanned<L>) {
        let device = Device::flex().autodiff();
        let layer = layer.map(&mut Onto(&device, F64));
        let input = Noise::new(1).tensor::<3>([2, 12, 3], &device, F64);
        let gradients_of = |parts: Vec<Gradients>| -> Vec<Vec<f64>> {
            let lists = parts.iter().map(|gradients| {
                let mut collect = Collect(gradients, Vec::new());
                layer.visit(&mut collect);
                collect.1
            });
            lists
                .reduce(|a, b| {
                    let sum = |(a, b): (Vec<f64>, Vec<f64>)| {
                        a.iter().zip(&b).map(|(a, b)| a + b).collect()
                    };
                    a.into_iter().zip(b).map(sum).collect()
                })
                .expect("a part")
        };
        let whole = layer.forward(input.clone(), None).0.powf_scalar(2.0).sum().backward();
        let mut truncated = Truncated::new(12, 4, 12, None);
        let mut windows = Vec::new();
        while let Some(window) = truncated.next(&layer, |steps| input.clone().slice([0..2, steps]))
        {
            windows.push(window.outputs.powf_scalar(2.0).sum().backward());
        }
        assert_eq!(windows.len(), 3);
        close(&gradients_of(windows), &gradients_of(vec![whole]), 1e-11, layer.name());
    }
}

#[test]
fn truncated_windows_of_full_depth_have_the_whole_gradient() {
    every_layer(Shape::plain(3, 5), &mut Windows);
}

#[test]
fn rows_of_a_state_can_be_selected() {
    let layer = MinGruConfig::new(3, 4).init(&device());
    let input = Noise::new(1).tensor::<3>([3, 5, 3], &device(), DType::F32);
    let (_, end) = layer.forward(input, None);
    let second = end.clone().select_rows(Tensor::from_data([1], &device()));
    assert_eq!(numbers(second.hidden), numbers(end.hidden.narrow(1, 1, 1)));
}
