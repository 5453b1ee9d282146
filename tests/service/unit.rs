//! A systemd unit as the service (spec 7.13), against a stand-in for `systemctl`: a script that speaks the same commands
//! (`show --property`, `start --no-block`, `stop --no-block`, `kill --signal`, `reset-failed`) and keeps its units as processes
//! of its own. It is no systemd: that a bound unit ends with Standin's is systemd's own promise and not tested here.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::mpsc::{Receiver, channel};

use standin::engine::input::ServiceChange;
use standin::engine::settings::Service;
use standin::service::unit::keeper::UnitKeeper;
use standin::service::unit::{Seen, Systemctl, Tie, Units};

use crate::support::{PATIENCE, kill, pid, wait_for};

const SCRIPT: &str = r#"#!/bin/sh
# A stand-in for systemctl: NAME.unit holds the command of a unit, NAME.bind what it is bound to, NAME.limit its
# TimeoutStopSec, NAME.pid its process.
dir=$(dirname "$0"); verb=$1
for unit; do :; done
base="$dir/$unit"
echo "$verb $unit" >> "$dir/calls"
pid=$(cat "$base.pid" 2>/dev/null || echo 0)
lives() { [ "$pid" != 0 ] && [ -r "/proc/$pid/stat" ] && ! grep -q ') Z ' "/proc/$pid/stat"; }
[ -e "$dir/broken" ] && { echo "Failed to connect to bus" >&2; exit 1; }
case $verb in
show)
  if ! [ -e "$base.unit" ]; then printf 'LoadState=not-found\nActiveState=inactive\nSubState=dead\n'; exit 0; fi
  printf 'LoadState=loaded\nBindsTo=%s\n' "$(cat "$base.bind" 2>/dev/null)"
  printf 'TimeoutStopUSec=%s\n' "$(cat "$base.limit" 2>/dev/null || echo 1min 30s)"
  if lives; then printf 'ActiveState=active\nSubState=running\nResult=success\nMainPID=%s\n' "$pid"
  elif [ "$pid" != 0 ] && ! [ -e "$base.stopped" ]; then
    printf 'ActiveState=failed\nSubState=failed\nResult=exit-code\nMainPID=0\n'
  else printf 'ActiveState=inactive\nSubState=dead\nResult=success\nMainPID=0\n'; fi ;;
start)
  rm -f "$base.stopped" "$base.pid"
  setsid sh -c 'echo $$ > "$0.new"; mv "$0.new" "$0.pid"; exec sh "$0.unit"' "$base" >/dev/null 2>&1 &
  # Out of this script's process group before it ends.
  while ! [ -e "$base.pid" ]; do sleep 0.01; done ;;
stop) touch "$base.stopped"; lives && kill -TERM "$pid" ;;
kill) lives && kill -KILL "$pid" ;;
reset-failed) : ;;
*) exit 2 ;;
esac
exit 0
"#;

struct Bench {
    home: tempfile::TempDir,
    keeper: UnitKeeper,
    changes: Receiver<ServiceChange>,
}

impl Bench {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let script = home.path().join("systemctl");
        fs::write(&script, SCRIPT).unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        let (changed, changes) = channel();
        let keeper = UnitKeeper::new(Systemctl::at(script), move |change| {
            let _ = changed.send(change);
        })
        .unwrap();
        Self { home, keeper, changes }
    }

    fn unit(&self, command: &str) {
        fs::write(self.home.path().join("web.service.unit"), command).unwrap();
    }

    fn start(&self) {
        let service = Service {
            unit: Some("web.service".into()),
            stop_grace: 300,
            restart_pause: 10,
            restart_limit: 1,
            ..Service::default()
        };
        self.keeper.start(&service, None);
    }

    fn next(&self) -> ServiceChange {
        self.changes.recv_timeout(PATIENCE).expect("a change")
    }

    fn started(&self) -> i32 {
        self.start();
        match self.next() {
            ServiceChange::Started(status) => {
                assert_eq!((status.kind.as_str(), status.name.as_str()), ("unit", "web.service"));
                pid(&status)
            }
            other => panic!("{other:?}"),
        }
    }

    fn start_failure(&self) -> String {
        self.start();
        match self.next() {
            ServiceChange::StartFailed(status) => status.message.unwrap(),
            other => panic!("{other:?}"),
        }
    }

    fn stopped(&self) -> u64 {
        self.keeper.stop(0);
        loop {
            match self.next() {
                ServiceChange::Stopped(status) => return status.stop_took_ms.unwrap_or(0),
                ServiceChange::Changed(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
}

fn lives(pid: i32) -> bool {
    fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// spec 7.13: a unit is started and stopped through systemd, and the stop is measured
#[test]
fn a_unit_is_started_and_stopped() {
    let bench = Bench::new();
    bench.unit("exec sleep 600");
    let process = bench.started();
    assert!(lives(process));
    assert_eq!(bench.started(), process, "asked twice, it is the same");
    assert!(bench.stopped() < 300);
    assert!(!lives(process));
    assert_eq!(bench.keeper.status().state, "stopped");
}

/// spec 7.13: signal, grace, kill, within the stop budget
#[test]
fn a_unit_deaf_to_the_stop_is_killed_after_the_grace() {
    let bench = Bench::new();
    bench.unit("trap '' TERM; while :; do sleep 0.1; done");
    let process = bench.started();
    let took_ms = bench.stopped();
    assert!((300..1_300).contains(&took_ms), "{took_ms} ms");
    assert!(!lives(process));
}

/// spec 2.4, 7.13: a stop that is asked for again makes it sooner, and never puts the kill off
#[test]
fn a_stop_that_is_asked_for_again_is_never_later() {
    let bench = Bench::new();
    bench.unit("trap '' TERM; while :; do sleep 0.1; done");
    let process = bench.started();
    bench.keeper.stop(600_000);
    bench.keeper.stop(900_000);
    wait_for("its kill", || {
        // More often than its grace, and not so often that it does nothing but listen.
        bench.keeper.stop(0);
        std::thread::sleep(std::time::Duration::from_millis(100));
        !lives(process)
    });
    bench.stopped();
}

/// spec 7.13: refused clearly: unknown to systemd, no systemctl, no answer
#[test]
fn what_cannot_be_started_says_why() {
    let bench = Bench::new();
    assert_eq!(bench.start_failure(), "web.service is unknown to systemd on this machine");
    fs::write(bench.home.path().join("broken"), "").unwrap();
    let why = bench.start_failure();
    assert!(why.contains("Failed to connect to bus"), "{why}");
    fs::remove_file(bench.home.path().join("systemctl")).unwrap();
    let why = bench.start_failure();
    assert!(why.contains("does not exist"), "{why}");
    let missing = Systemctl::at("no-such-systemctl").see("web.service").unwrap_err();
    assert!(missing.contains("was not found in PATH"), "{missing}");
}

/// spec 7.13: a unit that does not stay up is restarted, and past the limit it is failing
#[test]
fn a_unit_that_keeps_ending_is_failing() {
    let bench = Bench::new();
    bench.unit("exec sleep 600");
    let first = bench.started();
    kill(first, rustix::process::Signal::KILL);
    let ServiceChange::Changed(status) = bench.next() else { panic!("told") };
    assert_eq!(status.message.as_deref(), Some("ended: failed (failed), exit-code"));
    let ServiceChange::Changed(status) = bench.next() else { panic!("restarted") };
    assert_eq!((status.state.as_str(), status.restarts), ("running", 1));
    let second = pid(&status);
    assert_ne!(first, second);
    bench.keeper.restart("stopped because its health check failed once: refused");
    let ServiceChange::Changed(_) = bench.next() else { panic!("told") };
    let change = bench.next();
    let ServiceChange::Failing(status) = change else { panic!("{change:?}") };
    assert!(status.failing);
    wait_for("its end", || !lives(second));
    bench.stopped();
}

/// A unit whose own Standin runs as `standin.service`.
struct Bound(Systemctl);

impl Units for Bound {
    fn see(&self, unit: &str) -> Result<Seen, String> {
        self.0.see(unit)
    }
    fn start(&self, unit: &str) -> Result<(), String> {
        self.0.start(unit)
    }
    fn stop(&self, unit: &str) -> Result<(), String> {
        self.0.stop(unit)
    }
    fn kill(&self, unit: &str) -> Result<(), String> {
        self.0.kill(unit)
    }
    fn own(&self) -> Option<String> {
        Some("standin.service".into())
    }
}

/// spec 7.13: a unit without this is found out
#[test]
fn a_unit_that_would_outlive_standin_is_found_out() {
    let bench = Bench::new();
    let units = Bound(Systemctl::at(bench.home.path().join("systemctl")));
    assert!(units.bound("web.service").unwrap_err().contains("unknown to systemd"));
    bench.unit("exec sleep 600");
    let why = units.bound("web.service").unwrap_err();
    assert!(why.contains("BindsTo=standin.service"), "{why}");
    fs::write(bench.home.path().join("web.service.bind"), "standin.service").unwrap();
    assert_eq!(units.bound("web.service"), Ok(()));
}

/// Leaving stops the unit.
#[test]
fn a_unit_ends_with_its_keeper() {
    let bench = Bench::new();
    bench.unit("exec sleep 600");
    let process = bench.started();
    let Bench { home, keeper, changes: _changes } = bench;
    drop(keeper);
    wait_for("its end", || !lives(process));
    let calls = fs::read_to_string(Path::new(home.path()).join("calls")).unwrap();
    assert!(calls.lines().last().is_some_and(|call| call == "stop web.service"), "{calls}");
}

/// With an arbiter: six seconds, of which a watchdog of systemd takes two.
const TIE: Tie = Tie { budget_ms: 6_000, watchdog_ms: Some(2_000) };

/// spec 7.13: with an arbiter a unit that would outlive Standin is refused, and nothing is started
#[test]
fn with_an_arbiter_an_unbound_unit_is_refused() {
    let bench = Bench::new();
    bench.unit("exec sleep 600");
    let service = Service { unit: Some("web.service".into()), ..Service::default() };
    bench.keeper.start(&service, Some(TIE));
    let ServiceChange::StartFailed(status) = bench.next() else { panic!("not refused") };
    let why = status.message.unwrap();
    assert!(why.contains("with an arbiter"), "{why}");
    assert!(!bench.home.path().join("web.service.pid").exists(), "started all the same");
}

/// spec 7.13: with an arbiter a bound unit is refused too where systemd does not watch Standin, or would not have ended it
/// within the stop budget when Standin stands still; nothing is started then
#[test]
fn with_an_arbiter_a_unit_must_end_when_standin_stands_still() {
    let bench = Bench::new();
    bench.unit("exec sleep 600");
    let file = |name: &str, text: &str| fs::write(bench.home.path().join(format!("web.service.{name}")), text).unwrap();
    file("bind", "standin.service");
    let (changed, changes) = channel();
    let units = Bound(Systemctl::at(bench.home.path().join("systemctl")));
    let keeper = UnitKeeper::new(units, move |change| drop(changed.send(change))).unwrap();
    let service = Service { unit: Some("web.service".into()), stop_grace: 300, ..Service::default() };
    let refused = |tie: Tie| {
        keeper.start(&service, Some(tie));
        match changes.recv_timeout(PATIENCE).expect("a change") {
            ServiceChange::StartFailed(status) => status.message.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let why = refused(Tie { watchdog_ms: None, ..TIE });
    assert!(why.contains("WatchdogSec=2s") && why.contains("standin.service"), "{why}");
    let why = refused(TIE);
    assert!(why.contains("TimeoutStopSec=3s or less"), "{why}");
    assert!(!bench.home.path().join("web.service.pid").exists(), "started all the same");
    file("limit", "3s");
    keeper.start(&service, Some(TIE));
    let change = changes.recv_timeout(PATIENCE).expect("a change");
    assert!(matches!(change, ServiceChange::Started(_)), "{change:?}");
    keeper.stop(0);
    let change = changes.recv_timeout(PATIENCE).expect("a change");
    assert!(matches!(change, ServiceChange::Stopped(_)), "{change:?}");
}

/// spec 7.7, 7.13: where nothing was started because systemd cannot be asked there is nothing to stop either
#[test]
fn what_was_never_started_is_stopped_at_once() {
    let bench = Bench::new();
    bench.unit("exec sleep 600");
    fs::write(bench.home.path().join("broken"), "").unwrap();
    let why = bench.start_failure();
    assert!(why.contains("Failed to connect to bus"), "{why}");
    bench.stopped();
    assert_eq!(bench.keeper.status().state, "stopped");
    let calls = fs::read_to_string(bench.home.path().join("calls")).unwrap();
    assert!(calls.lines().all(|call| call == "show web.service"), "{calls}");
}

/// spec 7.13: what was started and cannot be looked at any more is not taken for stopped, and that is said
#[test]
fn a_unit_that_systemd_does_not_tell_of_may_still_run() {
    let bench = Bench::new();
    bench.unit("exec sleep 600");
    let process = bench.started();
    fs::write(bench.home.path().join("broken"), "").unwrap();
    bench.keeper.stop(0);
    let ServiceChange::StopFailed(status) = bench.next() else { panic!("taken for stopped") };
    let why = status.message.unwrap();
    assert!(why.contains("systemd cannot be asked"), "{why}");
    fs::remove_file(bench.home.path().join("broken")).unwrap();
    let change = bench.next();
    assert!(matches!(change, ServiceChange::Stopped(_)), "{change:?}");
    assert!(!lives(process));
}
