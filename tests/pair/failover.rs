//! The master fails, stops, is cut off.

use crate::harness::{eventually, is_alive, tree};
use crate::{Pair, Wish, edit};

/// spec 7.1, 7.3, 7.5, 7.7, 7.13, 8.3: kill -9 of the master; the shadow takes over and runs the service, the old one's is dead;
/// the former master comes up as shadow and mirrors; then back.
#[test]
fn kill_takeover_return_and_switch_back() {
    let mut pair = Pair::ready(&Wish::default());
    pair.assert_runs_only_on(&pair.a, &pair.b);
    let old_service = pair.a.living_services()[0];
    pair.a.kill();
    let status = pair.b.wait_active();
    assert_eq!(status["role"], "master");
    assert_eq!(status["term"], 2);
    assert_eq!(status["last_role_change"]["reason"], "takeover");
    assert!(status["notice"]["timeline"].as_array().is_some_and(|lines| lines.len() >= 4), "{}", status["notice"]);
    assert_eq!(status["protection"], "none");
    eventually("the old service is dead", || !is_alive(old_service));
    eventually("the service runs here", || pair.b.living_services().len() == 1);
    edit(&pair.b, "alerting.yaml", b"changed: by the new master\n");
    pair.b.wait("a revision of the new term", |status| status["configuration"]["revision"].as_u64() > Some(1));

    pair.a.start();
    pair.wait_settled(&pair.b, &pair.a);
    assert_eq!(tree(&pair.a.directory), tree(&pair.b.directory));
    pair.assert_runs_only_on(&pair.b, &pair.a);
    assert!(!were_two(&pair.b) && !were_two(&pair.a), "the former master was dead");

    pair.b.ok(&["ha", "switch", "--dry-run"]);
    assert_eq!(pair.b.status()["role"], "master", "a rehearsal changes nothing");
    pair.b.ok(&["ha", "switch"]);
    pair.wait_settled(&pair.a, &pair.b);
    assert_eq!(pair.a.status()["term"], 3);
    pair.assert_runs_only_on(&pair.a, &pair.b);
}

/// spec 7.9: a planned stop hands the role over first.
#[test]
fn a_planned_stop_hands_over() {
    let mut pair = Pair::ready(&Wish { takeover_delay: "60s", ..Wish::default() });
    pair.a.ok(&["stop"]);
    assert_eq!(pair.a.wait_for_end(), 0);
    let status = pair.b.wait_active();
    assert_eq!(status["term"], 2);
    pair.assert_runs_only_on(&pair.b, &pair.a);
    pair.a.start();
    pair.wait_settled(&pair.b, &pair.a);
    // SIGTERM is the same.
    pair.b.signal("TERM");
    assert_eq!(pair.b.wait_for_end(), 0);
    pair.a.wait_active();
    pair.assert_runs_only_on(&pair.a, &pair.b);
}

/// spec 7.9: `stop --keep-role` asks for a pause instead; nobody takes over meanwhile.
#[test]
fn a_stop_that_keeps_the_role() {
    let mut pair = Pair::ready(&Wish { takeover_delay: "0s", ..Wish::default() });
    pair.a.ok(&["stop", "--keep-role"]);
    assert_eq!(pair.a.wait_for_end(), 0);
    pair.b.wait("sees that the master is gone and keeps still", |status| status["state"] == "LOST");
    pair.a.start();
    pair.wait_settled(&pair.a, &pair.b);
    assert_eq!(pair.a.status()["term"], 1);
}

/// spec 7.6: the link is cut, both are master; healed, the higher term stays and the other's revision is in a named branch.
#[test]
fn two_masters_meet() {
    let pair = Pair::ready(&Wish::default());
    pair.network.cut();
    pair.b.wait_active();
    edit(&pair.a, "alerting.yaml", b"only: on a\n");
    edit(&pair.b, "audit.yaml", b"only: on b\n");
    pair.a.wait("a has its revision", |status| status["configuration"]["revision"] == 2);
    pair.b.wait("b has its revision", |status| status["configuration"]["revision"] == 2);
    assert_eq!(pair.a.status()["role"], "master");
    pair.network.heal();
    pair.wait_settled(&pair.b, &pair.a);
    assert_eq!(tree(&pair.a.directory), tree(&pair.b.directory));
    assert_eq!(std::fs::read(pair.a.directory.join("audit.yaml")).unwrap(), b"only: on b\n");
    pair.assert_runs_only_on(&pair.b, &pair.a);
    assert!(were_two(&pair.b), "{:?}", pair.b.alerts());
    assert_branch_has(&pair.a, "alerting.yaml");
    for instance in [&pair.a, &pair.b] {
        let told = |alert: &serde_json::Value| {
            alert["what"].to_string().contains("diverged") || alert["why"].to_string().contains("diverged")
        };
        eventually("both sides tell of the branch", || instance.alerts().iter().any(told));
    }
    // The winner does not have it, and makes it once more all the same.
    let list = pair.b.ok(&["config", "branches"]);
    assert!(list.contains("kept on"), "{list}");
    let name = list.split_whitespace().next().unwrap_or_default().to_owned();
    assert!(pair.a.refused(&["config", "reapply", &name]).contains("not the master"));
    let differs = pair.b.standin(&["config", "branches", "diff", &name, "alerting.yaml"]);
    assert_eq!(differs.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&differs.stdout).contains("+only: on a"));
    let done = pair.b.ok(&["config", "reapply", &name]);
    assert!(done.contains("alerting.yaml") && done.contains("Revision 3"), "{done}");
    eventually("both have it", || {
        let has = |instance: &crate::harness::Instance| {
            std::fs::read(instance.directory.join("alerting.yaml")).is_ok_and(|bytes| bytes == b"only: on a\n")
        };
        has(&pair.a) && has(&pair.b)
    });
}

/// spec 7.6: edits made while the former master was down are in its branch too.
#[test]
fn edits_made_while_down_are_kept() {
    let mut pair = Pair::ready(&Wish::default());
    pair.a.kill();
    pair.b.wait_active();
    edit(&pair.a, "alerting.yaml", b"edited: while down\n");
    pair.a.start();
    pair.wait_settled(&pair.b, &pair.a);
    assert_branch_has(&pair.a, "alerting.yaml");
}

/// It tells that two were active.
fn were_two(instance: &crate::harness::Instance) -> bool {
    instance.alerts().iter().any(|alert| alert["code"] == "H-022")
}

/// The one branch kept names this path.
fn assert_branch_has(instance: &crate::harness::Instance, path: &str) {
    let list = instance.ok(&["config", "branches"]);
    let name = list.split_whitespace().next().unwrap_or_default();
    assert!(name.starts_with("diverged"), "{list}");
    let shown = instance.ok(&["config", "branches", "show", name]);
    assert!(shown.contains(path), "{shown}");
}

/// spec 7.7, 7.13: a service that ends at once on the other side is not started: the role is given back, and the old master
/// resumes at a new term.
#[test]
fn a_role_that_cannot_be_filled_is_given_back() {
    let pair = Pair::ready(&Wish { takeover_delay: "60s", ..Wish::default() });
    // A busy machine may take longer than the default to run the command at all.
    pair.b.set("service", "start_time", "5s");
    pair.b.set("service", "command", "[\"/bin/sh\", \"-c\", \"exit 7\"]");
    pair.b.wait("the command is in force", |status| status["settings"]["service"]["command"][2] == "exit 7");
    pair.a.refused(&["ha", "switch"]);
    pair.wait_settled(&pair.a, &pair.b);
    assert_eq!(pair.a.status()["term"], 3);
    for instance in [&pair.a, &pair.b] {
        instance.wait("less than full protection", |status| status["protection"] == "reduced");
    }
    pair.assert_runs_only_on(&pair.a, &pair.b);
}
