//! Both directions as one operation have the same bits as each direction by itself, for any number of threads.

use bptt_cells::{Cell, Components, GruResetBefore, Lstm, RnnTanh};
use bptt_kernels::{
    AnyTensor, BothDirections, Kept, MaskedOutput, Operand, Operands, Plan, SequenceMask,
    StepNoise, recurrent, recurrent_both,
};
use burn::Tensor;
use burn::tensor::{DType, Device, Distribution, TensorData};
use rayon::ThreadPoolBuilder;

/// `T`, `B`, `I`, `H`: enough work for two directions at once, and sizes that fill no register.
const SIZES: [usize; 4] = [23, 5, 11, 43];

/// The operands of a direction: leaves on the tape, or constants.
fn operands<C: Cell>(
    dtype: DType,
    output: Option<usize>,
    input: &Tensor<3>,
) -> Operands<AnyTensor> {
    let [_, batch, width, hidden] = SIZES;
    let rows = C::GATES * hidden;
    let memories = C::Memory::<f64>::LEN;
    let device = Device::flex().autodiff();
    let scale = Distribution::Normal(0.0, 0.3);
    let leaf = |shape: [usize; 2]| -> AnyTensor {
        Tensor::<2>::random(shape, scale, &device).cast(dtype).detach().require_grad().into()
    };
    let vector = || -> AnyTensor {
        Tensor::<1>::random([rows], scale, &device).cast(dtype).detach().require_grad().into()
    };
    let memory = || -> AnyTensor {
        let memory = Tensor::<3>::random([memories, batch, hidden], scale, &device);
        memory.cast(dtype).detach().require_grad().into()
    };
    let state = output.unwrap_or(hidden);
    Operands::new()
        .with(Operand::Input, input.clone())
        .with(Operand::WeightIh, leaf([rows, width]))
        .with(Operand::WeightHh, leaf([rows, state]))
        .with(Operand::BiasIh, vector())
        .with(Operand::BiasHh, vector())
        .with_optional(Operand::WeightHr, output.map(|output| leaf([output, hidden])))
        .with(Operand::Hidden, leaf([batch, state]))
        .with_optional(Operand::Memory, (memories > 0).then(memory))
}

/// The bytes of all results and of all gradients.
fn bytes(
    done: BothDirections,
    operands: &[Operands<AnyTensor>; 2],
    loss: impl Fn(&Tensor<3>) -> Tensor<3>,
) -> Vec<TensorData> {
    let BothDirections { outputs, hidden, memory } = done;
    let mut all = vec![outputs.clone().into_data()];
    let mut sum = (outputs.clone() * loss(&outputs)).sum();
    for (hidden, memory) in hidden.into_iter().zip(memory) {
        all.push(hidden.clone().into_data());
        sum = sum + (hidden.clone() * hidden).sum();
        if let Some(memory) = memory {
            all.push(memory.clone().into_data());
            sum = sum + memory.mul_scalar(0.7).sum();
        }
    }
    let gradients = sum.backward();
    for operands in operands {
        for (_, tensor) in operands.iter() {
            all.push(match tensor {
                AnyTensor::Vector(x) => x.grad(&gradients).expect("a leaf").into_data(),
                AnyTensor::Matrix(x) => x.grad(&gradients).expect("a leaf").into_data(),
                AnyTensor::Cube(x) => x.grad(&gradients).expect("a leaf").into_data(),
            });
        }
    }
    all
}

/// Compares both directions at once, by one to four threads, with each direction by itself, by one thread.
fn check<C: Cell>(
    cell: C,
    dtype: DType,
    output: Option<usize>,
    change: impl Fn(Plan<C>) -> Plan<C> + Sync,
) {
    let [time, batch, width, hidden] = SIZES;
    let device = Device::flex().autodiff();
    let random = |shape: [usize; 3]| Tensor::<3>::random(shape, Distribution::Default, &device);
    // Batch first in memory, as in a layer.
    let input = random([batch, time, width]).cast(dtype).detach().require_grad();
    let leaves = [operands::<C>(dtype, output, &input), operands::<C>(dtype, output, &input)];
    let of_outputs = random([time, batch, 2 * output.unwrap_or(hidden)]).cast(dtype).detach();
    let plan = |reverse| change(Plan::new(cell).with_reverse(reverse));
    let loss = |outputs: &Tensor<3>| match outputs.dims()[0] == time {
        true => of_outputs.clone(),
        false => of_outputs.clone().swap_dims(0, 1),
    };
    let by = |threads: usize, together: bool| {
        let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
        pool.install(|| {
            let plans = [plan(false), plan(true)];
            let view = input.clone().swap_dims(0, 1);
            let operands = leaves
                .clone()
                .map(|operands| operands.with(Operand::Input, AnyTensor::from(view.clone())));
            let done = match together {
                true => recurrent_both(operands, plans),
                false => {
                    let [first, second] = operands;
                    let [forward, backward] = plans;
                    BothDirections::of([recurrent(first, forward), recurrent(second, backward)])
                }
            };
            bytes(done, &leaves, loss)
        })
    };
    let expected = by(1, false);
    for threads in 1..=4 {
        let found = by(threads, true);
        assert!(found == expected, "{} {dtype:?} {output:?}: other bits by {threads}", C::NAME);
    }
}

#[test]
fn both_directions_at_once_have_the_bits_of_each_by_itself() {
    let [time, batch, _, hidden] = SIZES;
    for dtype in [DType::F32, DType::F64, DType::BF16] {
        check(Lstm, dtype, None, |plan| plan);
        check(GruResetBefore, dtype, None, |plan| plan.with_batch_first(true));
    }
    check(Lstm, DType::F32, Some(9), |plan| plan.with_batch_first(true));
    check(RnnTanh, DType::F32, None, |plan| plan);
    check(Lstm, DType::F32, None, |plan| plan.with_trace_budget(Some(60_000)));
    let lengths = [time, 3, 0, 17, 20];
    for masked_output in [MaskedOutput::Zero, MaskedOutput::Hold] {
        check(Lstm, DType::F32, None, |plan| {
            let resets = (0..time * batch).map(|i| i * 11 % 7 == 3).collect();
            plan.with_mask(Some(SequenceMask::Lengths(lengths.into())))
                .with_masked_output(masked_output)
                .with_resets(Some(resets))
        });
    }
    let noise = StepNoise::new()
        .with_state_mask(Some((0..batch * hidden).map(|i| (i % 3) as f32).collect()))
        .with_kept_hidden(Some(Kept::Constant(0.1)))
        .with_kept_memory(Some(Kept::Constant(0.2)));
    check(Lstm, DType::F64, None, |plan| plan.with_noise(Some(noise.clone())));
}

/// A direction whose operands nobody wants gradients of keeps no trace, and the other has the same gradients.
#[test]
fn a_direction_may_be_constant() {
    let [time, batch, width, _] = SIZES;
    let device = Device::flex().autodiff();
    let input = Tensor::<3>::random([time, batch, width], Distribution::Default, &device);
    let of = |operands: Operands<AnyTensor>| {
        let [first, second] = [
            operands.clone(),
            operands.map(|x| match x {
                AnyTensor::Vector(x) => AnyTensor::from(x.detach().set_require_grad(false)),
                AnyTensor::Matrix(x) => AnyTensor::from(x.detach().set_require_grad(false)),
                AnyTensor::Cube(x) => AnyTensor::from(x.detach().set_require_grad(false)),
            }),
        ];
        [first, second]
    };
    let [first, second] = of(operands::<Lstm>(DType::F32, None, &input));
    let grad = |done: BothDirections| {
        let gradients = done.outputs.sum().backward();
        let AnyTensor::Matrix(weight) = first.need(Operand::WeightHh) else { unreachable!() };
        weight.grad(&gradients).expect("a leaf").into_data()
    };
    let plans = || [Plan::new(Lstm), Plan::new(Lstm).with_reverse(true)];
    let together = recurrent_both([first.clone(), second.clone()], plans());
    let [forward, backward] = plans();
    let apart = BothDirections::of([
        recurrent(first.clone(), forward),
        recurrent(second.clone(), backward),
    ]);
    assert_eq!(grad(together), grad(apart));
    // Without any tracked operand there is no node.
    let constant = recurrent_both([second.clone(), second], plans());
    assert!(!constant.outputs.is_require_grad());
}

/// A loss of the state alone.
#[test]
fn the_loss_may_be_of_one_state() {
    let [time, batch, width, _] = SIZES;
    let device = Device::flex().autodiff();
    let input = Tensor::<3>::random([time, batch, width], Distribution::Default, &device);
    let both =
        [operands::<Lstm>(DType::F32, None, &input), operands::<Lstm>(DType::F32, None, &input)];
    let plans = || [Plan::new(Lstm), Plan::new(Lstm).with_reverse(true)];
    let AnyTensor::Matrix(weight) = both[1].need(Operand::WeightIh) else { unreachable!() };
    let of = |hidden: Tensor<2>| {
        let gradients = hidden.sum().backward();
        weight.grad(&gradients).expect("a leaf").into_data()
    };
    let together = recurrent_both(both.clone(), plans());
    let [_, backward] = plans();
    let apart = recurrent(both[1].clone(), backward);
    assert_eq!(of(together.hidden[1].clone()), of(apart.hidden));
}
