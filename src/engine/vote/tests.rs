use uuid::Uuid;

use super::*;

/// An arbiter of two instances, 1 and 2.
#[derive(Default)]
struct Arbiter {
    record: VoteRecord,
    lease: Option<Lease>,
}

fn id(number: u128) -> InstanceId {
    InstanceId(Uuid::from_u128(number))
}

const FIRST: Claim = Claim { run: Run(1), number: 1 };

impl Arbiter {
    fn claimed(&mut self, from: u128, known: u64, claim: Claim, want: Want) -> VoteAnswer {
        let ask = Ask { from: id(from), peer: id(3 - from), known: Term(known), claim, want };
        let verdict = decide(&self.record, self.lease.as_ref(), &ask);
        if let Some(record) = verdict.record {
            self.record = record;
        }
        match verdict.lease {
            LeaseChange::Keep => {}
            LeaseChange::Take(lease) => self.lease = Some(lease),
            LeaseChange::Drop => self.lease = None,
        }
        verdict.answer
    }

    fn ask(&mut self, from: u128, known: u64, want: Want) -> VoteAnswer {
        self.claimed(from, known, FIRST, want)
    }

    /// Both have met it at term 1, and 1 is confirmed.
    fn met() -> Self {
        let mut arbiter = Self::default();
        assert!(matches!(arbiter.ask(1, 1, Want::Renew(Term(1))), VoteAnswer::Denied(Denial::NoVote, _)));
        assert!(matches!(arbiter.ask(2, 1, Want::Look), VoteAnswer::Seen(View { has_vote: true, .. })));
        assert_eq!(arbiter.ask(1, 1, Want::Renew(Term(1))), VoteAnswer::Confirmed);
        arbiter
    }
}

/// spec 7.11: a term is granted above the highest only, and only when no other lease runs.
#[test]
fn a_grant_waits_for_the_lease_and_outdates_the_holder() {
    let mut arbiter = Arbiter::met();
    assert!(matches!(arbiter.ask(2, 1, Want::Grant(Term(2))), VoteAnswer::Denied(Denial::Leased, _)));
    arbiter.lease = None;
    assert_eq!(arbiter.ask(2, 1, Want::Grant(Term(2))), VoteAnswer::Granted);
    assert_eq!(arbiter.ask(2, 2, Want::Renew(Term(2))), VoteAnswer::Confirmed);
    arbiter.lease = None;
    let denied = arbiter.ask(1, 1, Want::Renew(Term(1)));
    assert!(matches!(denied, VoteAnswer::Denied(Denial::Outdated, View { highest: Term(2), .. })), "{denied:?}");
    assert!(matches!(arbiter.ask(1, 1, Want::Grant(Term(1))), VoteAnswer::Denied(Denial::Outdated, _)));
    // Denied renewal, it asks for the next one once the other's lease is over (trace C4).
    assert_eq!(arbiter.ask(1, 2, Want::Grant(Term(3))), VoteAnswer::Granted);
}

/// spec 7.11: a grant whose answer was lost is given again, to the same instance only.
#[test]
fn a_lost_answer_is_repeated() {
    let mut arbiter = Arbiter::met();
    arbiter.lease = None;
    assert_eq!(arbiter.ask(2, 1, Want::Grant(Term(2))), VoteAnswer::Granted);
    assert_eq!(arbiter.ask(2, 1, Want::Grant(Term(2))), VoteAnswer::Granted);
    assert!(matches!(arbiter.ask(1, 1, Want::Grant(Term(2))), VoteAnswer::Denied(..)));
}

/// spec 7.11: an arbiter that was wiped has no vote until both have written it anew, and then grants nothing for one time
/// to live, because a confirmation of before may still count.
#[test]
fn a_wiped_arbiter_has_no_vote_until_both_have_written() {
    let mut arbiter = Arbiter { record: VoteRecord::default(), lease: None };
    assert!(matches!(arbiter.ask(2, 5, Want::Grant(Term(6))), VoteAnswer::Denied(Denial::NoVote, _)));
    assert!(matches!(arbiter.ask(2, 5, Want::Grant(Term(6))), VoteAnswer::Denied(Denial::NoVote, _)));
    assert!(matches!(arbiter.ask(1, 5, Want::Look), VoteAnswer::Seen(View { has_vote: true, .. })));
    assert!(matches!(arbiter.ask(2, 5, Want::Grant(Term(6))), VoteAnswer::Denied(Denial::Leased, _)));
    assert_eq!(arbiter.ask(1, 5, Want::Renew(Term(5))), VoteAnswer::Confirmed);
    assert!(matches!(arbiter.ask(2, 5, Want::Grant(Term(6))), VoteAnswer::Denied(Denial::Leased, _)));
    arbiter.lease = None;
    assert_eq!(arbiter.ask(2, 5, Want::Grant(Term(6))), VoteAnswer::Granted);
}

/// spec 7.11: the same when it was set back to an old state.
#[test]
fn a_restored_arbiter_is_no_better() {
    let mut arbiter = Arbiter::met();
    arbiter.lease = None;
    assert!(matches!(arbiter.ask(2, 7, Want::Grant(Term(8))), VoteAnswer::Denied(Denial::NoVote, _)));
    assert!(matches!(arbiter.ask(1, 1, Want::Renew(Term(1))), VoteAnswer::Denied(Denial::NoVote, _)));
    assert!(matches!(arbiter.ask(1, 7, Want::Renew(Term(7))), VoteAnswer::Confirmed));
}

/// spec 7.7, 7.11: a term that was handed over without the arbiter is granted afterwards, whoever met it first.
#[test]
fn a_switch_without_the_arbiter_is_told_afterwards() {
    for old_looks_first in [false, true] {
        let mut arbiter = Arbiter::met();
        if old_looks_first {
            arbiter.ask(1, 2, Want::Look);
        }
        assert!(matches!(arbiter.ask(2, 1, Want::Grant(Term(2))), VoteAnswer::Denied(Denial::Leased, _)));
        assert_eq!(arbiter.ask(1, 2, Want::Release(Term(1))), VoteAnswer::Released);
        if arbiter.lease.is_some() {
            // The pause of a write that it did not know.
            arbiter.lease = None;
        }
        assert_eq!(arbiter.ask(2, 1, Want::Grant(Term(2))), VoteAnswer::Granted, "{old_looks_first}");
    }
}

/// spec 7.11, trace A5: a release that arrives late ends no newer claim.
#[test]
fn a_late_release_ends_nothing_newer() {
    let mut arbiter = Arbiter::met();
    let second = Claim { run: Run(2), number: 1 };
    assert_eq!(arbiter.claimed(1, 1, second, Want::Renew(Term(1))), VoteAnswer::Confirmed);
    assert_eq!(arbiter.ask(1, 1, Want::Release(Term(1))), VoteAnswer::Released);
    assert_eq!(arbiter.lease.map(|lease| lease.claim), Some(second));
    assert_eq!(arbiter.claimed(1, 1, second, Want::Release(Term(1))), VoteAnswer::Released);
    assert_eq!(arbiter.lease, None);
}

/// spec 7.11: a renewal keeps its lease; only a new claim writes.
#[test]
fn a_renewal_writes_nothing() {
    let arbiter = Arbiter::met();
    let ask = Ask { from: id(1), peer: id(2), known: Term(1), claim: FIRST, want: Want::Renew(Term(1)) };
    let verdict = decide(&arbiter.record, arbiter.lease.as_ref(), &ask);
    assert_eq!(verdict, Verdict { answer: VoteAnswer::Confirmed, record: None, lease: LeaseChange::Keep });
}
