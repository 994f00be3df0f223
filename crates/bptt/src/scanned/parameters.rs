//! The names and shapes of the parameters of a stack, without making it.

use super::any::{AnyScannedConfig, ScannedKind};

/// The parameters of one layer in one direction: the path of each in it, and its shape.
type Parameters = Vec<(&'static str, Vec<usize>)>;

impl AnyScannedConfig {
    /// The parameters of the layer that the config makes, for each of [`Scanned::layers`](super::Scanned::layers): the
    /// path of each in that layer, such as `weight_ih` or `readout.weight_re`, and its shape. `None` if a size is too
    /// large.
    pub fn parameters(&self) -> Option<Vec<Parameters>> {
        let directions: usize = if self.bidirectional { 2 } else { 1 };
        let above = directions.checked_mul(self.output())?;
        let input = |k| if k < directions { self.d_input } else { above };
        (0..self.num_layers.checked_mul(directions)?).map(|k| self.of_layer(input(k))).collect()
    }

    /// The size of the output in one direction, `O`.
    fn output(&self) -> usize {
        if self.kind.is_complex() && self.d_output > 0 { self.d_output } else { self.d_hidden }
    }

    /// The parameters of one layer in one direction, with an input of this size.
    fn of_layer(&self, input: usize) -> Option<Parameters> {
        let (hidden, output) = (self.d_hidden, self.output());
        // What of the weights there is by the gates' number.
        let gated = |gates: usize, input: usize| {
            let rows = gates.checked_mul(hidden)?;
            let bias = self.bias.then(|| ("bias_ih", vec![rows]));
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
        Some(match self.kind {
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
        })
    }
}

#[cfg(all(test, feature = "flex"))]
mod tests {
    use super::*;
    use burn::Tensor;
    use burn::module::{Module, ModuleVisitor, Param};
    use burn::tensor::Device;

    /// The path of each parameter in the module, and its shape.
    #[derive(Default)]
    struct Found {
        path: Vec<String>,
        all: Vec<(String, Vec<usize>)>,
    }

    impl ModuleVisitor for Found {
        fn enter_module(&mut self, name: &str, _: &str) {
            self.path.push(name.to_string());
        }

        fn exit_module(&mut self, _: &str, _: &str) {
            self.path.pop();
        }

        fn visit_float<const D: usize>(&mut self, param: &Param<Tensor<D>>) {
            self.all.push((self.path.join("."), param.val().dims().to_vec()));
        }
    }

    #[test]
    fn the_parameters_are_those_of_the_layer_that_is_made() {
        for kind in ScannedKind::ALL {
            for (hidden, bias, bidirectional) in [(4, true, true), (3, !kind.has_bias(), false)] {
                let config = AnyScannedConfig::new(kind, 3, hidden)
                    .with_bias(bias || !kind.has_bias())
                    .with_d_output(if kind.is_complex() { 5 } else { 0 })
                    .with_num_layers(2)
                    .with_bidirectional(bidirectional);
                let mut found = Found::default();
                config.init(&Device::flex()).visit(&mut found);
                let layers = config.parameters().expect("small sizes").into_iter().enumerate();
                let named = layers.flat_map(|(k, layer)| {
                    layer
                        .into_iter()
                        .map(move |(name, shape)| (format!("layers.{k}.{name}"), shape))
                });
                let mut expected: Vec<_> = named.collect();
                expected.sort();
                found.all.sort();
                assert_eq!(found.all, expected, "{}", kind.name());
            }
            let huge = AnyScannedConfig::new(kind, 3, usize::MAX).with_bidirectional(true);
            assert!(huge.parameters().is_none());
        }
    }
}
