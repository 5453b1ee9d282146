//! (d) After healing, within a bound: one master, one READY shadow, the same root. An operator does then only what the rules leave
//! to one.

use standin::engine::base::{LinkState, Role};

use crate::sim::world::World;

impl World {
    /// One active master, one READY shadow, one root.
    pub fn is_healthy(&self) -> bool {
        if self.nodes.iter().any(|node| node.suspended_until.is_some()) {
            return false;
        }
        let (Some(a), Some(b)) = (self.glance(0), self.glance(1)) else { return false };
        let (master, shadow) = if a.role == Some(Role::Master) { (a, b) } else { (b, a) };
        master.role == Some(Role::Master)
            && master.is_active
            && master.is_in_sync
            && shadow.role == Some(Role::Shadow)
            && shadow.state == Some(LinkState::Ready)
            && self.nodes[0].disk.mirror.head() == self.nodes[1].disk.mirror.head()
            && self.nodes.iter().filter(|node| node.service).count() == 1
    }
}
