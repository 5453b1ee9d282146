//! First start, pairing, and starting again in each order.

use crate::harness::{PASSWORD, USER, eventually, tree};
use crate::{Pair, Wish, edit};

/// spec 1.3, 1.4, 3.1, 3.2, 4.3, 5.1: from nothing to a pair by commands alone, and the sample is mirrored byte for byte and
/// mode for mode.
#[test]
fn two_empty_homes_become_a_pair() {
    let pair = Pair::ready(&Wish::default());
    assert_eq!(tree(&pair.a.directory), tree(&pair.b.directory));
    let (a, b) = (pair.a.status(), pair.b.status());
    assert_eq!(a["peer"]["fingerprint"], b["instance"]["fingerprint"]);
    assert_eq!(b["peer"]["fingerprint"], a["instance"]["fingerprint"]);
    pair.a.wait("protection is full", |status| status["protection"] == "full");
    assert!(a["configuration"]["files"].as_u64().unwrap() >= 60);
    pair.assert_runs_only_on(&pair.a, &pair.b);
    let verify = pair.a.standin(&["config", "verify"]);
    assert!(verify.status.success(), "{}", String::from_utf8_lossy(&verify.stdout));
}

/// spec 3.1, 3.3: what a wrong fingerprint, a wrong password or a switched-off master come to; nothing has changed after.
#[test]
fn a_pairing_that_must_not_be() {
    let mut pair = Pair::prepared(&Wish { service: false, ..Wish::default() });
    pair.a.start();
    pair.b.start();
    let right = pair.a.fingerprint();
    let wrong = pair.b.fingerprint();
    let (good, bad) = (pair.b.password_file(PASSWORD), pair.b.password_file("not the right one"));
    let connect = |password: &str, fingerprint: &str| {
        pair.b.refused(&[
            "shadow",
            "connect",
            "--user",
            USER,
            "--password-file",
            password,
            "--fingerprint",
            fingerprint,
        ])
    };
    let said = connect(&good, &wrong);
    assert!(said.contains(&right), "the fingerprint found is named: {said}");
    let said = connect(&bad, &right);
    assert!(said.to_lowercase().contains("password"), "{said}");
    eventually("a security alert on the master", || {
        pair.a.alerts().iter().any(|alert| alert["category"] == "security")
    });
    pair.a.ok(&["ha", "disable"]);
    let said = connect(&good, &right);
    assert!(said.contains("off") || said.contains("disabled"), "{said}");
    assert!(pair.b.status()["peer"].is_null() && pair.a.status()["peer"].is_null());
    pair.a.ok(&["ha", "enable"]);
    pair.connect();
}

/// spec 7.4, 7.5: both killed, started in each order: the former master resumes, the other is its shadow.
#[test]
fn both_killed_and_started_in_each_order() {
    let mut pair = Pair::ready(&Wish { takeover_delay: "5s", ..Wish::default() });
    for master_first in [true, false] {
        pair.b.kill();
        pair.a.kill();
        edit(&pair.a, "alerting.yaml", format!("while: down\nmaster_first: {master_first}\n").as_bytes());
        if master_first {
            pair.a.start();
            pair.b.start();
        } else {
            pair.b.start();
            pair.b.wait("waits for its master", |status| status["role"] == "shadow" && status["active"] == false);
            pair.a.start();
        }
        pair.wait_settled(&pair.a, &pair.b);
        assert_eq!(pair.a.status()["term"], 1, "nobody took over");
        pair.assert_runs_only_on(&pair.a, &pair.b);
        assert_eq!(tree(&pair.a.directory), tree(&pair.b.directory));
    }
}

/// spec 7.5: a former master whose shadow does not answer waits the boot hold, and `ha resume` ends it.
#[test]
fn a_former_master_alone_holds_and_can_be_told_to_resume() {
    let mut pair = Pair::ready(&Wish::default());
    pair.b.kill();
    pair.a.kill();
    pair.a.start();
    let status = pair.a.wait("holds", |status| status["condition"] == "boot_hold");
    assert_eq!(status["active"], false);
    assert!(status["hold"]["ends_at"].is_string(), "the count-down is shown");
    assert!(pair.a.living_services().is_empty());
    pair.a.ok(&["ha", "resume"]);
    pair.a.wait_active();
    pair.assert_runs_only_on(&pair.a, &pair.b);
    pair.b.start();
    pair.wait_settled(&pair.a, &pair.b);
}

/// spec 7.5: the boot hold ends by itself.
#[test]
fn the_boot_hold_ends_by_itself() {
    let mut pair = Pair::ready(&Wish { boot_hold: "1s", ..Wish::default() });
    pair.b.kill();
    pair.a.kill();
    pair.a.start();
    pair.a.wait_active();
    assert_eq!(pair.a.status()["term"], 1);
}
