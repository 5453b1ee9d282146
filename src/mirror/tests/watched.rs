//! The same with a watcher, which spares looks at what did not change.

use std::time::{Duration, Instant};

use super::*;

const LIMIT: Duration = Duration::from_secs(30);

fn watched() -> Side {
    let side = Side::new();
    side.mirror().watch(|_| {}).unwrap();
    side
}

/// Nothing has to be looked at.
fn is_clean(side: &Side) -> bool {
    let dirty = side.mirror().take_dirty();
    let is_clean = dirty.is_nothing();
    side.mirror().give_back(dirty);
    is_clean
}

/// spec 4.5, 5.1, 5.2, 7.3: looking only where something changed misses nothing, neither of the master's edits nor of what
/// is changed on the shadow
#[test]
fn two_watched_directories_stay_the_same_through_any_edits() {
    for seed in 0..8 {
        let mut draw = Draw::new(seed + 100);
        let (mut master, mut shadow) = (watched(), watched());
        for round in 0..25 {
            (0..draw.below(8)).for_each(|_| edit(&mut draw, &master));
            master.commit(1);
            assert!(is_clean(&master), "seed {seed}, round {round}");
            shadow.pull(&master, draw.below(4) == 0).unwrap();
            shadow.assert_like(&master);
            (0..draw.below(4)).for_each(|_| edit(&mut draw, &shadow));
            shadow.mirror().restore_drift().unwrap();
            shadow.assert_like(&master);
            if draw.below(8) == 0 {
                for side in [&mut shadow, &mut master] {
                    side.start().unwrap();
                    side.mirror().watch(|_| {}).unwrap();
                }
            }
        }
    }
}

/// spec 7.3: a takeover finds nothing to look at, after a first look and after each revision that was applied
#[test]
fn what_was_applied_is_not_looked_at_again() {
    let (master, shadow) = (watched(), watched());
    (0..50).for_each(|n| master.write(&format!("f{n}"), &n.to_string()));
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 0);
    assert!(is_clean(&shadow));
    for round in 0..5 {
        master.write("f7", &format!("round {round}"));
        fs::rename(master.at("f9"), master.at("moved")).unwrap();
        fs::rename(master.at("moved"), master.at("f9")).unwrap();
        master.commit(1).unwrap();
        shadow.pull(&master, false).unwrap();
        assert!(is_clean(&shadow), "round {round}");
    }
    shadow.write("f3", "drift");
    assert!(!is_clean(&shadow));
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 1);
    shadow.assert_like(&master);
}

/// spec 5.4: what is held back is looked at again and again, and stays held back until it is right
#[test]
fn what_is_held_back_stays_so_until_it_is_right() {
    let side = watched();
    side.write("a.yaml", "a: 1\n");
    side.commit(1).unwrap();
    side.write("a.yaml", "a: [1\n");
    for round in 0..3 {
        side.write("other", &round.to_string());
        let outcome = side.mirror().scan_and_commit(Term(1), "anna", "").unwrap();
        assert_eq!(outcome.held.len(), 1, "round {round}");
        assert_eq!(outcome.committed.unwrap().paths, ["other"]);
    }
    side.write("a.yaml", "a: [1]\n");
    assert_eq!(side.commit(1).unwrap().paths, ["a.yaml"]);
}

/// spec 5.2: times of files that were read while fresh are trusted once they are old, without a second reading
#[test]
fn fresh_files_settle() {
    let side = watched();
    side.write("a", "1");
    side.commit(1).unwrap();
    let settled = |side: &Side| side.mirror().lock_work().stamps.values().filter(|stamp| stamp.is_settled).count();
    assert_eq!(settled(&side), 0);
    let begun = Instant::now();
    while settled(&side) == 0 {
        assert!(begun.elapsed() < LIMIT, "never settled");
        side.mirror().settle().unwrap();
        std::thread::sleep(Duration::from_millis(50));
    }
    assert!(begun.elapsed() >= Duration::from_secs(1), "not before it is old");
    // One that changed since is not trusted.
    side.write("b", "1");
    side.commit(1).unwrap();
    side.write("b", "2");
    let until = Instant::now() + Duration::from_millis(2_500);
    while Instant::now() < until {
        side.mirror().settle().unwrap();
        std::thread::sleep(Duration::from_millis(100));
    }
    assert_eq!(settled(&side), 1);
    assert_eq!(side.commit(1).unwrap().paths, ["b"]);
}

/// spec 5.2: a file that is written with long pauses while it stays open is not taken half, within the limit that is set
#[test]
fn who_writes_with_long_pauses_is_waited_for() {
    use std::io::Write as _;
    let side = watched();
    side.write("slow", "whole");
    side.commit(1).unwrap();
    side.mirror().set_writing_idle(60_000);
    let mut file = fs::File::create(side.at("slow")).unwrap();
    for text in ["first half, ", "second half"] {
        file.write_all(text.as_bytes()).unwrap();
        std::thread::sleep(WRITING_IDLE + Duration::from_millis(100));
        side.write("other", text);
        let outcome = side.mirror().scan_and_commit(Term(1), "anna", "").unwrap();
        assert_eq!((outcome.committed.unwrap().paths.as_slice(), outcome.postponed), (&["other".to_owned()][..], 1));
    }
    drop(file);
    side.commit(1).unwrap();
    assert_eq!(side.mirror().show("slow", None).unwrap().text, "first half, second half");
    // One that is never closed is taken at last.
    side.mirror().set_writing_idle(0);
    let mut file = fs::File::create(side.at("slow")).unwrap();
    file.write_all(b"a log").unwrap();
    std::thread::sleep(WRITING_IDLE + Duration::from_millis(100));
    assert_eq!(side.commit(1).unwrap().paths, ["slow"]);
}

/// spec 5.2: a new file is never mirrored empty because its writer has not begun; one that stays empty and open is, at last
#[test]
fn a_new_file_is_not_mirrored_empty_before_it_is_written() {
    use std::io::Write as _;
    let side = watched();
    side.write("other", "1");
    side.commit(1).unwrap();
    side.mirror().set_writing_idle(60_000);
    let mut file = fs::File::create(side.at("new.yaml")).unwrap();
    side.write("other", "2");
    let outcome = side.mirror().scan_and_commit(Term(1), "anna", "").unwrap();
    assert_eq!((outcome.committed.unwrap().paths.as_slice(), outcome.postponed), (&["other".to_owned()][..], 1));
    file.write_all(b"data: 1").unwrap();
    drop(file);
    assert_eq!(side.commit(1).unwrap().revision.number, 3);
    assert_eq!(side.mirror().show("new.yaml", None).unwrap().text, "data: 1");
    side.mirror().set_writing_idle(0);
    let _lock = fs::File::create(side.at("lock")).unwrap();
    std::thread::sleep(WRITING_IDLE + Duration::from_millis(100));
    assert_eq!(side.commit(1).unwrap().paths, ["lock"]);
}
