//! Sequences with lengths, masks and windows.

use super::{noise, plain, tracked};
use bptt::{
    AnyRecurrent, AnyRecurrentConfig, AnyState, CellKind, Engine, MaskedOutput, PackedSequence,
    RecurrentState, Truncated,
};
use burn::Tensor;
use burn::module::Module;
use burn::tensor::{Bool, Device, TensorData};
use proptest::prelude::*;

/// A layer and its input.
#[derive(Clone, Debug)]
struct Given {
    cell: CellKind,
    engine: Engine,
    /// `[T, B, I, H]`
    sizes: [usize; 4],
    num_layers: usize,
    bidirectional: bool,
    batch_first: bool,
    /// `[B, T]`
    mask: Vec<bool>,
    masked_output: MaskedOutput,
}

fn given() -> impl Strategy<Value = Given> {
    let cells = prop::sample::select(vec![CellKind::Rnn, CellKind::Lstm, CellKind::Gru]);
    let engines = prop::sample::select(Engine::ALL.to_vec());
    let masked_output = prop::sample::select(vec![MaskedOutput::Zero, MaskedOutput::Hold]);
    let sizes = (1..12_usize, 1..6_usize, 1..4_usize, 1..10_usize);
    let options = (1..3_usize, any::<bool>(), any::<bool>());
    (cells, engines, masked_output, sizes, options).prop_flat_map(
        |(cell, engine, masked_output, (t, b, i, h), (num_layers, bidirectional, batch_first))| {
            prop::collection::vec(any::<bool>(), t * b).prop_map(move |mask| Given {
                cell,
                engine,
                sizes: [t, b, i, h],
                num_layers,
                bidirectional,
                batch_first,
                mask,
                masked_output,
            })
        },
    )
}

impl Given {
    fn layer(&self, device: &Device) -> AnyRecurrent {
        let [_, _, input, hidden] = self.sizes;
        AnyRecurrentConfig::new(self.cell, input, hidden)
            .with_num_layers(self.num_layers)
            .with_bidirectional(self.bidirectional)
            .with_batch_first(self.batch_first)
            .with_engine(self.engine)
            .init(device)
    }

    /// An input, batch first.
    fn input(&self) -> Tensor<3> {
        let [time, batch, input, _] = self.sizes;
        noise([batch, time, input], &plain())
    }

    fn mask(&self, device: &Device) -> Tensor<2, Bool> {
        let [time, batch, ..] = self.sizes;
        Tensor::from_data(TensorData::new(self.mask.clone(), [batch, time]), device)
    }

    /// Converts between batch first and the layer's layout.
    fn swap(&self, x: Tensor<3>) -> Tensor<3> {
        if self.batch_first { x } else { x.swap_dims(0, 1) }
    }

    /// Outputs (batch first), the state, and the gradients of the input and of all parameters.
    fn run(
        &self,
        layer: &AnyRecurrent,
        input: &Tensor<3>,
        forward: impl Fn(&AnyRecurrent, Tensor<3>) -> (Tensor<3>, AnyState),
    ) -> Vec<TensorData> {
        let leaf = Tensor::from_inner(input.clone()).require_grad();
        let (outputs, state) = forward(layer, self.swap(leaf.clone()));
        let outputs = self.swap(outputs);
        let (hidden, memory) = state.into_parts();
        let mut loss = outputs.clone().sin().sum() + hidden.clone().cos().sum();
        let mut all = vec![outputs.into_data(), hidden.into_data()];
        if let Some(memory) = memory {
            loss = loss + memory.clone().powf_scalar(2.0).sum();
            all.push(memory.into_data());
        }
        let gradients = loss.backward();
        let zeros = || input.zeros_like();
        all.push(leaf.grad(&gradients).unwrap_or_else(zeros).into_data());
        for weights in &layer.weights {
            for weight in [&weights.weight_ih, weights.weight_hh.as_whole().expect("no heads")] {
                all.extend(weight.grad(&gradients).map(Tensor::into_data));
            }
            let bias = weights.bias_hh.as_ref().expect("by default");
            all.extend(bias.grad(&gradients).map(Tensor::into_data));
        }
        all
    }
}

fn numbers(data: &TensorData) -> Vec<f32> {
    data.iter().collect()
}

fn close(a: Tensor<3>, b: Tensor<3>) -> bool {
    let (a, b) = (numbers(&a.into_data()), numbers(&b.into_data()));
    a.len() == b.len() && a.iter().zip(&b).all(|(a, b)| (a - b).abs() < 1e-5)
}

/// The numbers as strings, so that a NaN is equal to itself, and zeros of different sign differ.
fn bits(all: &[TensorData]) -> String {
    format!("{:?}", all.iter().map(numbers).collect::<Vec<_>>())
}

/// Compares outputs, final states and the gradient of the input. The gradients of weights are sums over all rows, so
/// they are left out.
#[test]
fn a_batch_in_two_has_the_bits_of_the_whole() {
    let device = tracked();
    for kind in CellKind::ALL {
        let layer =
            AnyRecurrentConfig::new(kind, 5, 33).with_num_layers(2).with_bidirectional(true);
        let layer = layer.init(&device);
        let input = noise([21, 9, 5], &plain());
        let cotangent = noise([21, 9, layer.d_output()], &plain());
        let run = |rows: std::ops::Range<usize>| {
            let part = |x: &Tensor<3>| x.clone().narrow(0, rows.start, rows.len());
            let leaf = Tensor::from_inner(part(&input)).require_grad();
            let (outputs, state) = layer.forward(leaf.clone(), None);
            let loss = (outputs.clone() * Tensor::from_inner(part(&cotangent))).sum();
            let gradients = loss.backward();
            let hidden = state.hidden.inner().swap_dims(0, 1);
            [outputs.inner(), hidden, leaf.grad(&gradients).expect("it is tracked")]
        };
        let whole = run(0..21);
        for cut in [1, 8, 20] {
            let (first, second) = (run(0..cut), run(cut..21));
            for ((first, second), whole) in first.into_iter().zip(second).zip(&whole) {
                let both = Tensor::cat(vec![first, second], 0);
                assert_eq!(bits(&[both.into_data()]), bits(&[whole.to_data()]), "{kind:?} {cut}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn what_is_left_out_changes_no_bit_and_has_no_gradient(given in given()) {
        let layer = given.layer(&tracked());
        let forward = |layer: &AnyRecurrent, x: Tensor<3>| {
            layer.forward_masked(x, given.mask(&tracked()), given.masked_output, None)
        };
        let input = given.input();
        let [batch, time, width] = input.dims();
        let masked = given.mask(&plain()).bool_not().unsqueeze_dim::<3>(2).expand([batch, time, width]);
        let clean = given.run(&layer, &input, forward);
        for filler in [f32::NAN, f32::INFINITY, -1e30] {
            let filled = input.clone().mask_fill(masked.clone(), filler);
            prop_assert_eq!(bits(&given.run(&layer, &filled, forward)), bits(&clean));
        }
        let at = clean.len() - 1 - 3 * layer.weights.len();
        for (index, d) in numbers(&clean[at]).into_iter().enumerate() {
            prop_assert!(given.mask[index / width] || d == 0.0);
        }
    }

    #[test]
    fn a_row_is_the_row_alone_without_what_it_leaves_out(given in given()) {
        let layer = given.layer(&plain());
        let input = given.input();
        let [_, time, width] = input.dims();
        let (outputs, state) =
            layer.forward_masked(given.swap(input.clone()), given.mask(&plain()), given.masked_output, None);
        let outputs = given.swap(outputs);
        for (row, flags) in given.mask.chunks(time).enumerate() {
            let there: Vec<i32> = (0..time as i32).filter(|&t| flags[t as usize]).collect();
            let of_row = Tensor::<1, burn::tensor::Int>::from_ints([row as i32], &plain());
            let hidden = state.clone().select_rows(of_row).hidden;
            if there.is_empty() {
                prop_assert!(numbers(&hidden.into_data()).iter().all(|&h| h == 0.0));
                continue;
            }
            let count = there.len();
            let there: Tensor<1, burn::tensor::Int> =
                Tensor::from_data(TensorData::new(there, [count]), &plain());
            let alone = input.clone().narrow(0, row, 1).select(1, there.clone());
            prop_assert_eq!(alone.dims(), [1, count, width]);
            let (expected, last) = layer.forward(given.swap(alone), None);
            let found = outputs.clone().narrow(0, row, 1);
            prop_assert!(close(found.clone().select(1, there), given.swap(expected)));
            prop_assert!(close(hidden, last.hidden));
            let found = numbers(&found.into_data());
            if given.masked_output == MaskedOutput::Zero {
                for (index, x) in found.iter().enumerate() {
                    prop_assert!(flags[index / layer.d_output()] || *x == 0.0);
                }
            } else if !given.bidirectional && given.num_layers == 1 {
                // Before its first valid step, a row holds the initial state.
                let mut held = vec![0.0; layer.d_output()];
                for (output, &flag) in found.chunks(layer.d_output()).zip(flags) {
                    if flag {
                        held = output.to_vec();
                    }
                    prop_assert_eq!(&held, output);
                }
            }
        }
    }

    #[test]
    fn lengths_are_a_mask_without_holes(given in given()) {
        let [time, batch, ..] = given.sizes;
        let lengths: Vec<usize> =
            given.mask.chunks(time).map(|row| row.iter().filter(|&&flag| flag).count()).collect();
        let mask = (0..batch).flat_map(|b| (0..time).map(move |t| (b, t)));
        let mask = mask.map(|(b, t)| t < lengths[b]).collect();
        let given = Given { mask, masked_output: MaskedOutput::Zero, ..given };
        let layer = given.layer(&tracked());
        let input = given.input();
        let by_lengths = given.run(&layer, &input, |layer, x| layer.forward_lengths(x, &lengths, None));
        let by_mask = given.run(&layer, &input, |layer, x| {
            layer.forward_masked(x, given.mask(&tracked()), given.masked_output, None)
        });
        prop_assert_eq!(bits(&by_lengths), bits(&by_mask));
    }

    #[test]
    fn packed_sequences_are_padded_ones(given in given()) {
        let [time, ..] = given.sizes;
        let lengths: Vec<usize> =
            given.mask.chunks(time).map(|row| row.iter().filter(|&&flag| flag).count()).collect();
        prop_assume!(lengths.iter().any(|&length| length > 0));
        let layer = given.layer(&plain());
        let input = given.swap(given.input());
        let (expected, end) = layer.forward_lengths(input.clone(), &lengths, None);
        let packed = PackedSequence::pack(input, &lengths, given.batch_first);
        let valid: usize = lengths.iter().sum();
        prop_assert_eq!(packed.data().dims(), [valid, layer.d_input()]);
        prop_assert_eq!(packed.batch_sizes().iter().sum::<usize>(), valid);
        prop_assert!(packed.batch_sizes().is_sorted_by(|a, b| a >= b));
        let (outputs, state) = layer.forward_packed(&packed, None);
        let (outputs, again) = outputs.pad(given.batch_first);
        let longest = lengths.iter().copied().max().unwrap_or(0);
        let expected = expected.narrow(if given.batch_first { 1 } else { 0 }, 0, longest);
        prop_assert_eq!(again, lengths);
        // The autograd engine uses Burn's product, whose order of summation depends on the number of rows.
        if given.engine == Engine::Autograd {
            prop_assert!(close(outputs, expected) && close(state.hidden, end.hidden));
            return Ok(());
        }
        // Another number of steps gives other tiles, but the same sums.
        prop_assert_eq!(bits(&[outputs.into_data()]), bits(&[expected.into_data()]));
        prop_assert_eq!(bits(&[state.hidden.into_data()]), bits(&[end.hidden.into_data()]));
    }

    #[test]
    fn windows_that_reach_back_to_the_beginning_are_the_whole(given in given(), every in 1..5_usize) {
        let given = Given { bidirectional: false, ..given };
        let [time, batch, ..] = given.sizes;
        let layer = given.layer(&tracked());
        let input = Tensor::from_inner(given.input());
        let loss = |outputs: Tensor<3>| outputs.sin().sum();
        let whole = loss(layer.forward(given.swap(input.clone()), None).0).backward();

        let mut sums: Vec<Tensor<2>> = Vec::new();
        let mut seen = 0;
        let mut truncated = Truncated::new(time, every, time.max(every), None);
        while let Some(window) = truncated.next(&layer, |steps| {
            given.swap(input.clone().slice([0..batch, steps]))
        }) {
            prop_assert_eq!((window.steps.start, window.reach), (seen, 0));
            seen = window.steps.end;
            let gradients = loss(window.outputs).backward();
            for (index, weights) in layer.weights.iter().enumerate() {
                let d = weights.weight_hh.grad(&gradients).expect("tracked");
                match sums.get_mut(index) {
                    Some(sum) => *sum = sum.clone() + d,
                    None => sums.push(d),
                }
            }
        }
        prop_assert_eq!(seen, time);
        for (sum, weights) in sums.into_iter().zip(&layer.weights) {
            let expected = weights.weight_hh.grad(&whole).expect("tracked");
            let off = (sum - expected.clone()).abs().max().into_scalar::<f32>();
            prop_assert!(off <= 1e-5 * (1.0 + expected.abs().max().into_scalar::<f32>()), "{off}");
        }
    }
}

#[test]
fn a_window_reaches_back_as_far_as_it_says() {
    // The gradient of each window is the gradient of the same steps, from a state that is detached at the first step
    // that it reaches.
    let given = Given {
        cell: CellKind::Gru,
        engine: Engine::Manual,
        sizes: [23, 2, 3, 4],
        num_layers: 2,
        bidirectional: false,
        batch_first: true,
        mask: Vec::new(),
        masked_output: MaskedOutput::Zero,
    };
    let layer = given.layer(&tracked());
    let input = Tensor::from_inner(given.input());
    let part = |steps| input.clone().slice([0..2, steps]);
    for (every, depth) in [(1, 1), (4, 4), (3, 7), (5, 6), (2, 30)] {
        let mut truncated = Truncated::new(23, every, depth, None);
        while let Some(window) = truncated.next(&layer, part) {
            assert!(window.reach == 0 || window.steps.end - window.reach <= depth);
            let state =
                (window.reach > 0).then(|| layer.forward(part(0..window.reach), None).1.detach());
            let (outputs, _) = layer.forward(part(window.reach..window.steps.end), state);
            let from = window.steps.start - window.reach;
            let outputs = outputs.narrow(1, from, window.steps.len());
            let [got, expected] = [window.outputs, outputs].map(|outputs| {
                let gradients = outputs.powf_scalar(2.0).sum().backward();
                layer.weights[0].weight_hh.grad(&gradients).expect("tracked")
            });
            let off = (got - expected).abs().max().into_scalar::<f32>();
            assert!(
                off < 1e-5,
                "every {every}, depth {depth}, {window:?}: {off}",
                window = window.steps
            );
        }
    }
}

#[cfg(target_os = "linux")]
#[test]
fn memory_does_not_grow_with_the_number_of_windows() {
    let _alone = super::MEMORY.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    for engine in Engine::BACKWARD {
        let layer = AnyRecurrentConfig::new(CellKind::Lstm, 8, 32).with_engine(engine);
        let layer = layer.init(&tracked());
        // If all tapes were kept, they would take 60 MB or more.
        let mut truncated = Truncated::new(10_000, 10, 10, None);
        let mut base = 0;
        let mut count = 0;
        while let Some(window) =
            truncated.next(&layer, |steps| noise([4, steps.len(), 8], &tracked()))
        {
            window.outputs.sum().backward();
            count += 1;
            if count == 100 {
                base = super::resident();
            }
        }
        let grown = super::resident().saturating_sub(base);
        assert!(
            count == 1000 && grown < 16 << 20,
            "{engine:?}: {grown} bytes after {count} windows"
        );
    }
}

#[test]
fn a_mask_of_another_shape_is_named_with_what_was_expected() {
    let layer = AnyRecurrentConfig::new(CellKind::Rnn, 3, 4).init(&plain()).no_grad();
    let mask = Tensor::<2, Bool>::from_data([[true, false]], &plain());
    let panic = super::complaint(|| {
        layer.forward_masked(noise([2, 5, 3], &plain()), mask, MaskedOutput::Zero, None)
    });
    assert_eq!(
        panic,
        "rnn-tanh: the mask has shape [1, 2] for an input of shape [2, 5, 3]: expected [B, T] = [2, 5]"
    );
}
