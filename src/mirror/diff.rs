//! What differs between two trees. Pure; cost follows the difference.

use std::sync::Arc;

use serde::{Deserialize, Serialize};

use super::path::RelPath;
use super::tree::{Child, Entry, Node, Tree};

/// One path that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Change {
    /// Which.
    pub path: RelPath,
    /// Before; none: it was not there.
    pub old: Option<Entry>,
    /// After; none: it is gone.
    pub new: Option<Entry>,
}

/// All changes that turn `old` into `new`, each directory before what is inside it. A path whose kind changes is one change;
/// what was inside it is removed by changes of its own.
#[must_use]
pub fn between(old: &Tree, new: &Tree) -> Vec<Change> {
    let mut changes = Vec::new();
    compare(None, Some(&old.top), Some(&new.top), &mut changes);
    changes
}

/// `changes`, one after the other, as one: each path once, with its first old and its last new entry, in order of paths.
#[must_use]
pub fn merged(changes: impl Iterator<Item = Change>) -> Vec<Change> {
    let mut by_path = std::collections::BTreeMap::<RelPath, Change>::new();
    for change in changes {
        by_path.entry(change.path.clone()).and_modify(|known| known.new = change.new).or_insert(change);
    }
    by_path.into_values().filter(|change| change.old != change.new).collect()
}

/// The other way round.
#[must_use]
pub fn inverse(changes: &[Change]) -> Vec<Change> {
    changes.iter().map(|change| Change { path: change.path.clone(), old: change.new, new: change.old }).collect()
}

fn compare(parent: Option<&RelPath>, old: Option<&Arc<Node>>, new: Option<&Arc<Node>>, changes: &mut Vec<Change>) {
    if let (Some(old), Some(new)) = (old, new)
        && old.is_same(new)
    {
        return;
    }
    let mut left = old.into_iter().flat_map(|node| &node.children).peekable();
    let mut right = new.into_iter().flat_map(|node| &node.children).peekable();
    loop {
        let name = match (left.peek(), right.peek()) {
            (None, None) => return,
            (Some((name, _)), None) | (None, Some((name, _))) => Arc::clone(name),
            (Some((a, _)), Some((b, _))) => Arc::clone(a.min(b)),
        };
        let before = left.next_if(|(other, _)| **other == name).map(|(_, child)| child);
        let after = right.next_if(|(other, _)| **other == name).map(|(_, child)| child);
        // Names came out of checked paths at the same depth, so that this never fails.
        let Ok(path) = RelPath::child(parent, &name) else { continue };
        let (old, new) = (before.map(Child::entry), after.map(Child::entry));
        if old != new {
            changes.push(Change { path: path.clone(), old, new });
        }
        let (before, after) = (before.and_then(Child::node), after.and_then(Child::node));
        if before.is_some() || after.is_some() {
            compare(Some(&path), before, after, changes);
        }
    }
}
