//! Keras: `kernel [I, G·H]`, `recurrent_kernel [H, G·H]`, `bias`.
//!
//! Gates are side by side: LSTM `i f c o` (`c` is PyTorch's `g`), GRU `z r h`. There is one bias, `[G·H]`. A GRU with
//! the reset after the product (`reset_after`, the default) has two, `[2, 3·H]`; the first is the bias of the input.
//!
//! `CuDNNLSTM` and `CuDNNGRU` of Keras 2 have the same shapes, but cuDNN's layout: each gate's block of the kernel is
//! `[H, I]` in memory, the blocks of the recurrent kernel are not transposed, and both biases are one vector `[2·G·H]`.
//! They are recognised by this vector.
//!
//! `LayerNormLSTMCell` of TensorFlow Addons is refused. It keeps `norm(f ⊙ c + i ⊙ g)` as its memory, and the cell here keeps
//! what is in front of the normalisation.

use crate::weights::array::Array;
use crate::weights::contents::Tensors;
use crate::weights::error_list::{ErrorList, shown};
use crate::weights::keymap::{Cell, KeyMap, Parameters, TensorMapping, Translated};

pub(super) struct Keras;

impl KeyMap for Keras {
    const OWN: usize = 1;

    fn check(tensors: &Tensors) -> Result<(), String> {
        // Without this they would be left out, as tensors of no cell, and the layer would be another one.
        const NORMS: [&str; 3] = ["kernel_norm", "recurrent_norm", "state_norm"];
        let is_norm = |name: &&String| name.split(['/', '.']).any(|part| NORMS.contains(&part));
        match tensors.keys().find(is_norm) {
            Some(name) => Err(format!(
                "{} is of a cell of TensorFlow Addons with layer normalisation, which has no counterpart: it keeps the \
                 normalised memory, with ε = 1e-3",
                shown(name)
            )),
            None => Ok(()),
        }
    }

    fn is_cell(cell: &Cell<'_>) -> bool {
        cell.tensors.contains_key("recurrent_kernel")
    }

    fn parameters(
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Parameters> {
        for (own, (name, _)) in &cell.tensors {
            if !["kernel", "recurrent_kernel", "bias"].contains(&own.as_str()) {
                errors.add(format!("{} does not fit a recurrent cell", shown(name)));
            }
        }
        let recurrent = cell.take("recurrent_kernel", &[None, None], errors)?;
        let &[hidden, columns] = recurrent.1.shape() else { return None };
        // The index of each of PyTorch's gates in Keras's order.
        let order: &[usize] = match (columns % hidden, columns / hidden) {
            (0, 1) => &[0],
            (0, 3) => &[1, 0, 2],
            (0, 4) => &[0, 1, 2, 3],
            _ => {
                errors.add(format!(
                    "{} has shape [{hidden}, {columns}]: {columns} columns are not 1, 3 or 4 gates \
                     of {hidden}",
                    shown(recurrent.0)
                ));
                return None;
            }
        };
        let kernel = cell.take("kernel", &[None, Some(columns)], errors)?;
        let bias = cell.tensors.get("bias").copied();
        let is_gru = order.len() == 3;
        let is_cudnn = order.len() > 1
            && bias.is_some_and(
                |(_, array)| matches!(array.shape(), &[all] if all / 2 == columns && all % 2 == 0),
            );
        let how = match (is_cudnn, is_gru) {
            (false, false) => "transposed",
            (false, true) => "transposed, z r h to r z n",
            (true, false) => "from the layout of CuDNN",
            (true, true) => "from the layout of CuDNN, z r h to r z n",
        };
        let mut moved = |(name, array): (&str, &Array), target: &str, how: &str| {
            to.mappings.push(TensorMapping::new(name, array, Some(target.to_string()), how));
        };
        moved(kernel, &format!("weight_ih{suffix}"), how);
        moved(recurrent, &format!("weight_hh{suffix}"), how);

        let both = format!("bias_ih{suffix}, bias_hh{suffix}");
        let ordered = if is_gru { ", z r h to r z n" } else { "" };
        let biases = match bias {
            None => None,
            Some(bias) if is_cudnn => {
                moved(bias, &both, &format!("one half each{ordered}"));
                let halves = bias.1.clone().reshaped(&[2, columns]);
                Some([halves.row(0).blocks(order), halves.row(1).blocks(order)])
            }
            Some((_, array)) if is_gru && array.shape().len() == 2 => {
                let (name, array) = cell.take("bias", &[Some(2), Some(columns)], errors)?;
                moved((name, array), &both, &format!("one row each{ordered}"));
                Some([array.row(0).blocks(order), array.row(1).blocks(order)])
            }
            Some(_) => {
                let (name, array) = cell.take("bias", &[Some(columns)], errors)?;
                let how =
                    if is_gru { "z r h to r z n; bias_hh is zero" } else { "bias_hh is zero" };
                moved((name, array), &format!("bias_ih{suffix}"), how);
                Some([array.blocks(order), Array::zeros(array.element(), &[columns])])
            }
        };
        if let Some((name, array)) = bias.filter(|_| is_gru) {
            let reset_after = is_cudnn || array.shape().len() == 2;
            if to.reset_after.is_some_and(|other| other != reset_after) {
                let form = if reset_after { "after" } else { "before" };
                errors.add(format!(
                    "{} is that of a GRU with the reset {form} the product, unlike the layers \
                     below",
                    shown(name)
                ));
            }
            to.reset_after = Some(reset_after);
        }
        let turned = |kernel: &Array| match is_cudnn {
            true => of_cudnn(kernel, hidden).blocks(order),
            false => kernel.transposed().blocks(order),
        };
        Some(Parameters {
            weight_ih: turned(kernel.1),
            weight_hh: turned(recurrent.1),
            biases,
            bias: None,
            diagonal: None,
        })
    }
}

/// Converts `[N, G·H]`, where each gate's block is `[H, N]` in memory, to `[G·H, N]`.
fn of_cudnn(kernel: &Array, hidden: usize) -> Array {
    let &[rows, columns] = kernel.shape() else { panic!("a matrix, as was checked") };
    let gate = |k: usize| kernel.columns(k * hidden, hidden).reshaped(&[hidden, rows]);
    Array::stacked(&(0..columns / hidden).map(gate).collect::<Vec<_>>())
}
