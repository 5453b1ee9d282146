//! A change of roles, step by step: what it does now, how long it is expected to take, ending it before it is too late, and
//! the timeline that explains it afterwards (spec 7.7).

use super::base::Role;
use super::core::Engine;
use super::event::{EventKind, Severity};
use super::message::OfferKind;
use super::order::Actor;
use super::settings::table::seconds_text;
use super::status::{SwitchStatus, TimelineEntry};
use super::switch::Stage;
use super::timers::Timer;

/// Most steps kept of one change of roles.
const STEPS_MAX: usize = 32;

impl Engine {
    /// A new change of roles begins.
    pub(super) fn begin_steps(&mut self, text: impl Into<String>) {
        self.reign.steps.clear();
        self.step(text);
    }

    /// One more step is done, now.
    pub(super) fn step(&mut self, text: impl Into<String>) {
        if self.reign.steps.len() < STEPS_MAX {
            self.reign.steps.push(TimelineEntry { at: self.now.wall, text: text.into() });
        }
    }

    /// The service of this instance has stopped, within what.
    pub(super) fn step_stopped(&mut self) {
        if self.service.kind == "none" {
            // None has run here since Standin started.
            return self.step("no service was running here");
        }
        let took = self.service.stop_took_ms.map_or_else(String::new, |ms| format!(", it took {ms} ms"));
        self.step(format!("service stopped{took}"));
    }

    /// How the role was given away, for the notice of the new shadow.
    pub(super) fn giving_timeline(&self, why: &str) -> Vec<TimelineEntry> {
        let mut timeline = self.reign.steps.clone();
        if !timeline.is_empty() {
            timeline.push(TimelineEntry { at: self.now.wall, text: why.to_owned() });
        }
        timeline
    }

    /// What a switch does now, and whether it can still be ended.
    pub(super) fn switch_status(&self) -> Option<SwitchStatus> {
        let peer = self.peer_name();
        if self.reign.switch_wait.is_some() && self.handover.is_none() {
            return Some(SwitchStatus { step: format!("0 of 4: {peer} is not READY yet"), can_abort: true });
        }
        let handover = self.handover.as_ref().filter(|handover| handover.kind != OfferKind::Stop)?;
        let (step, can_abort) = match handover.stage {
            Stage::Syncing => (format!("1 of 4: changes are frozen, the last ones go to {peer}"), true),
            Stage::Stopping => ("2 of 4: the service is being stopped here".to_owned(), true),
            Stage::Resyncing => (format!("3 of 4: what the service wrote at its end goes to {peer}"), true),
            Stage::Offered => (format!("4 of 4: the role is offered to {peer}, which starts the service"), false),
        };
        Some(SwitchStatus { step, can_abort })
    }

    /// `ha switch --abort`: possible until the offer is on disk, because from then on the other one may have the role.
    pub(super) fn order_switch_abort(&mut self, id: u64, actor: &Actor) {
        let what = "the switch was not ended";
        if self.role() != Some(Role::Master) {
            return self.refuse(id, what, "this instance is not the master", "Give the order on the master");
        }
        let ended = format!("the switch was ended by {}; this instance stays master", actor.user);
        match self.handover.as_ref().map(|handover| (handover.kind, handover.stage)) {
            None => {
                let Some(waiting) = self.reign.switch_wait.take() else {
                    return self.refuse(id, what, "none is under way", "");
                };
                self.timers.clear(Timer::SwitchWait);
                self.refuse(waiting, "roles not switched", format!("{} ended the switch", actor.user), "");
                self.note(EventKind::Role, Severity::Warning, ended.clone());
                self.done(id, ended);
            }
            Some((OfferKind::Stop, _)) => {
                self.refuse(
                    id,
                    what,
                    "this is the hand-over of a planned stop",
                    "Start Standin again when it has ended",
                );
            }
            Some((_, Stage::Offered)) => {
                let why = format!("the offer to {} is on disk: it may have the role already", self.peer_name());
                self.refuse(id, what, why, "Wait for its answer, then switch back");
            }
            Some(_) => {
                self.note(EventKind::Role, Severity::Warning, ended.clone());
                self.handover_ended(&format!("{} ended it", actor.user));
                self.done(id, ended);
            }
        }
    }

    /// How long nobody runs the service during a switch, as far as this side knows; for the rehearsal.
    pub(super) fn expected_gap(&self) -> String {
        if self.facts.service_kind == "none" {
            return "There is no service: the gap is the hand-over alone, a few milliseconds".into();
        }
        let settings = self.in_force();
        let (grace_ms, start_ms) = (settings.high_availability.grace_period, settings.service.start_time);
        let start = format!("it counts as started {} after its start", seconds_text(start_ms));
        match self.service.stop_took_ms {
            Some(took_ms) => {
                let total = seconds_text(took_ms.saturating_add(start_ms));
                format!("Expected gap {total}: the last stop took {}, {start}", seconds_text(took_ms))
            }
            None => {
                let most = seconds_text(grace_ms.saturating_add(settings.service.stop_grace));
                format!("The service was not stopped yet: that may take up to {most}; {start}")
            }
        }
    }

    /// Of a new master: the steps since the role was on disk go into the timeline in place of what was foreseen.
    pub(super) fn with_steps(&self, mut timeline: Vec<TimelineEntry>) -> Vec<TimelineEntry> {
        if !self.reign.steps.is_empty() {
            timeline.retain(|entry| !entry.text.ends_with("on disk"));
            timeline.extend(self.reign.steps.iter().cloned());
        }
        timeline
    }
}
