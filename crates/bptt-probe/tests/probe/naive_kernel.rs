//! A kernel written outside of bptt: the derivation in plain loops, one number after the other.
//!
//! It is slow, and short enough to read. It runs on any backend, because it copies the operands to the host.

use bptt::cells::{Backward, Cell, Components, HiddenTerm, Row, State};
use bptt::kernels::{Cotangents, Operand, Operands, Plan, Results, SequenceKernel, Sizes};
use bptt::{Engine, Kernel, MaskedOutput};
use bptt_probe::case::{Case, table};
use bptt_probe::{DType, Setting, device, measure, measure_layer, relative_error};
use burn::backend::tensor::{Device, FloatTensor};
use burn::backend::{Backend, Flex, TensorMetadata};
use burn::tensor::{Shape, TensorData, read_sync};
use std::ops::Range;

/// The kernel.
#[derive(Clone, Copy, Debug)]
pub struct Naive;

/// Of a unit: the saved values of the cell, the memories before and after the step, and `h` before the projection.
type UnitStep = (Vec<f64>, Vec<f64>, Vec<f64>, f64);

/// What the forward pass keeps of a valid step of a row.
#[derive(Clone, Debug)]
pub struct RowStep {
    t: usize,
    b: usize,
    /// `h` before the step, `[P]`.
    hidden_before: Vec<f64>,
    units: Vec<UnitStep>,
}

impl<B: Backend> SequenceKernel<B> for Naive {
    type Trace = Vec<RowStep>;

    fn forward<C: Cell>(
        &self,
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<B>>,
        keep: bool,
    ) -> (Results<FloatTensor<B>>, Option<Vec<RowStep>>) {
        let layer = Layer::of::<B, C>(plan, operands);
        let Sizes { time, batch, hidden, output, memories, .. } = layer.sizes;
        let mut h = layer.numbers(Operand::Hidden).to_vec(); // [B, P]
        let mut c = layer.operands.get(Operand::Memory).cloned().unwrap_or_default(); // [M, B, H]
        let mut outputs = vec![0.0; time * batch * output];
        let mut trace = Vec::new();
        for t in plan.order(time) {
            for b in layer.reset_rows(plan, t) {
                let (in_h, in_c) = layer.state_of_row(b);
                layer.set_back(&mut h, Operand::ResetHidden, in_h);
                in_c.into_iter().for_each(|at| layer.set_back(&mut c, Operand::ResetMemory, at));
            }
            for b in 0..batch {
                let at = layer.output_at(t, b);
                if layer.is_valid(t, b) {
                    let step = layer.step(plan.cell(), t, b, &h[b * output..][..output], &c);
                    for (unit, (_, _, after, _)) in step.units.iter().enumerate() {
                        for m in 0..memories {
                            c[(m * batch + b) * hidden + unit] = after[m];
                        }
                    }
                    let projected = layer.project(&step.units);
                    h[b * output..][..output].copy_from_slice(&projected);
                    outputs[at..][..output].copy_from_slice(&projected);
                    trace.push(step);
                } else if plan.masked_output() == MaskedOutput::Hold {
                    outputs[at..][..output].copy_from_slice(&h[b * output..][..output]);
                }
            }
        }
        let like = operands.need(Operand::Hidden);
        let results = Results {
            outputs: tensor::<B>(outputs, plan.outputs_shape(&layer.sizes), like),
            hidden: tensor::<B>(h, [batch, output], like),
            memory: (memories > 0).then(|| tensor::<B>(c, [memories, batch, hidden], like)),
        };
        (results, keep.then_some(trace))
    }

    fn backward<C: Cell>(
        &self,
        plan: &Plan<C>,
        operands: &Operands<FloatTensor<B>>,
        trace: Vec<RowStep>,
        d_results: Cotangents<FloatTensor<B>>,
        wanted: &Operands<()>,
    ) -> Operands<FloatTensor<B>> {
        let layer = Layer::of::<B, C>(plan, operands);
        let Sizes { time, batch, hidden, output, memories, .. } = layer.sizes;
        let or_zeros = |d: Option<FloatTensor<B>>, size| d.map_or(vec![0.0; size], numbers::<B>);
        let d_outputs = or_zeros(d_results.outputs, time * batch * output);
        let mut d_h = or_zeros(d_results.hidden, batch * output);
        let mut d_c = or_zeros(d_results.memory, memories * batch * hidden);
        let mut d = layer.operands.clone().map(|x| vec![0.0; x.len()]);
        let mut steps = trace.into_iter().rev().peekable();
        for t in plan.order(time).rev() {
            for b in (0..batch).rev() {
                let of_row = &mut d_h[b * output..][..output];
                let d_output = &d_outputs[layer.output_at(t, b)..][..output];
                let is_valid = layer.is_valid(t, b);
                if is_valid || plan.masked_output() == MaskedOutput::Hold {
                    of_row.iter_mut().zip(d_output).for_each(|(sum, d)| *sum += d);
                }
                if is_valid {
                    let step = steps.next().expect("each valid step left its trace");
                    assert!((step.t, step.b) == (t, b));
                    layer.step_backward(plan.cell(), &step, of_row, &mut d_c, &mut d);
                }
            }
            for b in layer.reset_rows(plan, t) {
                let (in_h, in_c) = layer.state_of_row(b);
                move_gradient(&mut d_h, &mut d, Operand::ResetHidden, in_h);
                for at in in_c {
                    move_gradient(&mut d_c, &mut d, Operand::ResetMemory, at);
                }
            }
        }
        d.set(Operand::Hidden, Some(d_h));
        d.set(Operand::Memory, operands.has(Operand::Memory).then_some(d_c));
        let mut gradients = Operands::new();
        for (operand, ()) in wanted.iter() {
            let (of, values) = (operands.need(operand), d.need(operand).clone());
            let values = match operand {
                Operand::WeightHh => of_blocks(&values, &of.shape()),
                _ => values,
            };
            gradients.set(operand, Some(tensor::<B>(values, of.shape(), of)));
        }
        gradients
    }
}

/// A layer's numbers on the host.
struct Layer {
    operands: Operands<Vec<f64>>,
    sizes: Sizes,
    terms: &'static [HiddenTerm],
    mask: Option<bptt::SequenceMask>,
    batch_first: bool,
}

impl Layer {
    fn of<B: Backend, C: Cell>(plan: &Plan<C>, operands: &Operands<FloatTensor<B>>) -> Self {
        let mut all = operands.clone().map(numbers::<B>);
        let shape = operands.get(Operand::WeightHh).map(|weight| weight.shape());
        if let (Some(blocks), Some(shape)) = (all.take(Operand::WeightHh), shape) {
            all.set(Operand::WeightHh, Some(whole(&blocks, &shape)));
        }
        Self {
            operands: all,
            sizes: plan.sizes(|operand| operands.need(operand).shape()),
            terms: C::HIDDEN_TERMS,
            mask: plan.mask().cloned(),
            batch_first: plan.is_batch_first(),
        }
    }

    fn numbers(&self, operand: Operand) -> &[f64] {
        self.operands.need(operand)
    }

    fn is_valid(&self, t: usize, b: usize) -> bool {
        self.mask.as_ref().is_none_or(|mask| mask.is_valid(t, b, self.sizes.batch))
    }

    /// The rows whose state is set back before step `t`.
    fn reset_rows<C: Cell>(&self, plan: &Plan<C>, t: usize) -> Vec<usize> {
        let rows = plan.reset_rows(t, self.sizes.batch).unwrap_or_default();
        (0..rows.len()).filter(|&b| rows[b]).collect()
    }

    /// Where the state of a row is: in `h`, `[B, P]`, and for each memory in `c`, `[M, B, H]`.
    fn state_of_row(&self, b: usize) -> (Range<usize>, Vec<Range<usize>>) {
        let Sizes { batch, hidden, output, memories, .. } = self.sizes;
        let part = |row: usize, width: usize| row * width..(row + 1) * width;
        (part(b, output), (0..memories).map(|m| part(m * batch + b, hidden)).collect())
    }

    /// Replaces a part of a state by that of the reset state, which is zero if it is not given.
    fn set_back(&self, state: &mut [f64], reset: Operand, at: Range<usize>) {
        match self.operands.get(reset) {
            Some(reset) => state[at.clone()].copy_from_slice(&reset[at]),
            None => state[at].fill(0.0),
        }
    }

    fn output_at(&self, t: usize, b: usize) -> usize {
        let Sizes { time, batch, output, .. } = self.sizes;
        (if self.batch_first { b * time + t } else { t * batch + b }) * output
    }

    fn input(&self, t: usize, b: usize) -> &[f64] {
        let Sizes { batch, input, .. } = self.sizes;
        &self.numbers(Operand::Input)[(t * batch + b) * input..][..input]
    }

    /// One row of `weight x + bias`.
    fn row(&self, weight: Operand, bias: Operand, row: usize, x: &[f64]) -> f64 {
        let weight = &self.numbers(weight)[row * x.len()..][..x.len()];
        let bias = self.operands.get(bias).map_or(0.0, |bias| bias[row]);
        bias + weight.iter().zip(x).map(|(w, x)| w * x).sum::<f64>()
    }

    /// The state of a unit before a step. A cell that can be projected does not read `h`.
    fn before<C: Cell>(
        &self,
        h: &[f64],
        unit: usize,
        memory: &[f64],
    ) -> State<f64, C::Memory<f64>> {
        let hidden = if C::PROJECTABLE { 0.0 } else { h[unit] };
        State { hidden, memory: C::Memory::from_vec(memory.to_vec()) }
    }

    /// The same of all units, given the memories of each.
    fn row_before<C: Cell>(
        &self,
        h: &[f64],
        memories: &[Vec<f64>],
    ) -> State<Row<f64>, C::Memory<Row<f64>>> {
        let units = memories.iter().enumerate();
        let units = units.map(|(unit, memory)| self.before::<C>(h, unit, memory).hidden);
        State { hidden: Row(units.collect()), memory: rows(memories) }
    }

    fn step<C: Cell>(&self, cell: &C, t: usize, b: usize, h: &[f64], c: &[f64]) -> RowStep {
        let Sizes { batch, hidden, memories, .. } = self.sizes;
        let x = self.input(t, b);
        let memory = |unit: usize| -> Vec<f64> {
            (0..memories).map(|m| c[(m * batch + b) * hidden + unit]).collect()
        };
        let (ih, hh) = ((Operand::WeightIh, Operand::BiasIh), (Operand::WeightHh, Operand::BiasHh));
        let mut gates = vec![Vec::new(); hidden];
        let mut separate = vec![Vec::new(); hidden];
        for unit in 0..hidden {
            for (gate, term) in self.terms.iter().enumerate() {
                let row = gate * hidden + unit;
                let wx = self.row(ih.0, ih.1, row, x);
                match term {
                    HiddenTerm::Added => gates[unit].push(wx + self.row(hh.0, hh.1, row, h)),
                    HiddenTerm::Separate => {
                        gates[unit].push(wx);
                        separate[unit].push(self.row(hh.0, hh.1, row, h));
                    }
                    HiddenTerm::Gated | HiddenTerm::None => gates[unit].push(wx),
                }
            }
        }
        if self.terms.contains(&HiddenTerm::Gated) {
            let gated = |unit: usize| {
                let before = self.before::<C>(h, unit, &memory(unit));
                cell.gated_hidden(&C::Gates::from_vec(gates[unit].clone()), &before)
            };
            let gated: Vec<f64> = (0..hidden).map(gated).collect();
            let last = self.terms.len() - 1;
            for (unit, gates) in gates.iter_mut().enumerate() {
                gates[last] += self.row(hh.0, hh.1, last * hidden + unit, &gated);
            }
        }
        // The units of a row together, because a cell may couple them.
        let before = self.row_before::<C>(h, &(0..hidden).map(memory).collect::<Vec<_>>());
        let (after, saved) = cell.step(rows(&gates), rows(&separate), &before);
        let (saved, after_memory) = (saved.into_vec(), after.memory.into_vec());
        let units = (0..hidden).map(|unit| {
            (at(&saved, unit), memory(unit), at(&after_memory, unit), after.hidden.0[unit])
        });
        RowStep { t, b, hidden_before: h.to_vec(), units: units.collect() }
    }

    /// `W_hr h`, or `h` without a projection.
    fn project(&self, units: &[UnitStep]) -> Vec<f64> {
        let own: Vec<f64> = units.iter().map(|unit| unit.3).collect();
        let Some(weight) = self.operands.get(Operand::WeightHr) else { return own };
        let product = |row: &[f64]| row.iter().zip(&own).map(|(w, h)| w * h).sum();
        weight.chunks_exact(own.len()).map(product).collect()
    }

    /// Replaces dLoss/dh after the step by dLoss/dh before it, in `d_h`, and the same for the memories in `d_c`.
    fn step_backward<C: Cell>(
        &self,
        cell: &C,
        step: &RowStep,
        d_h: &mut [f64],
        d_c: &mut [f64],
        d: &mut Operands<Vec<f64>>,
    ) {
        let Sizes { batch, input, hidden, output, .. } = self.sizes;
        let (h, last) = (&step.hidden_before, self.terms.len() - 1);
        let mut add = |operand: Operand, at: usize, x: f64| {
            if let Some(mut values) = d.take(operand) {
                values[at] += x;
                d.set(operand, Some(values));
            }
        };

        // Through the projection.
        let mut d_own = d_h.to_vec();
        if let Some(weight) = self.operands.get(Operand::WeightHr) {
            d_own = vec![0.0; hidden];
            for (p, d_h) in d_h.iter().enumerate() {
                for unit in 0..hidden {
                    d_own[unit] += d_h * weight[p * hidden + unit];
                    add(Operand::WeightHr, p * hidden + unit, d_h * step.units[unit].3);
                }
            }
        }

        // Through the cell.
        let place = |m: usize, unit: usize| (m * batch + step.b) * hidden + unit;
        let state = |unit: usize| self.before::<C>(h, unit, &step.units[unit].1);
        let saved = |unit: usize| C::Saved::from_vec(step.units[unit].0.clone());
        let of_units = |part: &dyn Fn(&UnitStep) -> Vec<f64>| -> Vec<Vec<f64>> {
            step.units.iter().map(part).collect()
        };
        let before = self.row_before::<C>(h, &of_units(&|unit| unit.1.clone()));
        let after = State {
            hidden: Row(step.units.iter().map(|unit| unit.3).collect()),
            memory: rows(&of_units(&|unit| unit.2.clone())),
        };
        let d_after = State {
            hidden: Row(d_own),
            memory: C::Memory::from_fn(|m| {
                Row((0..hidden).map(|unit| d_c[place(m, unit)]).collect())
            }),
        };
        let back =
            cell.step_backward(rows(&of_units(&|unit| unit.0.clone())), &before, &after, d_after);
        let (d_gates, d_separate) = (back.d_gates.into_vec(), back.d_separate.into_vec());
        let d_memory = back.d_memory.into_vec();
        let of_unit = |unit: usize| Backward::<C, f64> {
            d_gates: C::Gates::from_vec(at(&d_gates, unit)),
            d_separate: C::Separate::from_vec(at(&d_separate, unit)),
            d_hidden: back.d_hidden.as_ref().map(|d| d.0[unit]),
            d_memory: C::Memory::from_vec(at(&d_memory, unit)),
        };
        let mut backs: Vec<Backward<C, f64>> = (0..hidden).map(of_unit).collect();
        let has_gated = self.terms.contains(&HiddenTerm::Gated);
        let weight_hh = self.operands.get(Operand::WeightHh).map_or(&[][..], Vec::as_slice);
        if has_gated {
            let d_last: Vec<f64> = backs
                .iter_mut()
                .map(|back| {
                    let zeros = C::Gates::from_fn(|_| 0.0);
                    let gates = std::mem::replace(&mut back.d_gates, zeros).into_vec();
                    let d_last = gates[last];
                    back.d_gates = C::Gates::from_vec(gates);
                    d_last
                })
                .collect();
            let d_gated = |k: usize| -> f64 {
                let row = |u: usize| weight_hh[(last * hidden + u) * hidden + k];
                d_last.iter().enumerate().map(|(u, d)| d * row(u)).sum()
            };
            for (unit, back) in std::mem::take(&mut backs).into_iter().enumerate() {
                let (saved, before) = (saved(unit), state(unit));
                backs.push(cell.gated_hidden_backward(&saved, &before, d_gated(unit), back));
            }
            for (u, d_last) in d_last.iter().enumerate() {
                for k in 0..hidden {
                    let gated = cell.gated_hidden_of_saved(&saved(k), &state(k).hidden);
                    add(Operand::WeightHh, (last * hidden + u) * hidden + k, d_last * gated);
                }
                add(Operand::BiasHh, last * hidden + u, *d_last);
            }
        }

        // Through `W` and `U`.
        d_h.fill(0.0);
        let (x, weight_ih) = (self.input(step.t, step.b), self.numbers(Operand::WeightIh));
        for (unit, back) in backs.into_iter().enumerate() {
            let Backward { d_gates, d_separate, d_hidden, d_memory } = back;
            if let Some(d_hidden) = d_hidden {
                d_h[unit] += d_hidden;
            }
            for (m, d) in d_memory.into_vec().into_iter().enumerate() {
                d_c[place(m, unit)] = d;
            }
            let mut separate = d_separate.into_vec().into_iter();
            for (gate, d_gate) in d_gates.into_vec().into_iter().enumerate() {
                let row = gate * hidden + unit;
                for (i, x) in x.iter().enumerate() {
                    add(Operand::WeightIh, row * input + i, d_gate * x);
                    let at = (step.t * batch + step.b) * input + i;
                    add(Operand::Input, at, d_gate * weight_ih[row * input + i]);
                }
                add(Operand::BiasIh, row, d_gate);
                let d_outer = match self.terms[gate] {
                    HiddenTerm::Added => d_gate,
                    HiddenTerm::Separate => separate.next().expect("one for each such gate"),
                    HiddenTerm::Gated | HiddenTerm::None => continue,
                };
                for (p, h) in h.iter().enumerate() {
                    add(Operand::WeightHh, row * output + p, d_outer * h);
                    d_h[p] += d_outer * weight_hh[row * output + p];
                }
                add(Operand::BiasHh, row, d_outer);
            }
        }
    }
}

/// Where each number of `weight_hh` is in the whole matrix: if it is in heads, `[heads, G·H/heads, H/heads]`, in the
/// blocks on the diagonal of each gate's matrix.
fn places(shape: &Shape) -> (usize, Vec<usize>) {
    let [heads, rows, size] = match shape[..] {
        [heads, rows, size] => [heads, rows, size],
        _ => return (shape.num_elements(), (0..shape.num_elements()).collect()),
    };
    let hidden = heads * size;
    let place = |at: usize| {
        let (head, row, column) = (at / (rows * size), at / size % rows, at % size);
        let (gate, unit) = (row / size, row % size);
        (gate * hidden + head * size + unit) * hidden + head * size + column
    };
    (heads * rows * hidden, (0..shape.num_elements()).map(place).collect())
}

/// The whole matrix, row after row.
fn whole(blocks: &[f64], shape: &Shape) -> Vec<f64> {
    let (count, places) = places(shape);
    let mut whole = vec![0.0; count];
    places.into_iter().zip(blocks).for_each(|(at, x)| whole[at] = *x);
    whole
}

/// The blocks of the whole matrix.
fn of_blocks(whole: &[f64], shape: &Shape) -> Vec<f64> {
    places(shape).1.into_iter().map(|at| whole[at]).collect()
}

/// Components of all units, from those of each unit.
fn rows<P: Components<Row<f64>>>(units: &[Vec<f64>]) -> P {
    P::from_fn(|k| Row(units.iter().map(|unit| unit[k]).collect()))
}

/// Those of one unit.
fn at(components: &[Row<f64>], unit: usize) -> Vec<f64> {
    components.iter().map(|row| row.0[unit]).collect()
}

/// Moves a part of a state's gradient to that of the reset state, if this is given. Nothing crosses a reset.
fn move_gradient(
    d_state: &mut [f64],
    d: &mut Operands<Vec<f64>>,
    reset: Operand,
    at: Range<usize>,
) {
    if let Some(mut d_reset) = d.take(reset) {
        at.clone().for_each(|i| d_reset[i] += d_state[i]);
        d.set(reset, Some(d_reset));
    }
    d_state[at].fill(0.0);
}

fn numbers<B: Backend>(tensor: FloatTensor<B>) -> Vec<f64> {
    let data = read_sync(B::float_into_data(tensor)).expect("the device answers");
    data.convert::<f64>().try_to_vec().expect("converted to f64")
}

fn tensor<B: Backend>(
    values: Vec<f64>,
    shape: impl Into<Shape>,
    like: &FloatTensor<B>,
) -> FloatTensor<B> {
    let data = TensorData::new(values, shape).convert_dtype(like.dtype());
    let device: Device<B> = like.device();
    B::float_from_data(data, &device)
}

/// The kernel runs the whole case table: all cells, stacks, directions, masks, resets, packed and chunked input.
#[test]
fn a_kernel_of_somebody_else_passes_the_case_table() {
    let device = device::open("flex").expect("it is in the build");
    let mut compared = 0;
    // A scan is another operation, with kernels of its own. The kernel does not carry noise, and says so.
    let is_its = |case: &Case| case.options.cell.cell().is_some() && case.options.noise.is_none();
    for case in table().into_iter().filter(is_its) {
        let problem = case.problem();
        let setting = |engine, kernel| {
            let (device, dtype) = (device.clone(), DType::F64);
            Setting { engine, kernel, device, dtype }
        };
        let layer = problem.options.config().try_init(&device.clone().autodiff());
        let layer = layer.expect("the table's layers can be made").with_kernel::<Flex>(Naive);
        let manual = setting(Engine::Manual, Kernel::Auto);
        let measured = measure_layer(&problem, &manual, layer);
        let expected = measure(&problem, &setting(Engine::Manual, Kernel::Reference))
            .expect("the table's layers can be made");
        for (name, expected) in &expected {
            let error = relative_error(&measured[name], expected);
            assert!(error <= 1e-12, "{} {name}: {error:e}", case.name);
            compared += 1;
        }
    }
    assert!(compared > 1000, "{compared} comparisons");
}

/// The layer says which kernel it runs, and takes one of bptt's kernels again.
#[test]
fn a_layer_names_its_kernel() {
    let device = device::open("flex").expect("it is in the build");
    let layer = bptt::GruConfig::new(2, 3).init(&device).with_kernel::<Flex>(Naive);
    assert!(layer.custom_kernel().is_some_and(|name| name.ends_with("Naive")));
    let layer = layer.with_kernel(Kernel::Reference);
    assert_eq!((layer.custom_kernel(), layer.kernel()), (None, Kernel::Reference));
}

/// A kernel for one backend does not run on another.
#[cfg(feature = "ndarray")]
#[test]
#[should_panic(expected = "an operand is not on the backend of the kernel, burn_flex")]
fn an_input_on_another_backend_is_refused() {
    let device = device::open("ndarray").expect("it is in the build");
    let layer = bptt::GruConfig::new(2, 3).init(&device).with_kernel::<Flex>(Naive);
    layer.forward(burn::Tensor::zeros([1, 4, 2], &device), None);
}
