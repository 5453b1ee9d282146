//! The service: one start or stop at a time, and what goes on when it is done (spec 7.13).

use super::base::{Millis, Reason, Role};
use super::core::Engine;
use super::effect::{Effect, Hook};
use super::event::{EventKind, Severity};
use super::faults::{Fault, breaks};
use super::input::ServiceChange;
use super::settings::Service;
use super::status::{ServiceStatus, TimelineEntry};
use super::timers::Timer;

/// A start or stop that failed is tried again after so long, ms.
const SERVICE_RETRY_MS: u64 = 5_000;

/// Why the service is being started.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StartFor {
    /// This instance has become, or goes on as, the active one.
    NewMaster,
    /// An offer was taken: the other one waits for the outcome (spec 7.7).
    Offer,
    /// A hand-over did not come about.
    Again,
}

/// Why it is being stopped.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum StopFor {
    /// Hand-over.
    Handover,
    /// Becoming shadow.
    GiveWay,
    /// Planned stop.
    Leave,
    /// An offered role is given back.
    GiveBack,
    /// Two masters with one term.
    Halt,
    /// Nobody confirms it, or it is cut off (spec 7.10, 7.11).
    Isolated,
}

/// The one operation on the service that is under way.
#[derive(Clone, Debug, Default)]
pub(super) struct ServiceWork {
    pub starting: Option<(StartFor, Reason)>,
    pub stopping: Option<(StopFor, u64, Reason)>,
    /// A stop failed; it is tried again.
    pub stuck: bool,
    /// Its settings have changed since its start was asked for: they count from the next start on.
    pub is_outdated: bool,
    /// When the stop under way began, its grace counted off; ahead: it may still end in peace until then.
    pub stop_began: Option<Millis>,
    /// How long the last stop took, ms.
    pub stop_took_ms: Option<u64>,
}

impl ServiceWork {
    /// The role is not on trial: an offered one was taken for good.
    pub fn is_role_sure(&self) -> bool {
        !matches!(self.starting, Some((StartFor::Offer, _))) && !matches!(self.stopping, Some((StopFor::GiveBack, ..)))
    }
}

impl Engine {
    pub(super) fn start_service(&mut self, purpose: StartFor, reason: Reason) {
        let is_leaving = |leaving: &super::stop::Leaving| leaving.stage != super::stop::LeaveStage::Pausing;
        if self.leaving.as_ref().is_some_and(is_leaving) {
            // A planned stop has the last word; it stops what may run.
            return;
        }
        self.timers.clear(Timer::ServiceRetry);
        self.work.stopping = None;
        self.work.starting = Some((purpose, reason));
        self.work.is_outdated = false;
        self.allow_service();
        self.out.push(Effect::StartService { term: self.durable.term, reason });
    }

    /// Stops it; asked again while it stops, the newer purpose counts, and the shorter time to end in peace: whoever has to be
    /// stopped at once does not run out what a switch gave it (spec 2.4, 7.6, 7.11).
    pub(super) fn stop_service(&mut self, purpose: StopFor, grace_ms: u64, reason: Reason) {
        self.timers.clear(Timer::ServiceRetry);
        self.work.starting = None;
        let is_stopping = self.work.stopping.is_some() && !self.work.stuck;
        self.work.stopping = Some((purpose, grace_ms, reason));
        self.work.stuck = false;
        let begins = self.after(grace_ms);
        // Once it was told to end, being told again changes nothing.
        let is_sooner = self.work.stop_began.is_none_or(|earlier| earlier > begins);
        if !is_stopping || is_sooner && !breaks(Fault::RunsGraceOut) {
            self.work.stop_began = Some(begins);
            self.out.push(Effect::StopService { grace_ms, reason });
        }
    }

    /// In force at the next start of the service, which is now where none runs: one that lies failed is started with them,
    /// instead of again and again as it was, and so is the first one that is configured.
    pub(super) fn service_settings_changed(&mut self, old: &Service) {
        self.settings.service.kind().clone_into(&mut self.facts.service_kind);
        self.start_tried(None);
        // These two are in force at once.
        let (stop_grace, health) = (old.stop_grace, old.health.clone());
        let is_live = *old == (Service { stop_grace, health, ..self.settings.service.clone() });
        self.work.is_outdated |= !is_live;
        self.start_outdated();
    }

    /// Starts what is not running as it was configured since; asked whenever that may have become so.
    pub(super) fn start_outdated(&mut self) {
        let is_missing = self.service.kind == "none" && self.facts.service_kind != "none";
        let is_idle = self.work.starting.is_none() && self.work.stopping.is_none() && self.handover.is_none();
        let is_due = self.work.is_outdated && (is_missing || self.service.state == "failed");
        if is_due && is_idle && self.is_active() {
            self.note(EventKind::Service, Severity::Information, "started with the settings that are in force now");
            self.start_service(StartFor::Again, Reason::Start);
        }
    }

    pub(super) fn service_changed(&mut self, change: ServiceChange) {
        match change {
            ServiceChange::Changed(status) => self.service_moved(status),
            ServiceChange::Failing(status) => self.service_keeps_failing(status),
            ServiceChange::Expired(status) => self.service_expired(status),
            ServiceChange::Started(status) => {
                self.service = status;
                self.service_seen();
                if self.work.stopping.is_none()
                    && let Some((purpose, reason)) = self.work.starting.take()
                {
                    self.service_started(purpose, reason);
                }
                self.start_outdated();
            }
            ServiceChange::StartFailed(status) => {
                let why = status.message.clone().unwrap_or_else(|| "it ended at once".into());
                self.service = status;
                // The word of an earlier start may have been taken for this one's: whoever is active tries it again all the same.
                let again = self.is_active().then_some((StartFor::Again, Reason::Start));
                if self.work.stopping.is_none()
                    && let Some((purpose, reason)) = self.work.starting.or(again)
                {
                    self.service_not_started(purpose, reason, &why);
                }
            }
            ServiceChange::Stopped(status) => {
                self.service = status;
                self.work.stuck = false;
                self.stop_measured();
                for code in ["V-001", "V-002", "V-003", "V-007", "V-008"] {
                    self.settle(code, "");
                }
                self.failing_over();
                self.fence_not_needed();
                if let Some((purpose, ..)) = self.work.stopping.take() {
                    self.service_stopped(purpose);
                }
            }
            ServiceChange::StopFailed(status) => {
                let why = status.message.clone().unwrap_or_else(|| "it runs on after a kill".into());
                self.service = status;
                if let Some((purpose, ..)) = self.work.stopping {
                    self.service_not_stopped(purpose, &why);
                }
            }
        }
    }

    /// It ended by itself, or runs again (spec 6.5, service state). A crash loop stays one open alert, which counts the ends,
    /// each of them an event: what runs again is over only at the next health check.
    fn service_moved(&mut self, status: ServiceStatus) {
        let is_wanted = self.work.stopping.is_none() && self.work.starting.is_none() && self.is_active();
        if is_wanted && status.state == "failed" {
            let why = status.message.clone().unwrap_or_else(|| "it ended".into());
            if self.service.state == "failed" {
                // The same end, told with when it starts again.
                self.book.reword(self.now.wall, "V-002", "", &why, &mut self.out);
            } else {
                self.note(EventKind::Service, Severity::Warning, why.clone());
                self.book.raise(self.now.wall, "V-002", "", &why, &mut self.out);
            }
        }
        self.service = status;
        self.service_seen();
        // The guard would start again what it knows.
        self.start_outdated();
    }

    fn service_started(&mut self, purpose: StartFor, reason: Reason) {
        for code in ["V-001", "V-006"] {
            self.settle(code, "");
        }
        self.start_tried(None);
        if !self.service.failing {
            self.failing_over();
        }
        self.note(EventKind::Service, Severity::Information, format!("started, reason {}", reason.word()));
        if purpose == StartFor::Offer {
            self.offer_fulfilled();
        }
        self.timeline_started();
        if self.durable.restore_due && self.is_settled_on_disk() {
            let draft = self.draft();
            self.write(draft, super::then::Then::Nothing);
        }
        if self.is_active() {
            self.run_role_hook(Hook::BecomeMaster, reason);
        }
    }

    /// How long the stop took; longer than the budget breaks what the arbiter's promise rests on (spec 7.11).
    fn stop_measured(&mut self) {
        let Some(began) = self.work.stop_began.take() else { return };
        let took_ms = self.now.mono.since(began);
        self.work.stop_took_ms = Some(took_ms);
        let budget_ms = self.settings.arbiter.stop_budget;
        if self.settings.arbiter.is_set() && took_ms > budget_ms {
            let why = format!("the last stop took {took_ms} ms, the stop budget is {budget_ms} ms");
            self.hold_alert("V-020", "", &why);
        } else {
            self.settle("V-020", "");
        }
    }

    /// A stall may have outlived the time the guard was told: what it stopped is started again (spec 7.12).
    pub(super) fn service_after_stall(&mut self) {
        let is_idle = self.work.starting.is_none() && self.work.stopping.is_none();
        if is_idle && self.service.state == "stopped" && self.facts.service_kind != "none" {
            self.start_service(StartFor::Again, Reason::Start);
        }
    }

    pub(super) fn run_role_hook(&mut self, hook: Hook, reason: Reason) {
        let role = if hook == Hook::BecomeShadow { Role::Shadow } else { Role::Master };
        let revision = self.head_id();
        self.out.push(Effect::RunHook { hook, role, term: self.durable.term, reason, revision });
    }

    /// The last line of the notice: the service runs, and how long nobody ran it.
    fn timeline_started(&mut self) {
        let wall = self.now.wall;
        let Some(notice) = &self.durable.notice else { return };
        let is_new = notice.role == Role::Master
            && notice.term == self.durable.term
            && !notice.timeline.iter().any(|line| line.text.starts_with("service started"));
        if !is_new {
            return;
        }
        let first = notice.timeline.first().map_or(notice.at, |line| line.at);
        let gap_ms = wall.0.saturating_sub(first.0).max(0);
        // It counts as started when it has run so long, and that is part of the time.
        let proven = match self.settings.service.start_time {
            ms if ms > 0 && self.facts.service_kind == "command" => {
                format!(" and has run {ms} ms (service.start_time)")
            }
            _ => String::new(),
        };
        let mut draft = self.draft();
        if let Some(notice) = &mut draft.notice {
            let text = format!("service started{proven}; {gap_ms} ms since the last sign of the former master");
            notice.timeline = self.with_steps(std::mem::take(&mut notice.timeline));
            notice.timeline.push(TimelineEntry { at: wall, text });
        }
        self.write(draft, super::then::Then::ServiceStarted);
    }

    fn service_not_started(&mut self, purpose: StartFor, reason: Reason, why: &str) {
        self.note(EventKind::Service, Severity::Error, format!("could not be started: {why}"));
        self.start_tried(Some(why));
        if purpose == StartFor::Offer {
            self.give_back(why);
            return;
        }
        self.hold_alert("V-001", "", why);
        self.work.starting = Some((purpose, reason));
        self.timers.set(Timer::ServiceRetry, self.after(SERVICE_RETRY_MS));
        self.start_failed_again(why);
    }

    fn service_stopped(&mut self, purpose: StopFor) {
        self.note(EventKind::Service, Severity::Information, "stopped");
        match purpose {
            StopFor::Handover => self.handover_stopped(),
            StopFor::GiveWay => self.gave_way_stopped(),
            StopFor::Leave => self.leave_stopped(),
            StopFor::GiveBack => self.gave_back_stopped(),
            StopFor::Halt => {}
            StopFor::Isolated => self.isolation_stopped(),
        }
    }

    fn service_not_stopped(&mut self, purpose: StopFor, why: &str) {
        // Virtual addresses are withdrawn here too (spec 7.13, 7.14).
        self.hold_alert("V-003", "", why);
        let reason = self.work.stopping.map_or(Reason::Stop, |(_, _, reason)| reason);
        self.fence_after_failed_stop(reason);
        match purpose {
            // If it still runs a switch is abandoned (spec 7.13).
            StopFor::Handover => {
                self.work.stopping = None;
                self.handover_abort(&format!("the service does not stop: {why}"));
            }
            StopFor::Leave => {
                self.work.stopping = None;
                self.leave_now("the service does not stop");
            }
            StopFor::GiveWay | StopFor::GiveBack | StopFor::Halt | StopFor::Isolated => {
                self.work.stuck = true;
                self.timers.set(Timer::ServiceRetry, self.after(SERVICE_RETRY_MS));
            }
        }
    }

    /// A start or stop that failed is tried again.
    pub(super) fn service_retry(&mut self) {
        if let Some((purpose, grace_ms, reason)) = self.work.stopping {
            self.work.stuck = true;
            self.stop_service(purpose, grace_ms, reason);
        } else if let Some((purpose, reason)) = self.work.starting.filter(|_| self.is_active()) {
            self.start_service(purpose, reason);
        }
    }
}
