//! Properties of resets inside a sequence, for layers of any sizes and options. A sequence with resets is its segments,
//! each of them run by itself.

use crate::properties::{Checked, all_equal, holds_for, options, problem, run};
use bptt::{Engine, Kernel, MaskedOutput};
use bptt_probe::{Array, DType, LayerOptions, Outcome, Problem, Setting, device, measure};
use proptest::prelude::*;
use std::ops::Range;

/// Any layer, with resets at a third of all places, also behind the lengths, and with masks.
fn with_resets() -> impl Strategy<Value = LayerOptions> {
    let flags = |share| prop::collection::vec(prop::bool::weighted(share), 32);
    let mask = prop::option::of(flags(0.7));
    let more = (flags(0.3), mask, any::<bool>(), any::<bool>(), any::<bool>());
    (options(), more).prop_map(|(options, (resets, mask, hold, reverse, reset_state))| {
        let count = options.batch * options.time;
        let masked = options.lengths.is_none() && mask.is_some();
        LayerOptions {
            resets: Some(resets[..count].to_vec()),
            mask: mask.filter(|_| masked).map(|mask| mask[..count].to_vec()),
            masked_output: if masked && hold { MaskedOutput::Hold } else { MaskedOutput::Zero },
            reverse: reverse && !options.bidirectional,
            reset_state,
            ..options
        }
    })
}

/// Steps of a row between two resets.
struct Segment {
    steps: Range<usize>,
    /// Whether it is the first segment of its row, and begins with the initial state.
    from_initial: bool,
    is_first: bool,
    is_last: bool,
}

impl Segment {
    /// All segments of row `b`; none if its length is zero.
    fn of_row(options: &LayerOptions, b: usize) -> Vec<Self> {
        let length = options.lengths.as_ref().map_or(options.time, |lengths| lengths[b]);
        let flags = &options.resets.as_ref().expect("the layer has resets")[b * options.time..];
        let mut edges: Vec<_> = (1..length).filter(|&t| flags[t]).collect();
        edges.insert(0, 0);
        edges.push(length);
        let segment = |edge: &[usize]| Self {
            steps: edge[0]..edge[1],
            from_initial: edge[0] == 0 && !flags[0],
            is_first: edge[0] == 0,
            is_last: edge[1] == length,
        };
        if length == 0 { vec![] } else { edges.windows(2).map(segment).collect() }
    }

    /// Whether the direction of this plane of a state starts here from the initial state.
    fn starts(&self, options: &LayerOptions, plane: usize) -> bool {
        if runs_back(options, plane) { self.is_last } else { self.from_initial }
    }

    /// Whether it leaves the final state here.
    fn ends(&self, options: &LayerOptions, plane: usize) -> bool {
        if runs_back(options, plane) { self.is_first } else { self.is_last }
    }
}

/// Whether the direction of a plane of a state, of `L·D`, runs from the last step to the first. (The cells of the project
/// have at most one memory, so this is true of memories too.)
fn runs_back(options: &LayerOptions, plane: usize) -> bool {
    options.reverse || plane % options.directions() == 1
}

/// Where step `t` of row `b` is in a sequence.
fn step_at(options: &LayerOptions, array: &Array, t: usize, b: usize) -> Range<usize> {
    let row = if options.batch_first { b * options.time + t } else { t * options.batch + b };
    row * array.shape[2]..(row + 1) * array.shape[2]
}

/// Where row `b` is in a plane of a state.
fn state_at(array: &Array, plane: usize, b: usize) -> Range<usize> {
    let row = plane * array.shape[1] + b;
    row * array.shape[2]..(row + 1) * array.shape[2]
}

fn add(to: &mut Array, at: Range<usize>, from: &[f64]) {
    to.values[at].iter_mut().zip(from).for_each(|(to, from)| *to += from);
}

/// The layer on one segment of row `b`, as a sequence of its own.
fn alone(whole: &Problem, b: usize, segment: &Segment) -> Problem {
    let o = &whole.options;
    let slice = |all: &Vec<bool>| all[b * o.time..][segment.steps.clone()].to_vec();
    let options = LayerOptions {
        batch: 1,
        time: segment.steps.len(),
        lengths: None,
        mask: o.mask.as_ref().map(slice),
        resets: None,
        reset_state: false,
        initial_state: true,
        ..o.clone()
    };
    let mut part = problem(options);
    for (name, array) in &mut part.given {
        match name.as_str() {
            "input" | "cotangent.output" => {
                let from = whole.array(name);
                let steps = segment.steps.clone();
                let values = steps.flat_map(|t| from.values[step_at(o, from, t, b)].to_vec());
                array.values = values.collect();
            }
            "h_0" | "c_0" | "cotangent.h_n" | "cotangent.c_n" => {
                for plane in 0..array.shape[0] {
                    let source = match name.strip_suffix("_0") {
                        Some(_) if segment.starts(o, plane) => Some(name.clone()),
                        Some(memory) => Some(format!("{memory}_reset")),
                        None => segment.ends(o, plane).then(|| name.clone()),
                    };
                    let to = state_at(array, plane, 0);
                    array.values[to.clone()].fill(0.0);
                    // What is not given is zero.
                    if let Some(from) = source.and_then(|source| whole.given.get(&source)) {
                        add(array, to, &from.values[state_at(from, plane, b)]);
                    }
                }
            }
            _ => *array = whole.array(name).clone(),
        }
    }
    part
}

/// Adds the results of one segment to those of the whole.
fn put_back(
    whole: &mut Outcome,
    o: &LayerOptions,
    (b, segment): (usize, &Segment),
    part: &Outcome,
) {
    for (name, from) in part {
        match name.as_str() {
            "output" | "grad.input" => {
                let to = whole.get_mut(name).expect("the same results");
                for (values, t) in
                    from.values.chunks_exact(from.shape[2]).zip(segment.steps.clone())
                {
                    add(to, step_at(o, to, t, b), values);
                }
            }
            "h_n" | "c_n" | "grad.h_0" | "grad.c_0" => {
                for plane in 0..from.shape[0] {
                    let target = match name.strip_suffix("_0") {
                        Some(_) if segment.starts(o, plane) => Some(name.clone()),
                        Some(memory) => Some(format!("{memory}_reset")),
                        None => segment.ends(o, plane).then(|| name.clone()),
                    };
                    let values = &from.values[state_at(from, plane, 0)];
                    if let Some(to) = target.and_then(|target| whole.get_mut(&target)) {
                        add(to, state_at(to, plane, b), values);
                    }
                }
            }
            _ => {
                let to = whole.get_mut(name).expect("the same parameters");
                add(to, 0..from.values.len(), &from.values);
            }
        }
    }
}

/// The results of all segments, each run by itself.
fn in_segments(problem: &Problem) -> Outcome {
    let o = &problem.options;
    let zeros = |(name, shape): (String, Vec<usize>)| {
        let values = vec![0.0; shape.iter().product()];
        (name, Array { shape, values })
    };
    let mut whole: Outcome = o.results().expect("small sizes").into_iter().map(zeros).collect();
    for b in 0..o.batch {
        let segments = Segment::of_row(o, b);
        for segment in &segments {
            put_back(&mut whole, o, (b, segment), &run(&alone(problem, b, segment)));
        }
        if segments.is_empty() {
            copy_empty_row(&mut whole, problem, b);
        }
    }
    whole
}

/// A row without a step keeps its initial state.
fn copy_empty_row(whole: &mut Outcome, problem: &Problem, b: usize) {
    let pairs = [
        ("h_0", "h_n"),
        ("c_0", "c_n"),
        ("cotangent.h_n", "grad.h_0"),
        ("cotangent.c_n", "grad.c_0"),
    ];
    for (from, to) in pairs {
        if let (Some(from), Some(to)) = (problem.given.get(from), whole.get_mut(to)) {
            for plane in 0..from.shape[0] {
                add(to, state_at(to, plane, b), &from.values[state_at(from, plane, b)]);
            }
        }
    }
}

/// All that has resets of its own, with its name.
const WAYS: [(&str, Engine, Kernel); 3] = [
    ("the fast kernel", Engine::Manual, Kernel::Auto),
    ("the reference kernel", Engine::Manual, Kernel::Reference),
    ("autograd", Engine::Autograd, Kernel::Auto),
];

fn run_by(problem: &Problem, engine: Engine, kernel: Kernel) -> Outcome {
    let device = device::open("flex").unwrap();
    measure(problem, &Setting { engine, kernel, device, dtype: DType::F64 }).unwrap()
}

/// By the fast kernel, outputs and final states are the same bits. All else is the same up to rounding.
fn is_its_segments(problem: &Problem) -> Checked {
    let (found, expected) = (run(problem), in_segments(problem));
    for name in ["output", "h_n", "c_n"] {
        if found.get(name) != expected.get(name) {
            return Err(format!("{name} has other bits"));
        }
    }
    WAYS.into_iter().try_for_each(|(way, engine, kernel)| {
        let found = run_by(problem, engine, kernel);
        all_equal(&found, &expected).map_err(|why| format!("{way}: {why}"))
    })
}

/// A NaN in one segment reaches no output, final state or gradient of the input of another.
fn nothing_crosses(problem: &Problem) -> Checked {
    let o = &problem.options;
    let all = (0..o.batch).flat_map(|b| Segment::of_row(o, b).into_iter().map(move |s| (b, s)));
    let all: Vec<_> = all.collect();
    let Some((row, segment)) = all.get(all.len() / 2) else { return Ok(()) };
    let mut spoilt = problem.clone();
    let input = spoilt.given.get_mut("input").expect("a problem has one");
    for t in segment.steps.clone() {
        let at = step_at(o, input, t, *row);
        input.values[at].fill(f64::NAN);
    }
    // The padding behind a row's length holds the last segment's state.
    let end = if segment.is_last { o.time } else { segment.steps.end };
    let inside = |t: usize, b: usize| b == *row && (segment.steps.start..end).contains(&t);
    for (way, engine, kernel) in WAYS {
        let run = |problem| run_by(problem, engine, kernel);
        let (clean, found) = (run(problem), run(&spoilt));
        for name in ["output", "grad.input"] {
            let (clean, found) = (&clean[name], &found[name]);
            let places = (0..o.batch).flat_map(|b| (0..o.time).map(move |t| (t, b)));
            for (t, b) in places.filter(|&(t, b)| !inside(t, b)) {
                let at = step_at(o, clean, t, b);
                if clean.values[at.clone()] != found.values[at] {
                    return Err(format!(
                        "{way}: {name}, step {t} of row {b}: a NaN from elsewhere"
                    ));
                }
            }
        }
        for name in ["h_n", "c_n"] {
            let (Some(clean), Some(found)) = (clean.get(name), found.get(name)) else { continue };
            let planes = (0..clean.shape[0]).flat_map(|k| (0..o.batch).map(move |b| (k, b)));
            for (plane, b) in planes.filter(|&(k, b)| b != *row || !segment.ends(o, k)) {
                let at = state_at(clean, plane, b);
                if clean.values[at.clone()] != found.values[at] {
                    return Err(format!("{way}: {name}, row {b}: a NaN from another segment"));
                }
            }
        }
    }
    Ok(())
}

/// Flags at a row's length and behind it change no bit.
fn nothing_is_behind_the_length(problem: &Problem) -> Checked {
    let o = &problem.options;
    let Some(lengths) = &o.lengths else { return Ok(()) };
    let mut other = problem.clone();
    let flags = other.options.resets.as_mut().expect("the layer has resets");
    for (b, &length) in lengths.iter().enumerate() {
        flags[b * o.time..][length..o.time].iter_mut().for_each(|flag| *flag = !*flag);
    }
    for (way, engine, kernel) in WAYS {
        if run_by(problem, engine, kernel) != run_by(&other, engine, kernel) {
            return Err(format!("{way}: a flag behind the length does something"));
        }
    }
    Ok(())
}

#[test]
fn a_sequence_with_resets_is_its_segments() {
    holds_for("segments", with_resets(), is_its_segments);
}

#[test]
fn nothing_crosses_a_reset() {
    holds_for("nothing-crosses", with_resets(), nothing_crosses);
}

#[test]
fn resets_behind_the_length_do_nothing() {
    holds_for("behind-the-length", with_resets(), nothing_is_behind_the_length);
}
