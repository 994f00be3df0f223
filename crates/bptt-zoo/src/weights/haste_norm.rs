//! The layers of haste with layer normalisation: `LayerNormLSTM` and `LayerNormGRU`.
//!
//! | name | shape | here, in `weight_diag` |
//! | --- | --- | --- |
//! | `gamma` | `[2, G·H]`: of the input product, of the recurrent product | the gains `g_x`, `g_u` |
//! | `bias` | `[G·H]`, behind the normalisation | the shifts `b` |
//! | `recurrent_bias` of a GRU | `[3·H]`, behind the normalisation | of `z` and `r`: added to `b`; of `g`: `b_un` |
//! | `gamma_h`, `beta_h` of an LSTM | `[H]`, of the memory | `g_c`, `b_c` |
//!
//! The kernels and the order of gates are those of the layers without normalisation. There are no biases inside of the
//! normalisation.

use crate::weights::array::Array;
use crate::weights::error_list::{ErrorList, shown};
use crate::weights::haste_gates::{GRU, Gates, LSTM};
use crate::weights::keymap::{Cell, Parameters, Translated, one_type, only};

/// A tensor with its name.
type Named<'a> = (&'a str, &'a Array);

/// The tensors that both cells have.
struct Common<'a> {
    hidden: usize,
    gates: &'static Gates,
    bias: Named<'a>,
    gamma: Named<'a>,
}

/// Whether a cell of haste has layer normalisation.
pub(super) fn is_normalized(cell: &Cell<'_>) -> bool {
    cell.tensors.contains_key("gamma")
}

/// The parameters of a cell with layer normalisation.
pub(super) fn parameters(
    cell: &Cell<'_>,
    suffix: &str,
    to: &mut Translated,
    errors: &mut ErrorList,
) -> Option<Parameters> {
    if let (true, Some((name, _))) =
        (cell.tensors.contains_key("recurrent_scale"), cell.tensors.get("gamma"))
    {
        errors.add(format!(
            "{} is of a LayerNormIndRNN, which has no counterpart: it normalises its input product",
            shown(name)
        ));
        return None;
    }
    let (recurrent, gates) = Gates::of(cell, errors)?;
    let &[hidden, columns] = recurrent.1.shape() else { return None };
    let common = Common {
        hidden,
        gates,
        bias: cell.take("bias", &[Some(columns)], errors)?,
        gamma: cell.take("gamma", &[Some(2), Some(columns)], errors)?,
    };
    let kernel = cell.take("kernel", &[None, Some(columns)], errors)?;
    let diagonal = match gates.order.len() {
        3 => common.gru(cell, suffix, to, errors)?,
        _ => common.lstm(cell, suffix, to, errors)?,
    };
    let how = format!("transposed, {}", gates.how);
    to.moved(kernel, &format!("weight_ih{suffix}"), &how);
    to.moved(recurrent, &format!("weight_hh{suffix}"), &how);
    Some(Parameters {
        weight_ih: kernel.1.transposed().blocks(gates.order),
        weight_hh: recurrent.1.transposed().blocks(gates.order),
        biases: None,
        bias: None,
        diagonal: Some(diagonal),
    })
}

impl Common<'_> {
    /// `[14, H]`: the gains and shifts of the gates `i f g o`, then those of the memory.
    fn lstm(
        &self,
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Array> {
        only(cell, &[LSTM.names, &["gamma", "gamma_h", "beta_h"]].concat(), errors);
        self.say("lstm-layernorm", to, errors);
        let gain = cell.take("gamma_h", &[Some(self.hidden)], errors)?;
        let shift = cell.take("beta_h", &[Some(self.hidden)], errors)?;
        self.same_type(cell, &[self.bias, self.gamma, gain, shift], errors)?;
        let target = format!("weight_diag{suffix}");
        to.moved(self.gamma, &target, &format!("rows 0 to 7, {}", self.gates.how));
        to.moved(self.bias, &target, &format!("rows 8 to 11, {}", self.gates.how));
        to.moved(gain, &target, "row 12");
        to.moved(shift, &target, "row 13");
        let row = |array: &Array| array.clone().reshaped(&[1, self.hidden]);
        let [of_input, of_state] = self.gains();
        let shifts = self.planes(self.bias.1);
        Some(Array::stacked(&[of_input, of_state, shifts, row(gain.1), row(shift.1)]))
    }

    /// `[10, H]`: the gains of the gates `r z n`, then the shifts `b_r b_z b_n b_un`.
    fn gru(
        &self,
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Array> {
        only(cell, &[GRU.names, &["gamma"]].concat(), errors);
        self.say("gru-layernorm", to, errors);
        let second = cell.take("recurrent_bias", &[Some(3 * self.hidden)], errors)?;
        self.same_type(cell, &[self.bias, self.gamma, second], errors)?;
        let target = format!("weight_diag{suffix}");
        to.moved(self.gamma, &target, &format!("rows 0 to 5, {}", self.gates.how));
        to.moved(self.bias, &target, &format!("rows 6 to 8, {}", self.gates.how));
        to.moved(second, &target, "of z and r added to rows 6 and 7, of g row 9");
        let mut shifts = self.planes(self.bias.1).to_f64();
        let inside = self.planes(second.1).to_f64();
        let both = 2 * self.hidden;
        shifts.iter_mut().zip(&inside[..both]).for_each(|(shift, more)| *shift += more);
        shifts.extend(&inside[both..]);
        let shifts = Array::of_f64(self.bias.1.element(), vec![4, self.hidden], shifts);
        let shifts = shifts.map_err(|why| errors.add(why)).ok()?;
        let [of_input, of_state] = self.gains();
        Some(Array::stacked(&[of_input, of_state, shifts]))
    }

    fn say(&self, name: &str, to: &mut Translated, errors: &mut ErrorList) {
        if let Err(why) = to.say_kind(name) {
            errors.add(why);
        }
    }

    /// `[G, H]` in the order of the gates here.
    fn planes(&self, array: &Array) -> Array {
        array.blocks(self.gates.order).reshaped(&[self.gates.order.len(), self.hidden])
    }

    /// The gains of the input product and of the recurrent product, `[G, H]` each.
    fn gains(&self) -> [Array; 2] {
        [0, 1].map(|k| self.planes(&self.gamma.1.row(k)))
    }

    /// Refuses diagonal weights of different types, because they become one matrix.
    fn same_type(&self, cell: &Cell<'_>, all: &[Named<'_>], errors: &mut ErrorList) -> Option<()> {
        let all: Vec<Array> = all.iter().map(|(_, array)| (*array).clone()).collect();
        if one_type(&all).is_none() {
            errors.add(format!("the tensors of {} are of different types", shown(&cell.path)));
            return None;
        }
        Some(())
    }
}
