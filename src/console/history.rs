//! What the console knows of revisions and their differences (spec 5.6).

use super::facts;
use super::search::{Search, next_of};
use crate::engine::history::{DiffBody, DiffReport, DiffSide, FileDiff, LogEntry, Sign, Version};
use crate::engine::order::FileKind;
use crate::text::clean;

/// Revisions asked for at once.
pub const HISTORY_PAGE: u32 = 200;
/// Most revisions kept; older ones are in `standin config log`.
pub const HISTORY_MAX: usize = 5_000;
/// So many rows before the end the next revisions are asked for.
const AHEAD: usize = 50;

/// The revisions of the configuration, or of one path.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct History {
    /// The path that it was opened for; none: the configuration.
    pub about: Option<String>,
    /// Only revisions that changed this path.
    pub path: Option<String>,
    /// Newest first.
    pub entries: Vec<LogEntry>,
    /// The selected one.
    pub cursor: usize,
    /// There are no older ones, or no more are kept here.
    pub is_complete: bool,
}

impl History {
    /// The selected revision.
    #[must_use]
    pub fn current(&self) -> Option<&LogEntry> {
        self.entries.get(self.cursor)
    }

    /// Takes more in, if it follows what is there.
    pub fn add(&mut self, path: Option<&String>, older: Vec<LogEntry>) {
        let follows = |last: &LogEntry| older.first().is_none_or(|next| next.revision.number < last.revision.number);
        if self.path.as_ref() != path || !self.entries.last().is_none_or(follows) {
            return;
        }
        self.is_complete = older.len() < HISTORY_PAGE as usize || self.entries.len() + older.len() >= HISTORY_MAX;
        self.entries.extend(older);
    }

    /// Older ones are wanted now.
    #[must_use]
    pub fn wants_more(&self) -> bool {
        !self.is_complete && self.cursor + AHEAD >= self.entries.len()
    }

    /// The path or the configuration, for people.
    #[must_use]
    pub fn subject(&self) -> String {
        subject(self.path.as_slice())
    }
}

/// Paths for people; none: everything.
#[must_use]
pub fn subject(paths: &[String]) -> String {
    match paths {
        [] => "the whole configuration".into(),
        [path] => clean(path),
        more => facts::counted(more.len() as u64, "path"),
    }
}

/// One line of a comparison.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffRow {
    /// What it is.
    pub kind: DiffKind,
    /// As shown.
    pub text: String,
}

/// What a line of a comparison is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DiffKind {
    /// Names a path.
    Path,
    /// Names a place in it.
    Place,
    /// In both versions.
    Both,
    /// In the first alone.
    Old,
    /// In the second alone.
    New,
    /// Anything else.
    Note,
}

/// A comparison as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DiffView {
    /// The first version.
    pub from: Version,
    /// The second.
    pub to: Version,
    /// Only these; none: everything.
    pub paths: Vec<String>,
    /// Without masks (spec 5.8).
    pub show_secrets: bool,
    /// The answer has come.
    pub loaded: bool,
    /// `revision 4807`.
    pub from_name: String,
    /// `disk of node-b`.
    pub to_name: String,
    /// How many differ.
    pub files_total: u64,
    /// A value is hidden.
    pub is_masked: bool,
    /// All lines.
    pub rows: Vec<DiffRow>,
    /// First line shown.
    pub scroll: usize,
    /// First column shown of lines and paths, in cells.
    pub left: usize,
    /// In its lines.
    pub search: Search,
}

impl DiffView {
    /// Asked for, not answered.
    #[must_use]
    pub fn new(from: Version, to: Version, paths: Vec<String>) -> Self {
        Self {
            from,
            to,
            paths,
            show_secrets: false,
            loaded: false,
            from_name: String::new(),
            to_name: String::new(),
            files_total: 0,
            is_masked: false,
            rows: Vec::new(),
            scroll: 0,
            left: 0,
            search: Search::default(),
        }
    }

    /// The answer.
    pub fn fill(&mut self, report: DiffReport) {
        let is_new = !self.loaded;
        self.loaded = true;
        self.from_name = clean(&report.from);
        self.to_name = clean(&report.to);
        self.files_total = report.files_total;
        self.is_masked = report.files.iter().any(has_masks);
        self.rows = report.files.iter().flat_map(rows).collect();
        let missing = report.files_total.saturating_sub(report.files.len() as u64);
        if missing > 0 {
            self.rows.push(note(format!("and {} more paths", facts::grouped(missing))));
        }
        self.search.look(self.rows.iter().map(|row| row.text.as_str()));
        if is_new {
            self.scroll = 0;
        }
    }

    /// Where to go from the first line shown: to the next hit, or where nothing is searched for, to the next path.
    #[must_use]
    pub fn next(&self, forward: bool) -> Option<usize> {
        if self.search.is_on() {
            return self.search.next(self.scroll, forward);
        }
        let is_path = |(_, row): &(usize, &DiffRow)| row.kind == DiffKind::Path;
        let paths: Vec<usize> = self.rows.iter().enumerate().filter(is_path).map(|(at, _)| at).collect();
        next_of(&paths, self.scroll, forward)
    }
}

fn has_masks(file: &FileDiff) -> bool {
    let DiffBody::Text(hunks) = &file.body else { return false };
    hunks.iter().flat_map(|hunk| &hunk.lines).any(|line| line.masked)
}

fn note(text: String) -> DiffRow {
    DiffRow { kind: DiffKind::Note, text }
}

/// The lines of one path.
fn rows(file: &FileDiff) -> Vec<DiffRow> {
    let mut rows = vec![DiffRow { kind: DiffKind::Path, text: head(file) }];
    match &file.body {
        DiffBody::Same => {}
        DiffBody::Binary => rows.push(note("not text; the contents differ".into())),
        DiffBody::TooLarge => rows.push(note("too long to compare line by line; the contents differ".into())),
        DiffBody::Missing(why) => rows.push(note(format!("no content: {}", clean(why)))),
        DiffBody::Cut => rows.push(note("the answer was full; compare this path alone".into())),
        DiffBody::Link { old, new } => {
            let line = |kind, target: &String| DiffRow { kind, text: format!("-> {}", clean(target)) };
            rows.extend(old.iter().map(|target| line(DiffKind::Old, target)));
            rows.extend(new.iter().map(|target| line(DiffKind::New, target)));
        }
        DiffBody::Text(hunks) => {
            for hunk in hunks {
                let (old, new) = (hunk.old_start, hunk.new_start);
                let text = if old == new { format!("line {new}") } else { format!("line {old}, now line {new}") };
                rows.push(DiffRow { kind: DiffKind::Place, text });
                for line in &hunk.lines {
                    let kind = match line.sign {
                        Sign::Both => DiffKind::Both,
                        Sign::Old => DiffKind::Old,
                        Sign::New => DiffKind::New,
                    };
                    rows.push(DiffRow { kind, text: clean(&line.text) });
                    if line.no_newline {
                        rows.push(note("no end of line at the end of the file".into()));
                    }
                }
            }
        }
    }
    rows
}

/// `mappings/orders.yaml   mode 0640 -> 0600`
fn head(file: &FileDiff) -> String {
    let path = clean(&file.path);
    let kind = |side: &DiffSide| match side.kind {
        FileKind::File => "file",
        FileKind::Directory => "directory",
        FileKind::Link => "link",
    };
    let mut words = Vec::new();
    if let Some(from) = &file.renamed_from {
        words.push(format!("was {}", clean(from)));
    }
    match (&file.old, &file.new) {
        (None, Some(new)) => words.push(format!("added, {} of {}", kind(new), facts::bytes(new.size))),
        (Some(old), None) => words.push(format!("removed, {} of {}", kind(old), facts::bytes(old.size))),
        (Some(old), Some(new)) => {
            if old.kind != new.kind {
                words.push(format!("{} -> {}", kind(old), kind(new)));
            }
            if old.mode != new.mode {
                words.push(format!("mode {:04o} -> {:04o}", old.mode, new.mode));
            }
            words.extend(file.owner_words().map(|words| clean(&words)));
            if words.is_empty() {
                words.push("changed".into());
            }
        }
        (None, None) => {}
    }
    format!("{path}   {}", words.join(", "))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::engine::history::{DiffLine, Hunk};

    fn file(path: &str, body: DiffBody) -> FileDiff {
        let side = |mode| Some(DiffSide { kind: FileKind::File, mode, size: 10 });
        FileDiff { path: path.into(), renamed_from: None, old: side(0o640), new: side(0o600), body, owners: None }
    }

    /// spec 5.6
    #[test]
    fn a_comparison_is_lines() {
        let line = |sign, text: &str| DiffLine { sign, text: text.into(), masked: false, no_newline: false };
        let lines = vec![line(Sign::Both, "a"), line(Sign::Old, "b\u{1b}"), line(Sign::New, "c")];
        let hunk = Hunk { old_start: 1, old_lines: 2, new_start: 1, new_lines: 2, lines };
        let files = vec![file("x.yaml", DiffBody::Text(vec![hunk])), file("y", DiffBody::Binary)];
        let mut view = DiffView::new(Version::Newest, Version::Peer, vec![]);
        view.fill(DiffReport { from: "revision 1".into(), to: "disk of b".into(), files, files_total: 9 });
        let texts: Vec<&str> = view.rows.iter().map(|row| row.text.as_str()).collect();
        let note = "not text; the contents differ";
        let heads = ("x.yaml   mode 0640 -> 0600", "y   mode 0640 -> 0600");
        assert_eq!(texts, [heads.0, "line 1", "a", "b\u{fffd}", "c", heads.1, note, "and 7 more paths"]);
        assert_eq!((view.next(true), view.next(false)), (Some(5), Some(5)), "from path to path");
        view.search.text = "C".into();
        view.search.look(view.rows.iter().map(|row| row.text.as_str()));
        assert_eq!(view.next(true), Some(1 + 3), "from hit to hit");
    }

    /// An answer to an older question is dropped; the end is known.
    #[test]
    fn revisions_come_in_pages() {
        use crate::engine::base::{Digest, RevisionId, Term, UnixMillis};
        let entry = |number| LogEntry {
            revision: RevisionId { number, term: Term(1), root: Digest::ZERO },
            at: UnixMillis(0),
            author: String::new(),
            message: String::new(),
            added: 0,
            changed: 1,
            removed: 0,
            paths: vec![],
        };
        let mut history = History { path: Some("a".into()), ..History::default() };
        history.add(None, vec![entry(9)]);
        assert!(history.entries.is_empty(), "another question's");
        let path = Some("a".to_owned());
        history.add(path.as_ref(), (801..=1_000).rev().map(entry).collect());
        assert!(!history.is_complete && !history.wants_more());
        history.cursor = 160;
        assert!(history.wants_more());
        history.add(path.as_ref(), vec![entry(800)]);
        history.add(path.as_ref(), vec![entry(800)]);
        assert_eq!((history.entries.len(), history.is_complete), (201, true));
    }
}
