use super::*;

const NOW: UnixMillis = UnixMillis(1_000);

fn start(argv: &str) -> Start {
    Start {
        id: 0,
        argv: vec![argv.into()],
        directory: "/".into(),
        env: Vec::new(),
        stop_signal: "TERM".into(),
        stop_grace_ms: 0,
        start_time_ms: 0,
        restart_pause_ms: 0,
        restart_limit: 0,
        restart_window_ms: 0,
        is_watched: false,
    }
}

fn running() -> Record {
    let mut record = Record::default();
    record.start(start("a"), "a".into(), NOW);
    assert!(matches!(record.report(Report::Started { id: 1, pid: 5 }, NOW), Some(ServiceChange::Started(_))));
    record
}

/// spec 7.13: the service's life, as the status tells it
#[test]
fn start_restart_and_stop_are_told() {
    let mut record = running();
    assert_eq!((record.status().state.as_str(), record.status().process), ("running", Some(5)));
    record.report(Report::Exited { status: "exit status 1".into() }, NOW);
    let change = record.report(Report::Restarting { in_ms: 1_500 }, NOW);
    let Some(ServiceChange::Changed(status)) = change else { panic!("{change:?}") };
    assert_eq!(status.state, "failed");
    assert_eq!(status.message.as_deref(), Some("ended: exit status 1; starts again in 1.5 s"));
    record.report(Report::Restarted { pid: 6 }, NOW);
    assert_eq!((record.status().state.as_str(), record.status().restarts), ("running", 1));
    assert_eq!(record.stop(7, NOW), Err(Ask::Stop { id: 2, grace_ms: 7 }));
    assert_eq!(record.status().state, "stopping");
    let change = record.report(Report::Stopped { id: 2 }, NOW);
    assert!(matches!(&change, Some(ServiceChange::Stopped(status)) if status.state == "stopped"), "{change:?}");
    assert!(matches!(record.stop(0, NOW), Ok(ServiceChange::Stopped(_))), "idempotent");
}

/// spec 7.7: what is stopped for a hand-over must not look started because an old report comes late
#[test]
fn late_reports_do_not_answer_a_newer_ask() {
    let mut record = Record::default();
    record.start(start("a"), "a".into(), NOW);
    assert!(record.stop(0, NOW).is_err());
    assert_eq!(record.report(Report::Started { id: 1, pid: 5 }, NOW), None);
    assert_eq!(record.report(Report::Restarted { pid: 5 }, NOW), None);
    assert_eq!(record.status().state, "stopping");
    assert!(matches!(record.report(Report::Stopped { id: 2 }, NOW), Some(ServiceChange::Stopped(_))));
}

/// spec 7.13: a stop that failed is tried on; it is never called stopped before
#[test]
fn a_stop_that_failed_may_still_succeed() {
    let mut record = running();
    assert!(record.stop(0, NOW).is_err());
    let change = record.report(Report::StopFailed { id: 2, pids: vec![5, 6] }, NOW);
    let Some(ServiceChange::StopFailed(status)) = change else { panic!("{change:?}") };
    assert!(status.message.unwrap().ends_with("5, 6"));
    assert!(record.stop(0, NOW).is_err(), "it may still run, so it has to be asked");
    assert!(matches!(record.report(Report::Stopped { id: 3 }, NOW), Some(ServiceChange::Stopped(_))));
}

/// spec 7.13: told as failed, it must not start after all
#[test]
fn a_failed_start_is_no_longer_wanted() {
    let mut record = Record::default();
    record.start(start("a"), "a".into(), NOW);
    let change = record.report(Report::StartFailed { id: 1, why: "no".into() }, NOW);
    assert!(matches!(change, Some(ServiceChange::StartFailed(_))));
    assert_eq!(record.open_ask(), None);
    let mut record = running();
    record.start(start("b"), "b".into(), NOW);
    let change = record.report(Report::StopFailed { id: 2, pids: vec![5] }, NOW);
    assert!(matches!(change, Some(ServiceChange::StartFailed(_))), "{change:?}");
    assert_eq!(record.open_ask(), None);
    assert!(record.stop(0, NOW).is_err(), "the old one may still run");
}

/// spec 7.13: a dead guard is replaced, and the new one is asked what is open
#[test]
fn the_death_of_the_guard_keeps_what_was_asked() {
    let mut record = running();
    assert!(matches!(record.lost_guard(false, NOW), Some(ServiceChange::Changed(_))));
    assert_eq!(record.swept(NOW), None);
    assert!(matches!(record.open_ask(), Some(Ask::Start(start)) if start.id == 1));
    assert!(record.stop(0, NOW).is_err());
    assert_eq!(record.open_ask(), Some(Ask::Stop { id: 2, grace_ms: 0 }), "a stop is not lost in between");
    assert_eq!(record.lost_guard(false, NOW), None);
    assert!(matches!(record.swept(NOW), Some(ServiceChange::Stopped(_))), "nothing is left: that is stopped");
}

/// spec 7.13: without a service all is done at once; one removed from the settings is stopped before
#[test]
fn no_command_is_no_service() {
    let mut record = Record::default();
    let change = record.start_nothing(NOW);
    assert!(matches!(&change, Ok(ServiceChange::Started(status)) if status.kind == "none"), "{change:?}");
    assert!(matches!(record.stop(0, NOW), Ok(ServiceChange::Stopped(_))));
    let mut record = running();
    assert_eq!(record.start_nothing(NOW), Err(Ask::Stop { id: 2, grace_ms: 0 }));
    let change = record.report(Report::Stopped { id: 2 }, NOW);
    assert!(matches!(&change, Some(ServiceChange::Started(status)) if status.kind == "none"), "{change:?}");
}

/// spec 7.13: what an earlier run left behind is not "stopped" before it is gone
#[test]
fn leftovers_delay_the_answer() {
    let mut record = Record::with_leftovers();
    assert!(record.stop(0, NOW).is_err());
    assert!(matches!(record.swept(NOW), Some(ServiceChange::Stopped(_))));
}

/// spec 7.13: what the watchdog stopped does not come back by itself, and a newer ask has its own answer
#[test]
fn what_the_watchdog_stopped_is_not_wanted_any_more() {
    let mut record = running();
    assert_eq!(record.report(Report::StopTook { ms: 12 }, NOW), None);
    let change = record.report(Report::Expired, NOW);
    let Some(ServiceChange::Expired(status)) = change else { panic!("{change:?}") };
    assert_eq!((status.state.as_str(), status.stop_took_ms), ("stopped", Some(12)));
    assert!(status.message.unwrap().contains("watchdog"));
    assert_eq!(record.open_ask(), None, "a new guard starts nothing");
    let mut record = running();
    assert!(record.stop(0, NOW).is_err());
    assert_eq!(record.report(Report::Expired, NOW), None);
    assert!(matches!(record.report(Report::Stopped { id: 2 }, NOW), Some(ServiceChange::Stopped(_))));
}

/// spec 7.13: failing is told once with the reason, stays through restarts, and is over when it is steady
#[test]
fn failing_lasts_until_it_is_steady() {
    let mut record = running();
    record.report(Report::Exited { status: "exit status 1".into() }, NOW);
    let change = record.report(Report::Failing { ended: 6 }, NOW);
    let Some(ServiceChange::Failing(status)) = change else { panic!("{change:?}") };
    assert_eq!(status.message.as_deref(), Some("it keeps failing, 6 times of late; ended: exit status 1"));
    record.report(Report::Restarted { pid: 7 }, NOW);
    assert!(record.status().failing);
    assert!(matches!(record.report(Report::Steady, NOW), Some(ServiceChange::Changed(status)) if !status.failing));
}

/// spec 7.13, status: the health of what runs, and only of that
#[test]
fn health_is_told_when_it_changes() {
    let mut record = running();
    let bad = HealthStatus { state: "failing".into(), failures: 1, ..HealthStatus::default() };
    assert!(
        matches!(record.health(Some(bad.clone())), Some(ServiceChange::Changed(status)) if status.health.is_some())
    );
    assert_eq!(record.health(Some(bad.clone())), None, "nothing new");
    record.report(Report::Exited { status: "x".into() }, NOW);
    assert_eq!(record.status().health, None);
    assert_eq!(record.health(Some(bad)), None, "of a service that does not run");
}
