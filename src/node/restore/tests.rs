use std::os::unix::fs::{MetadataExt, PermissionsExt};

use super::*;
use crate::engine::base::{Run, Term};
use crate::node::backup;

struct Home(tempfile::TempDir);

fn password() -> Secret {
    Secret::new("correct horse battery".into())
}

impl Home {
    fn empty() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    /// A master with two files, at revision 1.
    fn master() -> Self {
        let home = Self::empty();
        let store = Store::open(&home.path()).unwrap();
        let fresh = Durable::new(InstanceId(uuid::Uuid::new_v4()));
        store.save_durable(&Engine::first_role(fresh, Role::Master, clock::now())).unwrap();
        fs::create_dir_all(home.path().join("configuration/d")).unwrap();
        home.write("a.yaml", "a: 1\n");
        home.write("d/b", "b");
        fs::set_permissions(home.path().join("configuration/d/b"), fs::Permissions::from_mode(0o4711)).unwrap();
        std::os::unix::fs::symlink("d/b", home.path().join("configuration/link")).unwrap();
        fs::write(home.path().join("settings.yaml"), include_str!("../../../config/settings.yaml")).unwrap();
        crate::node::home::make_users(&home.path(), "admin", &password()).unwrap();
        crate::node::home::make_identity(&home.path(), "node-a").unwrap();
        store.set_seal(&crate::node::system::seal_of(&home.path()).unwrap()).unwrap();
        drop(store);
        home.commit();
        home
    }

    fn path(&self) -> PathBuf {
        self.0.path().join("home")
    }

    fn write(&self, name: &str, text: &str) {
        fs::write(self.path().join("configuration").join(name), text).unwrap();
    }

    fn read(&self, name: &str) -> Option<String> {
        fs::read_to_string(self.path().join("configuration").join(name)).ok()
    }

    fn commit(&self) {
        let store = Store::open(&self.path()).unwrap();
        let settings = settings_text::read(&fs::read_to_string(self.path().join("settings.yaml")).unwrap()).unwrap();
        let mirror = Mirror::open(store, self.path().join("configuration"), limits(&settings)).unwrap();
        mirror.scan_and_commit(Term(1), "directory", "").unwrap();
    }

    fn file(&self) -> PathBuf {
        self.0.path().join("backup")
    }

    fn backup(&self, identity: bool, history: bool) -> Result<backup::Report, Problem> {
        let (home, file) = (self.path(), self.file());
        let settings = home.join("settings.yaml");
        let wanted = backup::Wanted { home: &home, settings: &settings, file: &file, identity, history, force: false };
        backup::make(&wanted, &password())
    }

    fn restore(&self, file: &Path, identity: bool, history: bool) -> Result<Vec<String>, Problem> {
        let home = self.path();
        let wanted = Wanted { home: &home, file, configuration_only: false, identity, history, by: "anna" };
        look(&wanted, &password())?;
        restore(&wanted, &password())
    }

    fn durable(&self) -> Durable {
        Store::open(&self.path()).unwrap().load_durable().unwrap().unwrap()
    }

    fn change_durable(&self, change: impl FnOnce(&mut Durable)) {
        let store = Store::open(&self.path()).unwrap();
        let mut durable = store.load_durable().unwrap().unwrap();
        change(&mut durable);
        store.save_durable(&durable).unwrap();
    }

    /// Every file with its bytes, but what a look at a home may change.
    fn all(&self) -> Vec<(PathBuf, Vec<u8>)> {
        fn walk(directory: &Path, all: &mut Vec<(PathBuf, Vec<u8>)>) {
            for entry in fs::read_dir(directory).unwrap().map(Result::unwrap) {
                let path = entry.path();
                if entry.file_type().unwrap().is_dir() {
                    walk(&path, all);
                } else if !path.to_string_lossy().contains("standin.") {
                    all.push((path.clone(), fs::read(&path).unwrap_or_default()));
                }
            }
        }
        let mut all = Vec::new();
        walk(&self.path(), &mut all);
        all.sort();
        all
    }
}

/// interfaces, backup and restore: everything comes back, as one new revision by the operator; what had come since is kept.
#[test]
fn a_home_comes_back() {
    let home = Home::master();
    let report = home.backup(false, false).unwrap();
    assert_eq!((report.paths, report.uncommitted, report.revision.unwrap().number), (4, 0, 1));
    assert_eq!(fs::metadata(home.file()).unwrap().mode() & 0o777, 0o600);
    assert!(home.backup(false, false).unwrap_err().todo.contains("--force"));
    home.write("a.yaml", "a: 2\n");
    home.write("new", "since");
    home.commit();
    home.write("never-committed", "x");
    fs::remove_file(home.path().join("users.yaml")).unwrap();
    let before = home.durable();
    let done = home.restore(&home.file(), false, false).unwrap();
    assert!(done.iter().any(|line| line.contains("2 paths changed")), "{done:?}");
    assert_eq!(
        (home.read("a.yaml").as_deref(), home.read("new"), home.read("never-committed")),
        (Some("a: 1\n"), None, None)
    );
    assert!(home.path().join("users.yaml").exists());
    assert_eq!(home.durable(), before, "who it is and what it knows stays");
    let store = Store::open(&home.path()).unwrap();
    let newest = store.newest_revision().unwrap().unwrap();
    assert_eq!((newest.revision.number, newest.author.as_str()), (3, "anna"));
    assert_eq!(store.branches().unwrap()[0].files, ["never-committed"], "nothing is lost");
    assert_eq!(store.seal().unwrap(), crate::node::system::seal_of(&home.path()), "it is the same home");
}

/// spec 9.4: settings of a backup that would mirror the link's key on this machine are refused, before anything is changed.
#[test]
fn settings_that_would_mirror_the_key_do_not_come_back() {
    let home = Home::master();
    let settings = home.path().join("settings.yaml");
    let good = fs::read(&settings).unwrap();
    fs::write(&settings, format!("configuration:\n  directory: {}\n", home.path().join("identity").display())).unwrap();
    home.backup(false, false).unwrap();
    fs::write(&settings, good).unwrap();
    let before = home.all();
    let problem = home.restore(&home.file(), false, false).unwrap_err();
    assert!(problem.what.contains("cannot be mirrored"), "{problem}");
    assert_eq!(home.all(), before);
}

/// interfaces, backup and restore: where owners are mirrored they come back by name, with the modes that a change of owner takes
/// away, in the same home and on a new machine.
#[test]
fn owners_come_back() {
    if !rustix::process::geteuid().is_root() {
        return;
    }
    let home = Home::master();
    let settings = home.path().join("settings.yaml");
    let text = fs::read_to_string(&settings).unwrap().replace("  owners: false", "  owners: true");
    fs::write(&settings, text).unwrap();
    let give = |ids: (u32, u32)| {
        let path = home.path().join("configuration/d/b");
        std::os::unix::fs::chown(&path, Some(ids.0), Some(ids.1)).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o4711)).unwrap();
        home.commit();
    };
    let seen = |home: &Home| {
        let about = fs::metadata(home.path().join("configuration/d/b")).unwrap();
        (about.uid(), about.gid(), about.mode() & 0o7777)
    };
    for history in [false, true] {
        give((1, 2));
        let _ = fs::remove_file(home.file());
        home.backup(false, history).unwrap();
        give((2, 1));
        let done = home.restore(&home.file(), false, history).unwrap();
        assert!(done.iter().any(|line| line.contains("1 paths changed")) != history, "{done:?}");
        assert_eq!(seen(&home), (1, 2, 0o4711));
        let new = Home::empty();
        new.restore(&home.file(), false, history).unwrap();
        assert_eq!(seen(&new), (1, 2, 0o4711));
    }
}

/// interfaces, restore: on a new machine, with and without the identity.
#[test]
fn a_new_machine_takes_over() {
    let home = Home::master();
    home.change_durable(|durable| durable.known_term = Term(8));
    home.backup(true, true).unwrap();
    let old = home.durable();
    for (identity, history) in [(false, false), (true, true), (false, true)] {
        let new = Home::empty();
        new.restore(&home.file(), identity, history).unwrap();
        let durable = new.durable();
        assert_eq!((durable.role, durable.instance == old.instance), (Some(Role::Master), identity));
        assert!(durable.known_term >= Term(8), "no old term is brought back");
        assert_eq!((new.read("a.yaml").as_deref(), new.read("link").as_deref()), (Some("a: 1\n"), Some("b")));
        assert_eq!(fs::metadata(new.path().join("configuration/d/b")).unwrap().mode() & 0o7777, 0o4711);
        assert_eq!(new.path().join("identity/link-key.pem").exists(), identity);
        let store = Store::open(&new.path()).unwrap();
        assert_eq!(store.newest_revision().unwrap().unwrap().revision.number, 1);
        if identity {
            assert_ne!(
                store.seal().unwrap(),
                crate::node::system::seal_of(&new.path()),
                "nothing is resumed by itself"
            );
        }
    }
}

/// spec 7.5: the identity that the home has already makes no copy of it; another one does, until that is settled, and a home that
/// is a copy stays one
#[test]
fn the_own_identity_makes_no_copy() {
    let home = Home::master();
    home.backup(true, true).unwrap();
    let is_sealed = |home: &Home| {
        let seal = Store::open(&home.path()).unwrap().seal().unwrap();
        seal.is_some() && seal == system::seal_of(&home.path())
    };
    for history in [false, true] {
        home.restore(&home.file(), true, history).unwrap();
        assert!(is_sealed(&home));
    }
    let other = Home::master();
    other.restore(&home.file(), true, false).unwrap();
    assert!(!is_sealed(&other));
    // The same once more: it is its own by now, and nothing has settled whose it is.
    other.restore(&home.file(), true, false).unwrap();
    assert!(!is_sealed(&other));
}

/// spec 7.3, interfaces: a restore never brings back an old term, nor forgets what was promised.
#[test]
fn no_old_term_comes_back() {
    let home = Home::master();
    home.backup(true, true).unwrap();
    home.change_durable(|durable| {
        durable.term = Term(9);
        durable.known_term = Term(10);
        durable.run = Run(77);
        durable.promise_ms = 5_000;
        durable.own_promise = Some(crate::engine::message::FarewellKind::Disconnect);
    });
    let before = home.durable();
    home.restore(&home.file(), true, true).unwrap();
    assert_eq!(home.durable(), before);
    let other = Home::master();
    other.change_durable(|durable| durable.known_term = Term(20));
    other.restore(&home.file(), true, false).unwrap();
    let durable = other.durable();
    assert_eq!((durable.instance, durable.known_term), (before.instance, Term(20)));
}

/// interfaces, restore: refused with nothing changed: another password, a cut or damaged file, a running instance.
#[test]
fn what_is_not_right_changes_nothing() {
    let home = Home::master();
    home.backup(false, false).unwrap();
    home.write("a.yaml", "a: 2\n");
    home.commit();
    let before = home.all();
    let bytes = fs::read(home.file()).unwrap();
    let bad = home.0.path().join("bad");
    for cut in [0, 10, 150, bytes.len() / 2, bytes.len() - 1] {
        fs::write(&bad, &bytes[..cut]).unwrap();
        assert!(home.restore(&bad, false, false).is_err(), "cut at {cut}");
    }
    let mut changed = bytes.clone();
    let middle = changed.len() / 2;
    changed[middle] ^= 1;
    fs::write(&bad, &changed).unwrap();
    assert!(home.restore(&bad, false, false).is_err());
    let path = home.path();
    let file = home.file();
    let wanted =
        Wanted { home: &path, file: &file, configuration_only: false, identity: false, history: false, by: "anna" };
    assert!(restore(&wanted, &Secret::new("another horse".into())).unwrap_err().why.contains("password"));
    assert!(home.restore(&home.file(), true, false).unwrap_err().why.contains("--identity"));
    let running = Store::open(&home.path()).unwrap();
    assert!(restore(&wanted, &password()).unwrap_err().why.contains("already runs"));
    drop(running);
    let after: Vec<_> = home.all().into_iter().filter(|(path, _)| !path.ends_with("bad")).collect();
    assert_eq!(after, before);
}

/// spec 4.5: a shadow's configuration is its master's.
#[test]
fn a_shadow_keeps_its_masters_configuration() {
    let home = Home::master();
    home.backup(false, false).unwrap();
    home.write("a.yaml", "a: 2\n");
    home.commit();
    home.change_durable(|durable| durable.role = Some(Role::Shadow));
    let done = home.restore(&home.file(), false, false).unwrap();
    assert!(done.iter().any(|line| line.contains("not the configuration")), "{done:?}");
    assert_eq!(home.read("a.yaml").as_deref(), Some("a: 2\n"));
}
