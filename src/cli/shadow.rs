//! `standin shadow`: the shadow's side of the pair (spec 3.1, 4).

use clap::{ArgGroup, Args, Subcommand};

use super::arguments::duration_ms;
use super::client::Client;
use super::ha::{HaPort, ha_port};
use super::home::Context;
use super::output::{Exit, Failure, Outcome, Output};
use super::reconnect::plain_order;
use super::rooms;
use crate::engine::base::{LinkState, Problem, Role};
use crate::engine::order::{Order, Reply};
use crate::engine::settings::{SettingsPatch, duration};
use crate::engine::status::Status;

pub mod connect;
mod timeouts;

/// `standin shadow …`.
#[derive(Debug, Subcommand)]
pub enum ShadowAction {
    /// The master, the link step by step, the timing
    Show,
    /// Change connection data (refused while connected) or timing
    Edit(ShadowEdit),
    /// Connect to the master; the first time with its fingerprint, a user and a password of it
    Connect(connect::ConnectArguments),
    /// Leave the master; no takeover until connected again
    Disconnect,
    /// Forget the master (refused while connected)
    Reset,
    /// Measure connections and answers against the real master, and say whether the timeouts hold
    CheckTimeouts,
    /// Names and addresses of this machine that the master may know it by
    HostNames,
}

/// `standin shadow edit`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("change").required(true).multiple(true))]
pub struct ShadowEdit {
    /// Names or addresses of the master, tried in order
    #[arg(long, value_name = "H[,H…]", group = "change", value_delimiter = ',', num_args = 1)]
    pub master_host: Option<Vec<String>>,
    /// The master's port of the link
    #[arg(long, value_name = "N", group = "change", value_parser = clap::value_parser!(u16).range(1..))]
    pub master_port: Option<u16>,
    /// Name or address of this machine, declared to the master
    #[arg(long, value_name = "H", group = "change")]
    pub own_host: Option<String>,
    /// Own port of the link, or 'admin' for the administration port
    #[arg(long, value_name = "N", group = "change", value_parser = ha_port)]
    pub ha_port: Option<HaPort>,
    /// From one check to the next
    #[arg(long, value_name = "D", group = "change", value_parser = duration_ms)]
    pub check_interval: Option<u64>,
    /// From the first failed check to the takeover
    #[arg(long, value_name = "D", group = "change", value_parser = duration_ms)]
    pub takeover_delay: Option<u64>,
    /// For a connection to be made
    #[arg(long, value_name = "D", group = "change", value_parser = duration_ms)]
    pub connect_timeout: Option<u64>,
    /// For a check to be answered
    #[arg(long, value_name = "D", group = "change", value_parser = duration_ms)]
    pub request_timeout: Option<u64>,
}

/// Runs one of them.
///
/// # Errors
/// The refusal of the instance.
pub fn run(context: &Context, action: &ShadowAction, out: &mut Output) -> Outcome {
    match action {
        ShadowAction::Show => show(context, out),
        ShadowAction::Edit(edit) => plain_order(context, Order::Edit(patch(edit)), out),
        ShadowAction::Connect(arguments) => connect::run(context, arguments, out),
        ShadowAction::Disconnect => plain_order(context, Order::Disconnect, out),
        ShadowAction::Reset => plain_order(context, Order::ShadowReset, out),
        ShadowAction::CheckTimeouts => timeouts::run(context, out),
        ShadowAction::HostNames => host_names(context, out),
    }
}

fn patch(edit: &ShadowEdit) -> SettingsPatch {
    SettingsPatch {
        master_hosts: edit.master_host.clone(),
        master_port: edit.master_port,
        host: edit.own_host.clone(),
        ha_port: edit.ha_port.map(HaPort::own),
        check_interval: edit.check_interval,
        takeover_delay: edit.takeover_delay,
        connect_timeout: edit.connect_timeout,
        request_timeout: edit.request_timeout,
        ..SettingsPatch::default()
    }
}

/// Needs no instance: it is also asked before the first one.
fn host_names(context: &Context, out: &mut Output) -> Outcome {
    let names = match Client::connect(&context.home) {
        Ok(mut client) => match client.order(Order::HostNames)? {
            Reply::HostNames(names) => names,
            _ => return Err(super::client::unexpected().into()),
        },
        Err(Failure::NotRunning(problem)) => {
            drop(problem);
            rooms::host_names()
        }
        Err(failure) => return Err(failure),
    };
    for name in names {
        out.line(&name)?;
    }
    Ok(Exit::Done)
}

fn show(context: &Context, out: &mut Output) -> Outcome {
    let status = Client::connect(&context.home)?.status()?;
    if status.role == Some(Role::Master) {
        let todo = "The pair as the master sees it: standin ha show";
        return Err(Problem::new("There is no shadow's side here", "this instance is the master", todo).into());
    }
    for line in lines(&status) {
        out.line(&line)?;
    }
    Ok(Exit::Done)
}

fn lines(status: &Status) -> Vec<String> {
    let shadow = &status.settings.shadow;
    let master = if shadow.master_hosts.is_empty() {
        "none; set it with: standin shadow edit --master-host H".to_owned()
    } else {
        format!("{} port {}", shadow.master_hosts.join(", "), shadow.master_port)
    };
    let state = status.state.map_or("no role yet", LinkState::word);
    let message = status.state_message.as_deref().map_or(String::new(), |message| format!("  {message}"));
    let peer = status.peer.as_ref();
    let pinned = peer.and_then(|peer| peer.fingerprint).map_or("none pinned: not paired".into(), |f| f.to_string());
    let mut lines = vec![
        format!("Master          {master}"),
        format!("State           {state}{message}"),
        format!("Trust           {pinned}"),
        format!("Own host        {} port {}", status.instance.host, status.instance.ha_port),
    ];
    if let Some(peer) = peer {
        let description = if peer.description.is_empty() { "" } else { &format!("  {}", peer.description) };
        let started = peer.started.map_or(String::new(), |at| format!(", started {}", at.rfc3339(0)));
        lines.push(format!(
            "Known of it     {}, version {}, term {}{started}{description}",
            peer.host, peer.version, peer.term
        ));
        lines.push(format!("Revision        {} there, {} here", peer.revision, status.configuration.revision));
    }
    for step in &status.link {
        let word = match step.ok {
            Some(true) => "ok  ",
            Some(false) => "FAIL",
            None => "--  ",
        };
        lines.push(format!("Connection      {word}  {:<22}{}", step.name, step.message));
    }
    let takeover = match (&status.takeover.why_not, status.takeover.due_at) {
        (_, Some(due)) => format!("due {}", due.rfc3339(1)),
        (None, None) if status.takeover.waits_for.is_some() => {
            format!("due when {}", status.takeover.waits_for.as_deref().unwrap_or_default())
        }
        (Some(why), None) => format!("would not: {why}"),
        (None, None) => "ready".into(),
    };
    lines.push(format!("Takeover        {takeover}"));
    for check in &status.takeover.checks {
        lines.push(format!(
            "  check         {}  {}  {}",
            if check.ok { "ok  " } else { "FAIL" },
            check.target,
            check.message
        ));
    }
    lines.push(format!(
        "Timing          check {}, delay {}, connect {}, request {}",
        duration::format(shadow.check_interval),
        duration::format(shadow.takeover_delay),
        duration::format(shadow.connect_timeout),
        duration::format(shadow.request_timeout)
    ));
    if let Some(why) = &status.settings_locked {
        lines.push(format!("Editing         locked: {why}"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::cli::arguments::{Arguments, Command};

    fn edit(line: &[&str]) -> Result<ShadowEdit, clap::Error> {
        let words = ["standin", "shadow", "edit"].iter().chain(line);
        Arguments::try_parse_from(words).map(|arguments| match arguments.command {
            Some(Command::Shadow { action: ShadowAction::Edit(edit) }) => edit,
            other => panic!("{other:?}"),
        })
    }

    /// spec 4.1, 4.2: several addresses of the master; the timing to the millisecond.
    #[test]
    fn connection_data_and_timing_become_a_patch() {
        let edit = edit(&["--master-host", "a.example,10.1.4.20", "--check-interval", "250ms"]).unwrap();
        let expected = SettingsPatch {
            master_hosts: Some(vec!["a.example".into(), "10.1.4.20".into()]),
            check_interval: Some(250),
            ..SettingsPatch::default()
        };
        assert_eq!(patch(&edit), expected);
    }

    #[test]
    fn an_edit_of_nothing_and_a_bare_number_are_wrong_usage() {
        assert_eq!(edit(&[]).unwrap_err().exit_code(), 2);
        let error = edit(&["--takeover-delay", "3"]).unwrap_err();
        assert!(error.to_string().contains("250ms, 3s, 2m"), "{error}");
    }

    /// spec 3.1: fingerprints are shown whole.
    #[test]
    fn what_is_not_there_says_how_to_get_it() {
        let lines = lines(&Status::default()).join("\n");
        assert!(lines.contains("standin shadow edit --master-host") && lines.contains("not paired"), "{lines}");
    }
}
