//! `LSTMCell` of TensorFlow 1 (`tf.nn.rnn_cell`): `kernel [I + H, 4·H]`, `bias [4·H]`, peepholes `w_i_diag`, `w_f_diag`,
//! `w_o_diag [H]`.
//!
//! Gates are side by side, `i j f o`, and `j` is PyTorch's `g`. The cell adds 1 to the forget gate (`forget_bias`). This is
//! not in the file; here it is added to the bias. `Import::with_forget_bias` says another number. A projection is refused.

use crate::weights::array::Array;
use crate::weights::contents::Tensors;
use crate::weights::error_list::{ErrorList, shown};
use crate::weights::keymap::{Cell, KeyMap, Parameters, Translated, one_type, only};

pub(super) struct TensorFlow;

/// What the cell adds to the forget gate, unless it was told otherwise.
pub(super) const FORGET_BIAS: f64 = 1.0;

/// The peepholes in the order of our diagonal weights.
const PEEPHOLES: [&str; 3] = ["w_i_diag", "w_f_diag", "w_o_diag"];

/// The index of each of PyTorch's gates in TensorFlow's order, `i j f o`.
const ORDER: [usize; 4] = [0, 2, 1, 3];

impl KeyMap for TensorFlow {
    const OWN: usize = 1;

    fn check(tensors: &Tensors) -> Result<(), String> {
        let is_projection = |name: &&String| name.split('/').any(|part| part == "projection");
        match tensors.keys().find(is_projection) {
            Some(name) => {
                Err(format!("{} is of a projection, which is not converted", shown(name)))
            }
            None => Ok(()),
        }
    }

    fn is_cell(cell: &Cell<'_>) -> bool {
        let kernel = cell.tensors.get("kernel").map(|(_, array)| array.shape());
        // A projection or a dense layer has a kernel, too. Its columns are no four gates that its rows hold.
        let is_recurrent =
            |rows: usize, columns: usize| columns.is_multiple_of(4) && rows > columns / 4;
        matches!(kernel, Some(&[rows, columns]) if is_recurrent(rows, columns))
            && cell.path.rsplit('/').next().is_some_and(|name| name.contains("cell"))
    }

    fn parameters(
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Parameters> {
        only(cell, &["kernel", "bias", "w_i_diag", "w_f_diag", "w_o_diag"], errors);
        let bias = cell.take("bias", &[None], errors)?;
        let columns = bias.1.shape()[0];
        let hidden = columns / 4;
        let kernel = cell.take("kernel", &[None, Some(columns)], errors)?;
        let turned = kernel.1.transposed().blocks(&ORDER);
        let input = kernel.1.shape()[0] - hidden;
        let both = format!("weight_ih{suffix}, weight_hh{suffix}");
        to.moved(kernel, &both, "rows of x and of h, transposed, i j f o to i f g o");
        let how = "i j f o to i f g o, with the forget bias; bias_hh is zero";
        to.moved(bias, &format!("bias_ih{suffix}"), how);
        let diagonal = match PEEPHOLES.iter().any(|own| cell.tensors.contains_key(*own)) {
            false => None,
            true => Some(peepholes(cell, suffix, hidden, to, errors)?),
        };
        let element = bias.1.element();
        Some(Parameters {
            weight_ih: turned.columns(0, input),
            weight_hh: turned.columns(input, hidden),
            biases: Some([bias.1.blocks(&ORDER), Array::zeros(element, &[columns])]),
            bias: None,
            diagonal,
        })
    }
}

/// Adds the number that the cell adds to its forget gate.
///
/// # Errors
///
/// If a bias cannot hold the sum.
pub(super) fn add_forget_bias(done: &mut Translated, forget_bias: f64) -> Result<(), String> {
    for (name, bias) in &mut done.tensors {
        if !name.starts_with("bias_ih") {
            continue;
        }
        let hidden = bias.shape()[0] / 4;
        let mut values = bias.to_f64();
        values[hidden..2 * hidden].iter_mut().for_each(|value| *value += forget_bias);
        *bias = Array::of_f64(bias.element(), bias.shape().to_vec(), values)?;
    }
    Ok(())
}

fn peepholes(
    cell: &Cell<'_>,
    suffix: &str,
    hidden: usize,
    to: &mut Translated,
    errors: &mut ErrorList,
) -> Option<Array> {
    if let Err(why) = to.say_kind("lstm-peephole") {
        errors.add(why);
    }
    let mut rows = Vec::with_capacity(3);
    for (k, own) in PEEPHOLES.iter().enumerate() {
        let peephole = cell.take(own, &[Some(hidden)], errors)?;
        to.moved(peephole, &format!("weight_diag{suffix}"), &format!("row {k}"));
        rows.push(peephole.1.clone().reshaped(&[1, hidden]));
    }
    match one_type(&rows) {
        Some(_) => Some(Array::stacked(&rows)),
        None => {
            errors.add(format!("the peepholes of {} are of different types", shown(&cell.path)));
            None
        }
    }
}
