//! One TCP check: passes when a connection is made.

use std::net::{SocketAddr, TcpStream, ToSocketAddrs};
use std::time::{Duration, Instant};

use super::{Outcome, timed_out, took};

/// Most addresses of one name that are tried.
const ADDRESSES_MAX: usize = 8;

/// Blocks for `limit`, and for as long as a name server takes.
pub(super) fn check(target: &str, limit: Duration) -> Outcome {
    let (host, port) = split(target)?;
    connect(&host, port, limit)
}

/// `host:port` or `[v6]:port`.
fn split(target: &str) -> Result<(String, u16), String> {
    const EXPECTED: &str = "expected host:port, or [address]:port for IPv6";
    let (host, port) = target.rsplit_once(':').ok_or(EXPECTED)?;
    let host = match host.strip_prefix('[') {
        Some(inner) => inner.strip_suffix(']').ok_or(EXPECTED)?,
        None if host.contains(':') => return Err(EXPECTED.into()),
        None => host,
    };
    let port = port.parse().ok().filter(|port| *port != 0).ok_or(EXPECTED)?;
    if host.is_empty() { Err(EXPECTED.into()) } else { Ok((host.into(), port)) }
}

fn connect(host: &str, port: u16, limit: Duration) -> Outcome {
    let begin = Instant::now();
    let addresses: Vec<SocketAddr> = (host, port)
        .to_socket_addrs()
        .map_err(|error| format!("name {host} not found ({})", plain(&error)))?
        .take(ADDRESSES_MAX)
        .collect();
    let mut why = format!("name {host} has no address");
    for (tried, address) in addresses.iter().enumerate() {
        // A dead first address must leave time for the next.
        let rest = u32::try_from(addresses.len() - tried).unwrap_or(1);
        let share = limit.saturating_sub(begin.elapsed()) / rest;
        if share.is_zero() {
            return Err(timed_out(limit, &format!("before {address} was tried")));
        }
        match TcpStream::connect_timeout(address, share) {
            Ok(_) => return Ok(took(begin)),
            Err(error) => why = explain(&error, *address, limit),
        }
    }
    Err(why)
}

fn explain(error: &std::io::Error, address: SocketAddr, limit: Duration) -> String {
    use std::io::ErrorKind;
    match error.kind() {
        ErrorKind::ConnectionRefused => format!("refused by {address}"),
        ErrorKind::TimedOut | ErrorKind::WouldBlock => timed_out(limit, &format!("connecting to {address}")),
        ErrorKind::NetworkUnreachable => format!("no way to the network of {address}"),
        ErrorKind::HostUnreachable => format!("{address} is not reachable"),
        _ => format!("{address}: {}", plain(error)),
    }
}

/// Without the words that the library puts in front.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.strip_prefix("failed to lookup address information: ").unwrap_or(&text).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn targets_are_read_as_people_write_them() {
        assert_eq!(split("gateway.example.net:443"), Ok(("gateway.example.net".into(), 443)));
        assert_eq!(split("[fe80::1]:22"), Ok(("fe80::1".into(), 22)));
        for wrong in ["fe80::1:22", ":22", "host", "host:", "host:0", "host:65536", "[::1]"] {
            assert!(split(wrong).is_err(), "{wrong}");
        }
    }
}
