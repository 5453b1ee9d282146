//! Helpers of the tests: a small deterministic generator, and directories as lists.

use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::path::RelPath;
use super::tree::{Entry, Tree};
use crate::engine::base::Problem;

/// Why a write fails.
pub const NO_SPACE: &str = "No space left on device (test)";

/// Draws the same numbers for the same seed (xorshift64*).
pub struct Draw(u64);

impl Draw {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    /// 0 to `limit - 1`.
    pub fn below(&mut self, limit: usize) -> usize {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        let drawn = self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33;
        usize::try_from(drawn).unwrap() % limit
    }
}

/// Everything in it, in order.
pub fn list_of(tree: &Tree) -> Vec<(RelPath, Entry)> {
    tree.iter().collect()
}

/// What a write comes to that is not let through.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// The program dies there: nothing is written any more.
    Dies,
    /// This one fails.
    FailsOnce,
    /// It and all later ones fail, until mended: a full disk.
    FailsOn,
}

/// What somebody else does.
type Meddler = Box<dyn FnOnce() + Send>;

/// Lets a write fail, or the program die, at the n-th point where it could.
#[derive(Default)]
pub struct Crash {
    /// Points until the next fault, and what comes; the next one counts from there.
    plan: Mutex<VecDeque<(usize, Fault)>>,
    is_down: AtomicBool,
    cannot_exchange: AtomicBool,
    /// Done at the next points, the first one after so many; the next one counts from there.
    meddlers: Mutex<VecDeque<(usize, Meddler)>>,
}

impl Crash {
    /// Somebody else does this when `points` more points have come; after what was said before.
    pub fn meddle(&self, points: usize, what: impl FnOnce() + Send + 'static) {
        self.meddlers.lock().unwrap().push_back((points, Box::new(what)));
    }

    /// Nobody does anything any more; says how many would have.
    pub fn has_meddlers(&self) -> usize {
        std::mem::take(&mut *self.meddlers.lock().unwrap()).len()
    }

    /// As on a file system that cannot exchange two files.
    pub fn forbid_exchange(&self) {
        self.cannot_exchange.store(true, Ordering::Relaxed);
    }

    pub fn cannot_exchange(&self) -> bool {
        self.cannot_exchange.load(Ordering::Relaxed)
    }

    fn let_meddle(&self) {
        let mut meddlers = self.meddlers.lock().unwrap();
        match meddlers.front_mut() {
            Some((points, _)) if *points > 0 => *points -= 1,
            _ => {
                let what = meddlers.pop_front();
                drop(meddlers);
                if let Some((_, what)) = what {
                    what();
                }
            }
        }
    }

    /// Dies after `points` more points.
    pub fn arm(&self, points: usize) {
        self.plan(&[(points, Fault::Dies)]);
    }

    /// These faults, one after the other.
    pub fn plan(&self, faults: &[(usize, Fault)]) {
        *self.plan.lock().unwrap() = faults.iter().copied().collect();
    }

    /// There is space again; says whether the faults that were planned have all come.
    pub fn mend(&self) -> bool {
        let mut plan = self.plan.lock().unwrap();
        let has_come = plan.iter().all(|(points, fault)| *points == 0 && *fault == Fault::FailsOn);
        plan.clear();
        has_come
    }

    pub fn point(&self) -> Result<(), Problem> {
        if self.is_down() {
            return Err(Problem::new("test", "the program died here", ""));
        }
        self.let_meddle();
        let mut plan = self.plan.lock().unwrap();
        let Some((points, fault)) = plan.front_mut() else { return Ok(()) };
        if *points > 0 {
            *points -= 1;
            return Ok(());
        }
        match fault {
            Fault::Dies => {
                self.is_down.store(true, Ordering::Relaxed);
                return Err(Problem::new("test", "the program died here", ""));
            }
            Fault::FailsOnce => drop(plan.pop_front()),
            Fault::FailsOn => {}
        }
        Err(Problem::new("cannot write (test)", NO_SPACE, "free space (test)"))
    }

    pub fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }
}
