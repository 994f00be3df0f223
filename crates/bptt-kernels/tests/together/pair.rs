//! Two layers on the tape as one operation have the same bits as one after the other, forward and backward, for any number
//! of threads.

use bptt_cells::{Cell, Components, GruResetBefore, Lstm, RnnTanh};
use bptt_kernels::{AnyTensor, CellLayout, Operand, Operands, Plan};
use bptt_kernels::{recurrent, recurrent_pair, runs_as_pair};
use burn::Tensor;
use burn::tensor::{DType, Device, Distribution, Gradients, TensorData};
use rayon::ThreadPoolBuilder;

/// The operands of a layer, without its input: leaves on the tape.
fn operands<C: Cell>(
    [batch, width, hidden]: [usize; 3],
    output: Option<usize>,
    dtype: DType,
) -> Operands<AnyTensor> {
    let device = Device::flex().autodiff();
    let (rows, state) = (C::GATES * hidden, output.unwrap_or(hidden));
    let memories = C::Memory::<f64>::LEN;
    let scale = Distribution::Normal(0.0, 0.3);
    let matrix = |shape: [usize; 2]| -> AnyTensor {
        Tensor::<2>::random(shape, scale, &device).cast(dtype).detach().require_grad().into()
    };
    let vector = || -> AnyTensor {
        Tensor::<1>::random([rows], scale, &device).cast(dtype).detach().require_grad().into()
    };
    let memory = || -> AnyTensor {
        let memory = Tensor::<3>::random([memories, batch, hidden], scale, &device);
        memory.cast(dtype).detach().require_grad().into()
    };
    Operands::new()
        .with(Operand::WeightIh, matrix([rows, width]))
        .with(Operand::WeightHh, matrix([rows, state]))
        .with(Operand::BiasIh, vector())
        .with(Operand::BiasHh, vector())
        .with_optional(Operand::WeightHr, output.map(|output| matrix([output, hidden])))
        .with(Operand::Hidden, matrix([batch, state]))
        .with_optional(Operand::Memory, (memories > 0).then(memory))
}

/// Constants in place of leaves.
fn constant(operands: Operands<AnyTensor>) -> Operands<AnyTensor> {
    operands.map(|x| match x {
        AnyTensor::Vector(x) => AnyTensor::from(x.detach().set_require_grad(false)),
        AnyTensor::Matrix(x) => AnyTensor::from(x.detach().set_require_grad(false)),
        AnyTensor::Cube(x) => AnyTensor::from(x.detach().set_require_grad(false)),
    })
}

fn gradient(tensor: &AnyTensor, gradients: &Gradients) -> Option<TensorData> {
    match tensor {
        AnyTensor::Vector(x) => x.grad(gradients).map(Tensor::into_data),
        AnyTensor::Matrix(x) => x.grad(gradients).map(Tensor::into_data),
        AnyTensor::Cube(x) => x.grad(gradients).map(Tensor::into_data),
    }
}

/// Which results the loss depends on.
#[derive(Clone, Copy, Debug, PartialEq)]
enum Loss {
    All,
    LowerState,
}

/// A layer's final state.
type State = (Tensor<2>, Option<Tensor<3>>);

/// All results and gradients.
fn found(
    (outputs, states): (Tensor<3>, [State; 2]),
    loss: Loss,
    leaves: &[Operands<AnyTensor>; 2],
) -> Vec<Option<TensorData>> {
    let mut all = vec![Some(outputs.clone().into_data())];
    let mut sum = match loss {
        Loss::All => Some((outputs.clone() * outputs).sum()),
        Loss::LowerState => None,
    };
    for (layer, (hidden, memory)) in states.into_iter().enumerate() {
        all.push(Some(hidden.clone().into_data()));
        all.extend(memory.iter().map(|memory| Some(memory.clone().into_data())));
        if loss == Loss::All || layer == 0 {
            let square = (hidden.clone() * hidden).sum();
            sum = Some(sum.map_or(square.clone(), |sum| sum + square));
            if let Some(memory) = memory {
                sum = sum.map(|sum| sum + memory.mul_scalar(0.7).sum());
            }
        }
    }
    let gradients = sum.expect("a loss").backward();
    // Layer after layer, the upper one has no gradients if the loss does not depend on it; as a pair, it has zeros.
    let reached = if loss == Loss::All { leaves } else { &leaves[..1] };
    let leaves = reached.iter().flat_map(|operands| operands.iter());
    all.extend(leaves.map(|(_, leaf)| gradient(leaf, &gradients)));
    all
}

/// Compares two layers with these leaves, by one to four threads.
fn check_leaves<C: Cell>(
    cell: C,
    leaves: &[Operands<AnyTensor>; 2],
    batch_first: bool,
    loss: Loss,
    what: &str,
) {
    let plans = || [Plan::new(cell), Plan::new(cell).with_batch_first(batch_first)];
    let by = |threads: usize, together: bool| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let [mut lower, upper] = leaves.clone();
            let AnyTensor::Cube(input) = lower.take(Operand::Input).expect("it has one") else {
                unreachable!()
            };
            // Batch first in memory, as in a layer.
            let lower = lower.with(Operand::Input, input.swap_dims(0, 1));
            let done = match together {
                true => {
                    let done = recurrent_pair([lower, upper], plans());
                    let ([lower, upper], [in_lower, in_upper]) = (done.hidden, done.memory);
                    (done.outputs, [(lower, in_lower), (upper, in_upper)])
                }
                false => {
                    let [first, second] = plans();
                    let lower = recurrent(lower, first);
                    let upper = recurrent(upper.with(Operand::Input, lower.outputs), second);
                    let states = [(lower.hidden, lower.memory), (upper.hidden, upper.memory)];
                    (upper.outputs, states)
                }
            };
            found(done, loss, leaves)
        })
    };
    let expected = by(1, false);
    for threads in 1..=4 {
        let found = by(threads, true);
        let same: Vec<_> = found.iter().zip(&expected).map(|(a, b)| a == b).collect();
        assert!(found == expected, "{} {what} {loss:?}, {threads} threads: {same:?}", C::NAME);
    }
}

fn check<C: Cell>(
    cell: C,
    [time, batch, width, hidden]: [usize; 4],
    output: Option<usize>,
    dtype: DType,
) {
    let device = Device::flex().autodiff();
    let input = Tensor::<3>::random([batch, time, width], Distribution::Default, &device);
    let input = input.cast(dtype).detach().require_grad();
    let below = output.unwrap_or(hidden);
    let leaves = [
        operands::<C>([batch, width, hidden], output, dtype).with(Operand::Input, input),
        operands::<C>([batch, below, hidden], output, dtype),
    ];
    let what = format!("{dtype:?} {time} {batch} {width} {hidden} {output:?}");
    check_leaves(cell, &leaves, false, Loss::All, &what);
    check_leaves(cell, &leaves, true, Loss::All, &what);
    check_leaves(cell, &leaves, false, Loss::LowerState, &what);
}

#[test]
fn a_pair_has_the_bits_of_one_layer_after_the_other() {
    for dtype in [DType::F32, DType::F64] {
        // Short steps, which run beside each other, in chunks that do not divide the steps, and in one or several blocks of
        // the backward pass.
        check(Lstm, [403, 1, 37, 43], None, dtype);
        check(Lstm, [101, 3, 5, 40], None, dtype);
        check(GruResetBefore, [200, 2, 9, 40], None, dtype);
    }
    check(Lstm, [350, 1, 21, 43], Some(19), DType::F32);
    check(RnnTanh, [530, 1, 23, 70], None, DType::F32);
    // Large steps, which run one after the other.
    check(Lstm, [20, 33, 96, 96], None, DType::F32);
}

/// If nobody wants the gradients of a layer.
#[test]
fn a_layer_may_be_constant() {
    let device = Device::flex().autodiff();
    let input = Tensor::<3>::random([2, 120, 11], Distribution::Default, &device).detach();
    let lower = operands::<Lstm>([2, 11, 44], None, DType::F32);
    let lower = lower.with(Operand::Input, input.require_grad());
    let upper = operands::<Lstm>([2, 44, 44], None, DType::F32);
    let leaves = [lower, upper];
    let [lower, upper] = leaves.clone();
    for leaves in [[constant(lower), leaves[1].clone()], [leaves[0].clone(), constant(upper)]] {
        check_leaves(Lstm, &leaves, false, Loss::All, "one constant layer");
    }
}

#[test]
fn layers_run_as_a_pair_where_it_pays() {
    let cell = CellLayout::of::<Lstm>();
    let input = |shape: [usize; 3], device: &Device| Tensor::<3>::zeros(shape, device);
    let tape = Device::flex().autodiff();
    let pays = |threads: usize, input: &Tensor<3>, hidden: usize| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| runs_as_pair(&cell, input, [hidden, hidden], 1))
    };
    let short = input([100, 1, 64], &tape);
    assert!(pays(2, &short, 64));
    assert!(!pays(1, &short, 64), "one thread");
    assert!(!pays(2, &input([100, 1, 64], &Device::flex()), 64), "no tape");
    assert!(!pays(2, &short.clone().cast(DType::BF16), 64), "outputs are rounded between layers");
    assert!(!pays(2, &input([100, 32, 64], &tape), 256), "large steps");
    assert!(!pays(2, &input([100, 1, 4], &tape), 4), "little work");
    assert!(!pays(2, &input([30, 4, 64], &tape), 64), "few steps");
}
