//! Probabilities of noise on the command line and in files: one, or two with a comma.

use crate::error::ConfigError;
use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt::{Display, Formatter};
use std::str::FromStr;

/// The two probabilities of one kind of noise, written `P` or `P,Q`: of zoneout, those of the hidden state and of the
/// memories; of variational dropout, those of the input and of the state.
///
/// ```
/// use bptt::NoiseRates;
///
/// assert_eq!("0.05,0.5".parse(), Ok(NoiseRates::Each(0.05, 0.5)));
/// assert_eq!(NoiseRates::Same(0.1).to_string(), "0.1");
/// assert!("much".parse::<NoiseRates>().is_err());
/// ```
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum NoiseRates {
    /// The same probability for both.
    Same(f64),
    /// One for each.
    Each(f64, f64),
}

impl Default for NoiseRates {
    fn default() -> Self {
        Self::Same(0.0)
    }
}

impl Display for NoiseRates {
    fn fmt(&self, f: &mut Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Same(p) => write!(f, "{p}"),
            Self::Each(p, q) => write!(f, "{p},{q}"),
        }
    }
}

impl FromStr for NoiseRates {
    type Err = ConfigError;

    fn from_str(text: &str) -> Result<Self, ConfigError> {
        let number = |part: &str| match part.trim().parse::<f64>() {
            Ok(number) if number.is_finite() => Ok(number),
            _ => Err(ConfigError::new(format!(
                "`{}` is no probability: expected P, or P,Q",
                text.escape_debug()
            ))),
        };
        match text.split_once(',') {
            Some((p, q)) => Ok(Self::Each(number(p)?, number(q)?)),
            None => Ok(Self::Same(number(text)?)),
        }
    }
}

impl Serialize for NoiseRates {
    fn serialize<S: Serializer>(&self, to: S) -> Result<S::Ok, S::Error> {
        to.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for NoiseRates {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        String::deserialize(from)?.parse().map_err(D::Error::custom)
    }
}
