//! Restart limit and health check (spec 7.13).

use std::fs;
use std::sync::mpsc::channel;
use std::time::{Duration, Instant};

use standin::engine::input::ServiceChange;
use standin::engine::settings::Health;
use standin::service::health::{Finding, Job, Watcher, no_http};

use crate::support::{HIDING_PROCESSES, PATIENCE, Rig, env, hiding, marked};

/// spec 7.13: past the limit it is told as failing, once, and the next try is far away
#[test]
fn a_service_that_ends_too_often_is_failing() {
    let rig = Rig::new();
    rig.start("echo broken; exit 3", |service| {
        service.start_time = 0;
        service.restart_pause = 10;
        service.restart_limit = 2;
    });
    let change = rig.until(|change| matches!(change, ServiceChange::Failing(_)));
    let ServiceChange::Failing(status) = change else { unreachable!() };
    assert!(status.failing);
    assert_eq!(status.state, "failed");
    assert_eq!(status.message.as_deref(), Some("it keeps failing, 3 times of late; ended: exit status 3"));
    let ServiceChange::Changed(status) = rig.next() else { panic!("the pause") };
    assert!(status.message.unwrap().ends_with("starts again in 30 s"));
    assert!(status.failing);
    assert!(rig.changes.recv_timeout(Duration::from_millis(300)).is_err());
    rig.supervisor.stop(0);
    rig.stopped();
}

/// spec 7.13: a service restarted for its health is stopped with all it has started, and counts towards the limit
#[test]
fn an_unwell_service_is_stopped_whole_and_started_again() {
    let rig = Rig::new();
    let first = rig.started(&hiding(rig.home.path()), |service| {
        service.stop_grace = 100;
        service.restart_limit = 1;
    });
    assert_eq!(rig.line(), "ready");
    let before = marked(rig.home.path());
    assert!(before.len() >= HIDING_PROCESSES);
    rig.supervisor.restart("stopped because its health check failed once: refused");
    let ServiceChange::Changed(status) = rig.next() else { panic!("told") };
    assert!(status.message.unwrap().contains("health check failed once: refused"));
    let change = rig.until(|change| matches!(change, ServiceChange::Changed(status) if status.state == "running"));
    let ServiceChange::Changed(status) = change else { unreachable!() };
    assert_eq!(status.restarts, 1);
    let after = marked(rig.home.path());
    assert!(!after.contains(&first) && before.iter().all(|old| !after.contains(old)), "{before:?} {after:?}");
    rig.supervisor.restart("again");
    rig.until(|change| matches!(change, ServiceChange::Failing(_)));
    rig.supervisor.stop(0);
    rig.stopped();
}

/// spec 7.13: the stop is measured, and stays within the budget
#[test]
fn the_stop_is_measured() {
    let rig = Rig::new();
    rig.started(&hiding(rig.home.path()), |service| service.stop_grace = 300);
    assert_eq!(rig.line(), "ready");
    rig.supervisor.stop(0);
    rig.stopped();
    let took_ms = rig.supervisor.status().stop_took_ms.unwrap();
    let budget_ms =
        standin::engine::settings::Service { stop_grace: 300, ..crate::support::shell("") }.stop_budget_ms();
    assert!((300..=budget_ms).contains(&took_ms), "{took_ms} ms of {budget_ms} ms");
}

/// settings `service.health`: a command that fails often enough in a row asks for a restart, with its reason
#[test]
fn a_health_command_that_fails_asks_for_a_restart() {
    let home = tempfile::tempdir().unwrap();
    let sign = home.path().join("well");
    fs::write(&sign, "").unwrap();
    let (found, findings) = channel();
    let watcher = Watcher::new(no_http(), move |finding| {
        let _ = found.send(finding);
    })
    .unwrap();
    let script = format!("[ -e {} ] || {{ echo gone away; exit 4; }}", sign.display());
    let health = Health {
        command: ["sh", "-c", &script].map(str::to_owned).to_vec(),
        interval: 30,
        failures: 2,
        start_grace: 60_000,
        ..Health::default()
    };
    let begin = Instant::now();
    watcher.begin(Job { health, directory: home.path().to_owned(), env: env(home.path()) });
    let mut states = Vec::new();
    loop {
        assert!(begin.elapsed() < PATIENCE);
        match findings.recv_timeout(PATIENCE).unwrap() {
            Finding::Status(status) => {
                if status.state == "passing" {
                    let _ = fs::remove_file(&sign);
                }
                if states.last() != Some(&(status.state.clone(), status.failures)) {
                    states.push((status.state, status.failures));
                }
            }
            Finding::Restart(why) => {
                assert!(why.ends_with("failed 2 times in a row: exit status 4: gone away"), "{why}");
                break;
            }
        }
    }
    let words: Vec<_> = states.iter().map(|(state, failures)| (state.as_str(), *failures)).collect();
    assert_eq!(words, [("waiting", 0), ("passing", 0), ("failing", 1), ("failing", 2)]);
    assert!(findings.recv_timeout(Duration::from_millis(200)).is_err(), "no check until it runs again");
}

/// settings `service.health.tcp`: nobody listens
#[test]
fn a_health_check_over_tcp_sees_whether_somebody_listens() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let target = listener.local_addr().unwrap().to_string();
    let (found, findings) = channel();
    let watcher = Watcher::new(no_http(), move |finding| {
        let _ = found.send(finding);
    })
    .unwrap();
    let health = Health { tcp: Some(target), interval: 20, failures: 1, start_grace: 0, ..Health::default() };
    watcher.begin(Job { health, directory: "/".into(), env: env("/".as_ref()) });
    let passes = |finding: &Finding| matches!(finding, Finding::Status(status) if status.state == "passing");
    while !passes(&findings.recv_timeout(PATIENCE).unwrap()) {}
    drop(listener);
    loop {
        if let Finding::Restart(why) = findings.recv_timeout(PATIENCE).unwrap() {
            assert!(why.contains("failed once: refused by"), "{why}");
            break;
        }
    }
}
