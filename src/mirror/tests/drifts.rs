//! What drifts hold in the store (spec 4.5, 5.6).

use super::*;
use crate::store::Retention;

/// Bytes of each stray file; they do not pack.
const STRAY: usize = 100_000;
const SIZE: u64 = STRAY as u64;

fn noise(seed: u64) -> Vec<u8> {
    let mut draw = Draw::new(seed);
    (0..STRAY).map(|_| u8::try_from(draw.below(256)).unwrap()).collect()
}

/// A master with one file, and a shadow that has it.
fn two() -> (Side, Side) {
    let (master, shadow) = (Side::new(), Side::new());
    master.write("a", "right");
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    (master, shadow)
}

/// A stray file on the shadow, found and kept; the name of its drift.
fn stray(shadow: &Side, seed: u64) -> String {
    fs::write(shadow.at("stray"), noise(seed)).unwrap();
    let kept = shadow.mirror().look_for_drift().unwrap().kept.unwrap();
    assert!(!shadow.at("stray").exists());
    kept.name
}

fn has(side: &Side, seed: u64) -> bool {
    side.mirror().inner.store.has_content(&digest::of_content(&noise(seed))).unwrap()
}

fn drop_over(side: &Side, bytes: u64) -> Vec<String> {
    side.mirror().tidy_drifts(bytes).unwrap().into_iter().map(|drift| drift.name).collect()
}

/// spec 4.5, 5.6, 7.6: drifts together hold at most so much: the oldest go, with their contents at once and also after a
/// restart; the newest stays, however large, and so does a branch of a divergence.
#[test]
fn the_oldest_drifts_go_when_all_hold_too_much() {
    let (master, mut shadow) = two();
    fs::write(shadow.at("only here"), noise(99)).unwrap();
    let diverged = {
        shadow.mirror().scan_and_commit(Term(1), "directory", "").unwrap().committed.unwrap();
        master.write("a", "right again");
        master.commit(1).unwrap();
        shadow.pull(&master, true).unwrap().1.unwrap()
    };
    let names: Vec<_> = (0..5).map(|seed| stray(&shadow, seed)).collect();
    assert_eq!(drop_over(&shadow, SIZE * 6), [""; 0]);
    assert_eq!(drop_over(&shadow, SIZE * 7 / 2), names[..2], "the branch of a divergence does not count");
    assert_eq!([0, 1, 2, 3, 4].map(|seed| has(&shadow, seed)), [false, false, true, true, true]);
    shadow.start().unwrap();
    assert_eq!(drop_over(&shadow, SIZE * 5 / 2), names[2..3]);
    let dropped = shadow.mirror().tidy_drifts(0).unwrap();
    assert!(
        dropped.len() == 1 && dropped[0].name == names[3] && (SIZE..SIZE * 2).contains(&dropped[0].bytes),
        "{dropped:?}"
    );
    assert_eq!([2, 3, 4, 99].map(|seed| has(&shadow, seed)), [false, false, true, true]);
    let left: Vec<_> = shadow.mirror().all_branches().unwrap().into_iter().map(|branch| branch.name).collect();
    assert_eq!(left, [diverged.name, names[4].clone()]);
}

/// spec 4.5, 5.6: what a revision or a newer drift has too does not go with a drift, and is not counted twice.
#[test]
fn what_others_need_does_not_go_with_a_drift() {
    let (master, shadow) = two();
    let first = stray(&shadow, 1);
    // The master takes it in.
    fs::write(master.at("taken in"), noise(1)).unwrap();
    master.commit(1).unwrap();
    shadow.pull(&master, false).unwrap();
    // It comes together with another one, and that once more: in two drifts.
    fs::write(shadow.at("copy"), noise(1)).unwrap();
    let second = stray(&shadow, 2);
    fs::write(shadow.at("other"), noise(3)).unwrap();
    let third = stray(&shadow, 2);
    assert_eq!(drop_over(&shadow, SIZE * 3), [""; 0], "the second content and the third, each once");
    assert_eq!(drop_over(&shadow, 0), [first, second]);
    assert_eq!([1, 2, 3].map(|seed| has(&shadow, seed)), [true, true, true]);
    assert_eq!(shadow.mirror().drifts().unwrap().len(), 1);
    stray(&shadow, 4);
    assert_eq!(drop_over(&shadow, 0), [third]);
    assert_eq!([1, 2, 3, 4].map(|seed| has(&shadow, seed)), [true, false, false, true]);
    shadow.assert_like(&master);
}

/// spec 5.6: what drifts hold counts towards the size of the history, and never takes more than half of it from revisions.
#[test]
fn what_drifts_hold_is_taken_off_the_size_of_the_history() {
    let revisions = |size: u64, drift: bool| {
        let (master, shadow) = two();
        for seed in 10..15 {
            fs::write(master.at("large"), noise(seed)).unwrap();
            master.commit(1).unwrap();
            shadow.pull(&master, false).unwrap();
        }
        if drift {
            stray(&shadow, 1);
        }
        let keep = Retention { count: u64::MAX, age: u64::MAX, now: 0, bytes: size, needed: None };
        shadow.mirror().tidy(&keep).unwrap();
        shadow.mirror().log(None, None, 100).unwrap().len()
    };
    let size = SIZE * 7 / 2;
    assert_eq!((revisions(size, false), revisions(size, true)), (3, 2));
    assert_eq!(revisions(SIZE * 5 / 4, true), revisions(SIZE * 5 / 8, false));
}

/// spec 4.5, 5.6: there are never more drifts than a fixed number, however little they hold.
#[test]
fn the_oldest_drifts_go_when_there_are_too_many() {
    let (master, shadow) = (Side::quick(), Side::quick());
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    let text = |number: usize| format!("stray {number}");
    let (more, all) = (3, crate::store::DRIFTS_MAX + 3);
    for number in 0..all {
        shadow.write("stray", &text(number));
        assert_eq!(shadow.mirror().look_for_drift().unwrap().paths_total, 1);
    }
    let dropped = shadow.mirror().tidy_drifts(u64::MAX).unwrap();
    assert!(dropped.len() == more && dropped.iter().all(|drift| drift.is_one_too_many), "{dropped:?}");
    let has = |number| shadow.mirror().content(&digest::of_content(text(number).as_bytes())).unwrap().is_some();
    assert!((0..all).all(|number| has(number) == (number >= more)));
}

/// spec 4.5: what is found once more is the same drift, of the last time, and the newest one.
#[test]
fn a_drift_that_is_found_again_is_the_newest() {
    let (_master, shadow) = two();
    let first = stray(&shadow, 1);
    let found_at = shadow.mirror().drifts().unwrap()[0].at;
    let second = stray(&shadow, 2);
    std::thread::sleep(std::time::Duration::from_millis(5));
    assert_eq!(stray(&shadow, 1), first);
    let drifts = shadow.mirror().drifts().unwrap();
    assert_eq!(drifts.iter().map(|drift| &drift.name).collect::<Vec<_>>(), [&second, &first]);
    assert!(drifts[1].at > found_at);
    assert_eq!(drop_over(&shadow, 0), [second]);
    assert!(has(&shadow, 1) && !has(&shadow, 2));
}

/// spec 4.5: a large file that is found on a shadow, and one that is put back, are in memory by the piece alone. In a process
/// of its own, in whose memory nothing else has a part.
#[test]
fn large_drift_takes_little_memory() {
    let test = std::env::current_exe().unwrap();
    let child = ["--exact", "mirror::tests::drifts::large_drift_in_its_own_process", "--ignored", "--nocapture"];
    let output = std::process::Command::new(test).args(child).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success() && said.contains("1 passed"), "{said}{}", String::from_utf8_lossy(&output.stderr));
}

/// See [`large_drift_takes_little_memory`].
#[test]
#[ignore = "run by another test, alone in its process"]
fn large_drift_in_its_own_process() {
    const MEGABYTES: usize = 16;
    // A third of what they take where each is in memory as a whole, and twice what pieces and the database take.
    const GROWN_MAX_KB: usize = 25_000;
    let peak_kb = || -> usize {
        let status = fs::read_to_string("/proc/self/status").unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
        line.trim().trim_end_matches("kB").trim().parse().unwrap()
    };
    let side = Side::new();
    side.mirror().set_limits(Limits { file_size: CONTENT_MAX_BYTES, ..LIMITS });
    // What is the same is too far apart to be packed.
    let block: Vec<u8> = (20..30).flat_map(noise).collect();
    let write = |name: &str, first: &str| {
        use std::io::Write as _;
        let mut file = fs::File::create(side.at(name)).unwrap();
        file.write_all(first.as_bytes()).unwrap();
        (0..MEGABYTES).for_each(|_| file.write_all(&block).unwrap());
    };
    let digest_of = |name: &str| {
        let file = fs::File::open(side.at(name)).unwrap();
        let size = file.metadata().unwrap().len();
        content::digest_of(&file, size).unwrap().0
    };
    write("warm", "up");
    fs::write(side.at("warm"), "it has been run once").unwrap();
    let before = peak_kb();
    write("mirrored", "right");
    let right = digest_of("mirrored");
    side.commit(1).unwrap();
    write("mirrored", "wrong");
    write("stray", "wrong too");
    let stray = digest_of("stray");
    assert_eq!(side.mirror().look_for_drift().unwrap().paths_total, 2);
    assert_eq!(digest_of("mirrored"), right);
    assert!(side.mirror().inner.store.has_content(&stray).unwrap());
    let grown = peak_kb() - before;
    assert!(grown < GROWN_MAX_KB, "{grown} kB for files of {MEGABYTES} MB");
}

/// spec 5.6: a note that is wrong costs nothing of the history
#[test]
fn what_has_a_name_stays_whatever_is_noted() {
    let (master, shadow) = two();
    stray(&shadow, 1);
    let right = digest::of_content(b"right");
    shadow.mirror().inner.store.note_wrongly_as_a_drift(&right);
    stray(&shadow, 2);
    assert_eq!(drop_over(&shadow, 0).len(), 1);
    assert!(!has(&shadow, 1) && shadow.mirror().inner.store.has_content(&right).unwrap());
    shadow.assert_like(&master);
}
