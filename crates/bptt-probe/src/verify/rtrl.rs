//! Real-time recurrent learning as a witness: gradients carried forwards, on the same device.

use crate::case::Case;
use crate::loaded::{array, load, tensor};
use crate::measure::Outcome;
use crate::problem::{Array, Problem};
use crate::scalar::{is_reset, is_valid};
use crate::setting::{DType, Setting};
use crate::verify::session::{Session, Verification};
use crate::verify::witness::{Comparison, Request, Witness};
use bptt::{Engine, MaskedOutput, RecurrentState, Rtrl, RtrlGradients, StateCotangent};
use burn::Tensor;

/// How many numbers a step may carry in one tensor, and how many all steps may carry together, including those for the
/// gradient of the input.
const MOST: [usize; 2] = [1 << 22, 1 << 24];

/// The manual engine against gradients that are carried forwards.
pub struct RealTime;

impl Witness for RealTime {
    fn name(&self) -> &'static str {
        "rtrl"
    }

    fn help(&self) -> &'static str {
        "Real-time recurrent learning, on the same device, for layers that run forward only"
    }

    fn description(&self) -> &'static str {
        "real-time recurrent learning: the influence of the parameters carried forwards"
    }

    fn tolerance(&self, _: DType, _: &str) -> f64 {
        1e-12
    }

    fn begin(&self, _: &Request, _: &mut Verification) -> Result<Comparison, String> {
        Ok(Box::new(compare))
    }
}

/// Compares all engines that go backward with `Engine::Rtrl`, in every direction and with the gradient of the input.
/// Where a layer runs forward only, `Engine::Rtrl` is compared with [`Rtrl`], which carries the influence through a
/// whole stack from step to step. In long cases the engines are compared with [`Rtrl`] itself, because `Engine::Rtrl`
/// needs numbers for every past step of the input.
fn compare(session: &mut Session<'_>) -> Result<(), String> {
    if !session.only_f64("its sums run over all steps, and are compared in f64") {
        return Ok(());
    }
    let (mut large, mut long, mut set_back) = (vec![], vec![], vec![]);
    let is_scanned = |case: &Case| case.options.cell.cell().is_none();
    let (scanned, cases): (Vec<_>, Vec<_>) = session.cases().into_iter().partition(is_scanned);
    let why =
        "a layer that runs as a scan has no engine rtrl; dual carries derivatives forwards, too";
    session.say_left_out(&scanned, why);
    for case in cases {
        let problem = case.problem();
        let forward_only = !case.options.bidirectional && !case.options.reverse;
        // A stream's influence is that of the initial state, and of no state that is given later.
        let by_steps = forward_only && !case.options.reset_state && case.options.noise.is_none();
        if forward_only && case.options.reset_state {
            set_back.push(case.clone());
        }
        let [parameters, inputs] = carried(&case);
        let whole = (parameters + inputs) * case.options.time <= MOST[1];
        if parameters > MOST[0] || !(whole || by_steps) {
            large.push(case);
            continue;
        }
        let by_engine = match whole {
            true => Some(session.measure(&problem, Engine::Rtrl)?),
            false => None,
        };
        let by_step = match by_steps {
            true => Some(by_step(&problem, &session.setting(Engine::Rtrl))?),
            false => None,
        };
        if let (Some(by_engine), Some(by_step)) = (&by_engine, &by_step) {
            session.compare(&problem, Engine::Rtrl, (by_engine, by_step));
        }
        let expected = by_engine.or(by_step).expect("one of them");
        session.compare_all(&problem, &expected)?;
        if !whole {
            long.push(case);
        }
    }
    session.say_left_out(&large, "what it carries grows with the parameters");
    let why = "the steps of a stream: it carries no gradient of a state that a reset sets; Engine::Rtrl does";
    session.say_left_out(&set_back, why);
    let why = "the gradient of the input, which carries numbers for every past step";
    session.say_left_out(&long, why);
    Ok(())
}

/// How many numbers the largest layer carries, over all rows and gates, for the parameters and for the input.
fn carried(case: &Case) -> [usize; 2] {
    let options = &case.options;
    let all = options.parameters().expect("the table's sizes are small");
    let parameters: usize = all.iter().map(|(_, shape)| shape.iter().product::<usize>()).sum();
    let gates =
        all.iter().map(|(_, shape)| shape[..shape.len() - 1].iter().product()).max().unwrap_or(0);
    // In heads, it carries the whole matrix.
    let parameters = parameters * options.num_heads;
    let inputs = options.time * options.input_size.max(options.hidden_size);
    [parameters, inputs].map(|columns| options.batch * columns * gates)
}

/// Outputs, final states, and the gradients of parameters and initial states, summed over the steps.
fn by_step(problem: &Problem, setting: &Setting) -> Result<Outcome, String> {
    let options = &problem.options;
    let device = setting.device.clone();
    let layer = options.config().try_init(&device).map_err(|error| error.to_string())?;
    let loaded = load(problem, layer, setting, device.clone());
    let state = match loaded.hidden.clone() {
        Some(hidden) => RecurrentState::from_parts(hidden, loaded.cell.clone()),
        None => loaded.layer.zero_state(options.batch, &loaded.input),
    };
    let mut online = Rtrl::new(&loaded.layer, state).map_err(|error| error.to_string())?;

    let mut outcome = Outcome::new();
    let mut output = vec![0.0; problem.array("cotangent.output").values.len()];
    for t in 0..options.time {
        let step = |all: &Array| -> Tensor<2> {
            tensor(&step_of(problem, all, t), &device, setting.dtype)
        };
        let set_back: Vec<bool> =
            (0..options.batch).map(|b| is_reset(options, t, b, false)).collect();
        if set_back.contains(&true) {
            online.reset(&set_back);
        }
        let here: Vec<bool> = (0..options.batch).map(|b| is_valid(options, t, b)).collect();
        let mut out = array(online.step_masked(step(problem.array("input")), &here));
        let mut d_out = step_of(problem, problem.array("cotangent.output"), t);
        let width = options.state_size();
        for (b, here) in here.iter().enumerate() {
            if !here && options.masked_output == MaskedOutput::Zero {
                // At a masked step the output is zero and does not depend on the state.
                out.values[b * width..(b + 1) * width].fill(0.0);
                d_out.values[b * width..(b + 1) * width].fill(0.0);
            }
            let row = row_of(problem, t, b) * width;
            output[row..row + width].copy_from_slice(&out.values[b * width..(b + 1) * width]);
        }
        let d_out = tensor(&d_out, &device, setting.dtype);
        add(&mut outcome, problem, online.gradients(d_out));
    }
    let given = |name: &str| -> Option<Tensor<3>> {
        Some(tensor(problem.given.get(name)?, &device, setting.dtype))
    };
    let hidden = given("cotangent.h_n").expect("a problem has one");
    let cotangent = StateCotangent { hidden, memory: given("cotangent.c_n") };
    add(&mut outcome, problem, online.gradients_of_state(cotangent));

    let shape = problem.array("cotangent.output").shape.clone();
    outcome.insert("output".into(), Array { shape, values: output });
    let (hidden, memory) = online.state().into_parts();
    outcome.insert("h_n".into(), array(hidden));
    if let Some(memory) = memory {
        outcome.insert("c_n".into(), array(memory));
    }
    Ok(outcome)
}

/// The index of step `t` of row `b` in a sequence with the options' layout.
fn row_of(problem: &Problem, t: usize, b: usize) -> usize {
    let options = &problem.options;
    if options.batch_first { b * options.time + t } else { t * options.batch + b }
}

/// One step of a sequence, `[B, n]`.
fn step_of(problem: &Problem, all: &Array, t: usize) -> Array {
    let width = *all.shape.last().expect("a sequence has three dimensions");
    let rows = (0..problem.options.batch).map(|b| row_of(problem, t, b) * width);
    let values = rows.flat_map(|row| all.values[row..row + width].to_vec()).collect();
    Array { shape: vec![problem.options.batch, width], values }
}

/// Adds gradients to the sums so far. States are concatenated, layer by layer.
fn add(outcome: &mut Outcome, problem: &Problem, gradients: Vec<RtrlGradients>) {
    let mut sum = |name: String, part: Array| match outcome.get_mut(&name) {
        None => {
            outcome.insert(name, part);
        }
        Some(sum) => sum.values.iter_mut().zip(part.values).for_each(|(sum, part)| *sum += part),
    };
    let (mut hidden, mut memory) = (vec![], vec![]);
    for (k, layer) in gradients.into_iter().enumerate() {
        sum(format!("grad.weight_ih_l{k}"), array(layer.weight_ih));
        // In heads, the blocks are under each other here.
        let shape = problem.array(&format!("weight_hh_l{k}")).shape.clone();
        sum(format!("grad.weight_hh_l{k}"), Array { shape, ..array(layer.weight_hh) });
        for (name, bias) in [("bias_ih", layer.bias_ih), ("bias_hh", layer.bias_hh)] {
            if let Some(bias) = bias {
                sum(format!("grad.{name}_l{k}"), array(bias));
            }
        }
        if let Some(weight) = layer.weight_hr {
            sum(format!("grad.weight_hr_l{k}"), array(weight));
        }
        if let Some(weight) = layer.weight_diag {
            sum(format!("grad.weight_diag_l{k}"), array(weight));
        }
        hidden.push(layer.hidden);
        memory.extend(layer.memory);
    }
    if problem.options.initial_state {
        sum("grad.h_0".into(), array(Tensor::<2>::stack::<3>(hidden, 0)));
        if !memory.is_empty() {
            sum("grad.c_0".into(), array(Tensor::cat(memory, 0)));
        }
    }
}
