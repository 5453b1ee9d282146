//! What must hold, one file for each promise: (a) `active`, (b) `terms`, (c) `revisions`, (d) `healing`, (e) `takeover`, (f)
//! `directory`, (g) `way_out`, (h) `alerts`. What they find begins with their letter.

use std::collections::{BTreeMap, BTreeSet};

use standin::engine::Glance;
use standin::engine::base::{LinkState, RevisionId, Role, Term};

use crate::sim::node::Node;

mod active;
mod alerts;
mod directory;
mod healing;
mod pause;
mod revisions;
mod takeover;
mod terms;
mod way_out;

/// One node as it was after its last step.
#[derive(Clone, Debug, Default)]
pub struct Seen {
    pub glance: Glance,
    /// Since when it is lost, and whether it was READY when the link broke.
    pub lost: Option<(u64, bool)>,
    /// Since when it says that it stops its service, and that runs.
    pub stopping: Option<u64>,
}

/// Remembers what it needs to judge.
#[derive(Clone, Debug, Default)]
pub struct Checker {
    pub seen: [Seen; 2],
    /// Nothing of this life hides one from the other.
    pub is_sync: bool,
    /// Of a walk; 0: none.
    pub tick_ms: u64,
    /// Two of three decide: never two active, whatever happens.
    pub has_arbiter: bool,
    /// An operator said `become-master` without it.
    pub was_without_arbiter: bool,
    /// It was put back to a copy older than what an instance relies on: it lies, as no fault of the network makes it.
    pub was_arbiter_restored: bool,
    /// The last moment at which the network, or a stopped process, made one invisible to the other.
    pub unseen_at: Option<u64>,
    /// Both may be master for now (see `active`), since a moment at which that was permitted.
    pub is_split: bool,
    /// An operator ended the boot hold of this node, and its shadow has not heard of it yet (see `active`).
    pub resumed: Option<usize>,
    /// An operator forced a role at some time.
    pub was_forced: bool,
    /// See `pause`.
    pub pauses: pause::Pauses,
    pub owners: BTreeMap<Term, usize>,
    /// Terms that the arbiter granted, and terms that were taken over with.
    pub granted: BTreeSet<(Term, usize)>,
    pub taken: BTreeSet<(Term, usize)>,
    pub committed: BTreeSet<RevisionId>,
    pub acknowledged: BTreeSet<RevisionId>,
    /// Alerts that stand, by node: id and code.
    pub standing: [BTreeMap<u64, String>; 2],
    pub takeovers: u64,
    pub switches: u64,
    pub relinquished: u64,
}

impl Checker {
    pub fn started(&mut self, node: usize) {
        self.seen[node] = Seen::default();
        // The master that wanted a pause for its restart is back.
        self.pauses.restart.take_if(|(who, _)| *who == node);
    }

    pub fn died(&mut self, node: usize) {
        self.resumed.take_if(|resumed| *resumed == node);
        self.seen[node] = Seen::default();
    }

    /// After every step of a node.
    pub fn step(&mut self, t: u64, node: usize, nodes: &[Node; 2], glance: Glance) -> Result<(), String> {
        let state = if glance.role == Some(Role::Shadow) { glance.state } else { None };
        self.settle_resumed(node, self.seen[node].glance.state, &glance);
        let seen = &mut self.seen[node];
        if state == Some(LinkState::Lost) {
            let was = if seen.glance.role == Some(Role::Shadow) { seen.glance.state } else { None };
            if was != Some(LinkState::Lost) {
                seen.lost = Some((t, was == Some(LinkState::Ready)));
            }
        } else {
            seen.lost = None;
        }
        seen.glance = glance;
        if glance.is_active && glance.role != Some(Role::Master) {
            return Err(format!("(a) node-{node} is active and no master"));
        }
        self.stops(t, node, nodes)?;
        self.both_pause(t)?;
        self.ready(node, nodes)?;
        self.alerts_fit(node, nodes)
    }
}
