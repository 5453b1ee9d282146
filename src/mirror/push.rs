//! What travels from master to shadow.

use serde::{Deserialize, Serialize};
use serde_bytes::ByteBuf;

use super::diff::Change;
use super::exclude::{is_own, never_mirrored};
use super::owners::Owners;
use super::path::{PATH_MAX_BYTES, RelPath};
use super::scan::ENTRIES_MAX;
use super::tree::{Entry, FromList, LINK_MODE, MODE_BITS, Tree};
use crate::engine::base::{Digest, Problem, RevisionId};
use crate::engine::message::PUSH_PAYLOAD_MAX_BYTES;
use crate::engine::order::FileKind;
use crate::store::{CONTENT_MAX_BYTES, Packed};

/// Most contents asked for at once.
pub const CONTENTS_AT_ONCE: usize = 4_096;
/// Longest author of a revision, in bytes.
pub const AUTHOR_MAX_BYTES: usize = 256;
/// Longest message of a revision, in bytes.
pub const MESSAGE_MAX_BYTES: usize = 4_096;

/// The payload of a [`crate::engine::message::Push`].
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PushPayload {
    /// Who made the revision.
    pub author: String,
    /// When, Unix milliseconds.
    pub at: i64,
    /// Why.
    pub message: String,
    /// From the push's base (none: from nothing) to its revision, in order of paths.
    pub changes: Vec<Change>,
    /// Contents that fit in; the others are asked for.
    pub contents: Vec<(Digest, ByteBuf)>,
    /// `changes` did not fit and is empty: the manifest is asked for.
    #[serde(default)]
    pub manifest: bool,
}

/// One path of a revision.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ManifestEntry {
    /// Which.
    pub path: RelPath,
    /// File, directory or link.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Bytes of the content.
    pub size: u64,
    /// Of the content; [`Digest::ZERO`] for a directory.
    pub digest: Digest,
    /// Owner and group, where they are mirrored.
    #[serde(default, skip_serializing_if = "Owners::is_none")]
    pub owners: Owners,
}

impl From<(RelPath, Entry)> for ManifestEntry {
    fn from((path, entry): (RelPath, Entry)) -> Self {
        let Entry { kind, mode, size, digest, owners } = entry;
        Self { path, kind, mode, size, digest, owners }
    }
}

impl From<ManifestEntry> for (RelPath, Entry) {
    fn from(entry: ManifestEntry) -> Self {
        let ManifestEntry { path, kind, mode, size, digest, owners } = entry;
        (path, Entry { kind, mode, size, digest, owners })
    }
}

/// Where the shadow gets what a push only names. All calls block.
pub trait ContentSource {
    /// Hands every path of the master's revision to `sink`, in the order of a tree.
    ///
    /// # Errors
    /// When the master cannot be asked or does not have it, or the sink refuses one.
    fn manifest(
        &mut self,
        revision: RevisionId,
        sink: &mut dyn FnMut(ManifestEntry) -> Result<(), Problem>,
    ) -> Result<(), Problem>;

    /// Hands the contents with these digests (at most [`CONTENTS_AT_ONCE`]) to `sink`, in any order. The mirror checks each.
    ///
    /// # Errors
    /// When the master cannot be asked, does not have one, or the sink refuses one.
    fn content(
        &mut self,
        wanted: &[Digest],
        sink: &mut dyn FnMut(Digest, Packed) -> Result<(), Problem>,
    ) -> Result<(), Problem>;
}

impl PushPayload {
    /// As bytes.
    pub(super) fn encode(&self) -> Result<Vec<u8>, Problem> {
        rmp_serde::to_vec_named(self).map_err(|error| Problem::new("cannot build the push", error.to_string(), ""))
    }

    /// From bytes of another machine: every path and entry is checked (spec 5.4).
    ///
    /// # Errors
    /// When it is no payload, over a limit, or names what no mirror could have.
    pub fn decode(bytes: &[u8]) -> Result<Self, Problem> {
        if bytes.len() > PUSH_PAYLOAD_MAX_BYTES {
            return Err(refused(format!("its payload has {} bytes", bytes.len())));
        }
        let mut payload: Self = crate::wire::from_bytes(bytes).map_err(|error| refused(error.to_string()))?;
        if payload.author.len() > AUTHOR_MAX_BYTES || payload.message.len() > MESSAGE_MAX_BYTES {
            return Err(refused("its author or message is too long"));
        }
        payload.changes.sort_by(|a, b| a.path.cmp(&b.path));
        if payload.changes.windows(2).any(|pair| pair[0].path == pair[1].path) {
            return Err(refused("it names a path twice"));
        }
        for change in &payload.changes {
            check_entry(&change.path, change.new)?;
        }
        Ok(payload)
    }
}

/// The tree that a manifest describes, put together as it comes.
pub struct Manifest<'a> {
    list: FromList<'a>,
    count: usize,
}

impl<'a> Manifest<'a> {
    /// What is as in `known` shares its memory.
    #[must_use]
    pub fn new(known: &'a Tree) -> Self {
        Self { list: FromList::new(known), count: 0 }
    }

    /// The next entry, in the order of a tree.
    ///
    /// # Errors
    /// When no tree that a mirror could have is described (spec 5.4).
    pub fn add(&mut self, entry: ManifestEntry) -> Result<(), Problem> {
        let (path, entry) = entry.into();
        check_entry(&path, Some(entry))?;
        self.count += 1;
        if self.count > ENTRIES_MAX {
            return Err(refused(format!("its manifest has more than {ENTRIES_MAX} entries")));
        }
        self.list.add(path, entry).map_err(|wrong| refused(format!("in its manifest {wrong}")))
    }

    /// It was the last one.
    #[must_use]
    pub fn finish(self) -> Tree {
        self.list.finish()
    }
}

/// That an entry is one that a mirror could have (spec 5.4).
///
/// # Errors
/// That it is not possible, for people.
pub fn check_entry(path: &RelPath, entry: Option<Entry>) -> Result<(), Problem> {
    // What a path lies in is a directory; what goes may be one.
    let is_directory = entry.is_none_or(|entry| entry.kind == FileKind::Directory);
    if path.names().any(is_own) || never_mirrored(path.name(), is_directory) {
        return Err(refused(format!("it names {path}, which is never mirrored")));
    }
    let Some(entry) = entry else { return Ok(()) };
    let is_right = match entry.kind {
        FileKind::File => entry.mode <= MODE_BITS && entry.size <= CONTENT_MAX_BYTES,
        FileKind::Directory => entry == Entry::directory(entry.mode).with_owners(entry.owners),
        FileKind::Link => entry.mode == LINK_MODE && entry.size < PATH_MAX_BYTES as u64,
    };
    if is_right { Ok(()) } else { Err(refused(format!("its entry for {path} is not possible"))) }
}

/// The push itself is wrong.
pub(super) fn refused(why: impl Into<String>) -> Problem {
    Problem::new("cannot apply the push of the master", why, "reconnect with a complete transfer (`standin reconnect`)")
}
