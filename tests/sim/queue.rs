//! What waits to happen, in the order of its moment, and of its coming where moments are equal.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use crate::sim::world::What;

/// What comes first in a moment, whenever it came, has a rank below this.
const RANKS: u64 = 16;

/// A heap of moments; what happens then lies still beside it.
#[derive(Clone, Debug, Default)]
pub struct Queue {
    moments: BinaryHeap<Reverse<(u64, u64, usize)>>,
    slots: Vec<Option<What>>,
    free: Vec<usize>,
    sequence: u64,
}

impl Queue {
    pub fn push(&mut self, at: u64, what: What) {
        self.sequence += 1;
        self.put(at, RANKS + self.sequence, what);
    }

    /// Before everything else of its moment, in the order of the ranks; one of a kind.
    pub fn push_first(&mut self, at: u64, rank: u64, what: What) {
        debug_assert!(rank < RANKS);
        if let Some(Reverse((.., slot))) =
            self.moments.iter().find(|Reverse((other, of, _))| (*other, *of) == (at, rank))
        {
            self.slots[*slot] = Some(what);
            return;
        }
        self.put(at, rank, what);
    }

    fn put(&mut self, at: u64, sequence: u64, what: What) {
        let slot = if let Some(slot) = self.free.pop() {
            self.slots[slot] = Some(what);
            slot
        } else {
            self.slots.push(Some(what));
            self.slots.len() - 1
        };
        self.moments.push(Reverse((at, sequence, slot)));
    }

    pub fn next_at(&self) -> Option<u64> {
        self.moments.peek().map(|Reverse((at, ..))| *at)
    }

    pub fn pop(&mut self) -> Option<(u64, What)> {
        let Reverse((at, _, slot)) = self.moments.pop()?;
        self.free.push(slot);
        self.slots[slot].take().map(|what| (at, what))
    }

    /// All of it, in order.
    pub fn waiting(&self) -> impl Iterator<Item = (u64, &What)> {
        let mut moments: Vec<_> = self.moments.iter().map(|Reverse(moment)| *moment).collect();
        moments.sort_unstable();
        moments.into_iter().filter_map(|(at, _, slot)| self.slots[slot].as_ref().map(|what| (at, what)))
    }
}
