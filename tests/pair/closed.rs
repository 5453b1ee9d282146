//! Files that the user who runs Standin cannot read (spec 5.3, 5.4, 5.7).

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use crate::harness::{Instance, eventually, tree};
use crate::{Pair, Wish, edit};

/// Runs Standin as a user for whom modes count, as they do not for root.
const ORDINARY: [&str; 5] =
    ["setpriv", "--bounding-set", "-dac_override,-dac_read_search", "--inh-caps", "-dac_override,-dac_read_search"];

fn mode(path: &Path, mode: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
}

fn pair() -> Pair {
    let mut pair = Pair::prepared(&Wish { service: false, takeover_delay: "30s", ..Wish::default() });
    pair.b.wrap = ORDINARY.map(str::to_owned).to_vec();
    pair.a.start();
    pair.b.start();
    pair.connect();
    pair
}

/// spec 5.3, 5.7, 6.2: what the shadow's user could not read back is not put in place: both sides say which path and what to do, the
/// directory stays as it was, and once the mode is mended on the master all is well by itself, also after a restart meanwhile.
#[test]
fn a_file_that_the_shadow_cannot_read_is_refused_and_told() {
    let mut pair = pair();
    for (restarts, path) in [(false, "audit.yaml"), (true, "new.yaml")] {
        let before = tree(&pair.b.directory);
        let (closed, aside) = (pair.a.directory.join(path), pair.a.directory.with_extension("aside"));
        fs::write(&aside, "changed: with a mode\n").unwrap();
        mode(&aside, 0o200);
        fs::rename(&aside, &closed).unwrap();
        let says = |instance: &Instance, code: &str| {
            instance.stands(code).is_some_and(|alert| {
                let why = alert["why"].as_str().unwrap();
                why.contains(&format!("cannot hold {path}: with mode 0200")) && why.contains("chmod u+r")
            })
        };
        eventually("the shadow says so", || says(&pair.b, "F-023"));
        eventually("the master says so", || says(&pair.a, "P-010"));
        assert_ne!(pair.b.status()["protection"], "full");
        assert_ne!(pair.a.status()["protection"], "full");
        assert_eq!(tree(&pair.b.directory), before);
        if restarts {
            pair.b.kill();
            pair.b.start();
        }
        mode(&closed, 0o640);
        pair.wait_settled(&pair.a, &pair.b);
        assert_eq!(tree(&pair.b.directory), tree(&pair.a.directory));
        eventually("over", || pair.b.stands("F-023").is_none() && pair.a.stands("P-010").is_none());
    }
}

/// The same of a directory that it could not enter.
#[test]
fn a_directory_that_the_shadow_cannot_enter_is_refused_and_told() {
    let pair = pair();
    let notes = pair.a.directory.join("notes");
    mode(&notes, 0o600);
    let says = || pair.b.stands("F-023").is_some_and(|alert| alert["why"].as_str().unwrap().contains("hold notes"));
    eventually("the shadow says so", says);
    assert!(fs::read_dir(pair.b.directory.join("notes")).is_ok_and(|mut inside| inside.next().is_some()));
    mode(&notes, 0o755);
    pair.wait_settled(&pair.a, &pair.b);
    assert_eq!(tree(&pair.b.directory), tree(&pair.a.directory));
    eventually("over", || pair.b.stands("F-023").is_none());
}

/// spec 5.4: what the master's own user cannot read is held back with the reason, its last good content stays mirrored, all else
/// goes on, and it is taken up by itself once it can be read.
#[test]
fn a_file_that_the_master_cannot_read_is_held_back() {
    let mut pair = Pair::prepared(&Wish { service: false, ..Wish::default() });
    pair.a.wrap = ORDINARY.map(str::to_owned).to_vec();
    pair.a.start();
    pair.b.start();
    pair.connect();
    let file = pair.a.directory.join("audit.yaml");
    let good = fs::read(&file).unwrap();
    mode(&file, 0o200);
    let notes = pair.a.directory.join("notes");
    mode(&notes, 0);
    edit(&pair.a, "other.yaml", b"goes: on\n");
    eventually("the rest goes on", || pair.b.directory.join("other.yaml").exists());
    eventually("held back", || {
        let told: Vec<_> = pair.a.alerts().into_iter().filter(|alert| alert["code"] == "F-002").collect();
        ["audit.yaml", "notes"].iter().all(|path| told.iter().any(|alert| alert.to_string().contains(path)))
            && told.iter().all(|alert| alert["why"].as_str().unwrap().contains("ermission denied"))
    });
    assert_eq!(fs::read(pair.b.directory.join("audit.yaml")).unwrap(), good);
    assert!(fs::read_dir(pair.b.directory.join("notes")).is_ok_and(|mut inside| inside.next().is_some()));
    assert_ne!(pair.a.status()["protection"], "full");
    mode(&file, 0o600);
    mode(&notes, 0o700);
    eventually("taken up", || pair.a.stands("F-002").is_none());
    eventually("mirrored", || tree(&pair.b.directory) == tree(&pair.a.directory));
    pair.wait_settled(&pair.a, &pair.b);
}
