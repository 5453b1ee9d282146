//! One tree: from an empty shadow to the start on what both had before.

use std::fs;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use standin::engine::base::LinkState;

use crate::figures::{Row, Samples};
use crate::instance::Instance;
use crate::sides::{Sides, forget_peak, wait};
use crate::{Fail, Rounds, clock, edits, machine, scan, trees};

/// Changed while the link is broken.
const CHANGED: usize = 100;
/// After something large, before something small is measured: write-back and what the instances do at leisure are over.
const REST: Duration = Duration::from_secs(6);
/// Between two looks at the round trip of the checks.
const LOOK: Duration = Duration::from_millis(20);

/// Where rows go.
pub type Tell<'a> = dyn FnMut(Row) -> Result<(), Fail> + 'a;

pub fn measure(
    files: usize,
    rounds: Rounds,
    is_wanted: &dyn Fn(&str) -> bool,
    tell: &mut Tell<'_>,
) -> Result<(), Fail> {
    let groups = ["transfer", "edits", "break", "reconnect", "verify", "history", "scan"];
    if !groups.into_iter().any(is_wanted) {
        return Ok(());
    }
    let mut sides = Sides::new(files)?;
    let of = format!("{} files, {:.1} MB", files + 10, machine::megabytes(sides.bytes));
    let committed_ms = sides.start()?;
    tell(Row::single("start of the master until the first commit", "ms", committed_ms, &of))?;
    transfer(&sides, &of, tell)?;
    clock::pass(REST)?;
    if is_wanted("edits") {
        let timed = edits::edit(&sides.a, &sides.b, sides.folder(), rounds.edits)?;
        tell(Row::of("edit → seen on the shadow's disk, beyond the quiet time", "ms", &timed.seen, &of))?;
        tell(Row::of("edit → durable on the shadow, beyond the quiet time", "ms", &timed.durable, &of))?;
    }
    if is_wanted("break") {
        breaks(&sides, rounds, &of, tell)?;
    }
    if is_wanted("reconnect") {
        let mut values = Vec::new();
        for _ in 0..rounds.scans {
            let last = sides.last_event()?;
            let begin_ns = clock::now_ns();
            sides.b.ok(&["reconnect"])?;
            values.push(clock::ms_between(begin_ns, ready(&sides, last)?));
            sides.settled()?;
        }
        tell(Row::of("reconnect, nothing changed: every byte compared", "ms", &Samples::new(values), &of))?;
    }
    if is_wanted("verify") {
        let mut values = Vec::new();
        for _ in 0..rounds.scans {
            let begin_ns = clock::now_ns();
            sides.b.ok(&["config", "verify"])?;
            values.push(clock::ms_between(begin_ns, clock::now_ns()));
        }
        tell(Row::of("verify: every byte of both sides read", "ms", &Samples::new(values), &of))?;
    }
    if is_wanted("history") && sides.files > 0 {
        history(&sides, rounds, &of, tell)?;
    }
    for (name, instance) in [("master", &sides.a), ("shadow", &sides.b)] {
        let note = format!("{of}; at most since the transfer: {:.1} MB", machine::peak_mb(instance.process()?)?);
        let what = format!("resident memory of the {name} at the end");
        tell(Row::single(what, "MB", machine::resident_mb(instance.process()?)?, note))?;
    }
    if is_wanted("scan") {
        scan::measure(&mut sides, rounds.scans, &of, tell)?;
    }
    Ok(())
}

/// Versions compared, and the contents of a path forgotten by both.
fn history(sides: &Sides, rounds: Rounds, of: &str, tell: &mut Tell<'_>) -> Result<(), Fail> {
    let path = trees::path_of(1);
    for version in 1..=2 {
        let number = sides.settled()?.configuration.revision;
        fs::write(sides.a.directory.join(&path), trees::content(1, version))?;
        wait(&sides.a, "the change is committed", |status| status.configuration.revision > number)?;
    }
    let newest = sides.settled()?.configuration.revision;
    let (before, newest) = ((newest - 1).to_string(), newest.to_string());
    for (what, versions) in
        [("two revisions", vec![&*before, &newest]), ("a revision and the directory", vec![&newest, "directory"])]
    {
        let mut values = Vec::new();
        for _ in 0..rounds.scans {
            let begin_ns = clock::now_ns();
            sides.a.ends(&[&["config", "diff"], &versions[..]].concat(), &[0, 1])?;
            values.push(clock::ms_between(begin_ns, clock::now_ns()));
        }
        tell(Row::of(format!("`config diff` of {what}"), "ms", &Samples::new(values), of))?;
    }
    let begin_ns = clock::now_ns();
    sides.a.ok(&["config", "forget", "--history-only", &path.display().to_string()])?;
    let took_ms = clock::ms_between(begin_ns, clock::now_ns());
    tell(Row::single("`config forget` of older contents of one file, on both sides", "ms", took_ms, of))
}

/// `CLOCK_MONOTONIC` of the shadow's first word after the event `last` that it is READY, ns.
fn ready(sides: &Sides, last: u64) -> Result<u64, Fail> {
    sides.event("READY", last, |event| event.text == LinkState::Ready.word())
}

/// From empty to READY, with what the checks see of it.
fn transfer(sides: &Sides, of: &str, tell: &mut Tell<'_>) -> Result<(), Fail> {
    let used = |instance: &Instance| machine::processor_s(instance.process()?);
    let processor = (used(&sides.a)?, used(&sides.b)?);
    forget_peak(&sides.a)?;
    forget_peak(&sides.b)?;
    machine::write_back(sides.folder())?;
    let last = sides.last_event()?;
    let is_over = AtomicBool::new(false);
    let (took_ms, trips) = thread::scope(|scope| -> Result<(f64, Vec<f64>), Fail> {
        let trips = scope.spawn(|| watch_trips(&sides.b, &is_over));
        let outcome = (|| -> Result<f64, Fail> {
            sides.connect()?;
            let begin_ns = sides.event("INITSYNC", last, |event| event.text == LinkState::Initsync.word())?;
            let end_ns = ready(sides, last)?;
            sides.settled()?;
            Ok(clock::ms_between(begin_ns, end_ns))
        })();
        is_over.store(true, Ordering::Relaxed);
        let trips = trips.join().map_err(|_| "the watch of the round trips ended")?;
        Ok((outcome?, trips))
    })?;
    tell(Row::single("complete transfer, from INITSYNC to READY", "ms", took_ms, of))?;
    if !trips.is_empty() {
        tell(Row::of("round trip of a check during it", "ms", &Samples::new(trips), of))?;
    }
    for (name, instance, before) in [("master", &sides.a, processor.0), ("shadow", &sides.b, processor.1)] {
        let note = format!("{of}; most memory: {:.1} MB", machine::peak_mb(instance.process()?)?);
        tell(Row::single(format!("processor time of the {name} for it"), "s", used(instance)? - before, note))?;
        forget_peak(instance)?;
    }
    Ok(())
}

/// Each new value of the round trip that the status shows.
fn watch_trips(instance: &Instance, is_over: &AtomicBool) -> Vec<f64> {
    let mut values = Vec::new();
    while !is_over.load(Ordering::Relaxed) {
        let trip = instance.status().ok().flatten().and_then(|status| status.peer?.round_trip_ms);
        values.extend(trip.filter(|trip| values.last() != Some(trip)));
        thread::sleep(LOOK);
    }
    values
}

fn breaks(sides: &Sides, rounds: Rounds, of: &str, tell: &mut Tell<'_>) -> Result<(), Fail> {
    let (mut values, mut bytes) = (Vec::new(), 0);
    for _ in 0..rounds.breaks {
        let (last, before) = (sides.last_event()?, sides.proxy.bytes());
        let begin_ns = clock::now_ns();
        sides.proxy.cut(false);
        values.push(clock::ms_between(begin_ns, ready(sides, last)?));
        sides.settled()?;
        bytes = sides.proxy.bytes() - before;
    }
    let note = format!("{of}; {bytes} bytes of the link");
    tell(Row::of("link broken, nothing changed → READY again", "ms", &Samples::new(values), note))?;
    if sides.files == 0 {
        return Ok(());
    }
    let mut values = Vec::new();
    for round in 0..rounds.scans {
        sides.proxy.cut(true);
        let revision = wait(&sides.a, "it answers", |_| true)?;
        trees::edit(&sides.a.directory, sides.files, CHANGED, round as u64 + 1)?;
        let number = revision.configuration.revision;
        wait(&sides.a, "the changes are committed", |status| status.configuration.revision > number)?;
        clock::pass(Duration::from_millis(500))?;
        let last = sides.last_event()?;
        let begin_ns = clock::now_ns();
        sides.proxy.heal();
        values.push(clock::ms_between(begin_ns, ready(sides, last)?));
        sides.settled()?;
    }
    let what = format!("link broken, {CHANGED} files changed meanwhile, link back → READY");
    tell(Row::of(what, "ms", &Samples::new(values), format!("{of}; a pause of a redial is in it")))
}
