//! Changes that the operator's command judges (spec 5.4).

use std::sync::atomic::AtomicUsize;

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
