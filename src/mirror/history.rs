//! Older revisions, rebuilt from the newest (spec 5.6). Also for commands when nothing runs: everything here needs only a
//! store, which may be open for reading alone.

use std::io::{self, Write};

use super::damaged;
use super::diff::{inverse, merged};
use super::path::RelPath;
use super::scan::Stamps;
use super::tree::{Entry, Tree};
use crate::engine::base::{Digest, Problem, RevisionId, UnixMillis};
use crate::engine::history::{ANSWER_TEXT_MAX_BYTES, APPLIED_FILE_MAX_BYTES, LOG_ENTRIES_MAX, LOG_PATHS_MAX, LogEntry};
use crate::engine::message::TRAIL_MAX;
use crate::engine::order::{FileContent, FileEntry, FileKind, SHOWN_FILE_MAX_BYTES};
use crate::store::{Counts, RevisionRow, Store};

/// So many of the newest older revisions are all in the trail.
const TRAIL_DENSE: u32 = 32;
/// Mode of a directory that is made because of what is put into it.
pub(super) const NEW_DIRECTORY_MODE: u32 = 0o755;
/// Tries to read a tree while commits go on.
const TREE_TRIES: usize = 3;

/// See [`super::Mirror::list`].
///
/// # Errors
/// When the store cannot be read.
pub fn list(store: &Store) -> Result<Vec<FileEntry>, Problem> {
    let shown = |path: &RelPath, entry, revision| file_entry(path, entry, revision);
    Ok(store.tree()?.iter().map(|row| shown(&row.path, row.entry, row.revision)).collect())
}

/// See [`super::Mirror::show`].
///
/// # Errors
/// When it is not there.
pub fn show(store: &Store, path: &str, revision: Option<u64>) -> Result<FileContent, Problem> {
    let (key, entry, number) = entry_at(store, path, revision)?;
    let mut bytes = bytes_of(store, path, &entry)?;
    let is_cut = bytes.len() > SHOWN_FILE_MAX_BYTES;
    if is_cut {
        let mut end = SHOWN_FILE_MAX_BYTES;
        // Not in the middle of a character.
        while end > 0 && bytes[end] & 0xC0 == 0x80 {
            end -= 1;
        }
        bytes.truncate(end);
    }
    let is_text = |text: &str| !text.chars().any(|c| c.is_control() && !matches!(c, '\n' | '\r' | '\t'));
    let (text, is_text) = match String::from_utf8(bytes) {
        Ok(text) => {
            let is_text = is_text(&text);
            (text, is_text)
        }
        Err(error) => (String::from_utf8_lossy(error.as_bytes()).into_owned(), false),
    };
    Ok(FileContent { entry: file_entry(&key, entry, number), text, is_text, is_cut })
}

/// The bytes of a file, or where a link leads, as of a revision (none: the newest).
///
/// # Errors
/// When it is not there, or longer than what is handed out.
pub fn bytes(store: &Store, path: &str, revision: Option<u64>) -> Result<Vec<u8>, Problem> {
    let (_, entry, _) = entry_at(store, path, revision)?;
    if entry.size > APPLIED_FILE_MAX_BYTES {
        let why = format!("it has {} bytes, at most {APPLIED_FILE_MAX_BYTES} are handed out", entry.size);
        return Err(cannot_show(path, why));
    }
    bytes_of(store, path, &entry)
}

/// The same, however long it is: for this process alone.
///
/// # Errors
/// When it is not there.
pub fn whole(store: &Store, path: &str, revision: Option<u64>) -> Result<Vec<u8>, Problem> {
    let (_, entry, _) = entry_at(store, path, revision)?;
    bytes_of(store, path, &entry)
}

/// The bytes of a file from `offset` on, at most [`APPLIED_FILE_MAX_BYTES`] of them; nothing behind its end. `of`: the content
/// that earlier pieces are of.
///
/// # Errors
/// When it is not there, or is another content now.
pub fn part(store: &Store, path: &str, revision: Option<u64>, of: &Digest, offset: u64) -> Result<Vec<u8>, Problem> {
    let (_, entry, _) = entry_at(store, path, revision)?;
    if entry.digest != *of {
        return Err(cannot_show(path, "it was changed while it was being shown"));
    }
    if !entry.has_content() {
        return Ok(Vec::new());
    }
    let mut window = Window { skip: offset, bytes: Vec::new(), is_full: false };
    match store.read_large(&entry.digest, &mut window) {
        Ok(Some(_)) => Ok(window.bytes),
        // It was told to stop.
        Err(_) if window.is_full => Ok(window.bytes),
        Ok(None) => Err(no_content(store, path, &entry)?),
        Err(problem) => Err(problem),
    }
}

/// Takes a piece of what is written to it, and wants no more behind its end: of a content of hundreds of megabytes there is no more
/// in memory.
struct Window {
    /// Bytes before it that are still to come.
    skip: u64,
    bytes: Vec<u8>,
    is_full: bool,
}

impl Write for Window {
    fn write(&mut self, written: &[u8]) -> io::Result<usize> {
        let limit = |number: u64| usize::try_from(number).unwrap_or(usize::MAX);
        let skipped = limit(self.skip).min(written.len());
        self.skip -= skipped as u64;
        let room = limit(APPLIED_FILE_MAX_BYTES) - self.bytes.len();
        let taken = (written.len() - skipped).min(room);
        self.bytes.extend_from_slice(&written[skipped..skipped + taken]);
        if skipped + taken < written.len() {
            self.is_full = true;
            return Err(io::ErrorKind::WriteZero.into());
        }
        Ok(written.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn cannot_show(path: &str, why: impl Into<String>) -> Problem {
    Problem::new(
        format!("cannot show {path}"),
        why,
        "`standin config list` and `standin config log` name what is there",
    )
}

fn bytes_of(store: &Store, path: &str, entry: &Entry) -> Result<Vec<u8>, Problem> {
    if !entry.has_content() {
        return Ok(Vec::new());
    }
    match store.content(&entry.digest)? {
        Some(bytes) => Ok(bytes),
        None => Err(no_content(store, path, entry)?),
    }
}

fn no_content(store: &Store, path: &str, entry: &Entry) -> Result<Problem, Problem> {
    Ok(match store.is_forgotten(&entry.digest)? {
        true => cannot_show(path, "its content was forgotten"),
        false => damaged(&format!("the content of {path} is missing")),
    })
}

/// A path as of a revision, with the number of the one that last changed it.
fn entry_at(store: &Store, path: &str, revision: Option<u64>) -> Result<(RelPath, Entry, u64), Problem> {
    let failed = |why: String| cannot_show(path, why);
    let key = RelPath::from_text(path).map_err(|why| failed(why.into()))?;
    let newest = store.tree_row(&key)?;
    let (entry, number) = match revision {
        None => (newest.as_ref().map(|row| row.entry), newest.as_ref().map_or(0, |row| row.revision)),
        Some(number) => {
            let known = store.revision_at_most(number)?.is_some_and(|row| row.revision.number == number);
            if !known {
                return Err(failed(format!("revision {number} is not in the history")));
            }
            let entry = match store.next_change(&key, number)? {
                Some(change) => change.old,
                None => newest.map(|row| row.entry),
            };
            (entry, store.last_change(&key, number)?)
        }
    };
    let entry = entry.ok_or_else(|| {
        failed(
            revision
                .map_or("it is not in the newest revision".into(), |number| format!("it is not in revision {number}")),
        )
    })?;
    Ok((key, entry, number))
}

/// The main line, newest first, at most `limit` (and [`LOG_ENTRIES_MAX`]) below number `before`; with `path` only revisions
/// that changed it or something inside it: `config log`. Ends early where the answer would be too long.
///
/// # Errors
/// When the store cannot be read, or `path` is none.
pub fn log(store: &Store, path: Option<&str>, before: Option<u64>, limit: u32) -> Result<Vec<LogEntry>, Problem> {
    let path = path.map(|text| path_of(text, "cannot show the history")).transpose()?;
    let mut entries = Vec::new();
    let mut bytes = 0;
    for row in store.log(path.as_ref(), before, limit.min(LOG_ENTRIES_MAX))? {
        let paths = match &path {
            None => store.changed_paths(row.row, LOG_PATHS_MAX)?.0,
            Some(path) => store.changed_paths_in(row.row, path, LOG_PATHS_MAX)?,
        };
        let Counts { added, changed, removed } = store.change_counts(row.row)?;
        let paths: Vec<String> = paths.iter().map(ToString::to_string).collect();
        bytes += row.author.len() + row.message.len() + paths.iter().map(String::len).sum::<usize>();
        if bytes > ANSWER_TEXT_MAX_BYTES {
            break;
        }
        let RevisionRow { revision, author, at, message, .. } = row;
        entries.push(LogEntry { revision, at: UnixMillis(at), author, message, added, changed, removed, paths });
    }
    if let Some(path) = path.filter(|_| entries.is_empty() && before.is_none())
        && !store.is_in_history(&path)?
    {
        let todo = "`standin config list` names what is there; paths are relative to the mirrored directory";
        return Err(Problem::new(format!("there is no path {path}"), "no revision that is kept ever had it", todo));
    }
    Ok(entries)
}

/// A path as people write it.
///
/// # Errors
/// That it is none.
pub fn path_of(text: &str, what: &str) -> Result<RelPath, Problem> {
    // A directory may be written with a slash at its end.
    let text = text.strip_suffix('/').filter(|rest| !rest.is_empty()).unwrap_or(text);
    RelPath::from_text(text).map_err(|why| {
        Problem::new(
            format!("{what} of {text}"),
            why,
            "name a path relative to the mirrored directory, as `standin config list` does",
        )
    })
}

/// See [`super::Mirror::trail`].
pub(super) fn trail(store: &Store) -> Result<Vec<RevisionId>, Problem> {
    let mut trail: Vec<_> =
        store.newest_revisions(TRAIL_DENSE + 1)?.into_iter().skip(1).map(|row| row.revision).collect();
    let Some(oldest) = trail.last().map(|revision| revision.number) else { return Ok(trail) };
    let mut back = 1;
    while trail.len() < TRAIL_MAX && back < oldest {
        let Some(row) = store.revision_at_most(oldest - back)? else { break };
        if trail.last().is_some_and(|last| last.number > row.revision.number) {
            trail.push(row.revision);
        }
        back = back.saturating_mul(2);
    }
    Ok(trail)
}

/// This very revision, if it is on the main line.
pub(super) fn find(store: &Store, revision: &RevisionId) -> Result<Option<RevisionRow>, Problem> {
    Ok(store.revision_at_most(revision.number)?.filter(|row| row.revision == *revision))
}

/// The revision of the main line with this number.
///
/// # Errors
/// When it is not kept.
pub(super) fn numbered(store: &Store, number: u64) -> Result<RevisionId, Problem> {
    let row = store.revision_at_most(number)?.filter(|row| row.revision.number == number);
    row.map(|row| row.revision).ok_or_else(|| {
        Problem::new(
            format!("cannot find revision {number}"),
            "it is not in the history",
            "`standin config log` lists what is",
        )
    })
}

/// What the file system said about each file of the newest revision.
///
/// # Errors
/// When the store cannot be read.
pub fn stamps(store: &Store) -> Result<Stamps, Problem> {
    Ok(store.tree()?.into_iter().filter_map(|row| Some((row.path, row.stamp?))).collect())
}

/// The newest tree.
///
/// # Errors
/// When the store cannot be read.
pub fn newest_tree(store: &Store) -> Result<Tree, Problem> {
    match store.newest_revision()? {
        Some(row) => tree_of(store, &row.revision),
        None => Ok(Tree::default()),
    }
}

/// Makes the directories that `path` is in, where they are missing, with this mode.
pub(super) fn make_parents(tree: &mut Tree, path: &RelPath, mode: u32) -> Result<(), Problem> {
    let parents: Vec<_> = std::iter::successors(path.parent(), RelPath::parent).collect();
    for parent in parents.iter().rev() {
        if tree.get(parent).is_none_or(|entry| entry.kind != FileKind::Directory) {
            tree.set(parent, Entry::directory(mode)).map_err(|missing| damaged(&missing.to_string()))?;
        }
    }
    Ok(())
}

/// The tree of a revision of the main line, from the newest tree: its cost is that of what came since. None: that one is not
/// the newest any more.
///
/// # Errors
/// When the revision is not kept, or the store cannot be read.
pub(super) fn tree_from(store: &Store, newest: &Tree, revision: &RevisionId) -> Result<Option<Tree>, Problem> {
    if newest.root() == revision.root {
        return Ok(Some(newest.clone()));
    }
    if find(store, revision)?.is_none() {
        return Err(not_kept(revision));
    }
    // What does not fit to the tree is of another one.
    Ok(tree_before(store, newest, revision.number).ok().filter(|tree| tree.root() == revision.root))
}

fn not_kept(revision: &RevisionId) -> Problem {
    let why = format!("revision {} is not in the history", revision.number);
    Problem::new("cannot read an older revision", why, "ask for a complete transfer")
}

/// The tree of a revision of the main line, from the store alone.
pub(super) fn tree_of(store: &Store, revision: &RevisionId) -> Result<Tree, Problem> {
    if find(store, revision)?.is_none() {
        return Err(not_kept(revision));
    }
    // A commit between the reads makes a mixture, which its digest gives away.
    for _ in 0..TREE_TRIES {
        let mut newest = Tree::default();
        store.each_row(|row| newest.set(&row.path, row.entry).map_err(|missing| damaged(&missing.to_string())))?;
        if let Ok(tree) = tree_before(store, &newest, revision.number)
            && tree.root() == revision.root
        {
            return Ok(tree);
        }
    }
    Err(damaged("a revision does not have its digest"))
}

/// `newest` without all that came after revision `number` of the main line; 0: what the first revision began with.
pub(super) fn tree_before(store: &Store, newest: &Tree, number: u64) -> Result<Tree, Problem> {
    let mut changes = inverse(&store.changes_after(number)?);
    changes.reverse();
    let mut tree = newest.clone();
    tree.apply(&merged(changes.into_iter())).map_err(|missing| damaged(&missing.to_string()))?;
    Ok(tree)
}

pub(super) fn file_entry(path: &RelPath, entry: Entry, revision: u64) -> FileEntry {
    let Entry { kind, mode, size, digest, owners } = entry;
    debug_assert!(kind != FileKind::Directory || size == 0);
    FileEntry { path: path.to_string(), kind, mode, size, digest, revision, owner: owners.to_string() }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.6: a piece is what it should be wherever the writes begin and end, and no more is kept than a piece
    #[test]
    fn a_window_takes_its_piece_alone() {
        let all: Vec<u8> = (0..1_000_u32).map(|number| (number % 251) as u8).collect();
        for offset in [0_usize, 1, 99, 100, 101, 999, 1_000, 2_000] {
            let mut window = Window { skip: offset as u64, bytes: Vec::new(), is_full: false };
            all.chunks(100).for_each(|piece| window.write_all(piece).unwrap());
            assert_eq!(window.bytes, all[offset.min(1_000)..]);
        }
        let mut window = Window { skip: 5, bytes: Vec::new(), is_full: false };
        let most = usize::try_from(APPLIED_FILE_MAX_BYTES).unwrap();
        let piece = vec![7; 1 << 20];
        assert!(std::iter::repeat_with(|| window.write_all(&piece)).take(100).any(|written| written.is_err()));
        assert!(window.is_full && window.bytes.len() == most);
    }
}
