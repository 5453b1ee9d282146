//! The mirrored directory itself: what it holds, what is left out, who judges a change, and when it goes away.

use std::fs;
use std::io::Write;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::Path;
use std::time::{Duration, Instant};

use rustix::fs::{CWD, FileType, Mode, RenameFlags, mknodat, renameat_with};
use serde_json::Value;

use crate::harness::{Instance, LIMIT, eventually, tree};
use crate::{Pair, Wish, edit};

fn pair() -> Pair {
    Pair::ready(&Wish { service: false, ..Wish::default() })
}

fn revision(instance: &Instance) -> u64 {
    instance.status()["configuration"]["revision"].as_u64().unwrap()
}

fn held(instance: &Instance) -> Vec<Value> {
    serde_json::from_str(&instance.ok(&["config", "list", "--held", "--json"])).unwrap()
}

/// Sets the command that judges changes.
fn validate_with(instance: &Instance, script: &str) {
    let path = instance.home.join("settings.yaml");
    let text = fs::read_to_string(&path).unwrap();
    let command = format!("    command: [sh, -c, {script:?}]");
    let line = text.lines().skip_while(|line| *line != "  validate:").find(|line| line.starts_with("    command:"));
    let new = path.with_extension("new");
    fs::write(&new, text.replacen(line.unwrap(), &command, 1)).unwrap();
    fs::rename(new, path).unwrap();
}

/// Two names change places in one step.
fn exchange(one: &Path, other: &Path) {
    renameat_with(CWD, one, CWD, other, RenameFlags::EXCHANGE).unwrap();
}

/// spec 5.2: many files with pauses of their own are one revision
#[test]
fn a_deployment_is_one_revision() {
    let pair = pair();
    pair.a.set("configuration", "quiet_time", "150ms");
    pair.a.set("configuration", "quiet_time_limit", "20s");
    let text = || fs::read_to_string(pair.a.home.join("settings.yaml")).unwrap();
    assert!(text().contains("quiet_time: 150ms"));
    eventually("in force", || pair.a.ok(&["events"]).contains("configuration.quiet_time_limit"));
    let before = revision(&pair.a);
    fs::create_dir(pair.a.directory.join("deployed")).unwrap();
    let write = |number: usize| {
        fs::write(pair.a.directory.join(format!("deployed/{number}.yaml")), format!("a: {number}\n")).unwrap();
    };
    for number in 0..40 {
        write(number);
        std::thread::sleep(Duration::from_millis(30));
    }
    // Longer than the quiet time, and shorter than what it has grown to.
    std::thread::sleep(Duration::from_millis(350));
    (40..50).for_each(write);
    pair.a.wait("all of it", |status| status["configuration"]["revision"].as_u64() > Some(before));
    pair.wait_settled(&pair.a, &pair.b);
    assert_eq!(tree(&pair.b.directory), tree(&pair.a.directory));
    assert_eq!(revision(&pair.a), before + 1, "{}", pair.a.ok(&["events"]));
}

/// spec 5.2: a file that is being written to is not mirrored half, and holds nothing else up for long
#[test]
fn a_half_written_file_is_not_mirrored() {
    let pair = pair();
    edit(&pair.a, "big.txt", b"whole");
    let (there, other) = (pair.b.directory.join("big.txt"), pair.b.directory.join("other.txt"));
    eventually("mirrored", || fs::read(&there).is_ok_and(|bytes| bytes == b"whole"));
    let mut file = fs::File::create(pair.a.directory.join("big.txt")).unwrap();
    file.write_all(b"half ").unwrap();
    edit(&pair.a, "other.txt", b"1");
    let until = Instant::now() + LIMIT;
    let mut written = 5;
    while !other.exists() {
        assert!(Instant::now() < until, "never: the other file");
        file.write_all(b"half ").unwrap();
        written += 5;
        std::thread::sleep(Duration::from_millis(50));
    }
    assert_eq!(fs::read(&there).unwrap(), b"whole", "as it was, while it is being written");
    drop(file);
    eventually("whole", || fs::metadata(&there).is_ok_and(|about| about.len() == written));
}

/// spec 5.2: excluded at once, on neither disk touched, and included again at once
#[test]
fn what_is_excluded_leaves_the_mirror_and_no_disk() {
    let pair = pair();
    edit(&pair.a, "noise/a.log", b"1");
    edit(&pair.a, "noise/keep.txt", b"1");
    // They may have become two revisions.
    eventually("mirrored", || {
        ["a.log", "keep.txt"].iter().all(|name| pair.b.directory.join("noise").join(name).exists())
    });
    // The status may be that of a moment before.
    let all = tree(&pair.a.directory);
    let files = all.iter().filter(|(path, ..)| pair.a.directory.join(path).is_file()).count() as u64;
    pair.a.wait("both are in", |status| status["configuration"]["files"].as_u64() == Some(files));
    pair.wait_settled(&pair.a, &pair.b);
    let (a, b) = (tree(&pair.a.directory), tree(&pair.b.directory));
    for instance in [&pair.b, &pair.a] {
        instance.set("configuration", "exclude", "['*.log']");
        eventually("in force", || instance.ok(&["events"]).contains("configuration.exclude is in force"));
    }
    pair.a.wait("it left", |status| status["configuration"]["files"].as_u64() == Some(files - 1));
    pair.wait_settled(&pair.a, &pair.b);
    assert_eq!((tree(&pair.a.directory), tree(&pair.b.directory)), (a, b));
    pair.a.ok(&["config", "verify"]);
    pair.a.set("configuration", "exclude", "[]");
    pair.a.wait("it is back", |status| status["configuration"]["files"].as_u64() == Some(files));
    pair.wait_settled(&pair.a, &pair.b);
    pair.a.ok(&["config", "verify"]);
}

/// spec 5.4, 6.2: what cannot be mirrored is listed with its reason, lowers the protection, and ends when it ends
#[test]
fn what_is_held_back_is_listed_and_ends() {
    let pair = pair();
    edit(&pair.a, "good.yaml", b"a: 1\n");
    pair.a.wait("protected", |status| status["protection"] == "full");
    eventually("mirrored", || pair.b.directory.join("good.yaml").exists());
    mknodat(CWD, pair.a.directory.join("pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    symlink("/etc/passwd", pair.a.directory.join("way-out")).unwrap();
    edit(&pair.a, "good.yaml", b"a: 1\nb: [1,\nc: 2\n");
    let status = pair.a.wait("held", |status| status["configuration"]["held"] == 3);
    assert_eq!(status["protection"], "reduced");
    let list = held(&pair.a);
    let told: Vec<_> = list.iter().map(|file| file["path"].as_str().unwrap()).collect();
    assert_eq!(told, ["good.yaml", "pipe", "way-out"]);
    assert!(list[0]["line"].as_u64() > Some(1) && list[0]["why"].as_str().unwrap().contains("line"), "{list:?}");
    assert!(list[1]["why"].as_str().unwrap().contains("a pipe") && list[1]["line"].is_null(), "{list:?}");
    assert!(pair.a.ok(&["config", "list", "--held"]).contains("way-out  the link leads out"));
    assert_eq!(fs::read(pair.b.directory.join("good.yaml")).unwrap(), b"a: 1\n");
    assert!(held(&pair.b).is_empty());
    fs::remove_file(pair.a.directory.join("pipe")).unwrap();
    fs::remove_file(pair.a.directory.join("way-out")).unwrap();
    edit(&pair.a, "good.yaml", b"a: 2\n");
    pair.a.wait("over", |status| status["configuration"]["held"] == 0 && status["protection"] == "full");
    assert!(pair.a.stands("F-002").is_none() && held(&pair.a).is_empty());
}

/// spec 5.4: the operator's command rejects a change as a whole, never holds up the checks, and lets a good state through
#[test]
fn a_rejected_change_is_held_back_until_it_is_good() {
    let pair = pair();
    edit(&pair.a, "port.txt", b"8080");
    eventually("mirrored", || pair.b.directory.join("port.txt").exists());
    // Slower than three check intervals: the link must not notice.
    let script = "sleep 1; test $(cat port.txt) -lt 65536 || { echo port.txt: no such port; exit 1; }";
    validate_with(&pair.a, script);
    eventually("in force", || pair.a.ok(&["events"]).contains("configuration.validate.command is in force"));
    edit(&pair.a, "port.txt", b"70000");
    edit(&pair.a, "other.txt", b"1");
    let before = revision(&pair.a);
    eventually("told", || pair.a.stands("F-006").is_some());
    let alert = pair.a.stands("F-006").unwrap();
    assert!(alert["why"].as_str().unwrap().contains("exit status 1; port.txt: no such port"), "{alert}");
    let status = pair.a.status();
    assert_eq!((&status["configuration"]["held"], &status["protection"]), (&2.into(), &"reduced".into()));
    assert_eq!((revision(&pair.a), held(&pair.a).len()), (before, 2));
    assert_eq!(fs::read(pair.b.directory.join("port.txt")).unwrap(), b"8080");
    assert_eq!(fs::read(pair.a.directory.join("port.txt")).unwrap(), b"70000", "the file itself is left alone");
    edit(&pair.a, "port.txt", b"9090");
    eventually("through", || fs::read(pair.b.directory.join("port.txt")).is_ok_and(|bytes| bytes == b"9090"));
    pair.a.wait("over", |status| status["configuration"]["held"] == 0 && status["protection"] == "full");
    assert!(pair.a.stands("F-006").is_none());
    assert!(!pair.b.ok(&["events"]).contains("LOST"), "{}", pair.b.ok(&["events"]));
}

/// spec 5.4: a rejection whose reason has passed lets the change through by itself, and at once when the operator pushes
#[test]
fn a_rejected_change_is_tried_again() {
    let pair = pair();
    let away = pair.a.home.join("schema-server-is-away");
    fs::write(&away, "").unwrap();
    let script = format!("! test -e {}", away.display());
    validate_with(&pair.a, &script);
    eventually("in force", || pair.a.ok(&["events"]).contains("configuration.validate.command is in force"));
    let is_mirrored = |name: &str| pair.b.directory.join(name).exists();
    edit(&pair.a, "waits.txt", b"1");
    eventually("told", || pair.a.stands("F-006").is_some());
    assert!(!is_mirrored("waits.txt"));
    fs::remove_file(&away).unwrap();
    eventually("through by itself", || is_mirrored("waits.txt"));
    eventually("over", || pair.a.stands("F-006").is_none());

    fs::write(&away, "").unwrap();
    edit(&pair.a, "pushed.txt", b"1");
    eventually("told again", || pair.a.stands("F-006").is_some());
    fs::remove_file(&away).unwrap();
    let asked = Instant::now();
    pair.a.ok(&["config", "push"]);
    eventually("through at once", || is_mirrored("pushed.txt"));
    assert!(asked.elapsed() < Duration::from_secs(8), "before it is tried by itself: {:?}", asked.elapsed());
}

/// spec 5.4, 6.2: what was held back and is mended while Standin is down is over with the next start; what is not goes on
#[test]
fn what_is_mended_while_nothing_runs_is_over() {
    let mut pair = Pair::prepared(&Wish { service: false, ..Wish::default() });
    edit(&pair.a, "port.txt", b"8080");
    pair.a.start();
    pair.a.wait("a revision", |status| status["configuration"]["revision"].as_u64() > Some(0));
    let pipe = |name: &str| mknodat(CWD, pair.a.directory.join(name), FileType::Fifo, Mode::RUSR, 0).unwrap();
    pipe("pipe");
    pipe("other");
    pair.a.wait("held", |status| status["configuration"]["held"] == 2);
    validate_with(&pair.a, "test $(cat port.txt) -lt 65536");
    eventually("in force", || pair.a.ok(&["events"]).contains("configuration.validate.command is in force"));
    edit(&pair.a, "port.txt", b"70000");
    eventually("told", || pair.a.stands("F-006").is_some());
    pair.a.kill();
    fs::remove_file(pair.a.directory.join("pipe")).unwrap();
    edit(&pair.a, "port.txt", b"8080");
    pair.a.start();
    let of_files = || {
        let open = pair.a.alerts().into_iter().filter(|alert| alert["code"] == "F-002" && alert["is_over"] == false);
        open.map(|alert| alert["subject"].as_str().unwrap().to_owned()).collect::<Vec<_>>()
    };
    eventually("the change is over", || pair.a.stands("F-006").is_none());
    eventually("the file is over", || of_files() == ["other"]);
}

/// spec 4.5, 8.9: a shadow whose directory is gone says so, and so does its master; it puts back what it can
#[test]
fn a_shadow_without_its_directory_says_so() {
    let pair = pair();
    pair.a.wait("protected", |status| status["protection"] == "full");
    let wanted = tree(&pair.a.directory);
    let aside = pair.b.home.join("aside");
    fs::rename(&pair.b.directory, &aside).unwrap();
    eventually("put back", || tree(&pair.b.directory) == wanted);
    let told = || pair.b.alerts().iter().any(|alert| alert["code"] == "F-005");
    eventually("and told", told);
    pair.b.wait("protected again", |status| status["protection"] == "full");
    eventually("over", || pair.b.stands("F-005").is_none());

    // A file in its place: nothing can be put back.
    let file = pair.b.home.join("in-the-way");
    fs::write(&file, "1").unwrap();
    exchange(&pair.b.directory, &file);
    let status = pair.b.wait("not protected", |status| status["protection"] == "none");
    assert!(status["protection_message"].as_str().unwrap().contains("directory"), "{status}");
    pair.a.wait("not protected there either", |status| status["protection"] == "none");
    eventually("told", || pair.b.stands("F-005").is_some());
    edit(&pair.a, "meanwhile.txt", b"1");
    exchange(&pair.b.directory, &file);
    eventually("back, and what came meanwhile too", || pair.b.directory.join("meanwhile.txt").exists());
    for instance in [&pair.a, &pair.b] {
        instance.wait("protected again", |status| status["protection"] == "full");
    }
    eventually("over", || pair.b.stands("F-005").is_none());
    pair.a.ok(&["config", "verify"]);
}

/// spec 5.2, 5.4: a master whose directory is gone, or empty in another place, takes nothing up and says so
#[test]
fn a_master_without_its_directory_says_so() {
    let pair = pair();
    pair.a.wait("protected", |status| status["protection"] == "full");
    let (before, wanted) = (revision(&pair.a), tree(&pair.a.directory));
    let aside = pair.a.home.join("aside");
    fs::rename(&pair.a.directory, &aside).unwrap();
    eventually("told", || pair.a.stands("F-005").is_some() && pair.a.stands("F-001").is_some());
    let status = pair.a.wait("less protected", |status| status["protection"] == "reduced");
    assert!(status["protection_message"].as_str().unwrap().contains("not taken up"), "{status}");
    // As a mount point without its mount.
    fs::create_dir(&pair.a.directory).unwrap();
    eventually("why", || {
        pair.a.stands("F-001").is_some_and(|alert| alert["why"].as_str().unwrap().contains("may not be mounted"))
    });
    assert_eq!((revision(&pair.a), tree(&pair.b.directory)), (before, wanted.clone()));
    fs::remove_dir(&pair.a.directory).unwrap();
    fs::rename(&aside, &pair.a.directory).unwrap();
    fs::write(pair.a.directory.join("new.txt"), "1").unwrap();
    eventually("goes on", || pair.b.directory.join("new.txt").exists());
    pair.a.wait("protected again", |status| status["protection"] == "full");
    eventually("over", || pair.a.stands("F-001").is_none() && pair.a.stands("F-005").is_none());
    assert_eq!(tree(&pair.b.directory).len(), wanted.len() + 1);
}

/// spec 5.2: a master that finds its directory missing when it starts is master all the same, says so and mirrors nothing; only
/// where there is no revision yet it refuses, as the name may be a wrong one
#[test]
fn a_master_that_starts_without_its_directory_says_so() {
    let mut pair = Pair::prepared(&Wish { service: false, ..Wish::default() });
    let aside = pair.a.folder.join("aside");
    fs::rename(&pair.a.directory, &aside).unwrap();
    let refused = pair.a.refused(&["serve"]);
    assert!(refused.contains("configuration.directory"), "{refused}");
    fs::rename(&aside, &pair.a.directory).unwrap();
    edit(&pair.a, "a.txt", b"1");
    pair.a.start();
    pair.a.wait("a revision", |status| status["configuration"]["revision"].as_u64() > Some(0));
    let before = revision(&pair.a);
    pair.a.kill();
    fs::rename(&pair.a.directory, &aside).unwrap();
    pair.a.start();
    pair.a.wait_active();
    eventually("told", || pair.a.stands("F-005").is_some() && pair.a.stands("F-001").is_some());
    assert!(!pair.a.directory.exists() && revision(&pair.a) == before);
    fs::write(aside.join("b.txt"), "2").unwrap();
    fs::rename(&aside, &pair.a.directory).unwrap();
    eventually("goes on", || revision(&pair.a) == before + 1);
    eventually("over", || pair.a.stands("F-001").is_none() && pair.a.stands("F-005").is_none());
}

/// spec 5.1, setting `configuration.owners`: owner and group travel by name; a name that the shadow does not know is told there,
/// and the two are in sync; what one instance mirrors and the other does not is told on both
#[test]
fn owners_travel_by_name() {
    let pair = pair();
    let alike =
        |instance: &Instance| instance.stands("H-027").is_none_or(|alert| !alert.to_string().contains("owners"));
    pair.a.set("configuration", "owners", "true");
    for instance in [&pair.a, &pair.b] {
        eventually("the difference is told", || !alike(instance));
    }
    pair.b.set("configuration", "owners", "true");
    for instance in [&pair.a, &pair.b] {
        eventually("alike", || alike(instance));
    }
    edit(&pair.a, "owned.txt", b"1");
    std::os::unix::fs::chown(pair.a.directory.join("owned.txt"), Some(1), Some(2)).unwrap();
    let there = pair.b.directory.join("owned.txt");
    eventually("given", || ids(&there) == Some((1, 2)));
    pair.wait_settled(&pair.a, &pair.b);
    let listed = pair.b.ok(&["config", "list"]);
    assert!(listed.lines().any(|line| line.contains("owned.txt") && line.contains("daemon:bin")), "{listed}");
    std::os::unix::fs::chown(&there, Some(2), None).unwrap();
    eventually("put back", || ids(&there) == Some((1, 2)));
    eventually("and told", || {
        pair.b.stands("F-021").is_some_and(|alert| alert.to_string().contains("belonged to bin"))
    });
    let newest = revision(&pair.a);
    std::os::unix::fs::chown(pair.a.directory.join("owned.txt"), Some(0), Some(0)).unwrap();
    eventually("a revision", || revision(&pair.a) > newest);
    let (older, newer) = (newest.to_string(), (newest + 1).to_string());
    let output = pair.a.standin(&["config", "diff", &older, &newer]);
    let diff = String::from_utf8_lossy(&output.stdout).into_owned();
    assert!(diff.contains("owner daemon:bin -> root:root"), "{diff}");
    pair.wait_settled(&pair.a, &pair.b);
    pair.a.ok(&["config", "verify"]);
}

/// A pair that mirrors owners, with a file of `daemon:bin`; the shadow runs in this wrapping. Once both are in sync.
fn owning_pair(wrap: &[&str]) -> Pair {
    let mut pair = Pair::prepared(&Wish { service: false, ..Wish::default() });
    pair.b.wrap = wrap.iter().map(|word| (*word).to_owned()).collect();
    for instance in [&pair.a, &pair.b] {
        instance.set("configuration", "owners", "true");
    }
    edit(&pair.a, "owned.txt", b"1");
    std::os::unix::fs::chown(pair.a.directory.join("owned.txt"), Some(1), Some(2)).unwrap();
    pair.a.start();
    pair.b.start();
    pair.connect();
    pair.wait_settled(&pair.a, &pair.b);
    pair
}

fn ids(path: &Path) -> Option<(u32, u32)> {
    fs::metadata(path).map(|about| (about.uid(), about.gid())).ok()
}

/// setting `configuration.owners`: a user that the shadow does not know is told there (F-032), and the two are in sync; once it
/// is made it gets its files, and nobody calls that a drift
#[test]
fn an_owner_that_is_made_later_gets_its_files() {
    let folder = tempfile::tempdir().unwrap();
    let users = folder.path().join("passwd");
    let all = fs::read_to_string("/etc/passwd").unwrap();
    let (gone, rest): (Vec<&str>, Vec<&str>) = all.lines().partition(|line| line.starts_with("daemon:"));
    fs::write(&users, rest.join("\n") + "\n").unwrap();
    let script = format!("mount --bind {} /etc/passwd; exec \"$0\" \"$@\"", users.display());
    let pair = owning_pair(&["unshare", "--mount", "sh", "-c", &script]);
    let there = pair.b.directory.join("owned.txt");
    eventually("told", || pair.b.stands("F-032").is_some_and(|alert| alert["why"] == "user daemon is not known here"));
    assert_eq!(ids(&there), Some((0, 2)));
    pair.b.wait("counted", |status| status["configuration"]["owners_missing"] == 1);
    assert!(pair.a.stands("F-032").is_none());
    pair.b.wait("protected", |status| status["protection"] == "full");
    let mut file = fs::OpenOptions::new().append(true).open(&users).unwrap();
    writeln!(file, "{}", gone.join("\n")).unwrap();
    edit(&pair.a, "another.txt", b"2");
    eventually("given", || ids(&there) == Some((1, 2)));
    eventually("over", || pair.b.stands("F-032").is_none());
    assert!(pair.b.stands("F-021").is_none());
    pair.a.ok(&["config", "verify"]);
}

/// setting `configuration.owners`: a shadow that may give no file away says so, changes nothing and is in sync, also after a
/// restart
#[test]
fn without_the_right_to_give_files_away_it_is_told() {
    let mut pair = owning_pair(&["setpriv", "--bounding-set", "-chown", "--inh-caps", "-chown"]);
    let why = "group bin may not be given, user daemon may not be given";
    let told = |instance: &Instance| instance.stands("F-032").is_some_and(|alert| alert["why"] == why);
    eventually("told", || told(&pair.b));
    assert_eq!(ids(&pair.b.directory.join("owned.txt")), Some((0, 0)));
    pair.b.kill();
    pair.b.start();
    pair.wait_settled(&pair.a, &pair.b);
    eventually("told again", || told(&pair.b));
    assert!(pair.b.stands("F-021").is_none());
    pair.a.ok(&["config", "verify"]);
}

/// spec 5.2: with too few watches of the system every change is found all the same, later, and an alert says so
#[test]
fn too_few_watches_cost_time_and_no_change() {
    let mut pair = Pair::prepared(&Wish { service: false, ..Wish::default() });
    // Limits of their own, gone with the process.
    let script = "echo 3 > /proc/sys/user/max_inotify_watches; exec \"$0\" \"$@\"";
    pair.a.wrap = ["unshare", "--user", "--map-root-user", "sh", "-c", script].map(str::to_owned).to_vec();
    for name in ["one", "two", "three"] {
        edit(&pair.a, &format!("{name}/deep/file.txt"), b"1");
    }
    pair.a.start();
    pair.b.start();
    pair.connect();
    let alert = pair.a.stands("F-003").expect("the limit is told");
    assert!(alert["why"].as_str().unwrap().contains("fs.inotify.max_user_watches"), "{alert}");
    for name in ["one", "three"] {
        edit(&pair.a, &format!("{name}/deep/file.txt"), b"2");
    }
    for name in ["one", "three"] {
        let there = pair.b.directory.join(format!("{name}/deep/file.txt"));
        eventually("found by looking", || fs::read(&there).is_ok_and(|bytes| bytes == b"2"));
    }
}

/// spec 4.5: what happened to the directory of a shadow while it was down is put right when it starts
#[test]
fn a_shadow_that_starts_compares_its_directory() {
    let mut pair = pair();
    let wanted = tree(&pair.a.directory);
    pair.b.ok(&["stop"]);
    pair.b.wait_for_end();
    fs::rename(&pair.b.directory, pair.b.home.join("aside")).unwrap();
    pair.b.start();
    eventually("put back", || tree(&pair.b.directory) == wanted);
    pair.wait_settled(&pair.a, &pair.b);
}

/// spec 5.2: more changes at once than the system's queue holds are all found, and told of
#[test]
fn a_queue_that_overflows_loses_no_change() {
    let pair = Pair::ready(&Wish { service: false, takeover_delay: "30s", ..Wish::default() });
    let limit: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    let names = ["one.txt", "two.txt"].map(|name| pair.a.directory.join(name));
    pair.a.freeze();
    names.iter().for_each(|name| fs::write(name, "1").unwrap());
    for number in 0..limit + 8 {
        fs::set_permissions(&names[number % 2], fs::Permissions::from_mode(0o600)).unwrap();
    }
    fs::write(pair.a.directory.join("last.txt"), "told by nobody").unwrap();
    pair.a.signal("CONT");
    eventually("found", || pair.b.directory.join("last.txt").exists());
    let told = || pair.a.alerts().iter().any(|alert| alert["code"] == "F-004" && alert["is_over"] == true);
    eventually("told", told);
    pair.wait_settled(&pair.a, &pair.b);
    assert_eq!(tree(&pair.b.directory), tree(&pair.a.directory));
}
