//! Names of initialisers on the command line and in files: `name`, or `name:value`.

use crate::error::ConfigError;
use burn::module::Initializer;
use serde::{Deserialize, Serialize, Serializer};

/// One line of a list of names.
pub(super) struct Named<T> {
    /// The name, and after it the other spellings that are read.
    pub(super) names: &'static [&'static str],
    pub(super) value: Value,
    /// Makes the initialiser of the value; without a value, of NaN.
    pub(super) make: fn(f64) -> T,
}

/// Whether a name has a value.
pub(super) enum Value {
    None,
    /// What it is called, and what it is if it is not given.
    Optional(&'static str, f64),
    /// What it is called.
    Required(&'static str),
}

/// Reads a name with its value.
///
/// # Arguments
///
/// - `what`: what has initialisers of these names, for messages
pub(super) fn parse<T>(what: &str, list: &[Named<T>], text: &str) -> Result<T, ConfigError> {
    let (name, value) = match text.split_once(':') {
        Some((name, value)) => (name, Some(value)),
        None => (text, None),
    };
    let Some(named) = list.iter().find(|named| named.names.contains(&name)) else {
        let all: Vec<_> = list.iter().map(form).collect();
        return Err(ConfigError::new(format!(
            "no initializer of {what} is called `{}`: expected one of {}",
            name.escape_debug(),
            all.join(", "),
        )));
    };
    let number = match (value, &named.value) {
        (None, Value::None) => f64::NAN,
        (None, Value::Optional(_, default)) => *default,
        (Some(value), Value::Optional(..) | Value::Required(_)) => match value.parse::<f64>() {
            Ok(number) if number.is_finite() => number,
            _ => {
                let value = value.escape_debug();
                let message =
                    format!("{name}:{value}: `{value}` is no number: expected {}", form(named));
                return Err(ConfigError::new(message));
            }
        },
        (None, Value::Required(_)) | (Some(_), Value::None) => {
            let text = text.escape_debug();
            return Err(ConfigError::new(format!("{text}: expected {}", form(named))));
        }
    };
    Ok((named.make)(number))
}

/// How a name is written, such as `orthogonal[:GAIN]`.
fn form<T>(named: &Named<T>) -> String {
    let name = named.names[0];
    match named.value {
        Value::None => name.to_string(),
        Value::Optional(value, _) => format!("{name}[:{value}]"),
        Value::Required(value) => format!("{name}:{value}"),
    }
}

/// The text of a name with its value, without a value that is the default.
pub(super) fn text<T>(list: &[Named<T>], name: &str, value: f64) -> String {
    let named = list.iter().find(|named| named.names[0] == name).expect("a name of the list");
    match named.value {
        Value::Optional(_, default) if value != default => format!("{name}:{value}"),
        Value::Required(_) => format!("{name}:{value}"),
        Value::None | Value::Optional(..) => name.to_string(),
    }
}

/// What a file has: a name, or an initialiser of Burn's as Burn writes it.
#[derive(Deserialize)]
#[serde(untagged)]
pub(super) enum Stored {
    Name(String),
    Burn(Initializer),
}

impl Stored {
    /// The initialiser, by name or by Burn.
    pub(super) fn read<T: std::str::FromStr<Err = ConfigError> + From<Initializer>>(
        self,
    ) -> Result<T, ConfigError> {
        match self {
            // Burn writes these two without a value.
            Self::Name(name) if name == "Zeros" => Ok(Initializer::Zeros.into()),
            Self::Name(name) if name == "Ones" => Ok(Initializer::Ones.into()),
            Self::Name(name) => name.parse(),
            Self::Burn(initializer) => Ok(initializer.into()),
        }
    }
}

/// Writes a name, or an initialiser of Burn's that has no name here.
pub(super) fn store<S: Serializer>(
    name: Option<String>,
    burn: Option<&Initializer>,
    to: S,
) -> Result<S::Ok, S::Error> {
    match (name, burn) {
        (Some(name), _) => name.serialize(to),
        (None, burn) => burn.serialize(to),
    }
}
