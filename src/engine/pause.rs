//! No takeovers for a while: maintenance, and a restart of the master (spec 7.9).

use super::base::{LinkId, Millis, UnixMillis};
use super::core::Engine;
use super::event::{EventKind, Severity};
use super::message::{Body, PauseKind};
use super::stop::PAUSE_ANSWER_MS;
use super::timers::Timer;

/// The alert before the end comes so early, ms.
const WARN_BEFORE_MS: u64 = 300_000;
/// Longest pause, ms.
pub(super) const PAUSE_MAX_MS: u64 = 7 * 86_400_000;

/// The pause in force, and one asked for.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    pub until: Option<Millis>,
    pub until_wall: Option<UnixMillis>,
    pub kind: PauseKind,
    asked: Option<(u64, u64)>,
}

impl Default for Pause {
    fn default() -> Self {
        Self { until: None, until_wall: None, kind: PauseKind::Maintenance, asked: None }
    }
}

impl Engine {
    /// `ha maintenance`: needs the other side's acknowledgement.
    pub(super) fn maintenance(&mut self, id: u64, for_ms: u64) {
        let link = self.reign.shadow.or(self.watch.link.filter(|_| self.watch.attached));
        if for_ms == 0 && self.pause.until.is_some() && link.is_none() {
            self.end_pause("ended by an operator");
            return self.done(id, "maintenance ended here; the other side ends it at its time");
        }
        if for_ms == 0 && self.pause.until.is_none() {
            return self.refuse(id, "nothing to end", "no maintenance is going on", "");
        }
        let Some(link) = link else {
            let why = format!("{} is not connected, and must acknowledge it", self.peer_name());
            return self.refuse(id, "no maintenance", why, "Connect the two first");
        };
        if for_ms > PAUSE_MAX_MS {
            return self.refuse(id, "no maintenance", "it would last longer than 7 days", "Choose a shorter time");
        }
        if self.pause.asked.is_some() {
            return self.refuse(id, "no maintenance", "another request is not answered yet", "Try again");
        }
        self.pause.asked = Some((id, for_ms));
        self.timers.set(Timer::PauseLimit, self.after(PAUSE_ANSWER_MS));
        self.send(link, Body::Pause { for_ms, kind: PauseKind::Maintenance });
    }

    /// The other side pauses; so does this one.
    pub(super) fn pause_came(&mut self, id: LinkId, for_ms: u64, kind: PauseKind) {
        let is_current = self.watch.link == Some(id) || self.reign.shadow == Some(id);
        if !is_current {
            return;
        }
        self.begin_pause(for_ms.min(PAUSE_MAX_MS), kind);
        self.send(id, Body::PauseHeard { for_ms, kind });
    }

    pub(super) fn pause_heard(&mut self, for_ms: u64, kind: PauseKind) {
        if kind == PauseKind::Restart {
            return self.restart_pause_heard();
        }
        let Some((order, _)) = self.pause.asked.take_if(|(_, asked)| *asked == for_ms) else { return };
        self.timers.clear(Timer::PauseLimit);
        self.begin_pause(for_ms, kind);
        let text = match self.pause.until_wall {
            Some(until) => format!("no takeovers until {}", until.rfc3339(0)),
            None => "maintenance ended".into(),
        };
        self.done(order, text);
    }

    pub(super) fn pause_not_heard(&mut self) {
        if let Some((order, _)) = self.pause.asked.take() {
            let why = format!("{} did not acknowledge it", self.peer_name());
            self.refuse(order, "no maintenance", why, "Look after the link, then try again");
        }
    }

    fn begin_pause(&mut self, for_ms: u64, kind: PauseKind) {
        if for_ms == 0 {
            return self.end_pause("ended by an operator");
        }
        let wall = UnixMillis(self.now.wall.0.saturating_add(i64::try_from(for_ms).unwrap_or(i64::MAX)));
        self.pause.until = Some(self.after(for_ms));
        self.pause.until_wall = Some(wall);
        self.pause.kind = kind;
        self.timers.set(Timer::PauseEnd, self.after(for_ms));
        self.timers.clear(Timer::PauseWarn);
        if kind == PauseKind::Maintenance && for_ms > WARN_BEFORE_MS {
            self.timers.set(Timer::PauseWarn, self.after(for_ms - WARN_BEFORE_MS));
        }
        self.settle("H-017", "");
        self.note(EventKind::Role, Severity::Warning, format!("no takeovers until {}", wall.rfc3339(0)));
    }

    pub(super) fn pause_ends_soon(&mut self) {
        if let Some(until) = self.pause.until_wall {
            let why = format!("takeovers are possible again at {}", until.rfc3339(0));
            self.hold_alert("H-017", "", &why);
        }
    }

    /// Checks and the whole delay start anew (spec 7.9).
    pub(super) fn end_pause(&mut self, why: &str) {
        if self.pause.until.take().is_none() {
            return;
        }
        self.pause.until_wall = None;
        self.timers.clear(Timer::PauseEnd);
        self.timers.clear(Timer::PauseWarn);
        self.settle("H-017", "");
        self.note(EventKind::Role, Severity::Warning, format!("takeovers are possible again: {why}"));
        self.count_anew(0, "takeovers were suspended until then");
        self.checks.begun = None;
    }
}
