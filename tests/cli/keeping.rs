//! `standin backup`, `restore` and `config reapply`: what is refused, what is asked, what is said before anything changes.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use standin::engine::base::{Problem, RevisionId, Role, Term};
use standin::engine::history::{Became, Change, ChangeReport, PathChange, PathConflict};
use standin::engine::order::{Order, Reply};
use standin::engine::status::Status;

use super::engine::Engine;
use super::{home, run};

const PASSWORD: &str = "vier rote Lampen am Tor";

/// A home that was set up, and a place for files beside it.
struct Home {
    folder: tempfile::TempDir,
}

impl Home {
    fn empty() -> Self {
        Self { folder: home() }
    }

    fn set_up() -> Self {
        let home = Self::empty();
        let password = home.password(PASSWORD);
        let arguments =
            ["setup", "--role", "master", "--user", "ops", "--password-file", &password, "--host", "node-a"];
        let (code, _, message) = run(&home.path(), &arguments);
        assert_eq!(code, Some(0), "{message}");
        home
    }

    fn path(&self) -> PathBuf {
        self.folder.path().join("home")
    }

    fn beside(&self, name: &str) -> String {
        self.folder.path().join(name).display().to_string()
    }

    fn password(&self, text: &str) -> String {
        let path = self.beside(&format!("password-{}", text.len()));
        fs::write(&path, text).expect("own directory");
        fs::set_permissions(&path, PermissionsExt::from_mode(0o600)).expect("own file");
        path
    }

    fn standin(&self, arguments: &[&str]) -> (Option<i32>, String, String) {
        run(&self.path(), arguments)
    }

    fn with_password(&self, arguments: &[&str], password: &str) -> (Option<i32>, String, String) {
        let file = self.password(password);
        self.standin(&[arguments, &["--password-file", &file]].concat())
    }

    /// What it is asked to do is refused, with these words, and without a result.
    fn refused(&self, arguments: &[&str], words: &[&str]) {
        let (code, out, message) = self.with_password(arguments, PASSWORD);
        assert_eq!((code, &*out), (Some(1), ""), "{arguments:?}: {message}");
        for word in words {
            assert!(message.contains(word), "{arguments:?} says nothing of {word}: {message}");
        }
    }

    /// Names and contents of the home, but for what every command may touch.
    fn files(&self) -> Vec<(String, Vec<u8>)> {
        let wanted = ["settings.yaml", "users.yaml"];
        let of = |name: &str| (name.to_owned(), fs::read(self.path().join(name)).unwrap_or_default());
        let configuration = fs::read_dir(self.path().join("configuration")).into_iter().flatten().flatten();
        let inside = configuration.map(|entry| format!("configuration/{}", entry.file_name().to_string_lossy()));
        let mut files: Vec<_> = wanted.iter().map(|name| of(name)).collect();
        files.extend(inside.map(|name| of(&name)));
        files
    }
}

/// interfaces, backup: no instance, a password that is none, a file that is there, nobody to ask: each is told, and nothing
/// is left behind.
#[test]
fn a_backup_is_refused_before_anything_is_written() {
    let nothing = Home::empty();
    nothing.refused(&["backup", &nothing.beside("b")], &["there is no Standin", "--home"]);
    let home = Home::set_up();
    let file = home.beside("b");
    let (code, out, message) = home.with_password(&["backup", &file], "short");
    assert_eq!((code, &*out), (Some(1), ""), "{message}");
    assert!(message.contains("fewer than 12 characters"), "{message}");
    let (code, _, message) = home.standin(&["backup", &file]);
    assert_eq!(code, Some(1), "{message}");
    assert!(message.contains("Nobody can be asked") && message.contains("Password of the backup"), "{message}");
    let (code, _, message) = home.standin(&["backup", &file, "--password-file", &home.beside("none")]);
    assert_eq!(code, Some(1), "{message}");
    home.refused(&["backup", &home.beside("no/such/place")], &["no/such/place"]);
    assert!(!Path::new(&file).exists());
    fs::write(&file, "kept").expect("own directory");
    home.refused(&["backup", &file], &["is there already", "--force"]);
    assert_eq!(fs::read(&file).expect("kept"), b"kept");
    let left: Vec<_> = fs::read_dir(home.folder.path()).expect("own directory").flatten().collect();
    let strays = left.iter().filter(|entry| entry.file_name().to_string_lossy().starts_with("b.")).count();
    assert_eq!(strays, 0, "{left:?}");
    assert_eq!(home.standin(&["backup"]).0, Some(2), "which file?");
}

/// interfaces, backup and restore: a backup is its owner's alone; a dry run and an answer that is no yes change nothing; what
/// would change is told first.
#[test]
fn a_restore_says_first_what_it_changes() {
    let home = Home::set_up();
    let file = home.beside("b");
    let (code, out, message) = home.with_password(&["backup", &file], PASSWORD);
    assert_eq!(code, Some(0), "{message}");
    assert!(out.contains("settings") && out.contains("users"), "{out}");
    assert_eq!(fs::metadata(&file).expect("made").permissions().mode() & 0o777, 0o600);
    let settings = home.path().join("settings.yaml");
    let kept = fs::read_to_string(&settings).expect("set up");
    fs::write(&settings, kept.replace("host: node-a", "host: node-z")).expect("own home");
    let changed = home.files();
    let (code, out, message) = home.with_password(&["restore", &file, "--dry-run"], PASSWORD);
    assert_eq!(code, Some(0), "{message}");
    for told in ["Backup of  node-a (master", "the same instance", "Settings   replaced", "Users      as they are"] {
        assert!(out.contains(told), "{told}: {out}");
    }
    assert!(out.ends_with("Nothing was changed.\n"), "{out}");
    assert_eq!(home.files(), changed);
    // Without --yes somebody has to say it, and nobody is there.
    let (code, out, message) = home.with_password(&["restore", &file], PASSWORD);
    assert_eq!(code, Some(1), "{out}");
    assert!(out.contains("Settings   replaced") && message.contains("Nobody can be asked"), "{message}");
    assert_eq!(home.files(), changed);
    let (code, out, message) = home.with_password(&["restore", &file, "--yes"], PASSWORD);
    assert_eq!(code, Some(0), "{message}");
    assert!(out.contains("Restored: "), "{out}");
    assert_eq!(fs::read_to_string(&settings).expect("restored"), kept);
}

/// interfaces, restore: what is no backup, is cut, has another password or was made without what is asked for is refused, and
/// the home is as it was.
#[test]
fn a_restore_of_something_else_changes_nothing() {
    let home = Home::set_up();
    let file = home.beside("b");
    assert_eq!(home.with_password(&["backup", &file], PASSWORD).0, Some(0));
    let before = home.files();
    let (code, _, message) = home.with_password(&["restore", &file, "--yes"], "another password entirely");
    assert_eq!(code, Some(1));
    assert!(message.contains("password"), "{message}");
    let bytes = fs::read(&file).expect("made");
    let (cut, other) = (home.beside("cut"), home.beside("other"));
    fs::write(&cut, &bytes[..bytes.len() - 20]).expect("own directory");
    fs::write(&other, "no backup at all").expect("own directory");
    home.refused(&["restore", &cut, "--yes"], &["cannot be restored"]);
    home.refused(&["restore", &other, "--yes"], &["cannot be opened", "no backup of Standin"]);
    home.refused(&["restore", &home.beside("absent"), "--yes"], &["cannot be opened", "absent"]);
    home.refused(&["restore", &file, "--yes", "--identity"], &["made without --identity"]);
    home.refused(&["restore", &file, "--yes", "--history"], &["made without --history"]);
    let elsewhere = home.beside("settings.yaml");
    home.refused(&["--settings", &elsewhere, "restore", &file, "--yes"], &["--settings", "--configuration-only"]);
    let (code, ..) = home.with_password(&["restore", &file, "--configuration-only", "--history"], PASSWORD);
    assert_eq!(code, Some(2), "they exclude each other");
    assert_eq!(home.files(), before);
}

fn running(home: &Home, role: Role) -> Engine {
    fs::create_dir_all(home.path()).expect("own directory");
    Engine::start(&home.path(), move |order| match order {
        Order::Status => Ok(Reply::Status(Box::new(Status { role: Some(role), ..Status::default() }))),
        order => Err(Problem::new("Not expected", format!("{order:?}"), "")),
    })
}

/// spec 4.5, interfaces, restore: refused on a shadow that runs, and of a master that runs all but the configuration is; before
/// the password is asked for.
#[test]
fn what_runs_is_not_restored() {
    for (role, options, words) in [
        (Role::Shadow, &[][..], &["runs as a shadow", "on the master"][..]),
        (Role::Shadow, &["--configuration-only"], &["runs as a shadow"]),
        (Role::Master, &[], &["the instance runs", "--configuration-only"]),
        (Role::Master, &["--history"], &["the instance runs", "standin stop"]),
        (Role::Shadow, &["--dry-run", "--configuration-only"], &["runs as a shadow"]),
    ] {
        let home = Home::empty();
        let engine = running(&home, role);
        let (code, out, message) = home.standin(&[&["restore", "absent"], options].concat());
        assert_eq!((code, &*out), (Some(1), ""), "{message}");
        assert!(words.iter().all(|word| message.contains(word)), "{message}");
        assert_eq!(engine.orders(), [Order::Status]);
    }
}

/// interfaces, restore: a dry run changes nothing, and is told beside an instance that runs, with what a restore would need.
#[test]
fn what_a_restore_would_change_is_told_while_the_instance_runs() {
    let home = Home::set_up();
    let file = home.beside("b");
    assert_eq!(home.with_password(&["backup", &file, "--history"], PASSWORD).0, Some(0));
    let settings = home.path().join("settings.yaml");
    let kept = fs::read_to_string(&settings).expect("set up");
    fs::write(&settings, kept.replace("host: node-a", "host: node-z")).expect("own home");
    let before = home.files();
    let engine = running(&home, Role::Shadow);
    for options in [&["--dry-run"][..], &["--dry-run", "--history"]] {
        let (code, out, message) = home.with_password(&[&["restore", &file], options].concat(), PASSWORD);
        assert_eq!(code, Some(0), "{message}");
        assert!(out.contains("Settings   replaced") && out.ends_with("Nothing was changed.\n"), "{out}");
        assert!(message.contains("standin stop"), "{message}");
    }
    assert_eq!((home.files(), engine.orders()), (before, Vec::new()));
}

fn report(conflicts: &[(&str, &str)], dry_run: bool) -> ChangeReport {
    let conflict = |(path, why): &(&str, &str)| PathConflict { path: (*path).into(), why: (*why).into() };
    ChangeReport {
        revision: (!dry_run).then_some(RevisionId {
            number: 9,
            term: Term(3),
            root: standin::engine::base::Digest::ZERO,
        }),
        dry_run,
        changes: vec![PathChange { path: "a.yaml".into(), what: Became::Changed }],
        total: 1,
        conflicts: conflicts.iter().map(conflict).collect(),
        conflicts_total: conflicts.len() as u64,
        overtaken: None,
    }
}

/// spec 7.6: a branch is re-applied path by path; conflicts are shown and are exit status 1; a dry run says so.
#[test]
fn a_branch_is_reapplied_with_its_conflicts_shown() {
    let home = Home::empty();
    fs::create_dir_all(home.path()).expect("own directory");
    let engine = Engine::start(&home.path(), |order| match order {
        Order::Change { change: Change::Reapply { theirs, .. }, dry_run, .. } => {
            let conflicts: &[(&str, &str)] =
                if theirs.is_empty() { &[("b.yaml", "it was changed since")] } else { &[] };
            Ok(Reply::Changed(Box::new(report(conflicts, *dry_run))))
        }
        order => Err(Problem::new("Not expected", format!("{order:?}"), "")),
    });
    let branch = "diverged-term-1-rev-12";
    let (code, out, message) = home.standin(&["config", "reapply", branch]);
    assert_eq!(code, Some(1), "{out}{message}");
    for told in ["changed a.yaml", "b.yaml", "it was changed since", "Revision 9"] {
        assert!(format!("{out}{message}").contains(told), "{told}: {out}{message}");
    }
    let (code, out, message) = home.standin(&["config", "reapply", branch, "--dry-run", "--theirs", "b.yaml"]);
    assert_eq!(code, Some(0), "{out}{message}");
    assert!(!out.contains("Revision 9") && out.contains("changed a.yaml"), "{out}");
    let (code, ..) = home.standin(&["config", "reapply", branch, "d", "a.yaml", "--theirs", "b", "-m", "wanted"]);
    assert_eq!(code, Some(0));
    let order = |paths: &[&str], theirs: &[&str], message: &str, dry_run| {
        let texts = |list: &[&str]| list.iter().map(|text| (*text).to_owned()).collect::<Vec<_>>();
        let change = Change::Reapply { branch: branch.into(), paths: texts(paths), theirs: texts(theirs) };
        Order::Change { change, message: message.into(), dry_run }
    };
    let plain = format!("re-applied from {branch}");
    let expected = [
        order(&[], &[], &plain, false),
        order(&[], &["b.yaml"], &plain, true),
        order(&["d", "a.yaml"], &["b"], "wanted", false),
    ];
    assert_eq!(engine.orders(), expected);
}

/// interfaces: a refusal of the instance is handed on; no branch named is wrong usage; nothing running is 4.
#[test]
fn a_reapply_that_cannot_be_says_why() {
    let home = Home::empty();
    fs::create_dir_all(home.path()).expect("own directory");
    let (code, out, _) = home.standin(&["config", "reapply", "diverged-term-1-rev-12"]);
    assert_eq!((code, &*out), (Some(4), ""));
    assert_eq!(home.standin(&["config", "reapply"]).0, Some(2));
    let refusal = || Problem::new("Nothing was changed", "this instance is a shadow", "Do it on the master.");
    let _engine = Engine::start(&home.path(), move |_| Err(refusal()));
    let (code, out, message) = home.standin(&["config", "reapply", "drift-term-1-rev-2"]);
    assert_eq!((code, &*out), (Some(1), ""));
    assert_eq!(message, "standin: Nothing was changed: this instance is a shadow\n  Do it on the master.\n");
}

/// spec 4.5: what has drifted is listed while it is told.
#[test]
fn what_has_drifted_is_listed() {
    use standin::engine::base::UnixMillis;
    use standin::engine::order::HeldFile;
    let home = Home::empty();
    fs::create_dir_all(home.path()).expect("own directory");
    let file = || HeldFile {
        path: "a.yaml".into(),
        why: "was changed; put back, what was found is kept as drift-term-1-rev-2".into(),
        line: None,
        since: UnixMillis(0),
    };
    let engine = Engine::start(&home.path(), move |_| Ok(Reply::Held(vec![file()])));
    let (code, out, message) = home.standin(&["config", "list", "--drift"]);
    assert_eq!((code, &*message), (Some(0), ""));
    assert!(out.starts_with("a.yaml  was changed; put back"), "{out}");
    let (_, out, _) = home.standin(&["config", "list", "--drift", "--json"]);
    assert!(serde_json::from_str::<Vec<HeldFile>>(&out).is_ok_and(|list| list == [file()]), "{out}");
    assert_eq!(engine.orders(), [Order::DriftFiles, Order::DriftFiles]);
    assert_eq!(home.standin(&["config", "list", "--drift", "--held"]).0, Some(2));
    assert_eq!(home.standin(&["config", "list", "--json"]).0, Some(2));
}
