//! Full disks (spec 7.3): a small file system under the home, filled.

use std::fs;
use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use super::field::{prepared, wish};
use super::{has_alert, probe};
use crate::edit;
use crate::harness::{Instance, eventually};

fn run(program: &str, arguments: &[&str]) {
    let output = Command::new(program).args(arguments).output().unwrap();
    assert!(output.status.success(), "{program} {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// A file system of its own under one home; gone when dropped.
struct SmallDisk(PathBuf);

impl SmallDisk {
    /// The instance does not run.
    fn under(instance: &Instance) -> Self {
        let aside = instance.home.with_extension("aside");
        fs::rename(&instance.home, &aside).unwrap();
        fs::create_dir(&instance.home).unwrap();
        let (home, inside) = (instance.home.display().to_string(), format!("{}/.", aside.display()));
        run("mount", &["-t", "tmpfs", "-o", "size=12m,mode=0700", "none", &home]);
        let disk = Self(instance.home.clone());
        run("cp", &["-a", &inside, &home]);
        disk
    }

    /// To the last byte.
    fn fill(&self) {
        let mut file = fs::File::options().create(true).append(true).open(self.0.join("filling")).unwrap();
        let block = vec![0x5a; 64 * 1024];
        let mut size = block.len();
        while size > 0 {
            if file.write_all(&block[..size]).is_err() {
                size /= 2;
            }
        }
    }

    /// Somebody found what could be deleted.
    fn free(&self) {
        fs::remove_file(self.0.join("filling")).unwrap();
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).output();
    }
}

/// For which a full disk has no room, however well it is packed; no YAML, because that takes a while to read.
fn large() -> Vec<u8> {
    let mut state = 1_u32;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        state.to_be_bytes()[0]
    };
    (0..2_000_000).map(|_| next()).collect()
}

/// spec 5.5, 7.3: a push that finds no space is told and made up for; the space kept for it carries a takeover on a full disk; without that space there is none and the alert says why; with
/// space again it goes on by itself
pub fn a_shadow_with_a_full_disk() {
    let mut pair = prepared(&wish(), false);
    let (of_a, of_b) = (SmallDisk::under(&pair.a), SmallDisk::under(&pair.b));
    pair.a.start();
    pair.b.start();
    pair.connect();
    of_b.fill();
    edit(&pair.a, "large.bin", &large());
    eventually("the push fails, and says why", || {
        pair.a.alerts().iter().any(|alert| alert["code"] == "P-010" && alert["why"].to_string().contains("full"))
    });
    let status = pair.a.wait("what would be missing", |status| status["protection"] == "reduced");
    assert!(status["protection_message"].as_str().unwrap().contains("1 revision behind"), "{status}");
    of_b.free();
    pair.wait_settled(&pair.a, &pair.b);
    eventually("the push is done", || !has_alert(&pair.a, "P-010"));

    of_b.fill();
    pair.a.kill();
    pair.b.wait_active();
    eventually("the service runs", || probe::runs_now(&pair.b));
    of_b.free();
    pair.a.start();
    pair.wait_settled(&pair.b, &pair.a);

    fs::remove_file(pair.a.home.join("standin.reserve")).unwrap();
    of_a.fill();
    pair.b.kill();
    eventually("the alert", || has_alert(&pair.a, "R-001"));
    let status = pair.a.status();
    assert_eq!((status["role"].as_str(), status["active"].as_bool()), (Some("shadow"), Some(false)), "{status}");
    let why = status["takeover"]["why_not"].as_str().unwrap_or_default();
    assert!(why.contains("disk"), "{why}");
    assert_eq!(probe::count(&pair.a), 1);
    of_a.free();
    pair.a.wait_active();
    eventually("the service runs", || probe::runs_now(&pair.a));
    eventually("the alert is over", || !has_alert(&pair.a, "R-001"));
    probe::prove_no_overlap("shadow's disk full", [&pair.a, &pair.b]);
}

/// spec 7.3: a full disk keeps no instance from starting, whatever the last run left in the log of the database; and a transfer
/// that has no space is refused with both numbers before the disk is full
pub fn a_start_on_a_full_disk() {
    let mut pair = prepared(&wish(), false);
    let of_b = SmallDisk::under(&pair.b);
    pair.a.start();
    pair.b.start();
    pair.connect();
    let mut larger = large();
    for _ in 0..4 {
        larger.extend_from_within(..2_000_000);
    }
    edit(&pair.a, "larger.bin", &larger);
    eventually("the push is refused", || {
        let alerts = pair.a.alerts();
        let why = alerts.iter().find(|alert| alert["code"] == "P-010").map(|alert| alert["why"].to_string());
        why.is_some_and(|why| why.contains("are needed there") && why.contains("MB are free"))
    });
    let free = rustix::fs::statvfs(&of_b.0).unwrap();
    assert!(free.f_bavail * free.f_frsize > 500_000, "it was not filled");
    of_b.fill();
    pair.b.kill();
    assert!(pair.b.home.join("standin.reserve").exists());
    // What SQLite needs anew at each start.
    let _ = fs::remove_file(pair.b.home.join("standin.db-shm"));
    of_b.fill();
    pair.b.start();
    fs::remove_file(pair.a.directory.join("larger.bin")).unwrap();
    of_b.free();
    pair.wait_settled(&pair.a, &pair.b);
    eventually("the push is done", || !has_alert(&pair.a, "P-010"));
    eventually("the space is kept again", || pair.b.home.join("standin.reserve").exists());
}

/// spec 5.2, 7.3: a master with a full disk: the service runs on, changes wait and are told, and go on with space
pub fn a_master_with_a_full_disk() {
    let mut pair = prepared(&wish(), false);
    let disk = SmallDisk::under(&pair.a);
    pair.a.start();
    pair.b.start();
    pair.connect();
    fs::remove_file(pair.a.home.join("standin.reserve")).unwrap();
    disk.fill();
    edit(&pair.a, "large.bin", &large());
    eventually("it is told", || {
        let of_disk = |alert: &serde_json::Value| {
            alert["severity"] == "error" && alert["why"].as_str().is_some_and(|why| why.contains("full"))
        };
        pair.a.alerts().iter().any(of_disk)
    });
    assert_eq!(pair.a.status()["active"], true);
    assert_eq!(pair.b.status()["state"], "READY");
    disk.free();
    pair.a.wait("the change is committed", |status| status["configuration"]["revision"] == 2);
    pair.wait_settled(&pair.a, &pair.b);
    assert_eq!(fs::read(pair.b.directory.join("large.bin")).unwrap(), large());
    probe::assert_never_stopped(&pair.a);
    assert_eq!(pair.a.status()["term"], 1);
}
