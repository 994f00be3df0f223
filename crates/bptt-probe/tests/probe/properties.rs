//! Properties that hold for layers of any sizes and options. Each property compares two ways to compute the same
//! numbers with the manual engine and its kernels.
//!
//! A failure shrinks to a small layer, which is written as a reference file (the message says where),
//! so that PyTorch, `bptt verify --reference` or a debugger can read it.

use bptt::{CellKind, Engine, Kernel, MaskedOutput, Nonlinearity};
use bptt_probe::{
    Array, DType, InputMode, LayerOptions, Outcome, Problem, Setting, device, measure, reference,
    relative_error,
};
use proptest::prelude::*;
use proptest::test_runner::{TestCaseError, TestError, TestRunner};
use rand::rngs::StdRng;
use rand::{RngExt, SeedableRng};
use std::path::PathBuf;

pub(crate) type Checked = Result<(), String>;

/// Cells, sizes, options. They shrink to one unit, one step, one row, and no option.
pub(crate) fn options() -> impl Strategy<Value = LayerOptions> {
    let kinds = prop::sample::select(vec![CellKind::Rnn, CellKind::Lstm, CellKind::Gru]);
    let variant = (kinds, any::<bool>());
    let sizes = (1..5_usize, 2..7_usize, 1..3_usize, 1..5_usize, 1..9_usize);
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>(), 0..3_usize);
    let lengths = prop::option::of(prop::collection::vec(0..9_usize, 5));
    (variant, sizes, flags, lengths).prop_map(|(variant, sizes, flags, lengths)| {
        let (cell, other) = variant;
        let (input_size, hidden_size, num_layers, batch, time) = sizes;
        let (bias, batch_first, bidirectional, initial_state, proj_size) = flags;
        let is_lstm = cell == CellKind::Lstm;
        LayerOptions {
            cell: cell.into(),
            nonlinearity: match cell {
                CellKind::Rnn if other => Nonlinearity::Relu,
                _ => Nonlinearity::Tanh,
            },
            reset_after: cell != CellKind::Gru || !other,
            input_forget: is_lstm && other,
            clip: None,
            log_space: false,
            input_size,
            hidden_size,
            num_layers,
            bias,
            batch_first,
            bidirectional,
            reverse: false,
            proj_size: if is_lstm { proj_size.min(hidden_size - 1) } else { 0 },
            num_heads: 1,
            batch,
            time,
            lengths: lengths
                .map(|all| all.iter().take(batch).map(|length| length % (time + 1)).collect()),
            mask: None,
            masked_output: MaskedOutput::Zero,
            resets: None,
            reset_state: false,
            trace_budget: None,
            input_mode: InputMode::Whole,
            initial_state,
            noise: None,
            evaluates: false,
        }
    })
}

pub(crate) fn problem(options: LayerOptions) -> Problem {
    // The numbers depend only on their index, so a smaller layer has the first numbers of a larger one.
    let mut rng = StdRng::seed_from_u64(5);
    let given = options.given().expect("the sizes are small");
    let given = given
        .into_iter()
        .map(|(name, shape)| {
            let values = (0..shape.iter().product()).map(|_| rng.random_range(-1.0..1.0));
            let values = values.collect();
            (name, Array { shape, values })
        })
        .collect();
    Problem { name: "property".into(), options, given, expected: Outcome::new() }
}

fn run_by(problem: &Problem, engine: Engine) -> Outcome {
    let device = device::open("flex").unwrap();
    measure(problem, &Setting { engine, kernel: Kernel::Auto, device, dtype: DType::F64 }).unwrap()
}

pub(crate) fn run(problem: &Problem) -> Outcome {
    run_by(problem, Engine::Manual)
}

fn equal(what: &str, found: &Array, expected: &Array) -> Checked {
    // The error is relative to the largest value, because a sum of terms that cancel is not more exact than its terms.
    let most = expected.values.iter().fold(0.0_f64, |most, x| most.max(x.abs()));
    let pairs = found.values.iter().zip(&expected.values);
    let off = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    if found.shape == expected.shape && off <= 1e-12 * most.max(1.0) {
        return Ok(());
    }
    Err(format!("{what}: {:.1e} off", relative_error(found, expected)))
}

/// Every tensor of one outcome is equal to that of the other.
pub(crate) fn all_equal(found: &Outcome, expected: &Outcome) -> Checked {
    expected.iter().try_for_each(|(name, expected)| equal(name, &found[name], expected))
}

/// Selects entries along dimension `dim`: entry `k` of the result is entry `index[k]` of the array.
fn taken(array: &Array, dim: usize, index: &[usize]) -> Array {
    let inner: usize = array.shape[dim + 1..].iter().product();
    let outer: usize = array.shape[..dim].iter().product();
    let count = array.shape[dim];
    let mut values = Vec::with_capacity(outer * index.len() * inner);
    for o in 0..outer {
        for &i in index {
            values.extend_from_slice(&array.values[(o * count + i) * inner..][..inner]);
        }
    }
    let mut shape = array.shape.clone();
    shape[dim] = index.len();
    Array { shape, values }
}

fn joined(parts: &[&Array], dim: usize) -> Array {
    let outer: usize = parts[0].shape[..dim].iter().product();
    let mut values = vec![];
    for o in 0..outer {
        for part in parts {
            let size = part.values.len() / outer;
            values.extend_from_slice(&part.values[o * size..][..size]);
        }
    }
    let mut shape = parts[0].shape.clone();
    shape[dim] = parts.iter().map(|part| part.shape[dim]).sum();
    Array { shape, values }
}

fn sum(a: &Array, b: &Array, [x, y]: [f64; 2]) -> Array {
    let values = a.values.iter().zip(&b.values).map(|(a, b)| x * a + y * b).collect();
    Array { shape: a.shape.clone(), values }
}

/// The dimension of the time steps in a sequence.
fn time_of(options: &LayerOptions) -> usize {
    if options.batch_first { 1 } else { 0 }
}

fn is_sequence(name: &str) -> bool {
    name.ends_with("input") || name.ends_with("output")
}

fn is_state(name: &str) -> bool {
    let stem = name.trim_start_matches("cotangent.").trim_start_matches("grad.");
    matches!(stem, "h_0" | "c_0" | "h_n" | "c_n")
}

/// The same outcome, with each sequence and state changed by a function along its dimension of rows.
fn with_rows(all: &Outcome, options: &LayerOptions, index: &[usize]) -> Outcome {
    let rows = |(name, array): (&String, &Array)| {
        let array = match name {
            name if is_sequence(name) => taken(array, 1 - time_of(options), index),
            name if is_state(name) => taken(array, 1, index),
            _ => array.clone(),
        };
        (name.clone(), array)
    };
    all.iter().map(rows).collect()
}

fn linear_in_the_cotangent(problem: &Problem) -> Checked {
    let mut other = problem.clone();
    let mut both = problem.clone();
    let mut rng = StdRng::seed_from_u64(6);
    for (name, array) in &problem.given {
        if name.starts_with("cotangent.") {
            let second = &mut other.given.get_mut(name).unwrap().values;
            second.iter_mut().for_each(|value| *value = rng.random_range(-1.0..1.0));
            both.given.insert(name.clone(), sum(array, &other.given[name], [2.0, -0.5]));
        }
    }
    let (first, second, both) = (run(problem), run(&other), run(&both));
    let mut gradients = both.iter().filter(|(name, _)| name.starts_with("grad."));
    gradients.try_for_each(|(name, both)| {
        equal(name, both, &sum(&first[name], &second[name], [2.0, -0.5]))
    })
}

fn rows_in_any_order(problem: &Problem) -> Checked {
    let options = &problem.options;
    let order: Vec<_> = (0..options.batch).map(|b| (b + 1) % options.batch).rev().collect();
    let mut permuted = problem.clone();
    permuted.given = with_rows(&problem.given, options, &order);
    permuted.options.lengths =
        options.lengths.as_ref().map(|lengths| order.iter().map(|&b| lengths[b]).collect());
    all_equal(&run(&permuted), &with_rows(&run(problem), options, &order))
}

fn reversed_is_backwards(problem: &Problem) -> Checked {
    let mut problem = problem.clone();
    (problem.options.bidirectional, problem.options.lengths) = (false, None);
    let problem = self::problem(problem.options);
    let mut reversed = problem.clone();
    reversed.options.reverse = true;
    let backwards: Vec<_> = (0..problem.options.time).rev().collect();
    let dim = time_of(&problem.options);
    let turned = |all: &Outcome| -> Outcome {
        let turn = |(name, array): (&String, &Array)| match is_sequence(name) {
            true => (name.clone(), taken(array, dim, &backwards)),
            false => (name.clone(), array.clone()),
        };
        all.iter().map(turn).collect()
    };
    reversed.given = turned(&problem.given);
    all_equal(&run(&reversed), &turned(&run(&problem)))
}

fn a_stack_is_its_layers(problem: &Problem) -> Checked {
    let mut options = problem.options.clone();
    options.num_layers = 2;
    let whole = self::problem(options.clone());
    let width = options.state_size() * options.directions();
    let directions = options.directions();
    let layer = |which: usize| {
        let mut layer = whole.clone();
        layer.options.num_layers = 1;
        layer.options.input_size = if which == 0 { options.input_size } else { width };
        let rows: Vec<_> = (which * directions..(which + 1) * directions).collect();
        layer.given = Outcome::new();
        for (name, array) in &whole.given {
            if is_state(name) {
                layer.given.insert(name.clone(), taken(array, 0, &rows));
            } else if name.contains(&format!("_l{which}")) {
                layer.given.insert(name.replace(&format!("_l{which}"), "_l0"), array.clone());
            }
        }
        layer
    };
    let (mut below, mut above) = (layer(0), layer(1));
    let zeros = whole.array("cotangent.output").clone();
    below.given.insert("input".into(), whole.array("input").clone());
    below.given.insert("cotangent.output".into(), zeros);
    above.given.insert("input".into(), run(&below)["output"].clone());
    above.given.insert("cotangent.output".into(), whole.array("cotangent.output").clone());
    let second = run(&above);
    below.given.insert("cotangent.output".into(), second["grad.input"].clone());
    let first = run(&below);

    let whole = run(&whole);
    for (name, expected) in &whole {
        let stem = name.trim_start_matches("grad.");
        let found = if is_state(name) {
            joined(&[&first[name], &second[name]], 0)
        } else if stem == "output" {
            second[name].clone()
        } else if stem == "input" || stem.contains("_l0") {
            first[name].clone()
        } else {
            second[&name.replace("_l1", "_l0")].clone()
        };
        equal(name, &found, expected)?;
    }
    Ok(())
}

/// If all weights are zero, a cell changes its state by its equations alone.
fn without_weights(problem: &Problem) -> Checked {
    let mut options = problem.options.clone();
    (options.num_layers, options.bidirectional, options.proj_size) = (1, false, 0);
    (options.lengths, options.initial_state) = (None, true);
    let mut problem = self::problem(options.clone());
    for (name, array) in &mut problem.given {
        if name.starts_with("weight") || name.starts_with("bias") {
            array.values.fill(0.0);
        }
    }
    let found = run(&problem);
    // Each gate is σ(0) = 1/2, each candidate tanh(0) = 0.
    let halved = 0.5_f64.powi(options.time as i32);
    let after = |name: &str, function: &dyn Fn(f64) -> f64| {
        let before = problem.array(name);
        Array {
            shape: before.shape.clone(),
            values: before.values.iter().map(|&x| function(halved * x)).collect(),
        }
    };
    match options.cell.cell().expect("one of the kinds") {
        CellKind::Rnn => equal("h_n", &found["h_n"], &after("h_0", &|x| 0.0 * x))?,
        CellKind::Gru => equal("h_n", &found["h_n"], &after("h_0", &|x| x))?,
        CellKind::Lstm => {
            equal("c_n", &found["c_n"], &after("c_0", &|x| x))?;
            equal("h_n", &found["h_n"], &after("c_0", &|x| 0.5 * x.tanh()))?;
        }
        other => unreachable!("{} is not among the kinds", other.name()),
    }
    let nothing = |name: &str| {
        let d = &found[name];
        equal(name, d, &Array { shape: d.shape.clone(), values: vec![0.0; d.values.len()] })
    };
    nothing("grad.input")?;
    // The hidden state of an RNN or an LSTM enters only through the weights.
    if options.cell == CellKind::Gru { Ok(()) } else { nothing("grad.h_0") }
}

/// Steps before the first valid one, masked in all rows, change nothing.
fn later_is_the_same(problem: &Problem) -> Checked {
    const SHIFT: usize = 3;
    let mut options = problem.options.clone();
    options.lengths = None;
    let problem = self::problem(options.clone());
    let dim = time_of(&options);
    let mut later = problem.clone();
    later.options.time += SHIFT;
    later.options.mask = Some(
        (0..options.batch).flat_map(|_| (0..options.time + SHIFT).map(|t| t >= SHIFT)).collect(),
    );
    for (name, array) in &mut later.given {
        if is_sequence(name) {
            // The masked steps may have any values.
            let first = taken(array, dim, &[0; SHIFT]);
            *array = joined(&[&first, array], dim);
        }
    }
    let shown: Vec<_> = (SHIFT..options.time + SHIFT).collect();
    let found: Outcome = run(&later)
        .into_iter()
        .map(|(name, array)| match is_sequence(&name) {
            true => (name, taken(&array, dim, &shown)),
            false => (name, array),
        })
        .collect();
    all_equal(&found, &run(&problem))
}

fn chunks_are_the_whole(problem: &Problem) -> Checked {
    let mut options = problem.options.clone();
    (options.bidirectional, options.lengths, options.initial_state) = (false, None, true);
    options.time += 1;
    let whole = self::problem(options.clone());
    let dim = time_of(&options);
    let middle = options.time / 2;
    let chunk = |steps: std::ops::Range<usize>| {
        let mut chunk = whole.clone();
        chunk.options.time = steps.len();
        let steps: Vec<_> = steps.collect();
        for (name, array) in &mut chunk.given {
            if is_sequence(name) {
                *array = taken(array, dim, &steps);
            }
        }
        chunk
    };
    let (mut first, mut second) = (chunk(0..middle), chunk(middle..options.time));
    let state = |from: &str, to: &str, source: &Outcome, problem: &mut Problem| {
        for memory in ["h", "c"] {
            if let Some(array) = source.get(&from.replace('?', memory)) {
                problem.given.insert(to.replace('?', memory), array.clone());
            }
        }
    };
    state("?_n", "?_0", &run(&first), &mut second);
    let behind = run(&second);
    state("grad.?_0", "cotangent.?_n", &behind, &mut first);
    let front = run(&first);
    for (name, expected) in &run(&whole) {
        let found = if is_sequence(name) {
            joined(&[&front[name], &behind[name]], dim)
        } else if name.ends_with("_n") {
            behind[name].clone()
        } else if name.ends_with("_0") {
            front[name].clone()
        } else {
            sum(&front[name], &behind[name], [1.0, 1.0])
        };
        equal(name, &found, expected)?;
    }
    Ok(())
}

/// Looks for a layer for which the property does not hold. The smallest such layer is written to a file.
fn broken(
    name: &str,
    options: impl Strategy<Value = LayerOptions>,
    property: impl Fn(&Problem) -> Checked,
) -> Option<(String, PathBuf)> {
    let config = ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(48) };
    let mut runner = TestRunner::new_with_rng(config.clone(), test_rng());
    let result =
        runner.run(&options, |options| property(&problem(options)).map_err(TestCaseError::fail));
    let Err(TestError::Fail(why, options)) = result else { return None };
    let mut small = problem(options.clone());
    small.expected = run_by(&small, Engine::Autograd);
    let path = std::env::temp_dir().join(format!("bptt-property-{name}.safetensors"));
    let text = match reference::serialize(&small) {
        Ok(bytes) => {
            std::fs::write(&path, bytes).expect("the folder for temporary files takes it");
            format!("{name}: {why}; the layer is in {}", path.display())
        }
        // The format has only PyTorch's layers. For other layers, the message has the options.
        Err(_) => format!("{name}: {why}; {options:?}"),
    };
    Some((text, path))
}

/// Gives the same layers in every run.
fn test_rng() -> proptest::test_runner::TestRng {
    use proptest::test_runner::{RngAlgorithm, TestRng};
    TestRng::deterministic_rng(RngAlgorithm::ChaCha)
}

fn holds(name: &str, property: impl Fn(&Problem) -> Checked) {
    holds_for(name, options(), property);
}

/// The same for these layers.
pub(crate) fn holds_for(
    name: &str,
    options: impl Strategy<Value = LayerOptions>,
    property: impl Fn(&Problem) -> Checked,
) {
    if let Some((text, _)) = broken(name, options, property) {
        panic!("{text}");
    }
}

#[test]
fn gradients_are_linear_in_the_cotangent() {
    holds("linear", linear_in_the_cotangent);
}

#[test]
fn rows_may_come_in_any_order() {
    holds("rows", rows_in_any_order);
}

#[test]
fn a_reversed_layer_is_a_layer_on_the_reversed_sequence() {
    holds("reversed", reversed_is_backwards);
}

#[test]
fn a_stack_is_the_composition_of_its_layers() {
    holds("stack", a_stack_is_its_layers);
}

#[test]
fn without_weights_a_cell_is_its_state() {
    holds("without-weights", without_weights);
}

#[test]
fn a_sequence_that_begins_later_is_the_same() {
    holds("later", later_is_the_same);
}

#[test]
fn the_gradient_of_chunks_is_that_of_the_whole() {
    holds("chunks", chunks_are_the_whole);
}

/// A failure writes a small layer to a file that can be read.
#[test]
fn a_failure_is_a_small_reference_file() {
    let wrong = |problem: &Problem| match problem.options.time {
        0..3 => Ok(()),
        _ => Err("three steps are too many".to_string()),
    };
    let (text, path) =
        broken("on-purpose", options(), wrong).expect("half of the layers have as many");
    assert!(text.contains("three steps are too many") && text.contains(path.to_str().unwrap()));
    let bytes = std::fs::read(&path).unwrap();
    let small = reference::parse("small", &bytes).unwrap();
    std::fs::remove_file(&path).unwrap();
    let o = &small.options;
    assert_eq!((o.time, o.batch, o.hidden_size, o.num_layers), (3, 1, 2, 1));
    assert!(!o.bidirectional && o.lengths.is_none());
    all_equal(&run(&small), &small.expected).unwrap();
}
