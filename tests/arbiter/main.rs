//! The third vote with a real etcd (spec 7.11). Each test has an etcd of its own, and ends it.

#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; one prints what it measured")]

use std::path::Path;
use std::time::{Duration, Instant};

use standin::arbiter::Arbiter;
use standin::engine::base::{InstanceId, PairId, Run, Term};
use standin::engine::settings;
use standin::engine::vote::{Ask, Claim, Denial, View, VoteAnswer, Want};
use uuid::Uuid;

use etcd::Member;

mod access;
mod etcd;
mod faults;
mod ports;
mod votes;

/// Shortest lease that etcd gives with the timing of these tests.
const LEASE_S: u64 = 2;
/// For one question at one endpoint, ms: enough on a loaded machine, and told apart from a hang.
const REQUEST_MS: u64 = 2_000;

/// Settings for these endpoints.
fn settings(endpoints: &[String]) -> settings::Arbiter {
    settings::Arbiter {
        endpoints: endpoints.to_vec(),
        request_timeout: REQUEST_MS,
        hold: 4_000,
        ..settings::Arbiter::default()
    }
}

/// One instance of a pair, and its way to the arbiter.
struct Instance {
    number: u128,
    claim: u64,
    arbiter: Arbiter,
}

impl Instance {
    fn new(number: u128, settings: &settings::Arbiter) -> Self {
        Self { number, claim: 1, arbiter: Arbiter::new(settings) }
    }

    /// Both of a pair.
    fn pair(settings: &settings::Arbiter) -> (Self, Self) {
        (Self::new(1, settings), Self::new(2, settings))
    }

    async fn ask(&mut self, known: u64, want: Want) -> VoteAnswer {
        self.ask_for(known, want, LEASE_S).await
    }

    async fn ask_for(&mut self, known: u64, want: Want, lease_s: u64) -> VoteAnswer {
        let claim = Claim { run: Run(1), number: self.claim };
        let (from, peer) = (id(self.number), id(3 - self.number));
        let ask = Ask { from, peer, known: Term(known), claim, want };
        let begin = Instant::now();
        let answer = self.arbiter.ask(PAIR, &ask, lease_s).await;
        assert!(begin.elapsed() <= self.arbiter.longest() + Duration::from_millis(400), "{:?}", begin.elapsed());
        answer
    }

    async fn renew(&mut self, term: u64) -> VoteAnswer {
        self.ask(term, Want::Renew(Term(term))).await
    }

    /// Knows the one before it.
    async fn grant(&mut self, term: u64) -> VoteAnswer {
        self.ask(term - 1, Want::Grant(Term(term))).await
    }

    /// Asks until the answer fits; fails after ten seconds.
    async fn until(&mut self, known: u64, want: Want, fits: impl Fn(&VoteAnswer) -> bool) -> Duration {
        let begin = Instant::now();
        loop {
            let answer = self.ask(known, want).await;
            if fits(&answer) {
                return begin.elapsed();
            }
            assert!(begin.elapsed() < Duration::from_secs(10), "{want:?}: {answer:?}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

const PAIR: PairId = PairId(Uuid::from_u128(0x5741));

fn id(number: u128) -> InstanceId {
    InstanceId(Uuid::from_u128(number))
}

/// The key of the pair, as an operator sees it.
fn key(name: &str) -> String {
    format!("/standin/{PAIR}/{name}")
}

/// Both have met it at term 1, which is confirmed.
async fn meet(first: &mut Instance, second: &mut Instance) {
    let ready = first.until(1, Want::Renew(Term(1)), |answer| !matches!(answer, VoteAnswer::Silent(_))).await;
    assert!(ready < Duration::from_secs(8));
    assert!(matches!(second.ask(1, Want::Look).await, VoteAnswer::Seen(View { has_vote: true, .. })));
    assert_eq!(first.renew(1).await, VoteAnswer::Confirmed);
}

fn alone(home: &Path) -> Member {
    Member::alone(home, None, &[])
}

/// The sentence of a silence.
fn why(answer: &VoteAnswer) -> &str {
    match answer {
        VoteAnswer::Silent(why) => why,
        other => panic!("{other:?}"),
    }
}

fn is_leased(answer: &VoteAnswer) -> bool {
    matches!(answer, VoteAnswer::Denied(Denial::Leased, _))
}
