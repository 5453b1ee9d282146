//! Looks for bytes in the files of the database: what was removed must not be there any more (spec 5.6); and takes away what
//! SQLite leaves of it in the gaps of pages.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::sync::PoisonError;

use rusqlite::TransactionBehavior;

use super::{DATABASE, Store, trouble};
use crate::engine::base::Problem;

/// What begins with fewer bytes is not looked for: it would be found by chance.
const BEGINNING_BYTES: usize = 8;
/// Of longer bytes so many are compared: more may lie on another page.
const COMPARED_BYTES: usize = 48;
/// Read at once.
const PIECE_BYTES: usize = 1024 * 1024;
/// What is next to a gap may come into one again; after so many rounds it is given up.
const EXPEL_ROUNDS_MAX: usize = 12;
/// Kind of a page: the leaf of a table.
const TABLE_LEAF: u8 = 0x0d;
/// Bytes of its header.
const LEAF_HEADER: usize = 8;

impl Store {
    /// Takes away what is left of removed contents in the gaps of pages: a page is overwritten when it gets free, so
    /// everything else on it is moved elsewhere. One row at a time, so that the record is never held up. False: there is still
    /// one of them.
    ///
    /// # Errors
    /// When the files cannot be read, or the database not be written.
    pub fn expel(&self, needles: &[Vec<u8>]) -> Result<bool, Problem> {
        let needles = Needles::new(needles);
        for _ in 0..EXPEL_ROUNDS_MAX {
            let pages = self.pages_with(&needles)?;
            if pages.is_empty() && !self.is_in_log(&needles)? {
                return Ok(true);
            }
            for page in pages {
                for row in self.rows_on(page)? {
                    self.move_row(row)?;
                }
            }
            self.scrub()?;
        }
        Ok(self.pages_with(&needles)?.is_empty() && !self.is_in_log(&needles)?)
    }

    /// Whether the write-ahead log holds one. SQLite has no locks on this file.
    fn is_in_log(&self, needles: &Needles) -> Result<bool, Problem> {
        let path = self.home().join(format!("{DATABASE}-wal"));
        let found = || {
            let mut file = match File::open(&path) {
                Err(error) if error.kind() == ErrorKind::NotFound => return Ok(false),
                file => file?,
            };
            needles.places(&mut file).map(|places| !places.is_empty())
        };
        found().map_err(|error| unreadable(&path, &error))
    }

    /// Pages of the database, from 0, that hold one.
    fn pages_with(&self, needles: &Needles) -> Result<BTreeSet<u64>, Problem> {
        let page_bytes = self.page_bytes()?;
        let places = self.raw(|file| needles.places(&mut FromStart { file, at: 0 }))?;
        Ok(places.into_iter().map(|place| place / page_bytes).collect())
    }

    fn page_bytes(&self) -> Result<u64, Problem> {
        let bytes = self.mirror().pragma_query_value(None, "page_size", |row| row.get::<_, u32>(0));
        bytes.map(u64::from).map_err(|error| trouble("read the database", &error))
    }

    /// The rows that are on a page, if it is the leaf of a table.
    fn rows_on(&self, page: u64) -> Result<Vec<i64>, Problem> {
        let bytes = self.page_bytes()?;
        let mut content = vec![0; usize::try_from(bytes).unwrap_or_default()];
        self.raw(|file| match file.read_exact_at(&mut content, page * bytes) {
            // Gone from the end of the file meanwhile.
            Err(error) if error.kind() == ErrorKind::UnexpectedEof => Ok(Vec::new()),
            read => read.map(|()| rows_of(&content)),
        })
    }

    /// Gives a content another row, at the end of all.
    fn move_row(&self, row: i64) -> Result<(), Problem> {
        self.write_point()?;
        let (mut connection, _turn) = self.mirror_turn();
        let mut work = || -> rusqlite::Result<()> {
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            transaction
                .prepare_cached("UPDATE content SET rowid = (SELECT max(rowid) + 1 FROM content) WHERE rowid = ?1")?
                .execute([row])?;
            transaction.commit()
        };
        work().map_err(|error| trouble("overwrite the contents", &error))
    }

    fn raw<T>(&self, work: impl FnOnce(&File) -> io::Result<T>) -> Result<T, Problem> {
        let path = self.home().join(DATABASE);
        let mut raw = self.inner.raw.lock().unwrap_or_else(PoisonError::into_inner);
        let file = match raw.take() {
            Some(file) => Ok(file),
            None => File::open(&path),
        };
        file.and_then(|file| work(raw.insert(file))).map_err(|error| unreadable(&path, &error))
    }
}

fn unreadable(path: &Path, error: &io::Error) -> Problem {
    Problem::new(format!("cannot read {}", path.display()), error.to_string(), "check the disk of the home")
}

/// Reads a file that others read too.
struct FromStart<'a> {
    file: &'a File,
    at: u64,
}

impl Read for FromStart<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let count = self.file.read_at(buffer, self.at)?;
        self.at += count as u64;
        Ok(count)
    }
}

/// The numbers of the rows on a page of a database (SQLite's file format, 1.6); none: it is no leaf of a table.
fn rows_of(page: &[u8]) -> Vec<i64> {
    let number = |at: usize| page.get(at..at + 2).map(|two| usize::from(u16::from_be_bytes([two[0], two[1]])));
    if page.first() != Some(&TABLE_LEAF) {
        return Vec::new();
    }
    let cells = (0..number(3).unwrap_or(0)).map_while(|cell| number(LEAF_HEADER + 2 * cell));
    cells
        .filter_map(|cell| {
            let (_, length) = varint(page.get(cell..)?)?;
            let (row, _) = varint(page.get(cell + length..)?)?;
            Some(row)
        })
        .collect()
}

/// A number as SQLite writes it, and how many bytes it takes.
fn varint(bytes: &[u8]) -> Option<(i64, usize)> {
    let mut value = 0_i64;
    for (index, byte) in bytes.iter().take(9).enumerate() {
        if index == 8 {
            return Some(((value << 8) | i64::from(*byte), 9));
        }
        value = (value << 7) | i64::from(byte & 0x7f);
        if byte & 0x80 == 0 {
            return Some((value, index + 1));
        }
    }
    None
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

    /// Where each of them begins.
    fn places(&self, file: &mut dyn Read) -> io::Result<BTreeSet<u64>> {
        let (mut buffer, mut begins, mut places) = (Vec::new(), 0, BTreeSet::new());
        loop {
            let kept = buffer.len();
            buffer.resize(kept + PIECE_BYTES, 0);
            let read = file.read(&mut buffer[kept..])?;
            buffer.truncate(kept + read);
            places.extend(self.within(&buffer).map(|at| begins + at as u64));
            if read == 0 {
                return Ok(places);
            }
            // One may lie across the end of the piece.
            let done = buffer.len().saturating_sub(COMPARED_BYTES);
            buffer.drain(..done);
            begins += done as u64;
        }
    }

    fn within<'a>(&'a self, bytes: &'a [u8]) -> impl Iterator<Item = usize> + 'a {
        let is_one = |at: usize, window: &[u8]| {
            self.is_first[usize::from(u16::from_be_bytes([window[0], window[1]]))]
                && window
                    .first_chunk::<BEGINNING_BYTES>()
                    .and_then(|beginning| self.by_beginning.get(beginning))
                    .is_some_and(|list| list.iter().any(|needle| bytes[at..].starts_with(needle)))
        };
        let windows = bytes.windows(BEGINNING_BYTES).enumerate();
        windows.filter(move |(at, window)| is_one(*at, window)).map(|(at, _)| at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.6: found wherever it lies, also across two pieces; not found where it is not.
    #[test]
    fn bytes_are_found_wherever_they_lie() {
        let needle: Vec<u8> = (1..=100).collect();
        let needles = Needles::new(&[needle.clone(), b"short".to_vec(), b"another one".to_vec()]);
        let places = |bytes: &[u8]| needles.places(&mut &*bytes).unwrap().into_iter().collect::<Vec<_>>();
        assert_eq!(places(&[]), [] as [u64; 0]);
        let size = 2 * PIECE_BYTES + 1_000;
        assert_eq!(places(&vec![1; size]), [] as [u64; 0]);
        for at in [0, 7, PIECE_BYTES - 1, PIECE_BYTES - 30, PIECE_BYTES, size - COMPARED_BYTES] {
            let mut bytes = vec![1; size];
            bytes[at..at + COMPARED_BYTES].copy_from_slice(&needle[..COMPARED_BYTES]);
            assert_eq!(places(&bytes), [at as u64]);
            bytes[at + 20] = 0;
            assert_eq!(places(&bytes), [] as [u64; 0], "half of it is another one");
        }
        let many = [b"another one, ".repeat(3), needle].concat();
        assert_eq!(places(&many), [0, 13, 26, 39]);
    }

    /// SQLite's file format, 1.6
    #[test]
    fn the_rows_of_a_leaf() {
        let mut page = vec![0; 64];
        page[0] = TABLE_LEAF;
        page[4] = 3;
        for (cell, (at, bytes)) in [
            (40, &[5, 7][..]),
            (30, &[0x81, 0, 0x81, 1]),
            (50, &[1, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]),
        ]
        .into_iter()
        .enumerate()
        {
            page[LEAF_HEADER + 2 * cell + 1] = at;
            page[usize::from(at)..][..bytes.len()].copy_from_slice(bytes);
        }
        assert_eq!(rows_of(&page), [7, 129, -1]);
        // What makes no sense gives nothing, and no panic.
        page[4] = 255;
        page[LEAF_HEADER + 1] = 255;
        assert!(rows_of(&page).len() < 64);
        page[0] = 5;
        assert_eq!(rows_of(&page), [] as [i64; 0]);
        assert_eq!(rows_of(&[TABLE_LEAF]), [] as [i64; 0]);
    }
}
