//! The service never outlives Standin, however that dies (spec 7.13).

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use standin::engine::input::ServiceChange;
use standin::engine::settings::Service;

use crate::support::{HIDING_PROCESSES, Rig, env, hiding, kill, marked, pid, shell, supervisor, wait_for};

/// Names the home for [`plays_standin`].
const HOME: &str = "STANDIN_TEST_HOME";
/// Grace of the service of [`plays_standin`].
const GRACE_MS: u64 = 500;

/// Not a test: what [`standin`] runs as a process of its own.
#[test]
#[ignore = "only as a child of other tests"]
fn plays_standin() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let home = Path::new(&home);
    let (changed, changes) = channel();
    let (wrote, output) = channel();
    let supervisor = supervisor(home, changed, wrote);
    let service = Service { stop_grace: GRACE_MS, ..shell(&hiding(home)) };
    supervisor.start(&service, home, &env(home));
    let Ok(ServiceChange::Started(status)) = changes.recv() else { panic!("not started") };
    std::fs::write(home.join("service"), pid(&status).to_string()).unwrap();
    assert_eq!(output.recv().unwrap().text, "ready");
    // Through to the parent, past the harness.
    let guard = supervisor.guard_process().unwrap();
    std::fs::write(home.join("guard"), guard.to_string()).unwrap();
    eprintln!("playing");
    loop {
        std::thread::park();
    }
}

/// A process that plays Standin, with a service that hides. Its process and its guard's.
fn standin(home: &Path) -> (Child, i32) {
    let mut child = Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "survival::plays_standin", "--ignored", "--nocapture"])
        .env(HOME, home)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let stderr = BufReader::new(child.stderr.take().unwrap());
    assert!(stderr.lines().any(|line| line.unwrap().contains("playing")));
    let guard = std::fs::read_to_string(home.join("guard")).unwrap().parse().unwrap();
    assert!(marked(home).len() >= HIDING_PROCESSES, "{:?}", marked(home));
    (child, guard)
}

fn runs(pid: i32) -> bool {
    rustix::process::test_kill_process(rustix::process::Pid::from_raw(pid).unwrap()).is_ok()
        && std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// spec 7.13: it stops within the stop budget when Standin dies, with all it has started
#[test]
fn kill_9_of_standin_takes_the_service_and_all_its_offspring_along() {
    let home = tempfile::tempdir().unwrap();
    let (mut standin, guard) = standin(home.path());
    standin.kill().unwrap();
    standin.wait().unwrap();
    let begin = Instant::now();
    wait_for("the end of the service", || marked(home.path()).is_empty());
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(GRACE_MS - 200), "{took:?}: it had its grace");
    assert!(took < Duration::from_millis(GRACE_MS + 2_000), "{took:?}: within the stop budget");
    wait_for("the end of the guard", || !runs(guard));
}

/// spec 7.13: polite signals and those of a terminal do not take the guard away from its duty
#[test]
fn the_guard_is_deaf_to_polite_signals() {
    let rig = Rig::new();
    let service = rig.started("exec sleep 600", |_| {});
    let guard = i32::try_from(rig.supervisor.guard_process().unwrap()).unwrap();
    for signal in [Signal::TERM, Signal::INT, Signal::HUP, Signal::QUIT] {
        kill(guard, signal);
    }
    assert_eq!(rig.started("exec sleep 600", |_| {}), service, "it answers, and the service is the same");
    assert_eq!(rustix::process::getsid(rustix::process::Pid::from_raw(guard)).unwrap().as_raw_nonzero().get(), guard);
    // And the service is not deaf.
    rig.supervisor.stop(0);
    rig.stopped();
}

/// spec 7.13: the guard's own death leaves nothing behind, and the service comes back under a new one
#[test]
fn kill_9_of_the_guard_ends_the_service_and_a_new_guard_starts_it_again() {
    let rig = Rig::new();
    rig.started(&hiding(rig.home.path()), |service| service.stop_grace = 100);
    assert_eq!(rig.line(), "ready");
    let before = marked(rig.home.path());
    let guard = i32::try_from(rig.supervisor.guard_process().unwrap()).unwrap();
    kill(guard, Signal::KILL);
    let change = rig.next();
    assert!(matches!(&change, ServiceChange::Changed(status) if status.state == "failed"), "{change:?}");
    let change = rig.until(|change| !matches!(change, ServiceChange::Changed(status) if status.state == "failed"));
    let (ServiceChange::Changed(status) | ServiceChange::Started(status)) = change else { panic!("{change:?}") };
    assert_eq!((status.state.as_str(), status.restarts), ("running", 1));
    let after = marked(rig.home.path());
    assert!(after.contains(&pid(&status)));
    assert!(before.iter().all(|old| !after.contains(old)), "{before:?} {after:?}");
    assert_ne!(rig.supervisor.guard_process(), u32::try_from(guard).ok());
    rig.supervisor.stop(0);
    rig.stopped();
}

/// spec 7.13: a stop asked while the guard dies is still answered, by the truth
#[test]
fn a_stop_is_answered_though_the_guard_dies_over_it() {
    let rig = Rig::new();
    rig.started(&hiding(rig.home.path()), |service| service.stop_grace = 60_000);
    assert_eq!(rig.line(), "ready");
    rig.supervisor.stop(0);
    kill(i32::try_from(rig.supervisor.guard_process().unwrap()).unwrap(), Signal::KILL);
    rig.stopped();
}

/// spec 7.13: even when both are killed at the same moment, the next run finds what was left before it starts anything
#[test]
fn what_an_earlier_run_left_is_gone_before_the_service_starts() {
    let home = tempfile::tempdir().unwrap();
    let (mut standin, guard) = standin(home.path());
    let service = std::fs::read_to_string(home.path().join("service")).unwrap().parse().unwrap();
    assert!(runs(service));
    // Neither may clean up after the other: one is frozen while the other dies.
    kill(i32::try_from(standin.id()).unwrap(), Signal::STOP);
    kill(guard, Signal::KILL);
    wait_for("the command's end, by the kernel alone (parent-death signal)", || !runs(service));
    standin.kill().unwrap();
    standin.wait().unwrap();
    let left = marked(home.path());
    assert!(!left.is_empty(), "this is about what the kernel does not kill");
    let (changed, changes) = channel();
    let (wrote, _output) = channel();
    let supervisor = supervisor(home.path(), changed, wrote);
    supervisor.start(&shell("exec sleep 600"), home.path(), &env(home.path()));
    let change = changes.recv_timeout(crate::support::PATIENCE).unwrap();
    let ServiceChange::Started(status) = change else { panic!("{change:?}") };
    assert_eq!(marked(home.path()), [pid(&status)], "nothing of {left:?}");
    supervisor.stop(0);
    assert!(matches!(changes.recv_timeout(crate::support::PATIENCE), Ok(ServiceChange::Stopped(_))));
}

/// spec 7.13: leaving without a word is enough
#[test]
fn dropping_the_supervisor_stops_the_service() {
    let rig = Rig::new();
    rig.started("exec sleep 600", |_| {});
    let Rig { supervisor, home, .. } = rig;
    drop(supervisor);
    wait_for("the end of the service", || marked(home.path()).is_empty());
}
