use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use super::path::RelPath;
use super::source::MirrorSource;
use super::testing::Draw;
use super::tree::Entry;
use super::*;
use crate::engine::base::Term;
use crate::engine::message::Push;
use crate::engine::order::FileKind;
use crate::engine::status::Transfer;

mod anything;
mod divergence;
mod drifts;
mod hostile;
mod judged;
mod large;
mod listed;
mod meddled;
mod names;
mod owners;
mod points;
mod recovery;
mod stuck;
mod transfer;
mod watched;

const LIMITS: Limits = Limits { file_size: 1_000_000, owners: false };

/// One instance: a home and a directory.
struct Side {
    home: tempfile::TempDir,
    mirror: Option<Mirror>,
}

impl Side {
    fn new() -> Self {
        let mut side = Self { home: tempfile::tempdir().unwrap(), mirror: None };
        side.start().unwrap();
        side
    }

    /// The same where nothing waits for a disk, for tests that do much.
    fn quick() -> Self {
        let memory = Path::new("/dev/shm");
        let home = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
        let mut side = Self { home: home.unwrap(), mirror: None };
        side.start().unwrap();
        side
    }

    /// As after a crash: what was in memory is gone.
    fn start(&mut self) -> Result<(), Problem> {
        self.mirror = None;
        let store = Store::open(&self.home.path().join("home")).unwrap();
        self.mirror = Some(Mirror::open(store, self.directory(), LIMITS)?);
        Ok(())
    }

    fn mirror(&self) -> &Mirror {
        self.mirror.as_ref().unwrap()
    }

    fn directory(&self) -> PathBuf {
        self.home.path().join("configuration")
    }

    fn at(&self, name: &str) -> PathBuf {
        self.directory().join(name)
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.at(name), text).unwrap();
    }

    fn commit(&self, term: u64) -> Option<Committed> {
        let outcome = self.mirror().scan_and_commit(Term(term), "anna", "because").unwrap();
        assert_eq!(outcome.held, []);
        outcome.committed
    }

    /// Its newest revision and the older ones, as a hello says them.
    fn trail(&self) -> Vec<RevisionId> {
        self.mirror().head().map(|head| head.revision).into_iter().chain(self.mirror().trail().unwrap()).collect()
    }

    fn pull(&self, master: &Self, complete: bool) -> Result<(Committed, Option<Branch>), Problem> {
        let push = master.mirror().build_push(&self.trail(), complete)?;
        self.apply(master, &push, complete)
    }

    fn apply(&self, master: &Self, push: &Push, complete: bool) -> Result<(Committed, Option<Branch>), Problem> {
        self.mirror().apply(push, complete, &mut MirrorSource(master.mirror().clone()), &mut |_| {})
    }

    /// Path, kind and mode, content: read without any code of the mirror.
    fn on_disk(&self) -> Vec<(PathBuf, u32, Vec<u8>)> {
        let mut all = Vec::new();
        read_into(&self.directory(), &self.directory(), &mut all);
        all.sort();
        all
    }

    fn assert_like(&self, other: &Self) {
        assert_eq!(self.on_disk(), other.on_disk());
        assert_eq!(self.mirror().verify_own().unwrap().0, other.mirror().verify_own().unwrap().0);
    }
}

fn read_into(top: &Path, directory: &Path, all: &mut Vec<(PathBuf, u32, Vec<u8>)>) {
    use std::os::unix::ffi::OsStringExt;
    for entry in fs::read_dir(directory).unwrap() {
        let path = entry.unwrap().path();
        let about = fs::symlink_metadata(&path).unwrap();
        let content = match about.file_type() {
            kind if kind.is_symlink() => fs::read_link(&path).unwrap().into_os_string().into_vec(),
            kind if kind.is_file() => fs::read(&path).unwrap(),
            _ => Vec::new(),
        };
        all.push((path.strip_prefix(top).unwrap().to_owned(), about.mode(), content));
        if about.is_dir() {
            read_into(top, &path, all);
        }
    }
}

/// One random edit of the directory, as an operator could make it.
fn edit(draw: &mut Draw, side: &Side) {
    let depth = 1 + draw.below(3);
    let names: Vec<_> = (0..depth).map(|_| ["a", "b", "c.yaml", "a-"][draw.below(4)]).collect();
    let path = side.at(&names.join("/"));
    if path.parent().is_some_and(|parent| !fs::symlink_metadata(parent).is_ok_and(|about| about.is_dir())) {
        return;
    }
    let remove = || match fs::symlink_metadata(&path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(&path).unwrap(),
        Ok(_) => fs::remove_file(&path).unwrap(),
        Err(_) => {}
    };
    match draw.below(7) {
        0 => remove(),
        1 => {
            remove();
            symlink(["b", "x/y", "a-"][draw.below(3)], &path).unwrap();
        }
        2 | 3 => {
            remove();
            fs::create_dir(&path).unwrap();
        }
        4 if fs::symlink_metadata(&path).is_ok_and(|about| !about.is_symlink()) => {
            let mode = [0o600, 0o755, 0o700, 0o555, 0o4711][draw.below(5)];
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        _ => {
            remove();
            fs::write(&path, format!("- {}\n", draw.below(6)).repeat(1 + draw.below(3) * 20_000)).unwrap();
        }
    }
}

/// spec 5.1, 5.2: byte for byte and mode for mode the same after any edits, by small and by complete transfers
#[test]
fn two_directories_stay_the_same_through_any_edits() {
    for seed in 0..6 {
        let mut draw = Draw::new(seed);
        let (mut master, mut shadow) = (Side::new(), Side::new());
        for round in 0..25 {
            (0..draw.below(8)).for_each(|_| edit(&mut draw, &master));
            master.commit(1);
            if draw.below(3) == 0 {
                continue;
            }
            let complete = draw.below(4) == 0;
            let (committed, branch) = shadow.pull(&master, complete).unwrap();
            assert_eq!(branch, None, "seed {seed}, round {round}");
            assert_eq!(committed.revision, master.mirror().head().unwrap().revision);
            assert_eq!(shadow.mirror().head().unwrap(), committed);
            shadow.assert_like(&master);
            if draw.below(8) == 0 {
                shadow.start().unwrap();
                master.start().unwrap();
            }
        }
        // Every revision that the shadow has can be rebuilt from its newest.
        for revision in shadow.mirror().trail().unwrap() {
            assert_eq!(shadow.mirror().manifest(revision).unwrap(), master.mirror().manifest(revision).unwrap());
        }
    }
}

/// spec 5.2: one changed file is one change and one content, inside the push itself
#[test]
fn a_small_change_is_a_small_push() {
    let (master, shadow) = (Side::new(), Side::new());
    (0..300).for_each(|n| master.write(&format!("f{n}"), &n.to_string()));
    assert_eq!(master.commit(1).unwrap().revision.number, 1);
    shadow.pull(&master, true).unwrap();
    assert_eq!(master.commit(1), None, "nothing changed");
    master.write("f7", "new");
    let committed = master.commit(1).unwrap();
    assert_eq!((committed.revision.number, committed.paths.as_slice()), (2, &["f7".to_owned()][..]));
    assert_eq!((committed.author.as_str(), committed.files), ("anna", 300));
    let push = master.mirror().build_push(&shadow.trail(), false).unwrap();
    assert!(push.payload.len() < 1_000, "{}", push.payload.len());
    struct Nothing;
    impl ContentSource for Nothing {
        fn manifest(
            &mut self,
            _: RevisionId,
            _: &mut dyn FnMut(ManifestEntry) -> Result<(), Problem>,
        ) -> Result<(), Problem> {
            panic!("asked for the manifest")
        }
        fn content(
            &mut self,
            _: &[Digest],
            _: &mut dyn FnMut(Digest, Packed) -> Result<(), Problem>,
        ) -> Result<(), Problem> {
            panic!("asked for a content")
        }
    }
    shadow.mirror().apply(&push, false, &mut Nothing, &mut |_| {}).unwrap();
    shadow.assert_like(&master);
}

/// spec 5.2: what does not fit into a push is asked for; progress ends at its total (spec 4.3)
#[test]
fn a_large_change_is_fetched() {
    let (master, shadow) = (Side::new(), Side::new());
    master.commit(1).unwrap();
    shadow.pull(&master, false).unwrap();
    (0..2_000).for_each(|n| master.write(&format!("file-with-a-long-name-{n}"), &"x".repeat(n)));
    master.write("big", &"y".repeat(900_000));
    master.commit(1).unwrap();
    let push = master.mirror().build_push(&shadow.trail(), false).unwrap();
    assert!(push.base.is_some() && push.payload.len() < 1_000);
    let mut last = Transfer::default();
    let mut source = MirrorSource(master.mirror().clone());
    shadow.mirror().apply(&push, false, &mut source, &mut |progress| last = progress).unwrap();
    assert_eq!((last.files_done, last.bytes_done), (last.files_total, last.bytes_total));
    assert_eq!(last.files_total, 2_001);
    shadow.assert_like(&master);
}

/// spec 5.1: a file becomes a directory and back, empty directories and modes come along
#[test]
fn kinds_replace_each_other() {
    let (master, shadow) = (Side::new(), Side::new());
    let steps: [&dyn Fn(); 5] = [
        &|| master.write("x", "file"),
        &|| {
            fs::remove_file(master.at("x")).unwrap();
            fs::create_dir_all(master.at("x/empty")).unwrap();
            master.write("x/inside", "1");
            fs::set_permissions(master.at("x"), fs::Permissions::from_mode(0o500)).unwrap();
        },
        &|| {
            fs::set_permissions(master.at("x"), fs::Permissions::from_mode(0o711)).unwrap();
            fs::remove_dir_all(master.at("x")).unwrap();
            symlink("y", master.at("x")).unwrap();
        },
        &|| {
            fs::remove_file(master.at("x")).unwrap();
            fs::create_dir(master.at("x")).unwrap();
        },
        &|| {
            fs::remove_dir(master.at("x")).unwrap();
            master.write("x", "file again");
        },
    ];
    for (number, step) in steps.iter().enumerate() {
        step();
        assert_eq!(master.commit(1).unwrap().revision.number, number as u64 + 1);
        // A temporary file of an editor must not stand in the way of a removed directory.
        if shadow.at("x").is_dir() {
            fs::write(shadow.at("x/.inside.swp"), "").unwrap();
        }
        shadow.pull(&master, false).unwrap();
        shadow.assert_like(&master);
    }
}

/// spec 5.4: YAML that no longer is YAML is held back with its line, and its last good content stays
#[test]
fn broken_yaml_is_held_back() {
    let master = Side::new();
    master.write("good.yaml", "a: 1\n");
    master.write("never-was.yaml", "{{ template }}: [\n");
    master.commit(1).unwrap();
    master.write("good.yaml", "a: 1\nb: [1,\nc: 2\n");
    master.write("never-was.yaml", "{{ other }}: [\n");
    let outcome = master.mirror().scan_and_commit(Term(1), "anna", "").unwrap();
    assert_eq!(outcome.committed.unwrap().paths, ["never-was.yaml"]);
    assert_eq!(outcome.held.len(), 1);
    assert!(outcome.held[0].path == "good.yaml" && outcome.held[0].why.starts_with("line "), "{:?}", outcome.held);
    assert_eq!(master.mirror().show("good.yaml", None).unwrap().text, "a: 1\n");
    master.write("good.yaml", "a: 3\n");
    assert_eq!(master.commit(1).unwrap().paths, ["good.yaml"]);
}

/// spec 5.6
#[test]
fn older_revisions_can_be_shown() {
    let master = Side::new();
    master.write("a", "one");
    master.commit(1).unwrap();
    fs::create_dir(master.at("d")).unwrap();
    master.write("d/b\\", "bytes\u{1b}");
    master.commit(1).unwrap();
    master.write("a", "three");
    master.commit(3).unwrap();
    let show = |path: &str, revision| master.mirror().show(path, revision);
    assert_eq!(show("a", None).unwrap().text, "three");
    let (first, second) = (show("a", Some(1)).unwrap(), show("a", Some(2)).unwrap());
    assert_eq!((first.text.as_str(), second.text.as_str(), second.entry.revision), ("one", "one", 1));
    assert!(first.is_text && !show("d/b\\x5c", None).unwrap().is_text);
    assert!(show("d/b\\x5c", Some(1)).is_err() && show("a", Some(4)).is_err() && show("../a", None).is_err());
    let list = master.mirror().list().unwrap();
    let paths: Vec<_> = list.iter().map(|entry| (entry.path.as_str(), entry.kind, entry.revision)).collect();
    assert_eq!(paths, [("a", FileKind::File, 3), ("d", FileKind::Directory, 2), ("d/b\\x5c", FileKind::File, 2)]);
    // The same without a mirror, from a store that is open for reading alone.
    let store = Store::open_read_only(&master.home.path().join("home")).unwrap();
    assert_eq!(history::list(&store).unwrap(), list);
    assert_eq!(history::show(&store, "a", Some(1)).unwrap().text, "one");
    assert_eq!(history::log(&store, None, None, 2).unwrap().len(), 2);
}

/// spec 7.6: the trail reaches far back with few entries
#[test]
fn the_trail_is_dense_and_then_sparse() {
    let master = Side::new();
    for number in 1..=150 {
        master.write("a", &number.to_string());
        assert_eq!(master.commit(1).unwrap().revision.number, number);
    }
    let numbers: Vec<_> = master.mirror().trail().unwrap().iter().map(|revision| revision.number).collect();
    assert!(numbers.len() <= crate::engine::message::TRAIL_MAX);
    assert_eq!(numbers[..32], (118..150).rev().collect::<Vec<_>>());
    assert_eq!(numbers[32..], [117, 116, 114, 110, 102, 86, 54]);
}

/// spec 7.3: what the kernel tells no watcher is found before a takeover all the same.
#[test]
fn drift_made_from_outside_is_put_back() {
    let (master, shadow) = (Side::new(), Side::new());
    let elsewhere = tempfile::tempdir().unwrap();
    let other_name = elsewhere.path().join("other name");
    master.write("a", "right");
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    shadow.mirror().watch(|_| ()).unwrap();
    fs::hard_link(shadow.at("a"), &other_name).unwrap();
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 0);
    fs::write(&other_name, "wrong, and longer").unwrap();
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 1);
    shadow.assert_like(&master);
}

/// spec 4.5
#[test]
fn drift_is_put_back_and_kept() {
    let (master, shadow) = (Side::new(), Side::new());
    master.write("a", "right");
    master.write("b", "right too");
    fs::create_dir(master.at("d")).unwrap();
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 0);
    shadow.write("a", "wrong");
    shadow.write("extra", "found");
    fs::remove_file(shadow.at("b")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, shadow.at("b"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 3);
    shadow.assert_like(&master);
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 0);
    let drifts = shadow.mirror().drifts().unwrap();
    assert_eq!(drifts[0].name, "drift-term-1-rev-2");
    assert_eq!(drifts[0].files, ["a", "b", "extra"]);
    assert_eq!(shadow.mirror().content(&digest::of_content(b"wrong")).unwrap().unwrap(), b"wrong");
    assert_eq!(shadow.mirror().branches().unwrap(), []);
    // Drift in the way of a small push: kept, replaced, not told.
    shadow.write("a", "wrong again");
    master.write("a", "right again");
    master.commit(1).unwrap();
    assert_eq!(shadow.pull(&master, false).unwrap().1, None);
    shadow.assert_like(&master);
    assert_eq!(shadow.mirror().drifts().unwrap().len(), 2);
    assert!(shadow.mirror().content(&digest::of_content(b"wrong again")).unwrap().is_some());
}
