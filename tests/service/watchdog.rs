//! The watchdog: a Standin that does not move, a guard that does not move (spec 7.12, 7.13).

use std::path::Path;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use rustix::time::{ClockId, clock_gettime};
use standin::engine::input::ServiceChange;
use standin::engine::settings::Service;
use standin::service::Watchdog;

use crate::support::{PATIENCE, Rig, env, hiding, kill, marked, pid, shell, supervisor, wait_for};

/// Names the home for [`plays_stalled_standin`].
const HOME: &str = "STANDIN_TEST_STALL_HOME";

fn boot_ms() -> u64 {
    let at = clock_gettime(ClockId::Boottime);
    u64::try_from(at.tv_sec).unwrap() * 1_000 + u64::try_from(at.tv_nsec).unwrap() / 1_000_000
}

/// What Standin's loop does, for as long as `goes_on`.
fn pulse_while(watchdog: &mut Watchdog, goes_on: impl Fn() -> bool) {
    let limit = Instant::now() + PATIENCE;
    while goes_on() {
        assert!(Instant::now() < limit, "pulsed in vain");
        if boot_ms() >= watchdog.due_ms() {
            watchdog.pulse(boot_ms(), None);
        }
        std::thread::sleep(Duration::from_millis(5));
    }
}

/// spec 7.13: it may run until the moment last said, and not longer, with all it has started
#[test]
fn a_service_whose_time_is_over_is_stopped_and_does_not_come_back() {
    let rig = Rig::new();
    let mut watchdog = rig.supervisor.watchdog();
    watchdog.begin(boot_ms(), Some(boot_ms() + 1_200));
    rig.started(&hiding(rig.home.path()), |service| service.stop_grace = 100);
    assert_eq!(rig.line(), "ready");
    let begin = Instant::now();
    watchdog.pulse(boot_ms(), Some(boot_ms() + 700));
    let change = rig.next();
    let ServiceChange::Expired(status) = change else { panic!("{change:?}") };
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(690), "{took:?}: not before its time");
    assert!(took < Duration::from_millis(700 + 100 + 1_500), "{took:?}: within the stop budget of it");
    assert_eq!(marked(rig.home.path()), Vec::<i32>::new(), "nothing of it is left");
    assert_eq!((status.state.as_str(), status.process), ("stopped", None));
    assert!(status.stop_took_ms.is_some_and(|ms| ms >= 100), "{status:?}");
    assert!(rig.changes.recv_timeout(Duration::from_millis(300)).is_err(), "nothing starts it again");
    // But an order does.
    watchdog.begin(boot_ms(), None);
    rig.started("exec sleep 600", |_| {});
    rig.supervisor.stop(0);
    rig.stopped();
}

/// spec 7.11, 7.13: one that is asked for by a Standin which then did not move until its time was over does not begin
#[test]
fn a_service_whose_time_is_over_does_not_begin() {
    let rig = Rig::new();
    let mut watchdog = rig.supervisor.watchdog();
    watchdog.begin(boot_ms(), Some(boot_ms()));
    rig.start(&hiding(rig.home.path()), |_| {});
    let change = rig.next();
    let ServiceChange::StartFailed(status) = change else { panic!("{change:?}") };
    assert!(status.message.unwrap().contains("time was over"));
    assert!(rig.output.try_recv().is_err() && marked(rig.home.path()).is_empty(), "not even for a moment");
    watchdog.begin(boot_ms(), None);
    rig.started("exec sleep 600", |_| {});
    rig.supervisor.stop(0);
    rig.stopped();
}

/// spec 7.13: a loop that turns keeps it alive, beyond every single allowance
#[test]
fn a_loop_that_turns_keeps_the_service_running() {
    let rig = Rig::new();
    let mut watchdog = rig.supervisor.watchdog();
    watchdog.begin(boot_ms(), None);
    let service = rig.started("exec sleep 600", |_| {});
    let begin = Instant::now();
    pulse_while(&mut watchdog, || begin.elapsed() < Duration::from_millis(3_500));
    assert!(rig.changes.try_recv().is_err());
    assert_eq!(pid(&rig.supervisor.status()), service);
    // And what ends while it does is restarted.
    kill(service, Signal::KILL);
    pulse_while(&mut watchdog, || rig.supervisor.status().restarts == 0);
    rig.supervisor.stop(0);
    rig.stopped();
}

/// spec 7.11, 7.13: a guard is judged by time, not by how often the loop looks: each confirmation of an arbiter is a look
#[test]
fn confirmations_in_quick_succession_kill_no_guard() {
    let rig = Rig::new();
    let mut watchdog = rig.supervisor.watchdog();
    watchdog.begin(boot_ms(), Some(boot_ms() + 1_500));
    let service = rig.started("exec sleep 600", |_| {});
    let guard = rig.supervisor.guard_process();
    let begin = Instant::now();
    while begin.elapsed() < Duration::from_millis(1_200) {
        watchdog.pulse(boot_ms(), Some(boot_ms() + 1_500));
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((rig.supervisor.guard_process(), pid(&rig.supervisor.status())), (guard, service));
    assert!(rig.changes.try_recv().is_err());
    rig.supervisor.stop(0);
    rig.stopped();
}

/// spec 7.13: a guard that does not move for 2 s is killed with the service, told, and replaced
#[test]
fn a_guard_that_does_not_move_is_killed_and_replaced() {
    let rig = Rig::new();
    let mut watchdog = rig.supervisor.watchdog();
    watchdog.begin(boot_ms(), None);
    let service = rig.started("exec sleep 600", |_| {});
    let guard = rig.supervisor.guard_process().unwrap();
    kill(i32::try_from(guard).unwrap(), Signal::STOP);
    let begin = Instant::now();
    pulse_while(&mut watchdog, || rig.supervisor.guard_process() == Some(guard));
    let took = begin.elapsed();
    assert!(took < Duration::from_secs(6), "{took:?}");
    let change = rig.next();
    let ServiceChange::Changed(status) = change else { panic!("{change:?}") };
    assert!(status.message.unwrap().contains("did not move"));
    pulse_while(&mut watchdog, || rig.supervisor.status().state != "running");
    assert!(!marked(rig.home.path()).contains(&service), "the old one is gone");
    rig.supervisor.stop(0);
    rig.stopped();
}

/// Not a test: what the next one runs as a process of its own.
#[test]
#[ignore = "only as a child of other tests"]
fn plays_stalled_standin() {
    let Some(home) = std::env::var_os(HOME) else { return };
    let home = Path::new(&home);
    let (changed, changes) = channel();
    let (wrote, output) = channel();
    let supervisor = supervisor(home, changed, wrote);
    let mut watchdog = supervisor.watchdog();
    watchdog.begin(boot_ms(), None);
    supervisor.start(&Service { stop_grace: 200, ..shell(&hiding(home)) }, home, &env(home));
    let mut is_told = false;
    loop {
        watchdog.pulse(boot_ms(), None);
        if output.try_recv().is_ok() && !is_told {
            is_told = true;
            std::fs::write(home.join("playing"), "").unwrap();
        }
        if let Ok(ServiceChange::Expired(_)) = changes.try_recv() {
            std::fs::write(home.join("expired"), "").unwrap();
        }
        std::thread::sleep(Duration::from_millis(20));
    }
}

/// spec 7.13: a Standin that is stopped (SIGSTOP) has its service stopped within 2 s and the stop budget, and hears of it when
/// it goes on
#[test]
fn a_standin_that_stalls_has_its_service_stopped_and_learns_of_it() {
    let home = tempfile::tempdir().unwrap();
    let mut child = std::process::Command::new(std::env::current_exe().unwrap())
        .args(["--exact", "watchdog::plays_stalled_standin", "--ignored", "--nocapture"])
        .env(HOME, home.path())
        .stdin(std::process::Stdio::null())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    wait_for("the service", || home.path().join("playing").exists());
    assert!(!marked(home.path()).is_empty());
    let standin = i32::try_from(child.id()).unwrap();
    kill(standin, Signal::STOP);
    let begin = Instant::now();
    wait_for("the end of the service", || marked(home.path()).is_empty());
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(1_700), "{took:?}: a short stall is none");
    assert!(took < Duration::from_millis(2_000 + 200 + 1_800), "{took:?}");
    assert!(!home.path().join("expired").exists());
    kill(standin, Signal::CONT);
    wait_for("word of it", || home.path().join("expired").exists());
    assert_eq!(marked(home.path()), Vec::<i32>::new(), "it did not start it again by itself");
    child.kill().unwrap();
    child.wait().unwrap();
}
