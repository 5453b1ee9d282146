//! Every write of every kind of work, one after the other: the program dies there, or the write fails, once or because the
//! disk is full (spec 5.3).

use super::*;
use crate::engine::history::{Change as Order, Expected, NewFile};
use crate::mirror::testing::Fault;

/// Faults that come a little later than the first one: in the undoing of what failed.
const LATER: [usize; 3] = [0, 1, 4];

/// One kind of work, that one side does.
struct Work {
    name: &'static str,
    /// The other side first.
    prepare: fn() -> (Side, Side),
    work: fn(&Side, &Side) -> Result<(), Problem>,
    /// The directory is as before or as after, never between.
    is_whole: bool,
    /// Writes that it has at least.
    points_min: usize,
}

/// A master with two revisions that differ in every way, and a shadow at the first, or with a history of its own.
fn pair(is_diverged: bool) -> (Side, Side) {
    let (master, shadow) = (Side::quick(), Side::quick());
    fs::create_dir(master.at("dir")).unwrap();
    for name in ["changes", "goes", "dir/inside"] {
        master.write(name, "old");
    }
    symlink("changes", master.at("link")).unwrap();
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    if is_diverged {
        shadow.write("changes", "by the loser");
        shadow.commit(2).unwrap();
        shadow.write("found", "in no revision");
    }
    fs::remove_file(master.at("goes")).unwrap();
    fs::create_dir(master.at("goes")).unwrap();
    master.write("goes/inside", "new");
    master.write("changes", "new");
    fs::remove_file(master.at("link")).unwrap();
    symlink("goes", master.at("link")).unwrap();
    fs::set_permissions(master.at("dir"), fs::Permissions::from_mode(0o700)).unwrap();
    master.commit(if is_diverged { 3 } else { 1 }).unwrap();
    (master, shadow)
}

/// One that works alone: three revisions, and edits that are in none.
fn alone() -> (Side, Side) {
    let (nobody, side) = (Side::quick(), Side::quick());
    fs::create_dir(side.at("dir")).unwrap();
    side.write("dir/secret", "to be forgotten");
    side.write("a", "1");
    side.commit(1).unwrap();
    fs::remove_dir_all(side.at("dir")).unwrap();
    side.write("a", "2");
    side.commit(1).unwrap();
    (nobody, side)
}

fn edited() -> (Side, Side) {
    let (nobody, side) = alone();
    side.write("a", "3");
    // More than one commit carries by itself.
    let mut draw = Draw::new(3);
    for name in ["large", "larger"] {
        let noise: Vec<u8> = (0..700_000).map(|_| u8::try_from(draw.below(256)).unwrap()).collect();
        fs::write(side.at(name), noise).unwrap();
    }
    (nobody, side)
}

fn drifted() -> (Side, Side) {
    let (master, shadow) = pair(false);
    shadow.pull(&master, false).unwrap();
    shadow.write("changes", "by hand");
    fs::remove_file(shadow.at("goes/inside")).unwrap();
    (master, shadow)
}

fn commit(_: &Side, side: &Side) -> Result<(), Problem> {
    side.mirror().scan_and_commit(Term(1), "anna", "").map(drop)
}

fn change(side: &Side, order: &Order) -> Result<(), Problem> {
    side.mirror().change(Term(1), "anna", "", order, false)?.outcome.map(drop)
}

fn put(_: &Side, side: &Side) -> Result<(), Problem> {
    let digest = side.mirror().keep_content(b"put".to_vec())?;
    let files = ["a", "dir/deep/b"].map(|path| {
        let (path, kind, mode, expected) = (path.to_owned(), FileKind::File, 0o640, Expected::Any);
        NewFile { path, kind, mode, digest, expected, owners: None }
    });
    change(side, &Order::Put { files: files.to_vec() })
}

const WORKS: [Work; 7] = [
    Work {
        name: "a small push",
        prepare: || pair(false),
        work: |master, shadow| shadow.pull(master, false).map(drop),
        is_whole: true,
        points_min: 15,
    },
    Work {
        name: "a complete push after a divergence",
        prepare: || pair(true),
        work: |master, shadow| shadow.pull(master, true).map(drop),
        is_whole: true,
        points_min: 15,
    },
    Work { name: "a commit", prepare: edited, work: commit, is_whole: true, points_min: 2 },
    Work { name: "files put by an operator", prepare: alone, work: put, is_whole: true, points_min: 10 },
    Work {
        name: "a restore",
        prepare: alone,
        work: |_, side| change(side, &Order::Restore { revision: 1, paths: Vec::new() }),
        is_whole: true,
        points_min: 8,
    },
    Work {
        name: "drift put back",
        prepare: drifted,
        work: |_, side| side.mirror().restore_drift().map(drop),
        is_whole: false,
        points_min: 5,
    },
    Work {
        name: "contents forgotten",
        prepare: alone,
        work: |_, side| side.mirror().forget("dir", false).map(drop),
        is_whole: true,
        points_min: 2,
    },
];

/// What the work leads to when nothing goes wrong.
fn after(work: &Work) -> Vec<(PathBuf, u32, Vec<u8>)> {
    let (other, side) = (work.prepare)();
    (work.work)(&other, &side).unwrap();
    side.on_disk()
}

/// Nothing half done, and the store agrees with the disk where it says so.
fn assert_whole(
    work: &Work,
    side: &Side,
    before: &[(PathBuf, u32, Vec<u8>)],
    done: &[(PathBuf, u32, Vec<u8>)],
    at: &str,
) {
    let now = side.on_disk();
    if work.is_whole {
        assert!(now == before || now == done, "{at}: neither before nor after: {now:?}");
    }
    assert_eq!(side.mirror().inner.store.journal(|_| Ok(())).unwrap(), None, "{at}");
    let store = &side.mirror().inner.store;
    let newest = history::newest_tree(store).unwrap();
    assert_eq!(newest.root(), side.mirror().head().unwrap().revision.root, "{at}");
    for (path, entry) in newest.iter().filter(|(_, entry)| entry.has_content()) {
        let kept = store.content(&entry.digest).unwrap();
        let kept = kept.unwrap_or_else(|| panic!("{at}: the content of {path} is not there"));
        assert_eq!(digest::of_content(&kept), entry.digest, "{at}");
    }
}

/// Does the work again, and it ends as if nothing had been.
fn assert_goes_on(work: &Work, other: &Side, side: &Side, done: &[(PathBuf, u32, Vec<u8>)], at: &str) {
    (work.work)(other, side).unwrap_or_else(|problem| panic!("{at}: the next time: {problem}"));
    assert_eq!(side.on_disk(), done, "{at}");
    assert_whole(work, side, done, done, at);
    assert!(!side.home.path().join("home/stage").exists(), "{at}: something lies aside");
    commit(other, side).unwrap();
    assert_eq!(side.mirror().verify_own().unwrap().0, side.mirror().head().unwrap().revision.root, "{at}");
}

/// spec 5.3: death at every write of every work; after the next start the directory is some whole revision, and all goes on
#[test]
fn death_at_every_write() {
    for work in &WORKS {
        let done = after(work);
        for points in 0.. {
            let at = format!("{}, death at write {points}", work.name);
            let (other, mut side) = (work.prepare)();
            let before = side.on_disk();
            side.mirror().inner.crash.arm(points);
            // What only makes a later look cheaper may fail unseen.
            let _ = (work.work)(&other, &side);
            let is_through = !side.mirror().inner.crash.is_down();
            side.start().unwrap_or_else(|problem| panic!("{at}: {problem}"));
            assert!(!side.home.path().join("home/stage").exists(), "{at}: something lies aside");
            assert_whole(work, &side, &before, &done, &at);
            assert_goes_on(work, &other, &side, &done, &at);
            if is_through {
                assert!(points >= work.points_min, "{at}: so few");
                break;
            }
        }
    }
}

/// spec 5.3, 5.5: every write fails, once or for as long as the disk is full; the message says why; nothing is half done when
/// there is space again, and all goes on without a restart
#[test]
fn every_write_fails() {
    for work in &WORKS {
        let done = after(work);
        for fault in [Fault::FailsOnce, Fault::FailsOn] {
            for points in 0.. {
                let at = format!("{}, {fault:?} at write {points}", work.name);
                let (other, side) = (work.prepare)();
                let before = side.on_disk();
                let crash = side.mirror().inner.crash.clone();
                crash.plan(&[(points, fault)]);
                let outcome = (work.work)(&other, &side);
                let has_come = crash.mend();
                if let Err(problem) = &outcome {
                    assert!(problem.to_string().contains(testing::NO_SPACE), "{at}: {problem}");
                    assert!(!problem.what.is_empty() && !problem.todo.is_empty(), "{at}: {problem}");
                }
                // Whoever comes next brings to an end what could not even be undone.
                drop(side.mirror().work().unwrap_or_else(|problem| panic!("{at}: {problem}")));
                assert_whole(work, &side, &before, &done, &at);
                assert_goes_on(work, &other, &side, &done, &at);
                if !has_come {
                    break;
                }
            }
        }
    }
}

/// spec 5.3: a write fails, and the program dies while that is undone
#[test]
fn death_while_a_failure_is_undone() {
    for work in WORKS.iter().filter(|work| work.is_whole) {
        let done = after(work);
        for later in LATER {
            for points in 0.. {
                let at = format!("{}, failure at write {points}, death {later} later", work.name);
                let (other, mut side) = (work.prepare)();
                let before = side.on_disk();
                let crash = side.mirror().inner.crash.clone();
                crash.plan(&[(points, Fault::FailsOnce), (later, Fault::Dies)]);
                let _ = (work.work)(&other, &side);
                let is_through = !crash.is_down();
                side.start().unwrap_or_else(|problem| panic!("{at}: {problem}"));
                assert_whole(work, &side, &before, &done, &at);
                assert_goes_on(work, &other, &side, &done, &at);
                if is_through && points > work.points_min {
                    break;
                }
            }
        }
    }
}
