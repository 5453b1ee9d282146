//! A tree as a list, and a list as a tree, without a second copy of either in memory. Pure.

use std::cmp::Ordering;
use std::iter::Peekable;
use std::ops::Bound;
use std::sync::Arc;

use super::{Entry, Iter, MissingParent, Node, Tree};
use crate::mirror::path::RelPath;

type Level = (Option<RelPath>, Arc<Node>, Option<Arc<[u8]>>);

/// All of a tree, in the order of [`Tree::iter`], kept by itself: for a list that travels piece by piece.
pub struct Entries {
    /// Directories that are open, each with the name that came last.
    stack: Vec<Level>,
}

impl Tree {
    /// As [`Tree::iter`], without borrowing it.
    #[must_use]
    pub fn into_entries(self) -> Entries {
        Entries { stack: vec![(None, self.top, None)] }
    }
}

impl Iterator for Entries {
    type Item = (RelPath, Entry);

    fn next(&mut self) -> Option<Self::Item> {
        loop {
            let (parent, node, last) = self.stack.last_mut()?;
            let from = last.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
            let Some((name, child)) = node.children.range::<[u8], _>((from, Bound::Unbounded)).next() else {
                self.stack.pop();
                continue;
            };
            let (name, entry, inner) = (Arc::clone(name), child.entry(), child.node().cloned());
            // Names came out of a checked path at the same depth, so that this never fails.
            let path = RelPath::child(parent.as_ref(), &name);
            *last = Some(name);
            let Ok(path) = path else { continue };
            if let Some(inner) = inner {
                self.stack.push((Some(path.clone()), inner, None));
            }
            return Some((path, entry));
        }
    }
}

/// Puts a tree together from a list in the order of [`Tree::iter`]. What is as in a known tree shares its memory.
pub struct FromList<'a> {
    known: Peekable<Iter<'a>>,
    tree: Tree,
    last: Option<RelPath>,
}

/// Why a list is none of a tree.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum NotListed {
    /// This path comes twice, or later than it should.
    OutOfOrder(RelPath),
    /// The directory of this path does not come before it.
    Missing(MissingParent),
}

impl std::fmt::Display for NotListed {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::OutOfOrder(path) => write!(f, "{path} comes twice, or out of order"),
            Self::Missing(missing) => write!(f, "{missing}"),
        }
    }
}

impl<'a> FromList<'a> {
    /// The next ones are to be compared with those of `known`.
    #[must_use]
    pub fn new(known: &'a Tree) -> Self {
        Self { known: known.iter().peekable(), tree: known.clone(), last: None }
    }

    /// The next one of the list.
    ///
    /// # Errors
    /// When it cannot be the next one.
    pub fn add(&mut self, path: RelPath, entry: Entry) -> Result<(), NotListed> {
        if self.last.as_ref().is_some_and(|last| order(last, &path) != Ordering::Less) {
            return Err(NotListed::OutOfOrder(path));
        }
        while let Some((gone, _)) = self.known.next_if(|(known, _)| order(known, &path) == Ordering::Less) {
            self.tree.remove(&gone);
        }
        let known = self.known.next_if(|(known, _)| *known == path);
        if known.is_none_or(|(_, known)| known != entry) {
            self.tree.set(&path, entry).map_err(NotListed::Missing)?;
        } else if self.tree.get(&path).is_none() {
            // What it was in has become something else.
            return Err(NotListed::Missing(MissingParent(path)));
        }
        self.last = Some(path);
        Ok(())
    }

    /// It was the last one.
    #[must_use]
    pub fn finish(mut self) -> Tree {
        for (gone, _) in self.known {
            self.tree.remove(&gone);
        }
        self.tree
    }
}

/// Each directory before what is in it, and that before what follows the directory.
fn order(left: &RelPath, right: &RelPath) -> Ordering {
    left.names().cmp(right.names())
}
