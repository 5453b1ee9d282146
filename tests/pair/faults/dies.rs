//! What dies, and what stalls, with a third vote and without.

use std::process::Command;
use std::time::Instant;

use super::field::{Field, prepared, wish};
use super::{has_alert, probe};
use crate::Wish;
use crate::harness::{Instance, eventually};

/// The guard of its service: the child of Standin that is its parent.
fn guard(instance: &Instance) -> u32 {
    let standin = instance.status()["instance"]["process"].as_u64().unwrap();
    let output = Command::new("pgrep").args(["-P", &standin.to_string()]).output().unwrap();
    String::from_utf8_lossy(&output.stdout).lines().next().expect("a guard").parse().unwrap()
}

fn signal(process: u32, name: &str) {
    assert!(Command::new("kill").args([&format!("-{name}"), &process.to_string()]).status().unwrap().success());
}

/// spec 7.3, 7.7, 7.9, 7.11: kill -9, planned switch, planned stop with a third vote; never two, and the planned ones wait for no lease
pub fn kill_switch_and_stop_with_a_third_vote() {
    let mut field = Field::ready(false);
    let longest = field.longest();
    let begin = Instant::now();
    field.a.kill();
    let status = field.b.wait_for("takes over", longest, |status| status["active"] == true);
    assert!(begin.elapsed() <= longest, "{:?}", begin.elapsed());
    assert_eq!(status["term"], 2);
    let timeline = status["notice"]["timeline"].to_string();
    assert!(timeline.contains("granted by the arbiter"), "{timeline}");
    field.a.start();
    field.wait_whole(&field.b, &field.a);

    let begin = Instant::now();
    field.b.ok(&["ha", "switch"]);
    field.a.wait_active();
    assert!(begin.elapsed() < longest / 2, "a switch waits for no lease: {:?}", begin.elapsed());
    field.wait_whole(&field.a, &field.b);
    assert_eq!(field.a.status()["term"], 3);

    let begin = Instant::now();
    field.a.ok(&["stop"]);
    assert_eq!(field.a.wait_for_end(), 0);
    field.b.wait_active();
    assert!(begin.elapsed() < longest / 2, "nor does a planned stop: {:?}", begin.elapsed());
    eventually("the service runs", || probe::runs_now(&field.b));
    // Nobody but this master is left, and it needs no confirmation: its shadow left by plan.
    field.vote.kill();
    field.b.wait("goes on alone", |status| status["arbiter"]["state"] == "away");
    assert_eq!(field.b.status()["active"], true);
    field.prove("kill, switch, stop");
    assert_eq!((probe::count(&field.a), probe::count(&field.b)), (2, 2));
}

/// spec 7.11, 7.12, 7.13: either side is stopped (-STOP) and goes on; a stubborn service is killed within the budget
pub fn stalls_with_a_third_vote() {
    let field = Field::ready(true);
    let longest = field.longest();
    field.a.signal("STOP");
    field.b.wait_for("takes over", longest, |status| status["active"] == true);
    assert!(!probe::runs_now(&field.a));
    field.a.signal("CONT");
    field.wait_whole(&field.b, &field.a);
    assert_eq!(field.b.status()["term"], 2);
    field.prove("master stalled");

    field.a.signal("STOP");
    field.b.wait("has lost its shadow", |status| status["state"] == "BROKEN");
    let alone = probe::boot_ns();
    eventually("longer than the hold time", || probe::boot_ns() - alone > 2_000_000_000);
    assert_eq!(field.b.status()["active"], true, "the arbiter confirms it");
    field.a.signal("CONT");
    field.wait_whole(&field.b, &field.a);
    probe::assert_never_stopped(&field.b);
    field.prove("shadow stalled");
}

/// spec 7.13: a guard that stalls is killed, and the service with it; it is started again, and nobody takes over
pub fn a_stalled_guard_is_replaced() {
    let field = Field::ready(false);
    let stalled = guard(&field.a);
    signal(stalled, "STOP");
    eventually("the service runs again, by another guard", || probe::count(&field.a) == 2 && probe::runs_now(&field.a));
    assert_ne!(guard(&field.a), stalled);
    assert_eq!(field.a.status()["term"], 1);
    // The one of the shadow: found out when it is to start the service, so that the switch takes longer, or is said to be in doubt
    // until it has been replaced.
    signal(guard(&field.b), "STOP");
    let output = field.a.standin(&["ha", "switch"]);
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success() || said.contains("in doubt"), "{said}");
    field.wait_whole(&field.b, &field.a);
    field.prove("stalled guards");
}

/// spec 7.5, 7.11: both die; whichever starts first and alone is master again only by the arbiter's word
pub fn both_die_and_start_in_each_order() {
    let mut field = Field::ready(false);
    field.a.kill();
    field.b.kill();
    field.a.start();
    field.a.wait_active();
    assert_eq!(field.a.status()["term"], 1, "the arbiter has granted nobody another");
    field.b.start();
    field.wait_whole(&field.a, &field.b);
    field.a.kill();
    field.b.kill();
    // The shadow alone: not before its last promise and the lease are over, and the arbiter grants (7.4).
    field.b.start();
    let limit = field.longest() * 2;
    field.b.wait_for("is granted the role", limit, |status| status["active"] == true);
    field.a.start();
    field.wait_whole(&field.b, &field.a);
    // With etcd gone too, no start alone makes one active.
    field.a.kill();
    field.b.kill();
    field.vote.kill();
    field.b.start();
    let status = field.b.wait("says what it waits for", |status| status["arbiter"]["state"] == "away");
    assert_eq!((status["active"].as_bool(), status["condition"].as_str()), (Some(false), Some("boot_hold")), "{status}");
    assert!(has_alert(&field.b, "H-024"));
    field.a.start();
    field.wait_settled(&field.b, &field.a);
    field.prove("both died");
}

/// spec 7.12, 7.13: without a third vote, at default delay: -STOP of the master leaves no overlap, nor kill -9 with a delay of the stop budget
pub fn no_overlap_without_an_arbiter_while_the_network_works() {
    let mut pair = prepared(&Wish { takeover_delay: "3s", ..wish() }, false);
    pair.a.start();
    pair.b.start();
    pair.connect();
    pair.assert_probe(&pair.a);
    pair.a.signal("STOP");
    pair.b.wait_active();
    pair.assert_probe(&pair.b);
    pair.a.signal("CONT");
    pair.wait_settled(&pair.b, &pair.a);
    probe::prove_no_overlap("no arbiter, -STOP", [&pair.a, &pair.b]);
    // The stop budget is the shortest delay for which the guard of a dead Standin has certainly done its work.
    pair.a.set("shadow", "takeover_delay", "1200ms");
    pair.a.wait("the delay is in force", |status| status["takeover"]["delay_ms"] == 1_200);
    pair.b.kill();
    pair.a.wait_active();
    pair.assert_probe(&pair.a);
    probe::prove_no_overlap("no arbiter, kill -9", [&pair.a, &pair.b]);
}

impl crate::Pair {
    /// The probe runs on this one.
    fn assert_probe(&self, active: &Instance) {
        eventually("the service runs", || probe::runs_now(active));
    }
}
