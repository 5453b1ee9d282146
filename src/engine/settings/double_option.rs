//! Keeps `Some(None)` apart from `None` in JSON: a present `null` is `Some(None)`.

use serde::{Deserialize, Deserializer, Serialize, Serializer};

#[allow(clippy::option_option, clippy::ref_option)]
pub fn serialize<T: Serialize, S: Serializer>(value: &Option<Option<T>>, serializer: S) -> Result<S::Ok, S::Error> {
    value.as_ref().and_then(Option::as_ref).serialize(serializer)
}

#[allow(clippy::option_option)]
pub fn deserialize<'de, T: Deserialize<'de>, D: Deserializer<'de>>(
    deserializer: D,
) -> Result<Option<Option<T>>, D::Error> {
    Option::deserialize(deserializer).map(Some)
}
