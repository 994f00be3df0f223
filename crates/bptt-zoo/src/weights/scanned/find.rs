//! The stacks of layers that run as a scan in a file that is read for conversion.

use super::found::{FoundScanned, LAYERS, ScannedOptions, parsed};
use super::program::{self, OneLayer};
use super::source::{Source, usual};
use crate::weights::contents::Tensors;
use crate::weights::error_list::shown;
use crate::weights::keymap::TensorMapping;
use crate::weights::library::Library;
use crate::weights::said::Said;
use bptt::scanned::ScannedKind;
use std::collections::{BTreeMap, BTreeSet};

/// What is asked for of layers that run as a scan; `None` where nothing is.
pub(in crate::weights) struct Asked {
    pub(in crate::weights) library: Library,
    pub(in crate::weights) kind: Option<ScannedKind>,
    pub(in crate::weights) log_space: Option<bool>,
    pub(in crate::weights) bidirectional: Option<bool>,
    pub(in crate::weights) conjugates: Option<bool>,
    pub(in crate::weights) batch_first: Option<bool>,
    pub(in crate::weights) reverse: Option<bool>,
    pub(in crate::weights) dropout: Option<f64>,
    /// An option of layers that run step by step, if one is given: what is to be said of it.
    pub(in crate::weights) other: Option<&'static str>,
}

/// The stacks, and their tensors by our names.
#[derive(Default)]
pub(in crate::weights) struct Scans {
    pub(in crate::weights) stacks: Vec<FoundScanned>,
    pub(in crate::weights) tensors: Tensors,
    pub(in crate::weights) mappings: Vec<TensorMapping>,
}

/// Finds the stacks in a file, and takes their tensors out of it.
///
/// A stack is one that the file or the run folder speaks of, or the one that is asked for ([`Asked::kind`]), or
/// the layer of another program. Names alone do not show one: `layers.0.weight_ih` may be anything.
///
/// # Arguments
///
/// - `prefix`: what was cut off from the names of `own`
/// - `said`: by the prefix of each layer in the whole file
///
/// # Errors
///
/// One line with what does not fit, or with options that no such layer has.
pub(in crate::weights) fn find(
    asked: &Asked,
    prefix: &str,
    own: &mut Tensors,
    said: &BTreeMap<String, Said>,
) -> Result<Scans, String> {
    let scans = match asked.library {
        Library::Torch => stacks(asked, prefix, own, said)?,
        library if program::of_library(library).is_empty() => Scans::default(),
        library => foreign(asked, library, own)?,
    };
    check_options(asked, !scans.stacks.is_empty())?;
    Ok(scans)
}

/// Options that are for other layers are refused, and not ignored.
fn check_options(asked: &Asked, has_stacks: bool) -> Result<(), String> {
    let for_scans = [
        (asked.kind.is_some(), "a cell that runs as a scan is named (cell)"),
        (asked.log_space.is_some(), "log_space is for minGRU and minLSTM"),
        (asked.bidirectional.is_some(), "bidirectional is for layers that run as a scan"),
    ];
    let wrong = match has_stacks {
        true => asked.other,
        false => for_scans.iter().find(|(is_given, _)| *is_given).map(|(_, why)| *why),
    };
    if let Some(why) = wrong {
        let found = if has_stacks { "layers that run as a scan" } else { "no such layer" };
        return Err(format!("{why}, and the file has {found}"));
    }
    match asked.conjugates.is_some() && asked.library != Library::S5 {
        true => Err("conjugates is for files of S5".to_string()),
        false => Ok(()),
    }
}

/// Whether there are names as those of a stack of which nothing is known.
pub(in crate::weights) fn has_unknown(own: &Tensors) -> bool {
    let marks = ["weight_ih", "lambda", "nu_log", "rate_log"];
    stems(own).iter().any(|stem| {
        let first = |name: &str| own.contains_key(&format!("{stem}{LAYERS}0.{name}"));
        marks.iter().any(|name| first(name)) && !first("weight_hh")
    })
}

/// What stands in front of `layers.0.` in the names.
fn stems(own: &Tensors) -> BTreeSet<String> {
    let stem = |name: &String| {
        let (at, _) = name.match_indices(LAYERS).find(|(at, _)| {
            let is_part = *at == 0 || name.as_bytes()[at - 1] == b'.';
            is_part && parsed(&name[at + LAYERS.len()..]).is_some()
        })?;
        Some(name[..at].to_string())
    };
    own.keys().filter_map(stem).collect()
}

/// The stacks of this project, by what is said of them.
fn stacks(
    asked: &Asked,
    prefix: &str,
    own: &mut Tensors,
    said: &BTreeMap<String, Said>,
) -> Result<Scans, String> {
    let mut scans = Scans::default();
    let mut known = BTreeMap::new();
    for (full, said) in said {
        let Said::Scanned(options) = said else { continue };
        if let Some(stem) = full.strip_prefix(prefix) {
            known.insert(stem.to_string(), options.clone());
        } else if let Some(layer) = number_in(prefix, full) {
            one_of(own, &mut scans.mappings);
            let reverse = options.reverse || options.bidirectional && layer % 2 == 1;
            let options = ScannedOptions { reverse, bidirectional: false, ..options.clone() };
            known.insert(String::new(), options);
        }
    }
    if let Some(kind) = asked.kind {
        match known.values().find(|options| options.kind != kind) {
            Some(options) => {
                let (given, found) = (kind.name(), options.kind.name());
                return Err(format!("the cell is {given}, and the file says {found}"));
            }
            None if known.is_empty() => {
                let stem = only(
                    &stems(own),
                    "no layer that runs as a scan: no name is like `layers.0.weight_ih`",
                )?;
                known.insert(stem, ScannedOptions::new(kind));
            }
            None => {}
        }
    }
    for (stem, options) in known {
        let first = format!("{stem}{LAYERS}");
        if !own.keys().any(|name| name.starts_with(&first)) {
            continue;
        }
        let options = with_given(asked, options);
        scans.stacks.push(FoundScanned::read(own, &stem, &options)?);
        let names: Vec<_> = own.keys().filter(|name| name.starts_with(&first)).cloned().collect();
        scans.tensors.extend(names.into_iter().filter_map(|name| own.remove_entry(&name)));
    }
    Ok(scans)
}

/// The options, with those that are given.
fn with_given(asked: &Asked, said: ScannedOptions) -> ScannedOptions {
    ScannedOptions {
        kind: said.kind,
        log_space: asked.log_space.unwrap_or(said.log_space),
        bidirectional: asked.bidirectional.unwrap_or(said.bidirectional),
        batch_first: asked.batch_first.unwrap_or(said.batch_first),
        reverse: asked.reverse.unwrap_or(said.reverse),
        dropout: asked.dropout.unwrap_or(said.dropout),
    }
}

/// The number of the layer, if a prefix is that of one in the stack with another prefix.
fn number_in(prefix: &str, stack: &str) -> Option<usize> {
    let number = prefix.strip_prefix(stack)?.strip_prefix(LAYERS)?.strip_suffix('.')?;
    number.parse().ok().filter(|layer: &usize| layer.to_string() == number)
}

/// Makes the tensors of one layer those of a stack of depth one.
fn one_of(own: &mut Tensors, mappings: &mut Vec<TensorMapping>) {
    for (name, array) in std::mem::take(own) {
        let to = format!("{LAYERS}0.{name}");
        mappings.push(TensorMapping::new(&name, &array, Some(to.clone()), ""));
        own.insert(to, array);
    }
}

/// The only prefix that there is.
fn only(found: &BTreeSet<String>, none: &str) -> Result<String, String> {
    match (found.first(), found.len()) {
        (Some(only), 1) => Ok(only.clone()),
        (None, _) => Err(none.to_string()),
        (_, count) => {
            let some: Vec<_> = found.iter().take(8).map(|prefix| shown(prefix)).collect();
            Err(format!(
                "it holds {count} such layers, take one by its prefix: {}",
                some.join(", ")
            ))
        }
    }
}

/// The layer of another program, as a stack of depth one.
fn foreign(asked: &Asked, library: Library, own: &mut Tensors) -> Result<Scans, String> {
    let kinds = program::of_library(library);
    let program = program::program(kinds[0]);
    let marks: Vec<_> = kinds.iter().map(|&kind| (kind, program::mark(kind))).collect();
    let mut found = BTreeMap::new();
    for name in own.keys() {
        let usual = usual(name);
        let path = |mark: &str| usual.strip_suffix(mark).map(str::len);
        for &(kind, mark) in &marks {
            // The separators are of the same length in both forms, and so is the path in front of them.
            if let Some(at) = path(mark).filter(|&at| at == 0 || usual.as_bytes()[at - 1] == b'.') {
                found.insert(name[..at].to_string(), kind);
            }
        }
    }
    let names: Vec<_> = marks.iter().map(|(_, mark)| format!("`{mark}`")).collect();
    let none = format!("no layer of {program}: no name ends in {}", names.join(" nor "));
    let path = only(&found.keys().cloned().collect(), &none)?;
    let kind = found[&path];
    if let Some(given) = asked.kind.filter(|given| *given != kind) {
        return Err(format!("the cell is {}, and the file says {}", given.name(), kind.name()));
    }
    let source = Source::new(own, &path, asked.conjugates.unwrap_or(true));
    let OneLayer { config, tensors } =
        program::read(kind, &source).map_err(|why| format!("{program}: {why}"))?;
    if let Some(given) = asked.log_space.filter(|given| *given != config.log_space) {
        return Err(format!(
            "log_space is {given}, and {} of {program} has {}",
            kind.name(),
            config.log_space
        ));
    }
    let mut scans = Scans::default();
    for (usual, name, array) in source.tensors() {
        let ours = program::parameters_of(kind, usual);
        let ours: Vec<_> = ours.iter().map(|name| format!("{LAYERS}0.{name}")).collect();
        if !ours.is_empty() {
            scans.mappings.push(TensorMapping::new(name, array, Some(ours.join(", ")), ""));
        }
    }
    scans.tensors =
        tensors.into_iter().map(|(name, array)| (format!("{LAYERS}0.{name}"), array)).collect();
    let options = ScannedOptions { log_space: config.log_space, ..ScannedOptions::new(kind) };
    let options = with_given(asked, options);
    scans.stacks.push(FoundScanned::read(&scans.tensors, "", &options)?);
    own.clear();
    Ok(scans)
}
