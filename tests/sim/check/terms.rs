//! (b) Terms only grow, belong to one instance each, and are on disk before they are used.

use standin::engine::base::{Role, Term};
use standin::engine::durable::Durable;
use standin::engine::message::Envelope;

use crate::sim::check::Checker;
use crate::sim::node::Node;

impl Checker {
    pub fn terms(&mut self, node: usize, nodes: &[Node; 2], new: &Durable) -> Result<(), String> {
        let old = &nodes[node].disk.durable;
        if new.term < old.term || new.known_term < old.known_term || new.known_term < new.term {
            return Err(format!(
                "(b) node-{node}: term {} (known {}) after {} ({})",
                new.term, new.known_term, old.term, old.known_term
            ));
        }
        if new.role == Some(Role::Master) {
            let owner = *self.owners.entry(new.term).or_insert(node);
            if owner != node {
                return Err(format!("(b) term {} was used by both", new.term));
            }
        }
        Ok(())
    }

    /// A message carries what is on the disk.
    pub fn says(&self, node: usize, nodes: &[Node; 2], envelope: &Envelope) -> Result<(), String> {
        let durable = &nodes[node].disk.durable;
        if envelope.term > durable.term || Some(envelope.role) != durable.role {
            return Err(format!("(b) node-{node} says role and term that are not on its disk: {envelope:?}"));
        }
        Ok(())
    }

    /// A service, or a commit, carries what is on the disk.
    pub fn uses(&self, node: usize, nodes: &[Node; 2], term: Term) -> Result<(), String> {
        let durable = &nodes[node].disk.durable;
        if durable.role != Some(Role::Master) || term != durable.term {
            return Err(format!(
                "(b) node-{node} acts as master of term {term}, on disk {:?} of {}",
                durable.role, durable.term
            ));
        }
        Ok(())
    }
}
