//! `standin config …` with an instance that only talks, and with none.

use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::process::Output;

use standin::engine::base::{Digest, Problem, RevisionId, Role, Term, UnixMillis};
use standin::engine::history::{
    APPLIED_FILE_MAX_BYTES, Became, Change, ChangeReport, DiffReport, Expected, FileBytes, PathChange, Version,
};
use standin::engine::order::{FileContent, FileEntry, FileKind, HeldFile, Order, Reply};
use standin::engine::status::Status;

use super::engine::Engine;
use super::{home, run, standin};

const DIGEST: Digest = Digest([7; 32]);

fn master(home: &Path, refuses: bool) -> Engine {
    Engine::start(home, move |order| match order {
        Order::Status => Ok(Reply::Status(Box::new(Status { role: Some(Role::Master), ..Status::default() }))),
        Order::ListFiles => Ok(Reply::Files(vec![entry()])),
        Order::ShowFile { .. } => {
            let text = "a: 1\n".to_owned();
            Ok(Reply::File(Box::new(FileContent { entry: entry(), text, is_text: true, is_cut: false })))
        }
        Order::KeepContent { .. } => Ok(Reply::Kept(Digest([9; 32]))),
        Order::Change { .. } if refuses => Err(Problem::new("cannot change a.yaml", "it was changed meanwhile", "")),
        Order::Change { .. } => Ok(Reply::Changed(Box::new(ChangeReport {
            revision: Some(RevisionId { number: 4, term: Term(1), root: Digest::ZERO }),
            dry_run: false,
            changes: vec![PathChange { path: "a.yaml".into(), what: Became::Changed }],
            total: 1,
            conflicts: Vec::new(),
            conflicts_total: 0,
            overtaken: None,
        }))),
        Order::Diff { .. } => Ok(Reply::Diff(Box::default())),
        order => Err(Problem::new("Not expected", format!("{order:?}"), "")),
    })
}

fn entry() -> FileEntry {
    FileEntry {
        path: "a.yaml".into(),
        kind: FileKind::File,
        mode: 0o600,
        size: 5,
        digest: DIGEST,
        revision: 3,
        owner: String::new(),
    }
}

/// Edits with a script in place of an editor, and with a directory of the test's own for the copy.
fn edit(home: &Path, script: &str, path: &str) -> (Output, String) {
    let editor = home.join("editor");
    std::fs::write(&editor, format!("#!/bin/sh\n{script}\n")).expect("own directory");
    std::fs::set_permissions(&editor, PermissionsExt::from_mode(0o755)).expect("own file");
    let copies = home.join("copies");
    std::fs::create_dir_all(&copies).expect("own directory");
    let output = standin(home)
        .args(["config", "edit", path, "-m", "why"])
        .env("VISUAL", format!("{} --option", editor.display()))
        .env("TMPDIR", &copies)
        .output()
        .expect("the binary runs");
    let left: Vec<String> = std::fs::read_dir(&copies)
        .expect("own directory")
        .map(|entry| entry.expect("an entry").file_name().to_string_lossy().into_owned())
        .collect();
    (output, left.join(" "))
}

fn changes(engine: &Engine) -> Vec<Order> {
    engine.orders().into_iter().filter(|order| matches!(order, Order::Change { .. })).collect()
}

/// interfaces: the editor gets a private copy; what is saved is put where nothing else has changed the file.
#[test]
fn a_file_is_edited_on_a_private_copy() {
    let home = home();
    let engine = master(home.path(), false);
    let script =
        "test \"$1\" = --option || exit 3\nstat -c %a \"$2\" > \"$(dirname \"$0\")/mode\"\necho 'a: 2' > \"$2\"";
    let (output, left) = edit(home.path(), script, "a.yaml");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "changed a.yaml\nRevision 4: 1 path changed.\n", "{output:?}");
    assert_eq!((output.status.code(), &*left), (Some(0), ""));
    assert_eq!(std::fs::read_to_string(home.path().join("mode")).expect("written"), "600\n");
    let kept = engine.orders().into_iter().find_map(|order| match order {
        Order::KeepContent { bytes } => Some(bytes.0),
        _ => None,
    });
    assert_eq!(kept.as_deref(), Some(&b"a: 2\n"[..]));
    let [Order::Change { change: Change::Put { files }, message, dry_run: false }] = &changes(&engine)[..] else {
        panic!("{:?}", engine.orders())
    };
    assert_eq!((&*files[0].path, files[0].expected, &**message), ("a.yaml", Expected::Content(DIGEST), "why"));
}

/// interfaces: nothing saved is no revision; an editor that fails, or a refusal, loses nothing.
#[test]
fn an_edit_is_given_up_or_kept() {
    let home = home();
    let engine = master(home.path(), true);
    let (output, left) = edit(home.path(), "exit 0", "a.yaml");
    assert_eq!((output.status.code(), &*left), (Some(0), ""));
    assert!(String::from_utf8_lossy(&output.stdout).contains("Nothing was changed"));
    assert!(changes(&engine).is_empty());
    for script in ["echo 'a: 2' > \"$2\"; exit 1", "echo 'a: 2' > \"$2\""] {
        let (output, left) = edit(home.path(), script, "a.yaml");
        assert_eq!(output.status.code(), Some(1));
        let kept = home.path().join("copies").join(&left).join("a.yaml");
        assert_eq!(std::fs::read_to_string(&kept).expect("kept"), "a: 2\n");
        assert!(String::from_utf8_lossy(&output.stderr).contains(&*kept.to_string_lossy()), "{output:?}");
        std::fs::remove_dir_all(kept.parent().expect("a directory")).expect("own directory");
    }
    assert_eq!(changes(&engine).len(), 1);
}

/// spec 5.4: what is held back is corrected where it is; no editor opens on its last good content
#[test]
fn what_is_held_back_is_not_edited() {
    let home = home();
    let _engine = Engine::start(home.path(), |order| match order {
        Order::Status => {
            let mut status = Status { role: Some(Role::Master), ..Status::default() };
            status.configuration.held = 1;
            Ok(Reply::Status(Box::new(status)))
        }
        Order::HeldFiles => Ok(Reply::Held(vec![HeldFile {
            path: "a.yaml".into(),
            why: "line 3: a bracket is open".into(),
            line: Some(3),
            since: UnixMillis(1),
        }])),
        order => Err(Problem::new("Not expected", format!("{order:?}"), "")),
    });
    let (output, left) = edit(home.path(), "touch \"$2.opened\"", "a.yaml");
    let told = String::from_utf8_lossy(&output.stderr);
    assert!(told.contains("held back: line 3") && told.contains("in the directory"), "{told}");
    assert_eq!((output.status.code(), &*left), (Some(1), ""));
}

/// spec 5.6: a content of an older revision that no frame carries, and the disk does not have any more, comes in pieces; one that
/// changes meanwhile is refused
#[test]
fn a_large_file_of_an_older_revision_is_shown_in_pieces() {
    const SIZE: u64 = APPLIED_FILE_MAX_BYTES + 5;
    let home = home();
    let engine = Engine::start(home.path(), |order| match order {
        Order::Status => Ok(Reply::Status(Box::new(Status { role: Some(Role::Master), ..Status::default() }))),
        Order::ShowFile { .. } => {
            let entry = FileEntry { size: SIZE, ..entry() };
            Ok(Reply::File(Box::new(FileContent { entry, text: "x".into(), is_text: true, is_cut: true })))
        }
        Order::FilePart { revision: Some(2), digest: DIGEST, offset, .. } => {
            let count = (SIZE - offset).min(APPLIED_FILE_MAX_BYTES);
            Ok(Reply::Bytes(FileBytes(vec![b'x'; usize::try_from(count).expect("a small number")])))
        }
        Order::FilePart { offset: 0, .. } => Ok(Reply::Bytes(FileBytes(b"x".to_vec()))),
        Order::FilePart { .. } => Err(Problem::new("cannot show a.yaml", "it was changed", "Again.")),
        order => Err(Problem::new("Not expected", format!("{order:?}"), "")),
    });
    let (code, out, message) = run(home.path(), &["config", "show", "a.yaml", "--revision", "2"]);
    assert_eq!((code, &*message), (Some(0), ""));
    assert!(out.len() as u64 == SIZE && out.bytes().all(|byte| byte == b'x'), "{} bytes", out.len());
    let parts = engine.orders().iter().filter(|order| matches!(order, Order::FilePart { .. })).count();
    assert_eq!(parts, 2);
    let (code, _, message) = run(home.path(), &["config", "show", "a.yaml"]);
    assert_eq!((code, message.contains("it was changed")), (Some(1), true), "{message}");
}

/// interfaces: exit status as that of diff; versions and paths as named.
#[test]
fn a_diff_without_differences_is_0() {
    let home = home();
    let engine = master(home.path(), false);
    let (code, out, message) = run(home.path(), &["config", "diff"]);
    assert_eq!((code, &*out, &*message), (Some(0), "", ""));
    run(home.path(), &["config", "diff", "3", "peer", "--", "a", "b"]);
    let named: Vec<_> = engine.orders();
    let order = |from, to, paths: &[&str]| Order::Diff {
        from,
        to,
        paths: paths.iter().map(|path| (*path).to_owned()).collect(),
        show_secrets: false,
    };
    let expected =
        [order(Version::Newest, Version::Directory, &[]), order(Version::Revision(3), Version::Peer, &["a", "b"])];
    assert_eq!(named, expected);
    let report: DiffReport = serde_json::from_str(&run(home.path(), &["config", "diff", "--json"]).1).expect("JSON");
    assert_eq!(report.files_total, 0);
}

/// spec 5.4: a name that is no UTF-8 is taken as it is, and as it is written everywhere; other arguments are still refused
#[test]
fn a_path_that_is_no_text_is_taken_byte_for_byte() {
    let home = home();
    let engine = master(home.path(), false);
    let raw = std::ffi::OsStr::from_bytes(b"caf\xe9.yaml");
    let run = |arguments: &[&str]| {
        standin(home.path()).args(["config"]).args(arguments).arg(raw).output().expect("the binary runs").status.code()
    };
    for arguments in
        [&["show"][..], &["log"], &["diff", "--"], &["restore", "3"], &["forget"], &["reapply", "b", "--theirs"]]
    {
        assert_ne!(run(arguments), Some(2), "{arguments:?}");
        let order = format!("{:?}", engine.orders().pop());
        assert!(order.contains(r#""caf\\xe9.yaml""#), "{arguments:?}: {order}");
    }
    assert_eq!(run(&["show", "caf\\xe9.yaml"]), Some(2), "one path");
    assert_eq!(run(&["list", "--json", "--held"]), Some(2));
}

/// interfaces: 4 where nothing runs and nothing ever ran.
#[test]
fn without_a_home_there_is_no_history() {
    let home = home();
    for arguments in
        [&["config", "log"][..], &["config", "diff"], &["config", "restore", "1"], &["config", "forget", "a"]]
    {
        let (code, out, _) = run(home.path(), arguments);
        assert_eq!((code, &*out), (Some(4), ""), "{arguments:?}");
    }
}
