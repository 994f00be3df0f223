//! How settings are read and written, and what those of older folders mean.

use bptt_probe::DType;
use serde::{Deserialize, Deserializer};

/// A module that serialises values as their names on the command line.
macro_rules! by_name {
    ($module:ident, $Type:ty, $what:literal) => {
        pub(super) mod $module {
            use serde::{Deserialize, Deserializer, Serializer, de::Error};

            pub(in crate::settings) fn serialize<S: Serializer>(
                value: &$Type,
                to: S,
            ) -> Result<S::Ok, S::Error> {
                to.serialize_str(value.name())
            }

            pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
                from: D,
            ) -> Result<$Type, D::Error> {
                let name = String::deserialize(from)?;
                <$Type>::ALL
                    .into_iter()
                    .find(|value| value.name() == name)
                    .ok_or_else(|| D::Error::custom(format!("no {} is called `{name}`", $what)))
            }
        }
    };
}

by_name!(engine_name, bptt::Engine, "engine");
by_name!(kernel_name, bptt::Kernel, "kernel");
by_name!(dtype_name, bptt_probe::DType, "type");

/// JSON has no infinity, and serde writes null.
pub(super) fn number_or_infinity<'de, D: Deserializer<'de>>(from: D) -> Result<f64, D::Error> {
    Ok(Option::deserialize(from)?.unwrap_or(f64::INFINITY))
}

/// How many heads runs from before there was a choice have.
pub(super) fn one() -> usize {
    1
}

/// The type of runs from before there was a choice.
pub(super) fn single() -> DType {
    DType::F32
}
