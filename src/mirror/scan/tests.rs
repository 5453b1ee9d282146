use super::*;
use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::Path;

const QUICK: Manner<'_> = Manner {
    is_full: false,
    keeps_held: true,
    file_size_limit: 1_000,
    leaves: Leaves::NOTHING,
    owners: Belongs::AS_WANTED,
};

fn path(text: &str) -> RelPath {
    RelPath::new(text.as_bytes()).unwrap()
}

fn look(directory: &Path, known: &Tree, stamps: &Stamps, manner: Manner<'_>) -> Found {
    scan(&Ground::open(directory).unwrap(), known, stamps, manner, &mut |_, _, _, _| Ok(None)).unwrap()
}

/// Sets the time of the last change of content far back, and says that the stamps were taken long after.
fn settle(found: &Found) -> Stamps {
    found.stamps.iter().map(|(path, stamp)| (path.clone(), Stamp { is_settled: true, ..*stamp })).collect()
}

/// spec 5.2
#[test]
fn an_edit_of_the_same_size_within_the_same_second_is_noticed() {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("a.yaml");
    fs::write(&file, "port: 1").unwrap();
    let time = fs::metadata(&file).unwrap().modified().unwrap();
    let first = look(home.path(), &Tree::default(), &Stamps::new(), QUICK);
    let stamps: Stamps = first.stamps.iter().cloned().collect();
    assert!(!stamps[&path("a.yaml")].is_settled, "too young to be trusted");
    for round in 2..=5 {
        fs::write(&file, format!("port: {round}")).unwrap();
        fs::File::options().write(true).open(&file).unwrap().set_modified(time).unwrap();
        let next = look(home.path(), &first.tree, &stamps, QUICK);
        assert_eq!(next.changes.len(), 1, "round {round}");
    }
}

/// spec 5.2: files left alone are not read again; a full scan reads them (spec 5.7)
#[test]
fn only_a_full_scan_reads_what_did_not_change() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir(home.path().join("d")).unwrap();
    (0..10).for_each(|n| fs::write(home.path().join(format!("d/{n}")), "x").unwrap());
    let first = look(home.path(), &Tree::default(), &Stamps::new(), QUICK);
    assert_eq!((first.read, first.tree.files(), first.tree.entries()), (10, 10, 11));
    let stamps = settle(&first);
    let again = look(home.path(), &first.tree, &stamps, QUICK);
    assert_eq!((again.read, again.changes.len()), (0, 0));
    assert_eq!(look(home.path(), &first.tree, &stamps, Manner { is_full: true, ..QUICK }).read, 10);
    // A changed mode is seen without reading, a changed time makes it read.
    fs::set_permissions(home.path().join("d/1"), fs::Permissions::from_mode(0o600)).unwrap();
    fs::write(home.path().join("d/2"), "y").unwrap();
    let found = look(home.path(), &first.tree, &stamps, QUICK);
    assert_eq!(found.changes.len(), 2);
    assert_eq!(found.read, 2, "a changed mode changes the time of the inode");
}

/// spec 5.4
#[test]
fn what_cannot_be_mirrored_is_held_back_and_all_else_goes_on() {
    let home = tempfile::tempdir().unwrap();
    let at = |name: &str| home.path().join(name);
    fs::write(at("good"), "1").unwrap();
    fs::write(at("becomes-big"), "1").unwrap();
    fs::write(at("becomes-a-pipe"), "1").unwrap();
    symlink("good", at("becomes-a-way-out")).unwrap();
    let first = look(home.path(), &Tree::default(), &Stamps::new(), QUICK);
    assert!(first.held.is_empty());
    fs::write(at("good"), "22").unwrap();
    fs::write(at("becomes-big"), vec![b'x'; 1_001]).unwrap();
    fs::remove_file(at("becomes-a-pipe")).unwrap();
    rustix::fs::mknodat(rustix::fs::CWD, at("becomes-a-pipe"), FileType::Fifo, Mode::RUSR, 0).unwrap();
    fs::remove_file(at("becomes-a-way-out")).unwrap();
    symlink("/etc/passwd", at("becomes-a-way-out")).unwrap();
    symlink("../x", at("new-way-out")).unwrap();
    fs::write(at("left-out~"), "1").unwrap();
    fs::create_dir(at(".standin-stage")).unwrap();
    let found = look(home.path(), &first.tree, &Stamps::new(), QUICK);
    let mut held: Vec<_> = found.held.iter().map(|held| held.path.as_str()).collect();
    held.sort_unstable();
    assert_eq!(held, ["becomes-a-pipe", "becomes-a-way-out", "becomes-big", "new-way-out"]);
    assert!(found.held.iter().all(|held| !held.why.is_empty()));
    let changed: Vec<_> = found.changes.iter().map(|change| change.path.to_string()).collect();
    assert_eq!(changed, ["good"], "the last good content of the others stays");
    // As it really is, for an apply.
    let really = look(home.path(), &first.tree, &Stamps::new(), Manner { keeps_held: false, ..QUICK });
    assert_eq!(really.tree.get(&path("becomes-a-pipe")), None);
    assert_eq!(really.tree.get(&path("new-way-out")).unwrap().kind, FileKind::Link);
    assert!(really.held.iter().any(|held| held.is_worthless && held.path == "becomes-a-pipe"));
}

/// spec 5.4: a name that is no text is carried as it is
#[test]
fn any_name_is_carried() {
    use std::os::unix::ffi::OsStrExt;
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join(std::ffi::OsStr::from_bytes(b"\xff\xfe.yaml")), "1").unwrap();
    let found = look(home.path(), &Tree::default(), &Stamps::new(), QUICK);
    assert_eq!(found.changes[0].path.to_string(), "\\xff\\xfe.yaml");
}

/// spec 5.2: nothing half-written is taken
#[test]
fn a_file_that_keeps_changing_is_never_half_read() {
    use std::sync::atomic::{AtomicBool, Ordering};
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("busy");
    let content = |n: u8| vec![n; 700];
    fs::write(&file, content(0)).unwrap();
    let stop = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let mut number = 0_u8;
            while !stop.load(Ordering::Relaxed) {
                number = number.wrapping_add(1);
                fs::write(&file, content(number)).unwrap();
            }
        });
        for _ in 0..15 {
            let mut sink = |_: &RelPath, _: Option<Entry>, _: Digest, content: Content| {
                let bytes = content.bytes().unwrap();
                assert!(bytes.windows(2).all(|pair| pair[0] == pair[1]), "two writes mixed");
                Ok(None)
            };
            let ground = Ground::open(home.path()).unwrap();
            scan(&ground, &Tree::default(), &Stamps::new(), QUICK, &mut sink).unwrap();
        }
        stop.store(true, Ordering::Relaxed);
    });
}

/// spec 5.4: an unreadable root is a problem, not an empty configuration
#[test]
fn a_missing_directory_is_a_problem() {
    let home = tempfile::tempdir().unwrap();
    let problem = Ground::open(&home.path().join("missing")).map(drop).unwrap_err();
    assert!(problem.what.contains("missing"), "{problem}");
}

/// spec 5.2: what is excluded counts as not there, unless a tree that has to be the same on both has it
#[test]
fn what_is_excluded_is_not_looked_at() {
    let home = tempfile::tempdir().unwrap();
    fs::create_dir_all(home.path().join("cache/deep")).unwrap();
    for name in ["a", "b.log", "cache/deep/x"] {
        fs::write(home.path().join(name), "1").unwrap();
    }
    let all = look(home.path(), &Tree::default(), &Stamps::new(), QUICK);
    let exclude = Exclude::new(&["*.log".into(), "cache/".into()]);
    let leaves = Leaves { exclude: Some(&exclude), ..Leaves::NOTHING };
    let found = look(home.path(), &all.tree, &Stamps::new(), Manner { leaves, ..QUICK });
    let gone: Vec<_> = found.changes.iter().map(|change| change.path.to_string()).collect();
    assert_eq!(gone, ["b.log", "cache", "cache/deep", "cache/deep/x"]);
    assert!(found.changes.iter().all(|change| change.new.is_none()) && found.held.is_empty());
    let leaves = Leaves { but: [Some(&all.tree), None], ..leaves };
    assert_eq!(look(home.path(), &all.tree, &Stamps::new(), Manner { leaves, ..QUICK }).changes, []);
}

/// spec 5.2: a file that is being written to stays as known, and says so
#[test]
fn what_is_being_written_stays_as_known() {
    let home = tempfile::tempdir().unwrap();
    fs::write(home.path().join("a"), "1").unwrap();
    let first = look(home.path(), &Tree::default(), &Stamps::new(), QUICK);
    fs::write(home.path().join("a"), "22").unwrap();
    fs::write(home.path().join("new"), "half").unwrap();
    let short = Duration::from_secs(1);
    let writing = ["a", "new"].map(|name| (path(name), short)).into_iter().collect();
    let leaves = Leaves { writing: Some(&writing), ..Leaves::NOTHING };
    let found = look(home.path(), &first.tree, &Stamps::new(), Manner { leaves, ..QUICK });
    assert_eq!((found.changes.len(), found.postponed.len(), found.read, found.held.len()), (0, 2, 0, 0));
    // One that never ends is told of.
    let writing = [(path("a"), WRITING_HELD_AFTER)].into_iter().collect();
    let leaves = Leaves { writing: Some(&writing), ..Leaves::NOTHING };
    let found = look(home.path(), &first.tree, &Stamps::new(), Manner { leaves, ..QUICK });
    assert_eq!((found.held.len(), found.changes.len()), (1, 1), "spec 5.4, and all else goes on");
    assert!(found.held[0].path == "a" && found.held[0].why.contains("30 s"), "{:?}", found.held);
}

/// spec 5.3, 5.4: why something cannot be kept reads as a sentence, whether it is said of the path or of the file
#[test]
fn why_it_cannot_be_kept_is_a_sentence() {
    for (why, told) in
        [("the path is too long", "it cannot be kept: the path is"), ("is a pipe", "it cannot be kept: it is a pipe")]
    {
        let held = vec![Held { path: "x".into(), why: why.into(), ..Held::default() }];
        let (tree, stamps) = (Tree::default(), Vec::new());
        let found = Found { tree, changes: Vec::new(), stamps, held, postponed: Vec::new(), read: 0 };
        let problem = found.all_can_be_kept().unwrap_err();
        assert!(problem.why.starts_with(told), "{problem}");
    }
}
