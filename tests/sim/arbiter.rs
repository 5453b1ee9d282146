//! The third vote (spec 7.11): a register and a clock that decide by [`standin::engine::vote::decide`], behind a network of their
//! own. Questions and answers are delayed, lost, or executed long after their asker gave up; the arbiter is away, answers errors,
//! restarts (a lease then runs longer, never shorter), is wiped, or is restored to an earlier state.

use std::collections::BTreeMap;

use standin::engine::base::PairId;
use standin::engine::input::Input;
use standin::engine::vote::{Ask, Lease, LeaseChange, VoteAnswer, VoteRecord, Want, decide};

use crate::sim::world::{What, World};

/// A question that outlives its timeout is executed within, ms.
const ZOMBIE_MS: u64 = 8_000;
/// etcd ends a lease late, never early, by up to, ms.
const LEASE_LATE_MS: u64 = 700;
/// So long after its own limit the engine gives a question up that nobody answered, and asks anew, ms (`engine::arbiter::asking`).
const GIVEN_UP_MS: u64 = 5_000;

/// A lease and the moment of the world at which it ends.
#[derive(Clone, Copy, Debug)]
pub struct Held {
    pub lease: Lease,
    pub ends: u64,
    pub ttl_ms: u64,
    /// As it was asked for.
    pub lease_s: u64,
}

/// What it keeps for one pair.
#[derive(Clone, Debug, Default)]
pub struct Book {
    pub record: VoteRecord,
    pub lease: Option<Held>,
}

/// One question on its way.
#[derive(Clone, Debug)]
pub struct Question {
    pub node: usize,
    pub incarnation: u64,
    pub id: u64,
    pub pair: PairId,
    pub ask: Ask,
    pub lease_s: u64,
    /// How often the arbiter had lost or changed its data when this was asked.
    pub losses: u64,
}

/// What happens to a question.
#[derive(Clone, Debug)]
pub enum Step {
    /// The own lease is kept alive; the decision follows.
    KeepAlive(Question),
    Decide(Question),
    Answer {
        node: usize,
        incarnation: u64,
        id: u64,
        answer: VoteAnswer,
    },
    Timeout {
        node: usize,
        incarnation: u64,
        id: u64,
    },
}

#[derive(Clone, Debug)]
pub struct Arbiter {
    pub is_up: bool,
    pub says_errors: bool,
    /// `cut[node]`: nothing passes between the arbiter and that node.
    pub cut: [bool; 2],
    pub loss_percent: u64,
    pub zombie_percent: u64,
    pub delay_ms: (u64, u64),
    pub rate_ppm: i64,
    pub books: BTreeMap<PairId, Book>,
    pub backup: Option<BTreeMap<PairId, Book>>,
    /// How often its data was wiped or restored.
    pub losses: u64,
    /// Questions without answer: node, incarnation, id; and until when another one must not follow.
    pub open: BTreeMap<(usize, u64, u64), u64>,
    pub asked: u64,
    pub granted: u64,
}

impl Default for Arbiter {
    fn default() -> Self {
        Self {
            is_up: true,
            says_errors: false,
            cut: [false; 2],
            loss_percent: 0,
            zombie_percent: 0,
            delay_ms: (1, 8),
            rate_ppm: 0,
            books: BTreeMap::new(),
            backup: None,
            losses: 0,
            open: BTreeMap::new(),
            asked: 0,
            granted: 0,
        }
    }
}

impl Arbiter {
    /// All faults of it and of the way to it are over.
    pub fn heal(&mut self) {
        self.is_up = true;
        self.says_errors = false;
        self.cut = [false; 2];
        self.loss_percent = 0;
        self.zombie_percent = 0;
        self.delay_ms = (1, 8);
    }

    /// It comes back with what it had; every lease runs its whole time again.
    pub fn restart(&mut self, t: u64) {
        self.is_up = true;
        for book in self.books.values_mut() {
            if let Some(held) = book.lease.as_mut().filter(|held| held.ends > t) {
                held.ends = held.ends.max(t + held.ttl_ms);
            }
        }
    }

    /// All data is lost.
    pub fn wipe(&mut self) {
        self.losses += 1;
        self.books.clear();
    }

    /// Now, or back to what was saved. As of etcd, a lease that was in the copy runs its whole time again.
    pub fn save(&mut self) {
        self.backup = Some(self.books.clone());
    }

    /// True: what it knows now is older than a grant, or knows less of a lease, that an instance may rely on.
    pub fn restore(&mut self, t: u64) -> bool {
        let Some(backup) = self.backup.clone() else { return false };
        self.losses += 1;
        let is_behind = self.books.iter().any(|(pair, book)| {
            let (known, then) = (backup.get(pair), book.lease.as_ref());
            let lease = known.and_then(|known| known.lease.as_ref());
            let is_held =
                |now: &&Held| lease.is_some_and(|lease| lease.lease == now.lease && lease.ttl_ms >= now.ttl_ms);
            known.is_some_and(|known| known.record != book.record) || then.is_some_and(|now| !is_held(&now))
        });
        self.books = backup;
        for held in self.books.values_mut().filter_map(|book| book.lease.as_mut()) {
            held.ends = t + held.ttl_ms;
        }
        is_behind
    }

    fn ttl_ms(&self, lease_s: u64) -> u64 {
        // Its clock runs by its own rate.
        (lease_s * 1_000_000_000).div_ceil((1_000_000 + self.rate_ppm) as u64)
    }
}

impl World {
    /// `Effect::AskArbiter`.
    pub fn ask_arbiter(&mut self, node: usize, id: u64, pair: PairId, ask: Ask, lease_s: u64) {
        let settings = &self.nodes[node].disk.settings.arbiter;
        if !settings.is_set() {
            return self.fail(format!("node-{node} asks an arbiter that is not configured"));
        }
        let timeout_ms = settings.request_timeout * settings.endpoints.len() as u64;
        let incarnation = self.nodes[node].incarnation;
        // A Standin that was stopped past the limit gives the question up before it hears that it timed out; its client works
        // questions off one after the other, so that only the later one is still answered.
        let t = self.t;
        self.arbiter.open.retain(|(at, run, _), until| *at != node || *run != incarnation || *until > t);
        if self.arbiter.open.keys().any(|(at, run, _)| *at == node && *run == incarnation) {
            return self.fail(format!("node-{node} has two questions to the arbiter under way"));
        }
        self.arbiter.asked += 1;
        let given_up = t + self.nodes[node].world_span_floor(timeout_ms + GIVEN_UP_MS);
        self.arbiter.open.insert((node, incarnation, id), given_up);
        let timeout_ms = self.nodes[node].world_span(timeout_ms);
        self.arbiter_at(self.t + timeout_ms, Step::Timeout { node, incarnation, id });
        let question = Question { node, incarnation, id, pair, ask, lease_s, losses: self.arbiter.losses };
        if !self.arbiter.is_up || self.arbiter.cut[node] {
            if self.random.chance(50) && !self.arbiter.is_up {
                let answer = VoteAnswer::Silent("connection refused".into());
                self.arbiter_at(self.t + 1, Step::Answer { node, incarnation, id, answer });
            }
            return;
        }
        if self.random.chance(self.arbiter.loss_percent) {
            return;
        }
        let delay = self.random.range(self.arbiter.delay_ms.0, self.arbiter.delay_ms.1);
        let is_zombie = self.random.chance(self.arbiter.zombie_percent);
        let delay = if is_zombie { delay + self.random.range(0, ZOMBIE_MS) } else { delay };
        self.arbiter_at(self.t + delay, Step::KeepAlive(question));
    }

    fn arbiter_at(&mut self, at: u64, step: Step) {
        self.at(at, What::Arbiter(Box::new(step)));
    }

    pub fn arbiter_step(&mut self, step: Step) {
        match step {
            Step::KeepAlive(question) | Step::Decide(question) if self.is_void(&question) => {}
            Step::KeepAlive(question) if self.arbiter.is_up => {
                self.keep_alive(&question);
                // Between the two an etcd client waits for an answer.
                let delay = if self.random.chance(20) { self.random.range(0, self.arbiter.delay_ms.1) } else { 0 };
                self.arbiter_at(self.t + delay, Step::Decide(question));
            }
            Step::Decide(question) if self.arbiter.is_up => self.arbiter_decides(&question),
            Step::Answer { node, incarnation, id, answer } => {
                if self.arbiter.open.remove(&(node, incarnation, id)).is_some() && self.is_now(node, incarnation) {
                    self.feed(node, Input::Arbiter { id, answer });
                }
            }
            Step::Timeout { node, incarnation, id } => {
                if self.arbiter.open.remove(&(node, incarnation, id)).is_some() && self.is_now(node, incarnation) {
                    self.feed(node, Input::Arbiter { id, answer: VoteAnswer::Silent("no answer in time".into()) });
                }
            }
            Step::KeepAlive(_) | Step::Decide(_) => {}
        }
    }

    /// Of a question that its asker gave up only the last request can still be executed: a write that compares with what was
    /// read before, and changes nothing where the data was lost meanwhile (`arbiter::question`).
    fn is_void(&self, question: &Question) -> bool {
        let is_open = self.arbiter.open.contains_key(&(question.node, question.incarnation, question.id));
        !is_open && question.losses != self.arbiter.losses
    }

    fn keep_alive(&mut self, question: &Question) {
        let t = self.t;
        let ask = &question.ask;
        let (Want::Renew(term) | Want::Grant(term)) = ask.want else { return };
        let wanted = Lease { holder: ask.from, term, claim: ask.claim };
        let Some(book) = self.arbiter.books.get_mut(&question.pair) else { return };
        if let Some(held) = book.lease.as_mut().filter(|held| held.ends > t && held.lease == wanted) {
            held.ends = held.ends.max(t + held.ttl_ms);
        }
    }

    fn arbiter_decides(&mut self, question: &Question) {
        let t = self.t;
        let ttl_ms = self.arbiter.ttl_ms(question.lease_s) + self.random.range(0, LEASE_LATE_MS);
        let book = self.arbiter.books.entry(question.pair).or_default();
        let held = book.lease.filter(|held| held.ends > t);
        let verdict = decide(&book.record, held.as_ref().map(|held| &held.lease), &question.ask);
        if let Some(record) = verdict.record.clone() {
            book.record = record;
        }
        let is_yes = matches!(verdict.answer, VoteAnswer::Confirmed | VoteAnswer::Granted);
        let lease_s = question.lease_s;
        book.lease =
            match verdict.lease {
                // A lease of a shorter time than is asked for now is replaced, as by the real client (`arbiter::question`).
                LeaseChange::Keep if is_yes => held.map(|held| {
                    if held.lease_s < lease_s { Held { ends: t + ttl_ms, ttl_ms, lease_s, ..held } } else { held }
                }),
                LeaseChange::Keep => held,
                LeaseChange::Take(lease) => Some(Held { lease, ends: t + ttl_ms, ttl_ms, lease_s }),
                LeaseChange::Drop => None,
            };
        self.log(|| format!("ARBITER {:?} of node-{}: {:?}", question.ask.want, question.node, verdict.answer));
        if verdict.answer == VoteAnswer::Granted {
            self.arbiter.granted += 1;
            if let Want::Grant(term) = question.ask.want {
                self.check.granted.insert((term, question.node));
            }
        }
        if self.arbiter.cut[question.node] || self.random.chance(self.arbiter.loss_percent) {
            return;
        }
        let answer = if self.arbiter.says_errors { VoteAnswer::Silent("500 from etcd".into()) } else { verdict.answer };
        let delay = self.random.range(self.arbiter.delay_ms.0, self.arbiter.delay_ms.1);
        let (node, incarnation, id) = (question.node, question.incarnation, question.id);
        self.arbiter_at(t + delay, Step::Answer { node, incarnation, id, answer });
    }
}
