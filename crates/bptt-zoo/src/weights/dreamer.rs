//! The GRU of DreamerV3: one product of `[h, x]`, normalised.
//!
//! | program | kernel | gain and shift of the norm |
//! | --- | --- | --- |
//! | `dreamerv3` (danijar), its versions of 2023 | `gru/kernel [H + I, 3·H]`, the rows of `h` first | `gru/norm/scale`, `gru/norm/bias` |
//! | `dreamerv3-torch` (NM512) | `GRU_linear.weight [3·H, I + H]`, the columns of `x` first | `GRU_norm.weight`, `GRU_norm.bias` |
//! | `sheeprl` | `linear.weight [3·H, H + I]`, the columns of `h` first | `layer_norm.weight`, `layer_norm.bias` |
//!
//! Gates are `r n u` there and here, and `ε` is 1e-3. The later versions of `dreamerv3` have another cell (`dyngru`,
//! `dyncore`): layers in front of the gates, which have no norm. They are refused, and so is the GRU of DreamerV2, which has a
//! bias inside of its normalisation and another `ε`.

use crate::weights::array::Array;
use crate::weights::contents::Tensors;
use crate::weights::error_list::{ErrorList, shown};
use crate::weights::keymap::{Cell, KeyMap, Parameters, Translated, one_type, only};

pub(super) struct Dreamer;

/// The names and the layout of one program.
struct Form {
    kernel: &'static str,
    gain: &'static str,
    shift: &'static str,
    /// Only cells of DreamerV2 have it.
    bias: &'static str,
    /// Whether the kernel is `[H + I, 3·H]`.
    is_transposed: bool,
    /// Whether `h` comes in front of `x`.
    is_state_first: bool,
}

const JAX: Form = Form {
    kernel: "kernel",
    gain: "norm/scale",
    shift: "norm/bias",
    bias: "bias",
    is_transposed: true,
    is_state_first: true,
};

const FORMS: [Form; 3] = [
    JAX,
    Form {
        kernel: "GRU_linear/weight",
        gain: "GRU_norm/weight",
        shift: "GRU_norm/bias",
        bias: "GRU_linear/bias",
        is_transposed: false,
        is_state_first: false,
    },
    Form {
        kernel: "linear/weight",
        gain: "layer_norm/weight",
        shift: "layer_norm/bias",
        bias: "linear/bias",
        is_transposed: false,
        is_state_first: true,
    },
];

/// What the modules of a cell are called that have tensors.
const MODULES: [&str; 5] = ["norm", "GRU_linear", "GRU_norm", "linear", "layer_norm"];

impl Form {
    /// Whether a cell has this form. The other linear layers of `dreamerv3` have the same names under another path.
    fn fits(&self, cell: &Cell<'_>) -> bool {
        let has = |own: &str| cell.tensors.contains_key(own);
        match self.is_transposed {
            true => has(self.kernel) && ["", "gru"].contains(&last(&cell.path)),
            false => has(self.kernel) && has(self.gain),
        }
    }
}

fn last(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

impl KeyMap for Dreamer {
    const OWN: usize = 1;

    fn own(parts: &[&str]) -> Option<usize> {
        match parts {
            [.., module, _] if MODULES.contains(module) => Some(2),
            _ => Some(Self::OWN),
        }
    }

    fn check(tensors: &Tensors) -> Result<(), String> {
        let is_later = |name: &&String| {
            name.split(['/', '.']).any(|part| ["dyngru", "dyncore"].contains(&part))
        };
        match tensors.keys().find(is_later) {
            Some(name) => Err(format!(
                "{} is of the cell of later versions of DreamerV3, which has no counterpart: its gates have no norm, and \
                 layers in front of them",
                shown(name)
            )),
            None => Ok(()),
        }
    }

    fn is_cell(cell: &Cell<'_>) -> bool {
        FORMS.iter().any(|form| form.fits(cell))
    }

    fn parameters(
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Parameters> {
        let form = FORMS.iter().find(|form| form.fits(cell))?;
        match cell.tensors.get(form.bias) {
            Some((name, _)) => errors.add(format!(
                "{} is a bias inside of the normalisation, as DreamerV2 has it, with another ε: not converted",
                shown(name)
            )),
            None => only(cell, &[form.kernel, form.gain, form.shift], errors),
        }
        if let Err(why) = to.say_kind("gru-dreamer") {
            errors.add(why);
        }
        let gain = cell.take(form.gain, &[None], errors)?;
        let rows = gain.1.shape()[0];
        let shift = cell.take(form.shift, &[Some(rows)], errors)?;
        let kernel = match form.is_transposed {
            true => cell.take(form.kernel, &[None, Some(rows)], errors)?,
            false => cell.take(form.kernel, &[Some(rows), None], errors)?,
        };
        let hidden = rows / 3;
        let width = kernel.1.shape()[usize::from(!form.is_transposed)];
        if rows % 3 != 0 || width <= hidden {
            errors.add(format!(
                "{} has shape {:?}, expected 3·H outputs of H + I inputs",
                shown(kernel.0),
                kernel.1.shape()
            ));
            return None;
        }
        if one_type(&[gain.1.clone(), shift.1.clone()]).is_none() {
            errors.add(format!("the norm of {} has different types", shown(&cell.path)));
            return None;
        }
        let (order, input, state) = match form.is_state_first {
            true => ("of h and of x", hidden, 0),
            false => ("of x and of h", 0, width - hidden),
        };
        let how = match form.is_transposed {
            true => format!("rows {order}, transposed"),
            false => format!("columns {order}"),
        };
        to.moved(kernel, &format!("weight_ih{suffix}, weight_hh{suffix}"), &how);
        to.moved(gain, &format!("weight_diag{suffix}"), "rows 0 to 2");
        to.moved(shift, &format!("weight_diag{suffix}"), "rows 3 to 5");
        let turned = if form.is_transposed { kernel.1.transposed() } else { kernel.1.clone() };
        let planes = |array: &Array| array.clone().reshaped(&[3, hidden]);
        Some(Parameters {
            weight_ih: turned.columns(input, width - hidden),
            weight_hh: turned.columns(state, hidden),
            biases: None,
            bias: None,
            diagonal: Some(Array::stacked(&[planes(gain.1), planes(shift.1)])),
        })
    }
}
