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

/// spec 4.5, 5.6: drifts that hold more than the history may go, the oldest first, and the events say which.
#[test]
fn drifts_that_hold_too_much_go_and_are_told() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let (settings, new) = (pair.b.home.join("settings.yaml"), pair.b.home.join("settings.new"));
    let text = fs::read_to_string(&settings).unwrap();
    let smaller = text.replace("    size: 1073741824", "    size: 1048576");
    assert_ne!(smaller, text);
    fs::write(&new, smaller).unwrap();
    fs::set_permissions(&new, fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(new, settings).unwrap();
    eventually("in force", || pair.b.ok(&["events"]).contains("configuration.history.size is in force"));
    let stray = pair.b.directory.join("stray");
    let drifts = || {
        let list = pair.b.ok(&["config", "branches"]);
        let names = list.lines().filter_map(|line| line.split_whitespace().next());
        names.filter(|name| name.starts_with("drift-")).map(str::to_owned).collect::<Vec<_>>()
    };
    // They do not pack: each number is drawn from the one before.
    let mut number = 1_u64;
    let mut draw = || {
        number = number.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        number.to_be_bytes()[0]
    };
    let mut stray_of = || {
        let before = drifts();
        fs::write(&stray, (0..600_000).map(|_| draw()).collect::<Vec<_>>()).unwrap();
        eventually("it is put back", || !stray.exists());
        eventually("it is kept", || drifts().last() != before.last());
        drifts()
    };
    let first = stray_of();
    let second = stray_of();
    eventually("the first one is told to have gone", || {
        let told = pair.b.ok(&["events"]);
        told.lines().any(|line| line.contains(&first[0]) && line.contains("configuration.history.size"))
    });
    assert_eq!(drifts(), second[second.len() - 1..]);
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

/// The only drift or branch listed with this path.
fn drift_of(instance: &Instance, path: &str) -> String {
    let list = instance.ok(&["config", "branches"]);
    let names = list.lines().filter_map(|line| line.split_whitespace().next());
    let shows =
        |name: &&str| instance.ok(&["config", "branches", "show", name]).contains(&format!("File       {path}\n"));
    names.into_iter().find(shows).unwrap_or_else(|| panic!("no drift of {path}: {list}")).to_owned()
}

/// spec 7.6, 5.4: of a branch on the other instance only what is asked for is fetched; a file over the limit is named alone.
#[test]
fn a_large_file_in_a_drift_is_in_nobodys_way() {
    let mut pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    for instance in [&mut pair.a, &mut pair.b] {
        instance.kill();
        instance.set("configuration", "file_size_limit", "65536");
    }
    fs::write(pair.b.directory.join("large"), vec![b'x'; 100_000]).unwrap();
    fs::write(pair.b.directory.join("audit.yaml"), "changed: here\n").unwrap();
    fs::write(pair.b.directory.join("alerting.yaml"), "changed: there\n").unwrap();
    pair.a.start();
    pair.b.start();
    pair.a.wait_active();
    pair.wait_settled(&pair.a, &pair.b);
    let name = drift_of(&pair.a, "large");
    let shown = pair.a.standin(&["config", "branches", "diff", &name, "audit.yaml"]);
    assert!(String::from_utf8_lossy(&shown.stdout).contains("+changed: here"), "{shown:?}");
    pair.a.ok(&["config", "reapply", &name, "audit.yaml"]);
    assert_eq!(fs::read(pair.a.directory.join("audit.yaml")).unwrap(), b"changed: here\n");
    let all = pair.a.standin(&["config", "reapply", &name]);
    let told = String::from_utf8_lossy(&all.stdout).into_owned();
    assert!(all.status.code() == Some(1) && told.contains("large: the branch has 100000 bytes"), "{all:?}");
    assert_eq!(fs::read(pair.a.directory.join("alerting.yaml")).unwrap(), b"changed: there\n");
    pair.wait_settled(&pair.a, &pair.b);
}

/// spec 7.6: two branches of one name, one on each side, are two: the other's is NAME@HOST, until it is here and after.
#[test]
fn branches_of_one_name_are_both_within_reach() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let wanted = tree(&pair.a.directory);
    fs::write(pair.b.directory.join("audit.yaml"), "changed: on b\n").unwrap();
    eventually("it is put back", || tree(&pair.b.directory) == wanted);
    let name = drift_of(&pair.b, "audit.yaml");
    pair.wait_settled(&pair.a, &pair.b);
    pair.a.ok(&["ha", "switch"]);
    pair.b.wait_active();
    pair.wait_settled(&pair.b, &pair.a);
    fs::write(pair.a.directory.join("audit.yaml"), "changed: on a\n").unwrap();
    eventually("it is put back", || tree(&pair.a.directory) == wanted);
    let list = || pair.b.ok(&["config", "branches"]);
    let other = || {
        let list = list();
        let names = list.lines().filter_map(|line| line.split_whitespace().next());
        names.into_iter().find(|listed| listed.starts_with(&format!("{name}@"))).map(str::to_owned)
    };
    eventually("the other's is listed by a name of its own", || other().is_some());
    let theirs = other().unwrap();
    let diff = |name: &str| String::from_utf8(pair.b.standin(&["config", "branches", "diff", name]).stdout).unwrap();
    assert!(diff(&name).contains("+changed: on b"), "{}", diff(&name));
    assert!(diff(&theirs).contains("+changed: on a"), "{}", diff(&theirs));
    assert_eq!(list().lines().filter(|line| line.starts_with(&theirs)).count(), 1, "{}", list());
    pair.b.ok(&["config", "branches", "show", &theirs]);
    pair.b.ok(&["config", "reapply", &theirs]);
    assert_eq!(fs::read(pair.b.directory.join("audit.yaml")).unwrap(), b"changed: on a\n");
    assert!(pair.b.refused(&["config", "reapply", &format!("{name}@nowhere")]).contains("no branch"));
}

/// Files that make a look take a while.
const MANY: usize = 1_500;

fn says_well(status: &serde_json::Value) -> bool {
    status["state"] == "READY" || status["peer"]["in_sync"] == true || status["protection"] == "full"
}

/// spec 4.3, 4.5, 8.9: a shadow that starts says READY, in sync and protected only when what was removed from its directory while it
/// was down is put back; nor does its master.
#[test]
fn a_shadow_that_starts_says_ready_only_when_its_directory_is_whole() {
    let mut pair = Pair::prepared(&Wish { service: false, takeover_delay: "60s", ..Wish::default() });
    fs::create_dir(pair.a.directory.join("many")).unwrap();
    for number in 0..MANY {
        fs::write(pair.a.directory.join(format!("many/{number}")), number.to_string()).unwrap();
    }
    pair.a.start();
    pair.b.start();
    pair.connect();
    let wanted = tree(&pair.a.directory);
    pair.b.kill();
    pair.a.wait("it is gone", |status| status["peer"]["in_sync"] != true);
    fs::remove_dir_all(pair.b.directory.join("many")).unwrap();
    fs::write(pair.b.directory.join("audit.yaml"), "changed: in the night\n").unwrap();
    pair.b.launch();
    loop {
        // The status first: what is said of the directory was so before it is looked at here.
        let (own, theirs) = (pair.b.status(), pair.a.status());
        if says_well(&own) || theirs["peer"]["in_sync"] == true || theirs["protection"] == "full" {
            assert!(tree(&pair.b.directory) == wanted, "{}\n{}", own["state"], theirs["peer"]);
            break;
        }
    }
    pair.wait_settled(&pair.a, &pair.b);
    assert!(tree(&pair.b.directory) == wanted);
}

/// spec 4.5, 7.3, 7.7, 8.9: as long as something cannot be put back nobody says READY, in sync or protected, a switch is refused
/// with the reason, and it is one drift however often it is tried. An operator's new master takes nothing of it up, holds it back,
/// and puts it back when it can.
#[test]
fn what_cannot_be_put_back_is_no_sync_and_no_revision() {
    let mut pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let victim = pair.b.directory.join("audit.yaml");
    let good = fs::read(&victim).unwrap();
    pair.b.kill();
    fs::write(&victim, "scribbled: on the shadow\n").unwrap();
    let stuck = Immutable::new(victim.clone());
    pair.b.start();
    let is_told = |status: &serde_json::Value| {
        let message = status["protection_message"].as_str().unwrap_or_default();
        status["protection"] == "none" && message.contains("audit.yaml") && message.contains("not permitted")
    };
    for instance in [&pair.b, &pair.a] {
        let status = instance.wait("it says why", is_told);
        assert_eq!(status["peer"]["in_sync"], false, "{}", instance.name);
    }
    assert_ne!(pair.b.status()["state"], "READY");
    assert!(alert(&pair.b, "F-022").is_some_and(|alert| alert["is_over"] == false));
    let refused = pair.a.standin(&["ha", "switch"]);
    let checks = String::from_utf8_lossy(&refused.stdout).into_owned();
    assert!(refused.status.code() == Some(1) && checks.contains("audit.yaml"), "{checks}");
    let list = pair.b.ok(&["config", "branches"]);
    assert_eq!(list.lines().filter(|line| line.starts_with("drift-")).count(), 1, "{list}");
    pair.a.kill();
    pair.b.wait("it is lost", |status| status["state"] == "LOST");
    pair.b.ok(&["ha", "become-master", "--force"]);
    pair.b.wait_active();
    edit(&pair.b, "new.yaml", b"on: the new master\n");
    let status = pair.b.wait("its edit is a revision", |status| status["configuration"]["revision"] == 2);
    assert_eq!(status["configuration"]["held"], 1);
    assert!(pair.b.ok(&["config", "list", "--held"]).contains("audit.yaml"));
    assert_eq!(pair.b.ok(&["config", "show", "audit.yaml"]).as_bytes(), good);
    // As a restart has it, too.
    pair.b.kill();
    pair.b.start();
    pair.b.ok(&["ha", "resume"]);
    pair.b.wait_active();
    let status = pair.b.wait("held back", |status| status["configuration"]["held"] == 1);
    assert_eq!(status["configuration"]["revision"], 2);
    drop(stuck);
    eventually("it is put back", || fs::read(&victim).is_ok_and(|bytes| bytes == good));
    let status = pair.b.wait("nothing is held back", |status| status["configuration"]["held"] == 0);
    assert_eq!(status["configuration"]["revision"], 2);
}

/// spec 4.5, 8.9: drift that cannot be kept is left in place, and both sides say so until it is moved away.
#[test]
fn what_cannot_be_kept_is_told_on_both_sides() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let wanted = tree(&pair.a.directory);
    let victim = pair.b.directory.join("audit.yaml");
    fs::File::create(&victim).unwrap().set_len(513 * 1024 * 1024).unwrap();
    for instance in [&pair.b, &pair.a] {
        let status = instance.wait("not protected", |status| status["protection"] == "none");
        assert!(status["protection_message"].as_str().unwrap().contains("cannot be kept"), "{status}");
        assert_eq!(status["peer"]["in_sync"], false);
    }
    assert!(alert(&pair.b, "F-022").is_some_and(|alert| alert["is_over"] == false));
    fs::rename(&victim, pair.b.folder.join("moved away")).unwrap();
    eventually("it is put back", || tree(&pair.b.directory) == wanted);
    pair.wait_settled(&pair.a, &pair.b);
    pair.a.wait("protected", |status| status["protection"] == "full");
}

/// spec 5.4, 7.7, 8.9: what the master holds back reduces the protection of both; after a switch nothing is held back, and the new
/// shadow is READY only when it is put back.
#[test]
fn what_was_held_back_is_put_back_after_a_switch() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let good = tree(&pair.a.directory);
    edit(&pair.a, "audit.yaml", b"broken: [\n");
    for instance in [&pair.a, &pair.b] {
        let status = instance.wait("reduced", |status| status["protection"] == "reduced");
        assert!(status["protection_message"].as_str().unwrap().contains("1 file is held back"), "{status}");
    }
    pair.a.ok(&["ha", "switch"]);
    loop {
        let status = pair.a.status();
        // The status of before the switch may be the last one that was published.
        if status["role"] == "shadow" && says_well(&status) {
            assert_eq!(tree(&pair.a.directory), good, "{status}");
            assert_eq!(status["configuration"]["held"], 0);
            break;
        }
    }
    pair.wait_settled(&pair.b, &pair.a);
    pair.b.wait("protected", |status| status["protection"] == "full");
    // It is nobody's work behind Standin's back, and every byte of it is there.
    let told = alert(&pair.a, "F-024").expect("an alert");
    assert!(told["why"].as_str().unwrap().contains("audit.yaml") && alert(&pair.a, "F-021").is_none(), "{told}");
    let name = drift_of(&pair.a, "audit.yaml");
    for instance in [&pair.a, &pair.b] {
        let shown = instance.standin(&["config", "branches", "show", &name, "audit.yaml"]);
        assert_eq!((shown.status.code(), &shown.stdout[..]), (Some(0), &b"broken: [\n"[..]), "{shown:?}");
        assert!(instance.refused(&["config", "branches", "show", &name, "alerting.yaml"]).contains("no file there"));
    }
}

/// spec 8.9: a master whose own directory is missing is in sync with nobody.
#[test]
fn a_master_without_its_directory_is_not_in_sync() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    fs::rename(&pair.a.directory, pair.a.folder.join("moved away")).unwrap();
    for instance in [&pair.a, &pair.b] {
        instance.wait("not in sync", |status| status["peer"]["in_sync"] == false && status["protection"] == "reduced");
    }
    fs::rename(pair.a.folder.join("moved away"), &pair.a.directory).unwrap();
    pair.wait_settled(&pair.a, &pair.b);
}
