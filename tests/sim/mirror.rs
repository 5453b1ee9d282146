//! A virtual mirrored directory: files as numbers, history as whole trees, branches after a divergence.

use std::collections::BTreeMap;

use standin::engine::base::{Digest, RevisionId, Term};
use standin::engine::input::Committed;
use standin::engine::message::{Branch, TRAIL_MAX};

pub type Files = BTreeMap<u8, u64>;

#[derive(Clone, Debug, PartialEq)]
pub struct Rev {
    pub id: RevisionId,
    pub files: Files,
}

/// An apply under way.
#[derive(Clone, Debug)]
pub struct Journal {
    pub to: Vec<Rev>,
    pub is_complete: bool,
    /// As it was, with what was in no revision.
    pub before: Files,
}

/// What survives a crash.
#[derive(Clone, Debug, Default)]
pub struct Mirror {
    /// The directory as it is now.
    pub files: Files,
    /// Oldest first.
    pub history: Vec<Rev>,
    pub branches: BTreeMap<String, Vec<Rev>>,
    /// Edited where it was master, not committed yet.
    pub is_edited: bool,
    /// Edited while Standin was stopped: nobody told it, and nothing but what it finds on the disk says so.
    pub is_edited_untold: bool,
    /// Changed behind Standin's back where it is shadow.
    pub is_drifted: bool,
    /// This path cannot be put back: every try fails.
    pub stuck: Option<u8>,
    /// What stands there since a takeover, and is held back.
    pub held: Option<(u8, u64)>,
    /// Died in the middle of an apply.
    pub journal: Option<Journal>,
}

fn root(files: &Files) -> Digest {
    let mut state: u64 = 0xcbf2_9ce4_8422_2325;
    let mut bytes = [7u8; 32];
    for (path, content) in files {
        for byte in std::iter::once(*path).chain(content.to_le_bytes()) {
            state = (state ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3);
        }
    }
    bytes[..8].copy_from_slice(&state.to_le_bytes());
    Digest(bytes)
}

impl Mirror {
    pub fn head(&self) -> Option<RevisionId> {
        self.history.last().map(|rev| rev.id)
    }

    pub fn trail(&self) -> Vec<RevisionId> {
        self.history.iter().rev().skip(1).take(TRAIL_MAX).map(|rev| rev.id).collect()
    }

    pub fn committed(&self) -> Option<Committed> {
        self.history.last().map(|rev| Committed {
            revision: rev.id,
            author: "operator".into(),
            paths: Vec::new(),
            paths_total: 1,
            files: rev.files.len() as u64,
            bytes: 100,
            at: 0,
        })
    }

    /// Somebody edits the directory where the role is master's.
    pub fn edit(&mut self, path: u8, content: u64, is_told: bool) {
        self.files.insert(path, content);
        *if is_told { &mut self.is_edited } else { &mut self.is_edited_untold } = true;
    }

    /// What is not of a revision is kept, and put back (spec 4.5, 7.3).
    pub fn restore_drift(&mut self) {
        if let Some(rev) = self.history.last()
            && !self.is_edited
        {
            let files = rev.files.clone();
            if let Some(stray) = self.stray() {
                self.branches.insert(format!("drift-{}", stray.id.root), vec![stray]);
            }
            let stuck = self.stuck.and_then(|path| Some((path, *self.files.get(&path)?)));
            self.files = files;
            self.held = stuck.filter(|(path, content)| self.files.get(path) != Some(content));
            self.files.extend(self.held);
            self.is_edited_untold = false;
        }
        self.is_drifted = self.held.is_some();
    }

    /// The same on a shadow, where everything is drift; says whether the directory is the newest revision now.
    pub fn look(&mut self) -> bool {
        self.is_edited = false;
        self.restore_drift();
        self.held.is_none()
    }

    /// The files as a scan takes them up: what is held back is as in the newest revision.
    pub fn taken_up(&self) -> Files {
        let mut files = self.files.clone();
        if let Some((path, content)) = self.held.filter(|(path, content)| files.get(path) == Some(content)) {
            match self.history.last().and_then(|rev| rev.files.get(&path)) {
                Some(good) => drop(files.insert(path, *good)),
                None => drop(files.remove(&path).filter(|found| *found == content)),
            }
        }
        files
    }

    /// What is on the disk, when it is not the newest revision.
    fn stray(&self) -> Option<Rev> {
        let head = self.history.last().filter(|rev| rev.files != self.files)?.id;
        let id = RevisionId { number: head.number + 1, term: head.term, root: root(&self.files) };
        Some(Rev { id, files: self.files.clone() })
    }

    /// Somebody changes a file behind Standin's back.
    pub fn drift(&mut self, path: u8, content: u64) {
        self.files.insert(path, content);
        self.is_drifted = true;
    }

    /// Died in the middle of an apply: some files are the new ones already. Whether the journal was complete, the seed says.
    pub fn tear(&mut self, theirs: &[Rev], is_complete: bool, until: u8) {
        let Some(target) = theirs.last() else { return };
        let before = self.files.clone();
        for (path, content) in &target.files {
            if *path < until {
                self.files.insert(*path, *content);
            }
        }
        self.journal = Some(Journal { to: theirs.to_vec(), is_complete, before });
    }

    /// Before anything else at a start: forward if the journal is complete, else back.
    pub fn recover(&mut self) {
        let Some(Journal { to, is_complete, before }) = self.journal.take() else { return };
        self.files = before;
        if is_complete {
            drop(self.apply(&to, false));
        }
    }

    /// Commits what differs from the newest revision.
    pub fn scan(&mut self, term: Term) -> Option<Committed> {
        (self.is_edited, self.is_edited_untold) = (false, false);
        let files = self.taken_up();
        if self.history.last().is_some_and(|rev| rev.files == files) {
            return None;
        }
        let number = self.head().map_or(1, |head| head.number + 1);
        let id = RevisionId { number, term, root: root(&files) };
        self.history.push(Rev { id, files });
        self.committed()
    }

    pub fn has(&self, id: RevisionId) -> bool {
        self.history.iter().any(|rev| rev.id == id)
    }

    pub fn has_anywhere(&self, id: RevisionId) -> bool {
        self.has(id) || self.branches.values().flatten().any(|rev| rev.id == id)
    }

    /// Becomes `theirs` up to its end; what only this one had, and what is in no revision, is kept as a branch, which a complete
    /// apply tells (spec 7.6).
    pub fn apply(&mut self, theirs: &[Rev], is_complete: bool) -> (Committed, Option<Branch>) {
        let is_theirs = |rev: &Rev| theirs.iter().any(|other| other.id == rev.id);
        let common = self.history.iter().rev().find(|rev| is_theirs(rev)).map(|rev| rev.id);
        let stray = self.stray().filter(|stray| theirs.last().is_none_or(|rev| rev.files != stray.files));
        let own: Vec<Rev> = self.history.iter().filter(|rev| !is_theirs(rev)).cloned().chain(stray).collect();
        let branch = own.last().map(|head| {
            let name = format!("diverged-term-{}-rev-{}-{}", head.id.term, head.id.number, head.id.root);
            Branch {
                name,
                common,
                head: head.id,
                revisions: own.len() as u64,
                files: Vec::new(),
                files_total: own.len() as u64,
                at: standin::engine::base::UnixMillis(0),
                author: String::new(),
                holder: String::new(),
            }
        });
        if let Some(branch) = &branch {
            self.branches.insert(branch.name.clone(), own);
        }
        self.history = theirs.to_vec();
        self.files = theirs.last().map(|rev| rev.files.clone()).unwrap_or_default();
        (self.is_edited, self.is_edited_untold, self.is_drifted) = (false, false, false);
        let committed = self.committed().unwrap();
        (committed, branch.filter(|_| is_complete))
    }
}
