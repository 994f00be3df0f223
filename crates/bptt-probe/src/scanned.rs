//! The parameters of layers that run as a scan: their names and shapes in a problem, and where they begin.

use bptt::scanned::{AnyScannedConfig, ScannedKind};

/// The parameters of a stack: the path of each in its layer, and the suffix of the layer, `_l0`, `_l0_reverse`, … `None`
/// if a size is too large.
pub(crate) fn parameters(config: &AnyScannedConfig) -> Option<Vec<(String, Vec<usize>)>> {
    let directions = if config.bidirectional { 2 } else { 1 };
    let layers = config.parameters()?.into_iter().enumerate();
    let named = layers.flat_map(|(k, layer)| {
        let reverse = if k % directions == 1 { "_reverse" } else { "" };
        let suffix = format!("_l{}{reverse}", k / directions);
        layer.into_iter().map(move |(name, shape)| (format!("{name}{suffix}"), shape))
    });
    Some(named.collect())
}

/// How many numbers the weights of one layer have, for sizes `[I, H]`, without what is one number a unit. `None` if they
/// are too many.
pub(crate) fn weights(kind: ScannedKind, [input, hidden]: [usize; 2]) -> Option<usize> {
    let layer = AnyScannedConfig::new(kind, input, hidden).parameters()?.remove(0);
    let matrices = layer.into_iter().filter(|(_, shape)| shape.len() == 2);
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
            let stack =
                AnyScannedConfig::new(kind, 3, 4).with_num_layers(2).with_bidirectional(true);
            for (name, shape) in parameters(&stack).expect("small sizes") {
                let is_of_units = shape.len() == 1 && !name.starts_with("bias");
                assert_eq!(mean(&name).is_some(), is_of_units, "{name}");
            }
        }
    }
}
