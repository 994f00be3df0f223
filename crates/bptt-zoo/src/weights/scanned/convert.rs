//! From file to file: one layer that runs as a scan, under the names of the program that has it.

use super::found::{FoundScanned, LAYERS};
use super::program;
use crate::weights::contents::Tensors;
use crate::weights::error_list::shown;
use crate::weights::import::Imported;
use crate::weights::keymap::TensorMapping;
use crate::weights::library::Library;

/// The layer of a stack of depth one as its program has it.
///
/// # Arguments
///
/// - `tensors`: those of the stack by their names, and any others
///
/// # Errors
///
/// What the program does not have, in one line.
pub(super) fn of_program(found: &FoundScanned, tensors: &Tensors) -> Result<Tensors, String> {
    let first = format!("{}{LAYERS}0.", found.prefix);
    let lacks = [
        (
            found.num_layers != 1,
            format!(
                "{} layers, expected one: save each, or take one by its prefix ({})",
                found.num_layers,
                shown(first.trim_end_matches('.'))
            ),
        ),
        (found.bidirectional, "two directions, expected one: take one by its prefix".to_string()),
        (found.reverse, "its direction is backward, expected a forward one".to_string()),
    ];
    if let Some((_, what)) = lacks.into_iter().find(|(is_so, _)| *is_so) {
        return Err(what);
    }
    let own = tensors
        .iter()
        .filter_map(|(name, array)| Some((name.strip_prefix(&first)?.to_string(), array.clone())));
    program::write(&found.config(), &own.collect())
}

/// The tensors of the one stack in a file under the names of a library, and where each tensor of the file went; `None` if
/// the library has no layers that run as a scan.
///
/// # Errors
///
/// If there is another number of stacks, or what the library does not have.
pub(in crate::weights) fn for_library(
    imported: &Imported,
    library: Library,
) -> Option<Result<(Tensors, Vec<TensorMapping>), String>> {
    let kinds = program::of_library(library);
    let program = program::program(*kinds.first()?);
    Some(one(imported, library).map_err(|why| format!("{program}: {why}")))
}

fn one(imported: &Imported, library: Library) -> Result<(Tensors, Vec<TensorMapping>), String> {
    let kinds = program::of_library(library);
    let [found] = &imported.scanned[..] else {
        let count = imported.scanned.len();
        return Err(format!(
            "the file has {count} stacks of layers that run as a scan, expected one: take one by its prefix"
        ));
    };
    if !kinds.contains(&found.cell) {
        let expected: Vec<_> = kinds.iter().map(|kind| kind.name()).collect();
        let name = found.cell.name();
        return Err(format!("its layer is {name}, expected {}", expected.join(" or ")));
    }
    let tensors = of_program(found, &imported.tensors)?;
    let first = format!("{}{LAYERS}0.", found.prefix);
    let target = |name: &str| program::target(found.cell, name.strip_prefix(&first)?);
    let mut mappings = imported.mappings.clone();
    for mapping in &mut mappings {
        let Some(names) = mapping.to.take() else { continue };
        // A tensor may have become several parameters, and several may become one.
        let targets: Option<Vec<_>> = names.split(", ").map(target).collect();
        match targets {
            Some(mut targets) => {
                targets.dedup();
                mapping.to = Some(targets.join(", "));
            }
            None => mapping.how = "left out: not of the layer".to_string(),
        }
    }
    Ok((tensors, mappings))
}
