//! `standin ha`: the pair's settings, switch, forced roles, maintenance (spec 2, 7.7 to 7.9).

use std::time::Duration;

use clap::{ArgGroup, Args, Subcommand};

use super::arguments::duration_ms;
use super::client::{Client, unexpected};
use super::home::Context;
use super::output::{Exit, Failure, Outcome, Output, Paint};
use super::reconnect::{plain_order, told};
use crate::engine::base::{Problem, Role};
use crate::engine::order::{Order, Rehearsal, Reply};
use crate::engine::settings::{SettingsPatch, duration, failover};
use crate::engine::status::{Status, words};

/// A hand-over itself, beside the grace period of the old master and the stop grace of both services.
const SWITCH_LIMIT: Duration = Duration::from_secs(120);

/// `standin ha …`.
#[derive(Debug, Subcommand)]
pub enum HaAction {
    /// Settings of the pair, and the connected shadow
    Show,
    /// Let a shadow connect
    Enable,
    /// Refuse every shadow
    Disable,
    /// Change settings of the pair (refused while a shadow is connected)
    Edit(HaEdit),
    /// Put the pair's settings back and forget the shadow (refused while it is connected)
    Reset,
    /// Ask the connected shadow to leave
    Disconnect,
    /// Switch roles: the shadow becomes master, this one its shadow
    Switch {
        /// Run every check and say what would happen, no more
        #[arg(long)]
        dry_run: bool,
        /// End a switch under way; possible until the offer is on disk
        #[arg(long, conflicts_with = "dry_run")]
        abort: bool,
    },
    /// Make this master a shadow while none is connected; says what will happen
    BecomeShadow {
        /// Really
        #[arg(long)]
        force: bool,
    },
    /// Make this instance the active master without asking the other; says what will happen
    BecomeMaster {
        /// Really
        #[arg(long)]
        force: bool,
        /// Do not even ask the arbiter: the other instance is certainly not active
        #[arg(long)]
        without_arbiter: bool,
    },
    /// Suspend takeovers for a time
    Maintenance(MaintenanceArguments),
    /// End a wait of this instance now: boot hold without an arbiter, isolation by takeover checks, delayed takeovers
    Resume,
    /// Reach every endpoint of the arbiter, step by step: name, TCP, TLS, version, logon, read, write
    TestArbiter {
        /// Write no test key
        #[arg(long)]
        read_only: bool,
    },
}

/// `standin ha edit`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub struct HaEdit {
    /// Only this shadow may connect: its host name, or host@address behind address translation
    #[arg(long, value_name = "H", group = "change", conflicts_with = "any_shadow_host")]
    pub permitted_shadow_host: Option<String>,
    /// Any shadow may connect
    #[arg(long, group = "change")]
    pub any_shadow_host: bool,
    /// Port of the link, or 'admin' for the administration port
    #[arg(long, value_name = "N", group = "change", value_parser = ha_port)]
    pub ha_port: Option<HaPort>,
    /// How long the outgoing master lets its service end in peace at a switch
    #[arg(long, value_name = "D", group = "change", value_parser = duration_ms)]
    pub grace_period: Option<u64>,
    /// The third vote: addresses of etcd, as https://host:2379; give the other instance the same
    #[arg(long, value_name = "URL[,URL…]", group = "change", value_delimiter = ',', num_args = 1)]
    pub arbiter: Option<Vec<String>>,
    /// No third vote
    #[arg(long, group = "change", conflicts_with = "arbiter")]
    pub no_arbiter: bool,
    /// How long a master goes on after it asked for its last confirmation
    #[arg(long, value_name = "D", group = "change", value_parser = duration_ms)]
    pub hold: Option<u64>,
    /// Within this the service has stopped, the kill included
    #[arg(long, value_name = "D", group = "change", value_parser = duration_ms)]
    pub stop_budget: Option<u64>,
    /// What a confirmation promises; 0s: the shortest that is safe
    #[arg(long, value_name = "D", group = "change", value_parser = duration_ms)]
    pub promise: Option<u64>,
}

/// `--ha-port` of a master and of a shadow.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum HaPort {
    /// Shared with the administration API.
    Administration,
    /// Of its own.
    Own(u16),
}

impl HaPort {
    /// As a patch carries it.
    #[must_use]
    pub fn own(self) -> Option<u16> {
        match self {
            Self::Administration => None,
            Self::Own(port) => Some(port),
        }
    }
}

/// For clap.
///
/// # Errors
/// When it is neither a port nor the word.
pub fn ha_port(text: &str) -> Result<HaPort, String> {
    match text.parse::<u16>() {
        Ok(port) if port > 0 => Ok(HaPort::Own(port)),
        _ if text == "admin" => Ok(HaPort::Administration),
        _ => Err("a port is a number from 1 to 65535, or 'admin' for the administration port".into()),
    }
}

/// `standin ha maintenance`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("how").required(true))]
pub struct MaintenanceArguments {
    /// From now, as 30m or 2h
    #[arg(long = "for", value_name = "D", group = "how", value_parser = duration_ms)]
    pub for_ms: Option<u64>,
    /// End it now
    #[arg(long, group = "how")]
    pub end: bool,
}

/// Runs one of them.
///
/// # Errors
/// The refusal of the instance.
pub fn run(context: &Context, action: &HaAction, out: &mut Output) -> Outcome {
    let order = match action {
        HaAction::Show => return show(context, out),
        HaAction::TestArbiter { read_only } => return super::test_arbiter::run(context, !*read_only, out),
        HaAction::Switch { abort: true, .. } => Order::SwitchAbort,
        HaAction::Switch { dry_run, .. } => return switch(context, *dry_run, out),
        HaAction::BecomeShadow { force: false } => return Err(what_become_shadow_does().into()),
        HaAction::BecomeMaster { force: false, .. } => return Err(what_become_master_does().into()),
        HaAction::BecomeShadow { force: true } => Order::BecomeShadow,
        HaAction::BecomeMaster { force: true, without_arbiter } => {
            Order::BecomeMaster { without_arbiter: *without_arbiter }
        }
        HaAction::Enable => Order::Edit(SettingsPatch { enabled: Some(true), ..SettingsPatch::default() }),
        HaAction::Disable => Order::Edit(SettingsPatch { enabled: Some(false), ..SettingsPatch::default() }),
        HaAction::Edit(edit) => Order::Edit(patch(edit)),
        HaAction::Reset => Order::HaReset,
        HaAction::Disconnect => Order::HaDisconnect,
        HaAction::Maintenance(arguments) => Order::Maintenance { for_ms: maintenance_ms(arguments)? },
        HaAction::Resume => Order::Resume,
    };
    plain_order(context, order, out)
}

fn patch(edit: &HaEdit) -> SettingsPatch {
    SettingsPatch {
        permitted_shadow_host: match &edit.permitted_shadow_host {
            Some(host) => Some(Some(host.clone())),
            None => edit.any_shadow_host.then_some(None),
        },
        ha_port: edit.ha_port.map(HaPort::own),
        grace_period: edit.grace_period,
        arbiter_endpoints: edit.arbiter.clone().or_else(|| edit.no_arbiter.then(Vec::new)),
        arbiter_hold: edit.hold,
        arbiter_stop_budget: edit.stop_budget,
        arbiter_promise: edit.promise,
        ..SettingsPatch::default()
    }
}

fn maintenance_ms(arguments: &MaintenanceArguments) -> Result<u64, Failure> {
    match arguments.for_ms {
        // 0 means the end in the order; typed, it is a slip.
        Some(0) => Err(Failure::Usage(Problem::new(
            "No maintenance was begun",
            "--for 0 is no time",
            "Give a time as --for 30m, or end one with --end.",
        ))),
        Some(for_ms) => Ok(for_ms),
        None => Ok(0),
    }
}

/// spec 7.8: says what will happen first.
fn what_become_shadow_does() -> Problem {
    Problem::new(
        "This instance was not made shadow",
        "it would stop its service and wait for a master; no shadow is connected that could take the role, so the \
         service runs nowhere until some instance becomes master. An instance made shadow by hand never becomes master by \
         itself before it has met one",
        "If that is what you want, add --force. While the shadow is READY, use: standin ha switch",
    )
}

/// spec 7.8: says what will happen first.
fn what_become_master_does() -> Problem {
    Problem::new(
        "This instance was not made master",
        "it would take the next term and start the service at once, without asking the other. If the other still runs as \
         master, both are active until they meet; then this one stays, and what only the other has changed is kept as a \
         branch",
        "Make sure that the other's service is stopped, then add --force. While the pair is connected, use on the master: \
         standin ha switch",
    )
}

fn switch(context: &Context, is_dry_run: bool, out: &mut Output) -> Outcome {
    let mut client = Client::connect(&context.home)?;
    let Reply::Rehearsal(rehearsal) = client.order(Order::Switch { dry_run: true })? else {
        return Err(unexpected().into());
    };
    print_rehearsal(&rehearsal, out)?;
    out.flush()?;
    if !rehearsal.possible {
        let failed: Vec<_> = rehearsal.checks.iter().filter(|check| !check.ok).map(|check| &*check.target).collect();
        let why = if failed.is_empty() {
            "it is not possible now".to_owned()
        } else {
            format!("this does not hold: {}", failed.join("; "))
        };
        let todo = "Mend what is marked FAIL, then try again. Nothing was changed.";
        return Err(Problem::new("The roles cannot be switched now", why, todo).into());
    }
    if is_dry_run {
        return Ok(Exit::Done);
    }
    let grace = Duration::from_millis(client.status()?.ha.grace_period_ms);
    told(client.order_within(Order::Switch { dry_run: false }, SWITCH_LIMIT + grace)?, out)
}

fn print_rehearsal(rehearsal: &Rehearsal, out: &mut Output) -> Result<(), Failure> {
    for check in &rehearsal.checks {
        let (word, paint) = if check.ok { ("ok  ", Paint::Plain) } else { ("FAIL", Paint::Error) };
        out.pieces(&[(word, paint), (&format!("  {}  {}", check.target, check.message), Paint::Plain)])?;
    }
    for (index, step) in rehearsal.steps.iter().enumerate() {
        out.line(&format!("{:>4}  {step}", index + 1))?;
    }
    if rehearsal.possible {
        out.line(&format!("{} would be master at term {}.", rehearsal.new_master, rehearsal.term))?;
        if !rehearsal.gap.is_empty() {
            out.line(&format!("{}.", rehearsal.gap))?;
        }
    }
    Ok(())
}

fn show(context: &Context, out: &mut Output) -> Outcome {
    let status = Client::connect(&context.home)?.status()?;
    for (label, value) in settings_rows(&status) {
        out.line(&format!("{label:<23}{value}"))?;
    }
    Ok(Exit::Done)
}

fn settings_rows(status: &Status) -> Vec<(&'static str, String)> {
    let mut rows = vec![
        (
            "High availability",
            if status.ha.enabled { "enabled" } else { "disabled: every shadow is refused" }.to_owned(),
        ),
        ("Permitted shadow host", status.ha.permitted_shadow_host.clone().unwrap_or_else(|| "any".into())),
        (
            "HA port",
            if status.instance.ha_port == status.instance.admin_port {
                format!("{}, shared with the administration port", status.instance.ha_port)
            } else {
                format!("{}, of its own", status.instance.ha_port)
            },
        ),
        ("Grace period", duration::format(status.ha.grace_period_ms)),
        ("Editing", status.settings_locked.as_ref().map_or("allowed now".into(), |why| format!("locked: {why}"))),
        (
            "State",
            status.state.map_or("no role yet".into(), |state| {
                let message = status.state_message.as_deref().map_or(String::new(), |message| format!("  {message}"));
                format!("{}{message}", state.word())
            }),
        ),
    ];
    if let Some(peer) = &status.peer {
        let address = peer.address.as_deref().unwrap_or("address not known");
        rows.push((
            if status.role == Some(Role::Shadow) { "Master" } else { "Shadow" },
            format!("{} ({address})", peer.host),
        ));
        rows.push(("  version", format!("{}{}", peer.version, if peer.compatible { "" } else { ", NOT COMPATIBLE" })));
        rows.push(("  certificate", peer.fingerprint.map_or("none pinned".into(), |pinned| pinned.to_string())));
        rows.push(("  check interval", duration::format(peer.check_interval_ms)));
        rows.push(("  takeover delay", status.takeover_delay_text(duration::format)));
        rows.push(("  revision", format!("{}, {} behind", peer.revision, peer.behind)));
    } else if status.role == Some(Role::Master) {
        let todo = if status.ha.enabled {
            "none; on the shadow: standin shadow connect"
        } else {
            "none; first: standin ha enable"
        };
        rows.push(("Shadow", todo.into()));
    }
    // Of a shadow that is not known any more nothing is said.
    if let Some(dial_back) = status.dial_back.as_ref().filter(|_| status.peer.is_some()) {
        rows.push(("Dials back", if dial_back.ok { "ok".into() } else { format!("FAIL: {}", dial_back.message) }));
    }
    trust_rows(status, &mut rows);
    let own = status.instance.fingerprint.map_or("none".into(), |fingerprint| fingerprint.to_string());
    rows.push(("This instance", own));
    rows
}

/// What a failover rests on: arbiter, longest failover, isolation, checks, differences, addresses (spec 2.6, 7.10, 7.11).
fn trust_rows(status: &Status, rows: &mut Vec<(&'static str, String)>) {
    if let Some(peer) = &status.peer {
        for check in &peer.checks {
            let word = if check.ok { "ok" } else { "FAIL" };
            rows.push(("  takeover check", format!("{word}  {}  {}", check.target, check.message)));
        }
        rows.extend(peer.differences.iter().map(|difference| ("  differs", difference.clone())));
        if let Some(difference) = peer.clock_difference_ms {
            rows.push(("  clock", words::clock_text(difference)));
        }
    }
    match &status.arbiter {
        Some(arbiter) => {
            let why = arbiter.message.as_ref().map_or_else(String::new, |why| format!(" ({why})"));
            rows.push(("Arbiter", format!("{}{why}", arbiter.state_text().0)));
            rows.push(("  endpoints", arbiter.endpoints.join(", ")));
            if status.role == Some(Role::Master) {
                rows.push(("  confirmed", arbiter.confirmed_text()));
            }
            rows.push(("  times", arbiter.times_text()));
        }
        None => rows.push(("Arbiter", "none: both may be active when only the link between the two is cut".into())),
    }
    rows.push(("Longest failover", failover::longest_failover(&status.failover_settings()).text()));
    if !status.ha.isolation.text.is_empty() {
        rows.push(("Cut off", status.ha.isolation.text.clone()));
    }
    rows.extend(status.addresses.iter().map(|address| ("Virtual address", address.text(status.active).1)));
}

#[cfg(test)]
mod tests;
