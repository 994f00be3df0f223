//! haste (LMNT): `kernel [I, G·H]`, `recurrent_kernel [H, G·H]`, `bias`.
//!
//! Gates are side by side: LSTM `i g f o`, GRU `z r g`. A GRU has a second bias, `recurrent_bias`, and its reset comes after
//! the product. An IndRNN has one number for each unit, `recurrent_scale`, and tanh. Zoneout and dropout are not in the
//! file. `haste_norm.rs` has the layers with normalisation.

use crate::weights::array::Array;
use crate::weights::error_list::ErrorList;
use crate::weights::haste_gates::Gates;
use crate::weights::haste_norm;
use crate::weights::keymap::{Cell, KeyMap, Parameters, Translated, only};

pub(super) struct Haste;

impl KeyMap for Haste {
    const OWN: usize = 1;

    fn is_cell(cell: &Cell<'_>) -> bool {
        ["recurrent_kernel", "recurrent_scale"].iter().any(|own| cell.tensors.contains_key(*own))
    }

    fn parameters(
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Parameters> {
        if haste_norm::is_normalized(cell) {
            return haste_norm::parameters(cell, suffix, to, errors);
        }
        if cell.tensors.contains_key("recurrent_scale") {
            return independent(cell, suffix, to, errors);
        }
        let (recurrent, &Gates { order, how, names }) = Gates::of(cell, errors)?;
        let columns = recurrent.1.shape()[1];
        let is_gru = order.len() == 3;
        only(cell, names, errors);
        let kernel = cell.take("kernel", &[None, Some(columns)], errors)?;
        let bias = cell.take("bias", &[Some(columns)], errors)?;
        to.moved(kernel, &format!("weight_ih{suffix}"), &format!("transposed, {how}"));
        to.moved(recurrent, &format!("weight_hh{suffix}"), &format!("transposed, {how}"));
        to.moved(bias, &format!("bias_ih{suffix}"), how);
        let second = match is_gru {
            true => {
                to.reset_after = Some(true);
                let second = cell.take("recurrent_bias", &[Some(columns)], errors)?;
                to.moved(second, &format!("bias_hh{suffix}"), how);
                second.1.blocks(order)
            }
            false => Array::zeros(bias.1.element(), &[columns]),
        };
        Some(Parameters {
            weight_ih: kernel.1.transposed().blocks(order),
            weight_hh: recurrent.1.transposed().blocks(order),
            biases: Some([bias.1.blocks(order), second]),
            bias: None,
            diagonal: None,
        })
    }
}

/// An IndRNN.
fn independent(
    cell: &Cell<'_>,
    suffix: &str,
    to: &mut Translated,
    errors: &mut ErrorList,
) -> Option<Parameters> {
    only(cell, &["kernel", "recurrent_scale", "bias"], errors);
    if let Err(why) = to.say_kind("indrnn") {
        errors.add(why);
    }
    let scale = cell.take("recurrent_scale", &[None], errors)?;
    let hidden = scale.1.shape()[0];
    let kernel = cell.take("kernel", &[None, Some(hidden)], errors)?;
    let bias = cell.take("bias", &[Some(hidden)], errors)?;
    to.moved(kernel, &format!("weight_ih{suffix}"), "transposed");
    to.moved(scale, &format!("weight_hh{suffix}"), "one number a unit");
    to.moved(bias, &format!("bias_ih{suffix}"), "");
    Some(Parameters {
        weight_ih: kernel.1.transposed(),
        weight_hh: scale.1.clone().reshaped(&[1, hidden]),
        biases: None,
        bias: Some(bias.1.clone()),
        diagonal: None,
    })
}
