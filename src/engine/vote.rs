//! The arbiter's rules (spec 7.11), as one pure function over what the arbiter keeps. Whoever speaks for an arbiter (the
//! etcd client, the simulator) reads the record and the lease, asks [`decide`], and writes what it says by compare-and-swap:
//! if anything changed in between, it reads and decides again. So the third vote is a register and a clock, no program.
//!
//! A lease at the arbiter is a vote, never by itself the right to act: that is counted by the instance, from the sending of
//! its question.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::base::{InstanceId, Run, Term};
use super::faults::{Fault, breaks};

/// Most instances a record names; a pair has two, and a restored or copied home may add its earlier self.
pub const KNOWN_MAX: usize = 4;

/// What the arbiter keeps for a pair for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct VoteRecord {
    /// The highest term ever granted; 0: none yet.
    pub term: Term,
    /// Whom it was granted to.
    pub holder: Option<InstanceId>,
    /// The highest term each instance wrote here when it found the arbiter knowing less than itself, or not knowing it.
    pub known: BTreeMap<InstanceId, Term>,
    /// Drawn when it was first written, so that two arbiters are told apart whatever they call themselves (two etcds as they are
    /// installed have the same cluster number); 0: not yet.
    pub mark: u64,
}

/// The lease: kept by the arbiter until its time to live has passed since it was last kept alive.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Whose. In a pause after a wipe: who wrote last.
    pub holder: InstanceId,
    /// The term it was taken for; 0: nobody's, a pause in which no term is granted because an earlier confirmation, given
    /// before the arbiter lost its memory, may still count.
    pub term: Term,
    /// Which claim of that instance: a release ends its own claim only, so that one that arrives late ends nothing newer.
    pub claim: Claim,
}

/// Number of a claim: grows in a run whenever a lease was released, and with every run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Claim {
    /// The run.
    pub run: Run,
    /// Within the run.
    pub number: u64,
}

/// A question to the arbiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ask {
    /// Who asks.
    pub from: InstanceId,
    /// The other instance of the pair.
    pub peer: InstanceId,
    /// The highest term the asker knows of, the asked one of a [`Want::Grant`] not counted unless an earlier grant of it may still
    /// be used.
    pub known: Term,
    /// See [`Claim`].
    pub claim: Claim,
    /// What it wants.
    pub want: Want,
}

/// What is wanted of the arbiter.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Want {
    /// Only to see what it knows (and to write anew what it forgot).
    Look,
    /// Confirm me as master of this term.
    Renew(Term),
    /// Give me this term.
    Grant(Term),
    /// My service has stopped: end my lease.
    Release(Term),
}

/// What the arbiter says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum VoteAnswer {
    /// To [`Want::Renew`]: yes, for one hold time from the sending of the question.
    Confirmed,
    /// To [`Want::Grant`]: the term is yours, and confirmed as above.
    Granted,
    /// To [`Want::Release`]: whatever lease of that claim there was is over.
    Released,
    /// To [`Want::Look`].
    Seen(View),
    /// No, and why.
    Denied(Denial, View),
    /// It did not answer, or not sensibly; whether the question took effect is not known.
    Silent(String),
}

/// Why an arbiter says no.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Denial {
    /// The term is not above the highest granted, or is not the one confirmed.
    Outdated,
    /// The other's lease still runs.
    Leased,
    /// It knew a lower term than the asker (wiped, restored, new): no vote until both instances have written it anew.
    NoVote,
}

/// What the arbiter knows.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// The highest term it knows of.
    pub highest: Term,
    /// The holder of the highest term granted.
    pub holder: Option<InstanceId>,
    /// A lease runs.
    pub is_leased: bool,
    /// It has a vote.
    pub has_vote: bool,
}

/// What to do with the lease.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LeaseChange {
    /// Leave it as it is (a renewal of the asker's own was kept alive before).
    Keep,
    /// Replace it by this one, with the full time to live.
    Take(Lease),
    /// End it.
    Drop,
}

/// The outcome of a question.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Verdict {
    /// For the asker.
    pub answer: VoteAnswer,
    /// To be written, if it changed.
    pub record: Option<VoteRecord>,
    /// To be done together with it.
    pub lease: LeaseChange,
}

impl VoteRecord {
    /// The highest term it knows of.
    #[must_use]
    pub fn highest(&self) -> Term {
        self.known.values().copied().max().unwrap_or_default().max(self.term)
    }

    /// Whether it may decide: both have written what they know, and it has granted nothing less than that, or both wrote
    /// the same.
    fn has_vote(&self, ask: &Ask) -> bool {
        let (Some(own), Some(other)) = (self.known.get(&ask.from), self.known.get(&ask.peer)) else { return false };
        let written = (*own).max(*other);
        self.term >= written || own == other
    }

    fn view(&self, ask: &Ask, lease: Option<&Lease>) -> View {
        View { highest: self.highest(), holder: self.holder, is_leased: lease.is_some(), has_vote: self.has_vote(ask) }
    }
}

/// Decides one question over what the arbiter keeps now (spec 7.11). `lease`: none when its time has passed.
#[must_use]
pub fn decide(record: &VoteRecord, lease: Option<&Lease>, ask: &Ask) -> Verdict {
    let mut new = record.clone();
    let mut change = LeaseChange::Keep;
    // The other has written the asked term: it knows that term to be the asker's already (a switch without the arbiter).
    let own = match ask.want {
        Want::Grant(term) if record.known.get(&ask.peer) == Some(&term) => ask.known.max(term),
        _ => ask.known,
    };
    let is_behind = ask.known > record.highest();
    if is_behind || record.known.get(&ask.from).is_none_or(|known| *known < own) {
        new.known.retain(|id, _| *id == ask.from || *id == ask.peer);
        new.known.insert(ask.from, own);
    }
    if is_behind {
        // A confirmation given before it forgot may still count: nothing is granted for one time to live.
        let is_other = lease.is_some_and(|lease| lease.term > Term(0) && lease.holder != ask.from);
        if !is_other {
            change = LeaseChange::Take(Lease { holder: ask.from, term: Term(0), claim: ask.claim });
        }
    }
    let paused = match change {
        LeaseChange::Take(lease) => Some(lease),
        _ => lease.copied(),
    };
    let view = new.view(ask, paused.as_ref());
    let answer = match ask.want {
        Want::Look => VoteAnswer::Seen(view),
        Want::Release(term) => {
            let is_own = lease.is_some_and(|l| l.holder == ask.from && l.term == term && l.claim == ask.claim);
            if is_own {
                change = LeaseChange::Drop;
            }
            VoteAnswer::Released
        }
        Want::Renew(term) => match renew(&new, paused.as_ref(), ask, term) {
            Ok(()) => {
                change = take(&mut new, lease, ask, term);
                VoteAnswer::Confirmed
            }
            Err(denial) => VoteAnswer::Denied(denial, view),
        },
        Want::Grant(term) => match grant(&new, paused.as_ref(), ask, term) {
            Ok(()) => {
                change = take(&mut new, lease, ask, term);
                VoteAnswer::Granted
            }
            Err(denial) => VoteAnswer::Denied(denial, view),
        },
    };
    Verdict { answer, record: (new != *record).then_some(new), lease: change }
}

fn renew(record: &VoteRecord, lease: Option<&Lease>, ask: &Ask, term: Term) -> Result<(), Denial> {
    if !record.has_vote(ask) {
        return Err(Denial::NoVote);
    }
    let is_confirmed = record.holder == Some(ask.from) && record.term == term;
    // Both wrote this term anew after a wipe: the master of it goes on.
    let is_known_to_both = record.term < term
        && record.known.get(&ask.from) == Some(&term)
        && record.known.get(&ask.peer) == Some(&term)
        && record.highest() == term;
    if !is_confirmed && !is_known_to_both {
        return Err(Denial::Outdated);
    }
    let is_others = lease.is_some_and(|lease| lease.term > Term(0) && lease.holder != ask.from);
    if is_others { Err(Denial::Leased) } else { Ok(()) }
}

fn grant(record: &VoteRecord, lease: Option<&Lease>, ask: &Ask, term: Term) -> Result<(), Denial> {
    if !record.has_vote(ask) {
        return Err(Denial::NoVote);
    }
    let is_again = record.holder == Some(ask.from) && record.term == term;
    if !is_again && (term <= record.term || term < record.highest()) {
        return Err(Denial::Outdated);
    }
    let is_free = lease.is_none_or(|lease| lease.term > Term(0) && lease.holder == ask.from);
    if is_free || breaks(Fault::GrantsWhileLeased) { Ok(()) } else { Err(Denial::Leased) }
}

/// The asker holds the term; its lease of the same claim was kept alive already.
fn take(record: &mut VoteRecord, lease: Option<&Lease>, ask: &Ask, term: Term) -> LeaseChange {
    record.term = term;
    record.holder = Some(ask.from);
    let wanted = Lease { holder: ask.from, term, claim: ask.claim };
    if lease == Some(&wanted) { LeaseChange::Keep } else { LeaseChange::Take(wanted) }
}

#[cfg(test)]
mod tests;
