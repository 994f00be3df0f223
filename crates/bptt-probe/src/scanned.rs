//! The parameters of layers that run as a scan: their names and shapes in a problem, and where they begin.

use bptt::scanned::ScannedKind;

/// A stack of such layers.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Stack {
    pub(crate) kind: ScannedKind,
    /// `I`
    pub(crate) input: usize,
    /// `H`
    pub(crate) hidden: usize,
    /// `O`
    pub(crate) output: usize,
    /// `L`
    pub(crate) layers: usize,
    /// `D`
    pub(crate) directions: usize,
    pub(crate) bias: bool,
}

/// The parameters: the path of each in its layer, and the suffix of the layer, `_l0`, `_l0_reverse`, … `None` if a size is
/// too large.
pub(crate) fn parameters(stack: &Stack) -> Option<Vec<(String, Vec<usize>)>> {
    let above = stack.directions.checked_mul(stack.output)?;
    let mut all = Vec::new();
    for layer in 0..stack.layers {
        let input = if layer == 0 { stack.input } else { above };
        for reverse in ["", "_reverse"].iter().take(stack.directions) {
            let named = |(name, shape)| (format!("{name}_l{layer}{reverse}"), shape);
            all.extend(of_layer(stack, input)?.into_iter().map(named));
        }
    }
    Some(all)
}

/// The parameters of one layer in one direction, with an input of this size.
fn of_layer(stack: &Stack, input: usize) -> Option<Vec<(&'static str, Vec<usize>)>> {
    let Stack { kind, hidden, output, bias, .. } = *stack;
    // What of the weights there is by the gates' number.
    let gated = |gates: usize, input: usize| {
        let rows = gates.checked_mul(hidden)?;
        let bias = bias.then(|| ("bias_ih", vec![rows]));
        Some([("weight_ih", vec![rows, input])].into_iter().chain(bias))
    };
    // What complex layers have besides their factor.
    let complex = [
        ("weight_re", vec![hidden, input]),
        ("weight_im", vec![hidden, input]),
        ("readout.weight_re", vec![output, hidden]),
        ("readout.weight_im", vec![output, hidden]),
        ("readout.weight_skip", vec![output, input]),
    ];
    let of_units = |names: [&'static str; 3]| names.map(|name| (name, vec![hidden]));
    Some(match kind {
        ScannedKind::MinGru => gated(2, input)?.collect(),
        ScannedKind::MinLstm => gated(3, input)?.collect(),
        ScannedKind::RgLru => {
            let weight_in = (input != hidden).then(|| ("weight_in", vec![hidden, input]));
            let lambda = [("lambda", vec![hidden])];
            weight_in.into_iter().chain(gated(2, hidden)?).chain(lambda).collect()
        }
        ScannedKind::Lru => {
            of_units(["nu_log", "theta_log", "gamma_log"]).into_iter().chain(complex).collect()
        }
        ScannedKind::S5 => {
            of_units(["rate_log", "frequency", "step_log"]).into_iter().chain(complex).collect()
        }
        other => unreachable!("{}: a layer without a line here", other.name()),
    })
}

/// How many numbers the weights of one layer have, for sizes `[I, H]`, without what is one number a unit. `None` if they
/// are too many.
pub(crate) fn weights(kind: ScannedKind, [input, hidden]: [usize; 2]) -> Option<usize> {
    let stack = Stack { kind, input, hidden, output: hidden, layers: 1, directions: 1, bias: true };
    let matrices = of_layer(&stack, input)?.into_iter().filter(|(_, shape)| shape.len() == 2);
    matrices
        .map(|(_, shape)| shape[0].checked_mul(shape[1]))
        .try_fold(0_usize, |sum, count| sum.checked_add(count?))
}

/// The mean of the random numbers of a parameter that is one number a unit: such that a state is forgotten in some
/// steps, and not at once. `None` for the other tensors.
pub(crate) fn mean(name: &str) -> Option<f64> {
    // The suffix is `_l0`, `_l0_reverse`, …, behind `_log` in some names.
    let (name, _) = name.rsplit_once("_l")?;
    match name {
        // a = e^(-8 softplus(Λ) r) is about e^(-0.3).
        "lambda" => Some(-2.5),
        // |λ| = e^(-e^ν) is about 0.8.
        "nu_log" => Some(-1.5),
        // |λ| = e^(-e^(ρ + δ)) likewise.
        "rate_log" | "step_log" => Some(-0.75),
        "theta_log" | "gamma_log" | "frequency" => Some(0.0),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_one_number_a_unit_has_a_mean() {
        for kind in ScannedKind::ALL {
            let [input, hidden, output, layers, directions] = [3, 4, 5, 2, 2];
            let stack = Stack { kind, input, hidden, output, layers, directions, bias: true };
            for (name, shape) in parameters(&stack).expect("small sizes") {
                let is_of_units = shape.len() == 1 && !name.starts_with("bias");
                assert_eq!(mean(&name).is_some(), is_of_units, "{name}");
            }
        }
    }
}
