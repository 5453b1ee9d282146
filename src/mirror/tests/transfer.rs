//! Breaks in a transfer, and damage on the way and on the disk.

use super::*;
use crate::engine::status::TransferStep;

/// Breaks after so many contents; remembers what was asked for and what travelled.
struct Breaking {
    from: MirrorSource,
    left: usize,
    asked: usize,
    bytes: usize,
}

impl Breaking {
    fn new(master: &Side, left: usize) -> Self {
        Self { from: MirrorSource(master.mirror().clone()), left, asked: 0, bytes: 0 }
    }
}

impl ContentSource for Breaking {
    fn manifest(
        &mut self,
        revision: RevisionId,
        sink: &mut dyn FnMut(ManifestEntry) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.from.manifest(revision, sink)
    }

    fn content(
        &mut self,
        wanted: &[Digest],
        sink: &mut dyn FnMut(Digest, Packed) -> Result<(), Problem>,
    ) -> Result<(), Problem> {
        self.asked += wanted.len();
        let (left, bytes) = (&mut self.left, &mut self.bytes);
        self.from.content(wanted, &mut |digest, content| {
            *left = left.checked_sub(1).ok_or_else(|| Problem::new("test", "the link broke", ""))?;
            *bytes += content.bytes.len();
            sink(digest, content)
        })
    }
}

/// A master with so many files of which no two are the same.
fn master_of(files: usize) -> Side {
    let master = Side::new();
    fs::create_dir(master.at("d")).unwrap();
    let mut draw = Draw::new(5);
    for number in 0..files {
        let noise: Vec<u8> = (0..2_000).map(|_| u8::try_from(draw.below(256)).unwrap()).collect();
        fs::write(master.at(&format!("d/{number}")), noise).unwrap();
    }
    master.commit(1).unwrap();
    master
}

/// spec 5.5: after a break only what is missing travels, also when the shadow was started anew meanwhile
#[test]
fn what_came_before_a_break_does_not_come_again() {
    const FILES: usize = 60;
    for restarts in [false, true] {
        let (master, mut shadow) = (master_of(FILES), Side::new());
        let push = master.mirror().build_push(&shadow.trail(), true).unwrap();
        let mut first = Breaking::new(&master, 40);
        let before = shadow.on_disk();
        shadow.mirror().apply(&push, true, &mut first, &mut |_| {}).unwrap_err();
        assert_eq!((shadow.mirror().head(), shadow.on_disk()), (None, before), "nothing half is seen");
        if restarts {
            shadow.start().unwrap();
        }
        let mut second = Breaking::new(&master, usize::MAX);
        shadow.mirror().apply(&push, true, &mut second, &mut |_| {}).unwrap();
        assert_eq!(second.asked, FILES - 40, "restarts: {restarts}");
        assert!(second.bytes < first.bytes);
        shadow.assert_like(&master);
        // What is of no use is dropped again at a start.
        shadow.mirror().inner.store.put_contents(&[(Digest([1; 32]), Packed::of(b"unused".to_vec()))]).unwrap();
        shadow.start().unwrap();
        assert!(!shadow.mirror().inner.store.has_content(&Digest([1; 32])).unwrap());
    }
}

/// spec 4.3: each step says how far it is, and ends with everything done
#[test]
fn every_step_tells_how_far_it_is() {
    let (master, shadow) = (master_of(30), Side::new());
    let push = master.mirror().build_push(&shadow.trail(), true).unwrap();
    let mut told: Vec<Transfer> = Vec::new();
    let mut source = Breaking::new(&master, usize::MAX);
    shadow.mirror().apply(&push, true, &mut source, &mut |transfer| told.push(transfer)).unwrap();
    assert!(told.is_sorted_by_key(|transfer| (transfer.step, transfer.files_done)));
    for step in [TransferStep::Receiving, TransferStep::Writing, TransferStep::Verifying] {
        let last = told.iter().rfind(|transfer| transfer.step == step).unwrap();
        assert_eq!((last.files_done, last.bytes_done), (30, 60_000), "{step:?}");
        assert_eq!((last.files_total, last.bytes_total), (30, 60_000), "{step:?}");
    }
}

/// spec 4.3, 5.7: a content that is damaged on the way is refused, and the shadow is where it was
#[test]
fn damage_on_the_way_is_noticed() {
    struct Damages(MirrorSource);
    impl ContentSource for Damages {
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
            sink: &mut dyn FnMut(Digest, Packed) -> Result<(), Problem>,
        ) -> Result<(), Problem> {
            self.0.content(wanted, &mut |digest, mut content| {
                let middle = content.bytes.len() / 2;
                content.bytes[middle] ^= 1;
                sink(digest, content)
            })
        }
    }
    let (master, shadow) = (master_of(3), Side::new());
    let push = master.mirror().build_push(&shadow.trail(), true).unwrap();
    let before = shadow.on_disk();
    let mut source = Damages(MirrorSource(master.mirror().clone()));
    let problem = shadow.mirror().apply(&push, true, &mut source, &mut |_| {}).unwrap_err();
    assert!(problem.why.contains("does not have the digest"), "{problem}");
    assert_eq!((shadow.mirror().head(), shadow.on_disk()), (None, before));
}

/// spec 4.3, 5.7: a file that is another one on the disk between writing and the last look is noticed: what is found is kept, and it
/// is put right before anything is said to be in sync
#[test]
fn damage_on_the_disk_before_the_last_look_is_noticed() {
    let (master, shadow) = (master_of(3), Side::new());
    shadow.pull(&master, true).unwrap();
    fs::write(master.at("d/1"), [b'n'; 2_000]).unwrap();
    master.commit(1).unwrap();
    let push = master.mirror().build_push(&shadow.trail(), false).unwrap();
    let mut source = MirrorSource(master.mirror().clone());
    let mut is_damaged = false;
    let applied = shadow.mirror().apply(&push, false, &mut source, &mut |transfer| {
        if transfer.step == TransferStep::Verifying && !std::mem::replace(&mut is_damaged, true) {
            fs::write(shadow.at("d/1"), [b'x'; 2_000]).unwrap();
        }
    });
    assert_eq!((applied.unwrap().0.revision.number, is_damaged), (2, true));
    shadow.assert_like(&master);
    let told = shadow.mirror().take_overtaken();
    assert_eq!(told[0].paths[0].path, "d/1");
    let kept = shadow.mirror().content(&digest::of_content(&[b'x'; 2_000])).unwrap();
    assert!(kept.is_some() && told[0].kept == shadow.mirror().drifts().unwrap().pop());
}

/// spec 5.7: a content that the store of the shadow holds damaged is never called in sync, and fetched anew
#[test]
fn a_damaged_content_of_the_store_is_fetched_anew() {
    let wrong = |bytes: &[u8]| Packed::of(bytes.to_vec());
    let cut_off = Packed { encoding: 2, size: 2_000, bytes: vec![7; 30] };
    for damaged in [wrong(&[b'x'; 2_000]), cut_off] {
        let (master, shadow) = (master_of(3), Side::new());
        shadow.pull(&master, true).unwrap();
        let new = [b'n'; 2_000];
        fs::write(master.at("d/1"), new).unwrap();
        master.commit(1).unwrap();
        shadow.mirror().inner.store.put_contents(&[(digest::of_content(&new), damaged)]).unwrap();
        shadow.pull(&master, false).unwrap_err();
        assert_eq!(shadow.mirror().head().unwrap().revision.number, 1);
        shadow.pull(&master, false).unwrap();
        shadow.assert_like(&master);
    }
}

/// spec 5.4: links planted again and again, between any check and any write, lead nothing out of the directory
#[test]
fn a_thief_who_is_quick_gets_nothing_out() {
    use rustix::fs::{CWD, RenameFlags, renameat_with};
    use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
    const PUSHES: usize = 40;
    let (master, shadow) = (Side::new(), Side::new());
    fs::create_dir_all(master.at("d/e")).unwrap();
    (0..20).for_each(|number| master.write(&format!("d/e/{number}"), "first"));
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    let outside = shadow.home.path().join("outside");
    fs::create_dir_all(outside.join("e")).unwrap();
    (0..20).for_each(|number| fs::write(outside.join(format!("e/{number}")), "precious").unwrap());
    let link = shadow.home.path().join("link");
    symlink(&outside, &link).unwrap();
    let (is_over, swaps) = (AtomicBool::new(false), AtomicU64::new(0));
    let victim = shadow.at("d");
    std::thread::scope(|scope| {
        scope.spawn(|| {
            while !is_over.load(Ordering::Relaxed) {
                if renameat_with(CWD, &victim, CWD, &link, RenameFlags::EXCHANGE).is_ok() {
                    swaps.fetch_add(1, Ordering::Relaxed);
                }
            }
        });
        for push in 0..PUSHES {
            (0..20).for_each(|number| master.write(&format!("d/e/{number}"), &format!("push {push}")));
            master.commit(1).unwrap();
            // Whether it comes through is the thief's; where it goes is not.
            let _ = shadow.pull(&master, push % 4 == 0);
        }
        is_over.store(true, Ordering::Relaxed);
    });
    assert!(swaps.load(Ordering::Relaxed) > PUSHES as u64, "the thief was asleep");
    for number in 0..20 {
        assert_eq!(fs::read(outside.join(format!("e/{number}"))).unwrap(), b"precious");
    }
    assert_eq!(fs::read_dir(&outside).unwrap().count(), 1);
    assert_eq!(fs::read_dir(outside.join("e")).unwrap().count(), 20);
}
