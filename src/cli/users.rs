//! `standin users`: local users (spec 9.1).

use clap::{Args, Subcommand};

use super::client::Client;
use super::home::{Context, refuse_foreign};
use super::output::{Exit, Failure, Outcome, Output};
use super::password::PasswordSource;
use super::reconnect::told;
use super::rooms;
use crate::engine::order::Order;

/// `standin users …`.
#[derive(Debug, Subcommand)]
pub enum UsersAction {
    /// Names and roles
    List,
    /// Set the password of a local user
    SetPassword(SetPasswordArguments),
}

/// `standin users set-password`.
#[derive(Debug, Args)]
pub struct SetPasswordArguments {
    /// Of the user
    pub name: String,
    /// Where the new password is.
    #[command(flatten)]
    pub password: PasswordSource,
}

/// Runs one of them.
///
/// # Errors
/// No such user, a password against the rules (spec 1.2).
pub fn run(context: &Context, action: &UsersAction, out: &mut Output) -> Outcome {
    match action {
        UsersAction::List => {
            for user in rooms::users(&context.home)? {
                out.line(&format!("{:<24}{}", user.name, user.role))?;
            }
            Ok(Exit::Done)
        }
        UsersAction::SetPassword(arguments) => set_password(context, arguments, out),
    }
}

/// Through the running instance, which knows at once; else in the file.
fn set_password(context: &Context, arguments: &SetPasswordArguments, out: &mut Output) -> Outcome {
    let user = arguments.name.clone();
    match Client::connect(&context.home) {
        Ok(mut client) => {
            let password = arguments.password.read_new(&user)?;
            told(client.order(Order::SetPassword { user, password })?, out)
        }
        Err(Failure::NotRunning(_)) => {
            refuse_foreign(&context.home)?;
            let password = arguments.password.read_new(&user)?;
            rooms::set_password(&context.home, &user, &password)?;
            out.line(&format!("The password of {user} was changed."))?;
            Ok(Exit::Done)
        }
        Err(failure) => Err(failure),
    }
}
