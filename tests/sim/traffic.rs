//! What travels: connections made, messages kept in order, ends noticed.

use std::collections::VecDeque;

use standin::engine::base::LinkId;
use standin::engine::input::Input;
use standin::engine::message::Body;

use crate::sim::net::{Conn, End, Item};
use crate::sim::node::fingerprint;
use crate::sim::world::{What, World};

/// In a walk a connection over which nothing arrives is given up after this, longer than whatever a rule waits for on it, ticks.
const GIVEN_UP_TICKS: u64 = 16;

impl World {
    pub fn send(&mut self, node: usize, link: LinkId, envelope: Box<standin::engine::message::Envelope>) {
        if let Err(why) = self.check.says(node, &self.nodes, &envelope) {
            return self.fail(why);
        }
        let incarnation = self.nodes[node].incarnation;
        let Some((conn, end)) = self.net.find(node, incarnation, link) else { return };
        if let Body::Applied(applied) = &envelope.body
            && let Err(why) = self.check.acknowledges(node, &self.nodes, applied.revision)
        {
            return self.fail(why);
        }
        if let Some((held, matches)) = self.hold
            && held == node
            && matches(&envelope.body)
        {
            self.held.push((conn, 1 - end, Item::Message(envelope)));
            return;
        }
        self.put(conn, 1 - end, Item::Message(envelope));
    }

    /// On its way to that end, behind whatever is on its way already.
    pub fn put(&mut self, conn: u64, end: usize, item: Item) {
        let delay = self.random.range(self.net.delay_ms.0, self.net.delay_ms.1);
        let t = self.t;
        let Some(target) = self.net.conns.get_mut(&conn) else { return };
        if target.is_dead {
            return;
        }
        let inbox = &mut target.ends[end].inbox;
        let at = (t + delay).max(inbox.back().map_or(0, |(at, _)| *at));
        inbox.push_back((at, item));
        self.at(at, What::Deliver { conn, end });
    }

    pub fn deliver(&mut self, id: u64, end: usize) {
        let t = self.t;
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        let from = conn.ends[1 - end].node;
        if conn.is_dead || conn.ends[end].inbox.front().is_none_or(|(at, _)| *at > t) {
            return;
        }
        if self.net.cut[from] {
            // Either it waits for the way to open, as a retransmission does, or the connection dies.
            if !self.is_calm && self.random.chance(10) {
                conn.is_dead = true;
                self.later((0, 3_000), What::Die { conn: id });
            } else if self.tick_ms > 0 {
                self.at(t + self.tick_ms, What::Retransmit);
            } else {
                self.later((20, 60), What::Deliver { conn: id, end });
            }
            return;
        }
        let (_, item) = conn.ends[end].inbox.pop_front().unwrap();
        let (node, incarnation, link) = (conn.ends[end].node, conn.ends[end].incarnation, conn.ends[end].link);
        // In a walk each item has one delivery of its own.
        let has_more = !conn.ends[end].inbox.is_empty() && self.tick_ms == 0;
        if has_more {
            self.at(t, What::Deliver { conn: id, end });
        }
        if !self.is_now(node, incarnation) || !self.net.conns[&id].ends[end].is_open {
            return;
        }
        match item {
            Item::Message(envelope) => {
                if let Body::Applied(applied) = &envelope.body {
                    self.check.acknowledged(applied.revision);
                }
                self.feed(node, Input::Received { link, envelope, host_problem: None });
            }
            Item::End(why) => {
                self.net.conns.get_mut(&id).unwrap().ends[end].is_open = false;
                self.net.sweep();
                self.feed(node, Input::LinkDown { link, why });
            }
        }
    }

    /// In a walk: what waited for a way that is open again arrives, the oldest connection first; one whose oldest item waited for
    /// too long is given up, as TCP does.
    pub fn retransmit(&mut self) {
        let (t, cut) = (self.t, self.net.cut);
        let given_up_ms = GIVEN_UP_TICKS * self.tick_ms;
        let mut waiting = Vec::new();
        for (id, conn) in self.net.conns.iter().filter(|(_, conn)| !conn.is_dead) {
            for end in 0..2 {
                let since = conn.ends[end].inbox.front().map(|(at, _)| *at);
                waiting.extend(
                    since.map(|since| (*id, end, cut[conn.ends[1 - end].node], since, conn.ends[end].inbox.len())),
                );
            }
        }
        for (conn, end, is_cut, since, items) in waiting {
            if !is_cut {
                (0..items).for_each(|_| self.at(t, What::Deliver { conn, end }));
            } else if since + given_up_ms <= t {
                self.die(conn);
            } else {
                self.at(t + self.tick_ms, What::Retransmit);
            }
        }
    }

    /// Both ends notice that the connection is gone.
    pub fn die(&mut self, id: u64) {
        let Some(conn) = self.net.conns.get_mut(&id) else { return };
        conn.is_dead = true;
        let mut gone = Vec::new();
        for end in &mut conn.ends {
            if std::mem::take(&mut end.is_open) {
                gone.push((end.node, end.incarnation, end.link));
            }
        }
        self.net.sweep();
        for (node, incarnation, link) in gone {
            let input = Input::LinkDown { link, why: "connection timed out".into() };
            self.later((0, 500), What::Input { node, incarnation, input: Box::new(input) });
        }
    }

    pub fn kill_conns(&mut self) {
        let all: Vec<u64> = self.net.conns.keys().copied().collect();
        for id in all {
            self.die(id);
        }
    }

    pub fn close(&mut self, node: usize, link: LinkId, why: &str) {
        let incarnation = self.nodes[node].incarnation;
        if let Some((id, end)) = self.net.find(node, incarnation, link) {
            self.put(id, 1 - end, Item::End("closed by the other end".into()));
            if let Some(conn) = self.net.conns.get_mut(&id) {
                conn.ends[end].is_open = false;
            }
            let input = Input::LinkDown { link, why: why.to_owned() };
            self.later((0, 5), What::Input { node, incarnation, input: Box::new(input) });
        }
    }

    pub fn dial(&mut self, node: usize, attempt: u64, timeout_ms: u64) {
        if self.nodes[node].cancelled.contains(&attempt) {
            return;
        }
        let (other, incarnation) = (1 - node, self.nodes[node].incarnation);
        let fail = |after: u64, why: &str| {
            let input = Input::DialFailed { attempt, steps: Vec::new(), why: why.into(), foreign: None };
            (after, What::Input { node, incarnation, input: Box::new(input) })
        };
        if self.net.cut[0] || self.net.cut[1] || self.net.no_dial[node] {
            let (after, what) = fail(timeout_ms, "no answer");
            return self.at(self.t + after, what);
        }
        if self.net.is_foreign[node] {
            let input = Input::DialFailed {
                attempt,
                steps: Vec::new(),
                why: "another certificate".into(),
                foreign: Some(standin::engine::base::Fingerprint(standin::engine::base::Digest([9; 32]))),
            };
            return self.feed(node, input);
        }
        if self.nodes[other].suspended_until.is_some() {
            // The kernel takes the connection; nobody answers the handshake.
            let (after, what) = fail(timeout_ms, "no answer");
            return self.at(self.t + after, what);
        }
        if !self.nodes[other].is_up() {
            let (after, what) = fail(1, "connection refused");
            return self.at(self.t + after, what);
        }
        if !self.is_calm && self.random.chance(5) {
            // A connection made twice, of which one is never used.
            self.connect(node, other, false);
        }
        let link = self.connect(node, other, true);
        self.feed(
            node,
            Input::LinkUp { link, outgoing: true, fingerprint: fingerprint(other), address: format!("10.0.0.{other}") },
        );
        if self.is_now(node, incarnation) {
            self.feed(node, Input::Dialled { attempt, link, steps: Vec::new() });
        }
    }

    pub fn connect(&mut self, node: usize, other: usize, is_used: bool) -> LinkId {
        let (near, far) = (self.nodes[node].new_link(), self.nodes[other].new_link());
        let end = |node: usize, incarnation: u64, link: LinkId, is_open: bool| End {
            node,
            incarnation,
            link,
            is_open,
            inbox: VecDeque::new(),
        };
        let id = self.net.next;
        self.net.next += 1;
        let incarnations = [self.nodes[node].incarnation, self.nodes[other].incarnation];
        let conn = Conn {
            ends: [end(node, incarnations[0], near, is_used), end(other, incarnations[1], far, true)],
            is_dead: false,
        };
        self.net.conns.insert(id, conn);
        self.feed(
            other,
            Input::LinkUp {
                link: far,
                outgoing: false,
                fingerprint: fingerprint(node),
                address: format!("10.0.0.{node}"),
            },
        );
        near
    }
}
