//! The history of both: changes by an operator, comparing with the peer, contents forgotten on both sides.

use std::fs;
use std::path::Path;

use crate::harness::{Instance, eventually, tree};
use crate::{Pair, Wish, edit};

fn plain() -> Pair {
    Pair::ready(&Wish { service: false, ..Wish::default() })
}

/// In any file of the home.
fn holds(home: &Path, secret: &str) -> bool {
    fs::read_dir(home).unwrap().flatten().any(|entry| {
        let path = entry.path();
        if path.is_dir() {
            return holds(&path, secret);
        }
        fs::read(&path).is_ok_and(|bytes| bytes.windows(secret.len()).any(|window| window == secret.as_bytes()))
    })
}

fn has_alert(instance: &Instance, code: &str) -> bool {
    instance.alerts().iter().any(|alert| alert["code"] == code && alert["severity"] != "information")
}

/// spec 5.2, 5.6: an operator's change is one revision with author and message, on both; a restore too; a shadow refuses.
#[test]
fn an_operator_changes_the_configuration() {
    let pair = plain();
    let before = tree(&pair.a.directory);
    let source = pair.a.home.join("new.yaml");
    fs::write(&source, "key: value\n").unwrap();
    let source = source.display().to_string();
    let dry = pair.a.ok(&["config", "apply", &source, "--to", "added/here", "--dry-run"]);
    assert!(dry.contains("added   added/here/new.yaml") && dry.contains("nothing was changed"), "{dry}");
    assert_eq!(tree(&pair.a.directory), before);
    pair.a.ok(&["config", "apply", &source, "--to", "added/here", "-m", "as agreed"]);
    let wanted = tree(&pair.a.directory);
    assert_ne!(wanted, before);
    eventually("the shadow has it", || tree(&pair.b.directory) == wanted);
    pair.wait_settled(&pair.a, &pair.b);
    let user = String::from_utf8(std::process::Command::new("id").arg("-un").output().unwrap().stdout).unwrap();
    for instance in [&pair.a, &pair.b] {
        let log = instance.ok(&["config", "log", "-n", "1"]);
        assert!(log.contains(&format!("{}: 3 added", user.trim())) && log.contains("as agreed"), "{log}");
    }
    let refused = pair.b.refused(&["config", "restore", "1"]);
    assert!(refused.contains("not the master") && refused.contains("10.77.0.1"), "{refused}");
    let restored = pair.a.ok(&["config", "restore", "1"]);
    assert!(restored.contains("removed added/here/new.yaml") && restored.contains("Revision 3"), "{restored}");
    assert_eq!(tree(&pair.a.directory), before);
    eventually("the shadow as well", || tree(&pair.b.directory) == before);
    pair.wait_settled(&pair.a, &pair.b);
    let log = pair.b.ok(&["config", "log", "added"]);
    assert_eq!(log.matches("revision ").count() - log.matches("restore of revision").count(), 2, "{log}");
}

/// spec 5.6: compared with the peer's disk, from either side; and with nothing running.
#[test]
fn both_sides_are_compared() {
    let mut pair = plain();
    edit(&pair.a, "ciphers.yaml", b"minimum: TLS1.3\npassword: hunter-one\n");
    eventually("a second revision", || pair.a.ok(&["config", "log"]).contains("revision      2"));
    pair.wait_settled(&pair.a, &pair.b);
    for instance in [&pair.a, &pair.b] {
        assert_eq!(instance.ok(&["config", "diff", "peer", "directory"]), "");
        let output = instance.standin(&["config", "diff", "1", "peer"]);
        let text = String::from_utf8(output.stdout).unwrap();
        assert_eq!(output.status.code(), Some(1), "{text}");
        assert!(text.contains("+++ ciphers.yaml\tdisk of 10.77.0.") && text.contains("+minimum: TLS1.3"), "{text}");
        assert!(!text.contains("hunter-one") && text.contains("+password: "), "{text}");
        let open = instance.standin(&["config", "diff", "1", "2", "--show-secrets", "--", "ciphers.yaml"]);
        assert!(String::from_utf8(open.stdout).unwrap().contains("+password: hunter-one"));
    }
    pair.b.kill();
    fs::write(pair.b.directory.join("audit.yaml"), "changed: meanwhile\n").unwrap();
    let output = pair.b.standin(&["config", "diff"]);
    let (text, note) = (String::from_utf8(output.stdout).unwrap(), String::from_utf8(output.stderr).unwrap());
    assert_eq!(output.status.code(), Some(1), "{text}{note}");
    assert!(text.contains("+changed: meanwhile") && note.contains("No instance runs"), "{text}{note}");
    assert!(pair.b.ok(&["config", "log"]).contains("revision      2"));
    assert!(pair.b.refused(&["config", "diff", "peer"]).contains("running instance"));
}

/// A file with a secret that comes and goes.
fn expose(pair: &Pair, path: &str, secret: &str) {
    edit(&pair.a, path, format!("secret: {secret}\n").as_bytes());
    let there = pair.b.directory.join(path);
    eventually("the secret is on the shadow", || there.exists());
    pair.wait_settled(&pair.a, &pair.b);
    for instance in [&pair.a, &pair.b] {
        assert!(holds(&instance.home, secret), "{}: it bites", instance.name);
    }
}

fn withdraw(instance: &Instance, path: &str) {
    fs::remove_file(instance.directory.join(path)).unwrap();
    let gone = || !instance.ok(&["config", "list"]).contains(path);
    eventually("it is in no newest revision", gone);
}

/// spec 5.6: forgotten contents are in no file of either home; a shadow that is away does it when it is back in sync.
#[test]
fn forgotten_on_both_sides() {
    let mut pair = plain();
    let (first, second) = ("Zk3-unmistakable-9q", "Wp7-unmistakable-2x");
    expose(&pair, "leaked.yaml", first);
    let refused = pair.a.refused(&["config", "forget", "leaked.yaml"]);
    assert!(refused.contains("newest revision") && refused.contains("--history-only"), "{refused}");
    withdraw(&pair.a, "leaked.yaml");
    pair.wait_settled(&pair.a, &pair.b);
    assert!(pair.b.refused(&["config", "forget", "leaked.yaml"]).contains("on the master"));
    let never = pair.a.refused(&["config", "forget", "leakd.yaml"]);
    assert!(never.contains("there is no path leakd.yaml") && never.contains("ever had it"), "{never}");
    let told = pair.a.ok(&["config", "forget", "leaked.yaml"]);
    assert!(told.contains("1 content of leaked.yaml") && told.contains("has forgotten it too"), "{told}");
    for instance in [&pair.a, &pair.b] {
        assert!(!holds(&instance.home, first), "{}", instance.name);
        assert!(instance.refused(&["config", "show", "leaked.yaml", "--revision", "2"]).contains("forgotten"));
        assert!(instance.ok(&["events"]).contains("contents of leaked.yaml forgotten"));
    }

    expose(&pair, "again.yaml", second);
    pair.b.kill();
    withdraw(&pair.a, "again.yaml");
    let told = pair.a.ok(&["config", "forget", "again.yaml"]);
    assert!(told.contains("not forgotten it yet"), "{told}");
    assert!(!holds(&pair.a.home, second) && holds(&pair.b.home, second));
    eventually("an alert tells of it", || has_alert(&pair.a, "F-030"));
    // The note outlives the master's process too.
    pair.a.kill();
    pair.a.start();
    pair.b.start();
    pair.a.wait_active();
    pair.wait_settled(&pair.a, &pair.b);
    eventually("the shadow has forgotten it", || !holds(&pair.b.home, second));
    eventually("the alert is over", || !has_alert(&pair.a, "F-030"));
}

/// spec 2.5, 5.6: after a reset there is nobody left who has to forget, and no alert says so
#[test]
fn a_reset_ends_what_the_other_has_to_forget() {
    let mut pair = plain();
    expose(&pair, "leaked.yaml", "Qm8-unmistakable-4r");
    pair.b.kill();
    withdraw(&pair.a, "leaked.yaml");
    pair.a.ok(&["config", "forget", "leaked.yaml"]);
    eventually("an alert tells of it", || has_alert(&pair.a, "F-030"));
    pair.a.wait("silent", |status| status["state"] == "BROKEN");
    pair.a.ok(&["ha", "reset"]);
    eventually("the alert is over", || !has_alert(&pair.a, "F-030"));
}
