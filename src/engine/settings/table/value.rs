//! Single values: how they are shown, typed, written and checked against the limits of their row.

// The address types alone, which know no socket; `engine` has no network.
use core::net::IpAddr;

use serde_yaml::Value;

use super::lists;
use super::{COMMAND_WORDS_MAX, HOST_MAX_CHARS, Kind, PATH_MAX_BYTES, Row, duration};
use crate::engine::base::Problem;
use crate::engine::settings::patterns::fault_of;
use crate::engine::setup::quoted;

/// Longest word of a command, in bytes.
const WORD_MAX_BYTES: usize = 4_096;
/// Longest name of a group, in characters.
const GROUP_MAX_CHARS: usize = 32;
/// Longest label of a host name (RFC 1035).
const LABEL_MAX_CHARS: usize = 63;

/// A host name (letters, digits, hyphens, dots) or an IPv4 or IPv6 address without brackets or port.
#[must_use]
pub fn is_host(text: &str) -> bool {
    if text.parse::<IpAddr>().is_ok() {
        return true;
    }
    // Digits and dots alone are an address that is none, such as 10.1.4.300.
    let looks_like_address = text.chars().all(|c| c.is_ascii_digit() || c == '.');
    let name = text.strip_suffix('.').unwrap_or(text);
    !looks_like_address && name.len() <= HOST_MAX_CHARS && name.split('.').all(is_label)
}

fn is_label(label: &str) -> bool {
    // The underscore stands in no host name by the letter, and in many by practice.
    let allowed = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    !label.is_empty()
        && label.len() <= LABEL_MAX_CHARS
        && label.chars().all(allowed)
        && !label.starts_with('-')
        && !label.ends_with('-')
}

/// `host`, or `host@address` where address translation makes the two differ (spec 2.3).
#[must_use]
pub fn is_host_at(text: &str) -> bool {
    match text.split_once('@') {
        None => is_host(text),
        Some((host, address)) => is_host(host) && address.parse::<IpAddr>().is_ok(),
    }
}

/// `host:port`, the address of IPv6 in brackets.
fn is_target(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bracketed = host.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let host_ok = match bracketed {
        Some(address) => address.parse::<core::net::Ipv6Addr>().is_ok(),
        None => is_host(host) && !host.contains(':'),
    };
    host_ok && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// Longest name of a unit (systemd's own limit) and longest address, in characters.
const NAME_MAX_CHARS: usize = 255;

/// `name.service`; what stands before it is of the letters that systemd takes.
fn is_unit(text: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || ":-_.\\@".contains(c);
    text.strip_suffix(".service").is_some_and(|name| {
        !name.is_empty() && text.len() <= NAME_MAX_CHARS && !name.starts_with('-') && name.chars().all(allowed)
    })
}

fn is_page(text: &str) -> bool {
    let rest = text.strip_prefix("http://").or_else(|| text.strip_prefix("https://"));
    let is_plain = |c: char| !c.is_control() && !c.is_whitespace();
    rest.is_some_and(|rest| !rest.is_empty() && !rest.starts_with('/'))
        && text.chars().count() <= NAME_MAX_CHARS
        && text.chars().all(is_plain)
}

/// `https://host:port` or `http://host:port`, with nothing behind it.
fn is_url(text: &str) -> bool {
    let place = text.strip_prefix("https://").or_else(|| text.strip_prefix("http://"));
    place.is_some_and(|place| is_target(place.strip_suffix('/').unwrap_or(place)))
}

/// The value as people read and type it; empty for an absent one.
#[must_use]
pub fn shown(row: &Row, value: &Value) -> String {
    match (row.kind, value) {
        (_, Value::Null) => String::new(),
        (Kind::Command, Value::Sequence(words)) => {
            words.iter().filter_map(Value::as_str).map(quoted).collect::<Vec<_>>().join(" ")
        }
        (Kind::HttpChecks(_) | Kind::Addresses(_) | Kind::Commands(_), Value::Sequence(items)) => {
            lists::shown(row.kind, items)
        }
        (_, Value::Sequence(items)) => items.iter().filter_map(Value::as_str).collect::<Vec<_>>().join(", "),
        (Kind::Bytes(..), Value::Number(number)) => number.as_u64().map_or_else(String::new, bytes_text),
        (_, Value::String(text)) => text.clone(),
        (_, Value::Bool(true)) => "true".into(),
        (_, Value::Bool(false)) => "false".into(),
        (_, Value::Number(number)) => number.to_string(),
        _ => String::new(),
    }
}

/// `64 MiB` where that is exact, else the plain number.
#[must_use]
pub(super) fn bytes_text(bytes: u64) -> String {
    for (unit, size) in [("GiB", 1_u64 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10)] {
        if bytes >= size && bytes.is_multiple_of(size) {
            return format!("{} {unit}", bytes / size);
        }
    }
    bytes.to_string()
}

/// One value on one line of YAML.
#[must_use]
pub(super) fn yaml_text(value: &Value) -> String {
    match value {
        Value::Sequence(items) => format!("[{}]", items.iter().map(yaml_text).collect::<Vec<_>>().join(", ")),
        Value::Mapping(map) => {
            let entry = |(key, value): (&Value, &Value)| format!("{}: {}", yaml_text(key), yaml_text(value));
            format!("{{{}}}", map.iter().map(entry).collect::<Vec<_>>().join(", "))
        }
        Value::Null => "null".into(),
        Value::Bool(on) => on.to_string(),
        Value::Number(number) => number.to_string(),
        Value::String(text) if text.is_empty() => "\"\"".into(),
        Value::String(text) => text.clone(),
        _ => String::new(),
    }
}

/// Reads what was typed and checks it.
pub(super) fn parse(row: &Row, text: &str) -> Result<Value, Problem> {
    let text = text.trim();
    let number = |text: &str| text.parse::<u64>().map_err(|_| refusal(row, text, "it is not a whole number"));
    if text.is_empty() && !row.kind.is_list() {
        return match row.kind {
            Kind::Text(_) | Kind::Host if !row.absent.is_empty() => Ok(Value::String(String::new())),
            _ if !row.absent.is_empty() => Ok(Value::Null),
            _ => Err(refusal(row, "", "there has to be a value")),
        };
    }
    let value = match row.kind {
        Kind::Port | Kind::Count(..) => Value::from(number(text)?),
        Kind::Bytes(..) => Value::from(parse_bytes(text).ok_or_else(|| refusal(row, text, "it is not a size"))?),
        Kind::Switch => {
            Value::from(parse_switch(text).ok_or_else(|| refusal(row, text, "it is neither true nor false"))?)
        }
        Kind::Duration(..) => {
            let span = duration::parse(text).map_err(|why| refusal(row, text, &why))?;
            Value::from(duration::format(span))
        }
        Kind::Hosts(_) | Kind::Targets(_) | Kind::Urls(_) => {
            let items = text.split([',', ' ']).map(str::trim).filter(|item| !item.is_empty());
            Value::Sequence(items.map(Value::from).collect())
        }
        Kind::Patterns(_) => {
            let items = text.split(',').map(str::trim).filter(|item| !item.is_empty());
            Value::Sequence(items.map(Value::from).collect())
        }
        Kind::HttpChecks(_) | Kind::Addresses(_) | Kind::Commands(_) => {
            lists::parse(row.kind, text).map_err(|why| refusal(row, text, &why))?
        }
        Kind::Command if text.contains(['\'', '"', '\\']) => {
            return Err(refusal(row, text, "words with quotes can only be written in the file"));
        }
        Kind::Command => Value::Sequence(text.split_whitespace().map(Value::from).collect()),
        _ => Value::from(text),
    };
    check(row, &value).map_or(Ok(value), Err)
}

fn parse_bytes(text: &str) -> Option<u64> {
    let split = text.find(|c: char| !c.is_ascii_digit()).unwrap_or(text.len());
    let size: u64 = match text[split..].trim().to_ascii_lowercase().as_str() {
        "" | "b" => 1,
        "kib" | "k" => 1 << 10,
        "mib" | "m" => 1 << 20,
        "gib" | "g" => 1 << 30,
        _ => return None,
    };
    text[..split].parse::<u64>().ok()?.checked_mul(size)
}

fn parse_switch(text: &str) -> Option<bool> {
    match text.to_ascii_lowercase().as_str() {
        "true" | "on" | "yes" => Some(true),
        "false" | "off" | "no" => Some(false),
        _ => None,
    }
}

/// A value outside the limits of its row.
pub(super) fn check(row: &Row, value: &Value) -> Option<Problem> {
    let text = shown(row, value);
    let is_absent = text.is_empty() && !matches!(value, Value::String(_) if row.absent.is_empty());
    if is_absent && !row.absent.is_empty() {
        return None;
    }
    let why = match row.kind {
        Kind::Text(max) => wrong_text(&text, max),
        Kind::Host => (!is_host(&text)).then(|| "it is neither a host name nor an address".to_owned()),
        Kind::HostAt => (!is_host_at(&text)).then(|| "it is neither host nor host@address".to_owned()),
        Kind::Address => text.parse::<IpAddr>().is_err().then(|| "it is not an address".to_owned()),
        Kind::Port => outside(value, 1, u64::from(u16::MAX), row),
        Kind::Count(from, to) | Kind::Bytes(from, to) => outside(value, from, to, row),
        Kind::Duration(from, to) => match duration::parse(&text) {
            Ok(span) if (from..=to).contains(&span) => None,
            Ok(_) => Some(format!("it has to be {}", row.limits())),
            Err(why) => Some(why),
        },
        Kind::Switch => None,
        Kind::Hosts(max) => wrong_list(value, max, is_host, "neither a host name nor an address"),
        Kind::Targets(max) => wrong_list(value, max, is_target, "not host:port"),
        Kind::HttpChecks(max) => lists::wrong_http(value, max),
        Kind::Addresses(max) => lists::wrong_addresses(value, max),
        Kind::Commands(max) => lists::wrong_commands(value, max),
        Kind::Urls(max) => wrong_list(value, max, is_url, "neither https://host:port nor http://host:port"),
        Kind::Patterns(max) => wrong_patterns(value, max),
        Kind::Target => (!is_target(&text)).then(|| "it is not host:port".to_owned()),
        Kind::Url => (!is_page(&text)).then(|| "it is no address of HTTP or HTTPS".to_owned()),
        Kind::Unit => (!is_unit(&text)).then(|| "it is not the name of a service unit".to_owned()),
        Kind::Command => wrong_command(value),
        Kind::Directory => wrong_directory(&text),
        Kind::Choice(words) => {
            (!words.contains(&text.as_str())).then(|| format!("it has to be one of {}", row.limits()))
        }
        Kind::Group => (!is_group(&text)).then(|| "it is not the name of a group".to_owned()),
    };
    why.map(|why| refusal(row, &text, &why))
}

fn outside(value: &Value, from: u64, to: u64, row: &Row) -> Option<String> {
    let inside = value.as_u64().is_some_and(|number| (from..=to).contains(&number));
    (!inside).then(|| format!("it has to be {}", row.limits()))
}

fn wrong_text(text: &str, max: usize) -> Option<String> {
    let length = text.chars().count();
    if length > max {
        return Some(format!("it has {length} characters, {max} at most"));
    }
    text.chars().any(char::is_control).then(|| "it has to be one line without control characters".to_owned())
}

fn wrong_list(value: &Value, max: usize, is_right: fn(&str) -> bool, what: &str) -> Option<String> {
    let items: Vec<&str> = value.as_sequence()?.iter().filter_map(Value::as_str).collect();
    if items.len() > max {
        return Some(format!("it has {} entries, {max} at most", items.len()));
    }
    if let Some(item) = items.iter().find(|item| !is_right(item)) {
        return Some(format!("'{item}' is {what}"));
    }
    let twice = items
        .iter()
        .enumerate()
        .find(|(index, item)| items[..*index].iter().any(|earlier| earlier.eq_ignore_ascii_case(item)));
    twice.map(|(_, item)| format!("'{item}' stands there twice"))
}

fn wrong_patterns(value: &Value, max: usize) -> Option<String> {
    let items: Vec<&str> = value.as_sequence()?.iter().filter_map(Value::as_str).collect();
    if items.len() > max {
        return Some(format!("it has {} entries, {max} at most", items.len()));
    }
    items.iter().find_map(|item| fault_of(item).map(|why| format!("'{item}' {why}")))
}

pub(super) fn wrong_command(value: &Value) -> Option<String> {
    let words: Vec<&str> = value.as_sequence()?.iter().filter_map(Value::as_str).collect();
    if words.len() > COMMAND_WORDS_MAX {
        return Some(format!("it has {} words, {COMMAND_WORDS_MAX} at most", words.len()));
    }
    if words.first().is_some_and(|program| program.trim().is_empty()) {
        return Some("the first word has to be a program".into());
    }
    let bad = words.iter().any(|word| word.len() > WORD_MAX_BYTES || word.contains('\0'));
    bad.then(|| format!("a word is longer than {WORD_MAX_BYTES} bytes or holds a zero byte"))
}

fn wrong_directory(path: &str) -> Option<String> {
    if !path.starts_with('/') {
        return Some("it has to be an absolute path, beginning with /".into());
    }
    if path.len() > PATH_MAX_BYTES || path.contains('\0') {
        return Some(format!("a path has at most {PATH_MAX_BYTES} bytes and no zero byte"));
    }
    let mut parts = path.split('/').filter(|part| !part.is_empty() && *part != ".").peekable();
    if parts.peek().is_none() {
        return Some("it cannot be the whole file system".into());
    }
    parts.any(|part| part == "..").then(|| "it has to be written without ..".to_owned())
}

fn is_group(name: &str) -> bool {
    let allowed = |c: char| c.is_ascii_alphanumeric() || "_-.$".contains(c);
    !name.is_empty() && name.len() <= GROUP_MAX_CHARS && name.chars().all(allowed) && !name.starts_with('-')
}

/// What people read about a value that cannot stand.
fn refusal(row: &Row, text: &str, why: &str) -> Problem {
    let what = if text.is_empty() {
        format!("{} cannot be empty", row.key)
    } else {
        format!("{} cannot be '{text}'", row.key)
    };
    let default = row.default_text();
    let allowed = if why.contains(&row.limits()) { String::new() } else { format!("Allowed: {}", row.limits()) };
    let todo = match (allowed.is_empty(), default.is_empty()) {
        (_, true) => allowed,
        (true, false) => format!("The default is {default}"),
        (false, false) => format!("{allowed}; the default is {default}"),
    };
    Problem::new(what, why, todo)
}
