//! What is understood of YAML: whether it can be read at all (spec 5.4). Pure.

use serde::Deserialize;

/// Larger files are carried unread.
pub const YAML_MAX_BYTES: usize = 4 * 1024 * 1024;

/// Why a text is no YAML.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// From 1; 0 where it is not known.
    pub line: usize,
    /// From 1; 0 where it is not known.
    pub column: usize,
    /// For people.
    pub why: String,
}

/// The name says that it is YAML.
#[must_use]
pub fn is_yaml_name(name: &[u8]) -> bool {
    let name = name.to_ascii_lowercase();
    name.ends_with(b".yaml") || name.ends_with(b".yml")
}

/// Reads all documents of it.
///
/// # Errors
/// The first fault. A file over [`YAML_MAX_BYTES`] has none.
pub fn check(bytes: &[u8]) -> Result<(), Fault> {
    if bytes.len() > YAML_MAX_BYTES {
        return Ok(());
    }
    for document in serde_yaml::Deserializer::from_slice(bytes) {
        if let Err(error) = serde_yaml::Value::deserialize(document) {
            let (line, column) = error.location().map_or((0, 0), |at| (at.line(), at.column()));
            return Err(Fault { line, column, why: error.to_string() });
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.4
    #[test]
    fn a_fault_names_its_line() {
        assert_eq!(check(b"a: 1\n---\nb: !custom [1, 2]\n"), Ok(()));
        assert_eq!(check(b""), Ok(()));
        let fault = check(b"a: 1\nb: [1, 2\nc: 3\n").unwrap_err();
        assert!((2..=3).contains(&fault.line), "{fault:?}");
        assert!(check(b"\xff\xfe").is_err());
        assert!(is_yaml_name(b"A.YML") && is_yaml_name(b"b.yaml") && !is_yaml_name(b"yaml"));
    }
}
