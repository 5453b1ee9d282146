//! `standin setup`. INTEGRATOR: replace this file by `cli::setup` (its arguments and `apply`); this is the call site only.

use clap::Args;

use super::home::Context;
use super::output::{Outcome, Output};
use crate::engine::base::Problem;

/// Placeholder of `cli::setup::SetupArgs`.
#[derive(Debug, Args)]
pub struct SetupArguments {
    /// Whatever the setup takes
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, hide = true)]
    pub rest: Vec<String>,
}

/// Call site.
///
/// # Errors
/// Always, until the setup is here.
pub fn run(_context: &Context, _arguments: &SetupArguments, _out: &mut Output) -> Outcome {
    Err(Problem::new("Nothing was set up", "this build does not contain the setup yet", "").into())
}
