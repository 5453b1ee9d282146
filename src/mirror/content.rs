//! The content of a file or link that was read: a small one is in memory, a large one still on the disk (spec 5.2).

use std::borrow::Cow;
use std::fs::File;
use std::io::{self, Read};
use std::os::unix::fs::FileExt;

use super::digest::{Hash, of_content};
use crate::engine::base::{Digest, Problem};
use crate::store::{PIECE_BYTES, Store};

/// See there.
#[derive(Debug)]
pub enum Content {
    /// Its bytes.
    Memory(Vec<u8>),
    /// The open file, and how many bytes it had. What it has may change.
    Disk(File, u64),
}

impl Content {
    /// Bytes.
    #[must_use]
    pub fn size(&self) -> u64 {
        match self {
            Self::Memory(bytes) => bytes.len() as u64,
            Self::Disk(_, size) => *size,
        }
    }

    /// All of them, in memory.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn bytes(&self) -> Result<Cow<'_, [u8]>, Problem> {
        match self {
            Self::Memory(bytes) => Ok(Cow::Borrowed(bytes)),
            Self::Disk(file, size) => {
                let mut bytes = Vec::new();
                Pieces::of(file).take(*size).read_to_end(&mut bytes).map_err(|error| {
                    Problem::new("cannot read a large file", error.to_string(), "check the disk of the directory")
                })?;
                Ok(Cow::Owned(bytes))
            }
        }
    }

    /// The same as what `digest` says, and not as it is now; none: it has changed.
    ///
    /// # Errors
    /// When the file cannot be read.
    pub fn into_bytes(self, digest: &Digest) -> Result<Option<Vec<u8>>, Problem> {
        if let Self::Memory(bytes) = self {
            return Ok(Some(bytes));
        }
        let bytes = self.bytes()?.into_owned();
        Ok((of_content(&bytes) == *digest).then_some(bytes))
    }

    /// Keeps a large one; false: it has changed since it was read.
    pub(super) fn keep_large(store: &Store, digest: &Digest, file: &File, size: u64) -> Result<bool, Problem> {
        store.put_large(digest, size, || Ok(Pieces::of(file)))
    }
}

/// Digest and length of a file, read by the piece, and no further than one piece beyond `size`.
pub(super) fn digest_of(file: &File, size: u64) -> io::Result<(Digest, u64)> {
    let (mut hash, mut length, mut piece) = (Hash::default(), 0, vec![0; PIECE_BYTES]);
    let mut bytes = Pieces::of(file);
    while length <= size {
        match bytes.read(&mut piece) {
            Ok(0) => break,
            Ok(count) => {
                hash.add(&piece[..count]);
                length += count as u64;
            }
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok((hash.finish(), length))
}

/// Reads a file from its beginning, whoever else reads it.
struct Pieces<'a> {
    file: &'a File,
    at: u64,
}

impl<'a> Pieces<'a> {
    fn of(file: &'a File) -> Self {
        Self { file, at: 0 }
    }
}

impl Read for Pieces<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}
