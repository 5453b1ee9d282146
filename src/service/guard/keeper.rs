//! What the guard does, step by step: start, watch, restart with growing pauses, stop for certain.

use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;

use super::children::{Children, Ended};
use super::outbox::Outbox;
use super::restarts::Restarts;
use super::watch::Watch;
use crate::engine::settings::Service;
use crate::service::lines::read_lines;
use crate::service::protocol::{PIDS_MAX, Report, Start};
use crate::service::spawn;

/// From one kill of everything to the next, while something is left (it may have forked meanwhile).
const KILL_AGAIN: Duration = Duration::from_millis(5);
/// After so much killing the stop has failed: the end of the stop budget.
const KILL_LIMIT: Duration = Duration::from_millis(Service::KILL_RESERVE_MS);
/// From then on another kill after each of these.
const STUCK_PAUSE: Duration = Duration::from_secs(1);

/// A command that runs.
#[derive(Clone, Copy)]
struct Up {
    pid: u32,
    since: Instant,
    /// It has run for the start time, and that was reported.
    is_confirmed: bool,
}

enum State {
    /// Nothing runs.
    Idle,
    Up(Up),
    /// Ended by itself; starts again then. Something of it may still run.
    Pause {
        until: Instant,
    },
    /// Must be gone before anything else happens.
    Ending {
        purpose: Purpose,
        phase: Phase,
    },
}

enum Purpose {
    Stop {
        id: u64,
    },
    /// The start failed; say so when nothing is left of it.
    Failed {
        why: String,
    },
    /// The pause is over.
    Restart,
    /// It did not do its work; the pause follows.
    Unwell {
        /// It had run so long.
        ran: Duration,
    },
    /// Its time was over.
    Expired,
    /// Something else, or the same anew, is to be started.
    Replace,
}

enum Phase {
    /// It may end by itself (spec 2.4): nothing was asked of it yet, and it goes on if it is wanted again.
    Peace { until: Instant, up: Up },
    /// It was asked to end.
    Grace { until: Instant },
    /// It is being killed.
    Kill { until: Instant, next: Instant },
    /// That failed, and was reported.
    Stuck { next: Instant },
}

/// The guard's whole state.
pub struct Keeper {
    children: Children,
    outbox: Outbox,
    state: State,
    /// What runs, or ran last.
    current: Option<Start>,
    /// To be started when the end under way is over.
    next: Option<Start>,
    restarts: Restarts,
    watch: Watch,
    /// When the end under way was asked for.
    asked: Option<Instant>,
    /// Standin is gone.
    is_alone: bool,
}

impl Keeper {
    pub fn new(children: Children, outbox: Outbox, watch: Watch) -> Self {
        Self {
            children,
            outbox,
            state: State::Idle,
            current: None,
            next: None,
            restarts: Restarts::default(),
            watch,
            asked: None,
            is_alone: false,
        }
    }

    /// When [`Self::tick`] has something to do, if nothing happens before.
    pub fn deadline(&self) -> Option<Instant> {
        match &self.state {
            State::Idle => None,
            State::Up(Up { is_confirmed: true, since, .. }) => self.restarts.steady_at(*since),
            State::Up(Up { since, .. }) => Some(*since + self.start_time()),
            State::Pause { until } => Some(*until),
            State::Ending { phase, .. } => Some(match phase {
                Phase::Peace { until, .. } | Phase::Grace { until } => *until,
                Phase::Kill { next, .. } | Phase::Stuck { next } => *next,
            }),
        }
    }

    /// Some: exit with this status.
    pub fn is_over(&self) -> Option<i32> {
        match self.state {
            State::Idle if self.is_alone => Some(0),
            State::Ending { phase: Phase::Stuck { .. }, .. } if self.is_alone => Some(1),
            _ => None,
        }
    }

    pub fn start(&mut self, start: Start) {
        match &self.state {
            State::Idle => self.begin(start),
            State::Up(up) if self.runs(&start) => self.go_on(*up, start),
            State::Ending { phase: Phase::Peace { up, .. }, .. } if self.runs(&start) && self.children.any() => {
                self.go_on(*up, start);
            }
            State::Up(_) => {
                self.next = Some(start);
                self.ask_to_end(Purpose::Replace);
            }
            State::Pause { .. } => {
                self.next = Some(start);
                self.kill(Purpose::Replace);
            }
            State::Ending { phase: Phase::Stuck { .. }, .. } => self.report_stuck(start.id),
            State::Ending { .. } => self.next = Some(start),
        }
    }

    fn runs(&self, start: &Start) -> bool {
        self.current.as_ref().is_some_and(|it| it.runs_the_same(start))
    }

    /// What runs is what is wanted.
    fn go_on(&mut self, up: Up, start: Start) {
        if up.is_confirmed {
            self.outbox.report(Report::Started { id: start.id, pid: up.pid });
        }
        self.next = None;
        self.current = Some(start);
        self.state = State::Up(up);
    }

    pub fn stop(&mut self, id: u64, grace_ms: u64) {
        self.next = None;
        let peace = Instant::now() + Duration::from_millis(grace_ms);
        match &mut self.state {
            State::Up(up) if grace_ms > 0 => {
                let phase = Phase::Peace { until: peace, up: *up };
                self.state = State::Ending { purpose: Purpose::Stop { id }, phase };
            }
            State::Idle | State::Up(_) | State::Pause { .. } => self.ask_to_end(Purpose::Stop { id }),
            State::Ending { purpose, phase } => {
                *purpose = Purpose::Stop { id };
                match phase {
                    Phase::Peace { until, .. } => *until = (*until).min(peace),
                    // So that the new ask has its answer too.
                    Phase::Stuck { .. } => self.kill(Purpose::Stop { id }),
                    Phase::Grace { .. } | Phase::Kill { .. } => {}
                }
            }
        }
    }

    /// For the next signal.
    pub fn set_stop_grace(&mut self, ms: u64) {
        for start in self.current.iter_mut().chain(self.next.iter_mut()) {
            start.stop_grace_ms = ms;
        }
    }

    /// Standin is gone: stop everything, then end.
    pub fn alone(&mut self) {
        if !self.is_alone {
            self.is_alone = true;
            self.stop(0, 0);
        }
    }

    pub fn ended(&mut self, ended: &Ended) {
        let State::Up(Up { pid, since, is_confirmed }) = &self.state else { return };
        // Others are the command's own children, adopted; they come and go.
        if i64::from(ended.pid) != i64::from(*pid) {
            return;
        }
        let ran = since.elapsed();
        if !is_confirmed {
            let why = format!("it ended {} ms after its start: {}", ran.as_millis(), ended.status);
            return self.ask_to_end(Purpose::Failed { why });
        }
        self.outbox.report(Report::Exited { status: ended.status.clone() });
        self.pause_before_restart(ran);
    }

    /// It runs and does not do its work.
    pub fn restart_unwell(&mut self, why: String) {
        if let State::Up(Up { since, is_confirmed: true, .. }) = &self.state {
            let ran = since.elapsed();
            self.outbox.report(Report::Exited { status: why });
            self.ask_to_end(Purpose::Unwell { ran });
        }
    }

    /// Time to look at the sheet. True: the time is over, and the service is being stopped for that.
    pub fn alarm(&mut self) -> bool {
        let is_over = self.watch.look() && self.current.as_ref().is_some_and(|start| start.is_watched);
        if is_over {
            self.expire();
        }
        is_over
    }

    /// Its time is over: stop it, whatever else was under way.
    fn expire(&mut self) {
        self.next = None;
        match &mut self.state {
            State::Idle => {}
            State::Up(_) | State::Pause { .. } => self.ask_to_end(Purpose::Expired),
            State::Ending { purpose, phase } => {
                let is_peace = matches!(phase, Phase::Peace { .. });
                let old = std::mem::replace(purpose, Purpose::Expired);
                if matches!(old, Purpose::Stop { .. }) {
                    *purpose = old;
                }
                if is_peace {
                    self.cut_peace();
                }
            }
        }
    }

    fn cut_peace(&mut self) {
        if let State::Ending { purpose, .. } = &mut self.state {
            let purpose = std::mem::replace(purpose, Purpose::Replace);
            self.ask_to_end(purpose);
        }
    }

    /// Does what is due.
    pub fn tick(&mut self, now: Instant) {
        match &self.state {
            State::Up(up @ Up { is_confirmed: false, .. }) if now >= up.since + self.start_time() => {
                if let Some(start) = &self.current {
                    self.outbox.report(Report::Started { id: start.id, pid: up.pid });
                }
                self.state = State::Up(Up { is_confirmed: true, ..*up });
            }
            State::Up(Up { since, is_confirmed: true, .. }) if self.restarts.is_steady(now, *since) => {
                self.outbox.report(Report::Steady);
            }
            State::Pause { until } if now >= *until => {
                self.kill(Purpose::Restart);
                self.finish_if_gone();
            }
            State::Ending { .. } => self.finish_or_press_on(now),
            _ => {}
        }
        self.watch.turn(!matches!(self.state, State::Idle));
    }

    fn finish_or_press_on(&mut self, now: Instant) {
        if !self.finish_if_gone() {
            self.press_on(now);
        }
    }

    fn begin(&mut self, start: Start) {
        self.next = None;
        if spawn::stop_signal(&start.stop_signal).is_none() {
            let why = format!("{} is no signal that asks a program to end", start.stop_signal);
            return self.outbox.report(Report::StartFailed { id: start.id, why });
        }
        let id = start.id;
        let why_not = match &self.watch {
            _ if !start.is_watched => None,
            watch if !watch.has_sheet() => Some("its watchdog could not be set up"),
            // Asked for by one that then did not move for a while, or late because what ran before took its time to end.
            watch if watch.is_over() => Some("its time was over before it could begin"),
            _ => None,
        };
        if let Some(why) = why_not {
            return self.outbox.report(Report::StartFailed { id, why: why.into() });
        }
        self.restarts = Restarts::of(&start);
        self.current = Some(start);
        match self.launch() {
            // `tick` comes right after this and reports, at once where the start time is 0.
            Ok(pid) => self.state = State::Up(Up { pid, since: Instant::now(), is_confirmed: false }),
            Err(why) => {
                self.state = State::Idle;
                self.outbox.report(Report::StartFailed { id, why });
            }
        }
    }

    fn restart(&mut self) {
        match self.launch() {
            Ok(pid) => {
                self.outbox.report(Report::Restarted { pid });
                self.state = State::Up(Up { pid, since: Instant::now(), is_confirmed: true });
            }
            Err(why) => {
                self.outbox.report(Report::Exited { status: format!("it could not be started again: {why}") });
                self.pause_before_restart(Duration::ZERO);
            }
        }
    }

    fn launch(&mut self) -> Result<u32, String> {
        let Some(start) = &self.current else { return Err("nothing was asked for".into()) };
        let mut child = self.children.start(&start.argv, Path::new(&start.directory), &start.env)?;
        let follow = |stream: Option<Box<dyn std::io::Read + Send>>, is_error| {
            let outbox = self.outbox.clone();
            if let Some(stream) = stream {
                // Without a thread the pipe closes, and the command sees that its output has no reader.
                let _ = thread::Builder::new()
                    .name("output".into())
                    .spawn(move || read_lines(stream, is_error, |line| outbox.line(line)));
            }
        };
        follow(child.stdout.take().map(|stream| Box::new(stream) as _), false);
        follow(child.stderr.take().map(|stream| Box::new(stream) as _), true);
        Ok(child.id())
    }

    fn pause_before_restart(&mut self, ran: Duration) {
        // Workers of a command that is gone must not meet those of the next.
        self.children.ask_to_end(self.stop_signal());
        let verdict = self.restarts.ended(Instant::now(), ran);
        let pause = verdict.pause;
        if let Some(ended) = verdict.became_failing {
            self.outbox.report(Report::Failing { ended });
        }
        self.outbox.report(Report::Restarting { in_ms: u64::try_from(pause.as_millis()).unwrap_or(u64::MAX) });
        self.state = State::Pause { until: Instant::now() + pause };
    }

    fn ask_to_end(&mut self, purpose: Purpose) {
        self.asked = Some(Instant::now());
        self.state = State::Ending { purpose, phase: self.ask() };
    }

    /// Sends the signal; the grace runs.
    fn ask(&self) -> Phase {
        self.children.ask_to_end(self.stop_signal());
        Phase::Grace { until: Instant::now() + self.stop_grace() }
    }

    fn kill(&mut self, purpose: Purpose) {
        let now = Instant::now();
        self.state = State::Ending { purpose, phase: Phase::Kill { until: now + KILL_LIMIT, next: now } };
    }

    fn finish_if_gone(&mut self) -> bool {
        if self.children.any() {
            return false;
        }
        if let State::Ending { purpose, .. } = std::mem::replace(&mut self.state, State::Idle) {
            if let Some(asked) = self.asked.take() {
                let ms = u64::try_from(asked.elapsed().as_millis()).unwrap_or(u64::MAX);
                self.outbox.report(Report::StopTook { ms });
            }
            match purpose {
                Purpose::Stop { id } => self.outbox.report(Report::Stopped { id }),
                Purpose::Expired => self.outbox.report(Report::Expired),
                Purpose::Unwell { ran } if self.next.is_none() => self.pause_before_restart(ran),
                Purpose::Failed { why } => {
                    let id = self.current.as_ref().map_or(0, |start| start.id);
                    self.outbox.report(Report::StartFailed { id, why });
                }
                Purpose::Restart if self.next.is_none() => self.restart(),
                Purpose::Unwell { .. } | Purpose::Restart | Purpose::Replace => {}
            }
        }
        if let Some(next) = self.next.take().filter(|_| !self.is_alone) {
            self.begin(next);
            self.tick(Instant::now());
        }
        true
    }

    /// Something is left: the next step is due, or not yet.
    fn press_on(&mut self, now: Instant) {
        let State::Ending { purpose, phase } = &mut self.state else { return };
        match phase {
            Phase::Peace { until, .. } if now >= *until => self.cut_peace(),
            Phase::Grace { until } if now >= *until => {
                self.children.kill();
                *phase = Phase::Kill { until: now + KILL_LIMIT, next: now + KILL_AGAIN };
            }
            Phase::Kill { until, .. } if now >= *until => {
                *phase = Phase::Stuck { next: now + STUCK_PAUSE };
                // Told as failed, it must not start after all, later.
                let id = match (purpose, self.next.take()) {
                    (_, Some(next)) => next.id,
                    (Purpose::Stop { id }, None) => *id,
                    (_, None) => self.current.as_ref().map_or(0, |start| start.id),
                };
                self.report_stuck(id);
            }
            Phase::Kill { next, .. } if now >= *next => {
                self.children.kill();
                *next = now + KILL_AGAIN;
            }
            Phase::Stuck { next } if now >= *next => {
                self.children.kill();
                *next = now + STUCK_PAUSE;
            }
            _ => {}
        }
    }

    fn report_stuck(&self, id: u64) {
        let mut pids = self.children.running();
        pids.truncate(PIDS_MAX);
        self.outbox.report(Report::StopFailed { id, pids });
    }

    fn stop_signal(&self) -> Signal {
        self.current.as_ref().and_then(|start| spawn::stop_signal(&start.stop_signal)).unwrap_or(Signal::TERM)
    }

    fn stop_grace(&self) -> Duration {
        Duration::from_millis(self.current.as_ref().map_or(0, |start| start.stop_grace_ms))
    }

    fn start_time(&self) -> Duration {
        Duration::from_millis(self.current.as_ref().map_or(0, |start| start.start_time_ms))
    }
}
