//! The mirrored directory as a tree with folded directories, made for a hundred thousand files: a frame looks at the rows it
//! draws, a key at what it moves over, a change at its own path. Only a new filter looks at every path, once.

mod filter;

#[cfg(test)]
mod tests;

use std::cell::Cell;
use std::collections::BTreeSet;

use crate::engine::base::Digest;
use crate::engine::order::{FileEntry, FileKind};

/// Most files that a filter shows; how many match is told all the same.
pub const FILTER_FILES_MAX: usize = 2_000;
/// With no more files than this the whole tree is open at first.
const OPEN_ALL_MAX: usize = 40;
/// The directory itself.
const TOP: NodeId = 0;

/// A node of the tree, as long as it is there.
pub type NodeId = u32;

/// What has happened to a path since the list was first read.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Since {
    /// Nothing.
    #[default]
    Unchanged,
    /// It came.
    New,
    /// It is another.
    Changed,
}

impl Since {
    /// For people.
    #[must_use]
    pub fn word(self) -> &'static str {
        match self {
            Self::Unchanged => "",
            Self::New => "new",
            Self::Changed => "changed",
        }
    }
}

/// One visible row.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TreeRow<'a> {
    /// Names it, for [`FileTree::path`].
    pub id: NodeId,
    /// Last part of its path.
    pub name: &'a str,
    /// How many directories above.
    pub depth: usize,
    /// What it is.
    pub kind: RowKind,
    /// What has happened to it.
    pub since: Since,
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
    /// A file.
    File,
    /// A link.
    Link,
}

/// All of it.
pub struct FileTree {
    nodes: Vec<Node>,
    free: Vec<NodeId>,
    rows: Vec<NodeId>,
    filter: filter::Filter,
    /// Directories to open when they come, after the list began anew.
    reopen: BTreeSet<String>,
    /// Nodes looked at since the beginning: what a test holds to the rule above.
    looked_at: Cell<u64>,
}

struct Node {
    name: Box<str>,
    parent: NodeId,
    depth: u16,
    since: Since,
    facts: Facts,
    /// None: file or link.
    inside: Option<Box<Inside>>,
}

/// Of a [`FileEntry`], without its path.
#[derive(Clone, Copy, PartialEq, Eq)]
struct Facts {
    kind: FileKind,
    mode: u32,
    size: u64,
    digest: Digest,
    revision: u64,
}

/// Of a directory.
#[derive(Default)]
struct Inside {
    is_open: bool,
    files: usize,
    /// By name.
    directories: Vec<NodeId>,
    /// Files and links, by name.
    leaves: Vec<NodeId>,
}

impl Default for FileTree {
    fn default() -> Self {
        let facts = Facts { kind: FileKind::Directory, mode: 0, size: 0, digest: Digest::ZERO, revision: 0 };
        let inside = Some(Box::new(Inside { is_open: true, ..Inside::default() }));
        let top = Node { name: Box::default(), parent: TOP, depth: 0, since: Since::Unchanged, facts, inside };
        Self {
            nodes: vec![top],
            free: Vec::new(),
            rows: Vec::new(),
            filter: filter::Filter::default(),
            reopen: BTreeSet::new(),
            looked_at: Cell::new(0),
        }
    }
}

impl FileTree {
    /// Forgets all files; which directories were open is remembered.
    pub fn clear(&mut self) {
        let mut reopen = std::mem::take(&mut self.reopen);
        let open = |(_, node): &(usize, &Node)| node.inside.as_ref().is_some_and(|inside| inside.is_open);
        for (id, _) in self.nodes.iter().enumerate().skip(1).filter(open) {
            reopen.insert(self.path(u32::try_from(id).unwrap_or(TOP)));
        }
        let filter = std::mem::take(&mut self.filter);
        *self = Self { reopen, filter: filter.text_only(), ..Self::default() };
    }

    /// Number of files and links.
    #[must_use]
    pub fn files(&self) -> usize {
        self.inside(TOP).map_or(0, |inside| inside.files)
    }

    /// Nothing in it.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.inside(TOP).is_none_or(|inside| inside.directories.is_empty() && inside.leaves.is_empty())
    }

    /// Files that the filter lets through; without one, all.
    #[must_use]
    pub fn matching(&self) -> usize {
        if self.filter.is_on() { self.filter.matching.len() } else { self.files() }
    }

    /// Number of visible rows.
    #[must_use]
    pub fn rows(&self) -> usize {
        self.rows.len()
    }

    /// Nodes looked at since the beginning.
    #[must_use]
    pub fn looked_at(&self) -> u64 {
        self.looked_at.get()
    }

    /// A visible row.
    #[must_use]
    pub fn row(&self, index: usize) -> Option<TreeRow<'_>> {
        let id = *self.rows.get(index)?;
        self.look(1);
        let node = self.node(id)?;
        let kind = match (&node.inside, node.facts.kind) {
            (Some(inside), _) => {
                RowKind::Directory { open: inside.is_open || self.filter.is_on(), files: inside.files }
            }
            (None, FileKind::Link) => RowKind::Link,
            (None, _) => RowKind::File,
        };
        let depth = usize::from(node.depth).saturating_sub(1);
        Some(TreeRow { id, name: &node.name, depth, kind, since: node.since })
    }

    /// The whole path of a node.
    #[must_use]
    pub fn path(&self, id: NodeId) -> String {
        let mut names = Vec::new();
        let mut at = id;
        while at != TOP
            && let Some(node) = self.node(at)
        {
            self.look(1);
            names.push(&*node.name);
            at = node.parent;
        }
        names.reverse();
        names.join("/")
    }

    /// The node of a path.
    #[must_use]
    pub fn find(&self, path: &str) -> Option<NodeId> {
        path.split('/').try_fold(TOP, |at, name| self.child(at, name))
    }

    /// What the engine said about a node; of a directory nothing but its mode counts.
    #[must_use]
    pub fn entry(&self, id: NodeId) -> Option<FileEntry> {
        let Facts { kind, mode, size, digest, revision } = self.node(id)?.facts;
        Some(FileEntry { path: self.path(id), kind, mode, size, digest, revision, owner: String::new() })
    }

    /// Where a node is among the visible rows.
    #[must_use]
    pub fn index_of(&self, id: NodeId) -> Option<usize> {
        self.look(self.rows.len());
        self.rows.iter().position(|row| *row == id)
    }

    /// The row of the directory that row `index` is in.
    #[must_use]
    pub fn row_above(&self, index: usize) -> Option<usize> {
        let parent = self.node(*self.rows.get(index)?)?.parent;
        let found = self.rows[..index].iter().rposition(|row| *row == parent)?;
        self.look(index - found);
        Some(found)
    }

    /// The first visible file or link.
    #[must_use]
    pub fn first_file(&self) -> Option<usize> {
        let is_file = |id: &NodeId| self.node(*id).is_some_and(|node| node.inside.is_none());
        let found = self.rows.iter().position(is_file);
        self.look(found.unwrap_or(self.rows.len()));
        found
    }

    /// Puts a path in or changes it; `marks`: what has changed is marked. Rows follow at [`FileTree::refresh`].
    pub fn put(&mut self, entry: &FileEntry, marks: bool) {
        let FileEntry { path, kind, mode, size, digest, revision, .. } = entry;
        let facts = Facts { kind: *kind, mode: *mode, size: *size, digest: *digest, revision: *revision };
        let mut at = TOP;
        let mut names = path.split('/').peekable();
        while let Some(name) = names.next() {
            let is_last = names.peek().is_none();
            let wants_directory = !is_last || *kind == FileKind::Directory;
            let found = match self.child(at, name) {
                Some(id) if self.inside(id).is_some() == wants_directory => Some(id),
                Some(id) => {
                    self.drop_subtree(id);
                    None
                }
                None => None,
            };
            let is_new = found.is_none();
            let id = match found {
                Some(id) => id,
                None => self.add(at, name, wants_directory),
            };
            if is_last && let Some(node) = self.nodes.get_mut(id as usize) {
                if marks && (is_new || node.facts != facts) {
                    node.since = if is_new || node.since == Since::New { Since::New } else { Since::Changed };
                }
                node.facts = facts;
            }
            at = id;
        }
    }

    /// Takes a path out, with all inside it. Rows follow at [`FileTree::refresh`].
    pub fn remove(&mut self, path: &str) {
        if let Some(id) = self.find(path).filter(|id| *id != TOP) {
            self.drop_subtree(id);
        }
    }

    /// Builds the visible rows anew, after paths came or went.
    pub fn refresh(&mut self) {
        for path in std::mem::take(&mut self.reopen) {
            match self.find(&path).and_then(|id| self.inside_mut(id)) {
                Some(inside) => inside.is_open = true,
                None => drop(self.reopen.insert(path)),
            }
        }
        self.rows = if self.filter.is_on() {
            self.search(false);
            self.matching_rows()
        } else {
            let mut rows = Vec::new();
            self.visible_inside(TOP, &mut rows);
            rows
        };
    }

    /// Shows only files whose path holds this text; empty: all. Letters count alike in both cases, `*` stands for anything.
    pub fn set_filter(&mut self, text: &str) {
        let narrows = self.filter.set(text);
        if self.filter.is_on() {
            self.search(narrows);
            self.rows = self.matching_rows();
        } else {
            self.refresh();
        }
    }

    /// Opens or folds the directory of a row; nothing while a filter is on, which shows all that matches.
    pub fn toggle(&mut self, index: usize) {
        let Some(id) = self.rows.get(index).copied().filter(|_| !self.filter.is_on()) else { return };
        let Some(inside) = self.inside_mut(id) else { return };
        inside.is_open = !inside.is_open;
        if inside.is_open {
            let mut rows = Vec::new();
            self.visible_inside(id, &mut rows);
            self.rows.splice(index + 1..index + 1, rows);
        } else {
            let depth = self.node(id).map_or(0, |node| node.depth);
            let is_inside = |row: &&NodeId| self.node(**row).is_some_and(|node| node.depth > depth);
            let count = self.rows[index + 1..].iter().take_while(is_inside).count();
            self.look(count);
            self.rows.drain(index + 1..index + 1 + count);
        }
    }

    /// Opens the directories above a path.
    pub fn open_above(&mut self, path: &str) {
        let above: Vec<NodeId> = path.match_indices('/').filter_map(|(at, _)| self.find(&path[..at])).collect();
        for id in above {
            if let Some(inside) = self.inside_mut(id) {
                inside.is_open = true;
            }
        }
        self.refresh();
    }

    /// Opens every directory of a small tree, as it is first shown.
    pub fn open_if_small(&mut self) {
        if self.files() > OPEN_ALL_MAX {
            return;
        }
        for inside in self.nodes.iter_mut().filter_map(|node| node.inside.as_mut()) {
            inside.is_open = true;
        }
        self.refresh();
    }

    fn look(&self, nodes: usize) {
        self.looked_at.set(self.looked_at.get() + nodes as u64);
    }

    fn node(&self, id: NodeId) -> Option<&Node> {
        self.nodes.get(id as usize)
    }

    fn inside(&self, id: NodeId) -> Option<&Inside> {
        self.node(id)?.inside.as_deref()
    }

    fn inside_mut(&mut self, id: NodeId) -> Option<&mut Inside> {
        self.nodes.get_mut(id as usize)?.inside.as_deref_mut()
    }

    fn child(&self, parent: NodeId, name: &str) -> Option<NodeId> {
        let inside = self.inside(parent)?;
        let among = |list: &[NodeId]| self.place(list, name).ok().map(|at| list[at]);
        among(&inside.directories).or_else(|| among(&inside.leaves))
    }

    /// Where a name is in a list of nodes, or belongs.
    fn place(&self, list: &[NodeId], name: &str) -> Result<usize, usize> {
        // Names mostly come in their order.
        if list.last().is_none_or(|last| self.node(*last).is_some_and(|node| *node.name < *name)) {
            return Err(list.len());
        }
        list.binary_search_by(|id| self.node(*id).map_or("", |node| &node.name).cmp(name))
    }

    fn add(&mut self, parent: NodeId, name: &str, is_directory: bool) -> NodeId {
        let kind = if is_directory { FileKind::Directory } else { FileKind::File };
        let facts = Facts { kind, mode: 0, size: 0, digest: Digest::ZERO, revision: 0 };
        let depth = self.node(parent).map_or(0, |node| node.depth).saturating_add(1);
        let inside = is_directory.then(Box::default);
        let node = Node { name: name.into(), parent, depth, since: Since::Unchanged, facts, inside };
        let id = match self.free.pop() {
            Some(id) => {
                self.nodes[id as usize] = node;
                id
            }
            None => {
                self.nodes.push(node);
                u32::try_from(self.nodes.len() - 1).unwrap_or(u32::MAX)
            }
        };
        if let Some(inside) = self.inside(parent) {
            let list = if is_directory { &inside.directories } else { &inside.leaves };
            let at = self.place(list, name).unwrap_or_else(|at| at);
            if let Some(inside) = self.inside_mut(parent) {
                let list = if is_directory { &mut inside.directories } else { &mut inside.leaves };
                list.insert(at, id);
            }
        }
        if !is_directory {
            self.count(parent, |files| files + 1);
        }
        id
    }

    /// Changes the number of files of a directory and all above it.
    fn count(&mut self, from: NodeId, change: impl Fn(usize) -> usize) {
        let mut at = from;
        loop {
            let Some(node) = self.nodes.get_mut(at as usize) else { return };
            if let Some(inside) = &mut node.inside {
                inside.files = change(inside.files);
            }
            if at == TOP {
                return;
            }
            at = node.parent;
        }
    }

    fn drop_subtree(&mut self, id: NodeId) {
        let Some(node) = self.node(id) else { return };
        let (parent, name) = (node.parent, node.name.clone());
        let files = node.inside.as_ref().map_or(1, |inside| inside.files);
        self.count(parent, |count| count.saturating_sub(files));
        let is_directory = node_is_directory(self, id);
        let at = self
            .inside(parent)
            .and_then(|inside| self.place(if is_directory { &inside.directories } else { &inside.leaves }, &name).ok());
        if let (Some(at), Some(inside)) = (at, self.inside_mut(parent)) {
            let list = if is_directory { &mut inside.directories } else { &mut inside.leaves };
            list.remove(at);
        }
        let mut gone = vec![id];
        while let Some(id) = gone.pop() {
            self.look(1);
            let Some(node) = self.nodes.get_mut(id as usize) else { continue };
            if let Some(inside) = node.inside.take() {
                gone.extend(inside.directories);
                gone.extend(inside.leaves);
            }
            // Nothing finds it any more: its parent has dropped it.
            node.name = Box::default();
            self.free.push(id);
        }
    }

    /// Appends what is visible inside a directory: directories before files.
    fn visible_inside(&self, id: NodeId, rows: &mut Vec<NodeId>) {
        let Some(inside) = self.inside(id) else { return };
        self.look(inside.directories.len() + inside.leaves.len());
        for directory in &inside.directories {
            rows.push(*directory);
            if self.inside(*directory).is_some_and(|inside| inside.is_open) {
                self.visible_inside(*directory, rows);
            }
        }
        rows.extend_from_slice(&inside.leaves);
    }
}

fn node_is_directory(tree: &FileTree, id: NodeId) -> bool {
    tree.inside(id).is_some()
}
