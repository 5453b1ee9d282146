//! Start, restart, stop.

use std::fs;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use standin::engine::input::ServiceChange;
use standin::engine::settings::Service;

use crate::support::{HIDING_PROCESSES, Rig, env, hiding, kill, marked, pid, shell, wait_for};

/// interfaces, Hooks and service environment; spec 7.13
#[test]
fn the_service_has_its_environment_its_directory_and_its_output() {
    let rig = Rig::new();
    rig.started("pwd; env | grep ^STANDIN_ | grep -v ^STANDIN_SIM_ | sort; echo wrong >&2; exec sleep 600", |_| {});
    let home = rig.home.path().to_string_lossy().into_owned();
    assert_eq!(rig.line(), home);
    let mut lines: Vec<_> = (0..9).map(|_| rig.line()).collect();
    let wrong = lines.iter().position(|line| line == "wrong").expect("standard error too");
    lines.remove(wrong);
    let expected = [
        &format!("STANDIN_DIRECTORY={home}"),
        &format!("STANDIN_GUARD={home}"),
        "STANDIN_PEER=node-b",
        "STANDIN_REASON=switch",
        "STANDIN_REVISION=12",
        "STANDIN_ROLE=master",
        "STANDIN_ROOT=",
        "STANDIN_TERM=3",
    ];
    assert_eq!(lines, expected);
    let status = rig.supervisor.status();
    assert_eq!((status.kind.as_str(), status.state.as_str()), ("command", "running"));
    rig.supervisor.stop(0);
    rig.stopped();
    assert_eq!(rig.supervisor.status().state, "stopped");
}

/// spec 7.13: Stop is signal, grace, kill of the whole group, and nothing left behind
#[test]
fn what_ignores_the_signal_and_hides_is_killed_after_the_grace() {
    let rig = Rig::new();
    rig.started(&hiding(rig.home.path()), |service| service.stop_grace = 400);
    assert_eq!(rig.line(), "ready");
    assert!(marked(rig.home.path()).len() >= HIDING_PROCESSES);
    let begin = Instant::now();
    rig.supervisor.stop(0);
    rig.stopped();
    let took = begin.elapsed();
    assert!(took >= Duration::from_millis(400), "{took:?}: the grace was kept");
    assert!(took < Duration::from_millis(2_500), "{took:?}: and not by far exceeded");
}

/// spec 7.11, 7.13: a shorter grace counts for what runs already: the stop budget that the settings promise is kept
#[test]
fn a_shorter_grace_counts_for_what_runs() {
    let rig = Rig::new();
    rig.started(&hiding(rig.home.path()), |service| service.stop_grace = 600_000);
    assert_eq!(rig.line(), "ready");
    rig.supervisor.set_stop_grace(200);
    let begin = Instant::now();
    rig.supervisor.stop(0);
    rig.stopped();
    assert!(begin.elapsed() < Duration::from_secs(10), "{:?}", begin.elapsed());
}

/// spec 2.4, 7.7: what has time to end in peace and is wanted again before it was asked to end runs on, and says so at once
#[test]
fn a_stop_that_is_taken_back_in_time_stops_nothing() {
    let rig = Rig::new();
    let script = "echo up; exec sleep 600";
    let before = rig.started(script, |_| {});
    assert_eq!(rig.line(), "up");
    rig.supervisor.stop(3_600_000);
    let again = rig.started(script, |_| {});
    assert_eq!(before, again);
    assert_eq!(rig.supervisor.status().state, "running");
    // A later stop is as any other.
    rig.supervisor.stop(0);
    rig.stopped();
}

/// spec 7.13: a service that ends when asked costs no grace
#[test]
fn a_polite_service_stops_at_once_by_the_signal_of_its_settings() {
    let rig = Rig::new();
    let said = rig.path("said");
    let script = format!("trap 'echo bye >{}; exit 0' INT; echo up; while :; do sleep 0.01; done", said.display());
    rig.started(&script, |service| {
        service.stop_signal = "INT".into();
        service.stop_grace = 15_000;
    });
    assert_eq!(rig.line(), "up");
    let begin = Instant::now();
    rig.supervisor.stop(0);
    rig.stopped();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
    assert_eq!(fs::read_to_string(said).unwrap(), "bye\n");
}

/// spec 7.13: a stopped (SIGSTOP) process hears the signal too
#[test]
fn a_suspended_service_is_woken_to_end() {
    let rig = Rig::new();
    let service = rig.started("exec sleep 600", |service| service.stop_grace = 15_000);
    kill(service, Signal::STOP);
    let begin = Instant::now();
    rig.supervisor.stop(0);
    rig.stopped();
    assert!(begin.elapsed() < Duration::from_secs(5), "{:?}", begin.elapsed());
}

/// spec 2.4: the outgoing master lets its service end in peace
#[test]
fn peace_comes_before_the_signal_and_ends_early_when_the_service_does() {
    let rig = Rig::new();
    let end = rig.path("end");
    let said = rig.path("said");
    let script = format!(
        "trap 'echo signal >{}' TERM; echo up; while ! [ -e {} ]; do sleep 0.01; done",
        said.display(),
        end.display()
    );
    rig.started(&script, |_| {});
    assert_eq!(rig.line(), "up");
    rig.supervisor.stop(60_000);
    assert_eq!(rig.supervisor.status().state, "stopping");
    fs::write(&end, "").unwrap();
    rig.stopped();
    assert!(!said.exists(), "no signal was needed");

    fs::remove_file(&end).unwrap();
    rig.started("exec sleep 600", |_| {});
    let begin = Instant::now();
    rig.supervisor.stop(300);
    rig.stopped();
    assert!(begin.elapsed() >= Duration::from_millis(300), "{:?}", begin.elapsed());
}

/// spec 7.13: supervised and restarted; settings: the pause doubles
#[test]
fn what_ends_is_restarted_with_growing_pauses() {
    let rig = Rig::new();
    rig.started("exit 3", |service| {
        service.start_time = 0;
        service.restart_pause = 60;
    });
    let mut pauses = Vec::new();
    let mut begin = Instant::now();
    while pauses.len() < 3 {
        let ServiceChange::Changed(status) = rig.next() else { panic!("only changes") };
        match status.message.as_deref() {
            Some("ended: exit status 3") => begin = Instant::now(),
            Some(message) => pauses.push(message.rsplit_once("in ").unwrap().1.to_owned()),
            None => {
                assert_eq!((status.state.as_str(), status.restarts as usize), ("running", pauses.len()));
                let least = [60, 120][pauses.len() - 1];
                assert!(begin.elapsed() >= Duration::from_millis(least - 20), "{:?}", begin.elapsed());
            }
        }
    }
    assert_eq!(pauses, ["60 ms", "120 ms", "240 ms"]);
    rig.supervisor.stop(0);
    rig.stopped();
}

/// spec 7.13: two copies must never meet, not even when a restart follows a command that left workers behind
#[test]
fn workers_of_a_dead_command_are_gone_before_it_starts_again() {
    let rig = Rig::new();
    let script = "trap '' TERM; (trap '' TERM; exec sleep 600) & echo worker $!; sleep 0.1; exit 1";
    rig.started(script, |service| service.restart_pause = 300);
    let worker: i32 = rig.line().rsplit_once(' ').unwrap().1.parse().unwrap();
    assert!(marked(rig.home.path()).contains(&worker));
    rig.until(|change| matches!(change, ServiceChange::Changed(status) if status.state == "running"));
    assert!(!marked(rig.home.path()).contains(&worker));
    rig.supervisor.stop(0);
    rig.stopped();
}

/// spec 7.3, 7.7: a start that fails is told, with its cause
#[test]
fn a_start_that_fails_is_told_and_not_tried_again() {
    let rig = Rig::new();
    let failure = |service: &Service| {
        rig.supervisor.start(service, rig.home.path(), &env(rig.home.path()));
        match rig.next() {
            ServiceChange::StartFailed(status) => status.message.unwrap(),
            other => panic!("{other:?}"),
        }
    };
    let named = |name: &str| Service { command: vec![name.into()], ..Service::default() };
    assert_eq!(failure(&named("no-such-program-here")), "no-such-program-here was not found in PATH");
    fs::write(rig.path("plain"), "").unwrap();
    assert!(failure(&named(&rig.path("plain").to_string_lossy())).contains("not executable"));
    let elsewhere = Service { directory: Some("/no/such/place".into()), ..shell("exit") };
    assert_eq!(failure(&elsewhere), "the working directory /no/such/place does not exist");
    let signal = Service { stop_signal: "KILL".into(), ..shell("exit") };
    assert!(failure(&signal).contains("KILL is no signal"));
    let early = Service { start_time: 10_000, ..shell("sleep 600 & exit 7") };
    let why = failure(&early);
    assert!(why.starts_with("it ended ") && why.ends_with("after its start: exit status 7"), "{why}");
    assert_eq!(marked(rig.home.path()), Vec::<i32>::new(), "nothing of it is left");
    let long = Service { command: vec!["x".repeat(200_000)], ..Service::default() };
    assert_eq!(failure(&long), "the command line with its environment is too long");
    assert_eq!(rig.supervisor.status().state, "failed");
    assert!(rig.changes.try_recv().is_err(), "nothing is tried again");
    rig.started("exec sleep 600", |_| {});
}

/// settings `service.start_time`
#[test]
fn it_counts_as_started_after_its_start_time() {
    let rig = Rig::new();
    let begin = Instant::now();
    rig.started("exec sleep 600", |service| service.start_time = 300);
    assert!(begin.elapsed() >= Duration::from_millis(300));
}

/// spec 7.13: asking twice changes nothing, asking for something else replaces
#[test]
fn start_and_stop_are_idempotent_and_another_command_replaces() {
    let rig = Rig::new();
    rig.supervisor.stop(0);
    assert!(matches!(rig.next(), ServiceChange::Stopped(_)));
    let first = rig.started("exec sleep 600", |_| {});
    assert_eq!(rig.started("exec sleep 600", |_| {}), first);
    let second = rig.started("exec sleep 700", |_| {});
    assert_ne!(second, first);
    wait_for("only the second", || marked(rig.home.path()) == [second]);
    rig.supervisor.stop(0);
    rig.stopped();
    let third = rig.started("exec sleep 600", |_| {});
    assert_eq!(pid(&rig.supervisor.status()), third);
}

/// spec 7.7: a stop on the heels of a start, and the reverse
#[test]
fn the_last_word_counts() {
    let rig = Rig::new();
    rig.start("exec sleep 600", |_| {});
    rig.supervisor.stop(0);
    rig.until(|change| matches!(change, ServiceChange::Stopped(_)));
    assert_eq!(marked(rig.home.path()), Vec::<i32>::new());
    rig.started("exec sleep 600", |_| {});
    rig.supervisor.stop(0);
    rig.start("exec sleep 600", |_| {});
    let change = rig.until(|change| matches!(change, ServiceChange::Started(_)));
    let ServiceChange::Started(status) = change else { unreachable!() };
    wait_for("one copy only", || marked(rig.home.path()) == [pid(&status)]);
}

/// spec 7.13: without a service there is nothing to wait for
#[test]
fn an_empty_command_is_no_service() {
    let rig = Rig::new();
    rig.supervisor.start(&Service::default(), rig.home.path(), &env(rig.home.path()));
    assert!(matches!(rig.next(), ServiceChange::Started(status) if status.kind == "none" && status.state == "none"));
    rig.started("exec sleep 600", |_| {});
    rig.supervisor.start(&Service::default(), rig.home.path(), &env(rig.home.path()));
    assert!(matches!(rig.next(), ServiceChange::Started(status) if status.kind == "none"));
    assert_eq!(marked(rig.home.path()), Vec::<i32>::new(), "removed from the settings: stopped");
}
