//! `standin stop`: planned stop (spec 7.9).

use std::time::Duration;

use clap::Args;

use super::client::{Client, unexpected};
use super::home::Context;
use super::output::{Exit, Outcome, Output};
use crate::engine::base::Problem;
use crate::engine::order::{Order, Reply};

/// From the order to the end of the process: the longest legal stop grace (10 min), grace period and hand-over.
const END_LIMIT: Duration = Duration::from_secs(15 * 60);

/// `standin stop`.
#[derive(Debug, Args)]
pub struct StopArguments {
    /// Keep the role: the shadow is asked to wait instead of taking over (for a restart)
    #[arg(long)]
    pub keep_role: bool,
}

/// Stops the running instance and waits until it is gone.
///
/// # Errors
/// Refused (`--keep-role` without the shadow's acknowledgement), or still running after 15 minutes.
pub fn run(context: &Context, arguments: &StopArguments, out: &mut Output) -> Outcome {
    let mut client = Client::connect(&context.home)?;
    match client.order_within(Order::Stop { keep_role: arguments.keep_role }, END_LIMIT)? {
        Reply::Done(text) => out.line(&text)?,
        _ => return Err(unexpected().into()),
    }
    out.flush()?;
    if client.wait_for_end(END_LIMIT) {
        return Ok(Exit::Done);
    }
    Err(Problem::new(
        "The instance has not ended",
        format!("process {} still holds its control socket after {} minutes", client.process, END_LIMIT.as_secs() / 60),
        "Look with: standin status. Its service may not stop.",
    )
    .into())
}
