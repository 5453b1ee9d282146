//! (a) Never two active. *Active* is whoever's service runs, also while it is being stopped, and with an arbiter also while the
//! guard of a dead Standin stops it.
//!
//! With an arbiter in every life, but after an operator's `become-master --without-arbiter`, and after the arbiter was restored to a
//! copy older than what an instance relies on (see `tests/sim/README.md`). Without one two are permitted from a
//! moment at which the rules choose to go on though the other cannot be seen, until the two have settled who is master:
//! a takeover by silence while the network or a stopped process hid the master; a boot hold that nobody answered; an order that
//! forces a role; a takeover by silence after an operator ended the boot hold of a master that its shadow had not heard of yet.
//! Everything else is judged.

use standin::engine::Glance;
use standin::engine::base::{Condition, LinkState, Role};

use crate::sim::check::Checker;
use crate::sim::node::Node;

/// A silence has its cause at most so long before it is noticed, ms.
const NOTICED_WITHIN_MS: u64 = 12_000;
/// The same in a walk: the settings let nobody be deaf for longer, ticks.
const NOTICED_WITHIN_TICKS: u64 = 4;

/// Who says that it stops its service has stopped it within the longest stop and this, ms: that a shadow is asked first, and
/// that what ran before has ended.
const STOPS_WITHIN_MS: u64 = 3_000;
/// A stop that failed is tried again within, ms.
const STOP_RETRY_MS: u64 = 6_000;

impl Checker {
    /// A stop was told to have failed: it counts from the next try.
    pub fn stop_failed(&mut self, t: u64, node: usize) {
        self.seen[node].stopping = Some(t + STOP_RETRY_MS);
    }

    /// Whoever is cut off, gives way or leaves stops its service within the stop budget, whatever time it had before (spec 7.6,
    /// 7.10, 7.11): with every step of a node.
    pub fn stops(&mut self, t: u64, node: usize, nodes: &[Node; 2]) -> Result<(), String> {
        let machine = &nodes[node];
        let condition = self.seen[node].glance.condition;
        let is_stopping = matches!(condition, Some(Condition::Isolated | Condition::Stopping));
        if !is_stopping || !machine.service || self.tick_ms > 0 {
            self.seen[node].stopping = None;
            return Ok(());
        }
        if machine.stop_fails {
            self.stop_failed(t, node);
        }
        let since = *self.seen[node].stopping.get_or_insert(t);
        let limit_ms = machine.world_span(machine.stop_limit_ms()) + STOPS_WITHIN_MS;
        if t > since + limit_ms {
            return Err(format!("(a) node-{node} says {condition:?}, and its service runs on for {} ms", t - since));
        }
        Ok(())
    }

    /// A service begins to run: two become active at no other moment.
    pub fn begins(&mut self, t: u64, node: usize, nodes: &[Node; 2]) -> Result<(), String> {
        let other = &nodes[1 - node];
        if self.has_arbiter && !self.was_without_arbiter && !self.was_arbiter_restored {
            if other.runs_service(t) {
                return Err(format!("(a) node-{node} starts its service while the other's runs, with an arbiter"));
            }
            return self.granted_before(node, nodes);
        }
        if !self.has_arbiter && !self.is_split && other.service && other.is_up() {
            return Err(format!("(a) node-{node} starts its service while the other's runs, and nothing permits it"));
        }
        Ok(())
    }

    /// See [`NOTICED_WITHIN_MS`].
    pub fn noticed_ms(&self) -> u64 {
        if self.tick_ms > 0 { NOTICED_WITHIN_TICKS * self.tick_ms } else { NOTICED_WITHIN_MS }
    }

    /// Nobody answered, and the rules go on; or an operator knows better.
    pub fn permit_two(&mut self, node: usize, nodes: &[Node; 2]) {
        // With an offer on its way the other may become master on it.
        let is_offered = nodes[node].disk.durable.offer.is_some();
        if nodes[1 - node].role() == Some(Role::Master) || is_offered {
            self.is_split = true;
        }
    }

    /// A takeover by silence.
    pub fn permit_takeover(&mut self, node: usize, nodes: &[Node; 2]) {
        let since = self.seen[node].lost.map(|(since, _)| since);
        let is_hidden = self.unseen_at.is_some_and(|at| since.is_none_or(|since| at + self.noticed_ms() >= since));
        if is_hidden || self.resumed == Some(1 - node) {
            self.permit_two(node, nodes);
        }
    }

    /// `ha resume` on the boot hold, or `become-master`, made this instance active before the other had answered it: the operator's
    /// word for the answer (spec 7.5, 7.8). A shadow that still waits for the run before does not hear that word, until it is attached to this one.
    pub fn resumed(&mut self, node: usize) {
        self.resumed = Some(node);
    }

    /// The shadow follows a master again, or that master has died or given way: the word counts no more.
    pub fn settle_resumed(&mut self, node: usize, was: Option<LinkState>, glance: &Glance) {
        let is_attached = |state| matches!(state, Some(LinkState::Initsync | LinkState::Ready));
        let has_attached = glance.role == Some(Role::Shadow) && is_attached(glance.state) && !is_attached(was);
        if self.resumed == Some(1 - node) && has_attached || self.resumed == Some(node) && !glance.is_active {
            self.resumed = None;
        }
    }

    /// One gave way.
    pub fn settle_split(&mut self, nodes: &[Node; 2], node: usize, new_role: Option<Role>) {
        let is_both = new_role == Some(Role::Master) && nodes[1 - node].role() == Some(Role::Master);
        if !is_both {
            self.is_split = false;
        }
    }
}
