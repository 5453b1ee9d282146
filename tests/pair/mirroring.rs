//! The mirrored directory: edits, failures, complete transfers.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{eventually, tree};
use crate::{Pair, Wish, edit};

/// spec 5.2, 5.4, 5.7: edits of every kind on the master are the same on the shadow, and verify proves it.
#[test]
fn an_edit_on_the_master_is_seen_on_the_shadow() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    edit(&pair.a, "alerting.yaml", b"not: what it was\n");
    edit(&pair.a, "trust/backend-truststore.bin", b"\xff\xfe\0 any bytes\r\n");
    fs::create_dir_all(pair.a.directory.join("new/deep")).unwrap();
    fs::write(pair.a.directory.join("new/deep/file.yaml"), "a: 1\n").unwrap();
    fs::remove_file(pair.a.directory.join("ciphers.yaml")).unwrap();
    fs::set_permissions(pair.a.directory.join("audit.yaml"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::rename(pair.a.directory.join("notes"), pair.a.directory.join("remarks")).unwrap();
    let wanted = tree(&pair.a.directory);
    eventually("the shadow has the same", || tree(&pair.b.directory) == wanted);
    pair.wait_settled(&pair.a, &pair.b);
    for instance in [&pair.a, &pair.b] {
        let output = instance.standin(&["config", "verify"]);
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
    }
    // Verify can fail: a file changed behind Standin's back on the shadow, and that cannot be put back, is listed.
    let _stuck = Immutable::new(pair.b.directory.clone());
    fs::write(pair.b.directory.join("audit.yaml"), "changed: here\n").unwrap();
    let output = pair.a.standin(&["config", "verify"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&output.stdout).contains("audit.yaml"));
}

/// spec 5.1, 5.5: reconnect compares every file with the bytes on disk, from either side.
#[test]
fn reconnect_compares_everything_again() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let wanted = tree(&pair.a.directory);
    for from in [&pair.b, &pair.a] {
        let victim = pair.b.directory.join("audit.yaml");
        let about = fs::metadata(&victim).unwrap();
        fs::write(&victim, vec![b'x'; usize::try_from(about.len()).unwrap()]).unwrap();
        fs::write(pair.b.directory.join("stranger"), "not from the master").unwrap();
        from.ok(&["reconnect"]);
        eventually("the shadow is as the master again", || tree(&pair.b.directory) == wanted);
        pair.wait_settled(&pair.a, &pair.b);
    }
}

/// A file that not even root can replace, until dropped.
pub struct Immutable(std::path::PathBuf);

impl Immutable {
    pub fn new(path: std::path::PathBuf) -> Self {
        chattr("+i", &path);
        Self(path)
    }
}

impl Drop for Immutable {
    fn drop(&mut self) {
        chattr("-i", &self.0);
    }
}

fn chattr(change: &str, path: &std::path::Path) {
    let status = std::process::Command::new("chattr").arg(change).arg(path).status().unwrap();
    assert!(status.success(), "chattr {change} {}", path.display());
}

/// spec 5.5, 6.2: a push that fails raises one error alert however often it is tried; after recovery one warning is left.
#[test]
fn a_failed_push_is_one_alert_and_then_a_warning() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let immutable = Immutable::new(pair.b.directory.join("audit.yaml"));
    edit(&pair.a, "audit.yaml", b"a: 1\n");
    let failed = |severity: &str| {
        pair.a.alerts().iter().filter(|alert| alert["code"] == "P-010" && alert["severity"] == severity).count()
    };
    eventually("one error alert", || failed("error") == 1);
    eventually("tried again by itself, still one alert", || {
        pair.a.alerts().iter().any(|alert| alert["code"] == "P-010" && alert["count"].as_u64() > Some(1))
    });
    assert_eq!(failed("error"), 1);
    assert_eq!(pair.a.status()["peer"]["in_sync"], false);
    assert_ne!(pair.a.status()["protection"], "full");
    drop(immutable);
    pair.a.ok(&["config", "push"]);
    let pushed = pair.b.directory.join("audit.yaml");
    eventually("pushed", || fs::read(&pushed).is_ok_and(|bytes| bytes == b"a: 1\n"));
    let told = || pair.a.alerts().iter().filter(|alert| alert["code"] == "P-011").count();
    eventually("the error is gone, one warning tells of it", || failed("error") == 0 && told() == 1);
    pair.wait_settled(&pair.a, &pair.b);
}

/// spec 5.5, 6.6: alerts survive a restart.
#[test]
fn alerts_survive_a_restart() {
    let mut pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    pair.b.kill();
    eventually("an alert tells that nobody can take over", || !pair.a.alerts().is_empty());
    let before: Vec<_> = pair.a.alerts().iter().map(|alert| alert["id"].clone()).collect();
    pair.a.kill();
    pair.a.start();
    let after: Vec<_> = pair.a.alerts().iter().map(|alert| alert["id"].clone()).collect();
    assert!(before.iter().all(|id| after.contains(id)), "{before:?} {after:?}");
}
