//! `standin restore`, where nothing runs: the new files are written aside and checked whole before the first of the old ones is
//! touched. What the home knows of its pair (terms, promises) is never older than before.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};

use super::backup::directory_of;
use super::clock;
use super::desk::limits;
use super::home::USERS_FILE;
use super::system;
use crate::access::Users;
use crate::backup::archive::{self, Manifest, Part, refused};
use crate::engine::Engine;
use crate::engine::base::{Digest, InstanceId, Problem, Role};
use crate::engine::durable::Durable;
use crate::engine::order::{FileKind, Secret};
use crate::engine::settings::Settings;
use crate::engine::settings::read as settings_text;
use crate::files::{make_private_directory, write_private};
use crate::mirror::owners::Owners;
use crate::mirror::tree::{Entry, Tree};
use crate::mirror::{Mirror, diff, digest, history, push};
use crate::store::{Packed, Store, abandon_exchange, begin_exchange, exchange, is_exchange_open};

/// Contents that wait in memory to be kept together, bytes.
const BATCH_BYTES: usize = 8 * 1024 * 1024;

/// What to restore from where.
pub struct Wanted<'a> {
    /// The home.
    pub home: &'a Path,
    /// The archive.
    pub file: &'a Path,
    /// The configuration alone.
    pub configuration_only: bool,
    /// The link's key and certificates, and what they go with.
    pub identity: bool,
    /// The database.
    pub history: bool,
    /// Who orders it.
    pub by: &'a str,
}

/// What an archive holds, and what of the home it would change.
#[derive(Clone, Debug)]
pub struct Look {
    /// Of the archive.
    pub manifest: Manifest,
    /// Role of the home; none: it has no instance.
    pub role: Option<Role>,
    /// The archive is of this instance.
    pub is_same_instance: bool,
    /// The settings would be others.
    pub settings: bool,
    /// The users would be others.
    pub users: bool,
    /// Paths of the configuration that would be others, with what becomes of them, in order.
    pub paths: Vec<String>,
    /// The configuration is restored too; not on a shadow, which has its master's.
    pub has_configuration: bool,
}

/// Reads an archive to its end, and says what it would change. Changes nothing.
///
/// # Errors
/// The archive is none, is not whole, holds what none may hold, or the password is another.
pub fn look(wanted: &Wanted<'_>, password: &Secret) -> Result<Look, Problem> {
    let mut kept = Collected::default();
    let mut tree = Tree::default();
    read(wanted.file, password, &mut |part| match part {
        Part::Path { path, kind, mode, owners, content } => {
            add(&mut tree, &path, (kind, mode, owners), &content).map(drop)
        }
        Part::Database(_) => skip(part),
        other => kept.take(other),
    })?;
    let manifest = kept.check(wanted)?;
    kept.directory_may_be(wanted)?;
    let (mut durable, mut newest) = (None, Tree::default());
    if wanted.home.join("standin.db").exists() {
        let store = Store::open_read_only(wanted.home)?;
        durable = store.load_durable()?;
        newest = history::newest_tree(&store)?;
    }
    let role = durable.as_ref().and_then(|durable| durable.role);
    let has_configuration = role.or(manifest.role) != Some(Role::Shadow);
    let differs = |name: &str, new: &Option<Vec<u8>>| {
        !wanted.configuration_only && new.is_some() && fs::read(wanted.home.join(name)).ok() != *new
    };
    let mut changes = if has_configuration { diff::between(&newest, &tree) } else { Vec::new() };
    changes.retain(|change| !is_owner_alone(change));
    Ok(Look {
        is_same_instance: durable.is_some_and(|durable| durable.instance.to_string() == manifest.instance),
        role,
        settings: differs("settings.yaml", &kept.settings),
        users: differs(USERS_FILE, &kept.users),
        paths: changes.iter().map(told).collect(),
        has_configuration,
        manifest,
    })
}

/// The archive names no owner, and that is all: it stays as it is.
fn is_owner_alone(change: &diff::Change) -> bool {
    let (Some(old), Some(new)) = (change.old, change.new) else { return false };
    new.owners.is_none() && old.with_owners(Owners::NONE) == new
}

fn told(change: &diff::Change) -> String {
    let what = match (change.old, change.new) {
        (None, _) => "added",
        (_, None) => "removed",
        _ => "changed",
    };
    format!("{what:<8}{}", change.path)
}

/// Restores. The home is as it was, or as the archive says.
///
/// # Errors
/// Something runs there; as [`look`]; something cannot be written. Nothing changed then.
pub fn restore(wanted: &Wanted<'_>, password: &Secret) -> Result<Vec<String>, Problem> {
    let home = wanted.home;
    let current = Store::open(home)?;
    let own = sealed_instance(&current, home)?;
    let mut done = Vec::new();
    let staged = begin_exchange(home).and_then(|aside| stage(wanted, password, &current, &aside, &mut done));
    // The files are exchanged while no database is open.
    drop(current);
    match staged {
        Ok((settings, root)) => {
            exchange(home)?;
            finish(home, &settings, root, own)?;
            Ok(done)
        }
        Err(problem) => {
            abandon_exchange(home);
            Err(problem)
        }
    }
}

/// The instance of this home, if its seal says that it is no copy.
fn sealed_instance(store: &Store, home: &Path) -> Result<Option<InstanceId>, Problem> {
    let is_own = store.seal()?.is_some_and(|seal| system::seal_of(home) == Some(seal));
    Ok(store.load_durable()?.filter(|_| is_own).map(|durable| durable.instance))
}

/// The directory is brought to what the new database says. An interrupted one is finished by the next start. The identity of
/// `own` is that of no other machine: it was here before, and its files alone are new.
fn finish(home: &Path, settings: &Settings, root: Option<Digest>, own: Option<InstanceId>) -> Result<(), Problem> {
    debug_assert!(!is_exchange_open(home));
    let store = Store::open(home)?;
    if own.is_some()
        && store.load_durable()?.map(|durable| durable.instance) == own
        && let Some(seal) = system::seal_of(home)
    {
        store.set_seal(&seal)?;
    }
    let mirror = Mirror::open(store, directory_of(home, settings), limits(settings))?;
    match (root, mirror.head()) {
        (None, _) => Ok(()),
        (Some(root), Some(head)) if head.revision.root == root => Ok(()),
        _ => Err(Problem::new(
            "Everything was restored but the configuration",
            "its directory could not be written, and is as it was",
            "Look at its owner and permissions, and restore with --configuration-only.",
        )),
    }
}

/// Writes everything into `aside`; says what is new.
fn stage(
    wanted: &Wanted<'_>,
    password: &Secret,
    current: &Store,
    aside: &Path,
    done: &mut Vec<String>,
) -> Result<(Settings, Option<Digest>), Problem> {
    let old = current.load_durable()?.filter(|durable| durable.role.is_some());
    let before =
        fs::read_to_string(wanted.home.join("settings.yaml")).ok().and_then(|text| settings_text::read(&text).ok());
    if old.is_some() {
        // What an interrupted apply left is brought to its end first: its note is not taken along half done.
        let settings = before.clone().unwrap_or_default();
        drop(Mirror::open(current.clone(), directory_of(wanted.home, &settings), limits(&settings))?);
    }
    let mut kept = Collected { aside: Some(aside.to_owned()), ..Collected::default() };
    let mut staged = Staged {
        aside,
        current,
        takes_history: wanted.history,
        store: None,
        tree: Tree::default(),
        batch: Vec::new(),
        bytes: 0,
    };
    read(wanted.file, password, &mut |part| match part {
        Part::Path { path, kind, mode, owners, content } => staged.path(&path, (kind, mode, owners), content),
        Part::Database(source) if wanted.history => staged.database(source),
        Part::Database(_) => skip(part),
        other => kept.take(other),
    })?;
    let manifest = kept.check(wanted)?;
    kept.directory_may_be(wanted)?;
    let settings = kept.write(wanted, before, done)?;
    staged.flush()?;
    let Staged { mut tree, store, .. } = staged;
    let store = match store {
        Some(store) => store,
        None => open_staged(aside, current)?,
    };
    let record = kept.record(wanted)?;
    let durable = merged(old.as_ref(), record, &manifest);
    store.save_durable(&durable)?;
    if wanted.identity {
        // It may be the identity of an instance that lives elsewhere: nothing is resumed by itself (spec 7.5).
        store.break_seal()?;
        done.push(format!("identity of instance {}", durable.instance));
    } else if let Some(seal) = current.seal()? {
        store.set_seal(&seal)?;
    } else if wanted.history {
        store.break_seal()?;
    }
    if wanted.history {
        done.push("history, alerts and events".into());
    }
    let mut root = None;
    if durable.role == Some(Role::Shadow) {
        done.push("not the configuration: a shadow has its master's".into());
    } else {
        let mirror = Mirror::open_as_it_is(store, directory_of(wanted.home, &settings), limits(&settings))?;
        let message = format!("restored from a backup of {}", manifest.at.rfc3339(0));
        let count = mirror.plan_restore(durable.term, wanted.by, &message, &mut tree)?;
        done.push(format!("configuration: {count} paths changed, {} in all", tree.entries()));
        root = (!tree.is_empty() || mirror.head().is_some()).then(|| tree.root());
    }
    done.push(format!("role {}, term {}", durable.role.map_or("none", Role::word), durable.term));
    Ok((settings, root))
}

/// What the instance knows from now on: never less of terms and promises than it did (spec 7.3).
fn merged(old: Option<&Durable>, record: Option<Durable>, manifest: &Manifest) -> Durable {
    let term = manifest.known_term.max(manifest.term);
    match (old, record) {
        // Another instance's identity: its pair and its role, but nothing that was promised or known here is forgotten.
        (Some(old), Some(new)) if old.instance != new.instance => Durable {
            known_term: new.known_term.max(new.term).max(old.known_term).max(old.term),
            run: new.run.max(old.run),
            promise_ms: new.promise_ms.max(old.promise_ms),
            may_take_over: new.peer.is_some(),
            rival_unmet: new.peer.is_some(),
            ..new
        },
        (Some(old), record) => {
            let known = record.map_or(old.known_term, |new| new.known_term.max(new.term).max(old.known_term));
            Durable { known_term: known.max(old.known_term), ..old.clone() }
        }
        (None, Some(new)) => Durable {
            known_term: new.known_term.max(term),
            // Whoever is the other one may have taken over since.
            may_take_over: new.peer.is_some(),
            rival_unmet: new.peer.is_some(),
            ..new
        },
        (None, None) => {
            let fresh = Durable::new(InstanceId(uuid::Uuid::new_v4()));
            let role = manifest.role.unwrap_or(Role::Shadow);
            let first = Engine::first_role(fresh, role, clock::now());
            Durable { term: first.term.max(manifest.term), known_term: term.max(first.known_term), ..first }
        }
    }
}

/// The small parts.
#[derive(Default)]
struct Collected {
    aside: Option<PathBuf>,
    manifest: Option<Manifest>,
    settings: Option<Vec<u8>>,
    users: Option<Vec<u8>>,
    record: Option<Vec<u8>>,
    identity: Vec<(String, Vec<u8>)>,
}

impl Collected {
    fn take(&mut self, part: Part<'_>) -> Result<(), Problem> {
        match part {
            Part::Manifest(manifest) => self.manifest = Some(*manifest),
            Part::Settings(bytes) => self.settings = Some(bytes),
            Part::Users(bytes) => self.users = Some(bytes),
            Part::Record(bytes) => self.record = Some(bytes),
            Part::Identity(name, bytes) => self.identity.push((name, bytes)),
            Part::Database(_) | Part::Path { .. } => return Err(refused("a part of it is not where it belongs")),
        }
        Ok(())
    }

    /// Everything that was asked for is there, and can be read.
    fn check(&self, wanted: &Wanted<'_>) -> Result<Manifest, Problem> {
        let manifest = self.manifest.clone().ok_or_else(|| refused("it has no description"))?;
        let missing = |what: &str| refused(&format!("it was made without {what}"));
        if wanted.identity && (!manifest.has_identity || self.record.is_none()) {
            return Err(missing("--identity"));
        }
        if wanted.history && !manifest.has_history {
            return Err(missing("--history"));
        }
        self.parsed_settings()?;
        Ok(manifest)
    }

    /// Settings of another machine may name what is the home on this one (spec 9.4).
    fn directory_may_be(&self, wanted: &Wanted<'_>) -> Result<(), Problem> {
        match self.parsed_settings()? {
            Some(settings) if !wanted.configuration_only => {
                crate::files::site::may_be_mirrored(wanted.home, &directory_of(wanted.home, &settings))
            }
            _ => Ok(()),
        }
    }

    fn parsed_settings(&self) -> Result<Option<Settings>, Problem> {
        let Some(bytes) = &self.settings else { return Ok(None) };
        let text = std::str::from_utf8(bytes).map_err(|_| refused("its settings are not UTF-8"))?;
        settings_text::read(text).map(Some).map_err(|mistakes| {
            let first = mistakes.first().map(|mistake| mistake.told("settings.yaml").to_string()).unwrap_or_default();
            refused(&format!("its settings are not valid here: {first}"))
        })
    }

    fn record(&self, wanted: &Wanted<'_>) -> Result<Option<Durable>, Problem> {
        let Some(bytes) = self.record.as_ref().filter(|_| wanted.identity) else { return Ok(None) };
        let record: Durable =
            serde_json::from_slice(bytes).map_err(|error| refused(&format!("its record of the pair: {error}")))?;
        if record.role.is_none() { Err(refused("its record has no role")) } else { Ok(Some(record)) }
    }

    /// Settings, users and identity; the settings in force from now on.
    fn write(
        &self,
        wanted: &Wanted<'_>,
        before: Option<Settings>,
        done: &mut Vec<String>,
    ) -> Result<Settings, Problem> {
        let Some(aside) = &self.aside else { return Ok(before.unwrap_or_default()) };
        let put = |path: PathBuf, bytes: &[u8]| {
            write_private(&path, bytes).map_err(|error| {
                Problem::new("Nothing was restored", format!("{}: {error}", path.display()), "Make room on the disk.")
            })
        };
        if wanted.identity {
            let folder = aside.join("identity");
            make_private_directory(&folder)
                .map_err(|error| Problem::new("Nothing was restored", error.to_string(), "Look at the home."))?;
            for (name, bytes) in &self.identity {
                put(folder.join(name), bytes)?;
            }
        }
        if wanted.configuration_only {
            return Ok(before.unwrap_or_default());
        }
        if let Some(users) = &self.users {
            put(aside.join(USERS_FILE), users)?;
            Users::load(&aside.join(USERS_FILE))
                .map_err(|problem| refused(&format!("its users cannot be read: {}", problem.why)))?;
            done.push("users".into());
        }
        let Some(bytes) = &self.settings else { return Ok(before.unwrap_or_default()) };
        put(aside.join("settings.yaml"), bytes)?;
        done.push("settings".into());
        Ok(self.parsed_settings()?.unwrap_or_default())
    }
}

/// The new database.
struct Staged<'a> {
    aside: &'a Path,
    current: &'a Store,
    takes_history: bool,
    store: Option<Store>,
    tree: Tree,
    batch: Vec<(Digest, Packed)>,
    bytes: usize,
}

impl Staged<'_> {
    fn database(&mut self, source: &mut dyn io::Read) -> Result<(), Problem> {
        let path = self.aside.join("standin.db");
        let write = |source: &mut dyn io::Read| {
            write_private(&path, &[])?;
            let mut file = File::options().write(true).open(&path)?;
            io::copy(source, &mut file)?;
            file.sync_all()
        };
        write(source).map_err(|error| refused(&error.to_string()))?;
        let store = Store::open(self.aside).map_err(|problem| refused(&format!("its database: {}", problem.why)))?;
        // What was forgotten since stays forgotten; what the configuration itself has comes after this.
        store.forget_as(self.current)?;
        self.store = Some(store);
        Ok(())
    }

    fn path(
        &mut self,
        path: &crate::mirror::path::RelPath,
        what: (FileKind, u32, Owners),
        content: Vec<u8>,
    ) -> Result<(), Problem> {
        let entry = add(&mut self.tree, path, what, &content)?;
        if entry.has_content() {
            self.bytes += content.len();
            self.batch.push((entry.digest, Packed::of(content)));
        }
        if self.bytes > BATCH_BYTES { self.flush() } else { Ok(()) }
    }

    fn flush(&mut self) -> Result<(), Problem> {
        if self.store.is_none() {
            if self.takes_history {
                return Err(refused("its database is missing"));
            }
            self.store = Some(open_staged(self.aside, self.current)?);
        }
        if let Some(store) = &self.store {
            store.put_contents(&self.batch)?;
        }
        self.batch.clear();
        self.bytes = 0;
        Ok(())
    }
}

/// The home's own database, to go on with.
fn open_staged(aside: &Path, current: &Store) -> Result<Store, Problem> {
    current.copy_into(&aside.join("standin.db"))?;
    Store::open(aside)
}

/// One path of the archive, checked as one of a push is.
fn add(
    tree: &mut Tree,
    path: &crate::mirror::path::RelPath,
    (kind, mode, owners): (FileKind, u32, Owners),
    content: &[u8],
) -> Result<Entry, Problem> {
    let entry = match kind {
        FileKind::File => Entry::file(mode, content.len() as u64, digest::of_content(content)),
        FileKind::Directory => Entry::directory(mode),
        FileKind::Link if crate::mirror::path::link_stays_inside(path, content) => Entry::link(content),
        FileKind::Link => return Err(refused(&format!("its link {path} leads out of the directory"))),
    };
    let entry = entry.with_owners(owners);
    push::check_entry(path, Some(entry)).map_err(|problem| refused(&problem.why))?;
    let is_inside =
        path.parent().is_none_or(|parent| tree.get(&parent).is_some_and(|at| at.kind == FileKind::Directory));
    if !is_inside {
        return Err(refused(&format!("{path} comes before the directory it is in")));
    }
    tree.set(path, entry).map_err(|missing| refused(&missing.to_string()))?;
    Ok(entry)
}

/// Reads an archive to its end.
///
/// # Errors
/// It cannot be opened, is not whole, or `take` refuses a part.
pub fn read(
    file: &Path,
    password: &Secret,
    take: &mut dyn FnMut(Part<'_>) -> Result<(), Problem>,
) -> Result<(), Problem> {
    let opened = File::open(file).map_err(|error| {
        let why = format!("{}: {error}", file.display());
        Problem::new("The backup cannot be opened", why, "Check the file; nothing was changed.")
    })?;
    archive::read(io::BufReader::new(opened), password, take)
}

/// A part that is not wanted: a database is read all the same, what comes after it counts.
///
/// # Errors
/// It cannot be read to its end.
pub fn skip(part: Part<'_>) -> Result<(), Problem> {
    match part {
        Part::Database(source) => {
            io::copy(source, &mut io::sink()).map(drop).map_err(|error| refused(&error.to_string()))
        }
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
