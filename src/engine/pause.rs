//! No takeovers for a while: maintenance, and a restart of the master (spec 7.9).

use serde::{Deserialize, Serialize};

use super::base::{LinkId, Millis, UnixMillis};
use super::core::Engine;
use super::durable::Durable;
use super::event::{EventKind, Severity};
use super::faults::{Fault, breaks};
use super::message::{Body, PauseKind};
use super::stop::PAUSE_ANSWER_MS;
use super::then::Then;
use super::timers::Timer;

/// The alert before the end comes so early, ms.
const WARN_BEFORE_MS: u64 = 300_000;
/// Longest pause, ms.
pub(super) const PAUSE_MAX_MS: u64 = 7 * 86_400_000;

/// Ends that differ by less are the same: what is told is some moments old, ms.
const SAME_END_MS: u64 = 1_000;

/// The pause in force, and one asked for.
#[derive(Clone, Debug)]
pub(super) struct Pause {
    pub until: Option<Millis>,
    pub until_wall: Option<UnixMillis>,
    pub kind: PauseKind,
    /// End of the maintenance that a longer pause, for a restart of the master, covers.
    pub covered: Option<Millis>,
    asked: Option<(u64, u64)>,
    /// Read from the disk at the start of this run: as if it had just begun. The other side knows its end better.
    is_guess: bool,
    /// Refused or ended here when the other side could not hear it: what that says of it when it is back does not count.
    is_overruled: bool,
}

impl Default for Pause {
    fn default() -> Self {
        Self {
            until: None,
            until_wall: None,
            kind: PauseKind::Maintenance,
            covered: None,
            asked: None,
            is_guess: false,
            is_overruled: false,
        }
    }
}

/// As the record has it: it is in force again after a restart (spec 7.9). How long it was is kept and not its end, because wall
/// time decides nothing (spec 7.12): it counts from the restart until the other side tells how much is left.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NotedPause {
    /// Why.
    pub kind: PauseKind,
    /// How long it is at most, ms.
    pub for_ms: u64,
}

/// A pause that begins once it is on the disk, and who waits for that.
#[derive(Clone, Copy, Debug)]
pub(super) struct NewPause {
    kind: PauseKind,
    for_ms: u64,
    /// The other side asked for it over this connection.
    asked_over: Option<LinkId>,
    /// An operator did here, and the other side has it.
    order: Option<u64>,
}

impl Engine {
    /// `ha maintenance`: needs the other side's acknowledgement.
    pub(super) fn maintenance(&mut self, id: u64, for_ms: u64) {
        let link = self.pause_link();
        if for_ms == 0 && self.pause.until.is_some() && link.is_none() {
            self.end_pause("ended by an operator");
            self.pause.is_overruled = true;
            let text = "maintenance ended here; the other side ends it when it is connected, or at its time";
            return self.done(id, text);
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

    fn pause_link(&self) -> Option<LinkId> {
        self.reign.shadow.or(self.watch.link.filter(|_| self.watch.attached))
    }

    /// The other side pauses; so does this one, and says so when it is on the disk.
    pub(super) fn pause_came(&mut self, id: LinkId, for_ms: u64, kind: PauseKind) {
        let is_current = self.watch.link == Some(id) || self.reign.shadow == Some(id);
        // What is over here ends there with the next answer to a check. Of two orders at one moment the master's counts; and
        // no other takes the place of the pause for its restart.
        let is_settling = self.pause.is_overruled || self.pause.asked.is_some() || self.leaving.is_some();
        if !is_current || self.is_master() && is_settling {
            return;
        }
        if let Some((order, _)) = self.pause.asked.take() {
            self.timers.clear(Timer::PauseLimit);
            let why = format!("{} was told something else at the same moment", self.peer_name());
            self.refuse(order, "no maintenance", why, "See what is in force now, then try again");
        }
        if for_ms == 0 {
            self.end_pause("ended by an operator");
            return self.send(id, Body::PauseHeard { for_ms, kind });
        }
        if kind == PauseKind::Restart && self.maintenance_left() >= for_ms {
            // The longer one goes on, whether the master comes back in time or not.
            return self.send(id, Body::PauseHeard { for_ms, kind });
        }
        self.note_pause(NewPause { kind, for_ms, asked_over: Some(id), order: None });
    }

    pub(super) fn pause_heard(&mut self, for_ms: u64, kind: PauseKind) {
        if kind == PauseKind::Restart {
            return self.restart_pause_heard();
        }
        let Some((order, _)) = self.pause.asked.take_if(|(_, asked)| *asked == for_ms) else { return };
        self.timers.clear(Timer::PauseLimit);
        if for_ms == 0 {
            self.end_pause("ended by an operator");
            return self.done(order, "maintenance ended");
        }
        self.note_pause(NewPause { kind, for_ms, asked_over: None, order: Some(order) });
    }

    /// Refused: should the other side hear of it all the same, it takes it back.
    pub(super) fn pause_not_heard(&mut self) {
        if let Some((order, _)) = self.pause.asked.take() {
            let why = format!("{} did not acknowledge it", self.peer_name());
            self.refuse(order, "no maintenance", why, "Look after the link, then try again");
            self.take_pause_back();
        }
    }

    /// The other side may have what is refused here. A shadow follows the answers to its checks; a master has to be told.
    fn take_pause_back(&mut self) {
        match self.watch.link.filter(|_| self.watch.attached) {
            Some(link) => {
                let for_ms = self.maintenance_left();
                self.send(link, Body::Pause { for_ms, kind: PauseKind::Maintenance });
            }
            None => self.pause.is_overruled = self.pause.until.is_none(),
        }
    }

    /// On the disk before it counts for anybody.
    fn note_pause(&mut self, new: NewPause) {
        let new = NewPause { for_ms: new.for_ms.min(PAUSE_MAX_MS), ..new };
        let noted = NotedPause { kind: new.kind, for_ms: new.for_ms };
        let draft = Durable { pause: Some(noted), ..self.draft() };
        self.write(draft, Then::Paused(new));
    }

    /// It is on the disk.
    pub(super) fn pause_noted(&mut self, new: NewPause) {
        self.begin_pause(new.for_ms, new.kind);
        if let Some(link) = new.asked_over {
            self.send(link, Body::PauseHeard { for_ms: new.for_ms, kind: new.kind });
        }
        if let (Some(order), Some(until)) = (new.order, self.pause.until_wall) {
            self.done(order, format!("no takeovers until {}", until.rfc3339(0)));
        }
    }

    /// It is not on the disk: it is not acknowledged. What the master told holds for this run all the same.
    pub(super) fn pause_not_noted(&mut self, new: NewPause, why: String) {
        if let Some(order) = new.order {
            self.refuse(order, "no maintenance", why, "Free space or repair the disk, then try again");
            self.take_pause_back();
        } else if new.asked_over.is_none() {
            self.begin_pause(new.for_ms, new.kind);
        }
    }

    /// A pause of an earlier run: of one that was master, only what an operator ordered.
    pub(super) fn pause_at_start(&mut self) {
        let Some(noted) = self.durable.pause.filter(|_| self.peer().is_some()) else { return };
        if (noted.kind == PauseKind::Maintenance || self.is_shadow()) && !breaks(Fault::ForgetsPause) {
            self.begin_pause(noted.for_ms, noted.kind);
            self.pause.is_guess = true;
        }
    }

    /// A master tells its shadow with every answer how much of a maintenance is left; none: that is not settled.
    pub(super) fn pause_to_tell(&mut self) -> Option<u64> {
        if self.pause.asked.is_some() || self.leaving.is_some() || self.is_noting_pause() {
            return None;
        }
        self.pause.is_overruled = false;
        Some(self.maintenance_left())
    }

    /// A pause is on its way to the disk. Other writes do not matter: with a full disk there is always one.
    fn is_noting_pause(&self) -> bool {
        self.drafted().pause != self.durable.pause
    }

    fn maintenance_left(&self) -> u64 {
        let until = self.pause.until.filter(|_| self.pause.kind == PauseKind::Maintenance);
        until.map_or(0, |until| until.since(self.now.mono).max(1))
    }

    /// What the master has counts here too: both show it all the while (spec 7.9), whatever got lost on the way.
    pub(super) fn pause_told(&mut self, left_ms: Option<u64>) {
        let is_settled = self.pause.asked.is_none() && !self.is_noting_pause();
        let Some(left_ms) = left_ms.filter(|_| is_settled && !breaks(Fault::PausesAlone)) else { return };
        let own_ms = self.pause.until.map(|until| until.since(self.now.mono));
        let is_same_kind = self.pause.kind == PauseKind::Maintenance;
        match own_ms {
            Some(_) if left_ms == 0 => self.end_pause("there is none on the master"),
            Some(own_ms) if is_same_kind && own_ms.abs_diff(left_ms) <= SAME_END_MS => self.pause.is_guess = false,
            Some(own_ms) if is_same_kind && left_ms <= own_ms => self.set_pause_end(left_ms),
            None if left_ms <= SAME_END_MS => {}
            _ => {
                let kind = PauseKind::Maintenance;
                self.note_pause(NewPause { kind, for_ms: left_ms, asked_over: None, order: None });
            }
        }
    }

    /// A pause that both must show goes on after a new attachment.
    pub(super) fn announce_pause(&mut self, id: LinkId) {
        let is_maintenance = self.pause.kind == PauseKind::Maintenance;
        if std::mem::take(&mut self.pause.is_overruled) {
            self.send(id, Body::Pause { for_ms: 0, kind: PauseKind::Maintenance });
        } else if self.pause.until.is_some() && !is_maintenance {
            self.end_restart_pause("the master is back");
        } else if self.pause.until.is_some() && !self.pause.is_guess {
            let for_ms = self.maintenance_left();
            self.send(id, Body::Pause { for_ms, kind: PauseKind::Maintenance });
        }
    }

    /// The master is back, or this instance is it. A maintenance that was covered goes on to its own end (spec 7.9).
    pub(super) fn end_restart_pause(&mut self, why: &str) {
        if self.pause.kind != PauseKind::Restart {
            return;
        }
        match self.pause.covered.map_or(0, |until| until.since(self.now.mono)) {
            0 => self.end_pause(why),
            for_ms => {
                let kind = PauseKind::Maintenance;
                self.note_pause(NewPause { kind, for_ms, asked_over: None, order: None });
            }
        }
    }

    fn begin_pause(&mut self, for_ms: u64, kind: PauseKind) {
        let maintenance = self.pause.until.filter(|_| self.pause.kind == PauseKind::Maintenance);
        self.pause.covered = maintenance.or(self.pause.covered).filter(|_| kind == PauseKind::Restart);
        self.pause.kind = kind;
        self.set_pause_end(for_ms);
        self.settle("H-017", "");
        let until = self.pause.until_wall.map_or(String::new(), |until| until.rfc3339(0));
        self.note(EventKind::Role, Severity::Warning, format!("no takeovers until {until}"));
    }

    fn set_pause_end(&mut self, for_ms: u64) {
        let wall = UnixMillis(self.now.wall.0.saturating_add(i64::try_from(for_ms).unwrap_or(i64::MAX)));
        self.pause.until = Some(self.after(for_ms));
        self.pause.until_wall = Some(wall);
        self.pause.is_guess = false;
        self.pause.is_overruled = false;
        self.timers.set(Timer::PauseEnd, self.after(for_ms));
        self.timers.clear(Timer::PauseWarn);
        if self.pause.kind == PauseKind::Maintenance && for_ms > WARN_BEFORE_MS {
            self.timers.set(Timer::PauseWarn, self.after(for_ms - WARN_BEFORE_MS));
        }
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
        self.pause.covered = None;
        if self.drafted().pause.is_some() {
            let draft = Durable { pause: None, ..self.draft() };
            self.write(draft, Then::Nothing);
        }
        self.timers.clear(Timer::PauseEnd);
        self.timers.clear(Timer::PauseWarn);
        self.settle("H-017", "");
        self.note(EventKind::Role, Severity::Warning, format!("takeovers are possible again: {why}"));
        self.count_anew(0, "takeovers were suspended until then");
        self.checks.begun = None;
    }
}
