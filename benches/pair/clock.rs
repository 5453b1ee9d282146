//! The one clock of all processes here, waits that have a limit, and the end by Ctrl-C.

use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use rustix::time::{ClockId, clock_gettime};

use crate::Fail;

/// For one condition; generous, because a loaded machine may run this.
pub const LIMIT: Duration = Duration::from_secs(60);
/// Between two looks at a condition whose moment is not measured.
const LOOK: Duration = Duration::from_millis(5);

static IS_INTERRUPTED: AtomicBool = AtomicBool::new(false);

/// `CLOCK_MONOTONIC`, ns: the same in every process of this machine.
pub fn now_ns() -> u64 {
    let now = clock_gettime(ClockId::Monotonic);
    let (seconds, ns) = (u64::try_from(now.tv_sec).unwrap_or(0), u64::try_from(now.tv_nsec).unwrap_or(0));
    seconds * 1_000_000_000 + ns
}

/// From `begin_ns` to `end_ns`, ms.
#[expect(clippy::cast_precision_loss, reason = "spans of hours are far below 2^52 ns")]
pub fn ms_between(begin_ns: u64, end_ns: u64) -> f64 {
    end_ns.saturating_sub(begin_ns) as f64 / 1e6
}

/// The same with a sign.
#[expect(clippy::cast_precision_loss, reason = "spans of hours are far below 2^52 ns")]
pub fn signed_ms_between(begin_ns: u64, end_ns: u64) -> f64 {
    end_ns.wrapping_sub(begin_ns).cast_signed() as f64 / 1e6
}

/// `CLOCK_MONOTONIC` of a wall clock of this machine in ms, ns: the middle of that ms.
pub fn monotonic_of(wall_ms: i64) -> Result<u64, Fail> {
    const MS: u64 = 1_000_000;
    let (now, wall) = (now_ns(), clock_gettime(ClockId::Realtime));
    let wall_ns = u64::try_from(wall.tv_sec)? * 1_000 * MS + u64::try_from(wall.tv_nsec)?;
    let ago_ns = wall_ns.checked_sub(u64::try_from(wall_ms)? * MS + MS / 2).ok_or("a moment in the future")?;
    Ok(now.saturating_sub(ago_ns))
}

/// Ctrl-C and SIGTERM end the wait under way with an error, so that every process and directory is cleaned up.
pub fn end_politely() -> Result<(), Fail> {
    use tokio::signal::unix::{SignalKind, signal};
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    thread::Builder::new().name("signals".into()).spawn(move || {
        runtime.block_on(async {
            let (Ok(mut interrupt), Ok(mut terminate)) =
                (signal(SignalKind::interrupt()), signal(SignalKind::terminate()))
            else {
                return;
            };
            tokio::select! { _ = interrupt.recv() => {}, _ = terminate.recv() => {} }
            IS_INTERRUPTED.store(true, Ordering::SeqCst);
        });
    })?;
    Ok(())
}

/// An error once Ctrl-C was pressed.
pub fn check() -> Result<(), Fail> {
    if IS_INTERRUPTED.load(Ordering::SeqCst) { Err("interrupted".into()) } else { Ok(()) }
}

/// Waits until `look` finds something.
pub fn until<T>(what: &str, look: impl FnMut() -> Result<Option<T>, Fail>) -> Result<T, Fail> {
    until_by(what, LIMIT, LOOK, look)
}

/// The same with limit and pause of the caller's.
pub fn until_by<T>(
    what: &str,
    limit: Duration,
    pause: Duration,
    mut look: impl FnMut() -> Result<Option<T>, Fail>,
) -> Result<T, Fail> {
    let end = Instant::now() + limit;
    loop {
        check()?;
        if let Some(found) = look()? {
            return Ok(found);
        }
        if Instant::now() >= end {
            return Err(format!("not within {} s: {what}", limit.as_secs()).into());
        }
        thread::sleep(pause);
    }
}

/// Lets time pass.
pub fn pass(time: Duration) -> Result<(), Fail> {
    let end = Instant::now() + time;
    loop {
        check()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(Duration::from_millis(200)));
    }
}
