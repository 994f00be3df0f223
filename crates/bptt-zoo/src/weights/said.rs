//! What a file or a run folder says of its layers, by the prefix of each.

use crate::weights::contents::Metadata;
use crate::weights::layer::LayerOptions;
#[cfg(feature = "scanned-cells")]
use crate::weights::scanned::found::ScannedOptions;
use serde::{Deserialize, Deserializer, Serialize};
use std::collections::BTreeMap;

/// The key in the metadata of a file under which this project writes the options of layers.
pub(super) const KEY: &str = "bptt";

/// The options of a layer that its tensors do not show.
#[derive(Clone, Debug, Serialize)]
#[serde(untagged)]
pub(super) enum Said {
    /// Of a layer that runs step by step.
    Cell(LayerOptions),
    /// Of layers that run as a scan.
    #[cfg(feature = "scanned-cells")]
    Scanned(ScannedOptions),
}

impl Said {
    /// Those of a layer that runs step by step.
    pub(super) fn cell(&self) -> Option<&LayerOptions> {
        match self {
            Self::Cell(options) => Some(options),
            #[cfg(feature = "scanned-cells")]
            Self::Scanned(_) => None,
        }
    }
}

impl<'de> Deserialize<'de> for Said {
    /// By the kind, so that a message is about the right one.
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        let value = serde_json::Value::deserialize(from)?;
        let wrong = serde::de::Error::custom;
        #[cfg(feature = "scanned-cells")]
        {
            let names = bptt::scanned::ScannedKind::ALL.map(|kind| kind.name());
            if value.get("kind").and_then(|kind| kind.as_str()).is_some_and(|k| names.contains(&k))
            {
                return serde_json::from_value(value).map(Self::Scanned).map_err(wrong);
            }
        }
        serde_json::from_value(value).map(Self::Cell).map_err(wrong)
    }
}

/// The options that this project wrote into the metadata, by the prefix of each layer.
pub(super) fn said(metadata: &Metadata) -> Result<BTreeMap<String, Said>, String> {
    let Some(text) = metadata.get(KEY) else { return Ok(BTreeMap::new()) };
    serde_json::from_str(text).map_err(|error| format!("its metadata `{KEY}`: {error}"))
}

/// Whether a file says that it has layers that run as a scan.
#[cfg(feature = "scanned-cells")]
pub(super) fn is_of_scans(metadata: &Metadata) -> bool {
    said(metadata).is_ok_and(|said| said.values().any(|said| matches!(said, Said::Scanned(_))))
}
