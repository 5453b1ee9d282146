//! `standin backup`: everything that makes an instance, in one file. Reads what is durable, so it makes no difference whether
//! the instance runs.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use rustix::fs::{CWD, RenameFlags, renameat_with};

use super::clock;
use super::home::USERS_FILE;
use crate::backup::archive::{FORMAT, Manifest, SMALL_MAX_BYTES, Writer};
use crate::engine::base::{Problem, RevisionId};
use crate::engine::durable::Durable;
use crate::engine::order::Secret;
use crate::engine::settings::{Settings, read};
use crate::files::read_bounded;
use crate::mirror::{OnDisk, history};
use crate::store::{Store, is_exchange_open};

/// Files of the link's identity that are taken along.
const IDENTITY_FILES_MAX: usize = 32;

/// What to put where.
pub struct Wanted<'a> {
    /// The home.
    pub home: &'a Path,
    /// The settings file.
    pub settings: &'a Path,
    /// The archive.
    pub file: &'a Path,
    /// With the link's key and certificates.
    pub identity: bool,
    /// With the database.
    pub history: bool,
    /// Over a file that is there.
    pub force: bool,
}

/// What was made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Of the archive.
    pub bytes: u64,
    /// Paths of the configuration.
    pub paths: u64,
    /// Of the configuration.
    pub revision: Option<RevisionId>,
    /// Paths that are otherwise in the directory, and in no revision yet: not in the archive.
    pub uncommitted: u64,
}

/// Makes one.
///
/// # Errors
/// There is no instance; something cannot be read or written. Nothing is left behind then.
pub fn make(wanted: &Wanted<'_>, password: &Secret) -> Result<Report, Problem> {
    if is_exchange_open(wanted.home) {
        drop(Store::open(wanted.home)?);
    }
    let store = Store::open_read_only(wanted.home)?;
    let durable = store.load_durable()?.filter(|durable| durable.role.is_some()).ok_or_else(|| {
        failed("there is no instance in this home: it has no role", "Name the right home with --home DIR.")
    })?;
    if !wanted.force && wanted.file.symlink_metadata().is_ok() {
        return Err(exists(wanted.file));
    }
    let aside = beside(wanted.file, "new");
    let made = write(wanted, &store, &durable, password, &aside).and_then(|report| {
        place(&aside, wanted.file, wanted.force)?;
        Ok(report)
    });
    if made.is_err() {
        // What is left aside is of no use; that it could not be removed is not the news.
        let _ = fs::remove_file(&aside);
    }
    made
}

fn write(
    wanted: &Wanted<'_>,
    store: &Store,
    durable: &Durable,
    password: &Secret,
    aside: &Path,
) -> Result<Report, Problem> {
    let text = small_file(wanted.settings)?;
    let settings = text.as_deref().and_then(|text| read::read(&String::from_utf8_lossy(text)).ok()).unwrap_or_default();
    let copy = beside(wanted.file, "db");
    let _gone = Removed(copy.clone());
    if wanted.history {
        store.copy_into(&copy)?;
    }
    let newest = store.newest_revision()?.map(|row| row.revision);
    let manifest = Manifest {
        format: FORMAT,
        version: env!("CARGO_PKG_VERSION").to_owned(),
        host: settings.host.clone(),
        instance: durable.instance.to_string(),
        role: durable.role,
        term: durable.term,
        known_term: durable.known_term.max(durable.term),
        at: clock::wall(),
        revision: newest,
        has_identity: wanted.identity,
        has_history: wanted.history,
    };
    // Left over from a process of the same number that was killed.
    let _ = fs::remove_file(aside);
    let file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(aside);
    let file = file.map_err(|error| unwritten(aside, &error))?;
    let mut writer = Writer::new(io::BufWriter::new(file), password, &manifest)?;
    if let Some(text) = text {
        writer.settings(&text)?;
    }
    if let Some(users) = small_file(&wanted.home.join(USERS_FILE))? {
        writer.users(&users)?;
    }
    if wanted.identity {
        let json = serde_json::to_vec(durable).map_err(|error| failed(&error.to_string(), ""))?;
        writer.record(&json)?;
        for (name, bytes) in identity_files(&wanted.home.join("identity"))? {
            writer.identity(&name, &bytes)?;
        }
    }
    if wanted.history {
        let mut database = File::open(&copy).map_err(|error| unwritten(&copy, &error))?;
        let size = database.metadata().map_err(|error| unwritten(&copy, &error))?.len();
        writer.database(size, &mut database)?;
    }
    let tree = newest.map(|_| history::newest_tree(store)).transpose()?.unwrap_or_default();
    for (path, entry) in tree.iter() {
        let content = if entry.has_content() {
            store
                .content(&entry.digest)?
                .ok_or_else(|| failed("the configuration was changed meanwhile", "Try again."))?
        } else {
            Vec::new()
        };
        writer.path(&path, &entry, &content)?;
    }
    let mut sink = writer.finish()?;
    sink.flush().map_err(|error| unwritten(aside, &error))?;
    let file = sink.into_inner().map_err(|error| unwritten(aside, error.error()))?;
    file.sync_all().map_err(|error| unwritten(aside, &error))?;
    let bytes = file.metadata().map_err(|error| unwritten(aside, &error))?.len();
    let directory = directory_of(wanted.home, &settings);
    let on_disk = OnDisk::read(&directory, &settings.configuration.exclude, &tree, &history::stamps(store)?);
    let uncommitted = on_disk.map_or(0, |found| crate::mirror::diff::between(&tree, &found.tree).len() as u64);
    Ok(Report { bytes, paths: tree.entries(), revision: newest, uncommitted })
}

/// The mirrored directory.
#[must_use]
pub fn directory_of(home: &Path, settings: &Settings) -> PathBuf {
    settings.configuration.directory.as_ref().map_or_else(|| home.join("configuration"), PathBuf::from)
}

fn small_file(path: &Path) -> Result<Option<Vec<u8>>, Problem> {
    read_bounded(path, SMALL_MAX_BYTES)
        .map_err(|error| failed(&format!("{}: {error}", path.display()), "Look at its owner and permissions."))
}

fn identity_files(folder: &Path) -> Result<Vec<(String, Vec<u8>)>, Problem> {
    let cannot = |error: io::Error| failed(&format!("{}: {error}", folder.display()), "Work as the home's owner.");
    let mut files = Vec::new();
    for entry in fs::read_dir(folder).map_err(cannot)?.take(IDENTITY_FILES_MAX) {
        let entry = entry.map_err(cannot)?;
        let Ok(name) = entry.file_name().into_string() else { continue };
        if entry.file_type().map_err(cannot)?.is_file() && !name.starts_with('.') {
            files.extend(small_file(&entry.path())?.map(|bytes| (name, bytes)));
        }
    }
    files.sort();
    Ok(files)
}

/// Gone when dropped.
struct Removed(PathBuf);

impl Drop for Removed {
    fn drop(&mut self) {
        // Mostly it was never made.
        let _ = fs::remove_file(&self.0);
    }
}

fn beside(file: &Path, what: &str) -> PathBuf {
    let mut name = file.as_os_str().to_owned();
    name.push(format!(".{}.{what}", std::process::id()));
    PathBuf::from(name)
}

/// Under its name whole or not at all.
fn place(aside: &Path, file: &Path, force: bool) -> Result<(), Problem> {
    let placed = if force {
        fs::rename(aside, file)
    } else {
        match renameat_with(CWD, aside, CWD, file, RenameFlags::NOREPLACE) {
            Err(rustix::io::Errno::EXIST) => return Err(exists(file)),
            // A file system that knows no such rename: a second name is refused where there is one as well.
            Err(_) => fs::hard_link(aside, file).and_then(|()| fs::remove_file(aside)),
            Ok(()) => Ok(()),
        }
    };
    let parent = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    placed.and_then(|()| File::open(parent)?.sync_all()).map_err(|error| unwritten(file, &error))
}

fn exists(file: &Path) -> Problem {
    failed(&format!("{} is there already", file.display()), "Name another file, or write over it with --force.")
}

fn unwritten(path: &Path, error: &io::Error) -> Problem {
    failed(&format!("{}: {error}", path.display()), "Look at the disk and at the permissions of the directory.")
}

fn failed(why: &str, todo: &str) -> Problem {
    Problem::new("The backup was not made", why, todo)
}
