//! The operators `LSTM`, `GRU` and `RNN` of ONNX: `W [1, G·H, I]`, `R [1, G·H, H]`, `B [1, 2·G·H]`, `P [1, 3·H]`.
//!
//! Gates are below each other: LSTM `i o f c`, GRU `z r h`. `B` is the bias of the input, and behind it that of the hidden
//! state. `P` are the peepholes, `i o f`. The first dimension is the direction. A node of both directions has to be given
//! as two, one for each, because their names cannot say it. Activations and clips are attributes of the node, which are not
//! in a file of weights: they have to be ONNX's defaults.

use crate::weights::array::Array;
use crate::weights::error_list::{ErrorList, shown};
use crate::weights::keymap::{Cell, KeyMap, Parameters, Translated, only};

pub(super) struct Onnx;

impl KeyMap for Onnx {
    const OWN: usize = 1;

    fn is_cell(cell: &Cell<'_>) -> bool {
        ["W", "R"].iter().all(|own| cell.tensors.contains_key(*own))
    }

    fn parameters(
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Parameters> {
        only(cell, &["W", "R", "B", "P"], errors);
        let (name, recurrent) = cell.take("R", &[None, None, None], errors)?;
        let &[directions, rows, hidden] = recurrent.shape() else { return None };
        if directions != 1 {
            errors.add(format!(
                "{} is of {directions} directions: give each by itself, as the layers `forward_…` and `backward_…`",
                shown(name)
            ));
            return None;
        }
        // The index of each of PyTorch's gates in ONNX's order.
        let (order, how): (&[usize], _) = match (rows % hidden, rows / hidden) {
            (0, 1) => (&[0], "as it is"),
            (0, 3) => (&[1, 0, 2], "z r h to r z n"),
            (0, 4) => (&[0, 2, 3, 1], "i o f c to i f g o"),
            _ => {
                errors.add(format!(
                    "{} has shape [1, {rows}, {hidden}]: {rows} rows are not 1, 3 or 4 gates of {hidden}",
                    shown(name)
                ));
                return None;
            }
        };
        let weight = cell.take("W", &[Some(1), Some(rows), None], errors)?;
        to.moved(weight, &format!("weight_ih{suffix}"), how);
        to.moved((name, recurrent), &format!("weight_hh{suffix}"), how);
        let biases = match cell.tensors.contains_key("B") {
            false => None,
            true => {
                let bias = cell.take("B", &[Some(1), rows.checked_mul(2)], errors)?;
                let both = format!("bias_ih{suffix}, bias_hh{suffix}");
                to.moved(bias, &both, &format!("one half each, {how}"));
                let halves = bias.1.clone().reshaped(&[2, rows]);
                Some([halves.row(0).blocks(order), halves.row(1).blocks(order)])
            }
        };
        let diagonal = match cell.tensors.contains_key("P") {
            false => None,
            true => Some(peepholes(cell, suffix, [order.len(), hidden], to, errors)?),
        };
        Some(Parameters {
            weight_ih: weight.1.row(0).blocks(order),
            weight_hh: recurrent.row(0).blocks(order),
            biases,
            bias: None,
            diagonal,
        })
    }
}

/// Asks for the form of a GRU: the default of ONNX is not that of PyTorch, and the file does not show it.
///
/// # Errors
///
/// If there is a GRU, and its form is not given.
pub(super) fn check_reset(
    done: Translated,
    reset_after: Option<bool>,
) -> Result<Translated, String> {
    let is_gru = |(name, array): (&String, &Array)| {
        let &[rows, hidden] = array.shape() else { return false };
        name.starts_with("weight_hh") && hidden.checked_mul(3) == Some(rows)
    };
    match reset_after.is_none() && done.tensors.iter().any(is_gru) {
        true => {
            Err("a GRU of ONNX: say --reset-after true if linear_before_reset is 1, else false"
                .into())
        }
        false => Ok(done),
    }
}

/// `P [1, 3·H]`, `i o f`, as `[3, H]`, `i f o`.
fn peepholes(
    cell: &Cell<'_>,
    suffix: &str,
    [gates, hidden]: [usize; 2],
    to: &mut Translated,
    errors: &mut ErrorList,
) -> Option<Array> {
    let peepholes = cell.take("P", &[Some(1), hidden.checked_mul(3)], errors)?;
    if gates != 4 {
        errors.add(format!("{} is for an LSTM, and there are {gates} gates", shown(peepholes.0)));
        return None;
    }
    if let Err(why) = to.say_kind("lstm-peephole") {
        errors.add(why);
    }
    to.moved(peepholes, &format!("weight_diag{suffix}"), "i o f to i f o");
    Some(peepholes.1.clone().reshaped(&[3, hidden]).blocks(&[0, 2, 1]))
}
