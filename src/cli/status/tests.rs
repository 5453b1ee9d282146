use super::*;
use crate::cli::output::testing::output;
use crate::engine::base::{Condition, LinkState, Role, Term, UnixMillis};
use crate::engine::status::{AlertCounts, ArbiterStatus, Hold, PeerStatus};

const NOW: UnixMillis = UnixMillis(1_795_356_000_000);

fn in_sync() -> Status {
    let fingerprint = format!("SHA256:{}", "5a".repeat(32)).parse().unwrap();
    let mut status = Status {
        version: "0.1.0".into(),
        role: Some(Role::Master),
        active: true,
        term: Term(7),
        since: Some(UnixMillis(NOW.0 - 131_000)),
        state: Some(LinkState::Connected),
        protection: Protection::Full,
        protection_message: "node-b can take over now, 3 to 5 s after a failure; splits if only the link is cut".into(),
        peer: Some(PeerStatus {
            host: "node-b".into(),
            compatible: true,
            in_sync: true,
            fingerprint: Some(fingerprint),
            check_interval_ms: 1_000,
            takeover_delay_ms: 3_000,
            ..PeerStatus::default()
        }),
        ..Status::default()
    };
    status.instance.host = "node-a".into();
    status.instance.fingerprint = Some(format!("SHA256:{}", "c4".repeat(32)).parse().unwrap());
    status
}

fn text(status: &Status) -> String {
    describe::rows(status, NOW).iter().map(|row| format!("{:<15}{}{}\n", row.label, row.word, row.rest)).collect()
}

/// interfaces: exit status 0 healthy, 3 degraded.
#[test]
fn health_is_protection_and_no_error() {
    let healthy = in_sync();
    assert_eq!(health(&healthy), Exit::Done);
    for protection in [Protection::None, Protection::Reduced] {
        assert_eq!(health(&Status { protection, ..healthy.clone() }), Exit::Degraded);
    }
    assert_eq!(health(&Status { protection: Protection::Paused, ..healthy.clone() }), Exit::Done);
    let alerts = AlertCounts { error: 1, ..AlertCounts::default() };
    assert_eq!(health(&Status { alerts, ..healthy }), Exit::Degraded);
    assert_eq!(health(&Status::default()), Exit::Degraded);
}

/// spec 8.9, 8.4: the protection sentence is there word for word, fingerprints are whole, and it fits a screen.
#[test]
fn one_look_says_it_all() {
    let status = in_sync();
    let text = text(&status);
    assert!(text.contains("FULL  node-b can take over now, 3 to 5 s after a failure; splits if only the link is cut"));
    assert!(
        text.contains(&format!("SHA256:{}", "5a".repeat(32))) && text.contains(&format!("SHA256:{}", "c4".repeat(32)))
    );
    assert!(text.contains("master, active, term 7, since 2026-11-22T13:57:49Z (2m11s ago)"), "{text}");
    let lines = text.lines().count();
    assert!((10..=20).contains(&lines), "{lines} lines:\n{text}");
    assert!(text.is_ascii());
}

/// spec 7.5: the boot hold with its end; a master that is not active says so.
#[test]
fn what_holds_it_back_is_said() {
    let status = Status {
        active: false,
        condition: Some(Condition::BootHold),
        hold: Some(Hold { ends_at: Some(UnixMillis(NOW.0 + 42_000)), of_ms: 60_000, why: "waits for node-b".into() }),
        ..in_sync()
    };
    let text = text(&status);
    assert!(text.contains("boot_hold  waits for node-b, until 2026-11-22T14:00:42Z (in 42 s)"), "{text}");
    assert!(text.contains("master, NOT ACTIVE, term 7"), "{text}");
}

/// interfaces: `--json` is the status as it is.
#[test]
fn json_is_the_status_itself() {
    let (mut out, written) = output();
    print(&in_sync(), true, &mut out).unwrap();
    assert_eq!(serde_json::from_str::<Status>(&written.text()).unwrap(), in_sync());
}

/// `--watch`: what moves with every check is no change.
#[test]
fn a_check_is_no_change_but_a_lost_link_is() {
    let before = in_sync();
    let mut checked = before.clone();
    let peer = checked.peer.as_mut().unwrap();
    peer.last_check = Some(NOW);
    peer.round_trip_ms = Some(0.7);
    assert_eq!(describe::line(&before), describe::line(&checked));
    let lost = Status { state: Some(LinkState::Broken), ..before.clone() };
    assert_ne!(describe::line(&before), describe::line(&lost));
}

/// spec 7.11: whether the third vote answers is one line, and none where there is no arbiter.
#[test]
fn the_third_vote_has_a_line() {
    let mut status = in_sync();
    let line = |status: &Status| {
        let row = describe::rows(status, NOW).into_iter().find(|row| row.label == "Arbiter")?;
        Some(format!("{}{}", row.word, row.rest))
    };
    assert_eq!(line(&status), None);
    let confirmed_by = vec!["shadow".to_owned(), "arbiter".to_owned()];
    let arbiter = ArbiterStatus { state: "ok".into(), confirmed_by, ..ArbiterStatus::default() };
    status.arbiter = Some(arbiter);
    assert_eq!(line(&status).as_deref(), Some("answers, confirmed by shadow and arbiter"));
    let message = Some("https://etcd:2379: refused by 192.0.2.1:2379".to_owned());
    status.arbiter = Some(ArbiterStatus { state: "away".into(), message, ..ArbiterStatus::default() });
    assert_eq!(line(&status).as_deref(), Some("AWAY  https://etcd:2379: refused by 192.0.2.1:2379"));
}
