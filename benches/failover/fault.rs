//! What is done to the active instance, how long the settings alone let that take, and how it is undone.

use std::time::Duration;

use rustix::process::Signal;
use standin::engine::order::{ClientFrame, Order};
use standin::engine::status::Status;
use standin::wire::control;

use crate::instance::Instance;
use crate::network::Network;
use crate::{Fail, clock, machine, service};

/// Steps of the varying part of the rest before a fault, so that faults fall anywhere between two checks.
const STEPS: u64 = 16;
/// Between the moment the pair is settled and the fault: what a change of roles leaves to do is done.
const REST: Duration = Duration::from_millis(700);

/// Newest events shown of a takeover that did not come.
const EVENTS_SHOWN: usize = 20;

#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Fault {
    /// `kill -9` of Standin; its guard lives, and ends the service.
    Kill,
    /// `kill -STOP` of Standin: the kernel goes on acknowledging, nobody answers.
    Stop,
    /// The cable is pulled on the master's side.
    Cut,
    /// `standin ha switch`.
    Switch,
    /// SIGTERM, as `standin stop`.
    PlannedStop,
}

/// What the shadow is told to wait for.
#[derive(Clone, Copy)]
pub struct Timing {
    pub interval_ms: u64,
    pub request_ms: u64,
    pub delay_ms: u64,
}

impl Timing {
    pub fn arguments(&self) -> Vec<String> {
        let Self { interval_ms, request_ms, delay_ms } = self;
        let pairs = [
            ("--check-interval", interval_ms),
            ("--request-timeout", request_ms),
            ("--connect-timeout", request_ms),
            ("--takeover-delay", delay_ms),
        ];
        pairs.iter().flat_map(|(name, value)| [(*name).to_owned(), format!("{value}ms")]).collect()
    }

    pub fn text(&self) -> String {
        let Self { interval_ms, request_ms, delay_ms } = self;
        format!("checks every {interval_ms} ms, request timeout {request_ms} ms, takeover delay {delay_ms} ms")
    }
}

/// What came of one fault.
pub enum Round {
    /// The other side took over because of it.
    Measured(Sample),
    /// The other side had taken over before it, because it gave the active instance up: the settings are too narrow here.
    Early {
        /// Seen only after the fault was done, so it has to be undone.
        is_done: bool,
    },
}

/// One measured change of roles.
pub struct Sample {
    /// From the fault to the first instruction of the service on the other side, ms.
    pub total_ms: f64,
    /// Of that, what the settings ask for, ms.
    pub configured_ms: f64,
}

impl Fault {
    pub fn word(self) -> &'static str {
        match self {
            Self::Kill => "kill -9",
            Self::Stop => "kill -STOP",
            Self::Cut => "link cut",
            Self::Switch => "planned switch",
            Self::PlannedStop => "planned stop",
        }
    }

    /// Counted by the pair's damping.
    pub fn is_takeover(self) -> bool {
        !matches!(self, Self::Switch | Self::PlannedStop)
    }

    fn is_silent(self) -> bool {
        matches!(self, Self::Stop | Self::Cut)
    }

    /// Once, on a pair that is settled; afterwards `other` is the master and `active` not yet back.
    pub fn measure(
        self,
        network: &Network,
        namespace: &str,
        active: &mut Instance,
        other: &Instance,
        timing: Timing,
        number: usize,
    ) -> Result<Round, Fail> {
        let before = service::newest(&other.journal).map(|start| start.at_ns);
        let newest = || service::newest(&other.journal).filter(|start| Some(start.at_ns) != before);
        let step = timing.interval_ms * 1_000 * (u64::try_from(number)? * 7 % STEPS) / STEPS;
        clock::pass(REST + Duration::from_micros(step))?;
        if newest().is_some() {
            return Ok(Round::Early { is_done: false });
        }
        let begin_ns = match self {
            Self::Kill => active.kill()?,
            Self::Stop => active.signal(Signal::STOP)?,
            Self::Cut => {
                let begin_ns = clock::now_ns();
                network.cut(namespace)?;
                begin_ns
            }
            Self::Switch => {
                let mut stream = active.greet()?.ok_or("the master does not answer")?;
                let begin_ns = clock::now_ns();
                control::write(&mut stream, &ClientFrame::Order { id: 1, order: Order::Switch { dry_run: false } })?;
                begin_ns
            }
            Self::PlannedStop => active.signal(Signal::TERM)?,
        };
        let start = clock::until("the service starts on the other side", || Ok(newest())).map_err(|error| {
            let status = other.status().ok().flatten();
            let why = status.map(|it| (it.role, it.term, it.state, it.state_message, it.takeover.why_not));
            let last = other.events(0).unwrap_or_default();
            let last: Vec<_> = last.iter().rev().take(EVENTS_SHOWN).rev().map(|it| (it.at.0, &it.text)).collect();
            format!("{error}; the other side: {why:?}, {last:?}")
        })?;
        if start.at_ns <= begin_ns {
            return Ok(Round::Early { is_done: true });
        }
        let status = other.wait("it is active", |status| status.active)?;
        let configured_ms = match self {
            Self::Kill => millis(timing.delay_ms),
            Self::Stop | Self::Cut => self.silence_ms(&status, begin_ns, timing)?,
            Self::Switch | Self::PlannedStop => 0.0,
        };
        Ok(Round::Measured(Sample { total_ms: clock::ms_between(begin_ns, start.at_ns), configured_ms }))
    }

    /// From the fault to the end of the delay: the last check that was answered, then interval, timeout and delay.
    fn silence_ms(self, status: &Status, begin_ns: u64, timing: Timing) -> Result<f64, Fail> {
        debug_assert!(self.is_silent());
        let notice = status.notice.as_ref().ok_or("no notice of the takeover")?;
        let last = notice.timeline.iter().find(|line| line.text.contains("last check")).ok_or("no last check")?;
        let answered_ns = clock::monotonic_of(last.at.0)?;
        let all_ms = timing.interval_ms + timing.request_ms + timing.delay_ms;
        Ok(clock::signed_ms_between(begin_ns, answered_ns) + millis(all_ms))
    }

    /// The former master comes back.
    pub fn undo(self, network: &Network, namespace: &str, former: &mut Instance) -> Result<(), Fail> {
        match self {
            Self::Kill | Self::Stop => {
                let old = service::newest(&former.journal).ok_or("the former master ran no service")?;
                if self == Self::Stop {
                    former.kill()?;
                }
                clock::until("the old service ends", || Ok((!machine::is_alive(old.process)).then_some(())))?;
                former.spawn()?;
            }
            Self::Cut => network.heal(namespace)?,
            Self::Switch => {}
            Self::PlannedStop => {
                former.ended()?;
                former.spawn()?;
            }
        }
        Ok(())
    }
}

#[expect(clippy::cast_precision_loss, reason = "spans of hours are far below 2^52 ms")]
fn millis(ms: u64) -> f64 {
    ms as f64
}
