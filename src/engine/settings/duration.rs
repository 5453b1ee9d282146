//! Durations as people write them: `250ms`, `3s`, `2m`, `1h`, `1d`. Milliseconds inside.

use serde::{Deserialize, Deserializer, Serializer};

/// Milliseconds of `text`; a unit is required but for 0.
///
/// # Errors
/// Says what is wrong and how it should look.
pub fn parse(text: &str) -> Result<u64, String> {
    let text = text.trim();
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let wrong = || format!("'{text}' is not a duration; write it as 250ms, 3s, 2m or 1h");
    let number: u64 = text[..split].parse().map_err(|_| wrong())?;
    let factor = match text[split..].trim() {
        "ms" => 1,
        "s" => 1_000,
        "m" | "min" => 60_000,
        "h" => 3_600_000,
        "d" => 86_400_000,
        "" if number == 0 => 1,
        _ => return Err(wrong()),
    };
    number.checked_mul(factor).ok_or_else(|| format!("'{text}' is longer than any limit"))
}

/// The shortest exact form: `1500ms`, `3s`, `2m`.
#[must_use]
pub fn format(span_ms: u64) -> String {
    match span_ms {
        0 => "0s".into(),
        ms if ms % 3_600_000 == 0 => format!("{}h", ms / 3_600_000),
        ms if ms % 60_000 == 0 => format!("{}m", ms / 60_000),
        ms if ms % 1_000 == 0 => format!("{}s", ms / 1_000),
        ms => format!("{ms}ms"),
    }
}

/// For `#[serde(with)]`.
///
/// # Errors
/// Those of the serializer.
pub fn serialize<S: Serializer>(span_ms: &u64, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_str(&format(*span_ms))
}

/// For `#[serde(with)]`.
///
/// # Errors
/// A text that is no duration.
pub fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u64, D::Error> {
    let text = String::deserialize(deserializer)?;
    parse(&text).map_err(serde::de::Error::custom)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn durations_are_read_as_written() {
        for (text, ms) in [("250ms", 250), ("3s", 3_000), ("2m", 120_000), ("1h", 3_600_000), ("0", 0), ("0s", 0)] {
            assert_eq!(parse(text), Ok(ms), "{text}");
            assert_eq!(parse(&format(ms)), Ok(ms));
        }
        for text in ["", "3", "s", "-1s", "3 weeks", "99999999999999999999s"] {
            assert!(parse(text).is_err(), "{text}");
        }
    }
}
