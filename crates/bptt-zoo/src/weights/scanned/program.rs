//! One layer under the names of the program that has it, and under ours.
//!
//! Ours are the paths of the parameters in the layer. Tensors keep their types in both directions.

use super::source::Source;
use crate::weights::array::Array;
use crate::weights::contents::Tensors;
use crate::weights::library::Library;
use crate::weights::xlstm::MOST_HEADS;
use bptt::scanned::{AnyScannedConfig, ScannedKind};

/// A diagonal that is longer than this is refused, because its matrix would be that many times as large.
const MOST_CHANNELS: usize = 8192;

/// Our name of a parameter, and that of the program: more than one, if they are stacked here.
type Names = &'static [(&'static str, &'static str)];

const MIN_GRU: Names =
    &[("weight_ih", "to_hidden_and_gate.weight"), ("bias_ih", "to_hidden_and_gate.bias")];
const MIN_LSTM: Names =
    &[("weight_ih", "to_hidden_and_f_i_gate.weight"), ("bias_ih", "to_hidden_and_f_i_gate.bias")];
const LRU: Names = &[
    ("nu_log", "nu_log"),
    ("theta_log", "theta_log"),
    ("gamma_log", "gamma_log"),
    ("weight_re", "B_re"),
    ("weight_im", "B_im"),
    ("readout.weight_re", "C_re"),
    ("readout.weight_im", "C_im"),
    ("readout.weight_skip", "D"),
];
const S5: Names = &[
    ("rate_log", "Lambda_re"),
    ("frequency", "Lambda_im"),
    ("step_log", "log_step"),
    ("weight_re", "B"),
    ("weight_im", "B"),
    ("readout.weight_re", "C"),
    ("readout.weight_im", "C"),
    ("readout.weight_skip", "D"),
];
const RG_LRU: Names = &[
    ("lambda", "a_param"),
    ("weight_ih", "a_gate.w, input_gate.w"),
    ("bias_ih", "a_gate.b, input_gate.b"),
];

/// One layer in one direction.
pub(super) struct OneLayer {
    /// Its sizes and options.
    pub(super) config: AnyScannedConfig,
    /// Its tensors, by their paths in it.
    pub(super) tensors: Tensors,
}

/// The layers of a library, those that it is known for first.
pub(super) fn of_library(library: Library) -> &'static [ScannedKind] {
    match library {
        Library::MinGruPytorch => &[ScannedKind::MinGru, ScannedKind::MinLstm],
        Library::MinimalLru => &[ScannedKind::Lru],
        Library::S5 => &[ScannedKind::S5],
        Library::RecurrentGemma => &[ScannedKind::RgLru],
        _ => &[],
    }
}

/// The program that has a layer.
pub(super) fn program(kind: ScannedKind) -> &'static str {
    match kind {
        ScannedKind::MinGru | ScannedKind::MinLstm => "minGRU-pytorch",
        ScannedKind::Lru => "minimal-LRU",
        ScannedKind::S5 => "S5",
        ScannedKind::RgLru => "recurrentgemma",
        _ => "no program",
    }
}

fn names(kind: ScannedKind) -> Names {
    match kind {
        ScannedKind::MinGru => MIN_GRU,
        ScannedKind::MinLstm => MIN_LSTM,
        ScannedKind::Lru => LRU,
        ScannedKind::S5 => S5,
        ScannedKind::RgLru => RG_LRU,
        _ => &[],
    }
}

/// The name of the tensor by which the layer is found in a file of its program.
pub(super) fn mark(kind: ScannedKind) -> &'static str {
    names(kind).first().map_or("", |(_, theirs)| theirs)
}

/// Where the program has one of our parameters.
pub(super) fn target(kind: ScannedKind, ours: &str) -> Option<&'static str> {
    names(kind).iter().find(|(name, _)| *name == ours).map(|(_, theirs)| *theirs)
}

/// The names of our parameters that a tensor of the program becomes.
pub(super) fn parameters_of(kind: ScannedKind, theirs: &str) -> Vec<&'static str> {
    let is_of = |names: &str| names.split(", ").any(|name| name == theirs);
    names(kind).iter().filter(|(_, names)| is_of(names)).map(|(ours, _)| *ours).collect()
}

/// Reads a layer of a kind from the program's tensors.
///
/// # Errors
///
/// What is missing, does not fit, or has no counterpart, in one line.
pub(super) fn read(kind: ScannedKind, source: &Source<'_>) -> Result<OneLayer, String> {
    match kind {
        ScannedKind::MinGru => minimal(kind, 2, source),
        ScannedKind::MinLstm => minimal(kind, 3, source),
        ScannedKind::Lru => lru(source),
        ScannedKind::S5 => s5(source),
        ScannedKind::RgLru => rg_lru(source),
        other => Err(format!("no program has layers of {}", other.name())),
    }
}

/// The tensors of a layer as the program has them.
///
/// # Arguments
///
/// - `own`: by their paths in the layer
///
/// # Errors
///
/// What the program does not have, in one line.
pub(super) fn write(config: &AnyScannedConfig, own: &Tensors) -> Result<Tensors, String> {
    match config.kind {
        ScannedKind::MinGru | ScannedKind::MinLstm if !config.log_space => {
            Err("its candidate is made positive, expected log_space".to_string())
        }
        ScannedKind::MinGru | ScannedKind::MinLstm => {
            let names = names(config.kind).iter();
            let there = names.filter_map(|&(ours, theirs)| Some((theirs, own.get(ours)?.clone())));
            Ok(named(there))
        }
        ScannedKind::Lru => {
            let all = LRU.iter().map(|&(ours, theirs)| match theirs {
                "D" => Ok((theirs, of_diagonal(&own[ours])?)),
                _ => Ok((theirs, own[ours].clone())),
            });
            all.collect::<Result<Vec<_>, String>>().map(named)
        }
        ScannedKind::S5 => s5_tensors(own),
        ScannedKind::RgLru => rg_lru_tensors(own),
        other => Err(format!("no program has layers of {}", other.name())),
    }
}

/// minGRU and minLSTM.
fn minimal(kind: ScannedKind, gates: usize, source: &Source<'_>) -> Result<OneLayer, String> {
    source.refuse(
        &["to_out.weight"],
        "a projection behind the layer (expansion_factor), which has no counterpart",
    )?;
    let [(_, weight), (_, bias)] = names(kind) else { unreachable!("a weight and a bias") };
    let array = source.take(weight, [None, None])?;
    let &[rows, input] = array.shape() else { unreachable!("its rank was checked") };
    if rows % gates != 0 {
        return Err(format!("{} has {rows} rows, expected {gates}·H", source.shown(weight)));
    }
    let has_bias = source.has(bias);
    let mut all = vec![("weight_ih", array.clone())];
    if has_bias {
        all.push(("bias_ih", source.take(bias, [Some(rows)])?.clone()));
    }
    let config = AnyScannedConfig::new(kind, input, rows / gates).with_log_space(true);
    Ok(OneLayer { config: config.with_bias(has_bias), tensors: named(all) })
}

fn lru(source: &Source<'_>) -> Result<OneLayer, String> {
    let b_re = source.take("B_re", [None, None])?;
    let &[hidden, input] = b_re.shape() else { unreachable!("its rank was checked") };
    let (of_units, of_input) = ([Some(hidden)], [Some(hidden), Some(input)]);
    let of_output = [Some(input), Some(hidden)];
    let all = [
        ("nu_log", source.take("nu_log", of_units)?.clone()),
        ("theta_log", source.take("theta_log", of_units)?.clone()),
        ("gamma_log", source.take("gamma_log", of_units)?.clone()),
        ("weight_re", b_re.clone()),
        ("weight_im", source.take("B_im", of_input)?.clone()),
        ("readout.weight_re", source.take("C_re", of_output)?.clone()),
        ("readout.weight_im", source.take("C_im", of_output)?.clone()),
        ("readout.weight_skip", diagonal(source.take("D", [Some(input)])?)?),
    ];
    let config = AnyScannedConfig::new(ScannedKind::Lru, input, hidden).with_d_output(input);
    Ok(OneLayer { config, tensors: named(all) })
}

fn s5(source: &Source<'_>) -> Result<OneLayer, String> {
    source.refuse(&["C1", "C2"], "a layer of both directions, which is not converted")?;
    let b = source.take("B", [None, None, Some(2)])?;
    let &[hidden, input, _] = b.shape() else { unreachable!("its rank was checked") };
    let c = source.take("C", [Some(input), None, Some(2)])?;
    if c.shape()[1] != hidden {
        return Err(format!(
            "`C` has {} columns, expected {hidden}: a layer of both directions is not converted",
            c.shape()[1]
        ));
    }
    let skip = source.take("D", [Some(input)])?;
    let [re, im] = ["Lambda_re", "Lambda_im"].map(|name| source.take(name, [Some(hidden)]));
    let (re, step) = (re?, source.take("log_step", [Some(hidden), Some(1)])?);
    let rate = re.to_f64();
    if let Some(k) = rate.iter().position(|re| re.is_nan() || *re >= 0.0) {
        return Err(format!(
            "`Lambda_re` is {} at {k}, and has to be below 0: the rate here is the logarithm of a decay",
            rate[k]
        ));
    }
    let rate_log = rate.iter().map(|re| (-re).ln()).collect();
    let [b_re, b_im] = parts(b, [hidden, input]);
    // One state of each conjugate pair: the outputs are doubled.
    let factor = if source.conjugates { 2.0 } else { 1.0 };
    let [c_re, c_im] = parts(c, [input, hidden]).map(|part| scaled("C", &part, factor));
    let all = [
        ("rate_log", Array::of_f64(re.element(), vec![hidden], rate_log)?),
        ("frequency", im?.clone()),
        ("step_log", step.clone().reshaped(&[hidden])),
        ("weight_re", b_re),
        ("weight_im", b_im),
        ("readout.weight_re", c_re?),
        ("readout.weight_im", c_im?),
        ("readout.weight_skip", diagonal(skip)?),
    ];
    let config = AnyScannedConfig::new(ScannedKind::S5, input, hidden).with_d_output(input);
    Ok(OneLayer { config, tensors: named(all) })
}

fn s5_tensors(own: &Tensors) -> Result<Tensors, String> {
    let pairs = |of: &str, factor: f64| {
        let [re, im] = ["re", "im"].map(|part| scaled(of, &own[&format!("{of}_{part}")], factor));
        let (re, im) = (re?, im?);
        same_type(of, &re, &im)?;
        let &[rows, columns] = re.shape() else { unreachable!("a matrix") };
        let flat = |part: Array| part.reshaped(&[1, rows * columns]);
        let both = Array::stacked(&[flat(re), flat(im)]).transposed();
        Ok::<_, String>(both.reshaped(&[rows, columns, 2]))
    };
    let (rate, step) = (&own["rate_log"], &own["step_log"]);
    let re = rate.to_f64().iter().map(|rate| -rate.exp()).collect();
    let hidden = step.shape()[0];
    Ok(named([
        ("Lambda_re", Array::of_f64(rate.element(), vec![hidden], re)?),
        ("Lambda_im", own["frequency"].clone()),
        ("log_step", step.clone().reshaped(&[hidden, 1])),
        ("B", pairs("weight", 1.0)?),
        ("C", pairs("readout.weight", 0.5)?),
        ("D", of_diagonal(&own["readout.weight_skip"])?),
    ]))
}

fn rg_lru(source: &Source<'_>) -> Result<OneLayer, String> {
    let lambda = source.take("a_param", [None])?;
    let width = lambda.shape()[0];
    let (mut weights, mut biases) = (Vec::new(), Vec::new());
    // The rows here are `r i`.
    for gate in ["a_gate", "input_gate"] {
        let name = format!("{gate}.w");
        let w = source.take(&name, [None, None, None])?;
        let &[heads, rows, columns] = w.shape() else { unreachable!("its rank was checked") };
        if heads > MOST_HEADS {
            return Err(format!(
                "{} is of {heads} heads, expected at most {MOST_HEADS}",
                source.shown(&name)
            ));
        }
        if rows != columns || heads.checked_mul(rows) != Some(width) {
            return Err(format!(
                "{} has shape {:?}, expected [N, d, d] with N·d = {width}",
                source.shown(&name),
                w.shape()
            ));
        }
        weights.push(match heads {
            1 => w.clone().reshaped(&[width, width]).transposed(),
            _ => dense(w, [heads, rows])?,
        });
        let bias = source.take(&format!("{gate}.b"), [Some(heads), Some(rows)])?;
        biases.push(bias.clone().reshaped(&[width]));
    }
    same_type("the gates", &weights[0], &weights[1])?;
    same_type("the gates' biases", &biases[0], &biases[1])?;
    let all = [
        ("lambda", lambda.clone()),
        ("weight_ih", Array::stacked(&weights)),
        ("bias_ih", Array::stacked(&biases)),
    ];
    let config = AnyScannedConfig::new(ScannedKind::RgLru, width, width);
    Ok(OneLayer { config, tensors: named(all) })
}

fn rg_lru_tensors(own: &Tensors) -> Result<Tensors, String> {
    if own.contains_key("weight_in") {
        return Err("a projection of its input (weight_in), expected d_input = d_hidden".into());
    }
    let weight = &own["weight_ih"];
    let &[rows, width] = weight.shape() else { unreachable!("a matrix") };
    let bias = own.get("bias_ih").cloned();
    let bias = bias.unwrap_or_else(|| Array::zeros(weight.element(), &[rows]));
    let halves = weight.clone().reshaped(&[2, width, width]);
    let biases = bias.reshaped(&[2, width]);
    let gate = |k: usize| halves.row(k).transposed().reshaped(&[1, width, width]);
    Ok(named([
        ("a_param", own["lambda"].clone()),
        ("a_gate.w", gate(0)),
        ("a_gate.b", biases.row(0).reshaped(&[1, width])),
        ("input_gate.w", gate(1)),
        ("input_gate.b", biases.row(1).reshaped(&[1, width])),
    ]))
}

/// The real and the imaginary part of complex numbers `[m, n, 2]`, `[m, n]` each.
fn parts(pairs: &Array, [m, n]: [usize; 2]) -> [Array; 2] {
    let flat = pairs.clone().reshaped(&[m * n, 2]);
    [0, 1].map(|part| flat.columns(part, 1).reshaped(&[m, n]))
}

/// An array times a power of two, which is exact.
fn scaled(name: &str, array: &Array, factor: f64) -> Result<Array, String> {
    if factor == 1.0 {
        return Ok(array.clone());
    }
    let before = array.to_f64();
    let values = before.iter().map(|x| factor * x).collect();
    let after = Array::of_f64(array.element(), array.shape().to_vec(), values)?;
    let exact =
        |(x, y): (&f64, f64)| x.is_nan() || (y == factor * x && y.is_finite() == x.is_finite());
    match before.iter().zip(after.to_f64()).all(exact) {
        true => Ok(after),
        false => {
            let element = array.element().name();
            Err(format!("{factor} times `{name}` is no number of {element}: give it in f32"))
        }
    }
}

fn same_type(what: &str, a: &Array, b: &Array) -> Result<(), String> {
    let [first, second] = [a, b].map(|array| array.element().name());
    match first == second {
        true => Ok(()),
        false => Err(format!("{what} have the types {first} and {second}, expected one")),
    }
}

/// The matrix `[N·d, N·d]` whose blocks are the transposed heads, for heads `[N, d, d]`: inputs by outputs.
fn dense(heads: &Array, [count, size]: [usize; 2]) -> Result<Array, String> {
    let (width, values) = (count * size, heads.to_f64());
    let mut all = vec![0.0; width * width];
    for head in 0..count {
        for input in 0..size {
            for output in 0..size {
                let at = (head * size + output) * width + head * size + input;
                all[at] = values[(head * size + input) * size + output];
            }
        }
    }
    Array::of_f64(heads.element(), vec![width, width], all)
}

/// A square matrix with these numbers on its diagonal.
fn diagonal(of: &Array) -> Result<Array, String> {
    let (values, size) = (of.to_f64(), of.shape()[0]);
    if size > MOST_CHANNELS {
        return Err(format!(
            "`D` has {size} numbers, expected at most {MOST_CHANNELS}: here it is a matrix"
        ));
    }
    let mut all = vec![0.0; size * size];
    values.iter().enumerate().for_each(|(k, value)| all[k * size + k] = *value);
    Array::of_f64(of.element(), vec![size, size], all)
}

/// The diagonal of a matrix that has nothing else.
fn of_diagonal(matrix: &Array) -> Result<Array, String> {
    let (values, &[rows, columns]) = (matrix.to_f64(), matrix.shape()) else {
        unreachable!("a matrix")
    };
    let is_off = |at: &usize| at / columns != at % columns;
    if rows != columns || (0..values.len()).filter(is_off).any(|at| values[at] != 0.0) {
        return Err("`D` is a matrix, and there it is one number a channel".to_string());
    }
    let on = (0..rows).map(|k| values[k * columns + k]).collect();
    Array::of_f64(matrix.element(), vec![rows], on)
}

fn named<'a>(all: impl IntoIterator<Item = (&'a str, Array)>) -> Tensors {
    all.into_iter().map(|(name, array)| (name.to_string(), array)).collect()
}
