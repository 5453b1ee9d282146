//! The etcd itself fails (spec 7.11).

use super::field::Field;
use super::{has_alert, probe};
use crate::harness::{Instance, eventually};

fn is_away(instance: &Instance) {
    instance.wait("says that the arbiter is away", |status| status["arbiter"]["state"] == "away");
    eventually("the alert", || has_alert(instance, "H-024"));
}

/// spec 7.8, 7.11: etcd dies: an alert and nothing else; the master too: nobody takes over, and says why; etcd back: takeover
pub fn etcd_dies_and_comes_back() {
    let mut field = Field::ready(false);
    field.vote.kill();
    for one in [&field.a, &field.b] {
        is_away(one);
        let status = one.wait("nobody can take over", |status| status["protection"] == "none");
        assert!(status["protection_message"].as_str().unwrap().contains("nobody can take over"), "{status}");
    }
    assert_eq!(field.a.status()["active"], true);
    probe::assert_never_stopped(&field.a);
    field.a.kill();
    eventually("why it stays shadow", || has_alert(&field.b, "H-012"));
    let begin = probe::boot_ns();
    eventually("longer than any promise", || probe::boot_ns() - begin > 5_000_000_000);
    assert_eq!(field.b.status()["role"], "shadow");
    let said = field.b.refused(&["ha", "become-master", "--force"]);
    assert!(said.contains("arbiter") && said.contains("--without-arbiter"), "{said}");
    assert_eq!(field.b.status()["role"], "shadow");
    field.vote.start();
    field.b.wait_for("takes over", field.longest(), |status| status["active"] == true);
    field.a.start();
    field.wait_whole(&field.b, &field.a);
    field.prove("etcd died");

    // An operator who knows better.
    field.vote.kill();
    is_away(&field.a);
    field.b.kill();
    field.a.wait("lost", |status| status["state"] == "LOST");
    let said = field.a.refused(&["ha", "become-master", "--force"]);
    assert!(said.contains("--without-arbiter"), "{said}");
    field.a.ok(&["ha", "become-master", "--force", "--without-arbiter"]);
    field.a.wait_active();
    eventually("the service runs", || probe::runs_now(&field.a));
    field.vote.start();
    field.b.start();
    field.wait_whole(&field.a, &field.b);
    field.prove("become-master without arbiter");
}

/// spec 7.11: etcd hangs and goes on, and loses its data: no role changes, and then it decides again
pub fn etcd_hangs_and_is_wiped() {
    let mut field = Field::ready(false);
    field.vote.signal("STOP");
    for one in [&field.a, &field.b] {
        is_away(one);
    }
    field.vote.signal("CONT");
    field.wait_whole(&field.a, &field.b);
    let answered = |one: &Instance| one.status()["arbiter"]["last_answer"].as_str().unwrap_or_default().to_owned();
    field.vote.wipe();
    let before = [answered(&field.a), answered(&field.b)];
    field.vote.start();
    for (one, before) in [&field.a, &field.b].into_iter().zip(before) {
        one.wait("the arbiter has a vote again", |status| {
            let is_news = status["arbiter"]["last_answer"].as_str() > Some(before.as_str());
            is_news && status["arbiter"]["state"] == "ok" && status["protection"] == "full"
        });
    }
    assert_eq!(field.a.status()["active"], true);
    probe::assert_never_stopped(&field.a);
    field.a.kill();
    let status = field.b.wait_for("takes over", field.longest(), |status| status["active"] == true);
    assert_eq!(status["term"], 2);

    // Wiped while the former master is down: one alone does not make it a vote.
    field.vote.wipe();
    field.vote.start();
    eventually("the alert", || has_alert(&field.b, "H-025"));
    assert_eq!(field.b.status()["arbiter"]["state"], "no_vote");
    field.a.start();
    field.wait_whole(&field.b, &field.a);
    eventually("the alert is over", || !has_alert(&field.b, "H-025"));
    field.prove("etcd hung and wiped");
}
