use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::engine::base::{Digest, RevisionId, Term, UnixMillis};
use crate::engine::history::{Became, Change as Wanted, ChangeReport};
use crate::engine::message::Branch;
use crate::mirror::Limits;
use crate::mirror::digest::of_content;
use crate::store::{NewRevision, Packed, Store};

struct Home {
    _home: tempfile::TempDir,
    mirror: Mirror,
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(&home.path().join("home")).unwrap();
        let mirror =
            Mirror::open(store, home.path().join("configuration"), Limits { file_size: 100, owners: false }).unwrap();
        Self { _home: home, mirror }
    }

    fn write(&self, name: &str, text: &str) {
        let at = self.mirror.directory().join(name);
        fs::create_dir_all(at.parent().unwrap()).unwrap();
        fs::write(&at, text).unwrap();
        fs::set_permissions(&at, fs::Permissions::from_mode(0o644)).unwrap();
    }

    fn remove(&self, name: &str) {
        let at = self.mirror.directory().join(name);
        if at.is_dir() { fs::remove_dir_all(at).unwrap() } else { fs::remove_file(at).unwrap() }
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.mirror.directory().join(name)).ok()
    }

    fn commit(&self) {
        self.mirror.scan_and_commit(Term(1), "directory", "").unwrap();
    }

    /// What is in the directory now and in no revision becomes a drift; its name.
    fn drift(&self) -> String {
        assert!(self.mirror.restore_drift().unwrap() > 0);
        self.mirror.drifts().unwrap().pop().unwrap().name
    }

    fn reapply(&self, branch: &str, paths: &[&str], theirs: &[&str]) -> Result<ChangeReport, Problem> {
        let texts = |paths: &[&str]| paths.iter().map(|path| (*path).to_owned()).collect();
        let change = Wanted::Reapply { branch: branch.into(), paths: texts(paths), theirs: texts(theirs) };
        self.mirror.change(Term(1), "anna", "because", &change, false).unwrap().outcome
    }
}

fn conflicts(report: &ChangeReport) -> Vec<(&str, &str)> {
    report.conflicts.iter().map(|conflict| (conflict.path.as_str(), conflict.why.as_str())).collect()
}

/// spec 7.6: made once more where the path has not changed since; a conflict where it has, and then nothing is guessed
#[test]
fn each_path_for_itself() {
    let home = Home::new();
    for name in ["same", "changed", "gone", "d/removed", "mine"] {
        home.write(name, "old");
    }
    home.commit();
    for name in ["same", "changed", "gone"] {
        home.write(name, "branch");
    }
    home.write("new/deep", "branch");
    home.remove("d");
    let branch = home.drift();
    assert_eq!(home.read("d/removed").as_deref(), Some("old"), "drift is put back");
    home.write("changed", "main");
    home.write("mine", "main");
    home.remove("gone");
    home.commit();
    let report = home.reapply(&branch, &[], &[]).unwrap();
    assert_eq!(conflicts(&report), [("changed", "it was changed since"), ("gone", "it was removed since")]);
    let at = |name: &str| home.read(name);
    assert_eq!((at("same"), at("changed")), (Some("branch".into()), Some("main".into())));
    assert_eq!((at("new/deep"), at("d/removed")), (Some("branch".into()), None));
    assert_eq!((at("mine"), at("gone")), (Some("main".into()), None));
    let newest = home.mirror.inner.store.newest_revision().unwrap().unwrap();
    assert_eq!((newest.author.as_str(), Some(newest.revision)), ("anna", report.revision));
    let again = home.reapply(&branch, &[], &[]).unwrap();
    assert_eq!((again.total, again.conflicts_total, again.revision), (0, 2, None));
    let theirs = home.reapply(&branch, &["changed"], &["changed"]).unwrap();
    assert_eq!((theirs.total, theirs.conflicts_total, theirs.changes[0].what), (1, 0, Became::Changed));
    assert_eq!((at("changed"), at("gone")), (Some("branch".into()), None));
    assert!(home.reapply(&branch, &["mine"], &[]).unwrap_err().why.contains("did not change mine"));
    assert!(home.reapply("drift-none", &[], &[]).unwrap_err().what.contains("drift-none"));
}

/// spec 7.6: a directory in which there is something new, and a file where a directory came, are conflicts
#[test]
fn what_is_inside_is_never_lost() {
    let home = Home::new();
    home.write("d/a", "old");
    home.write("f", "old");
    home.commit();
    home.remove("d");
    home.remove("f");
    home.write("f/x", "branch");
    let branch = home.drift();
    home.write("d/new", "main");
    home.write("f", "main");
    home.commit();
    let report = home.reapply(&branch, &[], &[]).unwrap();
    let paths: Vec<_> = conflicts(&report).into_iter().map(|(path, _)| path).collect();
    assert_eq!(paths, ["d", "f", "f/x"]);
    assert_eq!((home.read("d/a"), home.read("d/new")), (None, Some("main".into())));
    let report = home.reapply(&branch, &[], &["f", "d"]).unwrap();
    assert_eq!(conflicts(&report), []);
    assert_eq!((home.read("d/new"), home.read("f/x")), (None, Some("branch".into())));
}

/// spec 5.4: what could be in no revision does not come back either
#[test]
fn what_is_held_back_is_a_conflict() {
    let home = Home::new();
    home.write("a.yaml", "a: 1\n");
    home.commit();
    home.write("a.yaml", "a: [1\n");
    home.write("large", &"x".repeat(101));
    let branch = home.drift();
    let report = home.reapply(&branch, &[], &[]).unwrap();
    let [(first, yaml), (second, size)] = conflicts(&report)[..] else { panic!("{report:?}") };
    assert_eq!((first, second, report.total), ("a.yaml", "large", 0));
    assert!(yaml.contains("no longer YAML") && size.contains("limit"), "{yaml}; {size}");
}

/// spec 7.6, 5.4: a branch that another instance gave: kept once, and a link that leads out stays out
#[test]
fn a_fetched_branch_is_kept_and_checked() {
    let home = Home::new();
    home.write("a", "old");
    home.commit();
    home.write("a", "newer");
    home.commit();
    let (content, target) = (b"theirs".to_vec(), b"/etc/passwd".to_vec());
    let link = Entry::link(&target);
    let put = |path: &str, entry| Change { path: RelPath::new(path.as_bytes()).unwrap(), old: None, new: Some(entry) };
    let file = put("b", Entry::file(0o644, content.len() as u64, of_content(&content)));
    let head = RevisionId { number: 1, term: Term(1), root: Digest([9; 32]) };
    let branch = Branch {
        name: "diverged-term-1-rev-1".into(),
        common: None,
        head,
        revisions: 1,
        files: vec!["b".into()],
        files_total: 2,
        at: UnixMillis(1),
        author: "otto".into(),
        holder: String::new(),
    };
    let changes = vec![file, put("out", link)];
    let new =
        NewRevision { revision: head, author: "otto".into(), at: 1, message: String::new(), changes: changes.into() };
    let plan = BranchPlan { branch, after: i64::MAX.cast_unsigned(), uncommitted: Some(new) };
    let contents = [(of_content(&content), Packed::of(content)), (link.digest, Packed::of(target))];
    home.mirror.import_branch(&plan, &contents).unwrap();
    home.mirror.import_branch(&plan, &contents).unwrap();
    assert_eq!(home.mirror.branches().unwrap().len(), 1);
    assert_eq!(home.mirror.head().unwrap().revision.number, 2, "no revision left the main line");
    let report = home.reapply("diverged-term-1-rev-1", &[], &[]).unwrap();
    assert_eq!((home.read("b").as_deref(), report.total), (Some("theirs"), 1));
    assert!(conflicts(&report)[0].1.contains("leads out"));
}

/// spec 7.6, 5.4: what cannot come costs nothing that is there: not the path, nor what is inside it, named or not
#[test]
fn what_cannot_come_leaves_what_is_there() {
    let home = Home::new();
    for name in ["linked", "forgotten", "large/inside", "d/a", "d/deep/b"] {
        home.write(name, "mine");
    }
    home.commit();
    for name in ["linked", "forgotten", "large", "d"] {
        home.remove(name);
    }
    let at = |name: &str| home.mirror.directory().join(name);
    std::os::unix::fs::symlink("/etc/passwd", at("linked")).unwrap();
    std::os::unix::fs::symlink("/etc/hosts", at("d")).unwrap();
    home.write("forgotten/deep", "secret");
    home.write("large", &"x".repeat(101));
    let branch = home.drift();
    home.mirror.inner.store.forget(&RelPath::new(b"forgotten/deep").unwrap(), 1).unwrap();
    let all = ["linked", "forgotten/deep", "large", "d"];
    for (paths, theirs) in
        [(&[][..], &[][..]), (&all[..], &[]), (&[], &all), (&["d/a", "large/inside", "large", "d"], &[])]
    {
        let report = home.reapply(&branch, paths, theirs).unwrap();
        for kept in ["linked", "forgotten", "large/inside", "d/a", "d/deep/b"] {
            assert_eq!(home.read(kept).as_deref(), Some("mine"), "{kept} {paths:?} {theirs:?}: {report:?}");
            assert!(!report.changes.iter().any(|change| change.path == kept), "{report:?}");
        }
        assert!(conflicts(&report).iter().any(|(path, why)| *path == "d" && why.contains("leads out")), "{report:?}");
    }
    // Inside what stays a path of its own may still be removed.
    let report = home.reapply(&branch, &["d/a"], &[]).unwrap();
    assert_eq!((report.total, home.read("d/a"), home.read("d/deep/b").is_some()), (1, None, true));
}
