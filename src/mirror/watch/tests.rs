use std::fs;
use std::sync::mpsc::{Receiver, channel};
use std::time::Duration;

use super::*;
use crate::mirror::path::RelPath;

const LIMIT: Duration = Duration::from_secs(20);

fn start(directory: &Path) -> (Watcher, Receiver<WatchEvent>) {
    let (sender, heard) = channel();
    (Watcher::start(directory, &Arc::default(), move |event| drop(sender.send(event))).unwrap(), heard)
}

fn wait(heard: &Receiver<WatchEvent>) {
    heard.recv_timeout(LIMIT).expect("the change must be told");
    // The rest of the same change.
    while heard.recv_timeout(Duration::from_millis(100)).is_ok() {}
}

fn taken(watcher: &Watcher) -> Vec<(String, bool)> {
    let dirty = watcher.take();
    assert!(!dirty.is_all, "only what changed");
    dirty.each().map(|(path, is_deep)| (path.to_string(), is_deep)).collect()
}

/// spec 5.2
#[test]
fn changes_are_told_in_new_directories_too_and_readers_are_not() {
    let home = tempfile::tempdir().unwrap();
    let (watcher, heard) = start(home.path());
    fs::write(home.path().join("a"), "1").unwrap();
    wait(&heard);
    fs::create_dir(home.path().join("d")).unwrap();
    wait(&heard);
    fs::write(home.path().join("d/inside"), "1").unwrap();
    wait(&heard);
    fs::read(home.path().join("d/inside")).unwrap();
    fs::read_dir(home.path().join("d")).unwrap().count();
    fs::write(home.path().join("a~"), "1").unwrap();
    fs::write(home.path().join("b"), "the first thing told after the three above").unwrap();
    assert_eq!(heard.recv_timeout(LIMIT), Ok(WatchEvent::Changed));
    drop(watcher);
    let (watcher, heard) = start(&home.path().join("missing"));
    assert!(matches!(heard.recv_timeout(LIMIT), Ok(WatchEvent::Gone(_))));
    assert_eq!(watcher.take(), Dirty::all());
}

/// spec 5.2, 7.3: what may have changed is known at the very moment of asking, whether the thread was told or not
#[test]
fn what_changed_is_known_at_once_and_only_that() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir_all(at("d/e")).unwrap();
    for name in ["a", "d/x", "d/e/y"] {
        fs::write(at(name), "1").unwrap();
    }
    let (watcher, _heard) = start(home.path());
    assert_eq!(watcher.take(), Dirty::all(), "nothing is known at first");
    for round in 0..100 {
        assert_eq!(watcher.take(), Dirty::nothing());
        fs::read(at("d/e/y")).unwrap();
        assert_eq!(watcher.take(), Dirty::nothing(), "readers change nothing");
        fs::write(at("d/e/y"), round.to_string()).unwrap();
        assert_eq!(taken(&watcher), [("d/e/y".to_owned(), false)]);
    }
    fs::rename(at("a"), at("d/a")).unwrap();
    assert_eq!(taken(&watcher), [("a".to_owned(), true), ("d/a".to_owned(), true)]);

    // A directory that moved is watched under its new name, and no longer under the old.
    fs::rename(at("d"), at("f")).unwrap();
    assert_eq!(taken(&watcher), [("d".to_owned(), true), ("f".to_owned(), true)]);
    fs::write(at("f/e/y"), "moved").unwrap();
    assert_eq!(taken(&watcher), [("f/e/y".to_owned(), false)]);
    fs::create_dir_all(at("g/h/i")).unwrap();
    fs::write(at("g/h/i/z"), "1").unwrap();
    assert_eq!(taken(&watcher)[0], ("g".to_owned(), true));
    fs::write(at("g/h/i/z"), "2").unwrap();
    assert_eq!(taken(&watcher), [("g/h/i/z".to_owned(), false)]);
    fs::remove_dir_all(at("g")).unwrap();
    assert_eq!(taken(&watcher), [("g".to_owned(), true)]);

    let mut again = Dirty::nothing();
    again.add(RelPath::new(b"k").unwrap(), false);
    watcher.give_back(again);
    assert_eq!(taken(&watcher), [("k".to_owned(), false)]);
}

/// spec 5.2: a directory that is gone is not taken for one in which nothing changes
#[test]
fn a_directory_that_is_gone_is_told_and_everything_is_looked_at() {
    let home = tempfile::tempdir().unwrap();
    let directory = home.path().join("d");
    fs::create_dir(&directory).unwrap();
    let (watcher, heard) = start(&directory);
    let _ = watcher.take();
    assert_eq!(watcher.take(), Dirty::nothing());
    fs::rename(&directory, home.path().join("e")).unwrap();
    assert_eq!(watcher.take(), Dirty::all());
    assert_eq!(watcher.take(), Dirty::all(), "as long as it lasts");
    drop((watcher, heard));

    // Told by the thread where nobody asks.
    let directory = home.path().join("e");
    let (_watcher, heard) = start(&directory);
    fs::rename(&directory, home.path().join("f")).unwrap();
    assert!(matches!(heard.recv_timeout(LIMIT), Ok(WatchEvent::Gone(why)) if why.contains("is not there")));
}

/// spec 5.2: changes that were lost cost a look at everything, never a change that stays unseen
#[test]
fn a_queue_that_overflows_means_everything() {
    let home = tempfile::tempdir().unwrap();
    let fd = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK).unwrap();
    let mut watches = Watches::new(home.path());
    watches.begin(fd.as_fd()).unwrap();
    let limit: usize = fs::read_to_string("/proc/sys/fs/inotify/max_queued_events").unwrap().trim().parse().unwrap();
    // Each attribute set is an event, and two of the same kind of different files are not merged.
    let names: Vec<_> = ["a", "b"].iter().map(|name| home.path().join(name)).collect();
    names.iter().for_each(|name| fs::write(name, "1").unwrap());
    for number in 0..limit + 8 {
        let name = &names[number % 2];
        fs::set_permissions(name, std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    }
    let mut dirty = Dirty::nothing();
    assert_eq!(watches.drain(fd.as_fd(), &mut dirty), Heard::Lost);
}

/// spec 5.2: back again, or another in its place: told, and watched from then on
#[test]
fn a_directory_that_is_back_or_replaced_is_watched_again() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir(at("d")).unwrap();
    let (watcher, heard) = start(&at("d"));
    fs::rename(at("d"), at("aside")).unwrap();
    assert!(matches!(heard.recv_timeout(LIMIT), Ok(WatchEvent::Gone(_))));
    assert_eq!(watcher.take(), Dirty::all(), "as long as it lasts");
    fs::create_dir(at("d")).unwrap();
    let back = |event: WatchEvent| match event {
        WatchEvent::Replaced(_) => heard.recv_timeout(LIMIT).unwrap() == WatchEvent::Recovered,
        _ => false,
    };
    while !back(heard.recv_timeout(LIMIT).unwrap()) {}
    let _ = watcher.take();
    fs::write(at("d/x"), "1").unwrap();
    assert_eq!(taken(&watcher), [("x".to_owned(), true)]);

    // Told of nothing: the directory above is exchanged. The next look sees everything all the same.
    fs::create_dir_all(at("above/d")).unwrap();
    let (watcher, _heard) = start(&at("above/d"));
    let _ = watcher.take();
    assert_eq!(watcher.take(), Dirty::nothing());
    fs::rename(at("above"), at("below")).unwrap();
    fs::create_dir_all(at("above/d")).unwrap();
    assert_eq!(watcher.take(), Dirty::all());
}

/// spec 5.2: what is excluded wakes nobody, and a change of the patterns has everything looked at
#[test]
fn what_is_excluded_is_not_told() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir_all(at("cache/deep")).unwrap();
    let (watcher, heard) = start(home.path());
    watcher.set_exclude(Arc::new(Exclude::new(&["*.log".into(), "cache/".into()])));
    assert_eq!(heard.recv_timeout(LIMIT), Ok(WatchEvent::Changed), "everything is looked at once more");
    assert_eq!(watcher.take(), Dirty::all());
    for name in ["a.log", "cache/x", "cache/deep/y"] {
        fs::write(at(name), "1").unwrap();
    }
    assert_eq!(watcher.take(), Dirty::nothing());
    watcher.set_exclude(Arc::default());
    wait(&heard);
    assert_eq!(watcher.take(), Dirty::all());
    fs::write(at("cache/deep/y"), "2").unwrap();
    assert_eq!(taken(&watcher), [("cache/deep/y".to_owned(), false)]);
}

/// spec 5.2: a file is being written to from its first write until it is closed, or was left alone for long
#[test]
fn who_writes_is_known_until_the_file_is_closed() {
    use std::io::Write as _;
    const LONG: Duration = Duration::from_secs(60);
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    let (watcher, _heard) = start(home.path());
    let names = |watcher: &Watcher| {
        let _ = watcher.take();
        watcher.writing(LONG).keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    fs::write(at("closed"), "1").unwrap();
    let mut open = fs::File::create(at("open")).unwrap();
    open.write_all(b"half").unwrap();
    assert_eq!(names(&watcher), ["open"]);
    assert!(watcher.pending(LONG).is_being_written);
    assert!(!watcher.pending(Duration::ZERO).is_being_written, "left alone for so long");
    open.write_all(b"more").unwrap();
    assert_eq!(names(&watcher), ["open"]);
    drop(open);
    assert_eq!(names(&watcher), Vec::<String>::new());
    // Renamed while open: the name is free, and another file may have it.
    let mut open = fs::File::create(at("open")).unwrap();
    open.write_all(b"half").unwrap();
    fs::rename(at("open"), at("closed")).unwrap();
    assert_eq!(names(&watcher), Vec::<String>::new());
}

/// spec 5.2: who has made a file and not begun to write it is waited for; what is made without being opened is not
#[test]
fn a_file_that_was_made_and_not_yet_written_is_waited_for() {
    const LONG: Duration = Duration::from_secs(60);
    let home = tempfile::tempdir().unwrap();
    let elsewhere = tempfile::tempdir_in(home.path().parent().unwrap()).unwrap();
    let at = |name: &str| home.path().join(name);
    let (watcher, _heard) = start(home.path());
    let names = |watcher: &Watcher| {
        let _ = watcher.take();
        watcher.writing(LONG).keys().map(ToString::to_string).collect::<Vec<_>>()
    };
    let open = fs::File::create(at("new")).unwrap();
    assert_eq!(names(&watcher), ["new"]);
    assert!(watcher.pending(LONG).is_being_written);
    assert!(!watcher.pending(Duration::ZERO).is_being_written, "left alone for so long");
    drop(open);
    assert_eq!(names(&watcher), Vec::<String>::new(), "empty is what it is meant to be");
    fs::write(at("touched"), "").unwrap();
    fs::hard_link(at("touched"), at("other-name")).unwrap();
    std::os::unix::fs::symlink("touched", at("link")).unwrap();
    fs::write(elsewhere.path().join("renamed"), "").unwrap();
    fs::rename(elsewhere.path().join("renamed"), at("renamed")).unwrap();
    fs::create_dir(at("directory")).unwrap();
    assert_eq!(names(&watcher), Vec::<String>::new());
    // Made, and gone before it was closed.
    let _open = fs::File::create(at("gone")).unwrap();
    assert_eq!(names(&watcher), ["gone"]);
    fs::remove_file(at("gone")).unwrap();
    assert_eq!(names(&watcher), Vec::<String>::new());
}

/// spec 5.2: the temporary file of rsync says that more is to come, and is itself nothing
#[test]
fn a_temporary_file_says_that_somebody_is_at_work() {
    let home = tempfile::tempdir().unwrap();
    let (watcher, heard) = start(home.path());
    let _ = watcher.take();
    fs::write(home.path().join(".a.conf.qX1zPq"), "1").unwrap();
    assert_eq!(heard.recv_timeout(LIMIT), Ok(WatchEvent::AtWork));
    assert_eq!(watcher.take(), Dirty::nothing());
}

/// spec 5.2: the directory may be named by a link that a deployment switches
#[test]
fn a_link_that_is_switched_is_another_directory() {
    use std::os::unix::fs::symlink;
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::create_dir_all(at("v1")).unwrap();
    fs::create_dir_all(at("v2")).unwrap();
    symlink("v1", at("current")).unwrap();
    let (watcher, heard) = start(&at("current"));
    let _ = watcher.take();
    fs::write(at("v1/x"), "1").unwrap();
    assert_eq!(taken(&watcher), [("x".to_owned(), true)]);
    symlink("v2", at("next")).unwrap();
    fs::rename(at("next"), at("current")).unwrap();
    assert_eq!(watcher.take(), Dirty::all(), "known at once by who asks");
    // The first write may have been told before.
    while !matches!(heard.recv_timeout(LIMIT).expect("and told"), WatchEvent::Replaced(_)) {}
}

/// spec 5.2: a directory deeper than the system takes in one piece costs the watching of all others nothing
#[test]
fn a_directory_too_long_to_watch_is_in_nobodys_way() {
    use rustix::fs::{Mode, OFlags, mkdirat, open, openat};
    let home = tempfile::tempdir().unwrap();
    let flags = OFlags::RDONLY | OFlags::DIRECTORY;
    let mut deep = open(home.path(), flags, Mode::empty()).unwrap();
    for _ in 0..20 {
        let name = "n".repeat(250);
        mkdirat(&deep, &*name, Mode::RWXU).unwrap();
        deep = openat(&deep, &*name, flags, Mode::empty()).unwrap();
    }
    let (watcher, heard) = start(home.path());
    fs::write(home.path().join("a"), "1").unwrap();
    assert_eq!(heard.recv_timeout(LIMIT), Ok(WatchEvent::Changed));
    drop(watcher);
}
