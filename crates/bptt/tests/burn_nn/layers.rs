//! Compares outputs, final states and gradients, for all options, in both directions of the conversion.

use crate::{devices, error, flex, noise};
use bptt::burn_nn::ConversionError;
use bptt::{
    Gru, GruState, Lstm, LstmState, Recurrent, RecurrentState, Rnn, RnnState, SequenceCell,
};
use burn::Tensor;
use burn::nn::activation::ActivationConfig;
use burn::nn::{self, Initializer};
use burn::tensor::Device;

const BATCH: usize = 3;
const TIME: usize = 7;
const INPUT: usize = 4;
const HIDDEN: usize = 5;

/// Large enough for gates to differ, and for clips to have an effect.
const DRAWN: Initializer = Initializer::Normal { mean: 0.0, std: 0.7 };

fn input(batch_first: bool, device: &Device) -> Tensor<3> {
    let shape = if batch_first { [BATCH, TIME, INPUT] } else { [TIME, BATCH, INPUT] };
    noise(shape, device)
}

/// Runs a layer on one input, from a given state or from zeros.
type Run<S> = Box<dyn Fn(Tensor<3>, Option<S>) -> (Tensor<3>, S)>;

/// One interface for all layers of `burn::nn`.
trait Theirs<S>: Clone + 'static {
    fn run(self) -> Run<S>;
}

macro_rules! theirs {
    ($($Layer:ident, $State:ty;)*) => {$(
        impl Theirs<$State> for nn::$Layer {
            fn run(self) -> Run<$State> {
                Box::new(move |input, state| {
                    let state = state.map(|state| state.try_into().expect("as many rows"));
                    let (output, state) = self.forward(input, state);
                    (output, state.into())
                })
            }
        }
    )*};
}
theirs! {
    Rnn, RnnState;
    BiRnn, RnnState;
    Lstm, LstmState;
    BiLstm, LstmState;
    BiGru, GruState;
}

impl Theirs<GruState> for nn::Gru {
    fn run(self) -> Run<GruState> {
        Box::new(move |input, state| {
            let state = state.map(|state| state.try_into().expect("one row"));
            let output = self.forward(input, state);
            // Burn's layer does not return its state, which is the last output.
            let last: Tensor<2> = output.clone().narrow(1, TIME - 1, 1).squeeze_dim(1);
            (output, last.into())
        })
    }
}

/// Converts a layer and converts it back. The three layers have to agree, with a state and without.
fn agree<C, T>(case: &str, theirs: T, batch_first: bool, device: &Device, tolerance: f64)
where
    C: SequenceCell,
    T: Theirs<C::State> + TryFrom<Recurrent<C>, Error = ConversionError>,
    Recurrent<C>: TryFrom<T, Error = ConversionError>,
{
    let ours = Recurrent::<C>::try_from(theirs.clone()).expect(case);
    let back = T::try_from(ours.clone()).expect(case);
    assert_eq!(ours.is_batch_first(), batch_first, "{case}");
    let (theirs, back) = (theirs.run(), back.run());
    for with_state in [false, true] {
        let x = input(batch_first, device);
        let state = with_state.then(|| {
            let (hidden, memory) = ours.zero_state(BATCH, &x).into_parts();
            let noisy = |tensor: Tensor<3>| noise(tensor.dims(), device);
            C::State::from_parts(noisy(hidden), memory.map(noisy))
        });
        let (expected, expected_state) = theirs(x.clone(), state.clone());
        let (expected_hidden, expected_memory) = expected_state.into_parts();
        let found = [ours.forward(x.clone(), state.clone()), back(x, state)];
        for (way, (output, state)) in ["ours", "and back"].into_iter().zip(found) {
            let (hidden, memory) = state.into_parts();
            let mut errors = vec![error(&output, &expected), error(&hidden, &expected_hidden)];
            if let (Some(memory), Some(expected)) = (memory, &expected_memory) {
                errors.push(error(&memory, expected));
            }
            for found in errors {
                assert!(found < tolerance, "{case}, {way}, state {with_state}: {found:e}");
            }
        }
    }
}

/// All pairs of two options.
fn both() -> impl Iterator<Item = (bool, bool)> {
    [(false, false), (false, true), (true, false), (true, true)].into_iter()
}

#[test]
fn an_rnn_is_the_same_with_all_its_options() {
    for (device, tolerance) in devices() {
        for activation in [ActivationConfig::Tanh, ActivationConfig::Relu] {
            // With a rectifier, the state may be all zero, and the comparison would show nothing.
            let mean = if matches!(activation, ActivationConfig::Relu) { 0.2 } else { 0.0 };
            for (bias, batch_first) in both() {
                for reverse in [false, true] {
                    let config = nn::RnnConfig::new(INPUT, HIDDEN, bias)
                        .with_initializer(Initializer::Normal { mean, std: 0.4 })
                        .with_hidden_activation(activation.clone())
                        .with_batch_first(batch_first)
                        .with_reverse(reverse);
                    let case = format!("{config:?}");
                    agree(&case, config.init(&device), batch_first, &device, tolerance);
                }
                let config = nn::BiRnnConfig::new(INPUT, HIDDEN, bias)
                    .with_initializer(Initializer::Normal { mean, std: 0.4 })
                    .with_hidden_activation(activation.clone())
                    .with_batch_first(batch_first);
                let case = format!("{config:?}");
                agree(&case, config.init(&device), batch_first, &device, tolerance);
            }
        }
    }
}

#[test]
fn an_lstm_is_the_same_with_all_its_options() {
    for (device, tolerance) in devices() {
        for (input_forget, bias) in both() {
            for clip in [None, Some(0.3)] {
                for (batch_first, reverse) in both() {
                    let config = nn::LstmConfig::new(INPUT, HIDDEN, bias)
                        .with_initializer(DRAWN)
                        .with_input_forget(input_forget)
                        .with_clip(clip)
                        .with_batch_first(batch_first)
                        .with_reverse(reverse);
                    let case = format!("{config:?}");
                    agree(&case, config.init(&device), batch_first, &device, tolerance);
                }
                for batch_first in [false, true] {
                    let config = nn::BiLstmConfig::new(INPUT, HIDDEN, bias)
                        .with_initializer(DRAWN)
                        .with_input_forget(input_forget)
                        .with_clip(clip)
                        .with_batch_first(batch_first);
                    let case = format!("{config:?}");
                    agree(&case, config.init(&device), batch_first, &device, tolerance);
                }
            }
        }
    }
}

#[test]
fn a_gru_is_the_same_with_all_its_options() {
    for (device, tolerance) in devices() {
        for (reset_after, bias) in both() {
            let config = nn::GruConfig::new(INPUT, HIDDEN, bias)
                .with_initializer(DRAWN)
                .with_reset_after(reset_after);
            agree(&format!("{config:?}"), config.init(&device), true, &device, tolerance);
            for batch_first in [false, true] {
                let config = nn::BiGruConfig::new(INPUT, HIDDEN, bias)
                    .with_initializer(DRAWN)
                    .with_reset_after(reset_after)
                    .with_batch_first(batch_first);
                let case = format!("{config:?}");
                agree(&case, config.init(&device), batch_first, &device, tolerance);
            }
        }
    }
}

/// Burn's layer is differentiated by Burn, and ours by the manual engine. So this is one more witness.
#[test]
fn gradients_are_the_same_and_go_to_new_parameters() {
    let device = flex().autodiff();
    let theirs = nn::LstmConfig::new(INPUT, HIDDEN, true).with_initializer(DRAWN).init(&device);
    let ours = Lstm::try_from(theirs.clone()).expect("plain");
    let back = nn::Lstm::try_from(ours.clone()).expect("plain");
    let x = input(true, &device);
    // Each output has its own weight, because a plain sum could hide errors.
    let weight = noise([BATCH, TIME, HIDDEN], &device);
    let gradient = |layer: &nn::Lstm| {
        let grads = (layer.forward(x.clone(), None).0 * weight.clone()).sum().backward();
        let forget_gate = layer.forget_gate.as_ref().expect("uncoupled");
        let gates = [&layer.input_gate, forget_gate, &layer.cell_gate, &layer.output_gate];
        let parts = gates.map(|gate| gate.hidden_transform.weight.grad(&grads).expect("a leaf"));
        Tensor::cat(parts.map(Tensor::transpose).to_vec(), 0)
    };
    let expected = gradient(&theirs);
    let grads = (ours.forward(x.clone(), None).0 * weight.clone()).sum().backward();
    let found = ours.weights[0].weight_hh.grad(&grads).expect("a leaf, and tracked");
    assert!(error(&found, &expected) < 1e-12);
    assert!(error(&gradient(&back), &expected) < 1e-12);
}

#[test]
fn what_is_frozen_stays_frozen_and_layers_without_autodiff_learn_when_they_get_it() {
    use burn::module::Module;
    let tracked = flex().autodiff();
    let config = nn::GruConfig::new(INPUT, HIDDEN, true);
    let frozen = Gru::try_from(config.init(&tracked).no_grad()).expect("frozen as a whole");
    assert!(!frozen.weights[0].weight_ih.is_require_grad());
    let back = nn::Gru::try_from(frozen).expect("and back");
    assert!(!back.new_gate.input_transform.weight.is_require_grad());

    let plain =
        Rnn::try_from(nn::RnnConfig::new(INPUT, HIDDEN, true).init(&flex())).expect("plain");
    assert!(plain.train().weights[0].weight_ih.is_require_grad());
}
