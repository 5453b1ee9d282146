//! Effects executed as the real node does: in order, a durable write answered before anything else.

use std::collections::VecDeque;

use standin::engine::base::{LinkId, RevisionId, Role};
use standin::engine::durable::Durable;
use standin::engine::effect::Effect;
use standin::engine::input::{Input, ServiceChange};
use standin::engine::message::{Body, Push};
use standin::engine::order::Order;
use standin::engine::status::CheckResult;

use crate::sim::node::service_status;
use crate::sim::trace::brief_effect;
use crate::sim::world::{What, World};

/// What cannot be put back is tried again so often, ms.
const LOOK_AGAIN_MS: u64 = 1_000;

impl World {
    /// One effect; false: the process has died over it.
    pub fn execute(&mut self, node: usize, effect: Effect, inputs: &mut VecDeque<Input>) -> bool {
        let incarnation = self.nodes[node].incarnation;
        if self.walk_into(node, &effect) {
            self.nodes[node].crash_in = Some(0);
        }
        if let Some(left) = &mut self.nodes[node].crash_in {
            if *left == 0 {
                // Torn or not, the record is the old or the new one.
                if let Effect::Persist { durable, .. } = &effect
                    && self.random.chance(50)
                {
                    self.store(node, (**durable).clone());
                }
                let is_silent = self.random.chance(50);
                self.crash(node, is_silent);
                return false;
            }
            *left -= 1;
        }
        self.digest = self.digest.wrapping_mul(31).wrapping_add(self.t ^ node as u64);
        if self.trace && !matches!(effect, Effect::SaveAlert(_)) {
            println!("{:>9} node-{node} -> {}", self.t, brief_effect(&effect));
        }
        self.carry_out(node, incarnation, effect, inputs)
    }

    fn carry_out(&mut self, node: usize, incarnation: u64, effect: Effect, inputs: &mut VecDeque<Input>) -> bool {
        match effect {
            Effect::Persist { ticket, durable } => {
                if self.nodes[node].persist_fails {
                    inputs.push_back(Input::PersistFailed { ticket, why: "no space".into() });
                } else {
                    self.store(node, *durable);
                    inputs.push_back(Input::Persisted { ticket });
                }
            }
            Effect::CancelDial { attempt } => self.nodes[node].cancelled.push(attempt),
            Effect::Send { link, envelope } => self.send(node, link, envelope),
            Effect::Close { link, why } => self.close(node, link, &why),
            Effect::Reply { id, outcome } => {
                match self.pending.remove(&id) {
                    None => self.fail(format!("order {id} was answered twice, or never asked")),
                    Some((at, _, since, order)) if outcome.is_ok() => {
                        self.check.agreed(at, &self.nodes, since, &order);
                    }
                    Some(_) => {}
                }
                self.answers.insert(id, *outcome);
            }
            Effect::SaveAlert(alert) => {
                self.check.alert_saved(node, &alert);
                self.nodes[node].disk.alerts.insert(alert.id, *alert);
            }
            Effect::DropAlert { id } => {
                self.check.alert_dropped(node, id);
                self.nodes[node].disk.alerts.remove(&id);
            }
            Effect::Exit => {
                self.nodes[node].exits += 1;
                if let Some((_, (_, _, _, order))) =
                    self.pending.iter().find(|(_, (at, run, ..))| *at == node && *run == incarnation)
                {
                    let order = order.clone();
                    if matches!(order, Order::Stop { .. }) {
                        self.fail(format!("exit without an answer to {order:?}"));
                    }
                }
                self.crash(node, false);
                return false;
            }
            // Nobody knows more then, and the rules choose to go on: two active are possible (spec 7.5).
            Effect::Note(event) if event.text.starts_with("nobody answered within") => {
                self.check.permit_two(node, &self.nodes);
            }
            Effect::Note(event) if event.text == "READY" => {
                self.check.seen[node].glance.state = Some(standin::engine::base::LinkState::Ready);
            }
            // Not drawn: what else happens stays what it was.
            Effect::LookForDrift { serial, .. } => {
                let span_ms = if self.tick_ms > 0 { 0 } else { self.look_ms };
                self.at(self.t + span_ms, What::Look { node, incarnation, serial });
            }
            Effect::RestoreDrift => self.nodes[node].disk.mirror.restore_drift(),
            other => self.carry_out_later(node, incarnation, other),
        }
        true
    }

    pub fn store(&mut self, node: usize, durable: Durable) {
        if self.net.is_faulty() || self.nodes.iter().any(|node| node.suspended_until.is_some()) {
            self.check.unseen_at = Some(self.t);
        }
        let outcome = self.check.stored(self.t, node, &self.nodes, &durable);
        self.nodes[node].disk.durable = durable;
        if let Err(why) = outcome {
            self.fail(why);
        }
    }

    pub fn push(&mut self, node: usize, link: LinkId, trail: &[RevisionId], complete: bool) {
        if !self.is_calm && self.random.chance(5) {
            return self.feed(node, Input::PushFailed { link, why: "no luck".into() });
        }
        let mirror = &self.nodes[node].disk.mirror;
        let Some(revision) = mirror.head() else { return };
        let common = trail.iter().copied().find(|id| mirror.has(*id));
        let base = common.filter(|_| !complete && common == trail.first().copied());
        self.pushes.push(mirror.history.clone());
        let payload = ((self.pushes.len() - 1) as u64).to_be_bytes().to_vec();
        let durable = &self.nodes[node].disk.durable;
        let Some(peer) = &durable.peer else { return };
        let envelope = standin::engine::message::Envelope {
            pair: peer.pair,
            from: durable.instance,
            run: durable.run,
            role: durable.role.unwrap_or(Role::Shadow),
            term: durable.term,
            body: Body::Push(Box::new(Push { revision, base, common, payload })),
        };
        self.send(node, link, Box::new(envelope));
    }

    pub fn apply(&mut self, node: usize, link: LinkId, push: &Push) {
        if !self.is_calm && self.random.chance(5) {
            self.nodes[node].applying = None;
            return self.feed(node, Input::ApplyFailed { link, revision: push.revision, why: "no luck".into() });
        }
        if let Err(why) = self.check.overwrites(node, &self.nodes) {
            return self.fail(why);
        }
        self.nodes[node].applying = None;
        let theirs = self.pushes[pushed(push)].clone();
        let (committed, branch) = self.nodes[node].disk.mirror.apply(&theirs, push.base.is_none());
        self.feed(node, Input::Applied { link, revision: push.revision, committed, branch });
    }

    /// A look for drift; what cannot be put back is tried again (spec 4.5).
    pub fn look(&mut self, node: usize, serial: u64) {
        if self.nodes[node].role() != Some(Role::Shadow) {
            return;
        }
        // A drift is kept, and is no revision: what was edited on a master has to be one by now (spec 7.6).
        if let Err(why) = self.check.overwrites(node, &self.nodes) {
            return self.fail(why);
        }
        let is_well = self.nodes[node].disk.mirror.look();
        if !is_well {
            let incarnation = self.nodes[node].incarnation;
            self.at(self.t + LOOK_AGAIN_MS, What::Look { node, incarnation, serial });
        }
        let problem = (!is_well).then(|| "Operation not permitted".to_owned());
        self.feed(node, Input::Looked { serial, problem });
    }

    /// The process dies while it applies: the directory is half of each, until recovery (spec 5.3).
    pub fn tear_apply(&mut self, node: usize) {
        if let Some(index) = self.nodes[node].applying.take() {
            let (is_complete, until) = (self.random.chance(50), self.random.range(0, 5) as u8);
            let theirs = self.pushes[index].clone();
            self.nodes[node].disk.mirror.tear(&theirs, is_complete, until);
        }
    }

    pub fn service(&mut self, node: usize, start: bool) {
        let is_ending = self.nodes[node].guard.ending_until.is_some_and(|until| until <= self.t);
        let is_starting = self.nodes[node].service && self.nodes[node].guard.start_told_at == self.t;
        if if start { !is_starting } else { !is_ending } {
            // Overtaken by a later stop or start.
            return;
        }
        let change = if !start && self.nodes[node].stop_fails && self.nodes[node].service {
            ServiceChange::StopFailed(service_status("stopping"))
        } else if !start {
            self.nodes[node].service = false;
            ServiceChange::Stopped(service_status("stopped"))
        } else if self.nodes[node].start_fails {
            self.nodes[node].service = false;
            ServiceChange::StartFailed(service_status("failed"))
        } else {
            ServiceChange::Started(service_status("running"))
        };
        if !start {
            self.nodes[node].guard.ending_until = None;
        }
        let incarnation = self.nodes[node].incarnation;
        self.feed(node, Input::Service(change));
        if !start
            && self.nodes[node].incarnation == incarnation
            && let Some(term) = self.nodes[node].guard.next.take()
        {
            // The arbiter may have raised the term of this master while the start waited (spec 7.11).
            let durable = &self.nodes[node].disk.durable;
            let raised = durable.term.max(term);
            self.start_service(node, if durable.role == Some(Role::Master) { raised } else { term });
        }
    }

    /// Effects whose outcome takes time.
    fn carry_out_later(&mut self, node: usize, incarnation: u64, effect: Effect) {
        match effect {
            Effect::Dial { attempt, connect_timeout_ms, .. } => {
                self.later((1, 12), What::Dial { node, incarnation, attempt, timeout_ms: connect_timeout_ms });
            }
            Effect::Scan { term, .. } => {
                if let Err(why) = self.check.uses(node, &self.nodes, term) {
                    self.fail(why);
                }
                self.later((1, 60), What::Scan { node, incarnation, term });
            }
            Effect::Push { link, trail, complete } => {
                self.later((1, 40), What::Push { node, incarnation, link, trail, complete });
            }
            Effect::Apply { link, push, .. } => {
                self.nodes[node].applying = Some(pushed(&push));
                self.later((1, 80), What::Apply { node, incarnation, link, push });
            }
            Effect::AskArbiter { id, pair, ask, lease_s } => self.ask_arbiter(node, id, pair, ask, lease_s),
            Effect::AllowServiceUntil(until) => self.allow_service(node, until),
            Effect::StartService { term, .. } => {
                self.start_service(node, term);
            }
            Effect::StopService { grace_ms, .. } => self.stop_service(node, grace_ms),
            Effect::RunTakeoverChecks => {
                let ok = !self.nodes[node].checks_fail;
                let input = Input::TakeoverChecked(vec![CheckResult {
                    target: "tcp gateway:1".into(),
                    ok,
                    message: String::new(),
                }]);
                self.later((1, 300), What::Input { node, incarnation, input: Box::new(input) });
            }
            Effect::RunFence { .. } => {
                let (ok, span_ms) = (!self.nodes[node].fence_fails, self.nodes[node].fence_ms);
                self.nodes[node].fenced += 1;
                let input = Input::Fenced { ok, output: String::new() };
                self.later((span_ms, span_ms), What::Input { node, incarnation, input: Box::new(input) });
            }
            Effect::WriteSettings(patch) => self.later((1, 30), What::Settings { node, incarnation, patch }),
            _ => {}
        }
    }
}

/// Which history a push carries.
fn pushed(push: &Push) -> usize {
    u64::from_be_bytes(push.payload[..8].try_into().unwrap()) as usize
}
