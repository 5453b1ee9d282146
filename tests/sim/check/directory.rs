//! (f) A directory is some whole revision after recovery, and where a new master's service starts; edits of its own time as master
//! may stand on top, and what cannot be put back is held back.

use crate::sim::check::Checker;
use crate::sim::node::Node;

impl Checker {
    pub fn directory_is_whole(&self, node: usize, nodes: &[Node; 2], when: &str) -> Result<(), String> {
        let mirror = &nodes[node].disk.mirror;
        let is_whole = mirror.history.last().is_none_or(|rev| rev.files == mirror.taken_up());
        if is_whole || mirror.is_edited || mirror.is_edited_untold {
            return Ok(());
        }
        Err(format!("(f) node-{node} {when}, and its directory is no whole revision"))
    }
}
