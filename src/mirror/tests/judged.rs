//! Changes that the operator's command judges (spec 5.4).

use std::sync::atomic::{AtomicBool, AtomicUsize};

use super::*;

/// Rejects a candidate with a file `bad`; counts.
fn judge(asked: &Arc<AtomicUsize>) -> Option<Arc<Judge>> {
    let asked = Arc::clone(asked);
    Some(Arc::new(move |candidate: &Path, changes: &Path| {
        asked.fetch_add(1, Ordering::Relaxed);
        assert_eq!(fs::read_to_string(candidate.join("rest/of/it")).unwrap(), "always there");
        let list = fs::read_to_string(changes).unwrap();
        // Whatever a command leaves there or takes away is put right before the next one.
        fs::write(candidate.join("left-over"), "").unwrap();
        fs::remove_file(candidate.join("rest/of/it")).unwrap();
        if candidate.join("bad").exists() {
            return Err(Rejection { why: "exit status 1".into(), output: list });
        }
        Ok(())
    }))
}

/// spec 5.4: a rejected change is held back as a whole; the files stay; a good state goes through by itself
#[test]
fn a_rejected_change_is_held_back_as_a_whole() {
    let master = Side::new();
    master.mirror().watch(|_| {}).unwrap();
    fs::create_dir_all(master.at("rest/of")).unwrap();
    master.write("rest/of/it", "always there");
    master.write("good", "1");
    let asked = Arc::new(AtomicUsize::new(0));
    let count = || asked.load(Ordering::Relaxed);
    master.mirror().set_judge(judge(&asked));
    master.commit(1).unwrap();
    assert_eq!(count(), 0, "of a first state there is no last good one");
    master.write("good", "2");
    master.commit(1).unwrap();
    assert_eq!(count(), 1);

    master.write("good", "3");
    master.write("bad", "1");
    let scan = || master.mirror().scan_and_commit(Term(1), "anna", "").unwrap();
    for _ in 0..3 {
        let outcome = scan();
        assert_eq!(outcome.committed, None);
        assert_eq!(outcome.rejected.unwrap().output, "A bad\nM good\n");
        let held: Vec<_> = outcome.held.iter().map(|held| (held.path.as_str(), held.is_rejected)).collect();
        assert_eq!(held, [("bad", true), ("good", true)]);
    }
    assert_eq!(count(), 2, "the same state is judged once");
    assert_eq!(fs::read(master.at("good")).unwrap(), b"3");
    assert_eq!(master.mirror().show("good", None).unwrap().text, "2");
    master.write("other", "1");
    assert!(scan().rejected.is_some(), "all of it");
    fs::remove_file(master.at("bad")).unwrap();
    let committed = master.commit(1).unwrap();
    assert_eq!((committed.paths.as_slice(), count()), (&["good".to_owned(), "other".to_owned()][..], 4));

    // Without a command what it rejected passes, and nothing of the private copy stays.
    master.write("bad", "1");
    assert!(scan().rejected.is_some());
    let copy = master.home.path().join("home/validation");
    assert_eq!(fs::metadata(&copy).unwrap().mode() & 0o777, 0o700);
    master.mirror().set_judge(None);
    assert_eq!(master.commit(1).unwrap().paths, ["bad"]);
    assert!(!copy.exists());
}

/// spec 5.4: a rejection whose reason has passed does not hold the change back for ever: it is doubted after a pause that grows,
/// or when somebody asks, and the same state is judged again
#[test]
fn a_rejection_is_tried_again() {
    let master = Side::new();
    master.write("good", "1");
    master.commit(1).unwrap();
    let is_away = Arc::new(AtomicBool::new(true));
    let asked = Arc::new(AtomicUsize::new(0));
    let (away, count) = (Arc::clone(&is_away), Arc::clone(&asked));
    master.mirror().set_judge(Some(Arc::new(move |_: &Path, _: &Path| {
        count.fetch_add(1, Ordering::Relaxed);
        let rejection = Rejection { why: "the schema server is away".into(), output: String::new() };
        if away.load(Ordering::Relaxed) { Err(rejection) } else { Ok(()) }
    })));
    let scan = || master.mirror().scan_and_commit(Term(1), "anna", "").unwrap();
    let doubt = |after| master.mirror().doubt_rejection(after).unwrap();
    master.write("good", "2");
    let first = scan();
    assert!(first.rejected.is_some() && first.retry_in.unwrap() <= candidate::RETRY_FIRST);
    // Young, and nobody asks: what was said stands.
    doubt(None);
    doubt(Some(candidate::RETRY_FIRST));
    assert!(scan().retry_in.unwrap() <= candidate::RETRY_FIRST);
    assert_eq!(asked.load(Ordering::Relaxed), 1);
    // Each further rejection of the same state makes the pause longer, up to a limit.
    let mut longest = std::time::Duration::ZERO;
    for round in 2..10 {
        doubt(Some(std::time::Duration::ZERO));
        let pause = scan().retry_in.unwrap();
        assert!(pause > candidate::RETRY_FIRST && pause <= candidate::RETRY_LONGEST, "{pause:?}");
        longest = longest.max(pause);
        assert_eq!(asked.load(Ordering::Relaxed), round);
    }
    assert!(longest > candidate::RETRY_LONGEST / 2);
    // Another state is no further try of that one.
    master.write("good", "3");
    assert!(scan().retry_in.unwrap() <= candidate::RETRY_FIRST);
    is_away.store(false, Ordering::Relaxed);
    assert!(scan().rejected.is_some());
    doubt(Some(std::time::Duration::ZERO));
    let passed = scan();
    assert_eq!((passed.committed.unwrap().paths.as_slice(), passed.held.len()), (&["good".to_owned()][..], 0));
    assert_eq!(passed.retry_in, None);
}
