//! (c) What was acknowledged is in the survivor's history or in a named branch; what a master committed, or somebody edited where
//! it was master, is nowhere lost.

use standin::engine::base::{RevisionId, Role};

use crate::sim::check::Checker;
use crate::sim::node::Node;

impl Checker {
    pub fn committed(&mut self, id: RevisionId) {
        self.committed.insert(id);
    }

    pub fn acknowledged(&mut self, id: RevisionId) {
        self.acknowledged.insert(id);
    }

    /// Before an acknowledgement is sent.
    pub fn acknowledges(&self, node: usize, nodes: &[Node; 2], id: RevisionId) -> Result<(), String> {
        if nodes[node].disk.mirror.has(id) {
            Ok(())
        } else {
            Err(format!("(c) node-{node} acknowledges a revision that is not on its disk: {id:?}"))
        }
    }

    /// Before a directory is overwritten: edits made where it was master are in its history.
    pub fn overwrites(&self, node: usize, nodes: &[Node; 2]) -> Result<(), String> {
        if nodes[node].disk.mirror.is_edited {
            return Err(format!("(c) node-{node}: edits of its time as master are overwritten and not in its history"));
        }
        Ok(())
    }

    /// At the end.
    pub fn nothing_lost(&self, nodes: &[Node; 2]) -> Result<(), String> {
        let is_nowhere = |id: &&RevisionId| nodes.iter().all(|node| !node.disk.mirror.has_anywhere(**id));
        if let Some(lost) = self.committed.iter().find(is_nowhere) {
            return Err(format!("(c) a committed revision is lost: {lost:?}"));
        }
        let master = nodes.iter().find(|node| node.role() == Some(Role::Master));
        let branches = || nodes.iter().flat_map(|node| node.disk.mirror.branches.values().flatten());
        let is_lost = |id: &&RevisionId| {
            master.is_none_or(|master| !master.disk.mirror.has(**id)) && !branches().any(|rev| rev.id == **id)
        };
        match self.acknowledged.iter().find(is_lost) {
            Some(lost) => Err(format!("(c) an acknowledged revision is lost: {lost:?}")),
            None => Ok(()),
        }
    }
}
