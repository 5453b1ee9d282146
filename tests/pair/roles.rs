//! Orders: disconnect, reset, forced roles, settings that are locked.

use crate::harness::eventually;
use crate::{Pair, Wish};

fn with_fast_takeover() -> Wish {
    Wish { takeover_delay: "0s", ..Wish::default() }
}

/// spec 4.4, 7.11: a disconnected shadow promises not to take over, across a restart, and comes back by connect.
#[test]
fn a_disconnected_shadow_does_not_take_over() {
    let mut pair = Pair::ready(&with_fast_takeover());
    pair.b.ok(&["shadow", "disconnect"]);
    pair.b.wait_role("shadow", "DISCONNECTED");
    pair.a.wait_role("master", "ALONE");
    pair.b.kill();
    pair.b.start();
    pair.b.wait_role("shadow", "DISCONNECTED");
    pair.a.kill();
    pair.a.start();
    pair.a.wait_active();
    assert_eq!(pair.a.status()["term"], 1, "the note was clear: it resumed at once, at its term");
    pair.b.ok(&["shadow", "connect"]);
    pair.wait_settled(&pair.a, &pair.b);
}

/// spec 7.1: HA switched off, or reset while BROKEN, is an answer: no takeover, and the reason is shown.
#[test]
fn a_refusal_is_an_answer() {
    let pair = Pair::ready(&Wish { takeover_delay: "20s", ..Wish::default() });
    pair.network.cut();
    pair.a.wait_role("master", "BROKEN");
    pair.b.wait_role("shadow", "LOST");
    pair.a.ok(&["ha", "disable"]);
    pair.network.heal();
    let status = pair.b.wait_role("shadow", "DISCONNECTED");
    let message = status["state_message"].as_str().unwrap_or_default().to_lowercase();
    assert!(message.contains("off") || message.contains("disabled"), "{message}");
    assert!(pair.b.alerts().iter().any(|alert| alert["severity"] == "error"));
    assert_eq!(pair.b.status()["role"], "shadow");
    pair.a.ok(&["ha", "enable"]);
    pair.wait_settled(&pair.a, &pair.b);
}

/// spec 2.5, 3.6, 7.1: reset on the master while BROKEN forgets the shadow, which hears it and does not take over.
#[test]
fn a_forgotten_shadow_is_told() {
    let pair = Pair::ready(&Wish { takeover_delay: "20s", ..Wish::default() });
    assert!(!pair.a.refused(&["ha", "reset"]).is_empty(), "refused while connected");
    pair.network.cut();
    pair.a.wait_role("master", "BROKEN");
    pair.a.ok(&["ha", "reset"]);
    pair.a.ok(&["ha", "enable"]);
    pair.network.heal();
    let status = pair.b.wait_role("shadow", "DISCONNECTED");
    let message = status["state_message"].as_str().unwrap_or_default();
    assert!(message.contains("pair") && message.contains("was reset on 10.77.0.1"), "not here: {message}");
    let alerts = pair.b.alerts();
    let why = alerts.iter().find(|alert| alert["code"] == "H-007").and_then(|alert| alert["why"].as_str());
    assert!(why.is_some_and(|why| why.contains("was reset on 10.77.0.1")), "{alerts:?}");
    assert_eq!(pair.b.status()["role"], "shadow");
    assert!(!pair.a.ok(&["ha", "show"]).contains("Dials back"), "there is no shadow any more");
    // The way out: reset there too, and pair again.
    pair.b.ok(&["shadow", "reset"]);
    pair.b.ok(&["shadow", "edit", "--master-host", "10.77.0.1", "--master-port", "8443"]);
    pair.connect();
}

/// spec 2.5, 4.1: settings of the pair are locked while connected, and say so.
#[test]
fn settings_are_locked_while_connected() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    assert!(pair.a.refused(&["ha", "disable"]).contains("connected"));
    assert!(pair.b.refused(&["shadow", "edit", "--master-port", "9000"]).contains("connected"));
    assert_eq!(pair.a.status()["ha"]["enabled"], true);
    // In the file too: refused with an alert, and what is in force stays.
    pair.a.set("high_availability", "enabled", "false");
    eventually("an alert says that it is locked", || pair.a.alerts().iter().any(|alert| alert["code"] == "F-011"));
    assert_eq!(pair.a.status()["ha"]["enabled"], true);
    pair.a.set("high_availability", "enabled", "true");
}

/// spec 7.8: forced roles need the flag, and work when nobody else can decide.
#[test]
fn forced_roles() {
    let mut pair = Pair::ready(&Wish { takeover_delay: "60s", ..Wish::default() });
    assert!(pair.b.refused(&["ha", "become-master", "--force"]).contains("master"), "a master answers");
    assert!(!pair.a.refused(&["ha", "become-shadow", "--force"]).is_empty(), "a shadow is connected");
    assert!(pair.b.refused(&["ha", "become-master"]).contains("--force"));
    pair.a.kill();
    pair.b.wait_role("shadow", "LOST");
    pair.b.ok(&["ha", "become-master", "--force"]);
    let status = pair.b.wait_active();
    assert_eq!(status["term"], 2);
    pair.a.start();
    pair.wait_settled(&pair.b, &pair.a);
}

/// spec 7.9: maintenance is agreed on by both and suspends takeovers.
#[test]
fn maintenance_suspends_takeovers() {
    let mut pair = Pair::ready(&with_fast_takeover());
    pair.a.ok(&["ha", "maintenance", "--for", "10m"]);
    for instance in [&pair.a, &pair.b] {
        let status = instance.wait("shows it", |status| status["maintenance_until"].is_string());
        assert_eq!(status["protection"], "paused");
    }
    pair.a.kill();
    pair.b.wait_role("shadow", "LOST");
    assert!(pair.b.status()["takeover"]["why_not"].is_string());
    pair.b.ok(&["ha", "maintenance", "--end"]);
    pair.b.wait_active();
    pair.a.start();
    pair.wait_settled(&pair.b, &pair.a);
}

/// spec 4.6: users, log level, service and hooks belong to each instance; a change of roles does not carry them over.
#[test]
fn what_is_an_instances_own_stays_its_own() {
    let mut pair = Pair::ready(&Wish { takeover_delay: "60s", ..Wish::default() });
    pair.a.set("log", "level", "debug");
    pair.a.set("hooks", "become_master", "[\"/bin/true\"]");
    let password = pair.a.password_file("another long password 9");
    pair.a.ok(&["users", "set-password", crate::harness::USER, "--password-file", &password]);
    pair.a.wait("the file is in force", |status| status["settings"]["log"]["level"] == "debug");
    let users = |instance: &crate::harness::Instance| std::fs::read(instance.home.join("users.yaml")).unwrap();
    let (of_a, of_b) = (users(&pair.a), users(&pair.b));
    pair.a.ok(&["ha", "switch"]);
    pair.wait_settled(&pair.b, &pair.a);
    let settings = pair.b.status()["settings"].clone();
    assert_eq!(settings["log"]["level"], "info");
    assert_eq!(settings["hooks"]["become_master"], serde_json::json!([]));
    assert_ne!(settings["service"]["command"], pair.a.status()["settings"]["service"]["command"]);
    assert_eq!((users(&pair.a), users(&pair.b)), (of_a, of_b));
    pair.a.kill();
}
