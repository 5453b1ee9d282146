//! Helpers of the tests: a small deterministic generator, and directories as lists.

use std::cell::Cell;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use super::path::RelPath;
use super::tree::{Entry, Tree};
use crate::engine::base::Problem;

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

thread_local! {
    /// For mirrors opened by this thread: let them die after so many points, the opening included.
    pub static CRASH_AT_OPEN: Cell<Option<usize>> = const { Cell::new(None) };
}

/// Lets the program die at the n-th point where it could.
pub struct Crash {
    left: Mutex<Option<usize>>,
    is_down: AtomicBool,
}

impl Default for Crash {
    fn default() -> Self {
        Self { left: Mutex::new(CRASH_AT_OPEN.get()), is_down: AtomicBool::new(false) }
    }
}

impl Crash {
    /// After `points` more points.
    pub fn arm(&self, points: usize) {
        *self.left.lock().unwrap() = Some(points);
    }

    pub fn point(&self) -> Result<(), Problem> {
        let mut left = self.left.lock().unwrap();
        match *left {
            Some(0) => {
                self.is_down.store(true, Ordering::Relaxed);
                Err(Problem::new("test", "the program died here", ""))
            }
            Some(points) => {
                *left = Some(points - 1);
                Ok(())
            }
            None => Ok(()),
        }
    }

    pub fn is_down(&self) -> bool {
        self.is_down.load(Ordering::Relaxed)
    }
}
