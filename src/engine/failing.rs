//! A service that does not stay up: past its restart limit it is handed to a READY shadow, once (spec 7.13, 7.7). And one
//! that its watchdog stopped: nobody starts it but this engine, after a fresh round with its peer (7.12).

use super::base::{Millis, Reason, Role};
use super::core::Engine;
use super::event::{EventKind, Severity};
use super::message::OfferKind;
use super::status::ServiceStatus;
use super::work::StartFor;

/// Most failed starts remembered, whatever the restart limit.
const STARTS_MAX: usize = 101;

/// What is known of a failing service.
#[derive(Clone, Debug, Default)]
pub(super) struct Failing {
    /// It fails now; why.
    why: Option<String>,
    /// It was handed over for that, or that was tried, then.
    tried: Option<Millis>,
    /// The role came here because it failed on the other side, then.
    received: Option<Millis>,
    /// Starts that failed.
    starts: Vec<Millis>,
}

impl Engine {
    /// The supervisor has seen it end more often than the restart limit allows.
    pub(super) fn service_keeps_failing(&mut self, status: ServiceStatus) {
        let why = status.message.clone().unwrap_or_else(|| "it ends again and again".into());
        self.service = status;
        self.begin_failing(why);
    }

    /// A start failed. They count as ends do.
    pub(super) fn start_failed_again(&mut self, why: &str) {
        let (limit, window_ms) = self.restart_limit();
        let now = self.now.mono;
        let starts = &mut self.failing.starts;
        starts.retain(|at| now.since(*at) <= window_ms);
        if starts.len() >= STARTS_MAX {
            starts.remove(0);
        }
        starts.push(now);
        let count = starts.len();
        if limit > 0 && count > limit {
            self.begin_failing(format!("it could not be started, {count} times of late; {why}"));
        }
    }

    fn restart_limit(&self) -> (usize, u64) {
        let service = &self.settings.service;
        (usize::try_from(service.restart_limit).unwrap_or(usize::MAX), service.restart_window)
    }

    fn begin_failing(&mut self, why: String) {
        if self.failing.why.is_none() {
            self.note(EventKind::Service, Severity::Error, format!("failing: {why}"));
        }
        self.hold_alert("V-004", "", &why);
        self.failing.why = Some(why);
        self.hand_failing_over();
    }

    /// It runs as it should, or is not wanted here any more.
    pub(super) fn failing_over(&mut self) {
        self.failing.why = None;
        self.failing.starts.clear();
        for code in ["V-004", "V-005"] {
            self.settle(code, "");
        }
    }

    /// The role was offered to this instance because the service failed over there.
    pub(super) fn received_failing(&mut self) {
        self.failing.received = Some(self.now.mono);
    }

    /// After a restart nothing is remembered but the reason of the role: the window counts anew, which is the careful side.
    pub(super) fn failing_at_start(&mut self) {
        let is_received = self
            .durable
            .last_role_change
            .as_ref()
            .is_some_and(|change| change.reason == Reason::ServiceFailed && change.from == Some(Role::Shadow));
        if is_received && self.is_master() {
            self.received_failing();
        }
    }

    /// Gives the role to the shadow if it can take it. Asked again with every health check while the service fails.
    pub(super) fn hand_failing_over(&mut self) {
        if self.failing.why.is_none() || !self.is_active() || self.handover.is_some() || self.leaving.is_some() {
            return;
        }
        if let Some(why) = self.why_failing_stays() {
            return self.hold_alert("V-005", "", &why);
        }
        self.settle("V-005", "");
        self.failing.tried = Some(self.now.mono);
        let text = format!("handing the role to {}, because the service keeps failing here", self.peer_name());
        self.note(EventKind::Role, Severity::Warning, text);
        self.begin_handover(OfferKind::Failing, None);
    }

    /// Two machines on which it fails must not throw it at each other: once in a window is enough.
    fn why_failing_stays(&self) -> Option<String> {
        let (_, window_ms) = self.restart_limit();
        let is_recent = |at: Option<Millis>| at.is_some_and(|at| self.now.mono.since(at) <= window_ms);
        let name = self.peer_name();
        if self.peer().is_none() {
            return Some("there is no shadow".into());
        }
        if is_recent(self.failing.received) {
            return Some(format!("it came here a while ago because it failed on {name} too"));
        }
        if is_recent(self.failing.tried) {
            return Some(format!("that was tried a while ago, and {name} did not keep it"));
        }
        if self.pause.until.is_some() {
            return Some("takeovers are suspended".into());
        }
        let failed = self.switch_checks().into_iter().find(|check| !check.ok)?;
        Some(format!("{}: {}", failed.target, failed.message))
    }

    /// Its watchdog stopped it: this instance had stalled, or its entitlement had run out. Whoever took over meanwhile must
    /// be heard before it is started again (spec 7.12).
    pub(super) fn service_expired(&mut self, status: ServiceStatus) {
        let why = status.message.clone().unwrap_or_else(|| "stopped by its watchdog".into());
        self.service = status;
        self.note(EventKind::Service, Severity::Error, why.clone());
        self.hold_alert("V-006", "", &why);
        let is_asked = self.work.starting.is_some() || self.work.stopping.is_some() || self.handover.is_some();
        if is_asked || !self.is_active() || self.leaving.is_some() {
            // What is under way has an answer of its own.
            return;
        }
        if !self.durable.may_take_over || self.peer().is_none() {
            return self.start_service(StartFor::Again, Reason::Start);
        }
        let name = self.peer_name();
        self.begin_hold(&format!("the watchdog had stopped the service; asking {name} whether it has taken over"));
        if let Some(link) = self.reign.shadow {
            self.ask_over(link);
        }
    }

    /// What a change of state says beside the state: health, binding.
    pub(super) fn service_seen(&mut self) {
        let health = self.service.health.clone().filter(|health| health.is_bad());
        match health {
            Some(health) => {
                let why = format!("{}: {}", health.target, health.message.unwrap_or_default());
                self.hold_alert("V-007", "", &why);
            }
            None if self.service.health.as_ref().is_some_and(|health| health.state == "passing") => {
                self.settle("V-007", "");
            }
            None => {}
        }
        if self.service.bound == Some(false) && self.service.state == "running" {
            let why = format!("{} would outlive a Standin that is killed", self.service.name);
            self.hold_alert("V-008", "", &why);
        } else if self.service.bound != Some(false) {
            self.settle("V-008", "");
        }
        if self.service.state == "running" && !self.service.failing && self.failing.starts.is_empty() {
            self.failing_over();
        }
    }
}
