//! Lists whose entries are more than one word: HTTP checks, commands, virtual addresses.

// The address types alone, which know no socket; `engine` has no network.
use core::net::IpAddr;

use serde_yaml::{Mapping, Value};

use super::value::{is_host, wrong_command};
use super::{INTERFACE_MAX_BYTES, Kind, URL_MAX_CHARS};

/// An address with the length of its network, `192.0.2.10/24`; none: it is written in another way, or no host can have it.
#[must_use]
pub fn prefix_of(text: &str) -> Option<(IpAddr, u8)> {
    let (address, length) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let longest = if address.is_ipv4() { 32 } else { 128 };
    let is_digits = !length.is_empty() && length.chars().all(|c| c.is_ascii_digit());
    let length: u8 = length.parse().ok().filter(|length| is_digits && (1..=longest).contains(length))?;
    let is_usable = !address.is_unspecified() && !address.is_multicast() && !address.is_loopback();
    is_usable.then_some((address, length))
}

/// The entries as people read and type them, for a list with something in it.
pub(super) fn shown(kind: Kind, items: &[Value]) -> String {
    let part = |item: &Value, key: &str| match item.get(key) {
        Some(Value::String(text)) => text.clone(),
        Some(Value::Number(number)) => number.to_string(),
        _ => String::new(),
    };
    let entry = |item: &Value| match kind {
        Kind::HttpChecks(_) => format!("{} {}", part(item, "url"), part(item, "status")),
        Kind::Addresses(_) => format!("{} {}", part(item, "address"), part(item, "interface")),
        _ if item.as_sequence().is_none_or(Vec::is_empty) => "''".to_owned(),
        _ => item.as_sequence().map_or_else(String::new, |words| {
            words.iter().filter_map(Value::as_str).map(crate::engine::setup::quoted).collect::<Vec<_>>().join(" ")
        }),
    };
    items.iter().map(entry).collect::<Vec<_>>().join(separator(kind))
}

fn separator(kind: Kind) -> &'static str {
    if matches!(kind, Kind::Commands(_)) { "; " } else { ", " }
}

/// Reads what [`shown`] writes.
pub(super) fn parse(kind: Kind, text: &str) -> Result<Value, String> {
    if matches!(kind, Kind::Commands(_)) && text.contains(['\'', '"', '\\']) {
        return Err("words with quotes can only be written in the file".into());
    }
    let entries = text.split(separator(kind).trim()).map(str::trim).filter(|entry| !entry.is_empty());
    entries.map(|entry| parse_entry(kind, entry)).collect::<Result<Vec<_>, _>>().map(Value::Sequence)
}

fn parse_entry(kind: Kind, entry: &str) -> Result<Value, String> {
    let words: Vec<&str> = entry.split_whitespace().collect();
    let pair = |first: &str, second: &str, value: Value| {
        let mut map = Mapping::new();
        map.insert(first.into(), words[0].into());
        map.insert(second.into(), value);
        Value::Mapping(map)
    };
    match (kind, words.as_slice()) {
        (Kind::Commands(_), words) => Ok(Value::Sequence(words.iter().map(|word| Value::from(*word)).collect())),
        (Kind::HttpChecks(_), [_]) => Ok(pair("url", "status", 200.into())),
        (Kind::HttpChecks(_), [_, status]) => match status.parse::<u16>() {
            Ok(status) => Ok(pair("url", "status", status.into())),
            Err(_) => Err(format!("'{status}' is no status of HTTP")),
        },
        (Kind::HttpChecks(_), _) => Err(format!("'{entry}' is not: address, status")),
        (_, [_, interface]) => Ok(pair("address", "interface", (*interface).into())),
        _ => Err(format!("'{entry}' is not: address/length interface")),
    }
}

fn items(value: &Value, max: usize) -> Result<&[Value], String> {
    let items = value.as_sequence().map_or(&[][..], Vec::as_slice);
    if items.len() > max {
        return Err(format!("it has {} entries, {max} at most", items.len()));
    }
    Ok(items)
}

pub(super) fn wrong_http(value: &Value, max: usize) -> Option<String> {
    let items = match items(value, max) {
        Ok(items) => items,
        Err(why) => return Some(why),
    };
    items.iter().find_map(|item| {
        let url = item.get("url").and_then(Value::as_str).unwrap_or_default();
        let status = item.get("status").and_then(Value::as_u64).unwrap_or_default();
        if !is_url(url) {
            return Some(format!("'{url}' is not http:// or https:// with a host"));
        }
        (!(100..=599).contains(&status)).then(|| format!("{status} is no status of HTTP: 100 to 599"))
    })
}

/// Scheme, host and whatever follows, without user and password (they would be shown).
fn is_url(url: &str) -> bool {
    let Some(rest) = url.strip_prefix("http://").or_else(|| url.strip_prefix("https://")) else { return false };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let (host, port) = match authority.strip_prefix('[').and_then(|rest| rest.split_once(']')) {
        Some((host, port)) => (host, port.strip_prefix(':').or(port.is_empty().then_some(""))),
        None => match authority.split_once(':') {
            Some((host, port)) => (host, Some(port)),
            None => (authority, Some("")),
        },
    };
    let port_ok = port.is_some_and(|port| port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0));
    let text_ok = url.chars().count() <= URL_MAX_CHARS && url.chars().all(|c| c.is_ascii_graphic());
    is_host(host) && port_ok && text_ok
}

pub(super) fn wrong_commands(value: &Value, max: usize) -> Option<String> {
    let items = match items(value, max) {
        Ok(items) => items,
        Err(why) => return Some(why),
    };
    let is_empty = |item: &&Value| item.as_sequence().is_none_or(Vec::is_empty);
    if items.iter().any(|item| is_empty(&item)) {
        return Some("a command of it has no words".into());
    }
    items.iter().find_map(wrong_command)
}

pub(super) fn wrong_addresses(value: &Value, max: usize) -> Option<String> {
    let items = match items(value, max) {
        Ok(items) => items,
        Err(why) => return Some(why),
    };
    let mut seen = Vec::new();
    for item in items {
        let text = item.get("address").and_then(Value::as_str).unwrap_or_default();
        let interface = item.get("interface").and_then(Value::as_str).unwrap_or_default();
        let Some((address, _)) = prefix_of(text) else {
            return Some(format!("'{text}' is no address with the length of its network, such as 192.0.2.10/24"));
        };
        if !is_interface(interface) {
            return Some(format!("'{interface}' is no name of a network interface"));
        }
        if seen.contains(&address) {
            return Some(format!("{address} stands there twice"));
        }
        seen.push(address);
    }
    None
}

fn is_interface(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_graphic() && c != '/' && c != ':';
    !name.is_empty() && name.len() <= INTERFACE_MAX_BYTES && name.chars().all(allowed) && name != "." && name != ".."
}

#[cfg(test)]
mod tests {
    use serde_yaml::Value;

    use crate::engine::settings::{Settings, read, table};

    fn told(text: &str) -> String {
        match read::read(text) {
            Ok(_) => String::new(),
            Err(mistakes) => mistakes[0].problem.to_string(),
        }
    }

    /// spec 7.14: what no host can have is refused before it is needed
    #[test]
    fn addresses_are_read_with_their_network() {
        let good = "addresses:\n  - {address: 192.0.2.10/24, interface: eth0}\n  - address: 2001:db8::10/64\n    interface: br-lan.7\n";
        let settings = read::read(good).unwrap();
        assert_eq!(settings.addresses.len(), 2);
        let row = table::row("addresses").unwrap();
        let value = table::get(&settings, "addresses").unwrap();
        assert_eq!(table::shown(row, &value), "192.0.2.10/24 eth0, 2001:db8::10/64 br-lan.7");
        assert_eq!(row.parse("192.0.2.10/24 eth0, 2001:db8::10/64 br-lan.7").unwrap(), value, "typed as shown");
        for wrong in
            ["192.0.2.10", "192.0.2.10/33", "192.0.2.10/+4", "0.0.0.0/0", "224.0.0.1/4", "127.0.0.1/8", "::1/128"]
        {
            let text = format!("addresses:\n  - {{address: '{wrong}', interface: eth0}}\n");
            assert!(told(&text).contains("length of its network"), "{wrong}: {}", told(&text));
        }
        let name = "addresses:\n  - {address: 192.0.2.10/24, interface: eth/0}\n";
        assert!(told(name).contains("no name of a network interface"), "{}", told(name));
        let twice =
            "addresses:\n  - {address: 192.0.2.10/24, interface: a}\n  - {address: 192.0.2.10/32, interface: b}\n";
        assert!(told(twice).contains("twice"), "{}", told(twice));
        let many: String = (1..=17).map(|n| format!("  - {{address: 192.0.2.{n}/24, interface: a}}\n")).collect();
        assert!(told(&format!("addresses:\n{many}")).contains("16 at most"));
    }

    /// spec 7.2: TCP, HTTP or command
    #[test]
    fn checks_of_every_kind_are_read() {
        let text = "takeover_checks:\n  http:\n    - url: https://gw.example.net/health\n    - {url: 'http://[fd00::1]:8080/', status: 204}\n  \
                    command:\n    - [ping, -c1, gw]\n  require: all\n";
        let checks = read::read(text).unwrap().takeover_checks;
        assert_eq!((checks.count(), checks.needs_all(), checks.http[0].status), (3, true, 200));
        let row = table::row("takeover_checks.http").unwrap();
        assert_eq!(row.parse("https://gw 204").unwrap()[0]["status"], Value::from(204));
        assert!(row.parse("https://gw fine").is_err() && row.parse("a b c").is_err());
        let row = table::row("takeover_checks.command").unwrap();
        let two = row.parse("ping -c1 gw; true").unwrap();
        assert_eq!(table::shown(row, &two), "ping -c1 gw; true");
        for wrong in ["gw", "ftp://gw/", "http://", "http://user:secret@gw/", "http://gw:0/", "http://[::1/"] {
            let text = format!("takeover_checks:\n  http:\n    - url: '{wrong}'\n");
            assert!(told(&text).contains("is not http"), "{wrong}: {}", told(&text));
        }
        assert!(told("takeover_checks:\n  http:\n    - {url: 'http://a/', status: 99}\n").contains("100 to 599"));
        assert!(told("takeover_checks:\n  command: [[]]\n").contains("no words"));
        assert!(told("takeover_checks:\n  require: most\n").contains("any, all"));
        assert!(!told("takeover_checks:\n  http:\n    - {url: 'http://a/', code: 99}\n").is_empty(), "an unknown key");
        assert_eq!(Settings::default().takeover_checks.count(), 0);
    }

    /// spec 7.14: what moves with the role is nothing that an instance is found by
    #[test]
    fn no_instance_is_found_by_a_virtual_address() {
        let with = |line: &str| told(&format!("{line}\naddresses:\n  - {{address: 192.0.2.10/24, interface: eth0}}\n"));
        assert!(with("host: 192.0.2.10").contains("it is the own host"));
        assert!(with("shadow: {master_hosts: [192.0.2.9, 192.0.2.10]}").contains("one of shadow.master_hosts"));
        assert_eq!(with("host: 192.0.2.11\nshadow: {master_hosts: [192.0.2.9, gateway]}"), "");
    }
}
