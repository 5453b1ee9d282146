//! What was asked for, what was answered, and the status that results: no threads, no processes, so that it can be tested whole.

use crate::engine::base::UnixMillis;
use crate::engine::input::ServiceChange;
use crate::engine::status::{HealthStatus, ServiceStatus};
use crate::service::protocol::{Ask, Report, Start};

/// What the last ask still waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Awaited {
    Nothing,
    Started,
    Stopped,
    /// A stop, because the command was removed from the settings; to be answered by `Started` of kind `none`.
    Removed,
}

/// The supervisor's memory.
pub struct Record {
    status: ServiceStatus,
    /// What should run.
    wanted: Option<Start>,
    awaited: Awaited,
    /// Of the last ask; answers to earlier ones are old news.
    last_id: u64,
    /// The guard may have something of the service running.
    may_run: bool,
}

impl Default for Record {
    fn default() -> Self {
        Self { status: ServiceStatus::default(), wanted: None, awaited: Awaited::Nothing, last_id: 0, may_run: false }
    }
}

impl Record {
    pub fn status(&self) -> &ServiceStatus {
        &self.status
    }

    /// A record that knows of processes which an earlier run left behind.
    pub fn with_leftovers() -> Self {
        Self { may_run: true, ..Self::default() }
    }

    /// What a new guard has to be asked.
    pub fn open_ask(&self) -> Option<Ask> {
        match (&self.wanted, self.awaited) {
            (Some(start), _) => Some(Ask::Start(Box::new(start.clone()))),
            (None, Awaited::Stopped | Awaited::Removed) => Some(Ask::Stop { id: self.last_id, grace_ms: 0 }),
            (None, _) => None,
        }
    }

    fn set(&mut self, state: &str, process: Option<u32>, message: Option<String>, now: UnixMillis) -> ServiceStatus {
        if self.status.state != state || self.status.process != process {
            self.status.since = Some(now);
        }
        state.clone_into(&mut self.status.state);
        self.status.process = process;
        self.status.message = message;
        if state != "running" {
            self.status.health = None;
        }
        self.status.clone()
    }

    fn next_id(&mut self) -> u64 {
        self.last_id += 1;
        self.last_id
    }

    pub fn start(&mut self, mut start: Start, name: String, now: UnixMillis) -> Ask {
        start.id = self.next_id();
        self.awaited = Awaited::Started;
        let is_same = self.wanted.as_ref().is_some_and(|wanted| wanted.runs_the_same(&start));
        if !is_same || self.status.process.is_none() {
            self.status.restarts = 0;
            self.status.failing = false;
            self.status.kind = "command".into();
            self.status.name = name;
            self.set("starting", None, None, now);
        }
        self.wanted = Some(start.clone());
        self.may_run = true;
        Ask::Start(Box::new(start))
    }

    /// What a guard has to know, now and after it was replaced.
    pub fn set_stop_grace(&mut self, ms: u64) -> Ask {
        if let Some(wanted) = &mut self.wanted {
            wanted.stop_grace_ms = ms;
        }
        Ask::StopGrace { ms }
    }

    pub fn start_impossible(&mut self, why: &str, now: UnixMillis) -> ServiceChange {
        self.wanted = None;
        self.awaited = Awaited::Nothing;
        ServiceChange::StartFailed(self.set("failed", None, Some(why.into()), now))
    }

    /// An ask to stop what still runs, or the change at once.
    pub fn start_nothing(&mut self, now: UnixMillis) -> Result<ServiceChange, Ask> {
        self.wanted = None;
        if !self.may_run {
            self.awaited = Awaited::Nothing;
            self.status = ServiceStatus::default();
            return Ok(ServiceChange::Started(self.status.clone()));
        }
        self.awaited = Awaited::Removed;
        let process = self.status.process;
        self.set("stopping", process, None, now);
        Err(Ask::Stop { id: self.next_id(), grace_ms: 0 })
    }

    /// An ask, or the change at once.
    pub fn stop(&mut self, grace_ms: u64, now: UnixMillis) -> Result<ServiceChange, Ask> {
        self.wanted = None;
        if !self.may_run {
            self.awaited = Awaited::Nothing;
            return Ok(ServiceChange::Stopped(self.at_rest(now)));
        }
        self.awaited = Awaited::Stopped;
        let process = self.status.process;
        self.set("stopping", process, None, now);
        Err(Ask::Stop { id: self.next_id(), grace_ms })
    }

    /// The status when nothing runs and nothing should.
    fn at_rest(&mut self, now: UnixMillis) -> ServiceStatus {
        self.may_run = false;
        if self.status.kind == "none" {
            return self.status.clone();
        }
        self.set("stopped", None, None, now)
    }

    /// Handles a report of the guard (output excepted).
    pub fn report(&mut self, report: Report, now: UnixMillis) -> Option<ServiceChange> {
        match report {
            Report::Started { id, .. } | Report::StartFailed { id, .. } | Report::Stopped { id }
                if id != self.last_id =>
            {
                None
            }
            Report::Started { pid, .. } => {
                let status = self.set("running", Some(pid), None, now);
                Some(self.answer(Awaited::Started, ServiceChange::Started, status))
            }
            Report::StartFailed { why, .. } => {
                self.wanted = None;
                self.may_run = false;
                let status = self.set("failed", None, Some(why), now);
                Some(self.answer(Awaited::Started, ServiceChange::StartFailed, status))
            }
            Report::Stopped { .. } => Some(self.nothing_runs(now)),
            Report::StopFailed { pids, .. } => Some(self.survived(&pids, now)),
            // What the guard said before it heard of the stop changes nothing any more.
            Report::Exited { .. }
            | Report::Restarting { .. }
            | Report::Restarted { .. }
            | Report::Failing { .. }
            | Report::Steady
                if self.wanted.is_none() =>
            {
                None
            }
            Report::StopTook { ms } => {
                self.status.stop_took_ms = Some(ms);
                None
            }
            Report::Failing { ended } => {
                self.status.failing = true;
                let last = self.status.message.take().unwrap_or_default();
                let message = format!("it keeps failing, {ended} times of late; {last}");
                Some(ServiceChange::Failing(self.set("failed", None, Some(message), now)))
            }
            Report::Steady => {
                self.status.failing = false;
                Some(ServiceChange::Changed(self.status.clone()))
            }
            Report::Expired => self.expired(now),
            Report::Exited { status } => {
                Some(ServiceChange::Changed(self.set("failed", None, Some(format!("ended: {status}")), now)))
            }
            Report::Restarting { in_ms } => {
                let ended = self.status.message.clone().unwrap_or_default();
                let message = format!("{ended}; starts again in {}", span(in_ms));
                Some(ServiceChange::Changed(self.set("failed", None, Some(message), now)))
            }
            Report::Restarted { pid } => {
                self.status.restarts = self.status.restarts.saturating_add(1);
                Some(ServiceChange::Changed(self.set("running", Some(pid), None, now)))
            }
            Report::Output { .. } => None,
        }
    }

    /// The guard stopped it because its time was over. A newer ask has an answer of its own.
    fn expired(&mut self, now: UnixMillis) -> Option<ServiceChange> {
        if self.awaited != Awaited::Nothing || self.wanted.take().is_none() {
            return None;
        }
        self.may_run = false;
        let message = "stopped by its watchdog: this instance did not move, or its entitlement was not renewed";
        Some(ServiceChange::Expired(self.set("stopped", None, Some(message.into()), now)))
    }

    /// What the health check says now; none: nothing new.
    pub fn health(&mut self, health: Option<HealthStatus>) -> Option<ServiceChange> {
        let health = health.filter(|_| self.status.state == "running");
        if health == self.status.health {
            return None;
        }
        self.status.health = health;
        Some(ServiceChange::Changed(self.status.clone()))
    }

    /// The guard may have something of it running.
    pub fn may_run(&self) -> bool {
        self.may_run
    }

    /// `answer` if that is what is waited for, else only a change.
    fn answer(
        &mut self,
        awaited: Awaited,
        answer: fn(ServiceStatus) -> ServiceChange,
        status: ServiceStatus,
    ) -> ServiceChange {
        if self.awaited == awaited {
            self.awaited = Awaited::Nothing;
            answer(status)
        } else {
            ServiceChange::Changed(status)
        }
    }

    fn nothing_runs(&mut self, now: UnixMillis) -> ServiceChange {
        self.may_run = false;
        if self.awaited == Awaited::Removed {
            self.awaited = Awaited::Nothing;
            self.status = ServiceStatus::default();
            return ServiceChange::Started(self.status.clone());
        }
        self.awaited = Awaited::Nothing;
        ServiceChange::Stopped(self.at_rest(now))
    }

    /// Processes survived a kill. The ask stays open: it may still succeed.
    fn survived(&mut self, pids: &[i32], now: UnixMillis) -> ServiceChange {
        let list = pids.iter().map(i32::to_string).collect::<Vec<_>>().join(", ");
        let message = format!("these processes do not end, not even by a kill: {list}");
        let process = self.status.process;
        let status = self.set("stopping", process, Some(message), now);
        match self.awaited {
            Awaited::Stopped | Awaited::Removed => ServiceChange::StopFailed(status),
            Awaited::Started => {
                // Told as failed, it must not start after all, later.
                self.wanted = None;
                self.awaited = Awaited::Nothing;
                ServiceChange::StartFailed(status)
            }
            Awaited::Nothing => ServiceChange::Changed(status),
        }
    }

    /// The guard died, by itself or because it did not move; the kernel killed the command with it.
    pub fn lost_guard(&mut self, was_silent: bool, now: UnixMillis) -> Option<ServiceChange> {
        self.wanted.as_ref()?;
        if self.awaited == Awaited::Nothing {
            self.status.restarts = self.status.restarts.saturating_add(1);
        }
        let message = if was_silent {
            "its guard did not move and was killed, and the service with it; it is started again"
        } else {
            "its guard was killed, and the service with it; it is started again"
        };
        Some(ServiceChange::Changed(self.set("failed", None, Some(message.into()), now)))
    }

    /// No guard can be started, so nothing can run.
    pub fn no_guard(&mut self, why: &str, now: UnixMillis) -> ServiceChange {
        let status = self.set("failed", None, Some(why.into()), now);
        // What ran is wanted still, and the next guard is asked; what is told as failed must not start after all.
        if self.awaited == Awaited::Started {
            self.wanted = None;
        }
        self.answer(Awaited::Started, ServiceChange::StartFailed, status)
    }

    /// After the guard's death (or at the start of a run) nothing is left.
    pub fn swept(&mut self, now: UnixMillis) -> Option<ServiceChange> {
        if self.wanted.is_some() {
            return None;
        }
        self.may_run = false;
        matches!(self.awaited, Awaited::Stopped | Awaited::Removed).then(|| self.nothing_runs(now))
    }

    /// After the guard's death something survived.
    pub fn not_swept(&mut self, pids: &[i32], now: UnixMillis) -> Option<ServiceChange> {
        self.may_run = true;
        Some(self.survived(pids, now))
    }
}

/// `1.5 s`
fn span(ms: u64) -> String {
    if ms < 1_000 {
        format!("{ms} ms")
    } else if ms.is_multiple_of(1_000) {
        format!("{} s", ms / 1_000)
    } else {
        format!("{}.{} s", ms / 1_000, ms % 1_000 / 100)
    }
}

#[cfg(test)]
mod tests;
