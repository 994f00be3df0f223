//! The names of the schedules of the learning rate.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::str::FromStr;

/// How the learning rate changes. On the command line and in JSON it is a text, such as `cosine` or `step:500:0.1`.
///
/// After a warm-up, the rate is that of the settings, and follows the schedule from there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub enum Schedule {
    /// It does not change.
    #[default]
    Constant,
    /// It falls in a straight line.
    Linear,
    /// It falls as half a wave of the cosine.
    ///
    /// I. Loshchilov and F. Hutter, "SGDR: stochastic gradient descent with warm restarts", ICLR 2017, without the restarts.
    Cosine,
    /// It falls by the same factor in each step.
    Exponential,
    /// It is multiplied by a factor now and then.
    Step {
        /// Steps between two changes.
        every: u64,
        /// The factor.
        factor: f64,
    },
    /// It rises in a straight line, and falls with the inverse square root of the step.
    ///
    /// A. Vaswani and others, "Attention is all you need", NeurIPS 2017. The highest rate is that of the settings.
    Noam,
    /// It rises in a straight line from a twenty-fifth, and falls as half a wave of the cosine.
    ///
    /// L. N. Smith and N. Topin, "Super-convergence: very fast training of neural networks using large learning rates",
    /// arXiv:1708.07120, 2018; the numbers are PyTorch's.
    OneCycle,
    /// It is multiplied by a factor when the validation loss has not fallen for some validations.
    Plateau {
        /// How many validations without a lower loss it takes.
        patience: u64,
        /// The factor.
        factor: f64,
    },
}

impl Schedule {
    /// Whether it ends at a rate after a number of steps.
    pub fn has_end(self) -> bool {
        matches!(self, Self::Linear | Self::Cosine | Self::Exponential | Self::OneCycle)
    }

    /// Checks its numbers.
    pub(crate) fn check(self) -> Result<(), String> {
        let (count, factor) = match self {
            Self::Step { every, factor } => (every, factor),
            Self::Plateau { patience, factor } => (patience, factor),
            _ => return Ok(()),
        };
        if count == 0 {
            return Err("the number after the name has to be at least 1".to_string());
        }
        match factor > 0.0 && factor < 1.0 {
            true => Ok(()),
            false => Err(format!("the factor is {factor}, and has to be between 0 and 1")),
        }
    }
}

impl fmt::Display for Schedule {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Constant => write!(out, "constant"),
            Self::Linear => write!(out, "linear"),
            Self::Cosine => write!(out, "cosine"),
            Self::Exponential => write!(out, "exponential"),
            Self::Step { every, factor } => write!(out, "step:{every}:{factor}"),
            Self::Noam => write!(out, "noam"),
            Self::OneCycle => write!(out, "one-cycle"),
            Self::Plateau { patience, factor } => write!(out, "plateau:{patience}:{factor}"),
        }
    }
}

impl FromStr for Schedule {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        const NAMES: &str = "constant, linear, cosine, exponential, step:N[:FACTOR], noam, one-cycle or \
                             plateau:N[:FACTOR]";
        let unknown = || format!("`{text}` is no schedule: expected {NAMES}");
        let mut parts = text.split(':');
        let name = parts.next().unwrap_or_default();
        let (count, factor) = (parts.next(), parts.next());
        let numbers = |form: &str, usual: f64| {
            let wrong = || {
                format!(
                    "`{text}`: expected {form}, with a number of steps or validations and a factor"
                )
            };
            let count = count.ok_or_else(wrong)?.parse::<u64>().map_err(|_| wrong())?;
            let factor = factor.map_or(Ok(usual), |factor| factor.parse().map_err(|_| wrong()))?;
            Ok::<_, String>((count, factor))
        };
        let schedule = match (name, count) {
            ("constant", None) => Self::Constant,
            ("linear", None) => Self::Linear,
            ("cosine", None) => Self::Cosine,
            ("exponential", None) => Self::Exponential,
            ("noam", None) => Self::Noam,
            ("one-cycle", None) => Self::OneCycle,
            ("step", _) => {
                let (every, factor) = numbers("step:N[:FACTOR]", 0.1)?;
                Self::Step { every, factor }
            }
            ("plateau", _) => {
                let (patience, factor) = numbers("plateau:N[:FACTOR]", 0.5)?;
                Self::Plateau { patience, factor }
            }
            _ => return Err(unknown()),
        };
        if parts.next().is_some() {
            return Err(unknown());
        }
        schedule.check().map_err(|why| format!("`{text}`: {why}"))?;
        Ok(schedule)
    }
}

impl TryFrom<String> for Schedule {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        text.parse()
    }
}

impl From<Schedule> for String {
    fn from(schedule: Schedule) -> Self {
        schedule.to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_read_and_written() {
        for name in ["constant", "cosine", "step:500:0.1", "one-cycle", "plateau:3:0.5"] {
            assert_eq!(name.parse::<Schedule>().unwrap().to_string(), name);
        }
        assert_eq!("step:7".parse(), Ok(Schedule::Step { every: 7, factor: 0.1 }));
        assert_eq!("plateau:7".parse(), Ok(Schedule::Plateau { patience: 7, factor: 0.5 }));
        for wrong in
            ["", "cosin", "cosine:3", "step", "step:x", "step:0", "step:3:2", "step:3:0.5:1"]
        {
            let why = wrong.parse::<Schedule>().unwrap_err();
            assert!(why.contains(&format!("`{wrong}`")) && why.lines().count() == 1, "{why}");
        }
    }
}
