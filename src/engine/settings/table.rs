//! One table of every setting: what it is called, what it does, its limits, when it takes effect, what locks it. Feeds the
//! forms, the wizard, `config/settings.yaml`, the refusals of a file and of the API.

use serde_yaml::Value;

use super::{Settings, SettingsPatch, duration};
use crate::engine::base::Problem;

mod lists;
mod rows;
mod rules;
#[cfg(test)]
mod tests;
mod value;

pub use lists::prefix_of;
pub use rows::{ROWS, SECTIONS};
pub use rules::{replaced_after_ms, replaced_after_text, seconds_text, validate, warnings};
pub use value::{is_host, is_host_at, shown};

/// Longest description, in characters.
pub const DESCRIPTION_MAX_CHARS: usize = 200;
/// Longest host name, in characters (RFC 1035).
pub const HOST_MAX_CHARS: usize = 253;
/// Longest path, in bytes (what Linux takes).
pub const PATH_MAX_BYTES: usize = 4_095;
/// Most addresses of one master.
pub const MASTER_HOSTS_MAX: usize = 8;
/// Most virtual addresses.
pub const ADDRESSES_MAX: usize = 16;
/// Longest name of a network interface, in bytes (what Linux takes).
pub const INTERFACE_MAX_BYTES: usize = 15;
/// Longest address of an HTTP check, in characters.
pub const URL_MAX_CHARS: usize = 1_024;
/// Most takeover checks of one kind.
pub const TAKEOVER_TARGETS_MAX: usize = 16;
/// Most addresses of the arbiter.
pub const ARBITER_ENDPOINTS_MAX: usize = 5;
/// Most words of a command.
pub const COMMAND_WORDS_MAX: usize = 64;

/// One setting, as people need to know it.
#[derive(Clone, Copy, Debug)]
pub struct Row {
    /// Dotted key: `shadow.check_interval`.
    pub key: &'static str,
    /// Two or three words for a form.
    pub label: &'static str,
    /// One line: what it does.
    pub help: &'static str,
    /// What may stand there.
    pub kind: Kind,
    /// What an absent value (`null`, an empty text or list) means; empty: there has to be a value.
    pub absent: &'static str,
    /// When a change is in force.
    pub effect: Effect,
    /// What refuses a change.
    pub lock: Lock,
    /// The console has a field for it.
    pub in_form: bool,
}

/// What may stand as a value, with the limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// One line, at most so many characters.
    Text(usize),
    /// A host name or an address.
    Host,
    /// `host` or `host@address` (spec 2.3).
    HostAt,
    /// An address to listen on.
    Address,
    /// A TCP port.
    Port,
    /// `true` or `false`.
    Switch,
    /// From, to, in milliseconds.
    Duration(u64, u64),
    /// From, to, in bytes.
    Bytes(u64, u64),
    /// From, to.
    Count(u64, u64),
    /// Host names or addresses, at most so many.
    Hosts(usize),
    /// `host:port` each, at most so many.
    Targets(usize),
    /// `url` and expected `status` each, at most so many.
    HttpChecks(usize),
    /// `address` with its prefix length and `interface` each, at most so many.
    Addresses(usize),
    /// Programs with their arguments, at most so many.
    Commands(usize),
    /// `http://host:port` or `https://…`, at most so many.
    Urls(usize),
    /// Patterns for paths, at most so many.
    Patterns(usize),
    /// One `host:port`.
    Target,
    /// An address of HTTP or HTTPS.
    Url,
    /// A systemd unit, `name.service`.
    Unit,
    /// A program and its arguments.
    Command,
    /// An absolute path.
    Directory,
    /// One of these words.
    Choice(&'static [&'static str]),
    /// A group of the operating system.
    Group,
}

impl Kind {
    /// More than one value, none among them.
    #[must_use]
    pub fn is_list(self) -> bool {
        matches!(
            self,
            Self::Hosts(_)
                | Self::Targets(_)
                | Self::Urls(_)
                | Self::Patterns(_)
                | Self::HttpChecks(_)
                | Self::Addresses(_)
                | Self::Commands(_)
                | Self::Command
        )
    }
}

/// When a change is in force.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Effect {
    /// Now.
    AtOnce,
    /// When the service starts next.
    ServiceStart,
    /// When Standin starts next.
    Restart,
}

impl Effect {
    /// In words: `at once`.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::AtOnce => "at once",
            Self::ServiceStart => "at the next start of the service",
            Self::Restart => "after a restart of Standin",
        }
    }
}

/// What refuses a change.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Nothing.
    Free,
    /// On a master while a shadow is connected (spec 2.5).
    Master,
    /// On a shadow while connected (spec 4.1).
    Shadow,
    /// Both.
    Either,
}

impl Lock {
    /// In words, as the commented file says it; empty for [`Lock::Free`].
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            Self::Free => "",
            Self::Master => "locked while a shadow is connected",
            Self::Shadow => "locked while connected to a master",
            Self::Either => "locked while master and shadow are connected",
        }
    }
}

impl Row {
    /// The unit, for the end of a label: `port`, `bytes`, or nothing.
    #[must_use]
    pub fn unit(&self) -> &'static str {
        match self.kind {
            Kind::Port => "TCP port",
            Kind::Duration(..) => "duration: ms, s, m or h",
            Kind::Bytes(..) => "bytes",
            Kind::Switch => "true or false",
            kind if kind.is_list() => "list",
            Kind::Count(..) => "number",
            Kind::Choice(_) => "one of",
            _ => "text",
        }
    }

    /// The default as people write it; empty when there is none.
    #[must_use]
    pub fn default_text(&self) -> String {
        let value = get(&Settings::default(), self.key).unwrap_or(Value::Null);
        shown(self, &value)
    }

    /// The limits in words: `10ms to 1h`.
    #[must_use]
    pub fn limits(&self) -> String {
        match self.kind {
            Kind::Text(max) => format!("at most {max} characters, one line"),
            Kind::Host => "a host name or an address".into(),
            Kind::HostAt => "host or host@address".into(),
            Kind::Address => "an address of this machine; 0.0.0.0 or :: for all".into(),
            Kind::Port => "1 to 65535".into(),
            Kind::Switch => "true or false".into(),
            Kind::Duration(from, to) => format!("{} to {}", duration::format(from), duration::format(to)),
            Kind::Bytes(from, to) => format!("{} to {}", value::bytes_text(from), value::bytes_text(to)),
            Kind::Count(from, to) => format!("{from} to {to}"),
            Kind::Hosts(max) => format!("at most {max} host names or addresses"),
            Kind::Targets(max) => format!("at most {max}, each host:port"),
            Kind::HttpChecks(max) => format!("at most {max}, each {{url: 'https://host/path', status: 200}}"),
            Kind::Addresses(max) => format!("at most {max}, each {{address: 192.0.2.10/24, interface: eth0}}"),
            Kind::Commands(max) => format!("at most {max}, each a list of a program and its arguments"),
            Kind::Urls(max) => format!("at most {max}, each https://host:port or http://host:port"),
            Kind::Patterns(max) => format!("at most {max}, such as '*.log' or cache/"),
            Kind::Target => "host:port".into(),
            Kind::Url => "http://… or https://…".into(),
            Kind::Unit => "name.service".into(),
            Kind::Command => format!("a program and its arguments, at most {COMMAND_WORDS_MAX} words"),
            Kind::Directory => "an absolute path".into(),
            Kind::Choice(words) => words.join(", "),
            Kind::Group => "a group of this machine".into(),
        }
    }

    /// Reads what an operator typed; an empty text is the absent value where there is one.
    ///
    /// # Errors
    /// Says what is wrong with it and what would be right.
    pub fn parse(&self, text: &str) -> Result<Value, Problem> {
        value::parse(self, text)
    }
}

/// The row of a dotted key.
#[must_use]
pub fn row(key: &str) -> Option<&'static Row> {
    ROWS.iter().find(|row| row.key == key)
}

/// The value at a dotted key; none: there is no such setting.
#[must_use]
pub fn get(settings: &Settings, key: &str) -> Option<Value> {
    let mut value = serde_yaml::to_value(settings).ok()?;
    for part in key.split('.') {
        value = value.as_mapping_mut()?.remove(part)?;
    }
    Some(value)
}

/// `settings` with another value at a dotted key.
///
/// # Errors
/// No such setting, or a value of another type.
pub fn set(settings: &Settings, key: &str, value: Value) -> Result<Settings, Problem> {
    let wrong = |why: String| Problem::new(format!("{key} cannot be set"), why, "standin help settings lists all keys");
    let mut whole = serde_yaml::to_value(settings).map_err(|error| wrong(error.to_string()))?;
    let mut place = &mut whole;
    for part in key.split('.') {
        place = place.get_mut(part).ok_or_else(|| wrong("there is no such setting".into()))?;
    }
    *place = value;
    serde_yaml::from_value(whole).map_err(|error| wrong(error.to_string()))
}

/// The keys whose values differ, with the new values, in the order of the table: what has to be written into a file that
/// says `old` so that it says `new`.
#[must_use]
pub fn differences(old: &Settings, new: &Settings) -> Vec<(&'static str, Value)> {
    changes(old, new).into_iter().map(|(row, _, new)| (row.key, new)).collect()
}

/// Each row whose value differs, with the old and the new value.
fn changes(old: &Settings, new: &Settings) -> Vec<(&'static Row, Value, Value)> {
    // Each is turned into a tree once, not once a row.
    let (Ok(old), Ok(new)) = (serde_yaml::to_value(old), serde_yaml::to_value(new)) else { return Vec::new() };
    let both = |row: &'static Row| Some((row, at(&old, row.key)?, at(&new, row.key)?));
    let changed = ROWS.iter().filter_map(both).filter(|(_, old, new)| old != new);
    changed.map(|(row, old, new)| (row, old.clone(), new.clone())).collect()
}

/// The value at a dotted key of a tree.
fn at<'a>(whole: &'a Value, key: &str) -> Option<&'a Value> {
    key.split('.').try_fold(whole, |value, part| value.get(part))
}

/// The same for people: `Takeover delay: 3s, was 1s; Arbiter: no arbiter, was http://a:2379`.
#[must_use]
pub fn changes_text(old: &Settings, new: &Settings) -> String {
    let one = |row: &Row, value: &Value| match shown(row, value) {
        text if !text.is_empty() => text,
        _ if row.absent.is_empty() => "empty".to_owned(),
        _ => row.absent.to_owned(),
    };
    let say = |(row, was, value): (&Row, Value, Value)| {
        format!("{}: {}, was {}", row.label, one(row, &value), one(row, &was))
    };
    changes(old, new).into_iter().map(say).collect::<Vec<_>>().join("; ")
}

/// What a form changed: the patch that makes `new` out of `old`, for the keys that a patch can carry.
#[must_use]
pub fn patch_between(old: &Settings, new: &Settings) -> SettingsPatch {
    fn changed<T: PartialEq + Clone>(old: &T, new: &T) -> Option<T> {
        (old != new).then(|| new.clone())
    }
    let (old_ha, new_ha) = (&old.high_availability, &new.high_availability);
    let (old_shadow, new_shadow) = (&old.shadow, &new.shadow);
    let (old_arbiter, new_arbiter) = (&old.arbiter, &new.arbiter);
    SettingsPatch {
        description: changed(&old.description, &new.description),
        host: changed(&old.host, &new.host),
        enabled: changed(&old_ha.enabled, &new_ha.enabled),
        permitted_shadow_host: changed(&old_ha.permitted_shadow_host, &new_ha.permitted_shadow_host),
        ha_port: changed(&old_ha.port, &new_ha.port),
        grace_period: changed(&old_ha.grace_period, &new_ha.grace_period),
        master_hosts: changed(&old_shadow.master_hosts, &new_shadow.master_hosts),
        master_port: changed(&old_shadow.master_port, &new_shadow.master_port),
        check_interval: changed(&old_shadow.check_interval, &new_shadow.check_interval),
        takeover_delay: changed(&old_shadow.takeover_delay, &new_shadow.takeover_delay),
        connect_timeout: changed(&old_shadow.connect_timeout, &new_shadow.connect_timeout),
        request_timeout: changed(&old_shadow.request_timeout, &new_shadow.request_timeout),
        arbiter_endpoints: changed(&old_arbiter.endpoints, &new_arbiter.endpoints),
        arbiter_hold: changed(&old_arbiter.hold, &new_arbiter.hold),
        arbiter_stop_budget: changed(&old_arbiter.stop_budget, &new_arbiter.stop_budget),
        arbiter_promise: changed(&old_arbiter.promise, &new_arbiter.promise),
        arbiter_request_timeout: changed(&old_arbiter.request_timeout, &new_arbiter.request_timeout),
    }
}

/// The commented default file, `config/settings.yaml`: every setting with its unit, default and limits.
#[must_use]
pub fn commented_default() -> String {
    let mut text = String::from(
        "# Settings of this Standin instance. Changes are noticed at once; a wrong key or value changes nothing.\n\
         # Durations are written 250ms, 3s, 2m or 1h. Comments are kept when Standin writes this file.\n",
    );
    let mut section = "";
    for row in &ROWS {
        let (head, leaf) = row.key.rsplit_once('.').map_or(("", row.key), |(head, leaf)| (head, leaf));
        let indent = if head.is_empty() { String::new() } else { "  ".repeat(head.split('.').count()) };
        text.push('\n');
        if head != section {
            section = head;
            let about = SECTIONS.iter().find(|(name, _)| *name == head).map_or("", |(_, about)| *about);
            let (outer, name) = (&indent[2..], head.rsplit('.').next().unwrap_or(head));
            text.push_str(&format!("{outer}# {about}\n{outer}{name}:\n"));
        }
        for line in comment_of(row) {
            text.push_str(&format!("{indent}# {line}\n"));
        }
        let value = get(&Settings::default(), row.key).unwrap_or(Value::Null);
        text.push_str(&format!("{indent}{leaf}: {}\n", value::yaml_text(&value)));
    }
    text
}

/// What the file says above a key: what it does; what may stand there; when it counts.
fn comment_of(row: &Row) -> Vec<String> {
    let default = match (row.default_text(), row.absent) {
        (text, _) if !text.is_empty() => text,
        (_, "") => "empty".to_owned(),
        (_, absent) => format!("none, which means {absent}"),
    };
    let what = if row.unit() == row.limits() { row.limits() } else { format!("{}; {}", row.unit(), row.limits()) };
    let mut lines = vec![format!("{}.", row.help), format!("{}. Default: {default}.", capital(&what))];
    if !row.absent.is_empty() && !row.default_text().is_empty() {
        lines.push(format!("Empty means {}.", row.absent));
    }
    let lock = if row.lock == Lock::Free { String::new() } else { format!("; {}", row.lock.words()) };
    lines.push(format!("In force {}{lock}.", row.effect.words()));
    lines
}

fn capital(text: &str) -> String {
    let mut chars = text.chars();
    chars.next().map_or_else(String::new, |first| first.to_uppercase().chain(chars).collect())
}
