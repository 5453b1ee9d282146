//! A revision is applied whole or not at all (spec 5.3).

use super::*;

/// A master with two revisions that differ in every way, and a shadow at the first.
fn pair() -> (Side, Side) {
    let (master, shadow) = (Side::quick(), Side::quick());
    fs::create_dir_all(master.at("dir/deep")).unwrap();
    for name in ["changes", "goes", "becomes-dir", "dir/deep/inside"] {
        master.write(name, "old");
    }
    symlink("changes", master.at("link")).unwrap();
    fs::create_dir(master.at("becomes-file")).unwrap();
    master.write("becomes-file/x", "x");
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    master.write("changes", "new");
    fs::remove_file(master.at("goes")).unwrap();
    fs::remove_file(master.at("becomes-dir")).unwrap();
    fs::create_dir(master.at("becomes-dir")).unwrap();
    master.write("becomes-dir/y", "y");
    fs::remove_dir_all(master.at("becomes-file")).unwrap();
    master.write("becomes-file", "f");
    fs::remove_file(master.at("link")).unwrap();
    symlink("becomes-file", master.at("link")).unwrap();
    fs::set_permissions(master.at("dir"), fs::Permissions::from_mode(0o700)).unwrap();
    fs::set_permissions(master.at("dir/deep/inside"), fs::Permissions::from_mode(0o600)).unwrap();
    master.commit(1).unwrap();
    (master, shadow)
}

/// spec 5.3: whatever the moment of the death, the directory is a whole revision after the next start, the one that the
/// store says it is; and it can go on from there
#[test]
fn death_at_any_step_leaves_a_whole_revision() {
    for complete in [false, true] {
        let (mut undone, mut finished) = (0, 0);
        for points in 0.. {
            let (master, mut shadow) = pair();
            let (old, new) = (shadow.on_disk(), master.on_disk());
            shadow.mirror().inner.crash.arm(points);
            let is_through = shadow.pull(&master, complete).is_ok();
            shadow.start().unwrap();
            assert_eq!(shadow.mirror().inner.store.journal(|_| Ok(())).unwrap(), None);
            let head = shadow.mirror().head().unwrap().revision;
            if head.number == 1 {
                assert_eq!(shadow.on_disk(), old, "died at point {points}");
                undone += 1;
            } else {
                assert_eq!(shadow.on_disk(), new, "died at point {points}");
                finished += usize::from(!is_through);
            }
            assert_eq!(shadow.mirror().verify_own().unwrap().0, head.root);
            shadow.pull(&master, false).unwrap();
            shadow.assert_like(&master);
            if is_through {
                break;
            }
        }
        assert!(undone >= 2 && finished >= 10, "{undone} undone, {finished} finished");
    }
}

/// A shadow that died in an apply when the first file was in its place. `from`: the point to begin with; becomes the right one.
fn died_half_way(from: &mut usize) -> (Side, Side) {
    for points in *from.. {
        let (master, shadow) = pair();
        let before = shadow.on_disk();
        shadow.mirror().inner.crash.arm(points);
        shadow.pull(&master, false).unwrap_err();
        if shadow.on_disk() != before {
            *from = points;
            return (master, shadow);
        }
    }
    unreachable!("an apply changes the directory");
}

/// spec 5.3: death during the recovery itself, at every point of it
#[test]
fn death_during_recovery_is_recovered_from() {
    let (mut deaths, mut from) = (0, 0);
    loop {
        let (master, mut shadow) = died_half_way(&mut from);
        shadow.mirror = None;
        let store = Store::open(&shadow.home.path().join("home")).unwrap();
        store.crash().arm(deaths);
        let is_through = Mirror::open(store, shadow.directory(), LIMITS).is_ok();
        shadow.start().unwrap();
        shadow.assert_like(&master);
        assert_eq!(shadow.mirror().head().unwrap().revision.number, 2);
        if is_through {
            break;
        }
        deaths += 1;
    }
    assert!(deaths >= 10, "{deaths}");
}

/// spec 5.3: a directory that goes and has got something in it meanwhile stays: an apply that fails (and does not die) leaves
/// everything as it was, and what came too
#[test]
fn a_failure_half_way_is_undone() {
    let (master, shadow) = pair();
    let before = shadow.on_disk();
    let push = master.mirror().build_push(&shadow.trail(), false).unwrap();
    struct Meddler<'a>(MirrorSource, &'a Side);
    impl ContentSource for Meddler<'_> {
        fn manifest(
            &mut self,
            revision: RevisionId,
            sink: &mut dyn FnMut(ManifestEntry) -> Result<(), Problem>,
        ) -> Result<(), Problem> {
            self.0.manifest(revision, sink)
        }
        fn content(
            &mut self,
            wanted: &[Digest],
            sink: &mut dyn FnMut(Digest, crate::store::Packed) -> Result<(), Problem>,
        ) -> Result<(), Problem> {
            // After the disk was looked at, and before anything is placed.
            let _ = fs::remove_file(self.1.at("link"));
            let _ = fs::create_dir(self.1.at("link"));
            let _ = fs::write(self.1.at("link/x"), "in the way");
            let _ = fs::write(self.1.at("becomes-file/new"), "stays");
            self.0.content(wanted, sink)
        }
    }
    let mut payload: PushPayload = rmp_serde::from_slice(&push.payload).unwrap();
    payload.contents.clear();
    let push = Push { payload: rmp_serde::to_vec_named(&payload).unwrap(), ..push };
    let mut source = Meddler(MirrorSource(master.mirror().clone()), &shadow);
    let problem = shadow.mirror().apply(&push, false, &mut source, &mut |_| {}).unwrap_err();
    assert!(problem.what.contains("becomes-file"), "{problem}");
    assert_eq!(shadow.mirror().inner.store.journal(|_| Ok(())).unwrap(), None);
    assert_eq!(shadow.mirror().head().unwrap().revision.number, 1);
    assert_eq!(fs::read(shadow.at("becomes-file/new")).unwrap(), b"stays");
    assert_eq!(shadow.mirror().drifts().unwrap()[0].files, ["link", "link/x"], "what stood in the way is kept");
    fs::remove_file(shadow.at("becomes-file/new")).unwrap();
    assert_eq!(shadow.on_disk(), before);
    shadow.pull(&master, true).unwrap();
    shadow.assert_like(&master);
}

/// spec 7.3: an interrupted apply whose files an operator meddled with before the next start still ends whole
#[test]
fn recovery_overrules_what_happened_meanwhile() {
    let (master, mut shadow) = died_half_way(&mut 0);
    shadow.mirror = None;
    shadow.write("changes", "by hand");
    let _ = fs::remove_dir_all(shadow.at("becomes-dir"));
    let _ = fs::remove_file(shadow.at("becomes-dir"));
    shadow.start().unwrap();
    shadow.assert_like(&master);
    shadow.start().unwrap();
    assert_eq!(shadow.mirror().content(&digest::of_content(b"by hand")).unwrap().unwrap(), b"by hand");
}
