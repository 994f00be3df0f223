//! LEM of its authors (`tk-rusch/LEM`): `inp2hid [4·H, I]`, `hid2hid [3·H, H]` and `transform_z [H, H]`, each with a weight
//! and a bias.
//!
//! The rows there are `r s m n` of the input, `r s n` of the hidden state, and `m` of the memory. The longest time step `Δ`
//! is an argument of the module (`dt`, by default 1), and not in the file.

use crate::weights::array::Array;
use crate::weights::error_list::ErrorList;
use crate::weights::keymap::{Cell, KeyMap, Parameters, Translated, only};

pub(super) struct Lem;

const NAMES: [&str; 6] = [
    "inp2hid/weight",
    "inp2hid/bias",
    "hid2hid/weight",
    "hid2hid/bias",
    "transform_z/weight",
    "transform_z/bias",
];

impl KeyMap for Lem {
    const OWN: usize = 2;

    fn is_cell(cell: &Cell<'_>) -> bool {
        ["inp2hid/weight", "transform_z/weight"].iter().any(|name| cell.tensors.contains_key(*name))
    }

    fn parameters(
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Parameters> {
        only(cell, &NAMES, errors);
        if let Err(why) = to.say_kind("lem") {
            errors.add(why);
        }
        let hidden = Some(cell.take("transform_z/weight", &[None, None], errors)?.1.shape()[0]);
        let of_z = cell.take("transform_z/weight", &[hidden, hidden], errors)?;
        let times = |count: usize| hidden.and_then(|hidden| hidden.checked_mul(count));
        let of_x = cell.take("inp2hid/weight", &[times(4), None], errors);
        let of_h = cell.take("hid2hid/weight", &[times(3), hidden], errors);
        let bias = cell.take("inp2hid/bias", &[times(4)], errors);
        let bias_h = cell.take("hid2hid/bias", &[times(3)], errors);
        let bias_z = cell.take("transform_z/bias", &[hidden], errors);
        let (of_x, of_h, bias, bias_h, bias_z) = (of_x?, of_h?, bias?, bias_h?, bias_z?);
        let how = "the gates in the order s r n m";
        to.moved(of_x, &format!("weight_ih{suffix}"), how);
        to.moved(bias, &format!("bias_ih{suffix}"), how);
        for (of_h, name) in [(of_h, "weight_hh"), (bias_h, "bias_hh")] {
            to.moved(of_h, &format!("{name}{suffix}"), how);
        }
        for (of_z, name) in [(of_z, "weight_hh"), (bias_z, "bias_hh")] {
            to.moved(of_z, &format!("{name}{suffix}"), "the last gate");
        }
        let recurrent = |h: &Array, z: &Array| Array::stacked(&[h.blocks(&[1, 0, 2]), z.clone()]);
        if of_h.1.element() != of_z.1.element() || bias_h.1.element() != bias_z.1.element() {
            errors.add("hid2hid and transform_z have different types, expected one".to_string());
            return None;
        }
        Some(Parameters {
            weight_ih: of_x.1.blocks(&[1, 0, 3, 2]),
            weight_hh: recurrent(of_h.1, of_z.1),
            biases: Some([bias.1.blocks(&[1, 0, 3, 2]), recurrent(bias_h.1, bias_z.1)]),
            bias: None,
            diagonal: None,
        })
    }
}
