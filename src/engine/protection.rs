//! What happens if the active instance dies now (spec 8.9): never flatters.

use super::base::{Condition, LinkState, Role};
use super::core::Engine;
use super::master::Activity;
use super::message::PauseKind;
use super::status::Protection;

/// A service that nobody finds at its address (spec 7.14), or that did not start there, is not protected in full.
fn reduced_by((level, text): (Protection, String), problem: Option<String>) -> (Protection, String) {
    match problem {
        None => (level, text),
        Some(why) => (Protection::Reduced, format!("{text}; {why}")),
    }
}

impl Engine {
    /// With a sentence for the operator.
    pub(super) fn protection(&self) -> (Protection, String) {
        if self.pause.until.is_some() {
            let until = self.pause.until_wall.map_or(String::new(), |until| until.rfc3339(0));
            let what = if self.pause.kind == PauseKind::Maintenance { "maintenance" } else { "a restart" };
            return (Protection::Paused, format!("takeovers are suspended for {what} until {until}"));
        }
        let none = |text: String| (Protection::None, text);
        match self.role() {
            None => none("not set up".into()),
            Some(Role::Master) => self.master_protection().unwrap_or_else(none),
            Some(Role::Shadow) => self.shadow_protection().unwrap_or_else(none),
        }
    }

    fn master_protection(&self) -> Result<(Protection, String), String> {
        let name = self.peer_name();
        if !self.is_active() {
            return Err("this master is not active: if nobody else is, the service runs nowhere".into());
        }
        if self.peer().is_none() {
            return Err("there is no shadow: if this machine fails, the service is down".into());
        }
        if self.reign.shadow.is_none() && self.left_by_plan() {
            return Err(format!("{name} left by plan and does not take over"));
        }
        if self.reign.shadow.is_none() {
            return Err(format!("{name} is not connected"));
        }
        if self.reign.is_silent {
            return Err(format!("{name} is silent"));
        }
        if !self.reign.peer_ready {
            let why = self.reign.peer_unlike.as_ref().map_or(String::new(), |why| format!(": {why}"));
            return Err(format!("{name} is connected but not READY{why}"));
        }
        if !self.reign.peer_checks_pass {
            return Err(format!("the takeover checks of {name} fail: it would stay shadow"));
        }
        if let Some(why) = self.arbiter_mismatch() {
            return Err(format!("the two do not agree on the arbiter ({why}): nobody takes over"));
        }
        if let Some(why) = self.arbiter_problem() {
            return Err(format!("{why} this master: unless it answers {name}, nobody can take over"));
        }
        let their_service = self.reign.hello.as_ref().map_or("", |hello| hello.service.as_str());
        if their_service == "none" && self.facts.service_kind != "none" {
            return Err(format!("{name} has no service configured"));
        }
        if let Some(why) = self.ahead_problem() {
            return Err(format!("{name} could not start the service: {why}"));
        }
        let level = self.full_or_reduced(&name, self.head_number().saturating_sub(self.peer_number()), self.in_sync());
        let directory = self.directory_problem.as_ref();
        let level = reduced_by(level, self.peer_lacks_addresses());
        let level = reduced_by(level, self.start_problem());
        let level = reduced_by(level, self.held_problem());
        Ok(reduced_by(level, directory.map(|why| format!("changes here are not taken up: {why}"))))
    }

    fn shadow_protection(&self) -> Result<(Protection, String), String> {
        let name = self.peer_name();
        if let Some(why) = &self.directory_problem {
            return Err(format!("the mirrored directory of this shadow cannot be used: {why}"));
        }
        match self.watch.state {
            Some(LinkState::Ready) => {}
            Some(LinkState::Lost) => {
                return Err(match self.why_still_shadow() {
                    Some(why) => format!("the master does not answer, and this shadow stays shadow: {why}"),
                    None => {
                        let waits_for = self.takeover_waits_for().unwrap_or_else(|| match self.promise_runs_until() {
                            Some(_) => "delay and promise are over".into(),
                            None => "the delay is over".into(),
                        });
                        format!("the master does not answer; this shadow takes over when {waits_for}")
                    }
                });
            }
            _ => {
                let why = self.unlike().filter(|_| self.watch.attached);
                let plain = || "this shadow is not in sync with a master".to_owned();
                return Err(why.map_or_else(plain, |why| format!("this shadow is not READY: {why}")));
            }
        }
        let settings = self.in_force();
        if !self.checks.pass(&settings) {
            return Err("the takeover checks of this machine fail: it would stay shadow".into());
        }
        if let Some(why) = self.arbiter_mismatch() {
            return Err(format!("the two do not agree on the arbiter ({why}): nobody takes over"));
        }
        if let Some(why) = self.arbiter_problem() {
            return Err(format!("{why}: nobody can take over"));
        }
        let their_service = self.watch.master.as_ref().map_or("", |hello| hello.service.as_str());
        if self.facts.service_kind == "none" && their_service != "none" {
            return Err(format!("no service is configured here, and {name} has one"));
        }
        if let Some(why) = self.ahead_problem() {
            return Err(format!("the service could not be started here: {why}"));
        }
        let behind = self.peer_number().saturating_sub(self.head_number());
        let in_sync = self.watch.master_head.is_some() && self.watch.master_head == self.head_id();
        let level = reduced_by(self.full_or_reduced("this shadow", behind, in_sync), self.own_addresses_problem());
        let level = reduced_by(level, self.held_problem());
        let level = reduced_by(level, self.fence_problem());
        let theirs = self.watch.master_directory.as_ref();
        let level = reduced_by(level, theirs.map(|why| format!("changes on {name} are not taken up: {why}")));
        Ok(reduced_by(reduced_by(level, self.start_problem()), self.old_promise()))
    }

    /// Without it no takeover goes on where it is required (spec 7.13), and it failed when it was last needed.
    fn fence_problem(&self) -> Option<String> {
        let is_required = self.in_force().hooks.fence_required && self.book.holds("V-011", "");
        is_required.then(|| "its fence command, which a takeover requires, failed the last time".to_owned())
    }

    /// What was promised while there was an arbiter outlasts the takeover delay (spec 7.11).
    fn old_promise(&self) -> Option<String> {
        let left_ms = self.promise_runs_until().filter(|_| !self.has_arbiter())?.since(self.now.mono);
        (left_ms > self.takeover_delay_ms())
            .then(|| format!("not within the next {} s, which it promised to the master", left_ms.div_ceil(1_000)))
    }

    fn full_or_reduced(&self, who: &str, behind: u64, in_sync: bool) -> (Protection, String) {
        let timing = self.timing();
        let soonest_ms = self.takeover_delay_ms();
        let is_slow = soonest_ms > timing.takeover_delay_ms;
        let latest_ms = soonest_ms + timing.check_interval_ms + timing.request_timeout_ms;
        let span = if latest_ms < 1_000 {
            format!("{soonest_ms} to {latest_ms} ms")
        } else {
            format!("{} to {} s", soonest_ms / 1_000, latest_ms.div_ceil(1_000))
        };
        let span =
            if self.has_arbiter() { format!("at most {} s", self.longest_failover_ms().div_ceil(1_000)) } else { span };
        let splits = if self.has_arbiter() { "" } else { "; splits if only the link is cut" };
        let slow =
            if is_slow { ", later than set: there were many takeovers, and `ha resume` clears that" } else { "" };
        let text = format!("{who} can take over now, {span} after a failure{slow}");
        if in_sync {
            (if is_slow { Protection::Reduced } else { Protection::Full }, format!("{text}{splits}"))
        } else {
            let what = match behind {
                0 => "a change is on its way".into(),
                1 => "1 revision behind".into(),
                _ => format!("{behind} revisions behind"),
            };
            (Protection::Reduced, format!("{text}, but {what}{splits}"))
        }
    }

    pub(super) fn head_number(&self) -> u64 {
        self.head.as_ref().map_or(0, |head| head.revision.number)
    }

    /// Number of the peer's newest revision, as last heard.
    pub(super) fn peer_number(&self) -> u64 {
        let theirs = if self.is_master() { self.reign.peer_head } else { self.watch.master_head };
        theirs.map_or(0, |head| head.number)
    }

    /// What holds this instance back now.
    pub(super) fn condition(&self) -> Option<Condition> {
        let is_master = self.is_master();
        if self.leaving.is_some() || (is_master && self.is_giving_way()) {
            return Some(Condition::Stopping);
        }
        if is_master {
            match self.reign.activity {
                Activity::InDoubt => return Some(Condition::InDoubt),
                Activity::Holding => return Some(Condition::BootHold),
                Activity::Offering => return Some(Condition::Switching),
                Activity::Isolated if self.work.is_role_sure() => return Some(Condition::Isolated),
                _ if self.handover.is_some() || !self.work.is_role_sure() => return Some(Condition::Switching),
                _ => {}
            }
        }
        if self.is_damped() {
            return Some(Condition::Damped);
        }
        let is_maintenance = self.pause.until.is_some() && self.pause.kind == PauseKind::Maintenance;
        is_maintenance.then_some(Condition::Maintenance)
    }
}
