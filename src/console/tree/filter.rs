//! The filter of the tree: a new text looks at every path once, a longer one only at what the shorter one let through.

use super::{FILTER_FILES_MAX, FileTree, NodeId, TOP};

/// What is asked for, and which files answer.
#[derive(Default)]
pub(super) struct Filter {
    /// In lower case.
    text: String,
    /// Files that match, in the order of the rows.
    pub(super) matching: Vec<NodeId>,
}

impl Filter {
    pub(super) fn is_on(&self) -> bool {
        !self.text.is_empty()
    }

    pub(super) fn text_only(self) -> Self {
        Self { text: self.text, matching: Vec::new() }
    }

    /// True: whatever matches the new text matches the old one too.
    pub(super) fn set(&mut self, text: &str) -> bool {
        let new = text.to_lowercase();
        let narrows = self.is_on() && new.starts_with(&self.text);
        self.text = new;
        narrows
    }
}

/// Whether every part (in lower case) occurs in `path`, one behind the other. If a path matches, so does all that begins
/// with it.
fn matches(path: &str, parts: &[&str]) -> bool {
    let mut rest = path;
    parts.iter().all(|part| match rest.find(part) {
        Some(at) => {
            rest = &rest[at + part.len()..];
            true
        }
        None => false,
    })
}

impl FileTree {
    /// Finds what matches: among what matched before, or among everything.
    pub(super) fn search(&mut self, narrows: bool) {
        let text = std::mem::take(&mut self.filter.text);
        let parts: Vec<&str> = text.split('*').collect();
        let mut found = Vec::new();
        if narrows {
            let before = std::mem::take(&mut self.filter.matching);
            let mut above = (TOP, String::new());
            for id in before {
                let Some(node) = self.node(id) else { continue };
                self.look(1);
                if above.0 != node.parent {
                    above = (node.parent, self.path(node.parent).to_lowercase());
                }
                if matches(&joined(&above.1, &node.name), &parts) {
                    found.push(id);
                }
            }
        } else {
            self.search_inside(TOP, &mut String::new(), &parts, &mut found);
        }
        self.filter.matching = found;
        self.filter.text = text;
    }

    fn search_inside(&self, id: NodeId, path: &mut String, parts: &[&str], found: &mut Vec<NodeId>) {
        let Some(inside) = self.inside(id) else { return };
        self.look(inside.directories.len() + inside.leaves.len());
        if matches(path, parts) {
            return self.all_inside(id, found);
        }
        let length = path.len();
        for child in inside.directories.iter().chain(&inside.leaves) {
            let Some(node) = self.node(*child) else { continue };
            push_name(path, &node.name);
            if node.inside.is_some() {
                path.push('/');
                self.search_inside(*child, path, parts, found);
            } else if matches(path, parts) {
                found.push(*child);
            }
            path.truncate(length);
        }
    }

    fn all_inside(&self, id: NodeId, found: &mut Vec<NodeId>) {
        let Some(inside) = self.inside(id) else { return };
        for child in &inside.directories {
            self.all_inside(*child, found);
        }
        found.extend_from_slice(&inside.leaves);
    }

    /// The first files that match, each below its directories.
    pub(super) fn matching_rows(&self) -> Vec<NodeId> {
        let mut rows = Vec::new();
        let mut open: Vec<NodeId> = Vec::new();
        for id in self.filter.matching.iter().take(FILTER_FILES_MAX) {
            let mut above = Vec::new();
            let mut at = self.node(*id).map_or(TOP, |node| node.parent);
            while at != TOP {
                self.look(1);
                above.push(at);
                at = self.node(at).map_or(TOP, |node| node.parent);
            }
            above.reverse();
            let same = open.iter().zip(&above).take_while(|(one, other)| one == other).count();
            rows.extend_from_slice(&above[same..]);
            rows.push(*id);
            open = above;
        }
        rows
    }
}

fn joined(above: &str, name: &str) -> String {
    let mut path = String::with_capacity(above.len() + 1 + name.len());
    path.push_str(above);
    if !above.is_empty() {
        path.push('/');
    }
    push_name(&mut path, name);
    path
}

fn push_name(path: &mut String, name: &str) {
    if name.is_ascii() {
        let from = path.len();
        path.push_str(name);
        path[from..].make_ascii_lowercase();
    } else {
        path.push_str(&name.to_lowercase());
    }
}
