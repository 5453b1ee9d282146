//! A change judged by the operator's command before it is committed (spec 5.4): the whole configuration as it would be is
//! written to a private place, the same one each time, so that only what differs is written again.

use std::fs;
use std::os::unix::fs::DirBuilderExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::accounts::Belongs;
use super::commit::Keep;
use super::diff::{self, Change};
use super::ground::Ground;
use super::scan::{Found, Leaves, Manner, Stamps, scan};
use super::stage::Stage;
use super::tree::Tree;
use super::{Mirror, Work, place};
use crate::engine::base::{Digest, Problem};
use crate::store::{CONTENT_MAX_BYTES, Store};

/// Under the home.
const FOLDER: &str = "validation";
/// In it: the configuration as it would be.
const TREE: &str = "tree";
/// In it: what would change, a line each.
const CHANGES: &str = "changes";
/// A rejection may have had a passing reason (its schema server was away): the same state is judged again after so long.
pub const RETRY_FIRST: Duration = Duration::from_secs(10);
/// Each time it is rejected again the pause is twice as long, up to this.
pub const RETRY_LONGEST: Duration = Duration::from_secs(300);

/// What is asked: the place of the candidate, and of the list of what changed.
pub type Judge = dyn Fn(&Path, &Path) -> Result<(), Rejection> + Send + Sync;

/// Why a change is held back as a whole.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Rejection {
    /// For people: how the command ended.
    pub why: String,
    /// What it wrote, bounded.
    pub output: String,
}

/// What is in the private place, and what was said of it.
#[derive(Default)]
pub(super) struct Candidate {
    tree: Tree,
    stamps: Stamps,
    verdict: Option<Verdict>,
    /// Which judge it was.
    judge: u64,
}

/// What was said of a state.
struct Verdict {
    root: Digest,
    rejection: Option<Rejection>,
    /// When.
    at: Instant,
    /// A rejection is in doubt after so long.
    pause: Duration,
    /// It is to be judged again, whatever was said.
    is_doubted: bool,
}

impl Verdict {
    /// After `last`, which may have been about the same state.
    fn new(root: Digest, rejection: Option<Rejection>, last: Option<&Self>) -> Self {
        let again = last.filter(|last| last.root == root && last.rejection.is_some());
        let pause = again.map_or(RETRY_FIRST, |last| (last.pause * 2).min(RETRY_LONGEST));
        Self { root, rejection, at: Instant::now(), pause, is_doubted: false }
    }
}

impl Candidate {
    /// A rejection that is so old (none: as old as its pause) is not believed the next time.
    pub(super) fn doubt(&mut self, after: Option<Duration>) {
        if let Some(verdict) = self.verdict.as_mut().filter(|verdict| verdict.rejection.is_some()) {
            verdict.is_doubted |= verdict.at.elapsed() >= after.unwrap_or(verdict.pause);
        }
    }

    /// When the rejection that stands is in doubt by itself.
    pub(super) fn retry_in(&self) -> Option<Duration> {
        let verdict = self.verdict.as_ref().filter(|verdict| verdict.rejection.is_some())?;
        Some(verdict.pause.saturating_sub(verdict.at.elapsed()))
    }

    /// Another judge: nothing is known any more, and nothing is left on the disk.
    fn forget(&mut self, home: &Path, judge: u64) {
        *self = Self { judge, ..Self::default() };
        // Only ever missing, or made anew by the next one.
        let _ = fs::remove_dir_all(home.join(FOLDER));
    }

    /// Nothing is left on the disk; the next one makes it anew.
    pub(super) fn clear(&mut self, home: &Path) {
        self.forget(home, self.judge);
    }

    /// Brings the private place to `target`, whatever the command before left there.
    fn check_out(&mut self, store: &Store, target: &Tree, changes: &[Change]) -> Result<(PathBuf, PathBuf), Problem> {
        let folder = store.home().join(FOLDER);
        let (tree, list) = (folder.join(TREE), folder.join(CHANGES));
        let failed = |error: std::io::Error| {
            Problem::new(
                "cannot write the configuration aside to have it validated",
                format!("{}: {error}", folder.display()),
                "check free space and permissions of the home",
            )
        };
        for directory in [&folder, &tree] {
            match fs::DirBuilder::new().mode(0o700).create(directory) {
                Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => return Err(failed(error)),
                _ => {}
            }
        }
        let ground = Ground::open(&tree)?;
        // A private copy belongs to nobody else.
        let (leaves, owners) = (Leaves::NOTHING, Belongs::AS_WANTED);
        let manner = Manner { is_full: false, keeps_held: false, file_size_limit: CONTENT_MAX_BYTES, leaves, owners };
        let found = scan(&ground, &self.tree, &self.stamps, manner, &mut |_, _, _, _| Ok(None))?;
        let obstacles: Vec<_> = found.obstacles();
        let ops = diff::between(&found.tree, target);
        let staged = Stage::new(&folder, &tree).begin(None)?;
        place::stage(store, &staged, &ops)?;
        let job = place::Job { ground: &ground, staged: &staged, ops: &ops, obstacles: &obstacles, target };
        // Nothing in a private copy is anybody's.
        place::place(&job, &mut Vec::new(), &mut || Ok(()))?;
        self.stamps.extend(found.stamps);
        for op in &ops {
            self.stamps.remove(&op.path);
        }
        self.tree = target.clone();
        fs::write(&list, lines_of(changes)).map_err(failed)?;
        Ok((tree, list))
    }
}

impl Mirror {
    /// A rejection (spec 5.4) that is so old (none: as old as its pause, which grows) is not believed by the next scan: the
    /// command judges the same state again. Its reason may have passed.
    ///
    /// # Errors
    /// When the journal cannot be read.
    pub fn doubt_rejection(&self, after: Option<Duration>) -> Result<(), Problem> {
        self.work()?.candidate.doubt(after);
        Ok(())
    }

    /// What the operator's command says of a change; none: it may pass. The same state is judged once, unless it was rejected
    /// and that is in doubt.
    pub(super) fn judge(
        &self,
        work: &mut Work,
        found: &Found,
        keep: &mut Keep<'_>,
    ) -> Result<Option<Rejection>, Problem> {
        self.judge_tree(work, &found.tree, &found.changes, &mut || keep.flush())
    }

    /// The same of any tree; `flush` brings the contents of it into the store.
    pub(super) fn judge_tree(
        &self,
        work: &mut Work,
        tree: &Tree,
        changes: &[Change],
        flush: &mut dyn FnMut() -> Result<(), Problem>,
    ) -> Result<Option<Rejection>, Problem> {
        let (number, judge) = self.inner.judge.read().unwrap_or_else(std::sync::PoisonError::into_inner).clone();
        if work.candidate.judge != number {
            work.candidate.forget(self.inner.store.home(), number);
        }
        let Some(judge) = judge else { return Ok(None) };
        let root = tree.root();
        if let Some(verdict) = work.candidate.verdict.as_ref().filter(|last| last.root == root && !last.is_doubted) {
            return Ok(verdict.rejection.clone());
        }
        // The candidate is made of contents in the store; those that no revision needs go at the next start.
        flush()?;
        let (tree, changes) = work.candidate.check_out(&self.inner.store, tree, changes)?;
        let rejection = judge(&tree, &changes).err();
        work.candidate.verdict = Some(Verdict::new(root, rejection.clone(), work.candidate.verdict.as_ref()));
        Ok(rejection)
    }
}

/// `A path`, `M path`, `D path`: added, changed, gone.
fn lines_of(changes: &[Change]) -> String {
    let line = |change: &Change| {
        let letter = match (change.old, change.new) {
            (None, _) => 'A',
            (_, None) => 'D',
            _ => 'M',
        };
        format!("{letter} {}\n", change.path)
    };
    changes.iter().map(line).collect()
}
