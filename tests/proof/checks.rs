//! What must be true after every death: read from the disk and the database, without the code that wrote them where that
//! can be.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use rusqlite::{Connection, OpenFlags, Row};
use standin::engine::base::Digest;
use standin::engine::order::FileKind;
use standin::mirror::diff::Change;
use standin::mirror::owners::Owners;
use standin::mirror::path::RelPath;
use standin::mirror::tree::{Entry, Tree};
use standin::mirror::{digest, history as mirror_history};
use standin::store::Store;

use crate::harness::Instance;

/// Revisions that a quick look at the history reads.
const QUICK_REVISIONS: usize = 6;

/// Path to mode and content; of a link its target, of a directory nothing.
pub type OnDisk = BTreeMap<Vec<u8>, (u32, Vec<u8>)>;

/// Everything below `directory`.
pub fn tree(directory: &Path) -> OnDisk {
    fn walk(top: &Path, at: &Path, all: &mut OnDisk) {
        for entry in fs::read_dir(at).into_iter().flatten().flatten() {
            let path = entry.path();
            // It may be changing under the walk: what has just gone is not there.
            let Ok(about) = fs::symlink_metadata(&path) else { continue };
            let mode = about.permissions().mode();
            let content = match about.file_type() {
                kind if kind.is_symlink() => fs::read_link(&path).map(|target| target.into_os_string().into_vec()),
                kind if kind.is_dir() => Ok(Vec::new()),
                _ => fs::read(&path),
            };
            let name = path.strip_prefix(top).unwrap().as_os_str().as_bytes().to_owned();
            all.insert(name, (mode, content.unwrap_or_default()));
            if about.is_dir() {
                walk(top, &path, all);
            }
        }
    }
    let mut all = OnDisk::new();
    walk(directory, directory, &mut all);
    all
}

/// The digest of what was read, in hexadecimal.
pub fn root(on_disk: &OnDisk) -> String {
    let mut tree = Tree::default();
    for (path, (mode, content)) in on_disk {
        // What no tree can hold (a temporary file of an editor) is there for a moment only.
        let Ok(path) = RelPath::new(path) else { continue };
        let entry = match mode & 0o170_000 {
            0o040_000 => Entry::directory(mode & 0o7_777),
            0o120_000 => Entry::link(content),
            _ => Entry::file(mode & 0o7_777, content.len() as u64, digest::of_content(content)),
        };
        // A directory that went during the walk.
        let _ = tree.set(&path, entry);
    }
    tree.root().to_string()
}

/// Names in a home, without those that come and go.
pub fn names(home: &Path) -> Vec<String> {
    let comes_and_goes = |name: &String| name.ends_with("-wal") || name.ends_with("-shm");
    let names = fs::read_dir(home).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.filter(|name| !comes_and_goes(name)).collect::<BTreeSet<_>>().into_iter().collect()
}

/// Nothing half done is on the disk.
pub fn nothing_is_left(instance: &Instance, names_before: &[String]) {
    assert_eq!(names(&instance.home), names_before, "{}: something was left in the home", instance.name);
    for path in tree(&instance.directory).keys() {
        let name = String::from_utf8_lossy(path).into_owned();
        assert!(!name.contains(".standin-"), "{}: {name} was left in the directory", instance.name);
    }
    let plans: u32 = open(&instance.home).query_row("SELECT count(*) FROM journal", [], |row| row.get(0)).unwrap();
    assert_eq!(plans, 0, "{}: a plan was left in the journal", instance.name);
}

fn open(home: &Path) -> Connection {
    let flags = OpenFlags::SQLITE_OPEN_READ_ONLY | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    let connection = Connection::open_with_flags(home.join("standin.db"), flags).unwrap();
    connection.busy_timeout(std::time::Duration::from_secs(10)).unwrap();
    connection
}

/// What the database of an instance says.
pub struct AtRest {
    /// Newest revision.
    pub newest: u64,
    /// An apply is half-way.
    pub has_plan: bool,
    /// Number to root and message.
    revisions: BTreeMap<u64, (Vec<u8>, String)>,
}

/// Reads the database, which is whole (spec 5.3).
pub fn at_rest(instance: &Instance) -> AtRest {
    let connection = open(&instance.home);
    let said: String = connection.query_row("PRAGMA integrity_check", [], |row| row.get(0)).unwrap();
    assert_eq!(said, "ok", "{}", instance.name);
    let mut broken = connection.prepare("PRAGMA foreign_key_check").unwrap();
    assert!(!broken.exists([]).unwrap(), "{}: a row names one that is not there", instance.name);
    let mut rows = connection.prepare("SELECT number, root, message FROM revision WHERE branch IS NULL").unwrap();
    let revisions: BTreeMap<u64, (Vec<u8>, String)> = rows
        .query_map([], |row| Ok((row.get::<_, i64>(0)?.cast_unsigned(), (row.get(1)?, row.get(2)?))))
        .unwrap()
        .map(Result::unwrap)
        .collect();
    let newest = revisions.keys().next_back().copied().unwrap_or(0);
    let has_plan = connection.prepare("SELECT 1 FROM journal").unwrap().exists([]).unwrap();
    AtRest { newest, has_plan, revisions }
}

/// What somebody was told is done.
#[derive(Default)]
pub struct Acknowledged {
    /// Newest revision when all was well last.
    pub newest: u64,
    /// Number and message.
    orders: BTreeMap<u64, String>,
    by_shadow: u64,
    seen: BTreeMap<u64, Vec<u8>>,
}

impl Acknowledged {
    /// An order was answered with a revision.
    pub fn answered(&mut self, number: u64, message: &str) {
        self.orders.insert(number, message.to_owned());
    }

    /// The shadow told the master that it has it.
    pub fn by_shadow(&mut self, number: u64) {
        self.by_shadow = self.by_shadow.max(number);
    }

    /// What was once seen at rest stays, on both, with the same digest.
    pub fn still_there(&mut self, on_a: &AtRest, on_b: &AtRest) {
        assert!(on_b.newest >= self.newest, "the shadow had {} and has {}", self.newest, on_b.newest);
        for (number, (root, _)) in on_b.revisions.iter().chain(&on_a.revisions) {
            let seen = self.seen.entry(*number).or_insert_with(|| root.clone());
            assert_eq!(seen, root, "revision {number} is another one now");
        }
    }

    /// Every revision of the master is in its history, and every order under the number that was told.
    pub fn is_kept_by_master(&self, instance: &Instance) {
        let at_rest = at_rest(instance);
        assert_eq!(at_rest.revisions.len() as u64, at_rest.newest, "the history of the master has a gap");
        for (number, message) in &self.orders {
            let kept = at_rest.revisions.get(number).map(|(_, message)| message.as_str());
            assert_eq!(kept, Some(message.as_str()), "{}: revision {number}", instance.name);
        }
    }

    /// Whatever came to it as one push is one revision of the shadow; the newest is the master's.
    pub fn is_kept_by_shadow(&self, instance: &Instance, newest: u64) {
        let at_rest = at_rest(instance);
        assert_eq!(at_rest.newest, newest);
        assert!(newest >= self.seen.keys().next_back().copied().unwrap_or(0).max(self.by_shadow));
    }

    pub fn told(&self) -> String {
        format!("{} revisions, {} of them orders that were answered", self.newest, self.orders.len())
    }
}

fn entry_at(row: &Row<'_>, first: usize) -> rusqlite::Result<Option<Entry>> {
    let Some(kind) = row.get::<_, Option<u8>>(first)? else { return Ok(None) };
    let kind = [FileKind::File, FileKind::Directory, FileKind::Link][usize::from(kind)];
    let size = row.get::<_, i64>(first + 2)?.cast_unsigned();
    Ok(Some(Entry { kind, mode: row.get(first + 1)?, size, digest: Digest(row.get(first + 3)?), owners: Owners::NONE }))
}

/// Each revision, from the newest back, leads to the digest that it names, and its contents are there and right.
pub fn history(instance: &Instance, is_thorough: bool) {
    let (connection, store) = (open(&instance.home), Store::open_read_only(&instance.home).unwrap());
    let mut tree = mirror_history::newest_tree(&store).unwrap();
    let limit = if is_thorough { usize::MAX } else { QUICK_REVISIONS };
    let mut rows =
        connection.prepare("SELECT id, number, root FROM revision WHERE branch IS NULL ORDER BY number DESC").unwrap();
    let rows = rows
        .query_map([], |row| Ok((row.get::<_, i64>(0)?, row.get::<_, i64>(1)?, Digest(row.get(2)?))))
        .unwrap()
        .map(Result::unwrap);
    let mut read = connection
        .prepare(
            "SELECT path, new_kind, new_mode, new_size, new_digest, old_kind, old_mode, old_size, old_digest \
             FROM change WHERE revision = ?1 ORDER BY path",
        )
        .unwrap();
    let mut needed = BTreeSet::new();
    for (id, number, root) in rows.take(limit) {
        assert_eq!(tree.root(), root, "{}: revision {number} is not what it says", instance.name);
        let mut back: Vec<Change> = read
            .query_map([id], |row| {
                let path = RelPath::new(&row.get::<_, Vec<u8>>(0)?).unwrap();
                Ok(Change { path, old: entry_at(row, 1)?, new: entry_at(row, 5)? })
            })
            .unwrap()
            .map(Result::unwrap)
            .collect();
        back.sort_by(|one, other| one.path.cmp(&other.path));
        let entries = back.iter().flat_map(|change| [change.old, change.new]).flatten();
        needed.extend(entries.filter(Entry::has_content).map(|entry| (entry.digest, entry.size)));
        tree.apply(&back).unwrap_or_else(|missing| panic!("{}: before revision {number}: {missing}", instance.name));
    }
    for (digest, size) in needed {
        match store.content(&digest).unwrap() {
            Some(bytes) => {
                assert_eq!((digest::of_content(&bytes), bytes.len() as u64), (digest, size), "{}", instance.name);
            }
            None => assert!(store.is_forgotten(&digest).unwrap(), "{}: {digest} is not there", instance.name),
        }
    }
}
