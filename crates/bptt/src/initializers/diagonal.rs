//! The first values of diagonal weights, by what each of them is.

use crate::initializers::bias::BiasInitializer;
use crate::initializers::weight::WeightInitializer;
use bptt_cells::{DiagonalRole, GateRole};
use burn::Tensor;
use burn::module::Param;
use burn::tensor::Device;

/// Draws diagonal weights, `[V, H]`. Recurrent weights have the values of their initialiser. Gains are 1, and shifts are 0,
/// or what the initialiser of biases gives to the gates that hold the memory.
///
/// # Arguments
///
/// - `count`: `V`
/// - `roles`: one for each, or none if all are recurrent weights
pub(crate) fn draw_diagonals(
    (recurrent, bias): (&WeightInitializer, &BiasInitializer),
    [count, hidden]: [usize; 2],
    roles: &[DiagonalRole],
    device: &Device,
) -> Param<Tensor<2>> {
    if roles.is_empty() {
        return recurrent.draw_diagonals(count, hidden, device);
    }
    let of_gate = |role: &DiagonalRole| match role {
        DiagonalRole::Shift(role) => Some(*role),
        DiagonalRole::Weight | DiagonalRole::Gain => None,
    };
    let gates: Vec<GateRole> = roles.iter().filter_map(of_gate).collect();
    let shifts = bias.of_memory_gates(&gates, hidden, device);
    let mut shifts = (0..gates.len()).map(|gate| match &shifts {
        Some(all) => all.clone().slice([gate * hidden..(gate + 1) * hidden]).reshape([1, hidden]),
        None => Tensor::zeros([1, hidden], device),
    });
    let rows = roles.iter().map(|role| match role {
        DiagonalRole::Weight => recurrent.draw_diagonals(1, hidden, device).val(),
        DiagonalRole::Gain => Tensor::ones([1, hidden], device),
        DiagonalRole::Shift(_) => shifts.next().expect("one for each"),
    });
    Param::from_tensor(Tensor::cat(rows.collect(), 0).detach())
}
