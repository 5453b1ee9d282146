//! A status in words. Pure: the moment comes in.

use crate::cli::output::Paint;
use crate::cli::text::{bytes, count, moment, span};
use crate::engine::base::{Problem, Role, UnixMillis};
use crate::engine::settings::duration;
use crate::engine::status::{AddressStatus, AlertCounts, ArbiterStatus, PeerStatus, Protection, Status, Transfer};

/// What is not known of an instance at rest whose settings cannot be read.
const NO_SETTINGS: &str = "not known: the settings cannot be read";

/// One line: a label, a word that may be painted, the rest.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Row {
    /// What it is about.
    pub label: &'static str,
    /// What to see first.
    pub word: String,
    /// Of the word.
    pub paint: Paint,
    /// What follows it.
    pub rest: String,
}

impl Row {
    fn plain(label: &'static str, text: impl Into<String>) -> Self {
        Self { label, word: text.into(), paint: Paint::Plain, rest: String::new() }
    }

    fn painted(label: &'static str, word: impl Into<String>, paint: Paint, rest: impl Into<String>) -> Self {
        Self { label, word: word.into(), paint, rest: rest.into() }
    }
}

/// Of an instance that does not run, as last written: nothing in it is said to be so now. `settings`: why the settings file
/// cannot be used.
#[must_use]
pub fn rows_at_rest(status: &Status, settings: Option<&Problem>, now: UnixMillis) -> Vec<Row> {
    let mut rows = rows(status, now);
    // Nobody listens there, so the port may be any: none was read.
    let has_settings = status.instance.admin_port != 0;
    for row in &mut rows {
        match row.label {
            "Instance" if status.instance.host.is_empty() && !has_settings => row.word = NO_SETTINGS.into(),
            "Instance" if status.instance.host.is_empty() => row.word = "(host: the name of the machine)".into(),
            "Peer" => {
                if let Some(peer) = &status.peer {
                    row.word = peer_at_rest(peer);
                }
            }
            "Listens" if has_settings => row.word = format!("nothing now; when it runs: {}", row.word),
            "Listens" => *row = Row::plain("Listens", format!("nothing now; {NO_SETTINGS}")),
            "Program" => row.word = format!("standin {}, not running", status.version),
            _ => {}
        }
    }
    if let Some(problem) = settings {
        let lines: Vec<&str> = problem.why.lines().map(str::trim).collect();
        let text = format!("  it does not start: {}: {}", problem.what, lines.join("; "));
        rows.insert(1.min(rows.len()), Row::painted("Settings", "PROBLEM", Paint::Error, text));
        rows.insert(2.min(rows.len()), Row::plain("", problem.todo.clone()));
    }
    rows
}

fn peer_at_rest(peer: &PeerStatus) -> String {
    let address = peer.address.as_deref().map_or(String::new(), |address| format!(" at {address}"));
    let revision = match peer.revision {
        0 => "its revision is not known".to_owned(),
        number => format!("revision {number} was the last that both had"),
    };
    format!("{}{address}, {revision}", host(&peer.host))
}

/// 10 to 20 lines.
#[must_use]
pub fn rows(status: &Status, now: UnixMillis) -> Vec<Row> {
    let mut rows = Vec::new();
    let instance = &status.instance;
    let description = if instance.description.is_empty() { "" } else { &format!("  {}", instance.description) };
    rows.push(Row::plain("Instance", format!("{}{description}", host(&instance.host))));
    rows.push(role(status, now));
    if let Some(condition) = status.condition {
        let why = status.hold.as_ref().map(|hold| {
            let end = hold.ends_at.map_or(String::new(), |at| format!(", until {}", moment(at, now)));
            format!("  {}{end}", hold.why)
        });
        rows.push(Row::painted("Condition", condition.word(), Paint::Warning, why.unwrap_or_default()));
    }
    rows.push(protection(status));
    if let Some(until) = status.maintenance_until {
        rows.push(Row::painted("Maintenance", "until ", Paint::Warning, moment(until, now)));
    }
    if let Some(state) = status.state {
        let message = status.state_message.as_deref().map_or(String::new(), |message| format!("  {message}"));
        rows.push(Row::plain("State", format!("{}{message}", state.word())));
    }
    if let Some(due) = status.takeover.due_at {
        rows.push(Row::painted("Takeover", "due ", Paint::Error, moment(due, now)));
    } else if let Some(waits_for) = &status.takeover.waits_for {
        rows.push(Row::painted("Takeover", "due ", Paint::Error, format!("when {waits_for}")));
    } else if let (Some(Role::Shadow), Some(why)) = (status.role, &status.takeover.why_not) {
        rows.push(Row::painted("Takeover", "would not: ", Paint::Warning, why.clone()));
    }
    if let Some(switch) = &status.switching {
        rows.push(Row::painted("Switch", "under way: ", Paint::Warning, switch.step.clone()));
    }
    if let Some(transfer) = &status.transfer {
        rows.push(Row::plain("Transfer", progress(transfer)));
    }
    peer(status, now, &mut rows);
    trust(status, &mut rows);
    configuration(status, now, &mut rows);
    rows.push(service(status));
    rows.extend(status.addresses.iter().map(address));
    rows.extend(status.arbiter.as_ref().map(|arbiter| arbiter_row(arbiter, now)));
    rows.push(alerts(status.alerts));
    rows.push(listens(status));
    if let Some(fingerprint) = instance.fingerprint {
        rows.push(Row::plain("Certificate", fingerprint.to_string()));
    }
    let started = instance.started.map_or(String::new(), |at| format!(", started {}", moment(at, now)));
    rows.push(Row::plain("Program", format!("standin {}, process {}{started}", status.version, instance.process)));
    rows.push(Row::plain("Home", instance.home.clone()));
    rows
}

/// How far a transfer is (spec 4.3): `receiving 41200 of 98214 files, 520.0 MB of 1.2 GB, 62.0 MB/s, 11 s left`.
fn progress(transfer: &Transfer) -> String {
    let Transfer { step, files_done, files_total, bytes_done, bytes_total, rate, left_ms } = *transfer;
    let (done, total) = (bytes(bytes_done), bytes(bytes_total));
    let rate = rate.map_or(String::new(), |rate| format!(", {}/s", bytes(rate)));
    let left = left_ms.map_or(String::new(), |ms| format!(", {} left", span(ms)));
    format!("{} {files_done} of {}, {done} of {total}{rate}{left}", step.word(), count(files_total, "file", "files"))
}

/// What is really bound, beside what the settings say where that is something else (alert N-001).
fn listens(status: &Status) -> Row {
    const LABEL: &str = "Listens";
    let (admin, link, set) = (status.instance.admin_port, status.instance.ha_port, status.settings.link_port());
    let ports = match link {
        0 => "nothing".to_owned(),
        _ if link == admin => format!("administration and link on {link}"),
        _ => format!("administration on {admin}, link on {link}"),
    };
    if link == set {
        return Row::plain(LABEL, ports);
    }
    Row::painted(LABEL, "PROBLEM", Paint::Error, format!("  {ports}, NOT on {set} as set: standin alerts (N-001)"))
}

/// A virtual address (spec 7.14).
fn address(one: &AddressStatus) -> Row {
    let place = format!("  {} on {}", one.address, one.interface);
    match (&one.problem, &one.used_by) {
        (Some(why), _) => Row::painted("Address", "PROBLEM", Paint::Warning, format!("{place}: {why}")),
        (_, Some(other)) => {
            Row::painted("Address", "CONFLICT", Paint::Error, format!("{place}: {other} answers for it too"))
        }
        _ => Row::plain("Address", format!("{}{place}", if one.present { "here" } else { "not here" })),
    }
}

/// Whether the third vote answers, and who confirmed this master (spec 7.11).
fn arbiter_row(arbiter: &ArbiterStatus, now: UnixMillis) -> Row {
    const LABEL: &str = "Arbiter";
    let message = arbiter.message.as_deref().map_or(String::new(), |message| format!("  {message}"));
    let answered = arbiter.last_answer.map_or(String::new(), |at| format!(", answered {}", moment(at, now)));
    let confirmed = match arbiter.confirmed_by.as_slice() {
        [] => String::new(),
        by => format!(", confirmed by {}", by.join(" and ")),
    };
    let (word, paint) = match arbiter.state.as_str() {
        "ok" => ("answers", Paint::Plain),
        "away" => ("AWAY", Paint::Error),
        "no_vote" => ("NO VOTE", Paint::Warning),
        _ => ("not asked yet", Paint::Plain),
    };
    Row::painted(LABEL, word, paint, format!("{answered}{confirmed}{message}"))
}

fn host(name: &str) -> &str {
    if name.is_empty() { "(no host name set)" } else { name }
}

fn role(status: &Status, now: UnixMillis) -> Row {
    let Some(role) = status.role else {
        return Row::painted("Role", "none", Paint::Warning, "  not set up yet: standin, or standin setup");
    };
    let active = match role {
        Role::Shadow => "",
        Role::Master if status.active => ", active",
        Role::Master => ", NOT ACTIVE",
    };
    let since = status.since.map_or(String::new(), |at| format!(", since {}", moment(at, now)));
    let why = status.last_role_change.as_ref().map_or(String::new(), |change| format!(", by {}", change.reason.word()));
    let paint = if role == Role::Master && !status.active { Paint::Error } else { Paint::Plain };
    Row::painted("Role", format!("{}{active}", role.word()), paint, format!(", term {}{since}{why}", status.term))
}

fn protection(status: &Status) -> Row {
    let paint = match status.protection {
        Protection::Full => Paint::Plain,
        Protection::Reduced | Protection::Paused => Paint::Warning,
        Protection::None => Paint::Error,
    };
    Row::painted("Protection", status.protection.word(), paint, format!("  {}", status.protection_message))
}

fn peer(status: &Status, now: UnixMillis, rows: &mut Vec<Row>) {
    let Some(peer) = &status.peer else {
        if status.role.is_some() {
            rows.push(Row::plain("Peer", "none"));
        }
        return;
    };
    let address = peer.address.as_deref().map_or(String::new(), |address| format!(" at {address}"));
    let role = peer.role.map_or(String::new(), |role| format!(", {}", role.word()));
    let version = if peer.compatible { String::new() } else { format!(", version {} NOT COMPATIBLE", peer.version) };
    let sync = match peer.in_sync {
        true => ", in sync",
        false if peer.behind == 0 && (peer.revision == 0 || peer.connected_since.is_none()) => {
            // What it had when it was last heard says nothing of now (spec 5.7).
            ", its revision is not known"
        }
        false => ", NOT in sync",
    };
    let paint = if peer.in_sync && peer.compatible { Paint::Plain } else { Paint::Warning };
    let behind = if peer.behind == 0 { String::new() } else { format!(", {} behind", count_revisions(peer.behind)) };
    let text = format!("{}{address}{role}{version}{sync}{behind}", host(&peer.host));
    rows.push(Row::painted("Peer", text, paint, ""));
    rows.push(Row::plain("Link", link(status, peer, now)));
    if let Some(fingerprint) = peer.fingerprint {
        rows.push(Row::plain("Peer's cert.", fingerprint.to_string()));
    }
}

fn link(status: &Status, peer: &PeerStatus, now: UnixMillis) -> String {
    let state = match (peer.connected_since, peer.last_check) {
        (Some(since), _) => format!("connected since {}", moment(since, now)),
        (None, Some(last)) => format!("not connected, last check answered {}", moment(last, now)),
        (None, None) => "not connected".to_owned(),
    };
    let round_trip = peer.connected_since.and(peer.round_trip_ms).map_or(String::new(), |ms| format!(", {ms:.1} ms"));
    let interval = duration::format(peer.check_interval_ms);
    let delay = status.takeover_delay_text(duration::format);
    format!("{state}, check every {interval}{round_trip}, takeover after {delay}")
}

/// What a failover rests on, in few lines: the rest is in `ha show`.
fn trust(status: &Status, rows: &mut Vec<Row>) {
    let differences = status.peer.as_ref().map_or(0, |peer| peer.differences.len());
    if differences > 0 {
        let text = count(differences as u64, "difference", "differences");
        rows.push(Row::painted("", text, Paint::Warning, " that would hurt at a takeover: standin ha show"));
    }
}

fn count_revisions(number: u64) -> String {
    count(number, "revision", "revisions")
}

fn configuration(status: &Status, now: UnixMillis, rows: &mut Vec<Row>) {
    if status.role.is_none() {
        return;
    }
    let configuration = &status.configuration;
    let change = configuration
        .last_change
        .as_ref()
        .map_or(String::new(), |change| format!(", changed {} by {}", moment(change.at, now), change.author));
    let files = count(configuration.files, "file", "files");
    let text = format!("revision {}, {files}, {}{change}", configuration.revision, bytes(configuration.bytes));
    let mut trouble = String::new();
    for (number, word) in [(configuration.held, "held"), (configuration.drift, "drift")] {
        if number > 0 {
            trouble.push_str(&format!("  {word}: {number}"));
        }
    }
    rows.push(Row::plain("Configuration", text));
    if !trouble.is_empty() {
        rows.push(Row::painted("", trouble.trim_start(), Paint::Warning, ""));
    }
    if configuration.owners_missing > 0 {
        let missing =
            format!("{} missing here", count(configuration.owners_missing, "user or group", "users and groups"));
        rows.push(Row::painted("", missing, Paint::Warning, ": standin alerts (F-032)"));
    }
    if !status.branches.is_empty() {
        let kept = format!("{} kept after a divergence", count(status.branches.len() as u64, "branch", "branches"));
        rows.push(Row::painted("", kept, Paint::Warning, ": standin config branches"));
    }
}

fn service(status: &Status) -> Row {
    let service = &status.service;
    if service.kind == "none" {
        return Row::plain("Service", "none configured");
    }
    if service.kind == "unknown" {
        return Row::plain("Service", NO_SETTINGS);
    }
    let paint = if service.state == "failed" { Paint::Error } else { Paint::Plain };
    let message = service.message.as_deref().map_or(String::new(), |message| format!(": {message}"));
    let restarts = if service.restarts == 0 {
        String::new()
    } else {
        format!(", {}", count(service.restarts.into(), "restart", "restarts"))
    };
    let failing = if service.failing { ", keeps failing" } else { "" };
    let health = service.health.as_ref().map_or(String::new(), |health| match &health.message {
        Some(why) => format!(", health {} ({}: {why})", health.state, health.target),
        None => format!(", health {}", health.state),
    });
    let stop = service.stop_text().map_or_else(String::new, |text| format!(", last stop {text}"));
    let rest = format!("  {}{restarts}{failing}{health}{stop}{message}", service.name);
    Row::painted("Service", service.state.clone(), paint, rest)
}

fn alerts(counts: AlertCounts) -> Row {
    let mut words = Vec::new();
    for (number, one, many) in [
        (counts.error, "error", "errors"),
        (counts.warning, "warning", "warnings"),
        (counts.information, "information", "information"),
    ] {
        if number > 0 {
            words.push(count(number.into(), one, many));
        }
    }
    let paint = match counts {
        AlertCounts { error: 1.., .. } => Paint::Error,
        AlertCounts { warning: 1.., .. } => Paint::Warning,
        _ => Paint::Plain,
    };
    if words.is_empty() {
        return Row::plain("Alerts", "none");
    }
    Row::painted("Alerts", words.join(", "), paint, "  standin alerts")
}

/// The same in one line, without anything that moves with every check: `status --watch` prints it when it changes.
#[must_use]
pub fn line(status: &Status) -> String {
    let role = status.role.map_or("no role", Role::word);
    let active = if status.active { " active" } else { "" };
    let mut parts = vec![format!("{} {role}{active} term {}", host(&status.instance.host), status.term)];
    if let Some(condition) = status.condition {
        parts.push(condition.word().to_owned());
    }
    if let Some(state) = status.state {
        parts.push(state.word().to_owned());
    }
    if let Some(peer) = &status.peer {
        parts.push(format!("{} {}", host(&peer.host), if peer.in_sync { "in sync" } else { "not in sync" }));
    }
    parts.push(format!("protection {}", status.protection.word()));
    parts.push(format!("revision {}", status.configuration.revision));
    if let Some(arbiter) = &status.arbiter {
        parts.push(format!("arbiter {}", arbiter.state));
    }
    if status.service.kind != "none" {
        parts.push(format!("service {}", status.service.state));
    }
    let AlertCounts { error, warning, .. } = status.alerts;
    parts.push(format!("alerts {error} error {warning} warning"));
    if status.stopping {
        parts.push("stopping".into());
    }
    parts.join(" | ")
}
