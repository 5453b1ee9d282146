//! The files of a home, exchanged as one for those of a backup (interfaces, `restore`): they are written aside in whole, made
//! ready by one rename, and moved into place. A crash before that rename changed nothing; after it, whoever opens the home next
//! moves the rest.

use std::fs;
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use super::{DATABASE, Store, drifts, lock, trouble};
use crate::engine::base::{Digest, Problem};

/// Digests that were forgotten, and paths with who ordered it, of which the other instance has to be told.
type Known = (Vec<[u8; 32]>, Vec<(Vec<u8>, String)>);

/// Where they are written.
const ASIDE: &str = "restore.new";
/// Where they are when all of them are there.
const READY: &str = "restore.ready";
/// The folder of the link's identity; the one before is kept beside it.
const IDENTITY: &str = "identity";
/// All that is exchanged. The database last: the settings that it goes with are there then.
const NAMES: [&str; 4] = ["settings.yaml", "users.yaml", IDENTITY, DATABASE];
/// What SQLite has beside a database.
const BESIDE: [&str; 2] = ["standin.db-wal", "standin.db-shm"];
/// Identities that are kept from earlier exchanges.
const OLD_IDENTITIES_MAX: u32 = 10_000;

/// An empty directory for the new files; all of it is thrown away by the next one.
///
/// # Errors
/// Those of the file system.
pub fn begin_exchange(home: &Path) -> Result<PathBuf, Problem> {
    let aside = home.join(ASIDE);
    remove_all(&aside).and_then(|()| crate::files::make_private_directory(&aside)).map_err(|error| failed(&error))?;
    Ok(aside)
}

/// Throws the new files away.
pub fn abandon_exchange(home: &Path) {
    // The next exchange does it too.
    let _ = remove_all(&home.join(ASIDE));
}

/// What [`begin_exchange`] made is the home's from now on, whatever happens. The home must not be open.
///
/// # Errors
/// Those of the file system: nothing changed then, or the next one to open the home goes on.
pub fn exchange(home: &Path) -> Result<(), Problem> {
    let _lock = lock::HomeLock::take(home)?;
    let aside = home.join(ASIDE);
    for beside in BESIDE {
        let left = fs::metadata(aside.join(beside)).is_ok_and(|about| about.len() > 0);
        if left && beside.ends_with("wal") {
            return Err(failed(&io::Error::other("the new database was not closed")));
        }
    }
    let make_ready = || {
        fs::File::open(&aside)?.sync_all()?;
        remove_all(&home.join(READY))?;
        fs::rename(&aside, home.join(READY))?;
        fs::File::open(home)?.sync_all()
    };
    make_ready().map_err(|error| failed(&error))?;
    move_all(home)
}

/// An exchange was made ready and is not finished.
#[must_use]
pub fn is_exchange_open(home: &Path) -> bool {
    home.join(READY).exists()
}

/// Moves what is ready. Under the home's lock.
pub(super) fn move_all(home: &Path) -> Result<(), Problem> {
    let ready = home.join(READY);
    if !ready.exists() {
        return Ok(());
    }
    let work = || {
        for name in NAMES {
            let (from, to) = (ready.join(name), home.join(name));
            if !from.exists() {
                continue;
            }
            if name == IDENTITY && to.exists() {
                fs::rename(&to, free_name(home)?)?;
            }
            if name == DATABASE {
                for beside in BESIDE {
                    remove_all(&home.join(beside))?;
                }
            }
            fs::rename(&from, &to)?;
            fs::File::open(home)?.sync_all()?;
        }
        remove_all(&ready)
    };
    work().map_err(|error| failed(&error))
}

fn free_name(home: &Path) -> io::Result<PathBuf> {
    let free = (1..OLD_IDENTITIES_MAX).map(|number| home.join(format!("{IDENTITY}.old-{number}")));
    free.into_iter().find(|path| !path.exists()).ok_or_else(|| io::Error::other("too many old identities are kept"))
}

fn remove_all(path: &Path) -> io::Result<()> {
    let removed = match fs::symlink_metadata(path) {
        Ok(about) if about.is_dir() => fs::remove_dir_all(path),
        Ok(_) => fs::remove_file(path),
        Err(error) => Err(error),
    };
    match removed {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}

fn failed(error: &io::Error) -> Problem {
    Problem::new(
        "The files of the home cannot be exchanged",
        error.to_string(),
        "Look at the disk and at the permissions of the home, and run it again.",
    )
}

impl Store {
    /// A copy of the whole database as it is at this moment, whoever writes meanwhile, without what was removed from it. `to`
    /// must not exist.
    ///
    /// # Errors
    /// When it cannot be read or written.
    pub fn copy_into(&self, to: &Path) -> Result<(), Problem> {
        lock::make_private(to)?;
        let path = to.to_str().ok_or_else(|| {
            Problem::new("The database was not copied", "the path of the copy is not UTF-8", "Name another place.")
        })?;
        let copied = self.mirror().execute("VACUUM INTO ?1", [path]);
        copied.map(drop).map_err(|error| trouble("copy the database", &error))
    }

    /// What `other` has removed from its history on purpose is removed here too, and what its peer has to be told is still told
    /// (spec 5.6): an old database brings nothing back that was forgotten since.
    ///
    /// # Errors
    /// When one of the two cannot be read, or this one not be written.
    pub fn forget_as(&self, other: &Self) -> Result<(), Problem> {
        let read = || -> rusqlite::Result<Known> {
            let connection = other.mirror();
            let mut forgotten = connection.prepare("SELECT digest FROM forgotten")?;
            let digests = forgotten.query_map([], |row| row.get(0))?.collect::<rusqlite::Result<_>>()?;
            let mut due = connection.prepare("SELECT path, author FROM forget_due")?;
            let due = due.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect::<rusqlite::Result<_>>()?;
            Ok((digests, due))
        };
        let (digests, due) = read().map_err(|error| trouble("read what was forgotten", &error))?;
        let mut connection = self.mirror();
        let mut write = || -> rusqlite::Result<()> {
            let transaction = connection.transaction()?;
            for digest in &digests {
                drifts::release_one(&transaction, &Digest(*digest))?;
                transaction.prepare_cached("DELETE FROM content WHERE digest = ?1")?.execute([digest])?;
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO forgotten (digest, at) VALUES (?1, 0)")?
                    .execute([digest])?;
            }
            for (path, author) in &due {
                transaction
                    .prepare_cached("INSERT OR IGNORE INTO forget_due (path, author) VALUES (?1, ?2)")?
                    .execute(rusqlite::params![path, author])?;
            }
            transaction.commit()
        };
        write().map_err(|error| trouble("forget contents", &error))
    }

    /// The seal fits no home any more: this one was restored (spec 7.5).
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn break_seal(&self) -> Result<(), Problem> {
        self.set_seal("restored from a backup")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::InstanceId;
    use crate::engine::durable::Durable;

    fn home_with(instance: u128) -> tempfile::TempDir {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open(home.path()).unwrap();
        store.save_durable(&Durable::new(InstanceId(uuid::Uuid::from_u128(instance)))).unwrap();
        fs::create_dir(home.path().join(IDENTITY)).unwrap();
        fs::write(home.path().join("identity/key"), instance.to_string()).unwrap();
        fs::write(home.path().join("settings.yaml"), instance.to_string()).unwrap();
        home
    }

    fn look(home: &Path) -> (u128, String, String) {
        let store = Store::open(home).unwrap();
        let text = |name: &str| fs::read_to_string(home.join(name)).unwrap();
        (store.load_durable().unwrap().unwrap().instance.0.as_u128(), text("identity/key"), text("settings.yaml"))
    }

    /// interfaces, restore: a crash at any moment leaves the old home or the new one.
    #[test]
    fn an_exchange_is_whole_or_not_at_all() {
        let (old, new) = ((1, "1".to_owned(), "1".to_owned()), (2, "2".to_owned(), "2".to_owned()));
        // How many of the files are moved when the program dies; none: before it was ready.
        for moved in [None, Some(0), Some(1), Some(2), Some(3), Some(4)] {
            let home = home_with(1);
            let other = home_with(2);
            let aside = begin_exchange(home.path()).unwrap();
            Store::open(other.path()).unwrap().copy_into(&aside.join(DATABASE)).unwrap();
            fs::rename(other.path().join(IDENTITY), aside.join(IDENTITY)).unwrap();
            fs::copy(other.path().join("settings.yaml"), aside.join("settings.yaml")).unwrap();
            if let Some(moved) = moved {
                fs::rename(&aside, home.path().join(READY)).unwrap();
                for name in NAMES.iter().filter(|name| home.path().join(READY).join(name).exists()).take(moved) {
                    if *name == IDENTITY {
                        fs::rename(home.path().join(name), home.path().join("identity.old-1")).unwrap();
                    }
                    fs::rename(home.path().join(READY).join(name), home.path().join(name)).unwrap();
                }
                assert!(is_exchange_open(home.path()));
            }
            let expected = if moved.is_some() { &new } else { &old };
            assert_eq!(&look(home.path()), expected, "{moved:?}");
            assert_eq!(&look(home.path()), expected, "{moved:?}");
            assert!(!is_exchange_open(home.path()));
            if moved.is_some() {
                assert_eq!(fs::read_to_string(home.path().join("identity.old-1/key")).unwrap(), "1");
            }
        }
    }

    /// interfaces, backup: consistent while running, and its owner's alone.
    #[test]
    fn a_copy_is_the_database_of_this_moment() {
        let home = home_with(7);
        let running = Store::open(home.path()).unwrap();
        let to = tempfile::tempdir().unwrap();
        let copy = to.path().join(DATABASE);
        Store::open_read_only(home.path()).unwrap().copy_into(&copy).unwrap();
        assert_eq!(crate::files::rights_of_others(&copy).unwrap(), None);
        running.save_durable(&Durable::new(InstanceId(uuid::Uuid::from_u128(8)))).unwrap();
        let durable = Store::open(to.path()).unwrap().load_durable().unwrap().unwrap();
        assert_eq!(durable.instance.0.as_u128(), 7);
    }
}
