//! Looks for bytes in the files of the database: what was removed must not be there any more (spec 5.6).

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{ErrorKind, Read};
use std::path::Path;

use super::{DATABASE, Store};
use crate::engine::base::Problem;

/// What begins with fewer bytes is not looked for: it would be found by chance.
const BEGINNING_BYTES: usize = 8;
/// Of longer bytes so many are compared: more may lie on another page.
const COMPARED_BYTES: usize = 48;
/// Read at once.
const PIECE_BYTES: usize = 1024 * 1024;

impl Store {
    /// Whether the database or its write-ahead log holds the beginning of one of these.
    ///
    /// # Errors
    /// When the files cannot be read.
    pub fn holds_any(&self, needles: &[Vec<u8>]) -> Result<bool, Problem> {
        let needles = Needles::new(needles);
        for name in [DATABASE.to_owned(), format!("{DATABASE}-wal")] {
            let path = self.home().join(name);
            let found = needles.are_in(&path).map_err(|error| {
                Problem::new(format!("cannot read {}", path.display()), error.to_string(), "check the disk of the home")
            })?;
            if found {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

struct Needles {
    by_beginning: BTreeMap<[u8; BEGINNING_BYTES], Vec<Vec<u8>>>,
    /// By their first two bytes, so that most places are passed at once.
    is_first: Vec<bool>,
}

impl Needles {
    fn new(needles: &[Vec<u8>]) -> Self {
        let mut by_beginning: BTreeMap<[u8; BEGINNING_BYTES], Vec<Vec<u8>>> = BTreeMap::new();
        let mut is_first = vec![false; 1 << 16];
        for needle in needles {
            let Some(beginning) = needle.first_chunk::<BEGINNING_BYTES>() else { continue };
            is_first[usize::from(u16::from_be_bytes([beginning[0], beginning[1]]))] = true;
            let compared = needle[..needle.len().min(COMPARED_BYTES)].to_vec();
            by_beginning.entry(*beginning).or_default().push(compared);
        }
        Self { by_beginning, is_first }
    }

    fn are_in(&self, path: &Path) -> std::io::Result<bool> {
        let mut file = match File::open(path) {
            Ok(file) => file,
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
            Err(error) => return Err(error),
        };
        let mut buffer = Vec::new();
        loop {
            let kept = buffer.len();
            buffer.resize(kept + PIECE_BYTES, 0);
            let read = file.read(&mut buffer[kept..])?;
            buffer.truncate(kept + read);
            if self.are_within(&buffer) {
                return Ok(true);
            }
            if read == 0 {
                return Ok(false);
            }
            // One may lie across the end of the piece.
            buffer.drain(..buffer.len().saturating_sub(COMPARED_BYTES));
        }
    }

    fn are_within(&self, bytes: &[u8]) -> bool {
        bytes.windows(BEGINNING_BYTES).enumerate().any(|(at, window)| {
            self.is_first[usize::from(u16::from_be_bytes([window[0], window[1]]))]
                && window
                    .first_chunk::<BEGINNING_BYTES>()
                    .and_then(|beginning| self.by_beginning.get(beginning))
                    .is_some_and(|list| list.iter().any(|needle| bytes[at..].starts_with(needle)))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.6: found wherever it lies, also across two pieces; not found where it is not.
    #[test]
    fn bytes_are_found_wherever_they_lie() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("file");
        let needle: Vec<u8> = (1..=100).collect();
        let needles = Needles::new(&[needle.clone(), b"short".to_vec(), b"another one".to_vec()]);
        assert!(!needles.are_in(&path).unwrap());
        let size = 2 * PIECE_BYTES + 1_000;
        std::fs::write(&path, vec![1; size]).unwrap();
        assert!(!needles.are_in(&path).unwrap());
        for at in [0, 7, PIECE_BYTES - 1, PIECE_BYTES - 30, PIECE_BYTES, size - COMPARED_BYTES] {
            let mut bytes = vec![1; size];
            bytes[at..at + COMPARED_BYTES].copy_from_slice(&needle[..COMPARED_BYTES]);
            std::fs::write(&path, &bytes).unwrap();
            assert!(needles.are_in(&path).unwrap(), "at {at}");
            bytes[at + 20] = 0;
            std::fs::write(&path, &bytes).unwrap();
            assert!(!needles.are_in(&path).unwrap(), "half of it is another one");
        }
    }
}
