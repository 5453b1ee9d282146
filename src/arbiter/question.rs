//! One question, from the first read to the answer: keep the own lease alive, read, decide, write if nothing has changed in
//! between, and else again.

use serde_json::json;

use super::gateway::{self, Alive, Held, Keys, Seen};
use super::{CallError, Failure, Transport};
#[cfg(doc)]
use crate::engine::vote::VoteRecord;
use crate::engine::vote::{Ask, Lease, LeaseChange, VoteAnswer, Want, decide};

/// How often a question is decided anew because somebody else wrote meanwhile: there are two who write.
const ROUNDS_MAX: usize = 8;

/// The lease that this instance took last.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct OwnLease {
    lease: Lease,
    id: i64,
}

/// What questions leave for the next ones.
#[derive(Clone, Copy, Debug, Default)]
pub struct Left {
    own: Option<OwnLease>,
    /// Of the record that was seen or written last (see [`VoteRecord::mark`]); 0: not known.
    pub mark: u64,
}

/// Puts a question. `left` is what the last ones left.
///
/// # Errors
/// Why there is no answer; whether the question took effect is not known then.
pub async fn put<T: Transport>(
    transport: &mut T,
    keys: &Keys,
    ask: &Ask,
    lease_s: u64,
    left: &mut Left,
) -> Result<VoteAnswer, Failure> {
    let Left { own, mark } = left;
    let mut question = Question { transport, keys, ask, lease_s, own, mark, alive: None, spare: None };
    let outcome = question.rounds().await;
    if outcome.is_ok()
        && let Some(spare) = question.spare
    {
        // It ends by itself as well.
        let _ = question.transport.post(gateway::REVOKE, &json!({"ID": spare.to_string()})).await;
    }
    outcome
}

struct Question<'a, T> {
    transport: &'a mut T,
    keys: &'a Keys,
    ask: &'a Ask,
    lease_s: u64,
    own: &'a mut Option<OwnLease>,
    mark: &'a mut u64,
    /// The lease that was given its whole time again for this question.
    alive: Option<Alive>,
    /// Made for this question and not used yet.
    spare: Option<i64>,
}

impl<T: Transport> Question<'_, T> {
    async fn rounds(&mut self) -> Result<VoteAnswer, Failure> {
        let wanted = self.wanted();
        let known = self.own.filter(|own| Some(own.lease) == wanted);
        if let Some(own) = known {
            self.keep_alive(own.id).await?;
        }
        for _ in 0..ROUNDS_MAX {
            let seen = self.read().await?;
            let found = seen.lease.as_ref().filter(|held| Some(held.value) == wanted);
            if let Some(held) = found
                && !self.is_kept_alive(held, seen.raft_term)
            {
                self.keep_alive(held.lease).await?;
                continue;
            }
            if let Some(answer) = self.decide(&seen).await? {
                return Ok(answer);
            }
        }
        Err(Failure::Endpoint(format!("its keys changed {ROUNDS_MAX} times while it was asked")))
    }

    /// The lease that a yes would mean.
    fn wanted(&self) -> Option<Lease> {
        match self.ask.want {
            Want::Renew(term) | Want::Grant(term) => Some(Lease { holder: self.ask.from, term, claim: self.ask.claim }),
            Want::Look | Want::Release(_) => None,
        }
    }

    /// It was, for this question, and by the leader of which the read was: one that was deposed and does not know yet keeps
    /// leases alive that the new one lets end.
    fn is_kept_alive(&self, held: &Held<Lease>, raft_term: u64) -> bool {
        self.alive.is_some_and(|alive| alive.id == held.lease && alive.raft_term == raft_term)
    }

    async fn keep_alive(&mut self, id: i64) -> Result<(), Failure> {
        let answer = self.transport.post(gateway::KEEP_ALIVE, &json!({"ID": id.to_string()})).await;
        self.alive = match answer {
            // No such lease any more: the read that follows shows what stands instead.
            Err(CallError::Refused { code: gateway::NOT_FOUND, .. }) => None,
            answer => Some(gateway::alive(&answer?)?).filter(|alive| alive.ttl_s > 0 && alive.id == id),
        };
        Ok(())
    }

    async fn read(&mut self) -> Result<Seen, Failure> {
        let answer = self.transport.post(gateway::TXN, &gateway::read(self.keys)).await?;
        gateway::seen(self.keys, &answer)
    }

    /// None: somebody else wrote meanwhile.
    async fn decide(&mut self, seen: &Seen) -> Result<Option<VoteAnswer>, Failure> {
        let record = seen.record.as_ref().map(|held| held.value.clone()).unwrap_or_default();
        *self.mark = record.mark;
        let mut verdict = decide(&record, seen.lease.as_ref().map(|held| &held.value), self.ask);
        if let Some(record) = verdict.record.as_mut().filter(|record| record.mark == 0) {
            record.mark = uuid::Uuid::new_v4().as_u64_pair().0;
        }
        let is_yes = matches!(verdict.answer, VoteAnswer::Confirmed | VoteAnswer::Granted);
        if is_yes
            && verdict.lease == LeaseChange::Keep
            && let Some(wanted) = self.wanted()
            && self.alive.is_some_and(|alive| alive.ttl_s < self.lease_s)
        {
            // The settings have come to ask for a longer promise than the lease was made for.
            verdict.lease = LeaseChange::Take(wanted);
        }
        if verdict.record.is_none() && verdict.lease == LeaseChange::Keep {
            return Ok(Some(verdict.answer));
        }
        let taken = match verdict.lease {
            LeaseChange::Take(lease) => Some((lease, self.spare_lease().await?)),
            LeaseChange::Keep | LeaseChange::Drop => None,
        };
        let change = match verdict.lease {
            LeaseChange::Keep => None,
            LeaseChange::Drop => Some(None),
            LeaseChange::Take(_) => Some(taken.as_ref().map(|(lease, id)| (lease, *id))),
        };
        let body = gateway::write(self.keys, seen, verdict.record.as_ref(), change);
        if !self.write(&body).await? {
            return Ok(None);
        }
        *self.mark = verdict.record.as_ref().map_or(*self.mark, |record| record.mark);
        if let Some((lease, id)) = taken {
            self.spare = None;
            *self.own = Some(OwnLease { lease, id });
        } else if verdict.lease == LeaseChange::Drop {
            *self.own = None;
        }
        Ok(Some(verdict.answer))
    }

    /// A lease to put a key with; made in this question, so its time counts from after the question was sent.
    async fn spare_lease(&mut self) -> Result<i64, Failure> {
        if let Some(id) = self.spare {
            return Ok(id);
        }
        let body = json!({"TTL": self.lease_s.to_string()});
        let made = gateway::alive(&self.transport.post(gateway::GRANT, &body).await?)?;
        self.spare = Some(made.id);
        if made.ttl_s < self.lease_s {
            return Err(Failure::Endpoint(format!("it gave a lease of {} s for {} s", made.ttl_s, self.lease_s)));
        }
        Ok(made.id)
    }

    /// False: the keys are not as they were seen.
    async fn write(&mut self, body: &serde_json::Value) -> Result<bool, Failure> {
        match self.transport.post(gateway::TXN, body).await {
            Ok(answer) => gateway::succeeded(&answer),
            Err(CallError::Refused { code: gateway::NOT_FOUND, .. }) => {
                // The lease that was made is over already.
                self.spare = None;
                Ok(false)
            }
            // Whether it takes effect is not known: one that comes late must not come twice.
            Err(CallError::Failed(failure)) if matches!(self.ask.want, Want::Release(_)) => {
                Err(Failure::Final(format!("{} (whether the release took effect is not known)", failure.why())))
            }
            Err(error) => Err(error.into()),
        }
    }
}

#[cfg(test)]
mod tests;
