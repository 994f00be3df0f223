//! How settings are read and written, and what those of older folders mean.

use bptt_probe::DType;
use serde::{Deserialize, Deserializer};

/// Serialises an engine as its name on the command line.
pub(super) mod engine_name {
    use bptt::Engine;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::settings) fn serialize<S: Serializer>(
        engine: &Engine,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(engine.name())
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Engine, D::Error> {
        let name = String::deserialize(from)?;
        Engine::ALL
            .into_iter()
            .find(|engine| engine.name() == name)
            .ok_or_else(|| D::Error::custom(format!("no engine is called `{name}`")))
    }
}

/// Serialises a kernel as its name on the command line.
pub(super) mod kernel_name {
    use bptt::Kernel;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::settings) fn serialize<S: Serializer>(
        kernel: &Kernel,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(kernel.name())
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<Kernel, D::Error> {
        let name = String::deserialize(from)?;
        Kernel::ALL
            .into_iter()
            .find(|kernel| kernel.name() == name)
            .ok_or_else(|| D::Error::custom(format!("no kernel is called `{name}`")))
    }
}

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

/// Serialises a type as its name on the command line.
pub(super) mod dtype_name {
    use bptt_probe::DType;
    use serde::{Deserialize, Deserializer, Serializer, de::Error};

    pub(in crate::settings) fn serialize<S: Serializer>(
        dtype: &DType,
        to: S,
    ) -> Result<S::Ok, S::Error> {
        to.serialize_str(dtype.name())
    }

    pub(in crate::settings) fn deserialize<'de, D: Deserializer<'de>>(
        from: D,
    ) -> Result<DType, D::Error> {
        let name = String::deserialize(from)?;
        DType::ALL
            .into_iter()
            .find(|dtype| dtype.name() == name)
            .ok_or_else(|| D::Error::custom(format!("no type is called `{name}`")))
    }
}
