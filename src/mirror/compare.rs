//! Two versions of the configuration, and how they differ (spec 5.6): `config diff`.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use super::diff::{self, Change};
use super::path::{RelPath, shown};
use super::tree::{Entry, Tree};
use super::unified::{Mask, SEARCH_LIMIT, hunks, text_of};
use super::{OnDisk, damaged, history};
use crate::engine::base::{Digest, Problem, RevisionId};
use crate::engine::history::{
    ANSWER_TEXT_MAX_BYTES, DIFF_FILES_MAX, DiffBody, DiffReport, DiffSide, FileDiff, Hunk, Version,
};
use crate::engine::order::FileKind;
use crate::store::Store;

/// Longer texts are not compared line by line, bytes.
pub const TEXT_MAX_BYTES: u64 = 2 * 1024 * 1024;

/// After so long in one answer no file gets [`SEARCH_LIMIT`] any more, but only [`SHORT_LIMIT`].
const PATIENCE: Duration = Duration::from_secs(20);
/// See [`PATIENCE`].
const SHORT_LIMIT: Duration = Duration::from_millis(20);

/// Where the contents of one side come from; none: not to be had, for this reason.
pub type Contents<'a> = dyn FnMut(&Digest) -> Result<Result<Vec<u8>, String>, Problem> + 'a;

/// One of the two versions.
pub struct Side<'a> {
    /// For people.
    pub name: String,
    /// What is in it.
    pub tree: Tree,
    /// Its contents.
    pub contents: Box<Contents<'a>>,
}

/// Where versions are found.
pub struct Versions<'a> {
    /// What is kept.
    pub store: &'a Store,
    /// The newest tree, from which older ones are made: so their cost is that of what came since.
    pub newest: &'a dyn Fn() -> Result<Tree, Problem>,
    /// What is in the directory.
    pub on_disk: &'a dyn Fn() -> Result<OnDisk, Problem>,
}

impl<'a> Versions<'a> {
    /// A version that is in the store, or in the directory.
    ///
    /// # Errors
    /// When there is no such version, or it cannot be read. The peer's is not to be had here.
    pub fn side(&self, version: &Version) -> Result<Side<'a>, Problem> {
        let store = self.store;
        let of = |name: String, tree: Tree| Side { name, tree, contents: Box::new(|digest| kept(store, digest)) };
        match version {
            Version::Newest => {
                let row = store.newest_revision()?;
                let name = row.as_ref().map_or("no revision".into(), |row| format!("revision {}", row.revision.number));
                let tree = row.map(|row| self.tree_of(&row.revision)).transpose()?;
                Ok(of(name, tree.unwrap_or_default()))
            }
            Version::Revision(number) => {
                Ok(of(format!("revision {number}"), self.tree_of(&history::numbered(store, *number)?)?))
            }
            Version::Branch(name) => Ok(of(format!("branch {name}"), self.branch_tree(name)?)),
            Version::Directory => {
                let found = (self.on_disk)()?;
                let tree = found.tree.clone();
                let contents = move |digest: &Digest| match found.content(digest) {
                    Some(bytes) => Ok(Ok(bytes.to_vec())),
                    None => kept(store, digest),
                };
                Ok(Side { name: "directory".into(), tree, contents: Box::new(contents) })
            }
            Version::Peer => Err(Problem::new(
                "cannot compare with the other instance",
                "it is asked by a running instance alone",
                "start this one: standin serve",
            )),
        }
    }

    fn tree_of(&self, revision: &RevisionId) -> Result<Tree, Problem> {
        match history::tree_from(self.store, &(self.newest)()?, revision)? {
            Some(tree) => Ok(tree),
            // A commit came between.
            None => history::tree_of(self.store, revision),
        }
    }

    /// The newest revision of a branch: its common revision with what the branch changed. Where that one is not kept any more,
    /// the newest revision takes its place.
    fn branch_tree(&self, name: &str) -> Result<Tree, Problem> {
        let store = self.store;
        let branch = store.branches()?.into_iter().find(|branch| branch.name == name).ok_or_else(|| {
            Problem::new(
                format!("cannot find the version {name}"),
                "it is no number of a revision, no branch, and neither `directory` nor `peer`",
                "`standin config log` lists revisions, `standin config branches` branches",
            )
        })?;
        let mut tree = match branch.common {
            None => Tree::default(),
            Some(common) if history::find(store, &common)?.is_some() => self.tree_of(&common)?,
            Some(_) => (self.newest)()?,
        };
        for change in diff::merged(store.branch_changes(name)?.into_iter()) {
            match change.new {
                None => tree.remove(&change.path),
                Some(entry) => {
                    history::make_parents(&mut tree, &change.path, history::NEW_DIRECTORY_MODE)?;
                    tree.set(&change.path, entry).map_err(|missing| damaged(&missing.to_string()))?;
                }
            }
        }
        Ok(tree)
    }
}

fn kept(store: &Store, digest: &Digest) -> Result<Result<Vec<u8>, String>, Problem> {
    Ok(match store.content(digest)? {
        Some(bytes) => Ok(bytes),
        None if store.is_forgotten(digest)? => Err("its content was forgotten".into()),
        None => Err("its content is not kept here".into()),
    })
}

/// How `to` differs from `from`, at `paths` and inside them (none: everywhere). Texts are shown with `mask`, where there is
/// one.
///
/// # Errors
/// When a content cannot be read, or neither has one of the paths.
pub fn compare(
    mut from: Side<'_>,
    mut to: Side<'_>,
    paths: &[RelPath],
    mask: Option<&Mask<'_>>,
) -> Result<DiffReport, Problem> {
    if let Some(path) = paths.iter().find(|path| from.tree.get(path).is_none() && to.tree.get(path).is_none()) {
        let why = format!("neither {} nor {} has it", from.name, to.name);
        let todo = "`standin config list` names what is there; paths are relative to the mirrored directory";
        return Err(Problem::new(format!("there is no path {path}"), why, todo));
    }
    let is_wanted = |path: &RelPath| paths.is_empty() || paths.iter().any(|wanted| path.is_within(wanted));
    let mut changes = diff::between(&from.tree, &to.tree);
    changes.retain(|change| is_wanted(&change.path));
    let pairs = renamed(changes);
    let mut report = DiffReport { from: from.name, to: to.name, files: Vec::new(), files_total: pairs.len() as u64 };
    let mut room = ANSWER_TEXT_MAX_BYTES;
    let begun = Instant::now();
    for (change, renamed_from) in pairs.into_iter().take(DIFF_FILES_MAX) {
        let mut body = match (room, &renamed_from) {
            (0, _) => DiffBody::Cut,
            (_, Some(_)) => DiffBody::Same,
            _ => {
                let limit = if begun.elapsed() < PATIENCE { SEARCH_LIMIT } else { SHORT_LIMIT };
                body_of(&change, &mut from.contents, &mut to.contents, mask, limit)?
            }
        };
        let bytes = weight(&body);
        if bytes > ANSWER_TEXT_MAX_BYTES {
            body = DiffBody::TooLarge;
        } else if bytes > room {
            body = DiffBody::Cut;
            // What is small and comes later would still fit, but an end that is one is easier to read.
            room = 0;
        }
        if matches!(body, DiffBody::Text(_)) {
            room -= bytes;
        }
        report.files.push(FileDiff {
            path: change.path.to_string(),
            renamed_from: renamed_from.map(|path| path.to_string()),
            old: change.old.map(told),
            new: change.new.map(told),
            body,
            owners: owners_of(&change),
        });
    }
    Ok(report)
}

fn told(entry: Entry) -> DiffSide {
    DiffSide { kind: entry.kind, mode: entry.mode, size: entry.size }
}

/// In both versions, where they differ.
fn owners_of(change: &Change) -> Option<(String, String)> {
    let (old, new) = (change.old?.owners, change.new?.owners);
    (old != new).then(|| (old.to_string(), new.to_string()))
}

/// A file that went and one that came with the same content are one that was renamed.
fn renamed(changes: Vec<Change>) -> Vec<(Change, Option<RelPath>)> {
    let is_content = |entry: &Entry| entry.kind == FileKind::File && entry.size > 0;
    let mut gone: BTreeMap<Digest, Vec<usize>> = BTreeMap::new();
    for (index, change) in changes.iter().enumerate().rev() {
        if let (Some(old), None) = (change.old.filter(is_content), change.new) {
            gone.entry(old.digest).or_default().push(index);
        }
    }
    let mut from = vec![None; changes.len()];
    let mut is_taken = vec![false; changes.len()];
    for (index, change) in changes.iter().enumerate() {
        if let (None, Some(new)) = (change.old, change.new.filter(is_content))
            && let Some(source) = gone.get_mut(&new.digest).and_then(Vec::pop)
        {
            from[index] = Some((changes[source].path.clone(), changes[source].old));
            is_taken[source] = true;
        }
    }
    let pairs = changes.into_iter().zip(from).zip(is_taken).filter(|(_, is_taken)| !is_taken);
    pairs
        .map(|((change, from), _)| match from {
            Some((path, old)) => (Change { old, ..change }, Some(path)),
            None => (change, None),
        })
        .collect()
}

fn body_of(
    change: &Change,
    from: &mut Contents<'_>,
    to: &mut Contents<'_>,
    mask: Option<&Mask<'_>>,
    limit: Duration,
) -> Result<DiffBody, Problem> {
    let content = |entry: Option<Entry>| entry.filter(Entry::has_content);
    let (old, new) = (content(change.old), content(change.new));
    if old.map(|entry| (entry.kind, entry.digest)) == new.map(|entry| (entry.kind, entry.digest)) {
        return Ok(DiffBody::Same);
    }
    if [old, new].iter().flatten().any(|entry| entry.size > TEXT_MAX_BYTES) {
        return Ok(DiffBody::TooLarge);
    }
    let fetch = |entry: Option<Entry>, contents: &mut Contents<'_>| match entry {
        None => Ok(Ok(Vec::new())),
        Some(entry) => contents(&entry.digest),
    };
    let (before, after) = match (fetch(old, from)?, fetch(new, to)?) {
        (Ok(before), Ok(after)) => (before, after),
        (Err(why), _) | (_, Err(why)) => return Ok(DiffBody::Missing(why)),
    };
    let is_link = |entry: Option<Entry>| entry.is_some_and(|entry| entry.kind == FileKind::Link);
    if is_link(old) || is_link(new) {
        let target = |entry, bytes: &[u8]| is_link(entry).then(|| shown(bytes));
        return Ok(DiffBody::Link { old: target(old, &before), new: target(new, &after) });
    }
    match (text_of(&before), text_of(&after)) {
        (Some(old), Some(new)) => Ok(DiffBody::Text(hunks(old, new, mask, limit))),
        _ => Ok(DiffBody::Binary),
    }
}

/// What it takes in an answer, roughly.
fn weight(body: &DiffBody) -> usize {
    const LINE_BYTES: usize = 32;
    let of = |hunk: &Hunk| hunk.lines.iter().map(|line| line.text.len() + LINE_BYTES).sum::<usize>();
    match body {
        DiffBody::Text(hunks) => hunks.iter().map(of).sum(),
        _ => 0,
    }
}

#[cfg(test)]
mod tests;
