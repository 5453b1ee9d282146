//! `standin alerts` (spec 6).

use clap::{ArgGroup, Args, Subcommand};

use super::client::{Client, unexpected};
use super::home::Context;
use super::output::{Exit, Failure, Outcome, Output, Paint};
use super::reconnect::plain_order;
use super::text::moment;
use super::text::wall_now;
use crate::engine::alerts::Alert;
use crate::engine::base::UnixMillis;
use crate::engine::event::Severity;
use crate::engine::order::{Order, Reply};

/// `standin alerts`.
#[derive(Debug, Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct AlertsArguments {
    /// As JSON
    #[arg(long)]
    pub json: bool,
    /// None: list them.
    #[command(subcommand)]
    pub action: Option<AlertsAction>,
}

/// `standin alerts …`.
#[derive(Debug, Subcommand)]
pub enum AlertsAction {
    /// Delete one alert, or all; one whose cause still holds comes back
    Delete(DeleteArguments),
}

/// `standin alerts delete`.
#[derive(Debug, Args)]
#[command(group = ArgGroup::new("which").required(true))]
pub struct DeleteArguments {
    /// Number of the alert, as listed
    #[arg(group = "which")]
    pub id: Option<u64>,
    /// Every alert
    #[arg(long, group = "which")]
    pub all: bool,
}

/// Lists or deletes.
///
/// # Errors
/// The refusal of the instance.
pub fn run(context: &Context, arguments: &AlertsArguments, out: &mut Output) -> Outcome {
    match &arguments.action {
        Some(AlertsAction::Delete(DeleteArguments { id: Some(id), .. })) => {
            plain_order(context, Order::DeleteAlert { id: *id }, out)
        }
        Some(AlertsAction::Delete(_)) => plain_order(context, Order::DeleteAllAlerts, out),
        None => {
            let Reply::Alerts(alerts) = Client::connect(&context.home)?.order(Order::Alerts)? else {
                return Err(unexpected().into());
            };
            if arguments.json {
                out.json(&alerts)?;
            } else {
                print(&alerts, wall_now(), out)?;
            }
            Ok(Exit::Done)
        }
    }
}

fn print(alerts: &[Alert], now: UnixMillis, out: &mut Output) -> Result<(), Failure> {
    if alerts.is_empty() {
        return out.line("No alerts.");
    }
    for alert in alerts {
        let head = format!("{:<6}", alert.id);
        let word = format!("{:<8}", alert.severity.word());
        let times = if alert.count > 1 { format!("  x{}", alert.count) } else { String::new() };
        let rest = format!(" {}  {}{times}", alert.code, alert.what);
        out.pieces(&[(&head, Paint::Plain), (&word, paint(alert)), (&rest, Paint::Plain)])?;
        let about = [("Why", &alert.why), ("Means", &alert.means), ("Do", &alert.todo)];
        for (label, text) in about.iter().filter(|(_, text)| !text.is_empty()) {
            out.line(&format!("      {label:<7}{text}"))?;
        }
        out.line(&format!("      Since  {}, last seen {}", moment(alert.since, now), moment(alert.last_seen, now)))?;
    }
    Ok(())
}

fn paint(alert: &Alert) -> Paint {
    match alert.severity {
        _ if alert.is_over => Paint::Plain,
        Severity::Error => Paint::Error,
        Severity::Warning => Paint::Warning,
        Severity::Information => Paint::Plain,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::testing::output;
    use crate::engine::alerts::Category;

    /// spec 6.1: what, why, what it means, since when, last seen, how often, what to do.
    #[test]
    fn an_alert_tells_everything() {
        let alert = Alert {
            id: 17,
            code: "P-010".into(),
            subject: String::new(),
            severity: Severity::Error,
            category: Category::Configuration,
            what: "Revision 13 could not be pushed".into(),
            why: "timed out".into(),
            means: "The service runs.".into(),
            todo: "Look at the link.".into(),
            since: UnixMillis(1_795_355_869_000),
            last_seen: UnixMillis(1_795_355_999_000),
            count: 4,
            actions: vec![],
            is_over: false,
        };
        let (mut out, written) = output();
        print(&[alert], UnixMillis(1_795_356_000_000), &mut out).unwrap();
        let expected = "17    ERROR    P-010  Revision 13 could not be pushed  x4\n      Why    timed out\n      \
                        Means  The service runs.\n      Do     Look at the link.\n      \
                        Since  2026-11-22T13:57:49Z (2m11s ago), last seen 2026-11-22T13:59:59Z (1 s ago)\n";
        assert_eq!(written.text(), expected);
    }
}
