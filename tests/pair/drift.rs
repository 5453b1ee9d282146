//! Files that are changed on the shadow behind Standin's back (spec 4.5).

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{Instance, eventually, tree};
use crate::mirroring::Immutable;
use crate::{Pair, Wish, edit};

fn alert(instance: &Instance, code: &str) -> Option<serde_json::Value> {
    instance.alerts().into_iter().find(|alert| alert["code"] == code)
}

/// spec 4.5: found at once, told with path and what was done, put back; the found content can be looked at and, on the master,
/// made a revision.
#[test]
fn drift_is_found_told_put_back_and_kept() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let wanted = tree(&pair.a.directory);
    fs::write(pair.b.directory.join("audit.yaml"), "changed: here\n").unwrap();
    fs::set_permissions(pair.b.directory.join("alerting.yaml"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(pair.b.directory.join("ciphers.yaml")).unwrap();
    fs::remove_dir_all(pair.b.directory.join("notes")).unwrap();
    fs::write(pair.b.directory.join("notes"), "a file where a directory was").unwrap();
    fs::write(pair.b.directory.join("stranger"), "not from the master").unwrap();
    eventually("it is put back", || tree(&pair.b.directory) == wanted);
    pair.b.wait("it is counted", |status| status["configuration"]["drift"].as_u64() > Some(0));
    eventually("it is told", || alert(&pair.b, "F-021").is_some());
    let listed = || pair.b.ok(&["config", "list", "--drift"]);
    let rows =
        ["alerting.yaml  had mode 0600", "audit.yaml  was changed", "ciphers.yaml  was removed", "stranger  was added"];
    eventually("it is listed", || rows.iter().all(|row| listed().lines().any(|line| line.starts_with(row))));
    assert_eq!(pair.a.ok(&["config", "list", "--drift"]), "");
    let list = pair.b.ok(&["config", "branches"]);
    let of = |path: &str| {
        let names = list.lines().filter_map(|line| line.split_whitespace().next());
        let shows =
            |name: &&str| pair.b.ok(&["config", "branches", "show", name]).contains(&format!("File       {path}\n"));
        names.into_iter().find(shows).map(str::to_owned)
    };
    for path in ["audit.yaml", "alerting.yaml", "ciphers.yaml", "notes", "stranger"] {
        assert!(of(path).is_some(), "{path} in {list}");
    }
    let name = of("audit.yaml").unwrap();
    pair.a.ok(&["config", "reapply", &name, "audit.yaml"]);
    let has =
        |instance: &Instance| fs::read(instance.directory.join("audit.yaml")).is_ok_and(|b| b == b"changed: here\n");
    eventually("the master made it a revision", || has(&pair.a) && has(&pair.b));
    pair.wait_settled(&pair.a, &pair.b);
}

/// spec 4.5: what was changed while the shadow was down is found when it starts.
#[test]
fn drift_of_the_night_is_found_at_the_start() {
    let mut pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let wanted = tree(&pair.a.directory);
    pair.b.kill();
    fs::write(pair.b.directory.join("audit.yaml"), "changed: in the night\n").unwrap();
    pair.b.start();
    eventually("it is put back", || tree(&pair.b.directory) == wanted);
    // By the look at the start, or by the transfer that compares everything: whichever comes first keeps what was found.
    eventually("it is told", || alert(&pair.b, "F-021").or_else(|| alert(&pair.b, "F-020")).is_some());
    pair.wait_settled(&pair.a, &pair.b);
}

/// spec 4.5, 6.2: what cannot be put back is an alert of its own until it can; and a new master's edits are no drift.
#[test]
fn what_cannot_be_put_back_is_told() {
    let mut pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let stuck = Immutable::new(pair.b.directory.clone());
    fs::write(pair.b.directory.join("audit.yaml"), "changed: here\n").unwrap();
    eventually("it is told", || alert(&pair.b, "F-022").is_some_and(|alert| alert["is_over"] == false));
    drop(stuck);
    let wanted = tree(&pair.a.directory);
    eventually("it is put back", || tree(&pair.b.directory) == wanted);
    eventually("that is over", || alert(&pair.b, "F-022").is_some_and(|alert| alert["is_over"] == true));
    pair.a.kill();
    pair.b.wait_active();
    edit(&pair.b, "audit.yaml", b"edited: on the new master\n");
    pair.b.wait("it is a revision", |status| status["configuration"]["revision"] == 2);
    assert_eq!(fs::read(pair.b.directory.join("audit.yaml")).unwrap(), b"edited: on the new master\n");
}
