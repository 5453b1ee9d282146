//! The guard of each machine: runs the service, stops it when its allowance ends (`Effect::AllowServiceUntil`) and when Standin
//! has died, both within the stop budget (spec 7.11, 7.13). *Active* is whoever's service runs, also while it is being stopped.
//! A unit is systemd's: bound to Standin it ends with it, but no allowance stops it; only what Standin asks for does.

use standin::engine::base::{Millis, Term};
use standin::engine::input::{Input, ServiceChange};

use crate::sim::node::{Node, service_status};
use crate::sim::random::Random;
use crate::sim::world::{What, World};

/// Without an arbiter nothing depends on how long a stop takes, ms.
const STOP_MS: u64 = 400;

/// One machine's guard.
#[derive(Clone, Debug, Default)]
pub struct Guard {
    /// The service is a unit: no allowance counts.
    pub is_unit: bool,
    /// It uses all the time it has to end in peace.
    pub uses_grace: bool,
    /// On the machine's own clock.
    pub allowed_until: Option<Millis>,
    /// Number of the start of the service that runs.
    pub epoch: u64,
    /// It stops this one because its allowance ended.
    pub stopping: Option<u64>,
    /// That stop is over then, moment of the world.
    pub stopped_at: u64,
    /// The service of a dead Standin runs until then, moment of the world.
    pub orphan_until: u64,
    /// The stop that Standin asked for is over then, moment of the world.
    pub ending_until: Option<u64>,
    /// What came of the newest start is told then, moment of the world; of an earlier one nothing is told any more.
    pub start_told_at: u64,
    /// A start that waits for the end of that stop.
    pub next: Option<Term>,
}

impl Node {
    /// See [`World::stop_limit_ms`].
    pub fn stop_limit_ms(&self) -> u64 {
        let arbiter = &self.disk.settings.arbiter;
        if arbiter.is_set() { arbiter.stop_budget } else { STOP_MS }
    }
}

impl World {
    /// Longest stop of that node, on its own clock, ms.
    pub fn stop_limit_ms(&self, node: usize) -> u64 {
        self.nodes[node].stop_limit_ms()
    }

    /// A stop takes so long this time, ms of the world.
    pub fn stop_takes(&mut self, node: usize) -> u64 {
        let limit = self.stop_limit_ms(node);
        let takes = match self.random.range(0, 3) {
            _ if self.random.is_steady() => limit,
            0 => 0,
            1 => limit,
            _ => self.random.range(0, limit),
        };
        // In a walk a stop that takes any time takes whole ticks.
        let takes = if self.tick_ms > 0 { takes.next_multiple_of(self.tick_ms) } else { takes };
        self.nodes[node].world_span_floor(takes)
    }

    pub fn allow_service(&mut self, node: usize, until: Option<Millis>) {
        self.nodes[node].guard.allowed_until = until.filter(|_| !self.nodes[node].guard.is_unit);
        self.watch_allowance(node);
    }

    /// The guard looks again when the allowance ends.
    pub fn watch_allowance(&mut self, node: usize) {
        if let Some(until) = self.nodes[node].guard.allowed_until
            && self.nodes[node].service
        {
            let at = self.nodes[node].world_time(until);
            self.at(at, What::Allowance { node, until });
        }
    }

    /// The allowance that was in force when this was planned may be over.
    pub fn allowance_ends(&mut self, node: usize, until: Millis) {
        let guard = &self.nodes[node].guard;
        if guard.allowed_until != Some(until) || !self.nodes[node].service || guard.stopping == Some(guard.epoch) {
            return;
        }
        let epoch = guard.epoch;
        self.log(|| format!("node-{node}: the guard stops the service"));
        let takes = self.stop_takes(node);
        self.nodes[node].guard.next = None;
        self.nodes[node].guard.stopping = Some(epoch);
        self.nodes[node].guard.stopped_at = self.t + takes;
        self.at(self.t + takes, What::GuardStopped { node, epoch });
    }

    pub fn guard_stopped(&mut self, node: usize, epoch: u64) {
        if self.nodes[node].guard.epoch != epoch || !self.nodes[node].service {
            return;
        }
        let incarnation = self.nodes[node].incarnation;
        if self.nodes[node].guard.ending_until.is_some() {
            // Its time to end in peace was cut short: the stop that was asked for is done.
            self.nodes[node].guard.ending_until = Some(self.t);
            return self.at(self.t, What::Service { node, incarnation, start: false });
        }
        self.nodes[node].service = false;
        let change = ServiceChange::Changed(service_status("stopped"));
        self.at(self.t, What::Input { node, incarnation, input: Box::new(Input::Service(change)) });
    }

    /// Standin asks for the service: at once, or when the stop under way is over.
    pub fn start_service(&mut self, node: usize, term: Term) {
        if self.nodes[node].guard.ending_until.is_some() {
            // Judged as it is asked: a master may be raised to another term of its own while it waits.
            if let Err(why) = self.check.uses(node, &self.nodes, term) {
                self.fail(why);
            }
            self.nodes[node].guard.next = Some(term);
            return;
        }
        self.service_begins(node, term);
        let (longest, incarnation) = (self.nodes[node].start_ms, self.nodes[node].incarnation);
        let span = if self.tick_ms > 0 { 0 } else { self.random.range(0, longest) };
        let at = self.t + span;
        self.nodes[node].guard.start_told_at = at;
        self.at(at, What::Service { node, incarnation, start: true });
    }

    /// Standin asks for its end; a start that waits is forgotten. What runs may end by itself within the grace (spec 2.4); asked
    /// again, what is over sooner counts.
    pub fn stop_service(&mut self, node: usize, grace_ms: u64) {
        let takes = self.peace_takes(node, grace_ms) + self.stop_takes(node);
        // Nothing of an earlier run's service is left either.
        let done = (self.t + takes).max(self.nodes[node].guard.orphan_until);
        let guard = &mut self.nodes[node].guard;
        guard.next = None;
        let done = guard.ending_until.map_or(done, |earlier| earlier.min(done).max(self.t));
        guard.ending_until = Some(done);
        let incarnation = self.nodes[node].incarnation;
        self.at(done, What::Service { node, incarnation, start: false });
    }

    /// What runs uses so much of the time it has to end in peace, ms of the world.
    fn peace_takes(&self, node: usize, grace_ms: u64) -> u64 {
        if grace_ms == 0 || !self.nodes[node].service {
            return 0;
        }
        let longest = self.nodes[node].world_span(grace_ms);
        // Drawn apart, so that whoever gives no grace draws what he drew. Most use all of it.
        let mut apart = Random::new(self.t ^ (self.nodes[node].guard.epoch << 32));
        if self.random.is_steady() || self.nodes[node].guard.uses_grace || apart.chance(70) {
            longest
        } else {
            apart.range(0, longest)
        }
    }

    /// A service begins to run: the only moment at which two can become active.
    pub fn service_begins(&mut self, node: usize, term: Term) {
        let target = &mut self.nodes[node];
        target.service = true;
        target.guard.epoch += 1;
        target.guard.stopping = None;
        let outcome = self
            .check
            .uses(node, &self.nodes, term)
            .and_then(|()| self.check.begins(self.t, node, &self.nodes))
            .and_then(|()| self.check.directory_is_whole(node, &self.nodes, "starts its service"));
        if let Err(why) = outcome {
            self.fail(why);
        }
        self.watch_allowance(node);
    }

    /// Standin died: what it ran ends within the stop budget.
    pub fn orphan_service(&mut self, node: usize) {
        if std::mem::take(&mut self.nodes[node].service) {
            let fresh = self.t + self.stop_takes(node);
            let target = &mut self.nodes[node];
            // A stop under way goes on, it does not begin anew.
            let own = (target.guard.stopping == Some(target.guard.epoch)).then_some(target.guard.stopped_at);
            let until = [target.guard.ending_until, own].into_iter().flatten().fold(fresh, u64::min).max(self.t);
            target.guard.orphan_until = target.guard.orphan_until.max(until);
        }
        let guard = &mut self.nodes[node].guard;
        guard.allowed_until = None;
        guard.ending_until = None;
        guard.next = None;
    }
}
