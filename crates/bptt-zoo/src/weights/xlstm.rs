//! sLSTM of NX-AI's `xlstm`: dense layers `igate`, `fgate`, `zgate`, `ogate`, and the cell `slstm_cell`.
//!
//! | name | shape | here |
//! | --- | --- | --- |
//! | `igate/weight`, … | `[N, d, d]`: for each head, outputs by inputs | `weight_ih` |
//! | `slstm_cell/_recurrent_kernel_` | `[N, 4·d, d]` (vanilla), or `[N, d, 4·d]` (cuda) | `weight_hh` |
//! | `slstm_cell/_bias_` | `[4·H]`, by gates and then heads (vanilla), or by heads and then gates (cuda) | `bias_ih` |
//!
//! Gates are `i f z o` there and here. Several heads are the heads of a layer (`num_heads`), whose `weight_hh` has their
//! blocks. The input products have blocks there, too, and become a matrix with zeros outside of them. A convolution in front of the gates (`conv1d`) is refused. The norm behind the cell (`group_norm`) is no part of
//! it, and is left out.

use crate::weights::array::{Array, Element};
use crate::weights::contents::Tensors;
use crate::weights::error_list::{ErrorList, shown};
use crate::weights::keymap::{Cell, KeyMap, Parameters, Translated, one_type, only};

pub(super) struct Xlstm;

const GATES: [&str; 4] = ["igate/weight", "fgate/weight", "zgate/weight", "ogate/weight"];
const KERNEL: &str = "slstm_cell/_recurrent_kernel_";
const BIAS: &str = "slstm_cell/_bias_";
/// It stands behind the cell, and is left out.
const NORM: &str = "group_norm/weight";

/// A file with more heads than this is refused, because its matrices would be that many times as large as the file.
pub(super) const MOST_HEADS: usize = 64;

impl KeyMap for Xlstm {
    const OWN: usize = 2;

    fn check(tensors: &Tensors) -> Result<(), String> {
        let is_conv = |name: &&String| name.split('.').any(|part| part == "conv1d");
        match tensors.keys().find(is_conv) {
            Some(name) => Err(format!(
                "{} is of a convolution in front of the gates i and f, which has no counterpart: expected \
                 conv1d_kernel_size=0",
                shown(name)
            )),
            None => Ok(()),
        }
    }

    fn is_cell(cell: &Cell<'_>) -> bool {
        cell.tensors.contains_key(KERNEL)
    }

    fn parameters(
        cell: &Cell<'_>,
        suffix: &str,
        to: &mut Translated,
        errors: &mut ErrorList,
    ) -> Option<Parameters> {
        let known = [&GATES[..], &[KERNEL, BIAS, NORM]].concat();
        only(cell, &known, errors);
        if let Err(why) = to.say_kind("slstm") {
            errors.add(why);
        }
        let kernel = cell.take(KERNEL, &[None, None, None], errors)?;
        let &[heads, a, b] = kernel.1.shape() else { return None };
        let (size, is_vanilla) = match (b.checked_mul(4) == Some(a), a.checked_mul(4) == Some(b)) {
            (true, _) => (b, true),
            (_, true) => (a, false),
            _ => {
                errors.add(format!(
                    "{} has shape [{heads}, {a}, {b}], expected [N, 4·d, d] or [N, d, 4·d]",
                    shown(kernel.0)
                ));
                return None;
            }
        };
        if heads > MOST_HEADS {
            errors.add(format!(
                "{} is of {heads} heads, expected at most {MOST_HEADS}",
                shown(kernel.0)
            ));
            return None;
        }
        let rows = heads.checked_mul(size)?.checked_mul(4)?;
        let bias = cell.take(BIAS, &[Some(rows)], errors)?;
        let gates: Vec<_> = GATES
            .iter()
            .filter_map(|own| cell.take(own, &[Some(heads), Some(size), Some(size)], errors))
            .collect();
        let all: Vec<Array> = gates
            .iter()
            .map(|(_, gate)| (*gate).clone())
            .chain([kernel.1.clone(), bias.1.clone()])
            .collect();
        let Some(element) = one_type(&all).filter(|_| gates.len() == 4) else {
            if gates.len() == 4 {
                errors.add(format!("the tensors of {} are of different types", shown(&cell.path)));
            }
            return None;
        };
        let (blocks, by_head) = match heads {
            1 => ("", String::new()),
            _ => (", the blocks of a matrix", format!(", {heads} heads")),
        };
        for (k, gate) in gates.iter().enumerate() {
            to.moved(*gate, &format!("weight_ih{suffix}"), &format!("gate {k}{blocks}"));
        }
        let layout = if is_vanilla { "of vanilla" } else { "of cuda" };
        to.moved(kernel, &format!("weight_hh{suffix}"), &format!("{layout}{by_head}"));
        to.moved(bias, &format!("bias_ih{suffix}"), "bias_hh is zero");

        let heads = Heads { heads, size };
        let width = heads.width();
        let gates: Vec<Vec<f64>> = gates.iter().map(|(_, gate)| gate.to_f64()).collect();
        let weight_ih =
            heads.dense(|head, gate, row, column| gates[gate][(head * size + row) * size + column]);
        Some(Parameters {
            weight_ih: floats(element, vec![rows, width], weight_ih),
            weight_hh: heads.recurrent(kernel.1, is_vanilla),
            biases: Some([
                match is_vanilla {
                    true => bias.1.clone(),
                    false => heads.by_gates(bias.1),
                },
                Array::zeros(element, &[rows]),
            ]),
            bias: None,
            diagonal: None,
        })
    }
}

/// `N` heads of `d` units.
struct Heads {
    heads: usize,
    size: usize,
}

impl Heads {
    /// `H`
    fn width(&self) -> usize {
        self.heads * self.size
    }

    /// `[4·H, H]` from the number of each head, gate, row and column; zeros outside of the blocks.
    fn dense(&self, number: impl Fn(usize, usize, usize, usize) -> f64) -> Vec<f64> {
        let (size, width) = (self.size, self.width());
        let mut all = vec![0.0; 4 * width * width];
        for (at, place) in all.iter_mut().enumerate() {
            let (gate, row, column) = (at / width / width, at / width % width, at % width);
            let head = row / size;
            if column / size == head {
                *place = number(head, gate, row % size, column % size);
            }
        }
        all
    }

    /// `[N, 4·d, d]`: for each head, outputs by inputs; `[4·H, H]` if there is one.
    fn recurrent(&self, kernel: &Array, is_vanilla: bool) -> Array {
        let turned = match is_vanilla {
            true => kernel.clone(),
            false => {
                let blocks = (0..self.heads).map(|head| kernel.row(head).transposed());
                Array::stacked(&blocks.collect::<Vec<_>>())
            }
        };
        let block = [4 * self.size, self.size];
        match self.heads {
            1 => turned.reshaped(&block),
            heads => turned.reshaped(&[heads, block[0], block[1]]),
        }
    }

    /// From heads of gates to gates of heads.
    fn by_gates(&self, bias: &Array) -> Array {
        let order = (0..4).flat_map(|gate| (0..self.heads).map(move |head| head * 4 + gate));
        bias.blocks(&order.collect::<Vec<_>>())
    }
}

/// Numbers that came from this type.
fn floats(element: Element, shape: Vec<usize>, values: Vec<f64>) -> Array {
    Array::of_f64(element, shape, values).expect("as many numbers as the shape has")
}
