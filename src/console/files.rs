//! What the console knows of the Configuration screen.

use std::collections::{BTreeMap, BTreeSet};

use super::history::{DiffView, History};
use super::model::Overlay;
use super::search::Search;
use super::tree::{FileTree, RowKind, TreeRow};
use crate::engine::base::{Digest, RevisionId};
use crate::engine::message::Branch;
use crate::engine::order::{FileContent, FileEntry, HeldFile, VerifyReport};
use crate::text::mask::{self, ShownLine};
use crate::text::yaml::{Lexer, Span, is_yaml_name};

/// The Configuration screen.
#[derive(Default)]
pub struct Files {
    /// Every path, and which rows are visible.
    pub tree: FileTree,
    /// The revision that the tree is of; none: not known yet.
    pub known: Option<RevisionId>,
    /// The revision before the first part of what is being read.
    pub reading: Option<Reading>,
    /// Revision and root of the status when the list was last asked for; none: never.
    pub asked_for: Option<(u64, Option<Digest>)>,
    /// A whole list has come.
    pub loaded: bool,
    /// As typed.
    pub filter: String,
    /// The selected row.
    pub cursor: usize,
    /// Its path.
    pub selected: Option<String>,
    /// The file shown.
    pub shown: Option<ShownFile>,
    /// The arrows scroll the file, not the tree.
    pub in_file: bool,
    /// First line shown of the file.
    pub file_scroll: usize,
    /// First column shown of its lines, in cells.
    pub file_left: usize,
    /// Masked values are shown.
    pub show_secrets: bool,
    /// The last comparison.
    pub report: Option<Box<VerifyReport>>,
    /// Branches as last asked for.
    pub branches: Vec<Branch>,
    /// The selected one.
    pub branch: usize,
    /// Revisions, as last opened.
    pub history: History,
    /// A comparison, as last asked for.
    pub diff: Option<DiffView>,
    /// What the comparison was opened from.
    pub under: Option<Overlay>,
    /// The file in the operator's editor.
    pub editing: Option<Editing>,
    /// In the file shown.
    pub search: Search,
    /// What is held back, as last told.
    pub held: Vec<HeldFile>,
    /// How many the status told, and of which revision, when that was asked for.
    pub held_asked: Option<(u64, u64)>,
    /// What was found changed on this shadow and was put back, as last told (spec 4.5).
    pub drifted: Vec<HeldFile>,
    /// As `held_asked`.
    pub drift_asked: Option<(u64, u64)>,
    /// What is said about paths.
    pub marks: Marks,
}

/// A file in the operator's editor.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Editing {
    /// Which.
    pub path: String,
    /// Its permission bits.
    pub mode: u32,
    /// Of the content that was given to the editor: what must still be there when it is applied.
    pub digest: Digest,
    /// Where the edited text is.
    pub copy: Option<String>,
    /// How far it is.
    pub state: EditState,
}

/// How far the editing of a file is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EditState {
    /// The editor has the terminal.
    Open,
    /// It was suspended.
    Suspended,
    /// It has ended, and its text is on the way to a revision.
    Applying,
}

/// A list on its way.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reading {
    /// The newest revision before the first part.
    pub first: Option<RevisionId>,
    /// The newest revision before the part that came last.
    pub last: Option<RevisionId>,
}

/// A file as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownFile {
    /// About it.
    pub entry: FileEntry,
    /// Its lines; empty if it is no text.
    pub lines: Vec<ShownLine>,
    /// What the parts of each line are, as it is without a mask; empty where that is not known.
    pub parts: Vec<Vec<Span>>,
    /// It is text.
    pub is_text: bool,
    /// Too long, cut.
    pub is_cut: bool,
}

impl ShownFile {
    /// Reads the lines of a text.
    #[must_use]
    pub fn new(content: FileContent) -> Self {
        let FileContent { entry, text, is_text, is_cut } = content;
        let lines = if is_text { mask::lines(&text) } else { Vec::new() };
        let mut lexer = Lexer::default();
        let parts = if is_yaml_name(&entry.path) {
            lines.iter().map(|line| lexer.line(&line.plain)).collect()
        } else {
            Vec::new()
        };
        Self { entry, lines, parts, is_text, is_cut }
    }
}

/// What is said about paths: by a comparison, by what is held back or has drifted. Bounded by the limits of the answers.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Marks {
    words: BTreeMap<String, String>,
    /// Directories with a marked path inside.
    above: BTreeSet<String>,
}

impl Marks {
    /// What is said about a path.
    #[must_use]
    pub fn word(&self, path: &str) -> Option<&str> {
        self.words.get(path).map(String::as_str)
    }

    /// Something inside this directory has a mark.
    #[must_use]
    pub fn is_above(&self, directory: &str) -> bool {
        self.above.contains(directory)
    }

    /// There is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.words.is_empty()
    }

    /// The next marked path behind (or before) this one, around the end.
    #[must_use]
    pub fn next(&self, from: &str, forward: bool) -> Option<&str> {
        use std::ops::Bound::{Excluded, Unbounded};
        let found = if forward {
            self.words.range::<str, _>((Excluded(from), Unbounded)).next().or(self.words.iter().next())
        } else {
            self.words.range::<str, _>((Unbounded, Excluded(from))).next_back().or(self.words.iter().next_back())
        };
        found.map(|(path, _)| path.as_str())
    }

    fn add(&mut self, path: &str, word: &str) {
        let mut at = path;
        while let Some((above, _)) = at.rsplit_once('/') {
            if !self.above.insert(above.to_owned()) {
                break;
            }
            at = above;
        }
        self.words.insert(path.to_owned(), word.to_owned());
    }
}

impl Files {
    /// The selected row.
    #[must_use]
    pub fn current(&self) -> Option<TreeRow<'_>> {
        self.selected.as_ref()?;
        self.tree.row(self.cursor)
    }

    /// The selected file or link.
    #[must_use]
    pub fn current_file(&self) -> Option<FileEntry> {
        let row = self.current()?;
        match row.kind {
            RowKind::File | RowKind::Link => self.tree.entry(row.id),
            RowKind::Directory { .. } => None,
        }
    }

    /// Why a path is held back.
    #[must_use]
    pub fn held(&self, path: &str) -> Option<&HeldFile> {
        find(&self.held, path)
    }

    /// What had become of a path on this shadow.
    #[must_use]
    pub fn drifted(&self, path: &str) -> Option<&HeldFile> {
        find(&self.drifted, path)
    }

    /// Takes in what was found changed on this shadow.
    pub fn take_drifted(&mut self, mut drifted: Vec<HeldFile>) {
        drifted.sort_by(|one, other| one.path.cmp(&other.path));
        self.drifted = drifted;
        self.mark();
    }

    /// Takes in what is held back.
    pub fn take_held(&mut self, mut held: Vec<HeldFile>) {
        held.sort_by(|one, other| one.path.cmp(&other.path));
        self.held = held;
        self.mark();
    }

    /// Selects a row; true: it is another one than before.
    pub fn select(&mut self, index: usize) -> bool {
        let index = index.min(self.tree.rows().saturating_sub(1));
        let path = self.tree.row(index).map(|row| self.tree.path(row.id));
        self.cursor = index;
        let is_another = path != self.selected;
        if is_another {
            self.selected = path;
            self.search = Search::default();
            self.file_scroll = 0;
            self.file_left = 0;
            self.show_secrets = false;
        }
        is_another
    }

    /// Opens the directories above a path and selects it; false: it is not in the list, or the filter hides it.
    pub fn reveal(&mut self, path: &str) -> bool {
        self.tree.open_above(path);
        let found = self.tree.find(path).and_then(|id| self.tree.index_of(id));
        if let Some(index) = found {
            self.select(index);
        }
        found.is_some()
    }

    /// Looks through the shown file for what is searched for; a hidden value is not found.
    pub fn look(&mut self) {
        let lines = self.shown.as_ref().map(|shown| shown.lines.as_slice()).unwrap_or_default();
        self.search.look(lines.iter().map(|line| line.text(self.show_secrets)));
    }

    /// After rows came or went: the selection stays with its path, or where that is gone, with its place.
    pub fn keep_selection(&mut self) {
        let found = self.selected.as_deref().and_then(|path| self.tree.find(path));
        match found.and_then(|id| self.tree.index_of(id)) {
            Some(index) => self.cursor = index,
            None if !self.filter.is_empty() => drop(self.select(self.tree.first_file().unwrap_or(0))),
            None => drop(self.select(if self.selected.is_some() { self.cursor } else { 0 })),
        }
    }

    /// Shows only what holds the typed text.
    pub fn refilter(&mut self) {
        self.tree.set_filter(&self.filter);
        self.keep_selection();
    }

    /// Gathers the marks anew.
    pub fn mark(&mut self) {
        let mut marks = Marks::default();
        for difference in self.report.iter().flat_map(|report| &report.differences) {
            marks.add(&difference.path, &difference.what);
        }
        for drifted in &self.drifted {
            marks.add(&drifted.path, "drift");
        }
        for held in &self.held {
            marks.add(&held.path, "held");
        }
        self.marks = marks;
    }
}

/// In a list in order of paths.
fn find<'a>(files: &'a [HeldFile], path: &str) -> Option<&'a HeldFile> {
    files.binary_search_by(|file| file.path.as_str().cmp(path)).ok().map(|at| &files[at])
}
