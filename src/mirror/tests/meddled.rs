//! Edits made in the directory while something else is put there: at every moment, and none of them is ever lost (spec 4.5, 5.3).

use super::*;
use crate::engine::history::{Change, ChangeReport};
use crate::mirror::change::Changed;

/// What the operator writes at that moment.
const EDIT: &str = "by an operator, this very moment";
/// Points from the edit to the death of the program, or to a write that fails.
const LATER: [usize; 3] = [0, 2, 4];

/// As an editor saves: aside, then renamed. Nothing where the directory it is in is gone.
fn save(place: &Path, to: &Path) {
    let aside = place.join("aside");
    fs::write(&aside, EDIT).unwrap();
    let _ = fs::rename(&aside, to);
}

/// An edit of `name` on `side` when so many points have come.
fn meddle(side: &Side, points: usize, name: &str) {
    let (place, to) = (side.home.path().to_owned(), side.at(name));
    side.mirror().inner.crash.meddle(points, move || save(&place, &to));
}

fn has_meddled(side: &Side) -> bool {
    side.mirror().inner.crash.has_meddlers() == 0
}

/// It was made at all: not where its directory was gone.
fn was_made(side: &Side) -> bool {
    !side.home.path().join("aside").exists()
}

/// It is in a revision or a drift, or in the directory, and there for good.
fn is_kept(side: &Side) -> bool {
    let digest = digest::of_content(EDIT.as_bytes());
    let store = &side.mirror().inner.store;
    let mut changes = store.changes_after(0).unwrap();
    for branch in store.branches().unwrap() {
        changes.extend(store.branch_changes(&branch.name).unwrap());
    }
    let is_named = changes.iter().any(|change| change.new.is_some_and(|new| new.digest == digest));
    is_named && store.has_content(&digest).unwrap()
}

/// `replaced`, `removed` and `new` say what the second revision makes of them.
fn master() -> Side {
    let master = Side::quick();
    fs::create_dir(master.at("d")).unwrap();
    for name in ["replaced", "removed", "d/removed", "d/replaced"] {
        master.write(name, "first");
    }
    master.commit(1).unwrap();
    master
}

fn second(master: &Side) {
    for name in ["replaced", "d/replaced", "new", "d/new"] {
        master.write(name, "second");
    }
    for name in ["removed", "d/removed"] {
        fs::remove_file(master.at(name)).unwrap();
    }
    master.commit(1).unwrap();
}

const PATHS: [&str; 6] = ["replaced", "d/replaced", "removed", "d/removed", "new", "d/new"];

fn restore(side: &Side) -> Changed {
    let change = Change::Restore { revision: 2, paths: Vec::new() };
    side.mirror().change(Term(1), "anna", "", &change, false).unwrap()
}

/// A master at its third revision, which is as the first: a restore of the second one does what the second did.
fn restorable() -> Side {
    let side = master();
    second(&side);
    for name in ["replaced", "removed", "d/removed", "d/replaced"] {
        side.write(name, "first");
    }
    for name in ["new", "d/new"] {
        fs::remove_file(side.at(name)).unwrap();
    }
    side.commit(1).unwrap();
    side
}

/// The edit is where the operator finds it: in the directory, or in a drift that the answer names.
fn assert_told(side: &Side, name: &str, report: &ChangeReport, at: &str) {
    let is_there = fs::read_to_string(side.at(name)).is_ok_and(|text| text == EDIT);
    let drifts = side.mirror().drifts().unwrap();
    let Some(overtaken) = &report.overtaken else {
        assert!(is_there || drifts.is_empty(), "{at}: nobody is told");
        return;
    };
    assert_eq!((overtaken.paths.clone(), overtaken.total), (vec![name.to_owned()], 1), "{at}");
    assert_eq!(overtaken.kept_as.as_deref(), Some(&*drifts[0].name), "{at}");
    assert_eq!(drifts[0].files, [name], "{at}");
    let told = side.mirror().take_overtaken();
    assert_eq!(told.len(), 1, "{at}");
    // On top of what took its place: it can be brought in without a conflict.
    let change = Change::Reapply { branch: drifts[0].name.clone(), paths: vec![], theirs: vec![] };
    let again = side.mirror().change(Term(1), "anna", "", &change, false).unwrap().outcome.unwrap();
    assert_eq!((again.total, again.conflicts), (1, vec![]), "{at}");
    assert_eq!(fs::read_to_string(side.at(name)).unwrap(), EDIT, "{at}");
}

/// spec 5.2, 5.3: on the master, whatever is replaced, removed or comes anew: an edit before the change is in place is kept as a drift
/// and told; one after it stays and becomes the next revision
#[test]
fn an_edit_while_a_change_is_made_is_kept() {
    for (exchanges, name) in PATHS.iter().map(|name| (true, name)).chain(PATHS.iter().map(|name| (false, name))) {
        let (mut told, mut stayed) = (0, 0);
        for points in 0.. {
            let at = format!("{name}, edited at point {points}, exchanges: {exchanges}");
            let mut side = restorable();
            if !exchanges {
                side.mirror().inner.crash.forbid_exchange();
            }
            meddle(&side, points, name);
            let changed = restore(&side);
            let is_through = !has_meddled(&side);
            assert!(!changed.is_undone, "{at}");
            let report = changed.outcome.unwrap_or_else(|problem| panic!("{at}: {problem}"));
            side.mirror().scan_and_commit(Term(1), "directory", "").unwrap();
            if is_through {
                break;
            }
            assert!(is_kept(&side), "{at}: it is nowhere");
            told += usize::from(report.overtaken.is_some());
            stayed += usize::from(report.overtaken.is_none());
            assert_told(&side, name, &report, &at);
            side.start().unwrap();
            assert!(is_kept(&side), "{at}: it is nowhere after a restart");
        }
        assert!(told >= 3 && stayed >= 2, "{name}: {told} told, {stayed} stayed");
    }
}

/// spec 4.5, 5.3: the same on a shadow, small push and complete transfer: what is found is kept and told, and the directory is the
/// master's
#[test]
fn an_edit_during_an_apply_is_kept() {
    for (complete, name) in PATHS.iter().map(|name| (false, name)).chain(PATHS.iter().map(|name| (true, name))) {
        let mut told = 0;
        for points in 0.. {
            let at = format!("{name}, edited at point {points}, complete: {complete}");
            let (master, mut shadow) = (master(), Side::quick());
            shadow.pull(&master, true).unwrap();
            second(&master);
            meddle(&shadow, points, name);
            shadow.pull(&master, complete).unwrap_or_else(|problem| panic!("{at}: {problem}"));
            let is_through = !has_meddled(&shadow);
            if is_through {
                break;
            }
            told += shadow.mirror().take_overtaken().len();
            shadow.mirror().restore_drift().unwrap();
            shadow.assert_like(&master);
            assert!(is_kept(&shadow), "{at}: it is nowhere");
            shadow.start().unwrap();
            assert!(is_kept(&shadow), "{at}: it is nowhere after a restart");
        }
        assert!(told >= 3, "{name}: {told}");
    }
}

/// spec 5.3: the program dies, or a write fails, after the edit was displaced: it is kept all the same
#[test]
fn what_was_displaced_survives_a_death() {
    let each = |name| LATER.map(|later| [(name, later, true), (name, later, false)]);
    for (name, later, dies) in ["replaced", "d/removed", "new"].into_iter().flat_map(each).flatten() {
        for points in 0.. {
            let at = format!("{name}, edited at point {points}, {later} before the end, dies: {dies}");
            let (master, mut shadow) = (master(), Side::quick());
            shadow.pull(&master, true).unwrap();
            second(&master);
            meddle(&shadow, points, name);
            let fault = if dies { testing::Fault::Dies } else { testing::Fault::FailsOnce };
            shadow.mirror().inner.crash.plan(&[(points + later, fault)]);
            let is_through = shadow.pull(&master, false).is_ok();
            let has_meddled = has_meddled(&shadow);
            if dies {
                shadow.start().unwrap();
            }
            shadow.mirror().inner.crash.mend();
            shadow.mirror().restore_drift().unwrap();
            assert!(!has_meddled || !was_made(&shadow) || is_kept(&shadow), "{at}: it is nowhere");
            shadow.pull(&master, false).unwrap();
            shadow.assert_like(&master);
            shadow.start().unwrap();
            assert!(!has_meddled || !was_made(&shadow) || is_kept(&shadow), "{at}: it is nowhere after a restart");
            if is_through && !has_meddled {
                break;
            }
        }
    }
}

/// spec 4.5: the same while drift is put back, which no journal knows of
#[test]
fn an_edit_while_drift_is_put_back_is_kept() {
    for (name, dies) in [("replaced", false), ("extra", false), ("replaced", true), ("extra", true)] {
        for points in 0.. {
            let at = format!("{name}, edited at point {points}, dies: {dies}");
            let (master, mut shadow) = (master(), Side::quick());
            shadow.pull(&master, true).unwrap();
            for drift in ["replaced", "extra"] {
                shadow.write(drift, "drift");
            }
            meddle(&shadow, points, name);
            if dies {
                shadow.mirror().inner.crash.arm(points + 3);
            }
            let _ = shadow.mirror().restore_drift();
            let is_through = !has_meddled(&shadow);
            shadow.start().unwrap();
            shadow.mirror().restore_drift().unwrap();
            assert!(is_through || is_kept(&shadow), "{at}: it is nowhere");
            shadow.assert_like(&master);
            if is_through {
                break;
            }
        }
    }
}
