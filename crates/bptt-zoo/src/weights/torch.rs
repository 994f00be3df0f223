//! How PyTorch's modules change the names of parameters: cells, weight norm, AWD-LSTM, wrappers.

use crate::weights::array::Array;
use crate::weights::contents::Tensors;
use crate::weights::error_list::{ErrorList, shown};
use crate::weights::keymap::{TensorMapping, Translated};
use crate::weights::layer::{is_layer_parameter, split};
use std::collections::{BTreeMap, BTreeSet};

/// The parameters of `nn.LSTMCell`, `nn.GRUCell` and `nn.RNNCell`.
const CELL: [&str; 4] = ["weight_ih", "weight_hh", "bias_ih", "bias_hh"];

/// The prefixes that wrappers (`DataParallel`, `torch.compile`) add to all names.
const WRAPPERS: [&str; 2] = ["module.", "_orig_mod."];

/// The text between the name of a module and the parts of a parametrized parameter.
const PARAMETRIZED: &str = "parametrizations.";

/// Whether a name in a state dict belongs to a parameter of a recurrent layer, in any form.
pub(super) fn is_parameter(name: &str) -> bool {
    let (path, last) = split(name);
    let base = |name: &str| is_layer_parameter(name) || CELL.contains(&name);
    let whole = |name: &str| {
        ["", "_raw", "_g", "_v"].iter().any(|end| name.strip_suffix(end).is_some_and(base))
    };
    if last.starts_with("original") {
        let (path, parametrized) = split(path.trim_end_matches('.'));
        return path.ends_with(PARAMETRIZED) && base(parametrized);
    }
    whole(last)
}

/// The prefix that a wrapper has added to all of these names: `module.`, `_orig_mod.`, or both.
pub(super) fn wrapper<'n>(names: impl Iterator<Item = &'n String> + Clone) -> String {
    let mut found = String::new();
    let Some(first) = names.clone().next() else { return found };
    while let Some(next) = WRAPPERS.iter().find(|next| first[found.len()..].starts_with(**next)) {
        let longer = format!("{found}{next}");
        if !names.clone().all(|name| name.starts_with(&longer)) {
            break;
        }
        found = longer;
    }
    found
}

/// Translates the parameters of recurrent layers to the names of `nn.LSTM`, `nn.GRU` and `nn.RNN`.
///
/// # Errors
///
/// One line that lists everything that does not fit.
pub(super) fn translate(tensors: Tensors) -> Result<Translated, String> {
    let mut done = Translated { tensors, ..Translated::default() };
    let mut errors = ErrorList::default();
    weight_norm(&mut done, &mut errors);
    dropped_weights(&mut done, &mut errors);
    cells(&mut done, &mut errors);
    match errors.count {
        0 => Ok(done),
        _ => Err(errors.message()),
    }
}

/// Finds weights under weight norm, in its old and new form, and computes each weight from its two parts.
fn weight_norm(done: &mut Translated, errors: &mut ErrorList) {
    let mut halves: BTreeMap<String, [Option<String>; 2]> = BTreeMap::new();
    for name in done.tensors.keys() {
        let (path, last) = split(name);
        let whole = |path: &str, base: &str| is_parameter(base).then(|| format!("{path}{base}"));
        let (whole, half) = if let Some(base) = last.strip_suffix("_g") {
            (whole(path, base), 0)
        } else if let Some(base) = last.strip_suffix("_v") {
            (whole(path, base), 1)
        } else {
            let (module, base) = split(path.trim_end_matches('.'));
            let Some(module) = module.strip_suffix(PARAMETRIZED) else { continue };
            let whole = whole(module, base);
            match last {
                "original0" => (whole, 0),
                "original1" => (whole, 1),
                _ if whole.is_some() => {
                    errors.add(format!(
                        "{} is of a parametrization other than weight norm: take it off in Python \
                         first (torch.nn.utils.parametrize.remove_parametrizations)",
                        shown(name)
                    ));
                    continue;
                }
                _ => continue,
            }
        };
        if let Some(whole) = whole {
            halves.entry(whole).or_default()[half] = Some(name.clone());
        }
    }
    for (whole, names) in halves {
        let [Some(length), Some(direction)] = names else {
            let there = names.into_iter().flatten().next().unwrap_or_default();
            errors.add(format!(
                "{} is one half of a weight norm, the other is missing",
                shown(&there)
            ));
            continue;
        };
        if done.tensors.contains_key(&whole) {
            errors.add(format!("{} and {} are both there", shown(&whole), shown(&length)));
            continue;
        }
        match normed(&done.tensors[&length], &done.tensors[&direction]) {
            Ok(array) => {
                for name in [length, direction] {
                    let half = done.tensors.remove(&name).expect("it was found");
                    let how = "weight norm, folded";
                    done.mappings.push(TensorMapping::new(&name, &half, Some(whole.clone()), how));
                }
                done.tensors.insert(whole, array);
            }
            Err(why) => errors.add(format!("{} and {}: {why}", shown(&length), shown(&direction))),
        }
    }
}

/// `g · v / ‖v‖`. `g` has one length for each index of one dimension, or one length for all. The norm is taken over the
/// other dimensions.
fn normed(length: &Array, direction: &Array) -> Result<Array, String> {
    let shape = direction.shape();
    let lengths = length.shape();
    // Without dimensions, `g` is one number.
    let along: Vec<usize> = (0..lengths.len()).filter(|&k| lengths[k] != 1).collect();
    let fits = match along[..] {
        [] => lengths.is_empty() || lengths.len() == shape.len(),
        [k] => lengths.len() == shape.len() && lengths[k] == shape[k],
        _ => false,
    };
    if !fits || length.element() != direction.element() || !length.element().is_float() {
        return Err(format!(
            "{} {lengths:?} and {} {shape:?} are no weight norm's",
            length.element().name(),
            direction.element().name()
        ));
    }
    // `which` gives the index of the length that belongs to an element.
    let (inner, size) = match along[..] {
        [k] => (shape[k + 1..].iter().product::<usize>().max(1), shape[k].max(1)),
        _ => (1, 1),
    };
    let which = |at: usize| at / inner % size;
    let (lengths, mut values) = (length.to_f64(), direction.to_f64());
    let mut squares = vec![0.0; lengths.len()];
    for (at, value) in values.iter().enumerate() {
        squares[which(at)] += value * value;
    }
    for (at, value) in values.iter_mut().enumerate() {
        *value *= lengths[which(at)] / f64::sqrt(squares[which(at)]);
    }
    Array::of_f64(direction.element(), shape.to_vec(), values)
}

/// AWD-LSTM stores the weight as `weight_hh_l0_raw`. The tensor with the layer's own name, in the same module or in a
/// module within it, is a copy after dropout.
fn dropped_weights(done: &mut Translated, errors: &mut ErrorList) {
    let raw: Vec<String> = done
        .tensors
        .keys()
        .filter(|name| {
            name.strip_suffix("_raw").is_some_and(|whole| is_layer_parameter(split(whole).1))
        })
        .cloned()
        .collect();
    for raw in raw {
        let (path, whole) = split(raw.strip_suffix("_raw").expect("it ends so"));
        // The layer is the module with the other parameters.
        let inside = |path: &str| {
            done.tensors
                .keys()
                .any(|name| *name != raw && name.strip_prefix(path).is_some_and(is_layer_parameter))
        };
        let module = format!("{path}module.");
        let target = format!("{}{whole}", if inside(&module) { &module } else { path });
        let array = done.tensors[&raw].clone();
        if let Some(copy) = done.tensors.get(&target) {
            if copy.shape() != array.shape() || copy.element() != array.element() {
                errors.add(format!(
                    "{} has shape {:?}, and {} has {:?}",
                    shown(&raw),
                    array.shape(),
                    shown(&target),
                    copy.shape()
                ));
                continue;
            }
            let how = "left out: numbers are dropped out of it";
            done.mappings.push(TensorMapping::new(&target, copy, None, how));
        }
        done.mappings.push(TensorMapping::new(
            &raw,
            &array,
            Some(target.clone()),
            "the weight before dropout",
        ));
        done.tensors.remove(&raw);
        done.tensors.insert(target, array);
    }
}

/// A cell is a layer of depth one.
fn cells(done: &mut Translated, errors: &mut ErrorList) {
    let is_weight = |name: &String| ["weight_ih", "weight_hh"].contains(&split(name).1);
    let paths: BTreeSet<String> = done
        .tensors
        .keys()
        .filter(|name| is_weight(name))
        .map(|name| split(name).0.into())
        .collect();
    for path in paths {
        for part in CELL {
            let (old, new) = (format!("{path}{part}"), format!("{path}{part}_l0"));
            if !done.tensors.contains_key(&old) {
                continue;
            }
            if done.tensors.contains_key(&new) {
                errors.add(format!("{} and {} are both there", shown(&old), shown(&new)));
                continue;
            }
            let array = done.tensors.remove(&old).expect("it is there");
            // A weight that was computed above already has an entry in the table. Any other weight needs one.
            let mut was_moved = false;
            for mapping in &mut done.mappings {
                if mapping.to.as_ref() == Some(&old) {
                    (mapping.to, was_moved) = (Some(new.clone()), true);
                }
            }
            if !was_moved {
                let how = "of a cell: a layer of depth one";
                done.mappings.push(TensorMapping::new(&old, &array, Some(new.clone()), how));
            }
            done.tensors.insert(new, array);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::array::Element;
    use super::*;

    fn array(shape: &[usize], values: &[f64]) -> Array {
        Array::of_f64(Element::F32, shape.to_vec(), values.to_vec()).unwrap()
    }

    #[test]
    fn parameters_are_known_in_every_form() {
        for name in [
            "weight_ih_l0",
            "a.b.bias_hh_l12_reverse",
            "cell.weight_hh",
            "rnn.weight_hh_l0_raw",
            "rnn.weight_hh_l0_g",
            "rnn.parametrizations.weight_hh_l0.original1",
        ] {
            assert!(is_parameter(name), "{name}");
        }
        for name in ["head.weight", "weight_hh_x", "original0", "rnn.weight_hh_l0.original1", "_g"]
        {
            assert!(!is_parameter(name), "{name}");
        }
    }

    #[test]
    fn norms_are_over_what_the_lengths_leave() {
        let v = array(&[2, 2], &[3.0, 4.0, 0.0, 2.0]);
        let of = |shape: &[usize], g: &[f64]| normed(&array(shape, g), &v).unwrap().to_f64();
        assert_eq!(of(&[2, 1], &[10.0, 3.0]), [6.0, 8.0, 0.0, 3.0]);
        let columns = of(&[1, 2], &[3.0, 20.0_f64.sqrt()]);
        assert!(columns.iter().zip([3.0, 4.0, 0.0, 2.0]).all(|(a, b)| (a - b).abs() < 1e-6));
        assert_eq!(of(&[], &[29.0_f64.sqrt()]).len(), 4);
        for shape in [&[3, 1][..], &[2], &[2, 2], &[1, 1, 1], &[0, 1]] {
            let g = array(shape, &vec![1.0; shape.iter().product()]);
            assert!(normed(&g, &v).is_err(), "{shape:?}");
        }
    }

    #[test]
    fn what_wraps_everything_is_found() {
        let of = |names: &[&str]| {
            let names: Vec<String> = names.iter().map(|name| name.to_string()).collect();
            wrapper(names.iter())
        };
        assert_eq!(of(&["module.a", "module.b"]), "module.");
        assert_eq!(of(&["module._orig_mod.a", "module._orig_mod.b"]), "module._orig_mod.");
        assert_eq!(of(&["module.a", "n_averaged"]), "");
        assert_eq!(of(&[]), "");
    }

    #[test]
    fn halves_and_doubles_are_refused() {
        let one = || array(&[1, 1], &[1.0]);
        let of = |names: &[&str]| {
            let tensors = names.iter().map(|name| (name.to_string(), one())).collect();
            translate(tensors).map(|_| ()).unwrap_err()
        };
        assert!(of(&["weight_hh_l0_g"]).contains("the other is missing"));
        assert!(of(&["weight_hh_l0_g", "weight_hh_l0_v", "weight_hh_l0"]).contains("both there"));
        assert!(of(&["weight_hh", "weight_hh_l0"]).contains("both there"));
        let message = of(&["a.parametrizations.weight_hh_l0.original"]);
        assert!(message.contains("remove_parametrizations"), "{message}");
    }
}
