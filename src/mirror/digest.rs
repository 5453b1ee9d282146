//! SHA-256 over contents and directories. Pure.

use sha2::{Digest as _, Sha256};

use super::tree::Entry;
use crate::engine::base::Digest;
use crate::engine::order::FileKind;

/// Of the bytes of a file, or of the target of a link.
#[must_use]
pub fn of_content(bytes: &[u8]) -> Digest {
    Digest(Sha256::digest(bytes).into())
}

/// Of a directory: its children sorted by name, each with kind, mode, name and digest. Every part has a fixed or an
/// announced length, so that no two directories write the same bytes.
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
        hash.update([kind]);
        hash.update(entry.mode.to_be_bytes());
        hash.update(u64::try_from(name.len()).unwrap_or(u64::MAX).to_be_bytes());
        hash.update(name);
        hash.update(entry.digest.0);
    }
    Digest(hash.finalize().into())
}
