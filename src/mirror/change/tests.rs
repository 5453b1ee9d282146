use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use super::*;
use crate::engine::base::Digest;
use crate::mirror::Limits;
use crate::mirror::digest::of_content;
use crate::store::Store;

struct Home {
    home: tempfile::TempDir,
    mirror: Mirror,
}

fn open(home: &tempfile::TempDir) -> Result<Mirror, Problem> {
    let store = Store::open(&home.path().join("home")).unwrap();
    Mirror::open(store, home.path().join("configuration"), Limits { file_size: 100_000, owners: false })
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let mirror = open(&home).unwrap();
        Self { home, mirror }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.mirror.directory().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::create_dir_all(self.at(name).parent().unwrap()).unwrap();
        fs::write(self.at(name), text).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.at(name)).ok()
    }

    fn commit(&self) -> u64 {
        let committed = self.mirror.scan_and_commit(Term(1), "directory", "").unwrap().committed;
        committed.unwrap().revision.number
    }

    fn change(&self, change: &Change) -> Result<ChangeReport, Problem> {
        self.mirror.change(Term(1), "anna", "because", change, false).unwrap().outcome
    }

    fn restore(&self, revision: u64, paths: &[&str]) -> Result<ChangeReport, Problem> {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        self.change(&Change::Restore { revision, paths })
    }

    fn file(&self, path: &str, text: &str, expected: Expected) -> NewFile {
        let digest = self.mirror.keep_content(text.as_bytes().to_vec()).unwrap();
        NewFile { path: path.into(), kind: FileKind::File, mode: 0o640, digest, expected, owners: None }
    }

    /// The directory is the newest revision, and nothing is left beside it.
    fn assert_whole(&self) {
        let head = self.mirror.head().unwrap();
        assert_eq!(self.mirror.verify_own().unwrap().0, head.revision.root);
        assert!(
            !self.home.path().join("home/stage").exists()
                || fs::read_dir(self.home.path().join("home/stage")).unwrap().count() == 0
        );
        assert!(self.mirror.scan_and_commit(Term(1), "directory", "").unwrap().committed.is_none());
    }
}

fn told(report: &ChangeReport) -> Vec<String> {
    report.changes.iter().map(|change| format!("{} {}", change.what.word(), change.path)).collect()
}

/// spec 5.6: a revision is restored as a new one, by the operator; what was not there then is removed.
#[test]
fn a_revision_comes_back_as_a_new_one() {
    let home = Home::new();
    home.write("a", "1");
    home.write("d/b", "1");
    fs::set_permissions(home.at("a"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(home.commit(), 1);
    home.write("a", "2");
    home.write("new", "2");
    fs::remove_dir_all(home.at("d")).unwrap();
    fs::set_permissions(home.at("a"), fs::Permissions::from_mode(0o644)).unwrap();
    assert_eq!(home.commit(), 2);
    let report = home.restore(1, &[]).unwrap();
    assert_eq!(told(&report), ["changed a", "added d", "added d/b", "removed new"]);
    assert_eq!((report.revision.unwrap().number, report.total), (3, 4));
    assert_eq!((home.read("a"), home.read("d/b"), home.read("new")), (Some("1".into()), Some("1".into()), None));
    assert_eq!(fs::metadata(home.at("a")).unwrap().permissions().mode() & 0o777, 0o600);
    let newest = &home.mirror.log(None, None, 1).unwrap()[0];
    assert_eq!((&*newest.author, &*newest.message, newest.revision.number), ("anna", "because", 3));
    home.assert_whole();
    let again = home.restore(1, &[]).unwrap();
    assert_eq!((again.revision, again.total), (None, 0), "nothing has to be changed");
}

/// spec 5.6: one path of it, a directory with what is inside, a path that was not there.
#[test]
fn a_path_comes_back_alone() {
    let home = Home::new();
    home.write("d/e/f", "1");
    home.write("a", "1");
    home.commit();
    fs::remove_dir_all(home.at("d")).unwrap();
    home.write("a", "2");
    home.write("new/x", "2");
    home.commit();
    assert_eq!(told(&home.restore(1, &["d/e"]).unwrap()), ["added d", "added d/e", "added d/e/f"]);
    assert_eq!(home.read("a"), Some("2".into()));
    assert_eq!(told(&home.restore(1, &["new/"]).unwrap()), ["removed new", "removed new/x"]);
    let problem = home.restore(1, &["nothing"]).unwrap_err();
    assert!(problem.why.contains("neither in revision 1"), "{problem}");
    assert!(home.restore(99, &[]).unwrap_err().what.contains("revision 99"));
    assert!(home.restore(1, &["../x"]).is_err());
    home.assert_whole();
}

/// spec 5.2: what somebody changed in the directory a moment before is a revision of its own, by `directory`.
#[test]
fn what_is_found_in_the_directory_is_kept_apart() {
    let home = Home::new();
    home.write("a", "1");
    home.commit();
    home.write("a", "found");
    home.restore(1, &[]).unwrap();
    let log = home.mirror.log(None, None, 10).unwrap();
    let authors: Vec<_> = log.iter().map(|entry| (entry.revision.number, &*entry.author)).collect();
    assert_eq!(authors, [(3, "anna"), (2, "directory"), (1, "directory")]);
    assert_eq!(home.mirror.show("a", Some(2)).unwrap().text, "found");
    assert_eq!(home.read("a"), Some("1".into()));
}

/// spec 5.6: a dry run says the same and changes nothing.
#[test]
fn a_dry_run_changes_nothing() {
    let home = Home::new();
    home.write("a", "1");
    home.commit();
    home.write("a", "2");
    home.commit();
    home.write("b", "not committed");
    let change = Change::Restore { revision: 1, paths: Vec::new() };
    let changed = home.mirror.change(Term(1), "anna", "", &change, true).unwrap();
    let report = changed.outcome.unwrap();
    assert!(report.dry_run && report.revision.is_none() && changed.committed.is_none());
    assert_eq!(told(&report), ["changed a", "removed b"]);
    assert_eq!((home.read("a"), home.read("b")), (Some("2".into()), Some("not committed".into())));
    assert_eq!(home.mirror.head().unwrap().revision.number, 2);
}

/// spec 5.2: files are put as one revision; a path that is there keeps its mode, directories are made.
#[test]
fn files_are_put_as_one_revision() {
    let home = Home::new();
    home.write("run.sh", "1");
    fs::set_permissions(home.at("run.sh"), fs::Permissions::from_mode(0o755)).unwrap();
    home.commit();
    let files = vec![
        home.file("run.sh", "2", Expected::Content(of_content(b"1"))),
        home.file("x/y/z.yaml", "a: 1\n", Expected::Nothing),
    ];
    let report = home.change(&Change::Put { files }).unwrap();
    assert_eq!(told(&report), ["changed run.sh", "added x", "added x/y", "added x/y/z.yaml"]);
    let mode = |name| fs::metadata(home.at(name)).unwrap().permissions().mode() & 0o777;
    assert_eq!((mode("run.sh"), mode("x/y/z.yaml")), (0o755, 0o640));
    home.assert_whole();
}

/// spec 5.4: what a mirror could not hold, or would hold back, is refused whole, and nothing is changed.
#[test]
fn what_would_be_held_back_is_refused() {
    let home = Home::new();
    home.write("a.yaml", "a: 1\n");
    home.write("d/x", "1");
    home.commit();
    let good = || home.file("good", "1", Expected::Any);
    let link = |target: &str| NewFile { kind: FileKind::Link, ..home.file("d/l", target, Expected::Any) };
    let absent = NewFile { digest: Digest([7; 32]), ..good() };
    let wrong = [
        (home.file("a.yaml", "a: [1\n", Expected::Any), "no longer YAML"),
        (home.file("a.yaml", "a: 2\n", Expected::Content(of_content(b"another"))), "changed meanwhile"),
        (home.file("gone", "a: 2\n", Expected::Content(of_content(b"another"))), "removed meanwhile"),
        (home.file("a.yaml", "a: 2\n", Expected::Nothing), "one of this name"),
        (home.file("../out", "1", Expected::Any), "`.` or `..`"),
        (home.file("a~", "1", Expected::Any), "never mirrored"),
        (home.file("d", "1", Expected::Any), "is a directory"),
        (home.file("large", &"x".repeat(100_001), Expected::Any), "the limit is 100000"),
        (link("../../out"), "leads out"),
        (absent, "not handed over"),
    ];
    for (file, why) in wrong {
        let problem = home.change(&Change::Put { files: vec![good(), file] }).unwrap_err();
        assert!(problem.why.contains(why), "{problem}");
    }
    assert_eq!(home.mirror.head().unwrap().revision.number, 1);
    assert_eq!(home.read("good"), None);
    let report = home.change(&Change::Put { files: vec![link("x")] }).unwrap();
    assert_eq!(told(&report), ["added d/l"]);
    home.assert_whole();
}

/// spec 5.4: the operator's own validation and exclude patterns count for what an operator puts as well.
#[test]
fn a_change_is_judged_and_kept_out_like_one_of_the_directory() {
    let home = Home::new();
    home.write("a", "1");
    home.write("cache/x", "1");
    home.commit();
    home.write("a", "2");
    home.commit();
    home.mirror.set_exclude(crate::mirror::exclude::Exclude::new(&["cache/".to_owned()]));
    home.commit();
    let file = home.file("cache/y", "1", Expected::Any);
    assert!(home.change(&Change::Put { files: vec![file] }).unwrap_err().why.contains("exclude"));
    assert_eq!(told(&home.restore(1, &[]).unwrap()), ["changed a"], "what is excluded now is not brought back");
    assert_eq!(home.read("cache/x"), Some("1".into()), "and left alone");
    home.mirror.set_judge(Some(std::sync::Arc::new(|tree: &std::path::Path, _: &std::path::Path| {
        let is_bad = fs::read_to_string(tree.join("a")).is_ok_and(|text| text == "bad");
        let rejection = || Rejection { why: "ended with 1".into(), output: "a is bad".into() };
        if is_bad { Err(rejection()) } else { Ok(()) }
    })));
    let put = |text: &str| Change::Put { files: vec![home.file("a", text, Expected::Any)] };
    let problem = home.change(&put("bad")).unwrap_err();
    assert!(problem.what.contains("validation") && problem.why.contains("a is bad"), "{problem}");
    assert_eq!(home.read("a"), Some("1".into()));
    assert_eq!(told(&home.change(&put("good")).unwrap()), ["changed a"]);
    home.assert_whole();
}

/// spec 5.4, 7.6: content of the disk that is held back is in no revision; what replaces it keeps it as a drift.
#[test]
fn held_back_content_is_kept() {
    let home = Home::new();
    home.write("a.yaml", "a: 1\n");
    home.commit();
    home.write("a.yaml", "a: [broken\n");
    let files = vec![home.file("a.yaml", "a: 2\n", Expected::Any)];
    home.change(&Change::Put { files }).unwrap();
    assert_eq!(home.read("a.yaml"), Some("a: 2\n".into()));
    let drifts = home.mirror.drifts().unwrap();
    assert_eq!(drifts.len(), 1);
    assert_eq!(drifts[0].files, ["a.yaml"]);
}

/// spec 5.4: who edits the mirrored content of a file that is held back replaces nothing unseen
#[test]
fn an_edit_replaces_nothing_that_is_held_back() {
    let home = Home::new();
    home.write("a.yaml", "a: 1\n");
    home.commit();
    home.write("a.yaml", "a: [broken\n");
    let edit = |path: &str, expected| Change::Put { files: vec![home.file(path, "a: 2\n", expected)] };
    let seen = Expected::Content(of_content(b"a: 1\n"));
    let problem = home.change(&edit("a.yaml", seen)).unwrap_err();
    assert!(problem.why.contains("held back") && problem.todo.contains("in the directory"), "{problem}");
    assert_eq!(home.read("a.yaml"), Some("a: [broken\n".into()));
    // A file that no revision has.
    home.write("large", &"x".repeat(100_001));
    assert!(home.change(&edit("large", Expected::Nothing)).unwrap_err().why.contains("held back"));
    fs::remove_file(home.at("large")).unwrap();
    home.write("a.yaml", "a: 1\n");
    home.change(&edit("a.yaml", seen)).unwrap();
    assert_eq!(home.read("a.yaml"), Some("a: 2\n".into()));
    home.assert_whole();
}

/// spec 5.4, 5.6: a path that is held back comes back by name, from whatever it is held back for; the dry run says the same, and
/// what was there is kept as a drift
#[test]
fn a_path_that_is_held_back_comes_back_by_name() {
    let home = Home::new();
    home.write("a.yaml", "a: 1\n");
    home.write("d/b.yaml", "b: 1\n");
    home.write("c.yaml", "c: 1\n");
    home.commit();
    home.write("a.yaml", "a: [broken\n");
    home.write("d/b.yaml", "b: [broken\n");
    home.write("c.yaml", "c: [broken\n");
    home.write("d/large", &"x".repeat(100_001));
    let outcome = |paths: &[&str], dry_run| {
        let paths = paths.iter().map(|path| (*path).to_owned()).collect();
        let change = Change::Restore { revision: 1, paths };
        let made = home.mirror.change(Term(1), "anna", "", &change, dry_run).unwrap();
        (made.committed.is_some(), told(&made.outcome.unwrap()))
    };
    // What is not named stays as it is, and is no change in either.
    for dry_run in [true, false] {
        assert_eq!(outcome(&[], dry_run), (false, vec![]));
    }
    for dry_run in [true, false] {
        let expected = ["changed a.yaml", "changed d/b.yaml", "removed d/large"].map(str::to_owned).to_vec();
        assert_eq!(outcome(&["a.yaml", "d"], dry_run), (false, expected), "{dry_run}");
    }
    assert_eq!(home.read("a.yaml"), Some("a: 1\n".into()));
    assert_eq!((home.read("d/b.yaml"), home.read("d/large")), (Some("b: 1\n".into()), None));
    assert_eq!(home.read("c.yaml"), Some("c: [broken\n".into()), "it was not named");
    let drifts = home.mirror.drifts().unwrap();
    assert_eq!(drifts.iter().map(|drift| drift.files.len()).collect::<Vec<_>>(), [3]);
    let kept = home.mirror.content(&of_content(b"a: [broken\n")).unwrap();
    assert_eq!(kept.unwrap(), b"a: [broken\n");
    assert_eq!(home.mirror.head().unwrap().revision.number, 1, "the newest revision has them already");

    // What is excluded is said to be so.
    home.write("cache/x", "1");
    home.commit();
    home.mirror.set_exclude(crate::mirror::exclude::Exclude::new(&["cache/".to_owned()]));
    home.commit();
    for path in ["cache", "cache/x"] {
        let problem = home.restore(2, &[path]).unwrap_err();
        assert!(problem.why.contains(&format!("exclude {path} from the mirror")), "{problem}");
    }
}

/// spec 5.3: whole or not at all, wherever the program dies; after the next start the directory is some revision.
#[test]
fn a_change_survives_a_crash_at_every_point() {
    let mut seen = std::collections::BTreeSet::new();
    for points in 0.. {
        let mut home = Home::new();
        home.write("a", "1");
        home.write("d/b", "1");
        home.commit();
        home.write("a", "2");
        home.write("c", "2");
        fs::remove_dir_all(home.at("d")).unwrap();
        home.commit();
        home.mirror.inner.crash.arm(points);
        let is_done = home.restore(1, &[]).is_ok();
        let Home { home: place, mirror } = home;
        drop(mirror);
        let mirror = open(&place).unwrap();
        home = Home { home: place, mirror };
        let number = home.mirror.head().unwrap().revision.number;
        seen.insert(number);
        assert!(!is_done || number == 3);
        let expected = if number == 3 { (Some("1".into()), None) } else { (Some("2".into()), Some("2".into())) };
        assert_eq!((home.read("a"), home.read("c")), expected, "after {points} points");
        assert_eq!(home.read("d/b").is_some(), number == 3);
        home.assert_whole();
        if is_done {
            break;
        }
    }
    assert_eq!(seen.into_iter().collect::<Vec<_>>(), [2, 3]);
}
