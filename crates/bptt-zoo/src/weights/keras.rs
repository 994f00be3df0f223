//! Keras: `kernel [I, G·H]`, `recurrent_kernel [H, G·H]`, `bias`.
//!
//! Gates lie beside each other, LSTM `i f c o` (`c` is PyTorch's `g`), GRU `z r h`. There is one
//! bias, `[G·H]`; a GRU with the reset after the product (`reset_after`, the default) has two,
//! `[2, 3·H]`, that of the input first.

use super::array::Array;
use super::keymap::{Cell, KeyMap, Move, Parameters, Translated};
use super::layer::{Complaints, shown};

pub(super) struct Keras;

impl KeyMap for Keras {
    const OWN: usize = 1;

    fn is_cell(cell: &Cell<'_>) -> bool {
        cell.tensors.contains_key("recurrent_kernel")
    }

    fn parameters(
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        complaints: &mut Complaints,
    ) -> Option<Parameters> {
        for (own, (name, _)) in &cell.tensors {
            if !["kernel", "recurrent_kernel", "bias"].contains(&own.as_str()) {
                complaints.add(format!("{} does not fit a recurrent cell", shown(name)));
            }
        }
        let recurrent = cell.take("recurrent_kernel", &[None, None], complaints)?;
        let &[hidden, columns] = recurrent.1.shape() else { return None };
        // Where PyTorch's gates are among Keras's.
        let order: &[usize] = match (columns % hidden, columns / hidden) {
            (0, 1) => &[0],
            (0, 3) => &[1, 0, 2],
            (0, 4) => &[0, 1, 2, 3],
            _ => {
                complaints.add(format!(
                    "{} has shape [{hidden}, {columns}]: {columns} columns are not 1, 3 or 4 gates \
                     of {hidden}",
                    shown(recurrent.0)
                ));
                return None;
            }
        };
        let kernel = cell.take("kernel", &[None, Some(columns)], complaints)?;
        let how = if order.len() == 3 { "transposed, z r h to r z n" } else { "transposed" };
        let mut moved = |(name, array): (&str, &Array), target: &str, how: &str| {
            to.moves.push(Move::new(name, array, Some(target.to_string()), how));
        };
        moved(kernel, &format!("weight_ih{suffix}"), how);
        moved(recurrent, &format!("weight_hh{suffix}"), how);

        let is_gru = order.len() == 3;
        let bias = cell.tensors.get("bias").copied();
        let biases = match bias {
            None => None,
            Some((_, array)) if is_gru && array.shape().len() == 2 => {
                let (name, array) = cell.take("bias", &[Some(2), Some(columns)], complaints)?;
                let both = format!("bias_ih{suffix}, bias_hh{suffix}");
                moved((name, array), &both, "one row each, z r h to r z n");
                Some([array.row(0).blocks(order), array.row(1).blocks(order)])
            }
            Some(_) => {
                let (name, array) = cell.take("bias", &[Some(columns)], complaints)?;
                let how = if is_gru { "z r h to r z n" } else { "" };
                let how = format!("{how}{}bias_hh is zero", if is_gru { "; " } else { "" });
                moved((name, array), &format!("bias_ih{suffix}"), &how);
                Some([array.blocks(order), Array::zeros(array.element(), &[columns])])
            }
        };
        if let Some((name, array)) = bias.filter(|_| is_gru) {
            let reset_after = array.shape().len() == 2;
            if to.reset_after.is_some_and(|other| other != reset_after) {
                let form = if reset_after { "after" } else { "before" };
                complaints.add(format!(
                    "{} is that of a GRU with the reset {form} the product, unlike the layers \
                     below",
                    shown(name)
                ));
            }
            to.reset_after = Some(reset_after);
        }
        Some(Parameters {
            weight_ih: kernel.1.transposed().blocks(order),
            weight_hh: recurrent.1.transposed().blocks(order),
            biases,
        })
    }
}
