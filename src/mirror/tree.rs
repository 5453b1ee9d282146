//! One state of the configuration, immutable once shared: copies share what is equal, and digests are kept for each
//! directory, so that one change costs the depth of its path (spec 5.2). Pure.

mod listed;

use std::collections::btree_map;
use std::collections::{BTreeMap, BTreeSet};
use std::fmt;
use std::sync::{Arc, OnceLock};

use serde::{Deserialize, Serialize};

pub use self::listed::{Entries, FromList, NotListed};
use super::diff::Change;
use super::digest;
use super::owners::Owners;
use super::path::RelPath;
use crate::engine::base::Digest;
use crate::engine::order::FileKind;

/// The bits of a mode that are mirrored.
pub const MODE_BITS: u32 = 0o7777;
/// The mode of every link; file systems keep no other.
pub const LINK_MODE: u32 = 0o777;

/// What a path is. A directory has size 0 and digest [`Digest::ZERO`]; its content is the entries inside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Entry {
    /// File, directory or link.
    pub kind: FileKind,
    /// Permission bits.
    pub mode: u32,
    /// Bytes of the content, or of a link's target.
    pub size: u64,
    /// Of the content, or of a link's target.
    pub digest: Digest,
    /// Owner and group, where they are mirrored (setting `configuration.owners`).
    #[serde(default, skip_serializing_if = "Owners::is_none")]
    pub owners: Owners,
}

impl Entry {
    /// A file.
    #[must_use]
    pub fn file(mode: u32, size: u64, digest: Digest) -> Self {
        Self { kind: FileKind::File, mode: mode & MODE_BITS, size, digest, owners: Owners::NONE }
    }

    /// A directory.
    #[must_use]
    pub fn directory(mode: u32) -> Self {
        let (kind, mode) = (FileKind::Directory, mode & MODE_BITS);
        Self { kind, mode, size: 0, digest: Digest::ZERO, owners: Owners::NONE }
    }

    /// A link to `target`.
    #[must_use]
    pub fn link(target: &[u8]) -> Self {
        let (size, digest) = (target.len() as u64, digest::of_content(target));
        Self { kind: FileKind::Link, mode: LINK_MODE, size, digest, owners: Owners::NONE }
    }

    /// The same, of this owner and group.
    #[must_use]
    pub fn with_owners(self, owners: Owners) -> Self {
        Self { owners, ..self }
    }

    /// It has a content in the store.
    #[must_use]
    pub fn has_content(&self) -> bool {
        self.kind != FileKind::Directory
    }
}

/// One directory of a [`Tree`].
#[derive(Clone, Default)]
pub(super) struct Node {
    pub(super) children: BTreeMap<Arc<[u8]>, Child>,
    sums: OnceLock<Sums>,
}

/// What is in a directory.
#[derive(Clone)]
pub(super) enum Child {
    /// File or link.
    Leaf(Entry),
    /// Directory with its mode and its owners.
    Directory(u32, Owners, Arc<Node>),
}

/// What is kept for each directory, computed when first asked for after a change.
#[derive(Clone)]
struct Sums {
    digest: Digest,
    files: u64,
    bytes: u64,
    entries: u64,
    /// Of all inside; few, and mostly none.
    owners: BTreeSet<Owners>,
}

impl Child {
    /// As an entry.
    pub(super) fn entry(&self) -> Entry {
        match self {
            Self::Leaf(entry) => *entry,
            Self::Directory(mode, owners, _) => Entry::directory(*mode).with_owners(*owners),
        }
    }

    fn owners(&self) -> Owners {
        match self {
            Self::Leaf(entry) => entry.owners,
            Self::Directory(_, owners, _) => *owners,
        }
    }

    /// Inside, if it is a directory.
    pub(super) fn node(&self) -> Option<&Arc<Node>> {
        match self {
            Self::Leaf(_) => None,
            Self::Directory(_, _, node) => Some(node),
        }
    }
}

impl Node {
    fn sums(&self) -> &Sums {
        self.sums.get_or_init(|| {
            let mut sums = Sums { digest: Digest::ZERO, files: 0, bytes: 0, entries: 0, owners: BTreeSet::new() };
            let with_digest = |child: &Child| match child {
                Child::Leaf(entry) => *entry,
                Child::Directory(_, _, node) => Entry { digest: node.sums().digest, ..child.entry() },
            };
            sums.digest = digest::of_directory(self.children.iter().map(|(name, child)| (&**name, with_digest(child))));
            for child in self.children.values() {
                sums.entries += 1;
                let owners = child.owners();
                if !owners.is_none() {
                    sums.owners.insert(owners);
                }
                match child {
                    Child::Leaf(entry) => {
                        sums.files += 1;
                        sums.bytes += entry.size;
                    }
                    Child::Directory(_, _, node) => {
                        let inner = node.sums();
                        sums.files += inner.files;
                        sums.bytes += inner.bytes;
                        sums.entries += inner.entries;
                        sums.owners.extend(&inner.owners);
                    }
                }
            }
            sums
        })
    }

    /// Two directories with equal digests are equal.
    pub(super) fn is_same(self: &Arc<Self>, other: &Arc<Self>) -> bool {
        Arc::ptr_eq(self, other) || self.sums().digest == other.sums().digest
    }
}

/// A whole configuration. Cloning is cheap.
#[derive(Clone, Default)]
pub struct Tree {
    pub(super) top: Arc<Node>,
}

impl Tree {
    /// Digest of the whole: equal exactly when paths, kinds, modes, contents and the owners that are mirrored are.
    #[must_use]
    pub fn root(&self) -> Digest {
        self.top.sums().digest
    }

    /// Number of files and links.
    #[must_use]
    pub fn files(&self) -> u64 {
        self.top.sums().files
    }

    /// Their sizes, added up.
    #[must_use]
    pub fn bytes(&self) -> u64 {
        self.top.sums().bytes
    }

    /// Number of files, links and directories.
    #[must_use]
    pub fn entries(&self) -> u64 {
        self.top.sums().entries
    }

    /// Every owner and group that is in it; empty: they are not mirrored.
    #[must_use]
    pub fn owners(&self) -> &BTreeSet<Owners> {
        &self.top.sums().owners
    }

    /// Nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.top.children.is_empty()
    }

    /// What `path` is.
    #[must_use]
    pub fn get(&self, path: &RelPath) -> Option<Entry> {
        self.child(path).map(Child::entry)
    }

    pub(super) fn child(&self, path: &RelPath) -> Option<&Child> {
        let mut node = &self.top;
        let mut names = path.names().peekable();
        loop {
            let child = node.children.get(names.next()?)?;
            if names.peek().is_none() {
                return Some(child);
            }
            node = child.node()?;
        }
    }

    /// Puts `entry` at `path`. A file or link in place of a directory drops what was inside; a directory in place of a
    /// directory keeps it.
    ///
    /// # Errors
    /// When the directory it is in is missing.
    pub fn set(&mut self, path: &RelPath, entry: Entry) -> Result<(), MissingParent> {
        let node = parent_of(&mut self.top, path).ok_or_else(|| MissingParent(path.clone()))?;
        let child = match (entry.kind, node.children.get(path.name())) {
            (FileKind::Directory, Some(Child::Directory(_, _, inner))) => {
                Child::Directory(entry.mode, entry.owners, Arc::clone(inner))
            }
            (FileKind::Directory, _) => Child::Directory(entry.mode, entry.owners, Arc::default()),
            _ => Child::Leaf(entry),
        };
        node.children.insert(path.name().into(), child);
        Ok(())
    }

    /// Takes `path` away, with all that is inside. Nothing happens where there is nothing.
    pub fn remove(&mut self, path: &RelPath) {
        if self.child(path).is_some()
            && let Some(node) = parent_of(&mut self.top, path)
        {
            node.children.remove(path.name());
        }
    }

    /// Makes `changes`, which are in the order of their paths (so that a directory comes before what is in it).
    ///
    /// # Errors
    /// When the directory of a new path is missing.
    pub fn apply(&mut self, changes: &[Change]) -> Result<(), MissingParent> {
        changes.iter().try_for_each(|change| match change.new {
            Some(entry) => self.set(&change.path, entry),
            None => {
                self.remove(&change.path);
                Ok(())
            }
        })
    }

    /// All of it, each directory before what is inside.
    #[must_use]
    pub fn iter(&self) -> Iter<'_> {
        Iter { stack: vec![(None, self.top.children.iter())] }
    }
}

/// A path whose directory is not there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MissingParent(pub RelPath);

impl fmt::Display for MissingParent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the directory of {} is missing", self.0)
    }
}

/// The directory that `path` is in, made ready to be changed.
fn parent_of<'a>(top: &'a mut Arc<Node>, path: &RelPath) -> Option<&'a mut Node> {
    let mut node = Arc::make_mut(top);
    node.sums = OnceLock::new();
    let inner = path.depth() - 1;
    for name in path.names().take(inner) {
        let Some(Child::Directory(_, _, next)) = node.children.get_mut(name) else { return None };
        node = Arc::make_mut(next);
        node.sums = OnceLock::new();
    }
    Some(node)
}

type Level<'a> = (Option<RelPath>, btree_map::Iter<'a, Arc<[u8]>, Child>);

/// See [`Tree::iter`].
pub struct Iter<'a> {
    stack: Vec<Level<'a>>,
}

impl Iterator for Iter<'_> {
    type Item = (RelPath, Entry);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (parent, children) = self.stack.last_mut()?;
            let Some((name, child)) = children.next() else {
                self.stack.pop();
                continue;
            };
            // Names came out of a checked path at the same depth, so that this never fails.
            let Ok(path) = RelPath::child(parent.as_ref(), name) else { continue };
            if let Some(node) = child.node() {
                self.stack.push((Some(path.clone()), node.children.iter()));
            }
            return Some((path, child.entry()));
        }
    }
}

impl<'a> IntoIterator for &'a Tree {
    type Item = (RelPath, Entry);
    type IntoIter = Iter<'a>;

    fn into_iter(self) -> Iter<'a> {
        self.iter()
    }
}

impl PartialEq for Tree {
    fn eq(&self, other: &Self) -> bool {
        self.top.is_same(&other.top)
    }
}

impl Eq for Tree {}

impl fmt::Debug for Tree {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_map().entries(self.iter()).finish()
    }
}

#[cfg(test)]
mod tests;
