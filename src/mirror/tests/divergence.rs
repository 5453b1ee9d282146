//! Revisions that only the loser has (spec 7.6).

use super::*;

/// spec 7.6: both committed on the same parent; the loser's revisions and its uncommitted files are kept as a branch
#[test]
fn a_divergence_is_kept_as_a_branch() {
    let (mut loser, winner) = (Side::new(), Side::new());
    loser.write("a", "common");
    loser.commit(1).unwrap();
    let common = winner.pull(&loser, true).unwrap().0.revision;
    for text in ["loser 2", "loser 3"] {
        loser.write("a", text);
        loser.commit(1).unwrap();
    }
    loser.write("only-on-disk", "edited while it was down");
    winner.write("w", "winner 2");
    let head = winner.commit(2).unwrap().revision;
    let (committed, branch) = loser.pull(&winner, false).unwrap();
    assert_eq!(committed.revision, head);
    loser.assert_like(&winner);
    let branch = branch.unwrap();
    assert_eq!(branch.name, "diverged-term-1-rev-4");
    assert_eq!((branch.common, branch.revisions), (Some(common), 3));
    assert_eq!((branch.files.as_slice(), branch.files_total), (&["a".into(), "only-on-disk".into()][..], 2));
    loser.start().unwrap();
    assert_eq!(loser.mirror().branches().unwrap(), std::slice::from_ref(&branch));
    assert_eq!(loser.mirror().branch(&branch.name).unwrap(), Some(branch.clone()));
    for kept in ["loser 2", "loser 3", "edited while it was down"] {
        assert!(loser.mirror().content(&digest::of_content(kept.as_bytes())).unwrap().is_some(), "{kept}");
    }
    assert_eq!(loser.mirror().inner.store.branch_changes(&branch.name).unwrap().len(), 3);
    // From here on it is an ordinary shadow, and its history is the winner's.
    assert_eq!(loser.trail(), [head, common]);
    winner.write("w", "winner 3");
    winner.commit(2).unwrap();
    assert_eq!(loser.pull(&winner, false).unwrap().1, None);
    loser.assert_like(&winner);
    // And it may lose once more, from the same state.
    loser.write("a", "again");
    loser.commit(3).unwrap();
    winner.write("w", "winner 4");
    winner.commit(4).unwrap();
    assert_eq!(loser.pull(&winner, false).unwrap().1.unwrap().name, "diverged-term-3-rev-4");
    assert_eq!(loser.mirror().branches().unwrap().len(), 2);
}

/// spec 5.1: what was there before the first connection is gone from the directory, and kept
#[test]
fn files_of_a_new_shadow_are_kept() {
    let (master, shadow) = (Side::new(), Side::new());
    master.write("a", "of the master");
    master.commit(1).unwrap();
    shadow.write("a", "of the shadow");
    shadow.write("b", "extra");
    let branch = shadow.pull(&master, true).unwrap().1.unwrap();
    assert_eq!((branch.common, branch.files_total), (None, 2));
    shadow.assert_like(&master);
    assert!(shadow.mirror().content(&digest::of_content(b"of the shadow")).unwrap().is_some());
}

/// spec 3.6: a shadow with the history of another pair
#[test]
fn nothing_in_common_is_a_branch_of_all() {
    let (master, shadow) = (Side::new(), Side::new());
    for side in [&master, &shadow] {
        for number in 0..3 {
            side.write("a", &format!("{number} in {:?}", side.directory()));
            side.commit(1).unwrap();
        }
    }
    let branch = shadow.pull(&master, false).unwrap().1.unwrap();
    assert_eq!((branch.name.as_str(), branch.common, branch.revisions), ("diverged-term-1-rev-3", None, 3));
    shadow.assert_like(&master);
    assert_eq!(shadow.trail(), [master.trail()[0]]);
}

/// spec 5.5: the master came back from a backup and is behind; the same state again needs no new revision
#[test]
fn a_master_that_is_behind_is_followed() {
    let (master, shadow) = (Side::new(), Side::new());
    master.write("a", "1");
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    shadow.write("a", "2");
    shadow.commit(2).unwrap();
    let (committed, branch) = shadow.pull(&master, false).unwrap();
    assert_eq!(committed.revision, master.trail()[0]);
    assert_eq!(branch.unwrap().revisions, 1);
    shadow.assert_like(&master);
}

/// spec 4.5: whatever is changed on a shadow is found, told with its path, put back byte for byte and mode for mode, and kept
#[test]
fn drift_of_every_kind_is_told_put_back_and_kept() {
    let (master, shadow) = (Side::new(), Side::new());
    for name in ["changed", "mode", "removed", "kind"] {
        master.write(name, "master");
    }
    fs::create_dir(master.at("d")).unwrap();
    master.write("d/inside", "master");
    symlink("changed", master.at("link")).unwrap();
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    assert_eq!(shadow.mirror().look_for_drift().unwrap(), Drift::default());
    shadow.write("changed", "here!!");
    fs::set_permissions(shadow.at("mode"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::remove_file(shadow.at("removed")).unwrap();
    shadow.write("added", "here");
    fs::remove_dir_all(shadow.at("d")).unwrap();
    shadow.write("d", "a file where a directory was");
    fs::remove_file(shadow.at("kind")).unwrap();
    fs::create_dir(shadow.at("kind")).unwrap();
    shadow.write("kind/inside", "a directory where a file was");
    fs::remove_file(shadow.at("link")).unwrap();
    symlink("mode", shadow.at("link")).unwrap();
    let drift = shadow.mirror().look_for_drift().unwrap();
    let told = drift.paths.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n");
    for part in ["changed was changed", "mode had mode 0600", "removed was removed", "added was added", "d was changed"]
    {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    for part in ["d/inside was removed", "kind was changed", "kind/inside was added", "link was changed"] {
        assert!(told.contains(part), "{part} in\n{told}");
    }
    assert_eq!(drift.paths_total, 9);
    shadow.assert_like(&master);
    let kept = drift.kept.unwrap();
    assert!(kept.name.starts_with("drift-") && kept.files_total == 9 && kept.at.0 > 0, "{kept:?}");
    for text in ["here!!", "here", "a file where a directory was", "a directory where a file was", "mode"] {
        assert!(shadow.mirror().content(&digest::of_content(text.as_bytes())).unwrap().is_some(), "{text}");
    }
    assert_eq!(shadow.mirror().branch_changes(&kept.name).unwrap().len(), 9);
    assert_eq!(shadow.mirror().look_for_drift().unwrap(), Drift::default());
}
