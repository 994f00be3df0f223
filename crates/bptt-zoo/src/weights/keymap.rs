//! Converts names and layouts of other libraries to those of PyTorch.
//!
//! This file has what `keras.rs`, `flax.rs` and the files of other libraries share. It finds out which tensors are one cell, which cells are the
//! directions of one layer, and in which order the layers are stacked.

use crate::weights::array::{Array, Element};
use crate::weights::contents::{Tensors, UnreadTensor};
use crate::weights::error_list::{ErrorList, shown};
use bptt::{CellKind, Nonlinearity};
use std::collections::BTreeMap;

/// Where a tensor of a file went.
#[derive(Clone, Debug, PartialEq, serde::Serialize)]
pub struct TensorMapping {
    /// Its name in the file.
    pub from: String,
    /// Its shape in the file.
    pub shape: Vec<usize>,
    /// Its type.
    #[serde(rename = "type")]
    pub element: String,
    /// Its name in the result, or `None` if it was left out.
    pub to: Option<String>,
    /// What was done to it, or why it was left out.
    pub how: String,
}

impl TensorMapping {
    pub(super) fn new(from: &str, array: &Array, to: Option<String>, how: &str) -> Self {
        Self {
            from: from.to_string(),
            shape: array.shape().to_vec(),
            element: array.element().name().to_string(),
            to,
            how: how.to_string(),
        }
    }

    /// A tensor that is not read.
    pub(super) fn unread(from: &str, odd: &UnreadTensor) -> Self {
        Self {
            from: from.to_string(),
            shape: odd.shape.clone(),
            element: odd.what.clone(),
            to: None,
            how: "left out: a type that is not read".to_string(),
        }
    }
}

/// Tensors with PyTorch's names, and where each of them comes from.
#[derive(Default)]
pub(super) struct Translated {
    pub(super) tensors: Tensors,
    pub(super) mappings: Vec<TensorMapping>,
    /// Whether the reset gate of a GRU comes after the product, if the file shows it.
    pub(super) reset_after: Option<bool>,
    /// The cell, if it is one that PyTorch does not have.
    pub(super) kind: Option<CellKind>,
    /// The nonlinearity that the library has by default, if it is not tanh.
    pub(super) nonlinearity: Option<Nonlinearity>,
}

/// The tensors of one cell, by the rest of their names after the cell's path.
#[derive(Default)]
pub(super) struct Cell<'a> {
    /// The cell's path, for messages.
    pub(super) path: String,
    /// For the last part or parts of each name: the whole name and the tensor.
    pub(super) tensors: BTreeMap<String, (&'a str, &'a Array)>,
}

/// One cell in PyTorch's layout.
pub(super) struct Parameters {
    pub(super) weight_ih: Array,
    pub(super) weight_hh: Array,
    /// `bias_ih` and `bias_hh`.
    pub(super) biases: Option<[Array; 2]>,
    /// `bias_ih` of a cell that has no other.
    pub(super) bias: Option<Array>,
    /// `weight_diag`.
    pub(super) diagonal: Option<Array>,
}

/// A library's layout of one cell.
pub(super) trait KeyMap {
    /// How many parts at the end of a name belong to the cell: Keras `kernel`, Flax `ii/kernel`.
    const OWN: usize;

    /// The same for one name, if it differs from name to name; `None`, if the tensor is of no cell.
    fn own(_parts: &[&str]) -> Option<usize> {
        Some(Self::OWN)
    }

    /// Refuses files whose layers compute something else.
    ///
    /// # Errors
    ///
    /// What it is, in a line.
    fn check(_tensors: &Tensors) -> Result<(), String> {
        Ok(())
    }

    /// The parts of a cell's path in the order of layers, with the direction as in Keras; `None`, if the tensors are of
    /// no layer.
    fn path(_tensors: &Tensors, path: &[&str]) -> Option<Vec<String>> {
        Some(path.iter().map(|part| part.to_string()).collect())
    }

    /// Whether tensors with these names are a recurrent cell.
    fn is_cell(cell: &Cell<'_>) -> bool;

    /// The cell's parameters; `suffix` is the suffix of their names in the record.
    fn parameters(
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Parameters>;
}

/// Translates all recurrent cells of a file to one stack with PyTorch's names.
///
/// The numbers in the names give the order of the layers. Apart from the numbers, the names have to be the same:
/// `lstm`, `lstm_1`, …, `lstm_10`. The file does not say which layer reads which.
///
/// # Arguments
///
/// - `order`: the layers, the lowest first, if their names do not show the order
///
/// # Errors
///
/// One line that lists everything that does not fit.
pub(super) fn translate<M: KeyMap>(
    tensors: &Tensors,
    order: &[String],
) -> Result<Translated, String> {
    M::check(tensors)?;
    let mut cells: BTreeMap<Vec<Part>, Cell<'_>> = BTreeMap::new();
    for (name, array) in tensors {
        let parts: Vec<&str> = name.split(['/', '.']).collect();
        let own = M::own(&parts).and_then(|own| parts.len().checked_sub(own));
        let Some(path) = own else { continue };
        let (path, own) = parts.split_at(path);
        let Some(ordered) = M::path(tensors, path) else { continue };
        let cell = cells.entry(ordered.iter().map(|part| Part::new(part)).collect()).or_default();
        cell.path = path.join("/");
        let own = own.join("/");
        let own = own.strip_suffix(":0").unwrap_or(&own).to_string();
        if let Some((other, _)) = cell.tensors.insert(own, (name, array)) {
            return Err(format!("{} and {} are one name", shown(name), shown(other)));
        }
    }
    cells.retain(|_, cell| M::is_cell(cell));
    let layers = ordered(directions(cells)?, order)?;

    let mut translated = Translated::default();
    let mut errors = ErrorList::default();
    for (number, directions) in layers.into_iter().enumerate() {
        for (reverse, cell) in directions {
            let suffix = format!("_l{number}{}", if reverse { "_reverse" } else { "" });
            let found = M::parameters(&cell, &suffix, &mut translated, &mut errors);
            let Some(Parameters { weight_ih, weight_hh, biases, bias, diagonal }) = found else {
                continue;
            };
            translated.tensors.insert(format!("weight_ih{suffix}"), weight_ih);
            translated.tensors.insert(format!("weight_hh{suffix}"), weight_hh);
            let biases = biases.into_iter().flatten().chain(bias);
            for (name, bias) in ["bias_ih", "bias_hh"].iter().zip(biases) {
                translated.tensors.insert(format!("{name}{suffix}"), bias);
            }
            if let Some(diagonal) = diagonal {
                translated.tensors.insert(format!("weight_diag{suffix}"), diagonal);
            }
        }
    }
    match errors.count {
        0 => Ok(translated),
        _ => Err(errors.message()),
    }
}

/// The directions of one layer. The key is `true` for the backward direction.
type Directions<'a> = BTreeMap<bool, Cell<'a>>;

/// Groups the cells by layer. The directions of a layer differ by one part of their path.
fn directions(
    cells: BTreeMap<Vec<Part>, Cell<'_>>,
) -> Result<BTreeMap<Vec<Part>, Directions<'_>>, String> {
    let mut layers: BTreeMap<Vec<Part>, Directions<'_>> = BTreeMap::new();
    for (mut path, cell) in cells {
        let direction = path.iter().position(|part| part.direction().is_some());
        let reverse = path.iter().any(|part| part.direction() == Some(true));
        // The name of the cell follows the direction. Its number counts all cells of the program, so it is ignored.
        if let Some(at) = direction {
            path.truncate(at + 1);
        }
        let path = path.into_iter().map(Part::without_direction).collect();
        let layer = layers.entry(path).or_default();
        if let Some(other) = layer.get(&reverse) {
            let (a, b) = (shown(&other.path), shown(&cell.path));
            return Err(format!("{a} and {b} are the same direction of one layer"));
        }
        layer.insert(reverse, cell);
    }
    match layers.is_empty() {
        true => Err("no recurrent cell with names of this kind".to_string()),
        false => Ok(layers),
    }
}

/// The layers from the lowest to the highest.
fn ordered<'a>(
    layers: BTreeMap<Vec<Part>, Directions<'a>>,
    order: &[String],
) -> Result<Vec<Directions<'a>>, String> {
    let path = |layer: &Directions<'_>| {
        layer.values().next().map(|cell| cell.path.clone()).unwrap_or_default()
    };
    let names = |layers: &[Directions<'_>]| {
        const MOST: usize = 8;
        let mut names: Vec<_> = layers.iter().take(MOST).map(|layer| shown(&path(layer))).collect();
        names.extend((layers.len() > MOST).then(|| format!("and {} more", layers.len() - MOST)));
        names.join(", ")
    };
    if order.is_empty() {
        let numbered = are_numbered(layers.keys());
        let layers: Vec<_> = layers.into_values().collect();
        return match numbered {
            true => Ok(layers),
            false => Err(format!(
                "it holds {} recurrent layers, and their names do not say in which order one reads \
                 the other, or whether it does: {}; take one by its prefix, or say the order of a \
                 stack, the lowest first (--order)",
                layers.len(),
                names(&layers)
            )),
        };
    }
    let mut left: Vec<_> = layers.into_values().collect();
    let mut stacked = Vec::new();
    for name in order {
        let is_named = |layer: &Directions<'_>| {
            let path = path(layer);
            path.strip_prefix(&name.replace('.', "/"))
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
        };
        let mut found = (0..left.len()).filter(|&k| is_named(&left[k]));
        match (found.next(), found.next()) {
            (Some(k), None) => stacked.push(left.remove(k)),
            (None, _) => {
                return Err(format!(
                    "no layer {} to be ordered; there are {}",
                    shown(name),
                    names(&left)
                ));
            }
            (Some(_), Some(_)) => {
                return Err(format!("{} names several layers: {}", shown(name), names(&left)));
            }
        }
    }
    match left.is_empty() {
        true => Ok(stacked),
        false => Err(format!("the order does not name all layers: {} is missing", names(&left))),
    }
}

/// Whether paths differ only in their numbers, and whether these numbers give one order: no number falls where another
/// rises.
fn are_numbered<'p>(paths: impl Iterator<Item = &'p Vec<Part>> + Clone) -> bool {
    paths.clone().zip(paths.skip(1)).all(|(lower, upper)| {
        lower.len() == upper.len()
            && lower.iter().zip(upper).all(|(lower, upper)| {
                lower.words() == upper.words() && lower.numbers() <= upper.numbers()
            })
    })
}

impl<'a> Cell<'a> {
    /// Takes a tensor of the cell. It must exist and have a float type, and the given shape if there is one.
    pub(super) fn take(
        &self,
        own: &str,
        shape: &[Option<usize>],
        errors: &mut ErrorList,
    ) -> Option<(&'a str, &'a Array)> {
        let expected = || {
            let sizes = shape.iter().map(|size| size.map_or("?".to_string(), |n| n.to_string()));
            format!("[{}]", sizes.collect::<Vec<_>>().join(", "))
        };
        let Some(&(name, array)) = self.tensors.get(own) else {
            let full = shown(&format!("{}/{own}", self.path));
            errors.add(format!("{full} is missing, expected {}", expected()));
            return None;
        };
        let fits =
            array.shape().len() == shape.len()
                && array.shape().iter().zip(shape).all(|(&has, expected)| {
                    has > 0 && expected.is_none_or(|expected| has == expected)
                });
        if !fits {
            let found = array.shape();
            errors.add(format!("{} has shape {found:?}, expected {}", shown(name), expected()));
            return None;
        }
        if !array.element().is_float() {
            let found = array.element().name();
            errors.add(format!("{} is of type {found}, expected a float", shown(name)));
            return None;
        }
        Some((name, array))
    }
}

impl Translated {
    /// Says where a tensor went.
    pub(super) fn moved(&mut self, (name, array): (&str, &Array), target: &str, how: &str) {
        self.mappings.push(TensorMapping::new(name, array, Some(target.to_string()), how));
    }

    /// Says which cell of this project the layers have. All of them have the same.
    ///
    /// # Errors
    ///
    /// If a layer has another one than those before it, or if this build has no such cell.
    pub(super) fn say_kind(&mut self, name: &str) -> Result<(), String> {
        let kind = CellKind::ALL.into_iter().find(|kind| kind.name() == name);
        let kind =
            kind.ok_or_else(|| format!("its cell is {name}, which this build does not have"))?;
        match self.kind.replace(kind) {
            Some(other) if other != kind => {
                Err(format!("its cells are {} and {name}: take one by its prefix", other.name()))
            }
            _ => Ok(()),
        }
    }
}

/// Refuses tensors that are none of a cell's.
pub(super) fn only(cell: &Cell<'_>, known: &[&str], errors: &mut ErrorList) {
    for (own, (name, _)) in &cell.tensors {
        if !known.contains(&own.as_str()) {
            errors.add(format!("{} does not fit a recurrent cell", shown(name)));
        }
    }
}

/// The type of arrays that are to be concatenated, if all have the same.
pub(super) fn one_type(arrays: &[Array]) -> Option<Element> {
    let element = arrays.first()?.element();
    arrays.iter().all(|array| array.element() == element).then_some(element)
}

/// A part of a name. Parts are ordered by the values of their numbers, so that `lstm_10` comes after `lstm_9`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Part(Vec<(String, usize, String)>);

impl Part {
    fn new(text: &str) -> Self {
        let mut chunks: Vec<(String, usize, String)> = Vec::new();
        let mut digits = false;
        for c in text.chars() {
            if chunks.is_empty() || (digits && !c.is_ascii_digit()) {
                chunks.push(Default::default());
            }
            digits = c.is_ascii_digit();
            let (word, length, number) = chunks.last_mut().expect("one was put there");
            if digits {
                // Leading zeros are removed. Then the longer of two numbers is the larger one.
                if c != '0' || !number.is_empty() {
                    number.push(c);
                    *length = number.len();
                }
            } else {
                word.push(c);
            }
        }
        Self(chunks)
    }

    /// The part without its number: `lstm` of `lstm_10`.
    fn words(&self) -> Vec<&str> {
        let words = self.0.iter().map(|(word, ..)| word.as_str());
        let mut words: Vec<_> = words.collect();
        if let Some(last) = words.last_mut() {
            *last = last.trim_end_matches('_');
        }
        words
    }

    fn numbers(&self) -> Vec<(usize, &str)> {
        self.0.iter().map(|(_, length, number)| (*length, number.as_str())).collect()
    }

    /// Whether it names a direction, and whether that is the backward one.
    fn direction(&self) -> Option<bool> {
        let (word, ..) = self.0.first()?;
        match word {
            word if word.starts_with("forward_") => Some(false),
            word if word.starts_with("backward_") => Some(true),
            _ => None,
        }
    }

    fn without_direction(mut self) -> Self {
        if let Some((word, ..)) = self.0.first_mut() {
            let bare = word.strip_prefix("forward_").or_else(|| word.strip_prefix("backward_"));
            if let Some(bare) = bare {
                *word = bare.to_string();
            }
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_ordered_by_their_numbers() {
        let sorted =
            ["gru", "lstm", "lstm_1", "lstm_2", "lstm_10", "lstm_010b", "lstm_011", "rnn_0"];
        let mut parts: Vec<_> = sorted.iter().rev().map(|name| Part::new(name)).collect();
        parts.sort();
        assert_eq!(parts, sorted.map(Part::new));
    }

    #[test]
    fn only_numbers_are_an_order() {
        let of = |names: &[&str]| {
            let paths: BTreeMap<Vec<Part>, ()> =
                names.iter().map(|name| (name.split('/').map(Part::new).collect(), ())).collect();
            are_numbered(paths.keys())
        };
        assert!(of(&["lstm/lstm_cell", "lstm_1/lstm_cell", "lstm_10/lstm_cell"]));
        assert!(of(&["lstm/lstm_cell", "lstm_1/lstm_cell_1"]));
        assert!(of(&["enc_0_rnn", "enc_1_rnn"]) && of(&["layers/0/cell", "layers/1/cell"]));
        assert!(!of(&["encoder", "decoder"]) && !of(&["rnn_in", "rnn_hidden"]));
        assert!(!of(&["lstm", "gru_1"]) && !of(&["lstm", "model/lstm"]));
        assert!(!of(&["a_1/lstm_2", "a_2/lstm_1"]));
    }

    #[test]
    fn directions_are_one_layer() {
        let (forward, backward) = (Part::new("forward_lstm_1"), Part::new("backward_lstm_1"));
        assert_eq!((forward.direction(), backward.direction()), (Some(false), Some(true)));
        assert_eq!(forward.without_direction(), backward.without_direction());
        assert_eq!(Part::new("lstm").direction(), None);
    }
}
