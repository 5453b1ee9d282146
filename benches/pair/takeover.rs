//! From `kill -9` of the master to the service's start on the other side, with a takeover delay of 0.

use std::time::Duration;

use crate::figures::{Row, Samples};
use crate::pair::{Pair, settled};
use crate::{Fail, Rounds, clock, machine, service};

/// The pair rests so long before a kill, and a varying part of the check interval, so that kills fall anywhere in it.
const REST: Duration = Duration::from_millis(500);
/// Step of the varying part and its end: the check interval.
const STEP_MS: usize = 137;
const INTERVAL_MS: usize = 1_000;

pub fn measure(rounds: &Rounds) -> Result<Vec<Row>, Fail> {
    let mut pair = Pair::ready(&["--takeover-delay", "0s"])?;
    let mut values = Vec::new();
    for number in 0..rounds.takeovers {
        let (active, other) = if number % 2 == 0 { (&mut pair.a, &mut pair.b) } else { (&mut pair.b, &mut pair.a) };
        settled(active, other)?;
        if number > 0 {
            // Takeovers in quick succession would wait longer and longer (spec 7.15).
            other.ok(&["ha", "resume"])?;
        }
        let varying = u64::try_from(number * STEP_MS % INTERVAL_MS)?;
        clock::pass(REST + Duration::from_millis(varying))?;
        let old_service = service::newest(&active.journal).ok_or("the active instance runs no service")?;
        let killed_ns = active.kill()?;
        let start = clock::until("the service starts on the other side", || {
            Ok(service::newest(&other.journal).filter(|start| start.at_ns > killed_ns))
        })?;
        values.push(clock::ms_between(killed_ns, start.at_ns));
        other.wait("it is active", |status| status.active)?;
        clock::until("the old service ends", || Ok((!machine::is_alive(old_service.process)).then_some(())))?;
        active.spawn()?;
        settled(other, active)?;
    }
    let bare = service::bare_starts(pair.folder(), rounds.takeovers)?;
    Ok(vec![
        Row::of(
            "kill -9 of the master → service started on the other side, takeover delay 0",
            "ms",
            &Samples::new(values),
            "checks every 1 s; the former master is back as READY shadow before the next",
        ),
        Row::of("of which: start of the same service without Standin", "ms", &bare, "spawn → its `main`"),
    ])
}
