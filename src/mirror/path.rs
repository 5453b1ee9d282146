//! Paths inside the mirrored directory: bytes, checked once, so that nothing after it can leave the directory.

use std::borrow::Borrow;
use std::fmt;
use std::sync::Arc;

use serde::{Deserialize, Deserializer, Serialize, Serializer};

/// Longest path, in bytes.
pub const PATH_MAX_BYTES: usize = 4_096;
/// Longest name of one component, in bytes; what file systems allow.
pub const NAME_MAX_BYTES: usize = 255;
/// Deepest path, in components.
pub const PATH_MAX_DEPTH: usize = 64;

/// A relative path of bytes: never empty, no empty, `.` or `..` component, no NUL, within the limits above (spec 5.4).
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct RelPath(Arc<[u8]>);

impl RelPath {
    /// Checks `bytes`.
    ///
    /// # Errors
    /// Says what is wrong with it, in a few words.
    pub fn new(bytes: &[u8]) -> Result<Self, &'static str> {
        if bytes.is_empty() {
            return Err("the path is empty");
        }
        if bytes.len() > PATH_MAX_BYTES {
            return Err("the path is longer than 4096 bytes");
        }
        if bytes.contains(&0) {
            return Err("the path contains a NUL byte");
        }
        let mut depth = 0;
        for name in bytes.split(|byte| *byte == b'/') {
            depth += 1;
            match name {
                b"" => return Err("the path is absolute or has an empty component"),
                b"." | b".." => return Err("the path contains `.` or `..`"),
                name if name.len() > NAME_MAX_BYTES => return Err("a name is longer than 255 bytes"),
                _ => {}
            }
        }
        if depth > PATH_MAX_DEPTH {
            return Err("the path is more than 64 directories deep");
        }
        Ok(Self(bytes.into()))
    }

    /// What [`fmt::Display`] wrote, read back.
    ///
    /// # Errors
    /// As [`RelPath::new`], or a broken `\xNN`.
    pub fn from_text(text: &str) -> Result<Self, &'static str> {
        const WRONG: &str = "a backslash must be followed by x and two hexadecimal digits";
        let mut bytes = Vec::with_capacity(text.len());
        let mut rest = text.as_bytes();
        while let Some((first, tail)) = rest.split_first() {
            if *first != b'\\' {
                bytes.push(*first);
                rest = tail;
                continue;
            }
            let hex = tail.get(..3).filter(|hex| hex[0] == b'x').ok_or(WRONG)?;
            let hex = std::str::from_utf8(&hex[1..]).map_err(|_| WRONG)?;
            bytes.push(u8::from_str_radix(hex, 16).map_err(|_| WRONG)?);
            rest = &tail[3..];
        }
        Self::new(&bytes)
    }

    /// The bytes.
    #[must_use]
    pub fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// Its components, outermost first.
    pub fn names(&self) -> impl DoubleEndedIterator<Item = &[u8]> {
        self.0.split(|byte| *byte == b'/')
    }

    /// How many components.
    #[must_use]
    pub fn depth(&self) -> usize {
        self.names().count()
    }

    /// The last component.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        self.names().next_back().unwrap_or_default()
    }

    /// The directory it is in; none: the mirrored directory itself.
    #[must_use]
    pub fn parent(&self) -> Option<Self> {
        let slash = self.0.iter().rposition(|byte| *byte == b'/')?;
        Some(Self(self.0[..slash].into()))
    }

    /// `name` inside `parent` (none: inside the mirrored directory).
    ///
    /// # Errors
    /// As [`RelPath::new`].
    pub fn child(parent: Option<&Self>, name: &[u8]) -> Result<Self, &'static str> {
        let Some(parent) = parent else { return Self::new(name) };
        let mut bytes = Vec::with_capacity(parent.0.len() + 1 + name.len());
        bytes.extend_from_slice(&parent.0);
        bytes.push(b'/');
        bytes.extend_from_slice(name);
        Self::new(&bytes)
    }

    /// It is `other` or lies inside it.
    #[must_use]
    pub fn is_within(&self, other: &Self) -> bool {
        self.0.strip_prefix(&*other.0).is_some_and(|rest| rest.is_empty() || rest[0] == b'/')
    }
}

/// `bytes` for people, lossless: what is no UTF-8, controls and the backslash itself are written as `\xNN`.
#[must_use]
pub fn shown(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        for character in chunk.valid().chars() {
            if character == '\\' || character.is_control() {
                let mut buffer = [0; 4];
                character.encode_utf8(&mut buffer).bytes().for_each(|byte| push_hex(&mut text, byte));
            } else {
                text.push(character);
            }
        }
        chunk.invalid().iter().for_each(|byte| push_hex(&mut text, *byte));
    }
    text
}

fn push_hex(text: &mut String, byte: u8) {
    use fmt::Write;
    // Writing to a String cannot fail.
    let _ = write!(text, "\\x{byte:02x}");
}

impl fmt::Display for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&shown(&self.0))
    }
}

impl fmt::Debug for RelPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "`{self}`")
    }
}

impl Borrow<[u8]> for RelPath {
    fn borrow(&self) -> &[u8] {
        &self.0
    }
}

impl Serialize for RelPath {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if serializer.is_human_readable() {
            serializer.serialize_str(&self.to_string())
        } else {
            serializer.serialize_bytes(&self.0)
        }
    }
}

impl<'de> Deserialize<'de> for RelPath {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        use serde::de::Error;
        if deserializer.is_human_readable() {
            Self::from_text(&String::deserialize(deserializer)?).map_err(D::Error::custom)
        } else {
            let bytes: serde_bytes::ByteBuf = Deserialize::deserialize(deserializer)?;
            Self::new(&bytes).map_err(D::Error::custom)
        }
    }
}

/// Whether a link at `path` with this target stays inside the directory wherever it is followed (spec 5.4).
///
/// Only leading `..` are allowed: they climb from the link's own directory, whose components are no links. A `..` after a
/// name could climb out of whatever that name points to.
#[must_use]
pub fn link_stays_inside(path: &RelPath, target: &[u8]) -> bool {
    if target.is_empty() || target[0] == b'/' || target.contains(&0) || target.len() >= PATH_MAX_BYTES {
        return false;
    }
    let mut above = path.depth() - 1;
    let mut has_named = false;
    for name in target.split(|byte| *byte == b'/') {
        match name {
            b"" | b"." => {}
            b".." if has_named || above == 0 => return false,
            b".." => above -= 1,
            _ => has_named = true,
        }
    }
    true
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.4
    #[test]
    fn a_path_cannot_leave_the_directory() {
        for wrong in ["", "/", "/etc/passwd", "a//b", "a/", "./a", "a/../b", "..", "a/..", "a\0b"] {
            assert!(RelPath::new(wrong.as_bytes()).is_err(), "{wrong:?}");
        }
        assert!(RelPath::new(&[b'a'; 256]).is_err());
        assert!(RelPath::new("a/".repeat(63).as_bytes()).is_err());
        assert!(RelPath::new(("a/".repeat(63) + "a").as_bytes()).is_ok());
        assert!(RelPath::new(("a/".repeat(64) + "a").as_bytes()).is_err());
        for right in ["a", "...", "a/..b/c.", ".hidden"] {
            assert!(RelPath::new(right.as_bytes()).is_ok(), "{right:?}");
        }
    }

    /// spec 5.4: any bytes are carried, and shown without loss
    #[test]
    fn the_shown_path_reads_back() {
        for bytes in
            [&b"a/b.yaml"[..], b"\xff\xfe", "für/日本".as_bytes(), b"tab\there", b"back\\x41slash", b"\x1b[31m"]
        {
            let path = RelPath::new(bytes).unwrap();
            assert_eq!(RelPath::from_text(&path.to_string()).unwrap(), path);
            assert!(!path.to_string().chars().any(char::is_control));
        }
        assert_eq!(RelPath::new(b"\xff").unwrap().to_string(), "\\xff");
        assert!(RelPath::from_text("\\x4").is_err());
        let path = RelPath::new(b"\xffx").unwrap();
        assert_eq!(rmp_serde::from_slice::<RelPath>(&rmp_serde::to_vec(&path).unwrap()).unwrap(), path);
        let evil = rmp_serde::to_vec(&serde_bytes::Bytes::new(b"../x")).unwrap();
        assert!(rmp_serde::from_slice::<RelPath>(&evil).is_err());
    }

    /// spec 5.4
    #[test]
    fn a_link_that_leads_out_is_known() {
        let path = RelPath::new(b"a/b/link").unwrap();
        for inside in ["x", "./x", "../x", "../../x", "x/y", "...", "../.."] {
            assert!(link_stays_inside(&path, inside.as_bytes()), "{inside}");
        }
        for outside in ["", "/x", "../../../x", "x/../y", "../x/..", "../../.."] {
            assert!(!link_stays_inside(&path, outside.as_bytes()), "{outside}");
        }
    }
}
