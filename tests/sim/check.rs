//! What must hold at every step.

use std::collections::{BTreeMap, BTreeSet};

use standin::engine::base::{LinkState, Reason, RevisionId, Role, Term};
use standin::engine::durable::Durable;
use standin::engine::status::Status;

use crate::sim::node::Node;

#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub state: Option<LinkState>,
    /// READY when the link broke, and since when it is broken.
    pub lost: Option<(u64, bool)>,
    pub status: Option<Box<Status>>,
}

/// Remembers what it needs to judge.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    pub seen: [Seen; 2],
    /// No loss, no cut: never two active.
    pub is_sync: bool,
    /// Two of three decide: never two active, whatever happens.
    pub has_arbiter: bool,
    /// An operator said `become-master` without it.
    pub was_without_arbiter: bool,
    /// An operator forced a role: two active are his.
    pub was_forced: bool,
    pub terms: BTreeMap<Term, usize>,
    pub committed: BTreeSet<RevisionId>,
    pub acknowledged: BTreeSet<RevisionId>,
    pub takeovers: u64,
    pub switches: u64,
    pub relinquished: u64,
}

impl Checker {
    pub fn started(&mut self, node: usize) {
        self.seen[node] = Seen::default();
    }

    pub fn died(&mut self, node: usize) {
        self.seen[node] = Seen::default();
    }

    pub fn committed(&mut self, _node: usize, id: RevisionId) {
        self.committed.insert(id);
    }

    pub fn acknowledged(&mut self, id: RevisionId) {
        self.acknowledged.insert(id);
    }

    /// (a) A service begins to run on that node: none runs on the other. With an arbiter in every life, but after an operator's
    /// own word; without one where the network loses nothing, and nobody resumed on the boot hold's end. *Runs* includes while it
    /// is being stopped; without an arbiter not what the guard of a dead Standin has not stopped yet.
    pub fn begins(&mut self, t: u64, node: usize, nodes: &[Node; 2]) -> Result<(), String> {
        let other = &nodes[1 - node];
        if self.has_arbiter && !self.was_without_arbiter && other.runs_service(t) {
            return Err(format!("node-{node} starts its service while the other's runs (with an arbiter)"));
        }
        let runs = other.service && other.is_up();
        if self.is_sync && !self.was_forced && runs {
            return Err("two active in a world without faults of the network".into());
        }
        Ok(())
    }

    /// A shadow commits nothing.
    pub fn scan(&self, node: usize, nodes: &[Node; 2], term: Term) -> Result<(), String> {
        let durable = &nodes[node].disk.durable;
        if durable.role != Some(Role::Master) || term != durable.term {
            return Err(format!("node-{node} commits as {:?} at term {term}", durable.role));
        }
        Ok(())
    }

    /// Every durable write: (b) terms only grow, no term of two; (e) no takeover without its conditions.
    pub fn stored(&mut self, t: u64, node: usize, nodes: &[Node; 2], new: &Durable) -> Result<(), String> {
        let old = &nodes[node].disk.durable;
        if new.term < old.term || new.known_term < old.known_term || new.known_term < new.term {
            return Err(format!(
                "node-{node}: term {} (known {}) after {} ({})",
                new.term, new.known_term, old.term, old.known_term
            ));
        }
        if new.role == Some(Role::Master) {
            let owner = *self.terms.entry(new.term).or_insert(node);
            if owner != node {
                return Err(format!("term {} was used by both", new.term));
            }
        }
        if old.role == Some(Role::Shadow) && new.role == Some(Role::Master) {
            match new.last_role_change.as_ref().map(|change| change.reason) {
                Some(Reason::Takeover) => {
                    self.takeovers += 1;
                    return self.takeover(t, node, nodes, new);
                }
                Some(Reason::Switch) => self.switches += 1,
                _ => self.was_forced = true,
            }
        }
        if old.role == Some(Role::Master) && new.role == Some(Role::Shadow) {
            self.relinquished += 1;
        }
        Ok(())
    }

    fn takeover(&self, t: u64, node: usize, nodes: &[Node; 2], new: &Durable) -> Result<(), String> {
        let old = &nodes[node].disk.durable;
        let seen = &self.seen[node];
        let status = seen.status.as_deref();
        // Lost and taken over within one step, with a delay of 0.
        let at_once = (seen.state == Some(LinkState::Ready)).then_some((t, true));
        // The same for a shadow that meets another shadow, and has precedence (spec 7.16).
        let both_shadows = nodes.iter().all(|node| node.disk.durable.role == Some(Role::Shadow));
        let met = (seen.state == Some(LinkState::Handshake) && both_shadows).then_some((t, false));
        let Some((since, was_ready)) = seen.lost.or(at_once).or(met) else {
            return Err(format!("node-{node} took over without having lost its master: {:?}", seen.state));
        };
        if old.own_promise.is_some() {
            return Err(format!("node-{node} took over against its promise"));
        }
        // With a delay of 0 its end and the takeover are one step.
        let delay = nodes[node].disk.settings.shadow.takeover_delay;
        if delay > 0 && status.is_some_and(|status| status.maintenance_until.is_some()) {
            return Err(format!("node-{node} took over during maintenance"));
        }
        if (t - since) * 1_000 + 2_000 < delay * 990 {
            return Err(format!("node-{node} took over after {} ms of {delay}", t - since));
        }
        let other = &nodes[1 - node].disk.durable;
        if !was_ready && !self.was_forced && other.role != Some(Role::Shadow) && new.term < other.term {
            return Err(format!("node-{node} took over though it was not READY"));
        }
        if !was_ready && other.role == Some(Role::Master) && new.last_role_change.is_some() {
            let both_met = status
                .is_some_and(|status| status.state_message.as_ref().is_some_and(|message| message.contains("shadow")));
            if !both_met {
                return Err(format!("node-{node} took over though it was not READY and met no other shadow"));
            }
        }
        Ok(())
    }

    /// After every step.
    pub fn status(&mut self, t: u64, node: usize, nodes: &[Node; 2], status: Status) -> Result<(), String> {
        let seen = &mut self.seen[node];
        let state = if status.role == Some(Role::Shadow) { status.state } else { None };
        if state == Some(LinkState::Lost) {
            if seen.state != Some(LinkState::Lost) {
                seen.lost = Some((t, seen.state == Some(LinkState::Ready)));
            }
        } else {
            seen.lost = None;
        }
        if status.active && status.role != Some(Role::Master) {
            return Err(format!("node-{node} is active and no master"));
        }
        if state == Some(LinkState::Ready) && nodes[node].disk.durable.own_promise.is_some() {
            return Err(format!("node-{node} is READY under a promise not to take over"));
        }
        seen.state = state;
        seen.status = Some(Box::new(status));
        // Whoever is READY has a master that noted it (spec 7.5), on its disk.
        if state == Some(LinkState::Ready) {
            let other = &nodes[1 - node].disk.durable;
            let my_term = nodes[node].disk.durable.term;
            let is_my_master = other.role == Some(Role::Master) && other.term == my_term;
            if is_my_master && !other.may_take_over && other.peer_promise.is_none() && nodes[1 - node].is_up() {
                return Err(format!("node-{node} is READY and its master has not noted it"));
            }
        }
        Ok(())
    }
}
