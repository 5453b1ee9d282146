//! Helpers of the tests: a small deterministic generator, and directories as lists.

use super::path::RelPath;
use super::tree::{Entry, Tree};

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
