//! Takeovers in quick succession wait longer and longer, never for good (spec 7.15).
//!
//! They are counted for the pair, on both disks, each with its age: wall time decides nothing. After a restart the ages go on
//! from what was written, so that a takeover may count longer than ten minutes, and never shorter.

use serde::{Deserialize, Serialize};

use super::base::{Millis, Term};
use super::core::Engine;
use super::durable::Durable;
use super::event::{EventKind, Severity};
use super::message::Body;
use super::then::Then;

/// Takeovers of this span count, ms; and no delay grows beyond it.
pub const DAMPING_SPAN_MS: u64 = 600_000;
/// From so many takeovers in the span on the next one waits longer: the third does.
const FREE_TAKEOVERS: usize = 2;
/// A delay of 0 is doubled from here, ms.
const DELAY_FLOOR_MS: u64 = 1_000;
/// Most takeovers that are kept; so many make the longest delay whatever it was.
pub const TAKEOVERS_MAX: usize = 16;

/// The pair's takeovers, as kept and as told.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Takeovers {
    /// Newest last, at most [`TAKEOVERS_MAX`].
    pub list: Vec<Takeover>,
    /// `ha resume` cleared everything up to this term.
    pub cleared: Term,
}

/// One of them.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Takeover {
    /// Its term, which names it.
    pub term: Term,
    /// How long ago when this was written, ms.
    pub age_ms: u64,
}

impl Takeovers {
    /// Both together: each takeover once, by its greater age; nothing of what either side has cleared.
    #[must_use]
    fn merged(&self, other: &Self) -> Self {
        let cleared = self.cleared.max(other.cleared);
        let mut list: Vec<Takeover> = Vec::new();
        for takeover in self.list.iter().chain(other.list.iter().take(TAKEOVERS_MAX)) {
            match list.iter_mut().find(|known| known.term == takeover.term) {
                Some(known) => known.age_ms = known.age_ms.max(takeover.age_ms),
                None => list.push(*takeover),
            }
        }
        list.retain(|takeover| takeover.term > cleared && takeover.age_ms <= DAMPING_SPAN_MS);
        list.sort_by_key(|takeover| takeover.term);
        let surplus = list.len().saturating_sub(TAKEOVERS_MAX);
        list.drain(..surplus);
        Self { list, cleared }
    }

    fn aged(&self, by_ms: u64) -> Self {
        let mut aged = self.clone();
        for takeover in &mut aged.list {
            takeover.age_ms = takeover.age_ms.saturating_add(by_ms);
        }
        aged.list.retain(|takeover| takeover.age_ms <= DAMPING_SPAN_MS);
        aged
    }

    fn terms(&self) -> Vec<Term> {
        self.list.iter().map(|takeover| takeover.term).collect()
    }
}

/// The delay after so many takeovers in the span, ms.
#[must_use]
fn damped_delay_ms(delay_ms: u64, takeovers: usize) -> u64 {
    if takeovers < FREE_TAKEOVERS {
        return delay_ms;
    }
    let doublings = u32::try_from(takeovers + 1 - FREE_TAKEOVERS).unwrap_or(u32::MAX).min(20);
    let grown = delay_ms.max(DELAY_FLOOR_MS).saturating_mul(1_u64 << doublings);
    grown.min(DAMPING_SPAN_MS).max(delay_ms)
}

impl Engine {
    /// The takeovers with their ages now.
    pub(super) fn takeovers_now(&self) -> Takeovers {
        self.durable.takeovers.aged(self.now.mono.since(self.takeovers_at))
    }

    /// The takeover delay in force: the pair's, longer when there were many takeovers (spec 7.15). Ms.
    pub(super) fn takeover_delay_ms(&self) -> u64 {
        damped_delay_ms(self.timing().takeover_delay_ms, self.takeover_count())
    }

    /// How many takeovers count now.
    fn takeover_count(&self) -> usize {
        let by_ms = self.now.mono.since(self.takeovers_at);
        let list = &self.durable.takeovers.list;
        list.iter().filter(|takeover| takeover.age_ms.saturating_add(by_ms) <= DAMPING_SPAN_MS).count()
    }

    /// The extended delay runs, or would.
    pub(super) fn is_damped(&self) -> bool {
        self.is_shadow() && self.takeover_count() >= FREE_TAKEOVERS
    }

    /// The record of a takeover at that term.
    pub(super) fn with_takeover(&self, term: Term) -> Takeovers {
        let new = Takeovers { list: vec![Takeover { term, age_ms: 0 }], cleared: Term(0) };
        self.takeovers_now().merged(&new)
    }

    /// The disk has it: ages count from now.
    pub(super) fn takeovers_written(&mut self, is_new: bool) {
        if is_new {
            self.takeovers_at = self.now.mono;
        }
    }

    /// What the other instance counted.
    pub(super) fn takeovers_told(&mut self, theirs: &Takeovers) {
        let own = self.takeovers_now();
        let merged = own.merged(theirs);
        let is_new = merged.terms() != own.terms() || merged.cleared != own.cleared;
        if is_new && self.is_settled_on_disk() {
            self.write(Durable { takeovers: merged, ..self.draft() }, Then::Nothing);
        }
        self.tell_damping();
    }

    /// Alert and end of it.
    pub(super) fn tell_damping(&mut self) {
        if self.is_damped() {
            let count = self.takeover_count();
            let why = format!(
                "{count} takeovers within ten minutes: this shadow now waits {} ms instead of {} ms",
                self.takeover_delay_ms(),
                self.timing().takeover_delay_ms
            );
            self.hold_alert("H-026", "", &why);
        } else {
            self.settle("H-026", "");
        }
    }

    /// `ha resume`: the count begins anew on both (spec 7.15). False: there was nothing to clear.
    pub(super) fn clear_damping(&mut self, order: u64) -> bool {
        if self.takeovers_now().list.is_empty() {
            return false;
        }
        let cleared = self.highest_term();
        self.note(EventKind::Role, Severity::Warning, "takeovers are not delayed any longer, by order");
        let takeovers = Takeovers { list: Vec::new(), cleared };
        for id in self.live_links() {
            self.send(id, Body::Takeovers(takeovers.clone()));
        }
        let text = "takeovers are not delayed any longer; the other instance is told when it is connected";
        self.write(Durable { takeovers, ..self.draft() }, Then::DampingCleared { order, text });
        true
    }

    pub(super) fn damping_cleared(&mut self) {
        self.settle("H-026", "");
        if self.watch.lost.is_some() {
            self.timers.set(super::timers::Timer::Takeover, self.takeover_due());
        }
    }
}

/// From when the ages in the record count.
pub(super) type WrittenAt = Millis;

#[cfg(test)]
mod tests {
    use super::*;

    fn takeovers(list: &[(u64, u64)], cleared: u64) -> Takeovers {
        let list = list.iter().map(|(term, age_ms)| Takeover { term: Term(*term), age_ms: *age_ms }).collect();
        Takeovers { list, cleared: Term(cleared) }
    }

    /// spec 7.15: from the third takeover in ten minutes the delay doubles, up to ten minutes, whatever it was before.
    #[test]
    fn the_delay_doubles_from_the_third_takeover() {
        let delays: Vec<u64> = (0..6).map(|count| damped_delay_ms(3_000, count)).collect();
        assert_eq!(delays, [3_000, 3_000, 6_000, 12_000, 24_000, 48_000]);
        assert_eq!(damped_delay_ms(3_000, TAKEOVERS_MAX), DAMPING_SPAN_MS);
        assert_eq!(damped_delay_ms(0, 2), 2_000, "a delay of nothing grows too");
        assert_eq!(damped_delay_ms(3_600_000, 9), 3_600_000, "never shorter than what is set");
    }

    /// spec 7.15: counted for the pair: each takeover once, whoever tells it; what `ha resume` cleared stays cleared.
    #[test]
    fn both_sides_count_the_same() {
        let one = takeovers(&[(2, 50_000), (3, 10_000)], 0);
        let other = takeovers(&[(2, 60_000), (4, 5)], 0);
        assert_eq!(one.merged(&other), takeovers(&[(2, 60_000), (3, 10_000), (4, 5)], 0));
        assert_eq!(other.merged(&one), one.merged(&other));
        assert_eq!(one.merged(&takeovers(&[], 3)), takeovers(&[], 3));
        assert_eq!(one.aged(DAMPING_SPAN_MS - 20_000), takeovers(&[(3, DAMPING_SPAN_MS - 10_000)], 0));
        let many = takeovers(&(1..100).map(|term| (term, 0)).collect::<Vec<_>>(), 0);
        assert_eq!(one.merged(&many).list.len(), TAKEOVERS_MAX);
    }
}
