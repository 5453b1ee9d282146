//! Clocks: rates, jumps of the wall clock, suspension and stalls (spec 7.12). The decisive clock counts suspension. A paused
//! virtual machine whose clock does not know is outside the guarantee and not modelled.

use standin::engine::input::Input;

use crate::sim::world::{What, World};

/// The loop tells of a lateness of at least, ms.
const STALL_TOLD_MS: u64 = 100;

impl World {
    /// Standin is stopped (SIGSTOP, starvation) for so long; its guard and the service run on.
    pub fn suspend(&mut self, node: usize, span_ms: u64) {
        if !self.nodes[node].is_up() || self.nodes[node].suspended_until.is_some() {
            return;
        }
        let until = self.t + span_ms;
        self.log(|| format!("node-{node} is stopped until {until}"));
        self.nodes[node].suspended_until = Some(until);
        self.nodes[node].suspended_since = self.t;
        let incarnation = self.nodes[node].incarnation;
        self.at(until, What::Resume { node, incarnation });
    }

    /// It goes on: first it hears how late it is, then what waited comes.
    pub fn resume(&mut self, node: usize) {
        let Some(until) = self.nodes[node].suspended_until else { return };
        if until > self.t {
            return;
        }
        self.nodes[node].suspended_until = None;
        self.check.unseen_at = Some(self.t);
        // The time in which it was stopped does not count; that a failed stop is tried again later does.
        let now = self.t;
        let stopping = &mut self.check.seen[node].stopping;
        *stopping = stopping.map(|since| since.max(now));
        self.check.pauses.differs_since = None;
        self.log(|| format!("node-{node} goes on"));
        let due = self.nodes[node].alarm.filter(|at| *at <= self.t);
        let since = self.nodes[node].suspended_since;
        // It was stopped in the middle of a turn, or late for what it had planned.
        let from = if self.random.chance(50) { Some(since) } else { due.map(|due| due.max(since)) };
        let late_ms = from.map_or(0, |from| self.nodes[node].now(self.t).mono.since(self.nodes[node].now(from).mono));
        if late_ms >= STALL_TOLD_MS {
            self.feed(node, Input::Stalled { late_ms });
        }
        if due.is_some() && self.nodes[node].is_up() {
            if self.nodes[node].alarm.is_some_and(|at| at <= self.t) {
                self.nodes[node].alarm = None;
            }
            self.feed(node, Input::Tick);
        }
    }

    /// Somebody sets the wall clock.
    pub fn jump_wall(&mut self, node: usize, by_ms: i64) {
        self.nodes[node].wall_offset_ms += by_ms;
        self.log(|| format!("node-{node}: the wall clock jumps by {by_ms} ms"));
    }
}
