//! A canonical text of a whole world, so that two worlds that only differ in what time it is, or in numbers drawn on the way,
//! count as one state. Moments are relative to now; nonces, tickets and labels are left out; connections are named by order.

use std::collections::BTreeMap;
use std::collections::hash_map::DefaultHasher;
use std::fmt::Write as _;
use std::hash::{Hash, Hasher};

use crate::sim::net::Item;
use crate::sim::world::{What, World};

/// Older than this, a moment is only *past*, ms.
const PAST_MS: i64 = 4_000;
/// Numbers that only count up, or that are drawn: what follows these words is left out.
const COUNTERS: &[&str] = &[
    "nonce: ",
    "ticket: ",
    "in_flight: Some(",
    "next_id: ",
    "next_nonce: ",
    "next_serial: ",
    "serial: ",
    "attempt: ",
    "next_attempt: ",
    "count: ",
    "round_trip_ms: Some(",
    "claim: ",
    "number: ",
    "Random(",
    "id: ",
    "at: ",
    "(",
    "UnixMillis(",
    "last_granted: ",
    "restarts: ",
];

/// Two states with one print count as one.
pub fn print(world: &World) -> u64 {
    let mut text = String::with_capacity(16_000);
    for (index, node) in world.nodes.iter().enumerate() {
        let now = node.now(world.t).mono.0;
        let _ = write!(text, "|{index} {} {} {:?}", node.is_up(), node.service, node.guard.stopping);
        let relative = |at: u64| at.saturating_sub(world.t).min(60_000);
        let _ =
            write!(text, " o{} s{}", relative(node.guard.orphan_until), relative(node.suspended_until.unwrap_or(0)));
        if let Some(engine) = &node.engine {
            canonical(&format!("{engine:?}"), now, &mut text);
        } else {
            canonical(&format!("{:?}", node.disk.durable), now, &mut text);
        }
    }
    let _ = write!(text, "|{:?}{:?}", world.net.cut, world.arbiter.is_up);
    for conn in world.net.conns.values() {
        for end in &conn.ends {
            let _ = write!(text, "[{} {}", end.node, end.is_open && world.is_now(end.node, end.incarnation));
            for (at, item) in &end.inbox {
                let _ = write!(text, " {}", at.saturating_sub(world.t));
                match item {
                    Item::Message(envelope) => canonical(&format!("{envelope:?}"), 0, &mut text),
                    Item::End(_) => text.push_str("end"),
                }
            }
        }
    }
    for book in world.arbiter.books.values() {
        let ends = book.lease.map(|held| (held.lease.holder, held.lease.term, held.ends.saturating_sub(world.t)));
        let _ = write!(text, "{:?}{ends:?}", book.record);
    }
    for (at, what) in world.waiting() {
        let is_stale = match what {
            What::Alarm { node, incarnation } => {
                !world.is_now(*node, *incarnation) || world.nodes[*node].alarm != Some(at)
            }
            // Counted with the connections.
            What::Deliver { .. } => true,
            What::Input { node, incarnation, .. } | What::Resume { node, incarnation } => {
                !world.is_now(*node, *incarnation)
            }
            _ => false,
        };
        if !is_stale {
            let _ = write!(text, "@{}", at - world.t);
            canonical(&format!("{what:?}"), 0, &mut text);
        }
    }
    let mut hasher = DefaultHasher::new();
    text.hash(&mut hasher);
    hasher.finish()
}

/// What never decides: settings do not change in a walk, and people's texts follow from the rest.
const SKIPPED: &[&str] =
    &["settings: Settings {", "book: AlertBook {", "facts: Facts {", "notice: Some(Notice {", "kit: Kit {"];

/// Without what is skipped.
fn essential(from: &str) -> String {
    let mut text = String::with_capacity(from.len());
    let mut rest = from;
    while let Some((at, word)) = SKIPPED.iter().filter_map(|word| rest.find(word).map(|at| (at, word))).min() {
        text.push_str(&rest[..at]);
        let (mut depth, mut end) = (0, rest.len());
        for (index, byte) in rest.bytes().enumerate().skip(at + word.len() - 1) {
            match byte {
                b'{' => depth += 1,
                b'}' => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                end = index + 1;
                break;
            }
        }
        rest = &rest[end..];
    }
    text.push_str(rest);
    text
}

/// Numbers made relative, renamed or left out.
fn canonical(from: &str, now: u64, into: &mut String) {
    let from = &*essential(from);
    let bytes = from.as_bytes();
    let mut links: BTreeMap<&str, usize> = BTreeMap::new();
    let mut index = 0;
    let mut copied = 0;
    while index < bytes.len() {
        if !bytes[index].is_ascii_digit() || (index > 0 && bytes[index - 1].is_ascii_alphanumeric()) {
            index += 1;
            continue;
        }
        let end = bytes[index..].iter().position(|b| !b.is_ascii_digit()).map_or(bytes.len(), |len| index + len);
        let before = &from[copied..index];
        into.push_str(before);
        let digits = &from[index..end];
        let upto = &from[..index];
        if upto.ends_with("LinkId(") {
            let known = links.len();
            let _ = write!(into, "L{}", links.entry(digits).or_insert(known));
        } else if upto.ends_with("Millis(") && !upto.ends_with("UnixMillis(") {
            let ahead = digits.parse::<i64>().unwrap_or(0) - i64::try_from(now).unwrap_or(0);
            if ahead < -PAST_MS {
                into.push_str("past");
            } else {
                let _ = write!(into, "{ahead}");
            }
        } else if upto.ends_with("Term(") || upto.ends_with("Run(") || !COUNTERS.iter().any(|c| upto.ends_with(c)) {
            into.push_str(digits);
        }
        copied = end;
        index = end;
    }
    into.push_str(&from[copied..]);
}
