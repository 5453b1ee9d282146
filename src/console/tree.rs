//! The mirrored directory as a tree with folded directories. Works on ranges of the sorted list of paths, so that opening
//! one directory of a hundred thousand files costs its own entries.

use std::collections::BTreeSet;

use crate::engine::order::{FileEntry, FileKind};

/// Most rows a filter shows.
pub const FILTER_ROWS_MAX: usize = 2_000;
/// With no more files than this the whole tree is open at first.
const OPEN_ALL_MAX: usize = 40;

/// One visible row.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TreeRow {
    /// Whole path; names the row for ever.
    pub path: String,
    /// Last part of it.
    pub name: String,
    /// How many directories above.
    pub depth: usize,
    /// What it is.
    pub kind: RowKind,
}

/// What a row is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RowKind {
    /// Holds `files` files, in all depths.
    Directory {
        /// Its entries follow.
        open: bool,
        /// In all depths.
        files: usize,
    },
    /// Index into the list of files.
    File(usize),
}

/// Rows of the directories in `open`, directories before files. `files` is [`sort`]ed.
#[must_use]
pub fn rows(files: &[FileEntry], open: &BTreeSet<String>) -> Vec<TreeRow> {
    let mut out = Vec::new();
    walk(files, 0..files.len(), 0, open, &mut out);
    out
}

/// Rows of every file whose path matches, with the directories above it, at most [`FILTER_ROWS_MAX`]; and how many match.
#[must_use]
pub fn filtered(files: &[FileEntry], filter: &str) -> (Vec<TreeRow>, usize) {
    let filter = filter.to_lowercase();
    let matching: Vec<FileEntry> = files
        .iter()
        .filter(|entry| entry.kind != FileKind::Directory && matches(&entry.path.to_lowercase(), &filter))
        .cloned()
        .collect();
    let total = matching.len();
    let shown = &matching[..total.min(FILTER_ROWS_MAX)];
    let mut rows = rows(shown, &all_directories(shown));
    for row in &mut rows {
        if let RowKind::File(_) = row.kind
            && let Ok(index) = files.binary_search_by(|entry| compare(&entry.path, &row.path))
        {
            row.kind = RowKind::File(index);
        }
    }
    (rows, total)
}

/// The directories open at first.
#[must_use]
pub fn initially_open(files: &[FileEntry]) -> BTreeSet<String> {
    if files.len() <= OPEN_ALL_MAX { all_directories(files) } else { BTreeSet::new() }
}

/// Whether `filter` (both in lower case) occurs in `path`; `*` stands for anything between two parts.
fn matches(path: &str, filter: &str) -> bool {
    let mut rest = path;
    filter.split('*').all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

fn all_directories(files: &[FileEntry]) -> BTreeSet<String> {
    let mut all = BTreeSet::new();
    for entry in files {
        let mut path = entry.path.as_str();
        if entry.kind == FileKind::Directory {
            all.insert(path.to_owned());
        }
        while let Some((parent, _)) = path.rsplit_once('/') {
            if !all.insert(parent.to_owned()) {
                break;
            }
            path = parent;
        }
    }
    all
}

/// Sorts part by part, so that everything below a directory follows it without a gap.
pub fn sort(files: &mut [FileEntry]) {
    files.sort_by(|a, b| compare(&a.path, &b.path));
}

fn compare(a: &str, b: &str) -> std::cmp::Ordering {
    a.split('/').cmp(b.split('/'))
}

/// Appends the rows of one directory: `files[range]` all lie below it, its path has `depth` parts.
fn walk(
    files: &[FileEntry],
    range: std::ops::Range<usize>,
    depth: usize,
    open: &BTreeSet<String>,
    out: &mut Vec<TreeRow>,
) {
    let mut leaves = Vec::new();
    let mut index = range.start;
    while index < range.end {
        let entry = &files[index];
        let path = ancestor(&entry.path, depth + 1);
        let is_directory = entry.kind == FileKind::Directory || path.len() < entry.path.len();
        if !is_directory {
            leaves.push(index);
            index += 1;
            continue;
        }
        let is_inside = |other: &FileEntry| ancestor(&other.path, depth + 1) == path;
        let end = index + files[index..range.end].partition_point(is_inside);
        let start = index + usize::from(entry.path == path);
        let is_open = open.contains(path);
        let count = files[start..end].iter().filter(|entry| entry.kind != FileKind::Directory).count();
        out.push(TreeRow {
            path: path.to_owned(),
            name: last_part(path).to_owned(),
            depth,
            kind: RowKind::Directory { open: is_open, files: count },
        });
        if is_open {
            walk(files, start..end, depth + 1, open, out);
        }
        index = end;
    }
    for index in leaves {
        let path = files[index].path.clone();
        let name = last_part(&path).to_owned();
        out.push(TreeRow { path, name, depth, kind: RowKind::File(index) });
    }
}

fn last_part(path: &str) -> &str {
    path.rsplit('/').next().unwrap_or(path)
}

/// The first `parts` parts of `path`.
fn ancestor(path: &str, parts: usize) -> &str {
    match path.match_indices('/').nth(parts - 1) {
        Some((at, _)) => &path[..at],
        None => path,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::base::Digest;

    fn entries(paths: &[&str]) -> Vec<FileEntry> {
        let mut files: Vec<FileEntry> = paths
            .iter()
            .map(|path| FileEntry {
                path: (*path).to_owned(),
                kind: FileKind::File,
                mode: 0o640,
                size: 1,
                digest: Digest::ZERO,
                revision: 1,
            })
            .collect();
        sort(&mut files);
        files
    }

    fn drawn(rows: &[TreeRow]) -> Vec<String> {
        rows.iter()
            .map(|row| match row.kind {
                RowKind::Directory { open, files } => {
                    format!("{}{} {} ({files})", "  ".repeat(row.depth), if open { "-" } else { "+" }, row.name)
                }
                RowKind::File(index) => format!("{}{} #{index}", "  ".repeat(row.depth), row.name),
            })
            .collect()
    }

    #[test]
    fn directories_fold_and_count() {
        let files = entries(&["a/x.yaml", "a-b/y", "a.txt", "a/deep/z", "b"]);
        assert_eq!(drawn(&rows(&files, &BTreeSet::new())), ["+ a (2)", "+ a-b (1)", "a.txt #3", "b #4"]);
        let open = BTreeSet::from(["a".to_owned()]);
        let expected = ["- a (2)", "  + deep (1)", "  x.yaml #1", "+ a-b (1)", "a.txt #3", "b #4"];
        assert_eq!(drawn(&rows(&files, &open)), expected);
        assert_eq!(drawn(&rows(&files, &initially_open(&files))).len(), 8);
    }

    #[test]
    fn a_filter_shows_matches_under_their_directories() {
        let files = entries(&["eu/mappings/orders.yaml", "eu/mappings/stock.yaml", "us/orders.yaml"]);
        let (rows, total) = filtered(&files, "EU*Orders");
        assert_eq!(total, 1);
        assert_eq!(drawn(&rows), ["- eu (1)", "  - mappings (1)", "    orders.yaml #0"]);
    }
}
