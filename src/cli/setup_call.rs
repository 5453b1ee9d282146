//! `standin setup`: the first start without questions (spec 1.4), and a new identity for a copied home (spec 7.6).

use super::home::Context;
use super::output::{Exit, Outcome, Output};
use super::rooms::{self, Writer};
use super::setup::{self, SetupArgs, SetupTask};

/// Sets up, or gives a new identity.
///
/// # Errors
/// All problems at once; nothing is written then.
pub fn run(context: &Context, arguments: &SetupArgs, out: &mut Output) -> Outcome {
    let (_, base) = setup::settings_before(&context.settings)?;
    let host = rooms::host_names().into_iter().next().unwrap_or_default();
    if let Some(role) = rooms::role_of(&context.home)?
        && !arguments.new_identity
    {
        return Err(setup::already(&context.home, role).into());
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
