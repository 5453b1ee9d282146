//! Reads what is there, whatever was known of it: for a verification, and after an apply.

use std::thread;

use super::seen::Seen;
use super::{Found, HoldBack, Leaves, Manner, Scanner, Stamps};
use crate::engine::base::{Digest, Problem};
use crate::mirror::accounts::Belongs;
use crate::mirror::content::Content;
use crate::mirror::ground::Ground;
use crate::mirror::path::RelPath;
use crate::mirror::tree::Tree;
use crate::store::CONTENT_MAX_BYTES;

/// Threads that read back what was placed,
const READERS_MAX: usize = 2;
/// and paths for each at least: for fewer none is worth starting.
const PATHS_PER_READER: usize = 1_000;

/// Reads every byte of the whole directory, and keeps nothing of it: [`Found::tree`] as it is, without stamps.
pub(in crate::mirror) fn read_all(
    ground: &Ground,
    known: &Tree,
    leaves: Leaves<'_>,
    owners: Belongs<'_>,
) -> Result<Found, Problem> {
    let manner = Manner { is_full: true, keeps_held: false, file_size_limit: CONTENT_MAX_BYTES, leaves, owners };
    let (no_stamps, mut sink) = (Stamps::new(), |_: &RelPath, _, _, _| Ok(None));
    let mut scanner = Scanner::new(known, &no_stamps, manner, &mut sink);
    scanner.keeps_stamps = false;
    scanner.walk(ground.top(), None, Some(&known.top))?;
    scanner.seen.found(known, false)
}

/// Takes the content of something that is not as it should be.
pub(in crate::mirror) type Stray<'a> =
    dyn Fn(&RelPath, Digest, Content) -> Result<Option<HoldBack>, Problem> + Sync + 'a;

/// Reads what was placed a moment ago, every byte: as [`super::look_at`], but nothing is waited for, [`Found::changes`] stays empty,
/// and a file so young that it may change again without a new time gets no stamp. Many paths are read by several threads.
/// `heard` gets the bytes of each file, `stray` the contents of those that are not as `known`.
pub(in crate::mirror) fn read_back(
    ground: &Ground,
    known: &Tree,
    owners: Belongs<'_>,
    paths: &[(&RelPath, bool)],
    heard: &(dyn Fn(u64) + Sync),
    stray: &Stray<'_>,
) -> Result<Found, Problem> {
    let readers = (paths.len() / PATHS_PER_READER).clamp(1, READERS_MAX);
    let read = |some: &[(&RelPath, bool)]| -> Result<Seen, Problem> {
        let (file_size_limit, leaves) = (CONTENT_MAX_BYTES, Leaves::NOTHING);
        let manner = Manner { is_full: true, keeps_held: false, file_size_limit, leaves, owners };
        let no_stamps = Stamps::new();
        let mut sink = |path: &RelPath, _, digest, bytes| stray(path, digest, bytes);
        let mut scanner = Scanner::new(known, &no_stamps, manner, &mut sink);
        scanner.heard = Some(heard);
        scanner.look_at(ground, some.iter().copied())?;
        Ok(scanner.seen)
    };
    let mut seen = Seen::default();
    thread::scope(|scope| {
        let mut parts = paths.chunks(paths.len().div_ceil(readers).max(1));
        let own = parts.next().unwrap_or_default();
        let others: Vec<_> = parts.map(|part| scope.spawn(move || read(part))).collect();
        seen.add(read(own)?);
        for other in others {
            let ended = |_| Err(Problem::new("cannot read the directory", "a thread ended", "look at the program log"));
            seen.add(other.join().unwrap_or_else(ended)?);
        }
        Ok::<_, Problem>(())
    })?;
    seen.found(known, false)
}
