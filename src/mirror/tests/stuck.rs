//! What was changed behind Standin's back and cannot be put back (spec 4.5, 7.3).

use super::*;
use crate::store::CONTENT_MAX_BYTES;

/// A file that is too large to be kept, so that nothing may remove it.
fn unkeepable(path: &Path) {
    fs::File::create(path).unwrap().set_len(CONTENT_MAX_BYTES + 1).unwrap();
}

/// A shadow where `a` has become a directory that cannot be removed.
fn pair() -> (Side, Side) {
    let (master, shadow) = (Side::new(), Side::new());
    master.write("a", "right");
    master.write("b", "right too");
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    fs::remove_file(shadow.at("a")).unwrap();
    fs::create_dir(shadow.at("a")).unwrap();
    unkeepable(&shadow.at("a/huge"));
    (master, shadow)
}

fn scan(side: &Side) -> ScanOutcome {
    side.mirror().scan_and_commit(Term(2), "directory", "").unwrap()
}

fn is_held(outcome: &ScanOutcome, path: &str) -> bool {
    outcome.held.iter().any(|held| held.path == path && held.why.contains("cannot be put back"))
}

/// spec 7.3: a new master puts back what it can; what it cannot becomes no revision, neither at once nor after a restart nor with
/// other edits: it is held back with its last good content, and put back when that can be done.
#[test]
fn what_cannot_be_put_back_never_becomes_a_revision() {
    let (master, mut shadow) = pair();
    shadow.write("b", "wrong");
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 1, "all else is put back");
    assert_eq!(fs::read(shadow.at("b")).unwrap(), b"right too");
    let outcome = scan(&shadow);
    assert_eq!((outcome.committed.clone(), outcome.stuck), (None, 1));
    assert!(is_held(&outcome, "a"), "{outcome:?}");
    shadow.start().unwrap();
    shadow.write("c", "an edit of the new master");
    let outcome = scan(&shadow);
    assert_eq!(outcome.committed.as_ref().unwrap().paths, ["c"]);
    assert!(is_held(&outcome, "a"), "{outcome:?}");
    let known = |side: &Side| side.mirror().newest_tree().get(&RelPath::new(b"a").unwrap());
    assert_eq!(known(&shadow), known(&master), "its last good content stays mirrored");
    fs::remove_file(shadow.at("a/huge")).unwrap();
    let outcome = scan(&shadow);
    assert_eq!((outcome.committed, outcome.held, outcome.put_back), (None, vec![], 1));
    assert_eq!(fs::read(shadow.at("a")).unwrap(), b"right");
    assert_eq!(scan(&shadow).stuck, 0);
}

/// spec 5.2, 7.3: who makes something else of it on the new master means it.
#[test]
fn an_edit_of_what_was_stuck_is_a_revision() {
    let (_master, shadow) = pair();
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 0);
    assert_eq!(scan(&shadow).stuck, 1);
    fs::remove_dir_all(shadow.at("a")).unwrap();
    shadow.write("a", "edited");
    let outcome = scan(&shadow);
    assert_eq!((outcome.committed.unwrap().paths, outcome.stuck), (vec!["a".to_owned()], 0));
    assert_eq!(fs::read(shadow.at("a")).unwrap(), b"edited");
}

/// spec 7.3: a scan that comes before drift is put back takes nothing of it up.
#[test]
fn a_scan_puts_drift_back_first() {
    let (master, shadow) = (Side::new(), Side::new());
    master.write("a", "right");
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    shadow.write("a", "wrong");
    shadow.mirror().expect_restore();
    let outcome = scan(&shadow);
    assert_eq!((outcome.committed, outcome.put_back), (None, 1));
    shadow.write("a", "an edit of the new master");
    assert_eq!(shadow.mirror().restore_expected().unwrap(), Drift::default(), "it is done");
    assert_eq!(scan(&shadow).committed.unwrap().paths, ["a"]);
}

/// spec 4.5: what is found again and again, because it cannot be put back, is one drift in the history.
#[test]
fn what_is_found_again_is_one_drift() {
    let (_master, shadow) = pair();
    for look in 0..4 {
        let drift = shadow.mirror().look_for_drift().unwrap();
        let stuck: Vec<_> = drift.stuck.iter().map(|stuck| stuck.path.to_string()).collect();
        assert_eq!((stuck.join(" "), drift.paths_total), ("a/huge a".to_owned(), 0), "look {look}");
        assert_eq!(shadow.mirror().drifts().unwrap().len(), 1, "look {look}");
    }
}

/// spec 4.5: what cannot be kept is left in place, and said to be.
#[test]
fn what_cannot_be_kept_is_told() {
    let (master, shadow) = (Side::new(), Side::new());
    master.write("a", "right");
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    unkeepable(&shadow.at("a"));
    for _ in 0..2 {
        let drift = shadow.mirror().look_for_drift().unwrap();
        let words = Stuck::words(&drift.stuck).unwrap();
        assert!(words.starts_with("a: it cannot be kept"), "{words}");
    }
    assert_eq!(scan(&shadow).committed, None);
    fs::remove_file(shadow.at("a")).unwrap();
    let drift = shadow.mirror().look_for_drift().unwrap();
    assert_eq!((drift.stuck, drift.paths_total), (vec![], 1));
    shadow.assert_like(&master);
}
