//! The fingerprint of a whole world: two worlds that differ only in what time it is, in numbers drawn on the way, or in what is
//! for people alone, count as one state. Moments are relative to now, links are named by order, texts are left out.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use standin::engine::message::Envelope;

use crate::sim::net::Item;
use crate::sim::world::{What, World};

/// Older than this, a moment is only *past*, ms: longer than every limit of a walk's settings that counts from one.
const PAST_MS: i64 = 1_500;
/// Farther ahead than this, a moment is only *far*, ms: what a walk's settings do not shorten (retries for people's sake).
const FAR_MS: i64 = 60_000;
/// Words whose number only counts up, or is drawn.
const COUNTERS: &[&str] = &[
    "nonce",
    "ticket",
    "next_attempt",
    "attempt",
    "serial",
    "claim",
    "number",
    "Random",
    "id",
    "incarnation",
    "run",
    "Run",
    "for_ms",
    "wall_ms",
];

/// 128 bits, so that two states do not meet by chance.
#[derive(Clone, Copy)]
struct Digest(u64, u64);

impl Digest {
    fn word(&mut self, word: u64) {
        self.0 = (self.0 ^ word).wrapping_mul(0x9E37_79B9_7F4A_7C15).rotate_left(29);
        self.1 = (self.1.rotate_left(17) ^ word).wrapping_mul(0xD6E8_FEB8_6659_FD93);
        self.1 ^= self.1 >> 31;
    }

    fn bytes(&mut self, bytes: &[u8]) {
        for chunk in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..chunk.len()].copy_from_slice(chunk);
            self.word(u64::from_le_bytes(word));
        }
        self.word(bytes.len() as u64);
    }
}

/// Two states with one print count as one.
pub fn print(world: &World) -> u128 {
    let mut digest = Digest(1, 2);
    let mut text = String::with_capacity(8_000);
    for node in &world.nodes {
        text.clear();
        let relative = |at: u64| at.saturating_sub(world.t);
        let guard = &node.guard;
        let is_ending = guard.stopping == Some(guard.epoch);
        let _ = write!(text, "{} {} {is_ending} o{}", node.is_up(), node.service, relative(guard.orphan_until));
        let _ = write!(text, " e{:?} {:?}", guard.ending_until.map(&relative), guard.next);
        if let Some(engine) = &node.engine {
            let _ = engine.sketch(&mut text);
        } else {
            let durable = &node.disk.durable;
            let kept = (durable.role, durable.term, durable.known_term, durable.may_take_over, durable.peer_promise);
            let more = (durable.own_promise, durable.connect_wanted, durable.offer, durable.complete_wanted);
            let rest = (durable.promise_ms, durable.ungranted, durable.rival_unmet, durable.was_master);
            let _ = write!(text, "{kept:?}{more:?}{rest:?}{:?}{:?}", durable.forced_shadow, durable.restore_due);
        }
        canonical(&text, node.now(world.t).mono.0, &mut digest);
    }
    text.clear();
    let _ = write!(text, "{:?}{:?}{}", world.net.cut, world.arbiter.is_up, world.check.is_split);
    connections(world, &mut text);
    for book in world.arbiter.books.values() {
        let ends = book.lease.map(|held| (held.lease.holder, held.lease.term, held.ends.saturating_sub(world.t)));
        let _ = write!(text, "{:?}{ends:?}", book.record);
    }
    waiting(world, &mut text);
    canonical(&text, 0, &mut digest);
    (u128::from(digest.0) << 64) | u128::from(digest.1)
}

fn connections(world: &World, text: &mut String) {
    for conn in world.net.conns.values() {
        for end in &conn.ends {
            let _ = write!(text, "[{} {}", end.node, end.is_open && world.is_now(end.node, end.incarnation));
            for (at, item) in &end.inbox {
                let _ = write!(text, " +{}", at.saturating_sub(world.t));
                let _ = match item {
                    Item::Message(envelope) => said(envelope, text),
                    Item::End(_) => text.write_str("end"),
                };
            }
        }
    }
}

fn said(envelope: &Envelope, text: &mut String) -> std::fmt::Result {
    write!(text, "{} {:?} {:?} {:?}", envelope.from.0.as_u128(), envelope.role, envelope.term, envelope.body)
}

fn waiting(world: &World, text: &mut String) {
    for (at, what) in world.waiting() {
        let is_over = match what {
            What::Alarm { node, incarnation } => {
                !world.is_now(*node, *incarnation) || world.nodes[*node].alarm != Some(at)
            }
            What::Deliver { conn, end } => {
                world.net.conns.get(conn).is_none_or(|conn| conn.is_dead || conn.ends[*end].inbox.is_empty())
            }
            What::Input { node, incarnation, .. }
            | What::Resume { node, incarnation }
            | What::Service { node, incarnation, .. }
            | What::Scan { node, incarnation, .. }
            | What::Push { node, incarnation, .. }
            | What::Apply { node, incarnation, .. }
            | What::Dial { node, incarnation, .. } => !world.is_now(*node, *incarnation),
            What::Allowance { node, until } => {
                !world.nodes[*node].service || world.nodes[*node].guard.allowed_until != Some(*until)
            }
            What::Arbiter(step) => match **step {
                crate::sim::arbiter::Step::Timeout { node, incarnation, id }
                | crate::sim::arbiter::Step::Answer { node, incarnation, id, .. } => {
                    !world.arbiter.open.contains_key(&(node, incarnation, id))
                }
                _ => false,
            },
            _ => false,
        };
        if is_over {
            continue;
        }
        let _ = write!(text, "@{}", at - world.t);
        let _ = match what {
            What::Deliver { conn, end } => {
                write!(text, "D{}{end}", world.net.conns.keys().filter(|other| *other < conn).count())
            }
            What::Push { node, complete, .. } => write!(text, "P{node}{complete}"),
            What::Apply { node, push, .. } => write!(text, "A{node}{:?}", push.revision),
            What::Settings { node, .. } => write!(text, "S{node}"),
            What::Allowance { node, .. } => write!(text, "L{node}"),
            other => write!(text, "{other:?}"),
        };
    }
}

/// Numbers made relative, renamed or left out, texts left out.
fn canonical(text: &str, now: u64, digest: &mut Digest) {
    let bytes = text.as_bytes();
    let mut links: BTreeMap<u64, u64> = BTreeMap::new();
    let (mut index, mut word) = (0, (0, 0));
    let mut opened_at = usize::MAX;
    while index < bytes.len() {
        let byte = bytes[index];
        if byte.is_ascii_alphabetic() || byte == b'_' {
            let len = bytes[index..].iter().take_while(|b| b.is_ascii_alphanumeric() || **b == b'_').count();
            word = (index, index + len);
            digest.bytes(&bytes[index..index + len]);
            index += len;
        } else if byte == b'"' {
            index += 1;
            while index < bytes.len() && bytes[index] != b'"' {
                index += 1 + usize::from(bytes[index] == b'\\');
            }
            index += 1;
        } else if byte.is_ascii_digit() {
            let len = bytes[index..].iter().take_while(|b| b.is_ascii_digit()).count();
            let name = &text[word.0..word.1];
            let is_direct = index.saturating_sub(word.1) <= 2;
            // `(7, ` of a list of numbered things.
            let is_key = opened_at.wrapping_add(1) == index && opened_at != word.1;
            number(name, is_direct, is_key, &text[index..index + len], now, &mut links, digest);
            index += len;
        } else {
            if byte == b'(' {
                opened_at = index;
            }
            digest.word(u64::from(byte));
            index += 1;
        }
    }
}

fn number(
    name: &str,
    is_direct: bool,
    is_key: bool,
    digits: &str,
    now: u64,
    links: &mut BTreeMap<u64, u64>,
    digest: &mut Digest,
) {
    let Ok(value) = digits.parse::<u64>() else { return digest.bytes(digits.as_bytes()) };
    match name {
        "LinkId" if is_direct => {
            let known = links.len() as u64;
            digest.word(*links.entry(value).or_insert(known));
        }
        "Millis" if is_direct => {
            let ahead = value as i64 - now as i64;
            digest.word(ahead.clamp(-PAST_MS, FAR_MS) as u64);
        }
        "UnixMillis" if is_direct => {}
        // The wall clock, wherever it stands.
        _ if value > 1_000_000_000_000 => {}
        _ if is_key || (is_direct && COUNTERS.contains(&name)) => {}
        _ => digest.word(value),
    }
}
