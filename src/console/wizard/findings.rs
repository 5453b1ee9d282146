//! Questions about the world that the wizard asks while it goes on, and what is made of the answers. They never block.

// The address types alone, which know no socket.
use core::net::IpAddr;

use super::{Outcome, REQUESTS_MAX, Wizard};
use crate::console::form::Item;

/// A question; the node answers it with the [`Answer`] of the same name.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Request {
    /// Can this port be listened on?
    CheckPort(u16),
    /// What is at this path?
    LookAtDirectory(String),
    /// Which addresses has this name?
    Resolve(String),
}

/// What was found out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Answer {
    /// To [`Request::CheckPort`].
    Port {
        /// As asked.
        port: u16,
        /// Or why it is not.
        free: Result<(), String>,
    },
    /// To [`Request::LookAtDirectory`].
    Directory {
        /// As asked.
        path: String,
        /// Files and bytes in it; or why it cannot be read.
        look: Result<(u64, u64), String>,
    },
    /// To [`Request::Resolve`].
    Resolved {
        /// As asked.
        host: String,
        /// Its addresses; or why there are none.
        addresses: Result<Vec<String>, String>,
    },
}

impl Wizard {
    /// What leaving the field at `index` asks; nothing when the value is wrong, empty, or was asked about before.
    pub(super) fn request_of(&mut self, index: usize) -> Option<Request> {
        let item = self.page()?.items.get(index)?;
        let text = item.text();
        if item.problem.is_some() || text.is_empty() || item.note.is_some() || item.warning.is_some() {
            return None;
        }
        match item.key {
            "administration.port" | "high_availability.port" => text.parse().ok().map(Request::CheckPort),
            super::pages::DIRECTORY => Some(Request::LookAtDirectory(text)),
            "shadow.master_hosts" => text.split([',', ' ']).find(|host| !host.is_empty()).map(host_request),
            "high_availability.permitted_shadow_host" => (!text.contains('@')).then(|| host_request(&text)),
            _ => None,
        }
    }

    /// Hands the questions over, each once as long as it is open.
    pub(super) fn ask(&mut self, requests: Vec<Request>) -> Outcome {
        let mut new: Vec<Request> = Vec::new();
        for request in requests {
            if !self.asked.contains(&request) && self.asked.len() < REQUESTS_MAX {
                self.asked.push(request.clone());
                new.push(request);
            }
        }
        if new.is_empty() { Outcome::Stay } else { Outcome::Ask(new) }
    }

    /// Takes an answer. One about a value that no longer stands there changes nothing.
    pub fn answer(&mut self, answer: &Answer) {
        let request = match answer {
            Answer::Port { port, .. } => Request::CheckPort(*port),
            Answer::Directory { path, .. } => Request::LookAtDirectory(path.clone()),
            Answer::Resolved { host, .. } => Request::Resolve(host.clone()),
        };
        self.asked.retain(|open| *open != request);
        let own = self.found.addresses.clone();
        let default_directory = self.found.default_directory.clone();
        for item in self.master.items.iter_mut().chain(&mut self.shadow.items) {
            match answer {
                Answer::Port { port, free } if is_port(item, *port) => note_port(item, *port, free),
                Answer::Directory { path, look } if item.key == super::pages::DIRECTORY && item.text() == *path => {
                    note_directory(item, look, *path == default_directory);
                }
                Answer::Resolved { host, addresses } if is_host_item(item, host) => {
                    note_addresses(item, host, addresses, &own);
                }
                _ => {}
            }
        }
    }
}

fn host_request(host: &str) -> Request {
    Request::Resolve(host.to_owned())
}

fn is_port(item: &Item, port: u16) -> bool {
    matches!(item.key, "administration.port" | "high_availability.port") && item.text() == port.to_string()
}

fn is_host_item(item: &Item, host: &str) -> bool {
    matches!(item.key, "shadow.master_hosts" | "high_availability.permitted_shadow_host")
        && item.text().split([',', ' ']).any(|name| name == host)
}

fn note_port(item: &mut Item, port: u16, free: &Result<(), String>) {
    match free {
        Ok(()) => item.note = Some("free".into()),
        Err(why) => item.warning = Some(format!("Port {port} cannot be listened on now: {why}")),
    }
}

fn note_directory(item: &mut Item, look: &Result<(u64, u64), String>, is_default: bool) {
    match look {
        // It is in the home, which is made by the save.
        Err(_) if is_default => item.note = Some("will be made, empty".into()),
        Ok((files, bytes)) => item.note = Some(format!("{}, {}", count_text(*files, "file"), size_text(*bytes))),
        Err(why) => item.warning = Some(format!("Not readable now: {why}")),
    }
}

fn note_addresses(item: &mut Item, host: &str, addresses: &Result<Vec<String>, String>, own: &[String]) {
    match addresses {
        Err(why) => item.warning = Some(format!("{host} was not found: {why}")),
        Ok(found) if found.is_empty() => item.warning = Some(format!("{host} has no address")),
        Ok(found) if !own.is_empty() && !share_segment(found, own) => {
            let theirs = found.join(", ");
            item.warning = Some(format!("{host} ({theirs}) seems to be in another network segment than this machine"));
        }
        Ok(found) => item.note = Some(found.join(", ")),
    }
}

/// Whether two addresses look like one segment: the first 24 bits of IPv4, the first 64 of IPv6 are the same (spec 1.5). The
/// real length of the network is not known here; that is why it is a hint and no refusal.
fn share_segment(ones: &[String], others: &[String]) -> bool {
    let parse = |list: &[String]| list.iter().filter_map(|text| text.parse::<IpAddr>().ok()).collect::<Vec<_>>();
    let (ones, others) = (parse(ones), parse(others));
    ones.iter().any(|one| one.is_loopback() || others.iter().any(|other| in_same_segment(*one, *other)))
}

fn in_same_segment(one: IpAddr, other: IpAddr) -> bool {
    match (one.to_canonical(), other.to_canonical()) {
        (IpAddr::V4(one), IpAddr::V4(other)) => one.octets()[..3] == other.octets()[..3],
        (IpAddr::V6(one), IpAddr::V6(other)) => one.segments()[..4] == other.segments()[..4],
        _ => false,
    }
}

/// `1 file`, `214 files`.
fn count_text(count: u64, noun: &str) -> String {
    if count == 1 { format!("1 {noun}") } else { format!("{count} {noun}s") }
}

/// `512 B`, `1.2 MB`: decimal, as the rest of the console.
fn size_text(bytes: u64) -> String {
    for (unit, size) in [("GB", 1_000_000_000_u64), ("MB", 1_000_000), ("KB", 1_000)] {
        if bytes >= size {
            return format!("{}.{} {unit}", bytes / size, bytes % size * 10 / size);
        }
    }
    format!("{bytes} B")
}
