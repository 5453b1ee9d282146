//! Whether the mirrored directory is what the newest revision says: on a shadow nothing is in sync before its disk was looked at,
//! nor while something that was changed there cannot be put back (spec 4.3, 4.5, 8.9).

use super::base::LinkState;
use super::core::Engine;
use super::effect::Effect;
use super::takeover::cut;

/// What a shadow knows of its own directory.
#[derive(Clone, Debug, Default)]
pub(super) struct Looks {
    /// Serial of the last look that was asked for.
    asked: u64,
    /// Serial of the look that begins this time as shadow: what came before it says nothing.
    first: u64,
    /// The newest look that has ended.
    ended: u64,
    /// Why what was found could not be put back.
    problem: Option<String>,
    /// Master: putting back what was changed before the takeover has failed and is still owed.
    is_owed: bool,
}

impl Looks {
    /// What decides: whether the first look has ended, whether another one is under way, whether something stands.
    pub fn flags(&self) -> [bool; 3] {
        [self.ended >= self.first, self.ended == self.asked, self.problem.is_some()]
    }
}

impl Engine {
    /// This instance is a shadow from now on: what its disk holds is not known (spec 4.5).
    pub(super) fn begin_to_look(&mut self) {
        self.looks.first = self.looks.asked + 1;
        self.looks.problem = None;
        self.looks.is_owed = false;
        self.look_for_drift();
    }

    /// A new master's directory could not be put back to what it mirrored (or is at last): it is owed beyond a restart, and no
    /// scan takes anything up before (spec 7.3).
    pub(super) fn drift_restored(&mut self, is_done: bool) {
        if !self.is_master() {
            return;
        }
        self.looks.is_owed = !is_done;
        let draft = self.draft();
        if draft.restore_due != self.drafted().restore_due {
            self.write(draft, super::then::Then::Nothing);
        }
    }

    /// See [`super::durable::Durable::restore_due`]; `was`: as the record has it.
    pub(super) fn owes_restore(&self, was: bool) -> bool {
        self.is_master() && self.looks.is_owed || was && !self.is_active()
    }

    /// Something may have changed in a shadow's directory.
    pub(super) fn look_for_drift(&mut self) {
        self.looks.asked += 1;
        let is_first = self.looks.asked == self.looks.first;
        self.out.push(Effect::LookForDrift { serial: self.looks.asked, is_first });
    }

    /// A look has ended. Those of an earlier time as shadow say nothing about this one.
    pub(super) fn looked(&mut self, serial: u64, problem: Option<String>) {
        if !self.is_shadow() || serial < self.looks.first {
            return;
        }
        let was_unlike = self.unlike();
        self.looks.ended = self.looks.ended.max(serial);
        self.looks.problem = problem;
        let Some(why) = self.unlike() else {
            if was_unlike.is_some() {
                self.watch.message.take_if(|message| Some(&*message) == was_unlike.as_ref());
                self.maybe_ready();
            }
            return;
        };
        match self.watch.state {
            Some(LinkState::Ready) => {
                self.set_state(LinkState::Handshake, Some(why));
                self.send_check();
            }
            Some(LinkState::Handshake | LinkState::Initsync) => self.watch.message = Some(why),
            _ => {}
        }
    }

    /// Shadow: why its directory cannot be said to be what its newest revision says; for people, and for the master.
    pub(super) fn unlike(&self) -> Option<String> {
        if !self.is_shadow() {
            return None;
        }
        if self.looks.ended < self.looks.first {
            return Some("its directory is still being compared with what it mirrors".into());
        }
        let mut why = format!("what was changed in its directory cannot be put back: {}", self.looks.problem.as_ref()?);
        cut(&mut why);
        Some(why)
    }

    /// Both directories are what the newest revision says, as far as this instance knows.
    pub(super) fn is_like_peer(&self) -> bool {
        if self.directory_problem.is_some() {
            return false;
        }
        if self.is_master() {
            return self.in_sync() && self.reign.peer_unlike.is_none() && !self.reign.is_silent;
        }
        let watch = &self.watch;
        let is_same = watch.attached && watch.master_head.is_some() && watch.master_head == self.head_id();
        is_same && self.unlike().is_none() && watch.master_directory.is_none()
    }

    /// Master: so many files are held back here now (spec 5.4).
    pub(super) fn held_told(&mut self, held: u64) {
        self.held = held;
    }

    /// What of the master's directory is not mirrored (spec 5.4, 8.9); none: all of it is.
    pub(super) fn held_problem(&self) -> Option<String> {
        let (held, place) = match self.is_master() {
            true => (self.held, "here".to_owned()),
            false => (self.watch.master_held, format!("on {}", self.peer_name())),
        };
        match held {
            0 => None,
            1 => Some(format!("1 file is held back {place}")),
            _ => Some(format!("{held} files are held back {place}")),
        }
    }
}
