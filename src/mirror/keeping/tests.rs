use std::fs;
use std::path::PathBuf;

use super::*;
use crate::engine::base::Term;
use crate::engine::history::{Change, NewFile};
use crate::mirror::Limits;
use crate::mirror::source::MirrorSource;
use crate::mirror::testing::Draw;

const EVERYTHING: Retention = Retention { count: u64::MAX, age: u64::MAX, now: 0, bytes: u64::MAX, needed: None };

struct Home {
    home: tempfile::TempDir,
    mirror: Mirror,
    store: Store,
}

fn open(home: &tempfile::TempDir) -> (Mirror, Store) {
    let store = Store::open(&home.path().join("home")).unwrap();
    let limits = Limits { file_size: 10_000_000, owners: false };
    (Mirror::open(store.clone(), home.path().join("configuration"), limits).unwrap(), store)
}

impl Home {
    fn new() -> Self {
        let home = tempfile::tempdir().unwrap();
        let (mirror, store) = open(&home);
        Self { home, mirror, store }
    }

    fn restart(self) -> Self {
        let Self { home, mirror, store } = self;
        drop((mirror, store));
        let (mirror, store) = open(&home);
        Self { home, mirror, store }
    }

    fn at(&self, name: &str) -> PathBuf {
        self.mirror.directory().join(name)
    }

    fn write(&self, name: &str, bytes: &[u8]) -> u64 {
        fs::write(self.at(name), bytes).unwrap();
        self.commit()
    }

    fn remove(&self, name: &str) -> u64 {
        fs::remove_file(self.at(name)).unwrap();
        self.commit()
    }

    fn commit(&self) -> u64 {
        self.mirror.scan_and_commit(Term(1), "directory", "").unwrap().committed.unwrap().revision.number
    }

    fn numbers(&self) -> Vec<u64> {
        let mut numbers: Vec<u64> =
            self.mirror.log(None, None, 1_000).unwrap().iter().map(|entry| entry.revision.number).collect();
        numbers.reverse();
        numbers
    }

    fn size(&self) -> u64 {
        self.store.scrub().unwrap();
        fs::metadata(self.home.path().join("home/standin.db")).unwrap().len()
    }

    /// In any file of the home, as it is or packed.
    fn is_anywhere(&self, secret: &[u8]) -> bool {
        fn walk(at: &std::path::Path, secret: &[u8]) -> bool {
            fs::read_dir(at).unwrap().any(|entry| {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    return walk(&path, secret);
                }
                fs::read(&path).unwrap().windows(secret.len()).any(|window| window == secret)
            })
        }
        walk(&self.home.path().join("home"), secret)
    }
}

/// Bytes that do not pack, so that they can be found again.
fn noise(draw: &mut Draw, length: usize) -> Vec<u8> {
    (0..length).map(|_| u8::try_from(draw.below(256)).unwrap()).collect()
}

/// spec 5.6: bounded by count, age and size, each on its own; the newest always stays, and so does what the peer needs.
#[test]
fn old_revisions_go_by_count_age_and_size() {
    let grown = || {
        let home = Home::new();
        let mut draw = Draw::new(3);
        (1..=10).for_each(|number| assert_eq!(home.write("a", &noise(&mut draw, 5_000)), number));
        home
    };
    let home = grown();
    assert_eq!(home.mirror.tidy(&EVERYTHING).unwrap(), 0);
    assert_eq!(home.mirror.tidy(&Retention { count: 4, ..EVERYTHING }).unwrap(), 6);
    assert_eq!(home.numbers(), [7, 8, 9, 10]);
    assert_eq!(home.mirror.show("a", Some(7)).unwrap().entry.size, 5_000);
    assert!(home.mirror.show("a", Some(6)).is_err());
    let by_age = Retention { age: 0, now: i64::MAX, ..EVERYTHING };
    assert_eq!(home.mirror.tidy(&by_age).unwrap(), 0, "the newest fifty stay, however old");
    assert_eq!(home.mirror.tidy(&Retention { count: 0, ..EVERYTHING }).unwrap(), 3, "the newest stays");
    assert_eq!(home.numbers(), [10]);
    assert_eq!(home.write("a", b"goes on"), 11);

    let home = grown();
    home.mirror.tidy(&Retention { bytes: 16_000, ..EVERYTHING }).unwrap();
    assert_eq!(home.numbers(), [8, 9, 10], "three older contents of 5,000 bytes fit");

    let home = grown();
    let needed = Retention { count: 2, needed: Some(5), ..EVERYTHING };
    assert_eq!(home.mirror.tidy(&needed).unwrap(), 4);
    assert_eq!(home.numbers(), [5, 6, 7, 8, 9, 10]);
    let fifth = home.mirror.log(None, Some(6), 1).unwrap()[0].revision;
    let push = home.mirror.build_push(&[fifth], false).unwrap();
    assert_eq!(push.base, Some(fifth), "the peer still needs only what it lacks");
}

/// spec 5.6: contents go with the last revision that names them, and the space is given back.
#[test]
fn space_is_given_back() {
    let home = Home::new();
    let mut draw = Draw::new(7);
    let shared = noise(&mut draw, 100_000);
    home.write("kept", &shared);
    for _ in 0..30 {
        home.write("a", &noise(&mut draw, 100_000));
    }
    home.write("a", &shared);
    let before = home.size();
    assert!(before > 3_000_000, "{before}");
    home.mirror.tidy(&Retention { count: 1, ..EVERYTHING }).unwrap();
    let after = home.size();
    assert!(after < 1_600_000, "{before} -> {after}");
    assert_eq!(home.mirror.show("kept", None).unwrap().entry.size, 100_000);
    let home = home.restart();
    assert_eq!(home.mirror.verify_own().unwrap().0, home.mirror.head().unwrap().revision.root);
}

/// spec 5.6, 7.6: a branch keeps its contents, however few revisions of the main line are kept.
#[test]
fn branches_are_never_tidied_away() {
    let (a, b) = (Home::new(), Home::new());
    a.write("x", b"common");
    let pull = |from: &Home, to: &Home, complete| {
        let head = to.mirror.head().map(|head| head.revision);
        let trail: Vec<_> = head.into_iter().chain(to.mirror.trail().unwrap()).collect();
        let push = from.mirror.build_push(&trail, complete).unwrap();
        to.mirror.apply(&push, complete, &mut MirrorSource(from.mirror.clone()), &mut |_| {}).unwrap()
    };
    pull(&a, &b, true);
    b.write("x", b"only here");
    for number in 0..5 {
        a.write("x", format!("there {number}").as_bytes());
    }
    let branch = pull(&a, &b, true).1.unwrap();
    b.mirror.tidy(&Retention { count: 1, ..EVERYTHING }).unwrap();
    assert_eq!(b.numbers().len(), 1);
    let change = b.store.branch_changes(&branch.name).unwrap()[0].clone();
    for entry in [change.old.unwrap(), change.new.unwrap()] {
        assert!(b.store.has_content(&entry.digest).unwrap());
    }
}

/// spec 5.6: what comes between the look and the dropping is not lost: an old content that is wanted again.
#[test]
fn a_content_that_is_wanted_again_stays() {
    let home = Home::new();
    home.write("a", b"first");
    home.write("a", b"second");
    home.write("a", b"third");
    let found = home.store.plan_tidying(&Retention { count: 1, ..EVERYTHING }).unwrap().unwrap();
    let change = Change::Restore { revision: 1, paths: Vec::new() };
    home.mirror.change(Term(1), "anna", "", &change, false).unwrap().outcome.unwrap();
    assert_eq!(home.store.tidy(&found).unwrap(), 2);
    assert_eq!(home.mirror.show("a", None).unwrap().text, "first");
    assert_eq!(home.numbers(), [3, 4]);
}

/// The limit: a history of 1,000 one-file revisions costs no more than the changed contents, packed, plus 1 KB each.
#[test]
fn a_thousand_revisions_are_cheap() {
    const REVISIONS: u64 = 1_000;
    let home = Home::new();
    let mut draw = Draw::new(11);
    for number in 0..50 {
        fs::write(home.at(&format!("connector-{number}.yaml")), noise(&mut draw, 300)).unwrap();
    }
    home.commit();
    let (before, mut packed) = (home.size(), 0);
    for number in 0..REVISIONS {
        // Half of it packs.
        let mut text = noise(&mut draw, 700);
        text.resize(1_400, b'a');
        packed += lz4_flex::block::compress(&text).len() as u64;
        let file = NewFile {
            path: format!("connector-{}.yaml", number % 50),
            kind: crate::engine::order::FileKind::File,
            mode: 0o644,
            digest: home.mirror.keep_content(text).unwrap(),
            expected: crate::engine::history::Expected::Any,
            owners: None,
        };
        let change = Change::Put { files: vec![file] };
        home.mirror.change(Term(1), "directory", "", &change, false).unwrap().outcome.unwrap();
    }
    let cost = home.size() - before;
    assert!(cost <= packed + REVISIONS * 1_024, "{cost} for {packed} of contents");
}

/// spec 5.6: forgotten is gone from the database, its log and the stage, whatever revision or branch had it.
#[test]
fn what_is_forgotten_is_nowhere() {
    let home = Home::new();
    let mut draw = Draw::new(5);
    let secrets: Vec<Vec<u8>> =
        [30, 500, 3_000, 20_000, 200_000].iter().map(|length| noise(&mut draw, *length)).collect();
    fs::create_dir(home.at("keys")).unwrap();
    for round in 0..6 {
        for (index, secret) in secrets.iter().enumerate() {
            home.write(&format!("keys/{index}"), secret);
            home.write(&format!("other-{round}-{index}"), &noise(&mut draw, 700));
            home.remove(&format!("keys/{index}"));
        }
    }
    home.mirror.tidy(&Retention { count: 40, ..EVERYTHING }).unwrap();
    assert!(secrets.iter().all(|secret| home.is_anywhere(&secret[..24])), "it bites");
    fs::create_dir_all(home.home.path().join("home/stage")).unwrap();
    fs::write(home.home.path().join("home/stage/0"), &secrets[1]).unwrap();
    fs::remove_dir(home.at("keys")).unwrap();
    home.commit();
    let forgotten = home.mirror.forget("keys/", false).unwrap();
    assert_eq!((forgotten.contents, forgotten.kept_by.len()), (secrets.len() as u64, 0));
    for secret in &secrets {
        assert!(!home.is_anywhere(&secret[..24]), "{} bytes", secret.len());
    }
    assert_eq!(home.store.rewrites(), 0, "no write of the record waits until everything is written anew");
    assert_eq!(home.mirror.forget("keys", false).unwrap().contents, 0);
    let home = home.restart();
    assert_eq!(home.mirror.verify_own().unwrap().0, home.mirror.head().unwrap().revision.root);
    assert_eq!(home.mirror.show("other-5-4", None).unwrap().entry.size, 700);
    let number = home.mirror.head().unwrap().revision.number - 2;
    let problem = home.mirror.show("keys/4", Some(number)).unwrap_err();
    assert!(problem.why.contains("forgotten"), "{problem}");
    let change = Change::Restore { revision: number, paths: vec!["keys".into()] };
    let problem = home.mirror.change(Term(1), "anna", "", &change, false).unwrap().outcome.unwrap_err();
    assert!(problem.why.contains("forgotten"), "{problem}");
}

/// spec 5.6: the newest revision keeps its content, and that only when it is asked for; a content at another path stays.
#[test]
fn what_is_still_there_is_not_forgotten() {
    let home = Home::new();
    home.write("a", b"old secret of this file");
    home.write("copy", b"old secret of this file");
    home.write("a", b"another old secret of it");
    home.write("a", b"the newest one");
    assert!(home.mirror.forget("a", false).unwrap_err().todo.contains("--history-only"));
    assert!(home.is_anywhere(b"another old secret"));
    let forgotten = home.mirror.forget("a", true).unwrap();
    assert_eq!(forgotten.contents, 1);
    assert_eq!(forgotten.kept_by.iter().map(ToString::to_string).collect::<Vec<_>>(), ["copy"]);
    assert!(!home.is_anywhere(b"another old secret"));
    assert_eq!(home.mirror.show("a", None).unwrap().text, "the newest one");
    assert_eq!(home.mirror.show("copy", Some(2)).unwrap().text, "old secret of this file");
    assert!(home.mirror.forget("../a", true).is_err());
    let known = |path: &str| home.store.is_in_history(&RelPath::new(path.as_bytes()).unwrap()).unwrap();
    assert!(known("a") && known("copy") && !known("cop") && !known("never"));
    // Committed again, it is there again.
    home.write("b", b"another old secret of it");
    assert_eq!(home.mirror.show("a", Some(3)).unwrap().text, "another old secret of it");
}

/// spec 5.6: what was renamed or copied can be forgotten: older revisions keep nothing, whatever its name was; only what the
/// newest revision has somewhere stays. An empty file keeps nothing from it.
#[test]
fn what_was_renamed_is_forgotten_too() {
    let home = Home::new();
    home.write("empty", b"");
    home.write("s1.yaml", b"");
    home.write("s1.yaml", b"a secret under two names");
    fs::rename(home.at("s1.yaml"), home.at("s2.yaml")).unwrap();
    home.commit();
    fs::copy(home.at("s2.yaml"), home.at("s3.yaml")).unwrap();
    home.commit();
    home.remove("s2.yaml");
    let names = |paths: &[RelPath]| paths.iter().map(ToString::to_string).collect::<Vec<_>>();
    let forgotten = home.mirror.forget("s1.yaml", false).unwrap();
    assert_eq!((forgotten.contents, names(&forgotten.kept_by)), (0, vec!["s3.yaml".to_owned()]));
    assert!(home.is_anywhere(b"a secret under two names"));
    home.remove("s3.yaml");
    let forgotten = home.mirror.forget("s1.yaml", false).unwrap();
    assert_eq!((forgotten.contents, names(&forgotten.kept_by)), (1, Vec::new()));
    assert_eq!(names(&forgotten.also_at), ["s2.yaml", "s3.yaml"]);
    assert!(!home.is_anywhere(b"a secret under two names"));
}
