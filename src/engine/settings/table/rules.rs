//! All problems of a set of settings at once: values outside their limits, and settings that fight each other.

use serde_yaml::Value;

use super::{ROWS, get, prefix_of, value};
use crate::engine::base::Problem;
use crate::engine::settings::{Service, Settings, Shadow, duration};

/// Ports below this need a privilege to listen on.
const FIRST_FREE_PORT: u16 = 1_024;
/// Check intervals of silence after which a master calls its shadow gone (spec 2.7).
const SILENT_INTERVALS: u64 = 3;

/// Everything that makes these settings unusable, all at once, each with its dotted key, in the order of the table. An
/// empty list: they can be put in force.
#[must_use]
pub fn validate(settings: &Settings) -> Vec<(&'static str, Problem)> {
    let mut problems: Vec<(&'static str, Problem)> = ROWS
        .iter()
        .filter_map(|row| Some((row.key, value::check(row, &get(settings, row.key).unwrap_or(Value::Null))?)))
        .collect();
    problems.extend(fights(settings));
    let place = |key: &str| ROWS.iter().position(|row| row.key == key);
    problems.sort_by_key(|(key, _)| place(key));
    problems
}

/// Settings that are each within their limits and do not go together.
fn fights(settings: &Settings) -> Vec<(&'static str, Problem)> {
    let mut found = Vec::new();
    let (ha, shadow, configuration) = (&settings.high_availability, &settings.shadow, &settings.configuration);
    if ha.port == Some(settings.administration.port) {
        let why = format!("it is {} already, the administration port", settings.administration.port);
        let problem = Problem::new(
            "The separate HA port is none",
            why,
            "Leave high_availability.port empty to share the port, or take another one",
        );
        found.push(("high_availability.port", problem));
    }
    if is_self(settings) && shadow.master_port == settings.link_port() {
        let problem = Problem::new(
            format!("This instance would be its own master: '{}' port {}", settings.host, shadow.master_port),
            "own host and port are among those of the master",
            "Name the other machine as shadow.master_hosts",
        );
        found.push(("shadow.master_hosts", problem));
    }
    if configuration.quiet_time > configuration.quiet_time_limit {
        let (time, limit) =
            (duration::format(configuration.quiet_time), duration::format(configuration.quiet_time_limit));
        let problem = Problem::new(
            format!("The quiet time of {time} would never be waited for"),
            format!("the longest wait for quiet is {limit}"),
            "Make configuration.quiet_time_limit at least as long as configuration.quiet_time",
        );
        found.push(("configuration.quiet_time", problem));
    }
    found.extend(address_fights(settings));
    found.extend(service_fights(settings));
    found.extend(arbiter_fights(settings));
    found
}

/// A virtual address moves with the role (spec 7.14): no instance can be found by it, nor listen on it as a shadow.
fn address_fights(settings: &Settings) -> Option<(&'static str, Problem)> {
    let plain = |host: &str| host.trim_matches(['[', ']']).parse::<core::net::IpAddr>().ok();
    let is_virtual = |host: &str| {
        let host = plain(host)?;
        settings.addresses.iter().find(|own| prefix_of(&own.address).is_some_and(|(address, _)| address == host))
    };
    let hosts = settings.shadow.master_hosts.iter().map(|host| (host, "one of shadow.master_hosts"));
    let (address, what) = [(&settings.host, "the own host")]
        .into_iter()
        .chain(hosts)
        .find_map(|(host, what)| Some((is_virtual(host)?.address.as_str(), what)))?;
    let problem = Problem::new(
        format!("{address} cannot move with the role"),
        format!("it is {what}: the two instances find each other by addresses that stay"),
        "Give it as virtual address, or as host, not both",
    );
    Some(("addresses", problem))
}

/// The arithmetic of the third vote (spec 7.11), with the numbers.
fn arbiter_fights(settings: &Settings) -> Vec<(&'static str, Problem)> {
    let arbiter = &settings.arbiter;
    let mut found = Vec::new();
    if !arbiter.is_set() {
        return found;
    }
    let text = duration::format;
    let needed_ms = arbiter.promise_needed_ms();
    if arbiter.promise_ms() < needed_ms {
        let why = format!(
            "(hold {} + stop budget {}) x {} / {} is {}: with a shorter one both could be active",
            text(arbiter.hold),
            text(arbiter.stop_budget),
            1_000 + arbiter.clock_error,
            1_000 - arbiter.clock_error.min(999),
            text(needed_ms)
        );
        let todo = format!("Set arbiter.promise to 0s (the shortest that is safe) or to at least {}", text(needed_ms));
        found.push((
            "arbiter.promise",
            Problem::new(format!("A promise of {} is too short", text(arbiter.promise)), why, todo),
        ));
    }
    let stop_ms = settings.service.stop_budget_ms();
    if stop_ms > arbiter.stop_budget {
        let why = format!(
            "the service may take {} to end and {} to be killed, {} in all",
            text(settings.service.stop_grace),
            text(Service::KILL_RESERVE_MS),
            text(stop_ms)
        );
        let todo = format!("Make arbiter.stop_budget at least {}, or service.stop_grace shorter", text(stop_ms));
        found.push((
            "arbiter.stop_budget",
            Problem::new(format!("The service does not stop within {}", text(arbiter.stop_budget)), why, todo),
        ));
    }
    let least_ms = arbiter.request_timeout.saturating_mul(2);
    if arbiter.hold < least_ms {
        let why = format!("a confirmation may be {} old before the next comes", text(least_ms));
        let todo = format!("Make arbiter.hold at least {}", text(least_ms));
        found.push((
            "arbiter.hold",
            Problem::new(format!("A hold time of {} would lapse by itself", text(arbiter.hold)), why, todo),
        ));
    }
    found
}

/// What is said of the service twice, or not at all.
fn service_fights(settings: &Settings) -> Vec<(&'static str, Problem)> {
    let (service, health) = (&settings.service, &settings.service.health);
    let mut found = Vec::new();
    let mut add = |key, what: &str, why: &str, todo: &str| found.push((key, Problem::new(what, why, todo)));
    if service.unit.is_some() && !service.command.is_empty() {
        let why = "service.command is set too, and the service is one of the two";
        add("service.unit", "The service is said twice", why, "Empty service.command, or service.unit");
    }
    let kinds = [!health.command.is_empty(), health.tcp.is_some(), health.http.is_some()];
    if kinds.iter().filter(|is_set| **is_set).count() > 1 {
        let why = "more than one of command, tcp and http is set";
        add("service.health.command", "The health check is said twice", why, "Leave one of them");
    }
    if settings.hooks.fence_required && settings.hooks.fence.is_empty() {
        let why = "hooks.fence is empty, so no takeover could ever go on";
        add("hooks.fence_required", "The fence hook is required and there is none", why, "Set hooks.fence");
    }
    found
}

/// Own host is one of the master's.
fn is_self(settings: &Settings) -> bool {
    let own = &settings.host;
    !own.is_empty() && settings.shadow.master_hosts.iter().any(|host| host.eq_ignore_ascii_case(own))
}

/// What is allowed and yet worth a word before it is saved; never blocks.
#[must_use]
pub fn warnings(settings: &Settings) -> Vec<(&'static str, Problem)> {
    let mut found = timing_warnings(&settings.shadow);
    let mut warn = |key, what: String, why: &str, todo: &str| found.push((key, Problem::new(what, why, todo)));
    if is_self(settings) && settings.shadow.master_port != settings.link_port() {
        let why = "master and shadow have the same host: when the machine is gone, both are";
        warn("shadow.master_hosts", "A pair on one machine protects only the program".into(), why, "Use two machines");
    }
    for (key, port) in [
        ("administration.port", Some(settings.administration.port)),
        ("high_availability.port", settings.high_availability.port),
    ] {
        if port.is_some_and(|port| (1..FIRST_FREE_PORT).contains(&port)) {
            let what = format!("Port {} needs a privilege", port.unwrap_or_default());
            warn(
                key,
                what,
                "ports below 1024 are reserved",
                "Run Standin with CAP_NET_BIND_SERVICE, or take a higher port",
            );
        }
    }
    let checks = &settings.takeover_checks;
    if checks.timeout > checks.interval {
        let why = "a check that fails would still run when the next is due";
        warn("takeover_checks.timeout", "Takeover checks would overlap".into(), why, "Make the interval longer");
    }
    if settings.high_availability.boot_hold < replaced_after_ms(&settings.shadow).1 {
        let what = "A former master may resume while its shadow is about to take over".to_owned();
        let why = "the boot hold is shorter than the time in which a dead master is replaced";
        warn("high_availability.boot_hold", what, why, "Make the boot hold longer: 60s is the default");
    }
    found
}

fn timing_warnings(shadow: &Shadow) -> Vec<(&'static str, Problem)> {
    let mut found = Vec::new();
    let mut warn = |key, what: &str, why: String, todo: &str| found.push((key, Problem::new(what, why, todo)));
    let text = duration::format;
    let (delay, interval) = (shadow.takeover_delay, shadow.check_interval);
    if delay == 0 {
        let why = "with no delay nothing is tried a second time".into();
        warn("shadow.takeover_delay", "A single failed check leads to a takeover", why, "3s is the default");
    } else if delay < interval {
        let why = format!("the delay of {} is shorter than the check interval of {}", text(delay), text(interval));
        let todo = "Make the delay at least as long as the interval";
        warn("shadow.takeover_delay", "A short break of the network may lead to a takeover", why, todo);
    }
    if delay > 0 && shadow.connect_timeout >= delay {
        let why = format!("one try to connect may take {}, the whole takeover delay", text(shadow.connect_timeout));
        let todo = "Make the connect timeout shorter than the takeover delay";
        warn("shadow.connect_timeout", "The master gets a single chance to answer", why, todo);
    }
    if shadow.request_timeout > interval.saturating_mul(SILENT_INTERVALS) {
        let why = format!(
            "it is longer than {SILENT_INTERVALS} check intervals of {}, after which the master calls the link broken",
            text(interval)
        );
        let todo = "Make the request timeout shorter, or the check interval longer";
        warn("shadow.request_timeout", "A slow answer breaks the link on the master's side", why, todo);
    }
    found
}

/// How soon and how late a dead master is replaced, in ms: at once known dead (a closed connection) and then the delay; or
/// just after a check was answered, found by a check that is not answered, and then the delay.
#[must_use]
pub fn replaced_after_ms(shadow: &Shadow) -> (u64, u64) {
    let latest = shadow.takeover_delay.saturating_add(shadow.check_interval).saturating_add(shadow.request_timeout);
    (shadow.takeover_delay, latest)
}

/// [`replaced_after_ms`] as a sentence: `a dead master is replaced after 3 to 5 s`.
#[must_use]
pub fn replaced_after_text(shadow: &Shadow) -> String {
    let (soonest, latest) = replaced_after_ms(shadow);
    format!("a dead master is replaced after {}", range_text(soonest, latest))
}

fn range_text(from_ms: u64, to_ms: u64) -> String {
    let (from, to) = (seconds_text(from_ms), seconds_text(to_ms));
    match (from.rsplit_once(' '), to.rsplit_once(' ')) {
        (Some((number, unit)), Some((_, same))) if unit == same => format!("{number} to {to}"),
        _ => format!("{from} to {to}"),
    }
}

/// A span with a space before its unit, as sentences write it: `250 ms`, `3 s`, `3.5 s`, `2 min`. Rounded up to tenths.
#[must_use]
pub fn seconds_text(span_ms: u64) -> String {
    match span_ms {
        0 => "0 s".into(),
        ms if ms < 1_000 => format!("{ms} ms"),
        ms if ms >= 120_000 && ms % 60_000 == 0 => format!("{} min", ms / 60_000),
        ms => {
            let tenths = ms.div_ceil(100);
            if tenths.is_multiple_of(10) {
                format!("{} s", tenths / 10)
            } else {
                format!("{}.{} s", tenths / 10, tenths % 10)
            }
        }
    }
}
