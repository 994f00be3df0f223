//! A stack as one operation has the same bits as layer after layer, for any number of threads.

use bptt_cells::{Cell, Components, GruResetBefore, Lstm, RnnTanh};
use bptt_kernels::{AnyTensor, Operand, Operands, Plan, recurrent, recurrent_stack, runs_as_stack};
use burn::Tensor;
use burn::tensor::{DType, Device, Distribution, TensorData};
use rayon::ThreadPoolBuilder;

/// The operands of a layer, without its input.
fn operands<C: Cell>([batch, width, hidden]: [usize; 3], dtype: DType) -> Operands<AnyTensor> {
    let device = Device::flex();
    let rows = C::GATES * hidden;
    let memories = C::Memory::<f64>::LEN;
    let scale = Distribution::Normal(0.0, 0.3);
    let matrix = |shape: [usize; 2]| -> AnyTensor {
        Tensor::<2>::random(shape, scale, &device).cast(dtype).into()
    };
    let vector = || -> AnyTensor { Tensor::<1>::random([rows], scale, &device).cast(dtype).into() };
    let memory = || -> AnyTensor {
        Tensor::<3>::random([memories, batch, hidden], scale, &device).cast(dtype).into()
    };
    Operands::new()
        .with(Operand::WeightIh, matrix([rows, width]))
        .with(Operand::WeightHh, matrix([rows, hidden]))
        .with(Operand::BiasIh, vector())
        .with(Operand::BiasHh, vector())
        .with(Operand::Hidden, matrix([batch, hidden]))
        .with_optional(Operand::Memory, (memories > 0).then(memory))
}

/// The outputs and all final states.
type Found = Vec<TensorData>;

fn layer_after_layer<C: Cell>(layers: Vec<(Operands<AnyTensor>, Plan<C>)>) -> Found {
    let mut states = vec![];
    let mut input = None;
    for (mut operands, plan) in layers {
        if let Some(input) = input.take() {
            let input: Tensor<3> = input;
            operands.set(Operand::Input, Some(input.into()));
        }
        let done = recurrent(operands, plan);
        states.push(done.hidden.into_data());
        states.extend(done.memory.map(Tensor::into_data));
        input = Some(done.outputs);
    }
    let outputs = input.expect("there is a layer").into_data();
    std::iter::once(outputs).chain(states).collect()
}

fn as_a_stack<C: Cell>(layers: Vec<(Operands<AnyTensor>, Plan<C>)>) -> Found {
    let done = recurrent_stack(layers);
    let mut all = vec![done.outputs.into_data()];
    for (hidden, memory) in done.states {
        all.push(hidden.into_data());
        all.extend(memory.map(Tensor::into_data));
    }
    all
}

/// Compares a stack of layers with these numbers of units, by one to four threads.
fn check<C: Cell>(cell: C, [time, batch, width]: [usize; 3], hidden: &[usize], dtype: DType) {
    let random = Distribution::Normal(0.0, 1.0);
    let input = Tensor::<3>::random([batch, time, width], random, &Device::flex()).cast(dtype);
    assert!(runs_as_stack(&input.clone().swap_dims(0, 1)));
    let mut below = width;
    let mut layers = vec![];
    for (index, &hidden) in hidden.iter().enumerate() {
        let mut operands = operands::<C>([batch, below, hidden], dtype);
        if index == 0 {
            operands.set(Operand::Input, Some(input.clone().swap_dims(0, 1).into()));
        }
        below = hidden;
        layers.push((operands, Plan::new(cell)));
    }
    for batch_first in [false, true] {
        let mut layers = layers.clone();
        let (operands, plan) = layers.pop().expect("there is a layer");
        layers.push((operands, plan.with_batch_first(batch_first)));
        let expected = layer_after_layer(layers.clone());
        for threads in 1..=4 {
            let pool = ThreadPoolBuilder::new().num_threads(threads).build().expect("threads");
            let found = pool.install(|| as_a_stack(layers.clone()));
            assert!(
                found == expected,
                "{} {dtype:?} {hidden:?} batch first {batch_first}: other bits by {threads}",
                C::NAME,
            );
        }
    }
}

#[test]
fn a_stack_has_the_bits_of_layer_after_layer() {
    for dtype in [DType::F32, DType::F64] {
        // Short steps, which run beside each other; and chunks that do not divide the steps.
        check(Lstm, [403, 1, 37], &[43, 43], dtype);
        check(Lstm, [503, 3, 5], &[24, 24, 24, 24], dtype);
        // Layers of other sizes, which run one after the other.
        check(GruResetBefore, [301, 2, 9], &[40, 16, 33], dtype);
        check(RnnTanh, [1030, 1, 3], &[20, 7], dtype);
    }
    // Large steps, and a batch.
    check(Lstm, [40, 33, 96], &[96, 96], DType::F32);
    check(Lstm, [70, 70, 20], &[64, 64, 32], DType::F32);
}

#[test]
fn what_no_stack_runs_is_refused() {
    let input = |batch, device: &Device| Tensor::<3>::zeros([30, batch, 4], device);
    assert!(runs_as_stack(&input(5, &Device::flex())));
    assert!(!runs_as_stack(&input(1, &Device::flex())), "few rows");
    assert!(!runs_as_stack(&input(5, &Device::flex().autodiff())), "a tape");
    let half = input(5, &Device::flex()).cast(DType::BF16);
    assert!(!runs_as_stack(&half), "outputs are rounded between layers");
}
