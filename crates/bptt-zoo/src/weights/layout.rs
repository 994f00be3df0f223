//! The tensors in a file that belong to no recurrent layer, in Burn's layout and in PyTorch's.
//!
//! Burn's own adapters (`burn-store`) know the kind of each module. A file of weights does not say it. So this file
//! makes the same changes, in both directions, but only where names and shapes leave no doubt:
//!
//! | module | Burn | PyTorch |
//! | --- | --- | --- |
//! | linear, with a bias | `weight [I, O]` | `weight [O, I]` |
//! | norms of layers, batches, groups | `gamma`, `beta` | `weight`, `bias` |
//! | embedding, convolution | the same | the same |
//!
//! Everything else is copied without a change, and the table says so.

use crate::weights::array::Array;
use crate::weights::contents::Tensors;
use crate::weights::error_list::shown;
use crate::weights::format::Layout;
use crate::weights::layer::split;
use std::collections::BTreeMap;

/// What was done to a tensor.
pub(super) struct Change {
    /// Its name in the result.
    pub(super) to: String,
    /// What was done to it.
    pub(super) how: String,
}

const AS_IT_IS: &str = "copied as it is: not of a recurrent layer";

/// Converts the tensors that belong to no recurrent layer to the other layout.
///
/// # Arguments
///
/// - `of_layer`: whether a name is the name of a recurrent layer's parameter
/// - `linear`: the linear layers without a bias, which otherwise look like embeddings
///
/// # Errors
///
/// One line, if there is no such linear layer.
pub(super) fn change(
    tensors: Tensors,
    to: Layout,
    of_layer: impl Fn(&str) -> bool,
    linear: &[String],
) -> Result<(Tensors, BTreeMap<String, Change>), String> {
    for module in linear {
        let name = format!("{module}.weight");
        if tensors.get(&name).is_none_or(|weight| weight.shape().len() != 2) {
            return Err(format!(
                "no linear layer {}: there is no matrix {}",
                shown(module),
                shown(&name)
            ));
        }
    }
    let mut changes = BTreeMap::new();
    let mut changed = Tensors::new();
    for (name, array) in &tensors {
        if of_layer(name) {
            changed.insert(name.clone(), array.clone());
            continue;
        }
        let (array, change) = one(&tensors, name, array, to, linear);
        changed.insert(change.to.clone(), array);
        changes.insert(name.clone(), change);
    }
    Ok((changed, changes))
}

fn one(
    tensors: &Tensors,
    name: &str,
    array: &Array,
    to: Layout,
    linear: &[String],
) -> (Array, Change) {
    let (path, part) = split(name);
    let beside = |part: &str| tensors.get(&format!("{path}{part}")).map(Array::shape);
    let as_it_is = |how: String| (array.clone(), Change { to: name.to_string(), how });
    let is_named = linear.iter().any(|module| path.strip_suffix('.') == Some(module));
    match (part, array.shape(), beside("bias")) {
        ("weight", [_, _], _) if is_named => linear_layer(name, array, to),
        ("weight", &[rows, columns], Some(&[outputs])) => {
            let expected = if to == Layout::Torch { columns } else { rows };
            match outputs == expected {
                true => linear_layer(name, array, to),
                false => as_it_is(format!("{AS_IT_IS}, and no linear one: its bias has {outputs}")),
            }
        }
        ("weight", [_, _], None) => as_it_is(format!(
            "{AS_IT_IS}; an embedding needs no more, a linear layer without a bias is to be named \
             (--linear)"
        )),
        _ => match renamed(tensors, name, to) {
            Some(new) => {
                let how = "of a norm, renamed".to_string();
                (array.clone(), Change { to: new, how })
            }
            None => as_it_is(AS_IT_IS.to_string()),
        },
    }
}

fn linear_layer(name: &str, array: &Array, to: Layout) -> (Array, Change) {
    let (from, to) = match to {
        Layout::Torch => ("Burn", "PyTorch"),
        Layout::Burn => ("PyTorch", "Burn"),
    };
    let how = format!("of a linear layer, transposed from {from}'s layout to {to}'s");
    (array.transposed(), Change { to: name.to_string(), how })
}

/// The name of a norm's parameter in the other library.
fn renamed(tensors: &Tensors, name: &str, to: Layout) -> Option<String> {
    let (path, part) = split(name);
    let sizes = |part: &str| match tensors.get(&format!("{path}{part}"))?.shape() {
        &[size] => Some(size),
        _ => None,
    };
    let size = sizes(part)?;
    let new = match (to, part) {
        (Layout::Torch, "gamma") => "weight",
        (Layout::Torch, "beta") if sizes("gamma") == Some(size) => "bias",
        // A vector with a bias of the same length belongs to a norm. A vector alone may belong to an activation.
        (Layout::Burn, "weight") if sizes("bias") == Some(size) => "gamma",
        (Layout::Burn, "bias") if sizes("weight") == Some(size) => "beta",
        _ => return None,
    };
    let new = format!("{path}{new}");
    // A module with both names is another kind of module.
    (!tensors.contains_key(&new)).then_some(new)
}

#[cfg(test)]
mod tests {
    use super::super::array::Element;
    use super::*;

    fn tensors(shapes: &[(&str, &[usize])]) -> Tensors {
        let array = |shape: &[usize]| {
            let count = shape.iter().product::<usize>();
            Array::new(Element::U8, shape.to_vec(), (0..count as u8).collect()).unwrap()
        };
        shapes.iter().map(|(name, shape)| (name.to_string(), array(shape))).collect()
    }

    #[test]
    fn there_and_back_is_the_same() {
        let burn = tensors(&[
            ("embedding.weight", &[5, 3]),
            ("head.weight", &[3, 3]),
            ("head.bias", &[3]),
            ("free.weight", &[2, 3]),
            ("norm.gamma", &[3]),
            ("norm.beta", &[3]),
            ("norm.running_mean", &[3]),
            ("conv.weight", &[2, 2, 3]),
            ("conv.bias", &[2]),
            ("rnn.weight_ih_l0", &[4, 1]),
        ]);
        let of_layer = |name: &str| name.starts_with("rnn.");
        let linear = ["free".to_string()];
        let (torch, changes) = change(burn.clone(), Layout::Torch, of_layer, &linear).unwrap();
        assert_eq!(torch["head.weight"], burn["head.weight"].transposed());
        assert_eq!(torch["free.weight"].shape(), [3, 2]);
        assert_eq!(torch["embedding.weight"], burn["embedding.weight"]);
        assert_eq!(torch["norm.weight"], burn["norm.gamma"]);
        assert_eq!(torch["norm.bias"], burn["norm.beta"]);
        assert_eq!(torch["conv.weight"], burn["conv.weight"]);
        assert!(changes["head.weight"].how.contains("from Burn's layout to PyTorch's"));
        assert!(changes["embedding.weight"].how.contains("copied as it is"));
        assert!(!changes.contains_key("rnn.weight_ih_l0"));
        let (back, _) = change(torch, Layout::Burn, of_layer, &linear).unwrap();
        assert_eq!(back, burn);
    }

    #[test]
    fn what_is_not_certain_is_copied() {
        // Three odd cases: a bias that does not fit a linear layer of Burn, a vector without a bias, and a name that
        // already exists.
        let odd = tensors(&[
            ("a.weight", &[2, 3]),
            ("a.bias", &[2]),
            ("b.gamma", &[3]),
            ("b.weight", &[3]),
        ]);
        let (same, changes) = change(odd.clone(), Layout::Torch, |_| false, &[]).unwrap();
        assert_eq!(same, odd);
        assert!(changes["a.weight"].how.contains("its bias has 2"));
        let alone = tensors(&[("a.weight", &[3])]);
        assert_eq!(change(alone.clone(), Layout::Burn, |_| false, &[]).unwrap().0, alone);
        let message = change(odd, Layout::Torch, |_| false, &["c".to_string()]).map(|_| ());
        assert!(message.unwrap_err().contains("no linear layer `c`"));
    }
}
