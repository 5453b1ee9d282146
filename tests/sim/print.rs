//! The fingerprint of a whole world in a walk: two worlds that differ only in what time it is, in numbers drawn on the way, or
//! in what is for people alone, count as one state. Moments are relative to now and in ticks, what is past is past once nothing
//! counts from it any more, connections are named by order, runs and serial numbers by how far they are behind the newest.
//! `same.rs` runs worlds of one print side by side.

use std::collections::BTreeMap;
use std::fmt::{Debug, Write};

use standin::engine::base::{InstanceId, LinkId, Run};
use standin::engine::sketch::{Counters, Sketch, record_flags};
use standin::engine::vote::Claim;

use crate::sim::net::End;
use crate::sim::node::instance;
use crate::sim::world::World;

mod said;
mod waiting;

/// Alerts that stand for a state (see `check/alerts.rs`): what stands is part of the print.
const JUDGED: [&str; 6] = ["H-001", "H-010", "H-011", "H-012", "H-020", "H-021"];
/// Ages a checker asks for, in ticks: since when a shadow is lost.
const LOST_TICKS: i64 = 3;

/// 128 bits, so that two states do not meet by chance.
#[derive(Clone, Copy)]
struct Digest(u64, u64);

impl Digest {
    const NEW: Self = Self(1, 2);

    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        self.1 = (self.1.rotate_left(17) ^ word).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        self.1 ^= self.1 >> 31;
    }

    fn whole(self) -> u128 {
        (u128::from(self.0) << 64) | u128::from(self.1)
    }
}

impl Write for Digest {
    fn write_str(&mut self, text: &str) -> std::fmt::Result {
        for chunk in text.as_bytes().chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        Ok(())
    }
}

/// What each part of a print says, for whoever wants to know where the states come from.
pub type Parts = BTreeMap<String, u128>;

/// Takes the words of a print.
struct Paper<'a> {
    digest: Digest,
    /// The node that is being sketched, and what each one's connections are called.
    node: usize,
    links: [Vec<LinkId>; 2],
    runs: [Run; 2],
    counters: [Counters; 2],
    tick_ms: i64,
    parts: Option<(&'a mut Parts, String, Digest)>,
}

impl Paper<'_> {
    fn of(&mut self, node: usize, name: &str) {
        self.node = node;
        self.part(&name);
    }

    fn flags(&mut self, flags: &[bool]) {
        self.word(flags.iter().fold(1, |word, flag| word << 1 | u64::from(*flag)));
    }

    /// Ahead of the world's now; past is past.
    fn ahead(&mut self, at: u64, now: u64) {
        self.moment(at.saturating_sub(now) as i64);
    }

    fn name_of(&mut self, node: usize, link: LinkId) -> u64 {
        let links = &mut self.links[node];
        let known = links.iter().position(|known| *known == link);
        known.unwrap_or_else(|| {
            links.push(link);
            links.len() - 1
        }) as u64
    }

    /// How far it is behind that node's newest.
    fn run_of(&mut self, node: usize, run: Run) {
        self.word(self.runs[node].0.wrapping_sub(run.0));
    }

    fn claim(&mut self, node: usize, claim: Claim) {
        self.run_of(node, claim.run);
        if claim.run == self.runs[node] {
            self.word(self.counters[node].claim.number.wrapping_sub(claim.number));
        }
    }
}

impl Sketch for Paper<'_> {
    fn part(&mut self, name: &dyn Debug) {
        let node = self.node;
        if let Some((parts, last, digest)) = &mut self.parts {
            let ended = std::mem::replace(last, format!("{node} {name:?}"));
            let value = std::mem::replace(digest, Digest::NEW).whole();
            *parts.entry(ended).or_default() ^= value;
        }
    }

    fn word(&mut self, word: u64) {
        self.digest.word(word);
        if let Some((.., digest)) = &mut self.parts {
            digest.word(word);
        }
    }

    fn show(&mut self, what: &dyn Debug) {
        let _ = write!(self.digest, "{what:?}");
        if let Some((.., digest)) = &mut self.parts {
            let _ = write!(digest, "{what:?}");
        }
        self.word(0xFE);
    }

    fn moment(&mut self, ahead_ms: i64) {
        // Nothing happens between two ticks: rounded up to the one at which it is noticed.
        let ticks = ahead_ms.div_euclid(self.tick_ms) + i64::from(ahead_ms.rem_euclid(self.tick_ms) > 0);
        self.word(0xAA00 ^ ticks as u64);
    }

    fn link(&mut self, link: LinkId) {
        let name = self.name_of(self.node, link);
        self.word(0xCC00 ^ name);
    }

    fn peer_run(&mut self, run: Run) {
        self.run_of(1 - self.node, run);
    }
}

/// Two states with one print count as one.
pub fn print(world: &World) -> u128 {
    put(world, None)
}

/// The same, part by part.
pub fn parts(world: &World) -> Parts {
    let mut parts = Parts::new();
    put(world, Some(&mut parts));
    parts
}

fn put(world: &World, parts: Option<&mut Parts>) -> u128 {
    let mut paper = Paper {
        digest: Digest::NEW,
        node: 0,
        links: [Vec::with_capacity(8), Vec::with_capacity(8)],
        runs: [0, 1].map(|node: usize| world.nodes[node].disk.durable.run),
        counters: [0, 1].map(|node: usize| {
            world.nodes[node].engine.as_ref().map_or_else(Counters::default, standin::engine::Engine::counters)
        }),
        tick_ms: world.tick_ms.max(1) as i64,
        parts: parts.map(|parts| (parts, String::new(), Digest::NEW)),
    };
    for node in 0..2 {
        machine(world, node, &mut paper);
    }
    judged(world, &mut paper);
    connections(world, &mut paper);
    votes(world, &mut paper);
    waiting::put(world, &mut paper);
    paper.of(9, "end");
    paper.digest.whole()
}

fn machine(world: &World, index: usize, paper: &mut Paper<'_>) {
    let node = &world.nodes[index];
    let guard = &node.guard;
    paper.of(index, "guard");
    let is_ending = guard.stopping == Some(guard.epoch) && node.service;
    paper.flags(&[node.is_up(), node.service, is_ending, guard.next.is_some(), guard.ending_until.is_some()]);
    paper.ahead(guard.orphan_until, world.t);
    paper.ahead(guard.ending_until.unwrap_or(0), world.t);
    if is_ending {
        paper.ahead(guard.stopped_at, world.t);
    }
    paper.flags(&[node.applying.is_some(), node.disk.mirror.journal.is_some()]);
    paper.word(node.disk.mirror.history.len() as u64);
    if let Some(engine) = &node.engine {
        if let Some(until) = guard.allowed_until.filter(|_| node.service) {
            paper.ahead(node.world_time(until), world.t);
        }
        engine.sketch(node.now(world.t).mono, paper);
        return;
    }
    paper.of(index, "disk");
    let durable = &node.disk.durable;
    paper.show(&(durable.role, durable.term, durable.known_term, durable.ungranted, durable.promise_ms));
    paper.show(&(durable.peer_promise, durable.own_promise, durable.offer.map(|offer| (offer.term, offer.kind))));
    paper.flags(&record_flags(durable));
    paper.word(durable.takeovers.list.len() as u64);
    paper.run_of(1 - index, durable.peer.as_ref().map_or(Run(0), |peer| peer.run));
}

/// What the checkers remember, where it decides how strict they are.
fn judged(world: &World, paper: &mut Paper<'_>) {
    paper.of(9, "checkers");
    let check = &world.check;
    paper.flags(&[check.is_split, check.was_forced, check.was_without_arbiter]);
    paper.word(check.resumed.map_or(9, |node| node as u64));
    if !check.has_arbiter {
        paper.ahead(check.unseen_at.map_or(0, |at| at + check.noticed_ms()), world.t);
    }
    for (node, seen) in check.seen.iter().enumerate() {
        paper.of(node, "checker");
        if let Some((since, was_ready)) = seen.lost {
            paper.flags(&[was_ready, check.unseen_at.is_some_and(|at| at + check.noticed_ms() >= since)]);
            paper.moment(-((world.t - since) as i64).min(LOST_TICKS * world.tick_ms as i64));
        }
        let taken = (world.nodes[node].disk.durable.term, node);
        paper.flags(&[check.taken.contains(&taken) && !check.granted.contains(&taken)]);
        paper.of(node, "alerts");
        paper.flags(&JUDGED.map(|code| check.standing[node].values().any(|standing| standing == code)));
    }
    paper.of(9, "orders");
    for (node, .., order) in world.pending.values() {
        paper.word(*node as u64);
        paper.show(&std::mem::discriminant(order));
    }
    paper.word(world.chosen.min(4) as u64);
}

fn connections(world: &World, paper: &mut Paper<'_>) {
    paper.of(9, "connections");
    for conn in world.net.conns.values() {
        if !conn.ends.iter().any(|end| counts(world, end)) {
            continue;
        }
        for end in &conn.ends {
            let is_open = counts(world, end);
            paper.flags(&[is_open, conn.is_dead]);
            if is_open {
                let name = paper.name_of(end.node, end.link);
                paper.word(name);
                for (_, item) in &end.inbox {
                    said::put(world, end.node, item, paper);
                }
            }
        }
    }
    paper.flags(&world.net.cut);
}

/// Something that arrives there is heard.
fn counts(world: &World, end: &End) -> bool {
    end.is_open && world.is_now(end.node, end.incarnation)
}

fn votes(world: &World, paper: &mut Paper<'_>) {
    paper.of(9, "arbiter");
    let arbiter = &world.arbiter;
    paper.flags(&[arbiter.is_up, arbiter.cut[0], arbiter.cut[1]]);
    for book in arbiter.books.values() {
        paper.word(book.record.term.0);
        paper.word(book.record.holder.map_or(9, |id| node_of(id) as u64));
        for (id, term) in &book.record.known {
            paper.word(node_of(*id) as u64);
            paper.word(term.0);
        }
        let held = book.lease.filter(|held| held.ends > world.t);
        paper.flags(&[held.is_some()]);
        if let Some(held) = held {
            paper.word(node_of(held.lease.holder) as u64);
            paper.word(held.lease.term.0);
            paper.claim(node_of(held.lease.holder), held.lease.claim);
            paper.ahead(held.ends, world.t);
        }
    }
}

fn node_of(id: InstanceId) -> usize {
    usize::from(id != instance(0))
}
