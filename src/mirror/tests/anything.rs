//! Whatever a directory can hold (spec 5.1, 5.2, 5.4).

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use super::*;
use crate::mirror::exclude::Exclude;

/// Names of any bytes, some of which differ by case alone or are each other's beginning.
const NAMES: [&[u8]; 9] =
    [b"a", b"A", b"a b", b"\xff\xfe", b"new\nline", b"-rf", "\u{e4}".as_bytes(), b"a\xcc\x88", b"back\\slash"];

fn some(draw: &mut Draw, side: &Side) -> PathBuf {
    let mut path = side.directory();
    (0..=draw.below(2)).for_each(|_| path.push(OsStr::from_bytes(NAMES[draw.below(NAMES.len())])));
    path
}

fn is_directory(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|about| about.is_dir())
}

fn clear(path: &Path) {
    match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path).unwrap(),
        Ok(_) => fs::remove_file(path).unwrap(),
        Err(_) => {}
    }
}

/// One edit of any kind.
fn any_edit(draw: &mut Draw, side: &Side) {
    let (path, other) = (some(draw, side), some(draw, side));
    let parent_is_there = |path: &Path| path.parent().is_some_and(is_directory);
    if !parent_is_there(&path) {
        return;
    }
    let kind = draw.below(10);
    let is_apart = !path.starts_with(&other) && !other.starts_with(&path) && parent_is_there(&other);
    match kind {
        // A rename, over whatever is there; also to another case alone.
        0 | 1 if is_apart && fs::symlink_metadata(&path).is_ok() => {
            clear(&other);
            fs::rename(&path, &other).unwrap();
        }
        // Another name of the same file.
        2 if is_apart && fs::symlink_metadata(&path).is_ok_and(|about| about.is_file()) => {
            clear(&other);
            fs::hard_link(&path, &other).unwrap();
        }
        // Written in place, so that all names of it change.
        3 | 4 if fs::symlink_metadata(&path).is_ok_and(|about| about.is_file()) => {
            fs::write(&path, vec![b'0' + u8::try_from(draw.below(10)).unwrap(); draw.below(3) * 40]).unwrap();
        }
        5 if fs::symlink_metadata(&path).is_ok_and(|about| !about.is_symlink()) => {
            let mode = [0o600, 0o777, 0o2750, 0o4755, 0o500, 0o1777][draw.below(6)];
            fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        }
        6 => {
            clear(&path);
            symlink(OsStr::from_bytes([&b"a"[..], b"nowhere\xff", b"./A", b"a b/-rf"][draw.below(4)]), &path).unwrap();
        }
        7 => clear(&path),
        8 => {
            clear(&path);
            fs::create_dir(&path).unwrap();
        }
        _ => {
            clear(&path);
            let size = [0, 1, 4_096, 70_000][draw.below(4)];
            fs::write(&path, vec![u8::try_from(draw.below(256)).unwrap(); size]).unwrap();
        }
    }
}

/// spec 5.1, 5.2, 5.7: any tree of any names, kinds and modes after any edits is the same on both sides, and equal digests
/// say so
#[test]
fn anything_is_mirrored() {
    for seed in 0..8 {
        let mut draw = Draw::new(seed + 500);
        let (master, shadow) = (Side::new(), Side::new());
        let is_watched = seed % 2 == 0;
        if is_watched {
            master.mirror().watch(|_| {}).unwrap();
            shadow.mirror().watch(|_| {}).unwrap();
        }
        for round in 0..20 {
            (0..1 + draw.below(10)).for_each(|_| any_edit(&mut draw, &master));
            master.commit(1);
            shadow.pull(&master, draw.below(5) == 0).unwrap();
            assert_eq!(master.on_disk(), shadow.on_disk(), "seed {seed}, round {round}");
            shadow.assert_like(&master);
            assert_eq!(master.mirror().head().unwrap().revision.root, shadow.mirror().verify_own().unwrap().0);
        }
    }
}

/// spec 5.7: digests are equal exactly when what is on the two disks is
#[test]
fn equal_digests_are_equal_directories() {
    let mut draw = Draw::new(77);
    let sides: Vec<Side> = (0..12).map(|_| Side::new()).collect();
    for (index, side) in sides.iter().enumerate() {
        (0..draw.below(4)).for_each(|_| any_edit(&mut draw, side));
        if index >= 6 {
            // As the other half, made in another order.
            clear(&side.directory());
            fs::create_dir(side.directory()).unwrap();
            let mut list = sides[index - 6].on_disk();
            list.sort_by_key(|(path, ..)| (path.components().count(), std::cmp::Reverse(path.clone())));
            for (path, mode, content) in list {
                let path = side.directory().join(path);
                match mode & 0o170_000 {
                    0o040_000 => fs::create_dir(&path).unwrap(),
                    0o120_000 => symlink(OsStr::from_bytes(&content), &path).unwrap(),
                    _ => fs::write(&path, content).unwrap(),
                }
                if mode & 0o170_000 != 0o120_000 {
                    fs::set_permissions(&path, fs::Permissions::from_mode(mode & 0o7777)).unwrap();
                }
            }
        }
    }
    for left in &sides {
        for right in &sides {
            let is_same = left.on_disk() == right.on_disk();
            assert_eq!(left.mirror().verify_own().unwrap().0 == right.mirror().verify_own().unwrap().0, is_same);
        }
    }
}

/// spec 5.2: a write through one name changes the file under all its names, of which the system tells one
#[test]
fn all_names_of_a_file_change_together() {
    let master = Side::new();
    master.mirror().watch(|_| {}).unwrap();
    fs::create_dir(master.at("d")).unwrap();
    master.write("a", "one");
    fs::hard_link(master.at("a"), master.at("d/b")).unwrap();
    master.commit(1).unwrap();
    master.write("a", "two");
    let mut paths = master.commit(1).unwrap().paths;
    paths.sort();
    assert_eq!(paths, ["a", "d/b"]);
    fs::set_permissions(master.at("d/b"), fs::Permissions::from_mode(0o600)).unwrap();
    assert_eq!(master.commit(1).unwrap().paths_total, 2);
}

/// spec 5.4: pipes, sockets and devices are held back by name and never opened; what was there before stays mirrored
#[test]
fn what_is_no_file_is_held_back() {
    let (master, shadow) = (Side::new(), Side::new());
    for name in ["fifo", "socket", "good"] {
        master.write(name, "good");
    }
    master.commit(1).unwrap();
    fs::remove_file(master.at("fifo")).unwrap();
    fs::remove_file(master.at("socket")).unwrap();
    // Opening it would wait for ever.
    rustix::fs::mknodat(rustix::fs::CWD, master.at("fifo"), rustix::fs::FileType::Fifo, rustix::fs::Mode::RUSR, 0)
        .unwrap();
    let _socket = std::os::unix::net::UnixListener::bind(master.at("socket")).unwrap();
    symlink("../../etc/passwd", master.at("way-out")).unwrap();
    master.write("good", "better");
    let outcome = master.mirror().scan_and_commit(Term(1), "anna", "").unwrap();
    let told: Vec<_> = outcome.held.iter().map(|held| (held.path.as_str(), held.why.as_str())).collect();
    assert_eq!(told.len(), 3);
    assert!(told[0].0 == "fifo" && told[0].1.contains("a pipe"), "{told:?}");
    assert!(told[1].0 == "socket" && told[1].1.contains("a socket"), "{told:?}");
    assert!(told[2].0 == "way-out" && told[2].1.contains("leads out"), "{told:?}");
    shadow.pull(&master, true).unwrap();
    let there: Vec<_> = shadow.on_disk().into_iter().map(|(path, _, content)| (path, content)).collect();
    let wanted = [("fifo", "good"), ("good", "better"), ("socket", "good")];
    assert_eq!(there, wanted.map(|(path, content)| (PathBuf::from(path), content.as_bytes().to_vec())));
}

/// spec 5.2: what is newly excluded leaves the mirror, and neither disk
#[test]
fn what_is_excluded_is_left_alone_on_both() {
    let (master, shadow) = (Side::new(), Side::new());
    for side in [&master, &shadow] {
        side.mirror().watch(|_| {}).unwrap();
    }
    fs::create_dir_all(master.at("d/cache")).unwrap();
    for name in ["a", "a.log", "d/cache/x", "d/y"] {
        master.write(name, "1");
    }
    master.commit(1).unwrap();
    shadow.pull(&master, true).unwrap();
    let before = shadow.on_disk();
    let exclude = || Exclude::new(&["*.log".into(), "cache/".into()]);
    for side in [&master, &shadow] {
        side.mirror().set_exclude(exclude());
    }
    let committed = loop {
        // The watcher follows in its own time, and then everything is looked at.
        if let Some(committed) = master.commit(1) {
            break committed;
        }
        std::thread::yield_now();
    };
    assert_eq!((committed.paths_total, committed.files), (3, 2));
    let (_, branch) = shadow.pull(&master, false).unwrap();
    assert_eq!((branch, shadow.on_disk()), (None, before.clone()));
    assert_eq!(shadow.mirror().drifts().unwrap(), [], "leaving it alone is no drift");
    shadow.pull(&master, true).unwrap();
    assert_eq!(shadow.on_disk(), before, "a complete transfer neither");
    // Each side writes its own.
    shadow.write("a.log", "of the shadow");
    master.write("d/cache/x", "of the master");
    assert_eq!((master.commit(1), shadow.mirror().restore_drift().unwrap()), (None, 0));
    assert_eq!(shadow.mirror().verify_own().unwrap().0, master.mirror().verify_own().unwrap().0);
    fs::remove_dir_all(master.at("d")).unwrap();
    master.commit(1).unwrap();
    shadow.pull(&master, false).unwrap();
    assert!(!shadow.at("d").exists() && shadow.at("a.log").exists());
    fs::remove_dir_all(shadow.at(".standin-kept-d")).unwrap();
    // One alone that excludes less has the last word where the master mirrors it.
    master.mirror().set_exclude(Exclude::default());
    while master.commit(1).is_none() {
        std::thread::yield_now();
    }
    shadow.pull(&master, false).unwrap();
    assert_eq!(fs::read(shadow.at("a.log")).unwrap(), b"1");
    shadow.assert_like(&master);
}

/// spec 5.2, 5.3: what is excluded is not deleted when the master removes or renames its directory, or makes a file of it, nor
/// when a directory found on the shadow is put back: it is kept beside it, and nothing looks at it
#[test]
fn what_is_excluded_outlives_its_directory() {
    let (master, shadow) = (Side::new(), Side::new());
    for side in [&master, &shadow] {
        side.mirror().set_exclude(Exclude::new(&["*.log".into(), "cache/".into()]));
    }
    let logs = |names: &[&str]| names.iter().for_each(|name| shadow.write(name, "of the shadow"));
    let is_kept = |name: &str| fs::read(shadow.at(name)).is_ok_and(|bytes| bytes == b"of the shadow");
    for (round, is_complete) in [false, true].into_iter().enumerate() {
        let number = if round == 0 { "" } else { "-2" };
        for directory in ["gone/inner", "old", "turned", "plain"] {
            fs::create_dir_all(master.at(directory)).unwrap();
            master.write(&format!("{directory}/x"), &format!("{directory} {round}"));
        }
        master.commit(1).unwrap();
        shadow.pull(&master, is_complete).unwrap();
        fs::create_dir(shadow.at("old/cache")).unwrap();
        logs(&["gone/inner/a.log", "old/cache/x", "turned/b.log"]);
        shadow.write("plain/x~", "of an editor");
        fs::remove_dir_all(master.at("gone")).unwrap();
        fs::remove_dir_all(master.at("plain")).unwrap();
        fs::rename(master.at("old"), master.at("new")).unwrap();
        fs::remove_dir_all(master.at("turned")).unwrap();
        master.write("turned", "a file");
        master.commit(1).unwrap();
        assert_eq!(shadow.pull(&master, is_complete).unwrap().1, None);
        assert_eq!(shadow.mirror().verify_own().unwrap().0, master.mirror().verify_own().unwrap().0);
        assert!(is_kept(&format!(".standin-kept-gone{number}/.standin-kept-inner/a.log")));
        assert!(is_kept(&format!(".standin-kept-old{number}/cache/x")));
        assert!(is_kept(&format!(".standin-kept-turned{number}/b.log")));
        for name in ["gone", "old", "plain", ".standin-kept-plain"] {
            assert!(!shadow.at(name).exists(), "{name}");
        }
        assert_eq!(fs::read(shadow.at("turned")).unwrap(), b"a file");
        for name in ["new", "turned"] {
            let at = master.at(name);
            if at.is_dir() { fs::remove_dir_all(at).unwrap() } else { fs::remove_file(at).unwrap() }
        }
        master.commit(1).unwrap();
        shadow.pull(&master, is_complete).unwrap();
    }
    assert_eq!(shadow.mirror().drifts().unwrap(), [], "it is neither read nor kept in the history");
    fs::create_dir(shadow.at("stray")).unwrap();
    logs(&["stray/c.log"]);
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 1);
    assert!(is_kept(".standin-kept-stray/c.log") && !shadow.at("stray").exists());
    assert_eq!(shadow.mirror().restore_drift().unwrap(), 0);
}

/// spec 5.4: a directory that is empty because it is another one is not taken for the configuration
#[test]
fn another_and_empty_directory_is_not_taken_up() {
    let mut master = Side::new();
    master.write("a", "1");
    master.commit(1).unwrap();
    // The same one, emptied: meant.
    fs::remove_file(master.at("a")).unwrap();
    assert_eq!(master.commit(1).unwrap().files, 0);
    master.write("a", "1");
    master.commit(1).unwrap();
    let aside = master.home.path().join("aside");
    fs::rename(master.directory(), &aside).unwrap();
    assert!(master.mirror().scan_and_commit(Term(1), "anna", "").is_err(), "it is not there");
    fs::create_dir(master.directory()).unwrap();
    let problem = master.mirror().scan_and_commit(Term(1), "anna", "").unwrap_err();
    assert!(problem.why.contains("not the directory that was looked at"), "{problem}");
    // Neither after a restart.
    master.start().unwrap();
    assert!(master.mirror().scan_and_commit(Term(1), "anna", "").is_err());
    fs::remove_dir(master.directory()).unwrap();
    fs::rename(&aside, master.directory()).unwrap();
    assert_eq!(master.commit(1), None, "back again, all as it was");
    // The way out.
    fs::rename(master.directory(), &aside).unwrap();
    fs::create_dir(master.directory()).unwrap();
    master.write("b", "1");
    master.commit(1).unwrap();
    fs::remove_file(master.at("b")).unwrap();
    assert_eq!(master.commit(1).unwrap().files, 0);
}
