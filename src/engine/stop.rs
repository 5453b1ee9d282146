//! Leaving: a planned stop, a disconnect, a reconnect (spec 4.4, 5.5, 7.9).

use super::base::{LinkId, LinkState, Reason, Role};
use super::core::Engine;
use super::durable::Durable;
use super::effect::Effect;
use super::event::{EventKind, Severity};
use super::master::Activity;
use super::message::{Body, FarewellKind, PauseKind};
use super::then::Then;
use super::timers::Timer;
use super::work::StopFor;

/// An offer at a planned stop is awaited so long (spec 7.9), ms.
const STOP_ANSWER_MS: u64 = 2_000;
/// A farewell is awaited so long, ms.
const FAREWELL_ANSWER_MS: u64 = 1_000;
/// The arbiter's answer to the release of the lease is awaited so long before the program ends; the lease ends by itself later.
const RELEASE_ANSWER_MS: u64 = 300;
/// Takeovers pause so long for a restart (`stop --keep-role`), ms.
const RESTART_PAUSE_MS: u64 = 120_000;
/// A pause must be acknowledged within, ms.
pub(super) const PAUSE_ANSWER_MS: u64 = 2_000;
/// The whole stop takes no longer than this beyond the service's own stop budget, ms.
const STOP_LIMIT_MS: u64 = 700_000;
/// For word of a role that was given back to reach the other end, ms.
const GIVEN_BACK_MS: u64 = 200;

/// A planned stop under way.
#[derive(Clone, Debug)]
pub(super) struct Leaving {
    pub orders: Vec<u64>,
    pub stage: LeaveStage,
    pub keep_role: bool,
    /// Say `Exit` as soon as nothing waits for the disk.
    pub is_done: bool,
    /// The lease is being given back: the answer is awaited until then (spec 7.11).
    pub release_until: Option<super::base::Millis>,
}

/// How far it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LeaveStage {
    /// The shadow is asked not to take over.
    Pausing,
    /// The service is being stopped.
    Stopping,
    /// The role is being handed over.
    HandingOver,
    /// A role that was on trial was given back: whoever offered it hears so.
    GivenBack,
    /// The master is told.
    Farewell,
    /// Everything is done.
    Done,
}

impl Engine {
    /// SIGTERM is `stop`.
    pub(super) fn terminate(&mut self) {
        self.note(EventKind::Program, Severity::Information, "asked to stop by a signal");
        self.begin_leave(None, false);
    }

    /// `stop`.
    pub(super) fn begin_leave(&mut self, order: Option<u64>, keep_role: bool) {
        if let Some(leaving) = &mut self.leaving {
            if let Some(order) = order.filter(|_| keep_role && !leaving.keep_role) {
                let why = "a stop that hands the role over is under way";
                return self.refuse(order, "the role is not kept", why, "");
            }
            leaving.orders.extend(order);
            return;
        }
        let stage = LeaveStage::Stopping;
        let orders: Vec<u64> = order.into_iter().collect();
        match self.role() {
            None => {
                self.leaving = Some(Leaving { orders, stage, keep_role, is_done: false, release_until: None });
                self.leave_now("no role");
            }
            Some(Role::Shadow) => {
                self.leaving = Some(Leaving {
                    orders,
                    stage: LeaveStage::Farewell,
                    keep_role,
                    is_done: false,
                    release_until: None,
                });
                self.cancel_dial();
                self.refuse_forced("this instance is stopping");
                match self.watch.link.filter(|_| self.watch.attached) {
                    Some(link) if self.has_arbiter() => {
                        // The arbiter could grant it the role at its next start: the promise is on disk before it is said.
                        let draft = Durable { own_promise: Some(FarewellKind::Stop), ..self.draft() };
                        self.write(draft, Then::StopPromised { link });
                    }
                    Some(link) => self.say_farewell(link),
                    None => self.leave_now("no master is connected"),
                }
            }
            Some(Role::Master) => self.begin_leave_master(orders, keep_role),
        }
    }

    /// Tells the master that this shadow stops.
    pub(super) fn say_farewell(&mut self, link: LinkId) {
        self.send(link, Body::Farewell { kind: FarewellKind::Stop });
        self.timers.set(Timer::Leave, self.after(FAREWELL_ANSWER_MS));
    }

    fn begin_leave_master(&mut self, orders: Vec<u64>, keep_role: bool) {
        if keep_role && self.drafted().offer.is_some() {
            // Whoever was offered it does not pause, and would take over from the one that is gone (spec 7.7).
            let why = format!("the role was offered to {}, which may have it already", self.peer_name());
            for order in orders {
                self.refuse(
                    order,
                    "not stopped",
                    why.clone(),
                    "Wait until the switch is over, or `stop` without --keep-role",
                );
            }
            return;
        }
        if self.handover.is_some() && self.durable.offer.is_none() {
            self.handover_ended("this instance is stopping");
        }
        if !self.work.is_role_sure() {
            return self.leave_on_trial(orders, keep_role);
        }
        if !keep_role || !self.durable.may_take_over {
            self.leaving =
                Some(Leaving { orders, stage: LeaveStage::Stopping, keep_role, is_done: false, release_until: None });
            return self.leave_stop();
        }
        let Some(link) = self.reign.shadow else {
            let why = format!("{} does not answer, and would take over", self.peer_name());
            for order in orders {
                self.refuse(order, "not stopped", why.clone(), "`stop` without --keep-role hands nothing over either");
            }
            return;
        };
        self.leaving =
            Some(Leaving { orders, stage: LeaveStage::Pausing, keep_role, is_done: false, release_until: None });
        self.send(link, Body::Pause { for_ms: RESTART_PAUSE_MS, kind: PauseKind::Restart });
        self.timers.set(Timer::Leave, self.after(PAUSE_ANSWER_MS));
    }

    /// The offered role was taken, and whoever offered it waits for word of the service: it goes on instead (spec 7.7, 7.9).
    fn leave_on_trial(&mut self, orders: Vec<u64>, keep_role: bool) {
        let stage = LeaveStage::Stopping;
        self.leaving = Some(Leaving { orders, stage, keep_role, is_done: false, release_until: None });
        self.timers.set(Timer::Leave, self.after(STOP_LIMIT_MS));
        if self.work.starting.is_some() {
            self.give_back_for(format!("{} is being stopped", self.in_force().host));
        }
    }

    /// It is given back on disk, and was said; the connection ends with the program.
    pub(super) fn leave_given_back(&mut self) {
        if let Some(leaving) = self.leaving.as_mut().filter(|leaving| leaving.stage == LeaveStage::Stopping) {
            leaving.stage = LeaveStage::GivenBack;
            self.timers.set(Timer::Leave, self.after(GIVEN_BACK_MS));
        }
    }

    /// The service first (spec 7.9).
    fn leave_stop(&mut self) {
        if let Some(leaving) = &mut self.leaving {
            leaving.stage = LeaveStage::Stopping;
        }
        self.reign.frozen = true;
        self.timers.set(Timer::Leave, self.after(STOP_LIMIT_MS));
        self.stop_service(StopFor::Leave, 0, Reason::Stop);
    }

    /// Then the role, if the shadow can take it.
    pub(super) fn leave_stopped(&mut self) {
        let Some(leaving) = &mut self.leaving else { return };
        let can_take = self.reign.activity == Activity::Active
            && self.reign.shadow.is_some()
            && self.reign.peer_ready
            && self.durable.may_take_over
            && !leaving.keep_role;
        if can_take {
            leaving.stage = LeaveStage::HandingOver;
            self.timers.set(Timer::Leave, self.after(2 * STOP_ANSWER_MS));
            self.hand_over_at_stop();
        } else {
            if !leaving.keep_role && self.durable.offer.is_none() {
                self.release_vote();
            }
            self.leave_now("nothing to hand over");
        }
    }

    /// A step of the stop was not answered in time.
    pub(super) fn leave_due(&mut self) {
        let Some(leaving) = &mut self.leaving else { return };
        if leaving.stage != LeaveStage::Pausing {
            let is_given_back = leaving.stage == LeaveStage::GivenBack;
            return self.leave_now(if is_given_back { "the role was given back" } else { "not answered in time" });
        }
        let orders = std::mem::take(&mut leaving.orders);
        self.leaving = None;
        let why = format!("{} did not acknowledge the pause", self.peer_name());
        for order in orders {
            self.refuse(order, "not stopped", why.clone(), "Try again, or `stop` without --keep-role");
        }
    }

    /// Ends the program as soon as nothing waits for the disk.
    pub(super) fn leave_now(&mut self, why: &str) {
        let Some(leaving) = &mut self.leaving else { return };
        if leaving.is_done {
            return;
        }
        leaving.is_done = true;
        leaving.stage = LeaveStage::Done;
        self.timers.clear(Timer::Leave);
        self.note(EventKind::Program, Severity::Information, format!("stopped: {why}"));
    }

    /// The program ends now.
    pub(super) fn plan_leave(&mut self) {
        if !self.is_settled_on_disk() || self.leaving.as_ref().is_none_or(|leaving| !leaving.is_done) {
            return;
        }
        if self.is_releasing() {
            let now = self.now.mono;
            let Some(leaving) = &mut self.leaving else { return };
            let until = *leaving.release_until.get_or_insert(now.plus(RELEASE_ANSWER_MS));
            if until > now && leaving.stage == LeaveStage::Done {
                self.timers.set(Timer::Leave, until);
                return;
            }
        }
        let orders = self.leaving.as_mut().map(|leaving| std::mem::take(&mut leaving.orders)).unwrap_or_default();
        for order in orders {
            self.done(order, "stopped");
        }
        if self.leaving.as_ref().is_some_and(|leaving| leaving.stage == LeaveStage::Done) {
            self.out.push(Effect::Exit);
            // Once is enough.
            if let Some(leaving) = &mut self.leaving {
                leaving.stage = LeaveStage::Stopping;
                leaving.is_done = true;
            }
        }
    }

    /// The pause for the restart is in force.
    pub(super) fn restart_pause_heard(&mut self) {
        if self.leaving.as_ref().is_some_and(|leaving| leaving.stage == LeaveStage::Pausing) {
            self.leave_stop();
        }
    }

    pub(super) fn leave_link_gone(&mut self, id: LinkId) {
        let _ = id;
        if self.leaving.as_ref().is_some_and(|leaving| leaving.stage == LeaveStage::Farewell)
            && self.watch.link.is_none()
        {
            self.leave_now("the master is gone");
        }
    }

    /// A shadow has no outgoing connection but the one of the checks, and the one to say goodbye for good.
    pub(super) fn leave_welcomed(&mut self, id: LinkId) {
        if !self.parting_welcomed(id) {
            self.close(id, "not needed");
        }
    }

    /// The master has the promise on its disk.
    pub(super) fn farewell_heard(&mut self) {
        if self.leaving.as_ref().is_some_and(|leaving| leaving.stage == LeaveStage::Farewell) {
            self.leave_now("the master knows");
        } else if !self.parted() && self.watch.state == Some(LinkState::Disconnecting) {
            self.disconnected();
        }
    }

    /// `shadow disconnect`: the promise is on disk before it is said (spec 4.4).
    pub(super) fn disconnect(&mut self, order: Option<u64>) {
        let draft = Durable {
            own_promise: Some(FarewellKind::Disconnect),
            connect_wanted: false,
            disconnected_since: Some(self.now.wall),
            ..self.draft()
        };
        self.write(draft, Then::Promised { order });
    }

    pub(super) fn promised(&mut self, order: Option<u64>) {
        self.cancel_dial();
        self.watch.lost = None;
        self.timers.clear(Timer::Takeover);
        self.timers.clear(Timer::Redial);
        self.settle("H-001", "");
        self.settle("H-012", "");
        let pending = std::mem::take(&mut self.watch.connecting);
        for id in pending {
            self.refuse(id, "not connected", "disconnected by an operator", "");
        }
        match self.watch.link.filter(|_| self.watch.attached) {
            Some(link) => {
                self.set_state(LinkState::Disconnecting, None);
                self.send(link, Body::Farewell { kind: FarewellKind::Disconnect });
                self.timers.set(Timer::Farewell, self.after(FAREWELL_ANSWER_MS));
            }
            None => self.disconnected(),
        }
        self.remind_now();
        if let Some(order) = order {
            self.done(order, "disconnected; this shadow does not take over until it is connected again");
        }
    }

    fn remind_now(&mut self) {
        let text = format!("since {}", self.now.wall.rfc3339(0));
        self.hold_alert("H-015", "", &text);
    }

    /// Nothing is connected any more.
    pub(super) fn disconnected(&mut self) {
        self.timers.clear(Timer::Farewell);
        self.set_state(LinkState::Disconnected, Some("disconnected by an operator".into()));
        if let Some(link) = self.watch.link {
            self.close(link, "disconnected by an operator");
        }
    }

    /// The master's operator says `disconnect`.
    pub(super) fn please_disconnect(&mut self, id: LinkId, by: &str) {
        if self.watch.link == Some(id) && self.watch.attached {
            let by: String = by.chars().take(100).collect();
            self.note_by(EventKind::Order, Severity::Information, "disconnect, asked on the master", Some(&by));
            self.disconnect(None);
        }
    }

    /// Either side's operator says `reconnect`.
    pub(super) fn please_reconnect(&mut self, id: LinkId, by: &str) {
        let by: String = by.chars().take(100).collect();
        if self.watch.link == Some(id) && self.watch.attached {
            self.want_complete(None, by);
        }
    }

    pub(super) fn want_complete(&mut self, order: Option<u64>, by: String) {
        let draft = Durable { complete_wanted: true, ..self.draft() };
        self.write(draft, Then::CompleteWanted { order, by });
    }

    pub(super) fn reconnect_now(&mut self, order: Option<u64>, by: &str) {
        if !self.durable.connect_wanted {
            // An operator disconnects it at this moment, and that stands; the next attachment begins with the complete transfer.
            if let Some(order) = order {
                self.refuse(
                    order,
                    "not reconnected",
                    "this shadow is being disconnected",
                    "`shadow connect` connects it",
                );
            }
            return;
        }
        self.note_by(EventKind::Order, Severity::Information, "reconnecting with a complete transfer", Some(by));
        self.timers.clear(Timer::Redial);
        if let Some(link) = self.watch.link {
            // Not a loss: the operator wanted it, and the state says what goes on.
            self.set_state(LinkState::Handshake, Some("reconnecting with a complete transfer".into()));
            self.close(link, "reconnecting with a complete transfer");
            self.timers.clear(Timer::Redial);
        }
        if let Some(order) = order {
            self.done(order, "reconnecting with a complete transfer");
        }
    }
}
