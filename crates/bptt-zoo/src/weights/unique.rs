//! Maps whose keys occur once.
//!
//! If a name occurs twice in a file, the crates that read the formats keep the last entry. Other programs may keep the
//! first, and so read another model. So such a file is refused.

use serde::de::{Deserialize, Deserializer, Error, MapAccess, Visitor};
use std::collections::BTreeMap;
use std::marker::PhantomData;

/// A map. Reading it fails if a key occurs twice.
pub(super) struct Unique<V>(pub(super) BTreeMap<String, V>);

impl<'de, V: Deserialize<'de>> Deserialize<'de> for Unique<V> {
    fn deserialize<D: Deserializer<'de>>(from: D) -> Result<Self, D::Error> {
        struct Reader<V>(PhantomData<V>);

        impl<'de, V: Deserialize<'de>> Visitor<'de> for Reader<V> {
            type Value = Unique<V>;

            fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str("a map of tensors")
            }

            fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self::Value, A::Error> {
                let mut found = BTreeMap::new();
                while let Some((key, value)) = map.next_entry::<String, V>()? {
                    if found.contains_key(&key) {
                        return Err(A::Error::custom(format!("the name `{key}` occurs twice")));
                    }
                    found.insert(key, value);
                }
                Ok(Unique(found))
            }
        }

        from.deserialize_map(Reader(PhantomData))
    }
}
