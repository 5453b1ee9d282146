//! `standin serve`: the engine without a console, for systemd.

use super::home::{Context, refuse_foreign};
use super::output::{Exit, Outcome};
use super::rooms;

/// Runs until stopped.
///
/// # Errors
/// Why it could not start.
pub fn run(context: &Context) -> Outcome {
    refuse_foreign(&context.home)?;
    let status = rooms::serve(context)?;
    Ok(Exit::Status(u8::try_from(status).unwrap_or(1)))
}
