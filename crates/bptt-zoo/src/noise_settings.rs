//! The settings of noise inside of the recurrent layers.

use crate::error::Error;
use bptt::{CellKind, LayerKind, NoiseRates, RecurrentNoise};
use serde::{Deserialize, Serialize};

/// Noise inside of the recurrent layers, while they are trained. The fields have the names of the options of `bptt train`.
/// See [`RecurrentNoise`].
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct NoiseSettings {
    /// Zoneout of the hidden state and of the memories.
    pub zoneout: NoiseRates,
    /// Variational dropout of the layers' inputs and of their hidden states.
    pub variational_dropout: NoiseRates,
    /// The probability of dropping a number of the candidate.
    pub recurrent_dropout: f64,
    /// The probability of dropping a recurrent weight.
    pub weight_drop: f64,
}

impl NoiseSettings {
    /// Checks that the layers can have it.
    pub(crate) fn check(&self, layer: impl Into<LayerKind>) -> Result<(), Error> {
        let Self { zoneout, variational_dropout, recurrent_dropout, weight_drop } = *self;
        let none = Self::default();
        let each = [
            ("zoneout", zoneout.to_string(), Self { zoneout, ..none }),
            (
                "variational-dropout",
                variational_dropout.to_string(),
                Self { variational_dropout, ..none },
            ),
            (
                "recurrent-dropout",
                recurrent_dropout.to_string(),
                Self { recurrent_dropout, ..none },
            ),
            ("weight-drop", weight_drop.to_string(), Self { weight_drop, ..none }),
        ];
        let layer = layer.into();
        let Some(cell) = layer.cell() else {
            return match each.into_iter().find(|(.., one)| *one != none) {
                Some((flag, value, _)) => Err(Error::input(format!(
                    "--{flag} {value}: {} runs as a scan and has no noise; leave the option out",
                    layer.name()
                ))),
                None => Ok(()),
            };
        };
        each.into_iter().try_for_each(|(flag, value, one)| {
            let check = one.rates(cell).check(&cell.default_cell());
            check.map_err(|why| Error::input(format!("--{flag} {value}: {why}")))
        })
    }

    /// The noise of the layers; `None` if there is none.
    pub(crate) fn of(&self, cell: CellKind, seed: u64) -> Option<RecurrentNoise> {
        let noise = self.rates(cell);
        (!noise.is_none()).then(|| noise.with_seed(seed))
    }

    /// Whether there is zoneout.
    pub(crate) fn has_zoneout(&self) -> bool {
        !matches!(self.zoneout, NoiseRates::Same(0.0) | NoiseRates::Each(0.0, 0.0))
    }

    fn rates(&self, cell: CellKind) -> RecurrentNoise {
        let Self { zoneout, variational_dropout, recurrent_dropout, weight_drop } = *self;
        let dropped = [recurrent_dropout, weight_drop];
        RecurrentNoise::of_rates(&cell.default_cell(), zoneout, variational_dropout, dropped)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::settings::Settings;
    use bptt::AnyLayerConfig;

    #[test]
    fn options_are_fields_of_the_settings_and_older_files_have_none() {
        let mut settings = Settings::new("mine", &serde_json::json!({}));
        settings.noise.zoneout = NoiseRates::Each(0.05, 0.5);
        settings.noise.weight_drop = 0.25;
        let mut json = serde_json::to_value(&settings).unwrap();
        assert_eq!(json["zoneout"], "0.05,0.5");
        assert_eq!(json["variational_dropout"], "0");
        assert_eq!(json["weight_drop"], 0.25);
        let read = |json: &serde_json::Value| serde_json::from_value::<Settings>(json.clone());
        assert_eq!(read(&json).unwrap(), settings);
        for name in ["zoneout", "variational_dropout", "recurrent_dropout", "weight_drop"] {
            json.as_object_mut().unwrap().remove(name);
        }
        assert_eq!(read(&json).unwrap().noise, NoiseSettings::default());
        let AnyLayerConfig::Recurrent(config) = settings.layer_config(3) else {
            panic!("a cell that runs step by step");
        };
        let noise = config.noise.unwrap();
        assert_eq!((noise.zoneout_hidden, noise.zoneout_memory), (0.05, 0.5));
    }

    #[test]
    fn what_a_cell_cannot_have_is_named_by_its_option() {
        let complaint = |cell, noise: NoiseSettings| noise.check(cell).unwrap_err().to_string();
        let none = NoiseSettings::default();
        let zoneout = NoiseSettings { zoneout: NoiseRates::Each(0.1, 0.2), ..none };
        let message = complaint(CellKind::Gru, zoneout);
        assert!(
            message.starts_with("--zoneout 0.1,0.2: zoneout of the memory is 0.2"),
            "{message}"
        );
        let drop = NoiseSettings { weight_drop: 1.5, ..none };
        let message = complaint(CellKind::Lstm, drop);
        assert!(
            message.starts_with("--weight-drop 1.5: weight drop is 1.5, and has to"),
            "{message}"
        );
        // One probability is that of what the cell has.
        let same = NoiseSettings { zoneout: NoiseRates::Same(0.1), ..none };
        same.check(CellKind::Gru).unwrap();
        assert_eq!(same.of(CellKind::Gru, 1).unwrap().zoneout_memory, 0.0);
        assert_eq!(same.of(CellKind::Lstm, 1).unwrap().zoneout_memory, 0.1);
    }
}
