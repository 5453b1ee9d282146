//! `standin setup`: the first start without questions (spec 1.4), a new identity for a copied home (spec 7.6), and a lost settings
//! file written anew.

use super::client::Client;
use super::home::{Context, refuse_foreign};
use super::output::{Exit, Failure, Outcome, Output};
use super::rooms::{self, Writer};
use super::setup::{self, SetupArgs, SetupTask};
use crate::engine::base::Problem;
use crate::engine::settings::{Settings, table};

/// What no record knows.
const TO_SET_AGAIN: &str = "All else is as by default. Before you start it set again what was not: listen address and ports \
    (administration, high_availability.port), configuration.directory, service, hooks, takeover checks, arbiter, addresses, \
    permitted shadow host. The file of the other instance may serve as a pattern.";

/// Sets up, gives a new identity, or writes a lost settings file.
///
/// # Errors
/// All problems at once; nothing is written then.
pub fn run(context: &Context, arguments: &SetupArgs, out: &mut Output) -> Outcome {
    if arguments.write_settings {
        return write_settings(context, arguments, out);
    }
    let (_, base) = setup::settings_before(&context.settings)?;
    let host = rooms::host_names().into_iter().next().unwrap_or_default();
    if let Some(role) = rooms::role_of(&context.home)?
        && !arguments.new_identity
    {
        let lost = rooms::lost_settings(&context.home, &context.settings);
        return Err(lost.unwrap_or_else(|| setup::already(&context.home, role)).into());
    }
    let lines = match arguments.task(&base, &host).map_err(rooms::together)? {
        SetupTask::First(plan) => setup::apply(&context.home, &plan, &Writer)?,
        SetupTask::NewIdentity => {
            let host = if base.host.is_empty() { host } else { base.host };
            rooms::new_identity(&context.home, &host)?
        }
    };
    for line in lines {
        out.line(&line)?;
    }
    Ok(Exit::Done)
}

/// A running instance has its settings in force; of one at rest the record knows some.
fn write_settings(context: &Context, arguments: &SetupArgs, out: &mut Output) -> Outcome {
    let path = &context.settings;
    if !rooms::is_missing(path) {
        let what = format!("{} is there: nothing was written", path.display());
        let why = "only a lost settings file is written anew";
        return Err(Problem::new(what, why, "Edit it, or move it away first").into());
    }
    refuse_foreign(&context.home)?;
    let (known, is_running) = match Client::connect(&context.home) {
        Ok(mut client) => (client.status()?.settings, true),
        Err(Failure::NotRunning(_)) => (rooms::settings_of_record(&context.home)?, false),
        Err(failure) => return Err(failure),
    };
    let (settings, mut problems) = arguments.settings_on(known);
    problems.extend(table::validate(&settings).into_iter().map(|(_, problem)| problem));
    if !problems.is_empty() {
        return Err(rooms::together(problems));
    }
    rooms::write_settings(path, &settings)?;
    let from = if is_running { "the settings in force" } else { "what the record knows" };
    out.line(&format!("{}: written, commented, with {from}", path.display()))?;
    for line in set_lines(&settings) {
        out.line(&format!("  {line}"))?;
    }
    if !is_running {
        out.line(TO_SET_AGAIN)?;
    }
    Ok(Exit::Done)
}

/// What differs from the default.
fn set_lines(settings: &Settings) -> Vec<String> {
    let values = table::differences(&Settings::default(), settings);
    let line = |(key, value)| Some(format!("{key}: {}", table::shown(table::row(key)?, &value)));
    values.into_iter().filter_map(line).collect()
}
