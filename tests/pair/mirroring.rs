//! The mirrored directory: edits, failures, complete transfers.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use crate::harness::{PASSWORD, USER, eventually, tree};
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

/// So large that the first transfer can be interrupted.
const LARGE_FILES: u64 = 48;
const LARGE_FILE_BYTES: usize = 1024 * 1024;

/// spec 4.3, 5.5: `INITSYNC` tells how far it is, on both sides; the checks go on meanwhile; a break half-way costs only the
/// rest; `READY` comes when everything is there and not before.
#[test]
fn a_first_transfer_is_shown_and_goes_on_after_a_break() {
    let mut pair = Pair::prepared(&Wish { service: false, takeover_delay: "60s", ..Wish::default() });
    // Noise: no packing makes it smaller.
    let mut state = 1_u64;
    for number in 0..LARGE_FILES {
        let noise: Vec<u8> = std::iter::repeat_with(|| {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            state.to_be_bytes()[0]
        })
        .take(LARGE_FILE_BYTES)
        .collect();
        fs::write(pair.a.directory.join(format!("noise-{number}.bin")), noise).unwrap();
    }
    pair.a.start();
    pair.a.wait("everything is committed", |status| status["configuration"]["files"].as_u64() > Some(LARGE_FILES));
    // Two seconds for all of it: however quick the machine is, the break comes in the middle.
    pair.network.narrow(200);
    pair.b.start();
    let (fingerprint, password) = (pair.a.fingerprint(), pair.b.password_file(PASSWORD));
    pair.b.ok(&["shadow", "connect", "--user", USER, "--password-file", &password, "--fingerprint", &fingerprint]);
    let done = |status: &serde_json::Value| status["transfer"]["bytes_done"].as_u64().unwrap_or(0);
    let quarter = LARGE_FILES * LARGE_FILE_BYTES as u64 / 4;
    let status =
        pair.b.wait("a quarter has come", |status| status["transfer"]["step"] == "receiving" && done(status) > quarter);
    assert_eq!(status["state"], "INITSYNC", "{status:#}");
    assert!(status["transfer"]["files_total"].as_u64() >= Some(LARGE_FILES), "{status:#}");
    let words = pair.b.standin(&["status"]);
    assert!(String::from_utf8_lossy(&words.stdout).contains("Transfer"), "{}", String::from_utf8_lossy(&words.stdout));
    pair.a.wait("the master shows it too, and answers checks", |status| {
        status["transfer"].is_object() && status["peer"]["in_sync"] == false
    });
    let before = pair.received_by_shadow();
    pair.network.cut();
    let limit = quarter * 4;
    assert!(before < limit, "all has come before the break: {before} of {limit}");
    pair.b.wait("the break is noticed", |status| status["state"] != "INITSYNC" && status["state"] != "READY");
    pair.network.widen();
    pair.network.heal();
    pair.wait_settled(&pair.a, &pair.b);
    let after = pair.received_by_shadow() - before;
    assert!(after < limit - quarter / 2, "after the break {after} bytes came, before it {before}, of {limit}");
    assert_eq!(tree(&pair.a.directory), tree(&pair.b.directory));
    assert!(pair.b.status()["transfer"].is_null());
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
