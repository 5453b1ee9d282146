//! The machine: disk space, ports, names, clock, environment, the program itself.

use std::io::ErrorKind;
use std::net::{IpAddr, SocketAddr, TcpListener, ToSocketAddrs};
use std::path::Path;

use super::{Finding, Verdict};
use crate::cli::home::Context;
use crate::cli::text::{bytes, wall_now};
use crate::engine::base::UnixMillis;
use crate::engine::settings::Settings;
use crate::engine::status::Status;

/// Below this it is worth a look (spec 6.5).
const SPACE_WANTED_BYTES: u64 = 100_000_000;
/// Below this, the next role change may find no room for its record.
const SPACE_NEEDED_BYTES: u64 = 10_000_000;
/// 2026-01-01: this program did not exist before.
const OLDEST_CLOCK: UnixMillis = UnixMillis(1_767_225_600_000);
/// 2100-01-01: a clock beyond is not set.
const NEWEST_CLOCK: UnixMillis = UnixMillis(4_102_444_800_000);
/// Read by many programs, never by the link (spec 3.5).
const PROXY_VARIABLES: [&str; 6] = ["HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "http_proxy", "https_proxy", "all_proxy"];

/// Everything of this room.
pub fn look(context: &Context, settings: Option<&Settings>, status: Option<&Status>) -> Vec<Finding> {
    let mut findings = Vec::new();
    findings.extend(space(&context.home));
    if let Some(settings) = settings {
        findings.extend(ports(settings, status));
        findings.push(own_host(&settings.host));
    }
    findings.push(clock(wall_now()));
    findings.push(proxies(|name| std::env::var_os(name).is_some_and(|value| !value.is_empty())));
    findings.extend(program());
    findings
}

/// Of the file system that holds the home, or will.
fn space(home: &Path) -> Option<Finding> {
    let existing = home.ancestors().find(|path| path.exists())?;
    let found = rustix::fs::statvfs(existing).ok()?;
    Some(judge_space(found.f_bavail.saturating_mul(found.f_frsize)))
}

pub(super) fn judge_space(free: u64) -> Finding {
    const ABOUT: &str = "disk space";
    let found = format!("{} free", bytes(free));
    match free {
        0..SPACE_NEEDED_BYTES => {
            Finding::fail(ABOUT, found, "Make room: a change of role must be written to disk first.")
        }
        SPACE_NEEDED_BYTES..SPACE_WANTED_BYTES => {
            Finding::warn(ABOUT, found, "Make room: Standin wants 100 MB for the history and for changes of role.")
        }
        _ => Finding::ok(ABOUT, found),
    }
}

/// Free, or held by this home's own instance: what it really listens on counts, not what is set.
pub(super) fn ports(settings: &Settings, status: Option<&Status>) -> Vec<Finding> {
    const ABOUT: &str = "port";
    let link = settings.link_port();
    let mut ports = vec![settings.administration.port];
    ports.extend(settings.high_availability.port.filter(|port| *port != settings.administration.port));
    let listen = &settings.administration.listen;
    let look = |port: u16| {
        let Some(bound) = status.map(|status| status.instance.ha_port) else { return port_free(listen, port) };
        if port == bound {
            return Finding::ok(ABOUT, format!("{port} is held by this instance"));
        }
        let found = port_free(listen, port);
        if port != link || found.verdict == Verdict::Fail {
            return found;
        }
        // Free again, or just changed: the instance has not taken it yet.
        let listens = if bound == 0 { "on none".to_owned() } else { format!("on {bound}") };
        let text = format!("{port} is free, but this instance listens {listens}");
        Finding::fail(ABOUT, text, "It is tried every 3 s: look again in a moment, and see alert N-001.")
    };
    ports.into_iter().map(look).collect()
}

pub(super) fn port_free(listen: &str, port: u16) -> Finding {
    const ABOUT: &str = "port";
    let Ok(address) = listen.parse::<IpAddr>() else {
        let todo = "Set administration.listen to an address of this machine, or to 0.0.0.0.";
        return Finding::fail(ABOUT, format!("'{listen}' is not an address"), todo);
    };
    let address = SocketAddr::new(address, port);
    match TcpListener::bind(address) {
        Ok(_) => Finding::ok(ABOUT, format!("{address} is free")),
        Err(error) => {
            let todo = match error.kind() {
                ErrorKind::AddrInUse => {
                    "Another program holds it (ss -ltnp); stop that, or change administration.port."
                }
                ErrorKind::AddrNotAvailable => "This machine has no such address; change administration.listen.",
                ErrorKind::PermissionDenied => "Ports below 1024 need a right of their own; take a higher one.",
                _ => "Change administration.listen or administration.port.",
            };
            Finding::fail(ABOUT, format!("{address}: {error}"), todo)
        }
    }
}

/// The peer dials this name back (spec 4.1).
pub(super) fn own_host(host: &str) -> Finding {
    const ABOUT: &str = "own host";
    // Not set means the machine's own name.
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    let host = if host.is_empty() { &machine } else { host };
    match (host, 0).to_socket_addrs().map(|found| found.map(|address| address.ip()).collect::<Vec<_>>()) {
        Ok(addresses) if addresses.is_empty() => {
            Finding::fail(ABOUT, format!("{host} has no address"), "Mend its name service entry.")
        }
        Ok(addresses) => {
            let list = addresses.iter().map(IpAddr::to_string).collect::<Vec<_>>().join(", ");
            if addresses.iter().all(IpAddr::is_loopback) {
                let todo = "Fine for a pair on one machine; another machine cannot reach it.";
                Finding::warn(ABOUT, format!("{host} is {list}: this machine only"), todo)
            } else {
                Finding::ok(ABOUT, format!("{host} is {list}"))
            }
        }
        Err(error) => {
            Finding::fail(ABOUT, format!("{host}: {error}"), "Mend the name service, or use an address as host.")
        }
    }
}

pub(super) fn clock(now: UnixMillis) -> Finding {
    let found = now.rfc3339(0);
    if now < OLDEST_CLOCK || now > NEWEST_CLOCK {
        let todo = "Set the clock (timedatectl). It decides nothing, but every time shown would be wrong.";
        return Finding::warn("clock", format!("{found} cannot be right"), todo);
    }
    Finding::ok("clock", found)
}

/// Spec 3.5.
pub(super) fn proxies(is_set: impl Fn(&str) -> bool) -> Finding {
    let set: Vec<_> = PROXY_VARIABLES.into_iter().filter(|name| is_set(name)).collect();
    if set.is_empty() {
        return Finding::ok("proxy", "no proxy variables set");
    }
    Finding::ok("proxy", format!("{}: ignored, the link never goes through a proxy", set.join(", ")))
}

/// The program starts itself again to guard the service: its file must still be there.
fn program() -> Option<Finding> {
    let path = std::env::current_exe().ok()?;
    if path.exists() {
        return None;
    }
    let found = format!("{} was replaced or removed", path.display());
    Some(Finding::warn("program", found, "Restart the instance after an update."))
}
