//! Pushes that want out of the directory, or lie (spec 5.4).

use serde_bytes::ByteBuf;

use super::*;
use crate::mirror::diff::Change;

/// A push that the own payload type would not let through unchecked: paths are raw bytes.
#[derive(serde::Serialize)]
struct RawPayload<'a> {
    author: &'a str,
    at: i64,
    message: &'a str,
    changes: Vec<RawChange<'a>>,
    contents: Vec<(Digest, ByteBuf)>,
}

#[derive(serde::Serialize)]
struct RawChange<'a> {
    #[serde(with = "serde_bytes")]
    path: &'a [u8],
    old: Option<Entry>,
    new: Option<Entry>,
}

fn push_of(root: Digest, path: &[u8], entry: Entry, content: &[u8]) -> Push {
    let payload = RawPayload {
        author: "mallory",
        at: 0,
        message: "",
        changes: vec![RawChange { path, old: None, new: Some(entry) }],
        contents: vec![(digest::of_content(content), ByteBuf::from(content))],
    };
    let revision = RevisionId { number: 1, term: Term(1), root };
    Push { revision, base: None, common: None, payload: rmp_serde::to_vec_named(&payload).unwrap() }
}

fn file(content: &[u8]) -> Entry {
    Entry::file(0o644, content.len() as u64, digest::of_content(content))
}

fn root_with(path: &str, entry: Entry) -> Digest {
    let mut tree = Tree::default();
    tree.set(&RelPath::new(path.as_bytes()).unwrap(), entry).unwrap();
    tree.root()
}

/// spec 5.4
#[test]
fn no_path_and_no_link_leads_out() {
    let (nobody, shadow) = (Side::new(), Side::new());
    let before = shadow.on_disk();
    for path in [&b"../evil"[..], b"/tmp/evil", b"a/../../evil", b"", b"a//b", b"a\0b", b".standin-stage", b"x~"] {
        let problem = shadow.apply(&nobody, &push_of(Digest::ZERO, path, file(b"x"), b"x"), true).unwrap_err();
        assert!(problem.what.contains("cannot apply the push"), "{problem}");
    }
    for target in [&b"/etc/passwd"[..], b"../x", b"a/../../x"] {
        let push = push_of(root_with("link", Entry::link(target)), b"link", Entry::link(target), target);
        let problem = shadow.apply(&nobody, &push, true).unwrap_err();
        assert!(problem.why.contains("leads out"), "{problem}");
    }
    assert_eq!(shadow.on_disk(), before);
    assert_eq!(shadow.mirror().head(), None);
}

/// spec 5.4: a link put where a directory was, behind Standin's back, is not followed
#[test]
fn a_planted_link_is_not_followed() {
    let (master, shadow) = (Side::new(), Side::new());
    fs::create_dir(master.at("d")).unwrap();
    master.write("d/a", "1");
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    let outside = shadow.home.path().join("outside");
    fs::create_dir(&outside).unwrap();
    fs::write(outside.join("a"), "precious").unwrap();
    fs::remove_dir_all(shadow.at("d")).unwrap();
    symlink(&outside, shadow.at("d")).unwrap();
    master.write("d/a", "2");
    master.commit(1).unwrap();
    // The small push finds no directory there, and changes nothing; the complete one puts all right.
    assert!(shadow.pull(&master, false).is_err());
    assert!(fs::symlink_metadata(shadow.at("d")).unwrap().is_symlink());
    shadow.pull(&master, true).unwrap();
    shadow.assert_like(&master);
    assert_eq!(fs::read(outside.join("a")).unwrap(), b"precious");
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
}

/// spec 5.7: nothing is called in sync that is not
#[test]
fn a_lie_is_refused_and_changes_nothing() {
    let (master, shadow) = (Side::new(), Side::new());
    master.write("a", "1");
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    let before = shadow.on_disk();
    master.write("a", "2");
    master.commit(1).unwrap();
    let push = master.mirror().build_push(&shadow.trail(), false).unwrap();
    let payload: PushPayload = rmp_serde::from_slice(&push.payload).unwrap();
    let with = |payload: &PushPayload| Push { payload: rmp_serde::to_vec_named(payload).unwrap(), ..push.clone() };
    let mut wrong_content = payload.clone();
    wrong_content.contents[0].1 = ByteBuf::from(*b"3");
    let mut wrong_size = payload.clone();
    wrong_size.changes[0].new.as_mut().unwrap().size = 7;
    let mut twice = payload.clone();
    twice.changes.push(twice.changes[0].clone());
    let mut no_parent = payload.clone();
    no_parent.changes[0].path = RelPath::new(b"missing/a").unwrap();
    let mut bad_mode = payload.clone();
    bad_mode.changes[0].new.as_mut().unwrap().mode = 0o10_0644;
    let mut other = payload;
    other.changes.push(Change { path: RelPath::new(b"b").unwrap(), old: None, new: Some(Entry::directory(0o755)) });
    let other_root = Push { revision: RevisionId { root: Digest([1; 32]), ..push.revision }, ..push.clone() };
    let other_base = Push { base: Some(RevisionId { term: Term(9), ..push.base.unwrap() }), ..push.clone() };
    let no_number = Push { revision: RevisionId { number: 1, ..push.revision }, ..push.clone() };
    let garbage = Push { payload: b"garbage".to_vec(), ..push.clone() };
    let lies = [&wrong_content, &wrong_size, &twice, &no_parent, &bad_mode, &other].map(with);
    for lie in lies.into_iter().chain([other_root, other_base, no_number, garbage]) {
        assert!(shadow.apply(&master, &lie, false).is_err(), "{lie:?}");
        assert_eq!(shadow.on_disk(), before);
    }
    shadow.apply(&master, &push, false).unwrap();
    shadow.assert_like(&master);
}
