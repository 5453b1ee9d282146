//! What a scan has seen, and the tree that it makes.

use super::{Found, Held, Stamp, vanished};
use crate::engine::base::Problem;
use crate::mirror::diff;
use crate::mirror::path::RelPath;
use crate::mirror::tree::{Entry, MissingParent, Tree};

/// What a scanner has seen so far.
#[derive(Default)]
pub(super) struct Seen {
    pub read: u64,
    pub edits: Vec<(RelPath, Option<Entry>)>,
    pub stamps: Vec<(RelPath, Stamp)>,
    pub held: Vec<Held>,
    pub postponed: Vec<RelPath>,
}

impl Seen {
    /// And what another one has seen elsewhere.
    pub fn add(&mut self, other: Self) {
        self.read += other.read;
        self.edits.extend(other.edits);
        self.stamps.extend(other.stamps);
        self.held.extend(other.held);
        self.postponed.extend(other.postponed);
    }

    pub fn found(self, known: &Tree, tells_changes: bool) -> Result<Found, Problem> {
        let mut tree = known.clone();
        for (path, entry) in self.edits {
            match entry {
                None => tree.remove(&path),
                Some(entry) => tree.set(&path, entry).map_err(|MissingParent(path)| vanished(&path))?,
            }
        }
        let changes = if tells_changes { diff::between(known, &tree) } else { Vec::new() };
        let Self { read, stamps, held, postponed, .. } = self;
        Ok(Found { tree, changes, stamps, held, postponed, read })
    }
}
