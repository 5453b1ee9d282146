//! A virtual network: connections that keep the order of what is sent over them, and stall, die or lose their other end.

use std::collections::{BTreeMap, VecDeque};

use standin::engine::base::LinkId;
use standin::engine::message::Envelope;

/// One thing on its way over one direction of a connection.
#[derive(Clone, Debug)]
pub enum Item {
    Message(Box<Envelope>),
    /// The sender closed, or its process died.
    End(String),
}

/// One end of a connection.
#[derive(Clone, Debug)]
pub struct End {
    pub node: usize,
    /// The run of the virtual process that holds it; a later one knows nothing of it.
    pub incarnation: u64,
    pub link: LinkId,
    pub is_open: bool,
    /// On the way to this end, with the earliest moment of arrival.
    pub inbox: VecDeque<(u64, Item)>,
}

#[derive(Clone, Debug)]
pub struct Conn {
    pub ends: [End; 2],
    /// Nothing arrives any more in either direction.
    pub is_dead: bool,
}

/// All connections, and which ways are cut.
#[derive(Clone, Debug, Default)]
pub struct Net {
    pub conns: BTreeMap<u64, Conn>,
    pub next: u64,
    /// `cut[from]`: nothing arrives from that node.
    pub cut: [bool; 2],
    /// `no_dial[node]`: its connections cannot be made, those of the other can.
    pub no_dial: [bool; 2],
    /// `is_foreign[node]`: something else answers what that node dials.
    pub is_foreign: [bool; 2],
    pub delay_ms: (u64, u64),
}

impl Net {
    /// All faults of the network are over.
    pub fn heal(&mut self) {
        self.cut = [false; 2];
        self.no_dial = [false; 2];
        self.is_foreign = [false; 2];
    }

    /// One may be invisible to the other.
    pub fn is_faulty(&self) -> bool {
        self.cut != [false; 2] || self.no_dial != [false; 2] || self.is_foreign != [false; 2] || self.delay_ms.1 > 10
    }

    /// The connection that a node knows under that number.
    pub fn find(&self, node: usize, incarnation: u64, link: LinkId) -> Option<(u64, usize)> {
        self.conns.iter().rev().find_map(|(id, conn)| {
            let end = conn
                .ends
                .iter()
                .position(|end| end.node == node && end.incarnation == incarnation && end.link == link)?;
            Some((*id, end))
        })
    }

    /// Forgets what nobody holds any more.
    pub fn sweep(&mut self) {
        self.conns.retain(|_, conn| conn.ends.iter().any(|end| end.is_open));
    }
}
