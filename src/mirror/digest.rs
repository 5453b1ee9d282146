//! SHA-256 over contents and directories. Pure.

use sha2::{Digest as _, Sha256};

use super::tree::Entry;
use crate::engine::base::Digest;
use crate::engine::order::FileKind;

/// Beside the kind of an entry: owner and group follow its name.
const HAS_OWNERS: u8 = 0x80;

/// Of bytes that come in pieces: the same as [`of_content`] of all of them.
#[derive(Default)]
pub struct Hash(Sha256);

impl Hash {
    /// The next piece.
    pub fn add(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    /// Of all of them.
    #[must_use]
    pub fn finish(self) -> Digest {
        Digest(self.0.finalize().into())
    }
}

/// Of the bytes of a file, or of the target of a link.
#[must_use]
pub fn of_content(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Of a directory: its children sorted by name, each with kind, mode, name and digest; and with owner and group where they
/// are mirrored, which the kind tells, so that a tree without them has the digest that it always had. Every part has a fixed
/// or an announced length, so that no two directories write the same bytes.
#[must_use]
pub fn of_directory<'a>(children: impl Iterator<Item = (&'a [u8], Entry)>) -> Digest {
    let mut hash = Sha256::new();
    hash.update(b"standin directory 1\0");
    for (name, entry) in children {
        let kind = match entry.kind {
            FileKind::File => 0,
            FileKind::Directory => 1,
            FileKind::Link => 2_u8,
        };
        let names = entry.owners.names();
        hash.update([if names.is_some() { kind | HAS_OWNERS } else { kind }]);
        hash.update(entry.mode.to_be_bytes());
        let mut text = |text: &[u8]| {
            hash.update(u64::try_from(text.len()).unwrap_or(u64::MAX).to_be_bytes());
            hash.update(text);
        };
        text(name);
        if let Some(names) = names {
            text(names.owner.as_bytes());
            text(names.group.as_bytes());
        }
        hash.update(entry.digest.0);
    }
    Digest(hash.finalize().into())
}
