//! Cuts of every cable, in one direction and in both, with a third vote: never two, and no more disturbance than need be.

use super::field::{Field, deafen, hear};
use super::{has_alert, probe};
use crate::harness::eventually;

/// Longer than hold time, promise and lease: whatever was to happen has happened.
const LONG_NS: u64 = 6_000_000_000;

/// Nothing changes for so long.
fn let_pass(ns: u64) {
    let begin = probe::boot_ns();
    eventually("time passes", || probe::boot_ns() - begin > ns);
}

/// spec 7.11: only the cable between the two: etcd confirms the master, which goes on; nobody takes over
pub fn the_link_alone_is_cut() {
    let field = Field::ready(false);
    field.network.cut();
    field.b.wait("lost", |status| status["state"] == "LOST");
    let_pass(LONG_NS);
    let (a, b) = (field.a.status(), field.b.status());
    assert_eq!((a["active"].as_bool(), b["role"].as_str()), (Some(true), Some("shadow")));
    assert_eq!(a["arbiter"]["confirmed_by"][0], "arbiter", "{}", a["arbiter"]);
    field.b.wait("kept from it by the lease", |status| {
        let why = status["takeover"]["why_not"].as_str().unwrap_or_default();
        why.contains("its lease has not run out")
    });
    assert!(has_alert(&field.b, "H-001"), "{:?}", field.b.alerts());
    assert!(has_alert(&field.a, "H-010"), "{:?}", field.a.alerts());
    field.network.heal();
    field.wait_whole(&field.a, &field.b);
    field.prove("link cut");
    probe::assert_never_stopped(&field.a);
}

/// spec 7.11: one direction of the link, silently; the same
pub fn one_direction_is_cut() {
    let field = Field::ready(false);
    for deaf in [field.network.right.clone(), field.network.left.clone()] {
        deafen(&deaf, "cable");
        field.b.wait("lost", |status| status["state"] == "LOST");
        let_pass(LONG_NS);
        assert_eq!(field.a.status()["active"], true);
        assert_eq!(field.b.status()["role"], "shadow");
        hear(&deaf);
        field.wait_whole(&field.a, &field.b);
    }
    field.prove("one direction cut");
    probe::assert_never_stopped(&field.a);
}

/// spec 7.11: etcd lost by one side changes nothing but an alert; lost with the other instance it isolates
pub fn three_way_cuts() {
    let field = Field::ready(true);
    for (device, one) in [("left", &field.a), ("right", &field.b)] {
        field.vote.link(device, false);
        one.wait("says so", |status| status["arbiter"]["state"] == "away");
        eventually("the alert", || has_alert(one, "H-024"));
        let_pass(2_000_000_000);
        assert_eq!(
            (field.a.status()["active"].as_bool(), field.b.status()["state"].as_str()),
            (Some(true), Some("READY"))
        );
        field.vote.link(device, true);
        field.wait_whole(&field.a, &field.b);
        assert!(!has_alert(one, "H-024"));
    }
    probe::assert_never_stopped(&field.a);

    // The shadow from both: the master goes on by etcd's word, the shadow stays.
    field.network.cut();
    field.vote.link("right", false);
    let_pass(LONG_NS);
    assert_eq!((field.a.status()["active"].as_bool(), field.b.status()["role"].as_str()), (Some(true), Some("shadow")));
    eventually("why it stays shadow", || has_alert(&field.b, "H-012"));
    field.vote.link("right", true);
    field.network.heal();
    field.wait_whole(&field.a, &field.b);

    // The master from both, silently: it stops its service, however stubborn, before the shadow starts its own.
    let left = field.network.left.clone();
    for device in ["cable", "vote"] {
        deafen(&left, device);
    }
    let status = field.a.wait("isolated", |status| status["condition"] == "isolated");
    assert_eq!((status["role"].as_str(), status["active"].as_bool()), (Some("master"), Some(false)));
    eventually("the alert", || has_alert(&field.a, "H-023"));
    field.b.wait_for("takes over", field.longest(), |status| status["active"] == true);
    assert_eq!(probe::count(&field.a), 1);
    hear(&left);
    field.wait_whole(&field.b, &field.a);
    assert_eq!(field.b.status()["term"], 2);
    field.prove("three-way cuts");
}
