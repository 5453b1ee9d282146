//! The service of these tests: a program that does nothing but write down when it runs, on a clock both sides share.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rustix::time::{ClockId, clock_gettime};

use crate::harness::Instance;

/// Names the file to write to; without it the test named [`service`] is none.
const FILE: &str = "STANDIN_PROBE";
/// It writes so often while it runs.
const PAUSE: Duration = Duration::from_millis(5);

/// `CLOCK_BOOTTIME`, ns: the same for all hosts, because they are namespaces of one machine.
pub fn boot_ns() -> u64 {
    let at = clock_gettime(ClockId::Boottime);
    u64::try_from(at.tv_sec).unwrap() * 1_000_000_000 + u64::try_from(at.tv_nsec).unwrap()
}

/// Not a test: the service itself, when a fault test starts this program as one. Ends by a signal alone.
#[test]
fn service() {
    let Ok(path) = std::env::var(FILE) else { return };
    let process = std::process::id();
    let mut file = fs::OpenOptions::new().create(true).append(true).open(path).unwrap();
    loop {
        file.write_all(format!("{process} {}\n", boot_ns()).as_bytes()).unwrap();
        std::thread::sleep(PAUSE);
    }
}

/// Where the probe of this instance writes.
pub fn record(instance: &Instance) -> PathBuf {
    instance.journal.with_extension("probe")
}

/// Makes the probe its service. A stubborn one does not hear the stop signal: it ends by the kill.
pub fn install(instance: &Instance, is_stubborn: bool) {
    let program = std::env::current_exe().unwrap();
    let trap = if is_stubborn { "trap '' TERM; " } else { "" };
    let line = format!(
        "{trap}{FILE}={} exec {} --exact faults::probe::service --nocapture --test-threads=1",
        record(instance).display(),
        program.display()
    );
    instance.set("service", "command", &format!("[sh, -c, \"{line}\"]"));
}

/// One life of the service.
#[derive(Clone, Debug)]
pub struct Life {
    pub host: String,
    /// First and last sign, ns of [`boot_ns`].
    pub from: u64,
    pub to: u64,
}

impl Life {
    fn length_ms(&self) -> u64 {
        (self.to - self.from) / 1_000_000
    }
}

fn lives_in(host: &str, path: &Path) -> Vec<Life> {
    let mut lives: BTreeMap<u32, Life> = BTreeMap::new();
    for line in fs::read_to_string(path).unwrap_or_default().lines() {
        let mut words = line.split(' ');
        let (Some(process), Some(at)) = (words.next(), words.next()) else { continue };
        // The line written at this very moment may be half there.
        let (Ok(process), Ok(at)) = (process.parse(), at.parse()) else { continue };
        let life = lives.entry(process).or_insert(Life { host: host.into(), from: at, to: at });
        life.to = life.to.max(at);
    }
    lives.into_values().collect()
}

/// Every life of the service on either side, by its beginning.
pub fn lives(instances: [&Instance; 2]) -> Vec<Life> {
    let mut all: Vec<Life> =
        instances.into_iter().flat_map(|instance| lives_in(&instance.name, &record(instance))).collect();
    all.sort_by_key(|life| life.from);
    all
}

/// No two lives overlap, on whichever hosts; prints the gaps.
pub fn prove_no_overlap(what: &str, instances: [&Instance; 2]) {
    let all = lives(instances);
    assert!(!all.is_empty(), "{what}: the service never ran");
    println!("{what}: {} ran {} ms", all[0].host, all[0].length_ms());
    for pair in all.windows(2) {
        let (before, after) = (&pair[0], &pair[1]);
        let gap_us = (i128::from(after.from) - i128::from(before.to)) / 1_000;
        println!("{what}: gap {} us, then {} ran {} ms", gap_us, after.host, after.length_ms());
        assert!(after.from > before.to, "{what}: two services at once for {} us\n{all:#?}", -gap_us);
    }
}

/// How many lives there were here.
pub fn count(instance: &Instance) -> usize {
    lives_in(&instance.name, &record(instance)).len()
}

/// It has run all the time since it was first started here.
pub fn assert_never_stopped(instance: &Instance) {
    let lives = lives_in(&instance.name, &record(instance));
    assert_eq!(lives.len(), 1, "{} stopped its service: {lives:#?}\n{}", instance.name, instance.ok(&["events"]));
    assert!(runs_now(instance), "{}", instance.ok(&["events"]));
}

/// Wrote a sign within the last so many ms.
pub fn runs_now(instance: &Instance) -> bool {
    let now = boot_ns();
    let newest = lives_in(&instance.name, &record(instance)).iter().map(|life| life.to).max();
    newest.is_some_and(|at| now.saturating_sub(at) < 150_000_000)
}
