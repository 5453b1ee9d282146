//! File systems mounted inside the mirrored directory (spec 5.3): nothing can be moved there in one step, and no watch tells of them.

use std::fs;
use std::path::Path;
use std::process::{Command, Output};

use crate::harness::{Instance, eventually, tree};
use crate::{Pair, Wish, edit};

/// A file system in memory, where this instance sees it; unmounted at the latest when it is dropped.
struct Mount<'a> {
    instance: &'a Instance,
    path: String,
}

impl<'a> Mount<'a> {
    fn on(instance: &'a Instance, path: &Path) -> Self {
        let mount = Self { instance, path: path.display().to_string() };
        let output = mount.run(&["mount", "-t", "tmpfs", "-o", "size=1m,mode=0755", "standin-test", &mount.path]);
        assert!(output.status.success(), "{output:?}");
        mount
    }

    /// In the mount namespace of the instance, which may be its own.
    fn run(&self, words: &[&str]) -> Output {
        let process = self.instance.process().to_string();
        Command::new("nsenter").args(["-t", &process, "-m", "--"]).args(words).output().unwrap()
    }
}

impl Drop for Mount<'_> {
    fn drop(&mut self) {
        // With the instance its namespace may be gone, and the mount with it.
        let _ = self.run(&["umount", &self.path]);
    }
}

/// spec 5.3, 6.2: a change that would have to cross a mount on the shadow is refused before anything is moved, and told on both sides;
/// so is drift that is hidden by one. Unmounted, all is well by itself.
#[test]
fn nothing_is_moved_across_a_mount_on_the_shadow() {
    let pair = Pair::ready(&Wish { service: false, takeover_delay: "30s", ..Wish::default() });
    let empty = "empty";
    fs::create_dir(pair.a.directory.join(empty)).unwrap();
    eventually("mirrored", || pair.b.directory.join(empty).is_dir());
    pair.wait_settled(&pair.a, &pair.b);
    let says = |instance: &Instance, code: &str, path: &str| {
        let told = format!("on {path} something is mounted");
        instance.stands(code).is_some_and(|alert| alert["why"].as_str().unwrap().contains(&told))
    };
    let mount = Mount::on(&pair.b, &pair.b.directory.join(empty));
    edit(&pair.a, "empty/new.yaml", b"a: 1\n");
    eventually("the shadow says so", || says(&pair.b, "F-023", empty));
    eventually("the master says so", || says(&pair.a, "P-010", empty));
    assert_ne!(pair.a.status()["protection"], "full");
    drop(mount);
    pair.wait_settled(&pair.a, &pair.b);
    eventually("over", || pair.b.stands("F-023").is_none() && tree(&pair.b.directory) == tree(&pair.a.directory));

    let mount = Mount::on(&pair.b, &pair.b.directory.join("notes"));
    eventually("noticed, and told", || says(&pair.b, "F-022", "notes"));
    pair.a.wait("not protected", |status| status["protection"] == "none");
    // Nothing else is left as it was found for it.
    fs::write(pair.b.directory.join("audit.yaml"), "changed: behind its back\n").unwrap();
    let good = fs::read(pair.a.directory.join("audit.yaml")).unwrap();
    eventually("put back", || fs::read(pair.b.directory.join("audit.yaml")).is_ok_and(|bytes| bytes == good));
    drop(mount);
    eventually("over", || pair.b.stands("F-022").is_none());
    pair.wait_settled(&pair.a, &pair.b);
    assert_eq!(tree(&pair.b.directory), tree(&pair.a.directory));
}

/// spec 5.2: what a mount hides or shows on the master is noticed at once, though no watch tells of it
#[test]
fn a_mount_on_the_master_is_noticed() {
    let pair = Pair::ready(&Wish { service: false, ..Wish::default() });
    let before = tree(&pair.b.directory);
    let mount = Mount::on(&pair.a, &pair.a.directory.join("notes"));
    let inside = format!("{}/inside", mount.path);
    assert!(mount.run(&["sh", "-c", &format!("echo 1 > '{inside}'")]).status.success());
    eventually("what it shows is mirrored", || pair.b.directory.join("notes/inside").exists());
    assert_ne!(tree(&pair.b.directory), before);
    drop(mount);
    eventually("what it hid is back", || tree(&pair.b.directory) == before);
    pair.wait_settled(&pair.a, &pair.b);
}
