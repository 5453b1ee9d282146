//! `standin shadow connect`: the first connection compares the master's fingerprint before a password leaves this machine
//! (spec 3.1); every later one needs neither.

use clap::Args;

use crate::cli::client::{Client, unexpected};
use crate::cli::home::Context;
use crate::cli::output::{Outcome, Output, note};
use crate::cli::password::PasswordSource;
use crate::cli::reconnect::told;
use crate::cli::terminal_input::{ask, can_ask, confirm};
use crate::engine::base::{Fingerprint, Problem, Role};
use crate::engine::order::{MasterSeen, Order, Reply};
use crate::engine::status::Status;

/// `standin shadow connect`.
#[derive(Debug, Default, Args)]
pub struct ConnectArguments {
    /// An administrator of the master (asked for when absent)
    #[arg(long, value_name = "NAME")]
    pub user: Option<String>,
    /// Where the password is.
    #[command(flatten)]
    pub password: PasswordSource,
    /// The master's fingerprint, as its console and its standin status show it
    #[arg(long, value_name = "SHA256:…")]
    pub fingerprint: Option<Fingerprint>,
}

/// Connects.
///
/// # Errors
/// Not a shadow, no such fingerprint, not confirmed, or the refusal of the master.
pub fn run(context: &Context, arguments: &ConnectArguments, out: &mut Output) -> Outcome {
    let mut client = Client::connect(&context.home)?;
    let status = client.status()?;
    refuse_unless_shadow(&status)?;
    if let Some(pinned) = status.peer.as_ref().and_then(|peer| peer.fingerprint) {
        if let Some(expected) = arguments.fingerprint.filter(|expected| *expected != pinned) {
            return Err(other_fingerprint("the pinned master", expected, pinned).into());
        }
        if arguments.user.is_some() {
            note("Already paired: the certificates are enough, user and password were not used.");
        }
        return told(client.order(Order::Connect)?, out);
    }
    let Reply::MasterSeen(seen) = client.order(Order::Probe { host: None, port: None })? else {
        return Err(unexpected().into());
    };
    let fingerprint = agreed_fingerprint(&seen, arguments.fingerprint)?;
    let user = match &arguments.user {
        Some(user) => user.clone(),
        None => ask("Administrator of the master: ")?.trim().to_owned(),
    };
    let password = arguments.password.read(&format!("Password of {user}: "))?;
    told(client.order(Order::Pair { user, password, fingerprint })?, out)
}

fn refuse_unless_shadow(status: &Status) -> Result<(), Problem> {
    let why = match status.role {
        Some(Role::Shadow) => return Ok(()),
        Some(Role::Master) => "this instance is master; only a shadow connects",
        None => "this instance has no role yet",
    };
    Err(Problem::new("Not connected", why, "Run this on the shadow; a first role is set by standin or standin setup."))
}

/// The fingerprint that the operator compared: by option, or by eye.
fn agreed_fingerprint(seen: &MasterSeen, expected: Option<Fingerprint>) -> Result<Fingerprint, Problem> {
    match expected {
        Some(expected) if expected == seen.fingerprint => Ok(expected),
        Some(expected) => Err(other_fingerprint(&seen.host, expected, seen.fingerprint)),
        None if can_ask() => {
            note(&introduction(seen));
            if confirm("Is this the fingerprint on the master's console? Type yes: ", &["yes"])? {
                Ok(seen.fingerprint)
            } else {
                Err(Problem::new("Not connected", "the fingerprint was not confirmed", "Nothing was sent."))
            }
        }
        None => Err(Problem::new(
            "Not connected",
            format!("nobody can compare the fingerprint {} of {} here", seen.fingerprint, seen.host),
            "Compare it with standin status on the master, then give it with --fingerprint.",
        )),
    }
}

fn other_fingerprint(who: &str, expected: Fingerprint, seen: Fingerprint) -> Problem {
    Problem::new(
        format!("Not connected, nothing was sent: {who} has another certificate"),
        format!("expected {expected}, found {seen}"),
        "Compare with standin status on the master. If the two differ there too, something else answers at that address.",
    )
}

fn introduction(seen: &MasterSeen) -> String {
    let role = seen.role.map_or("without a role", Role::word);
    let hint = if seen.same_network {
        ""
    } else {
        "\nThe two addresses share no network. Master and shadow belong into the same network segment."
    };
    format!(
        "{} port {} answered from {}: standin {}, {role}. Its certificate:\n\n  {}\n{hint}\n\
         Before you go on: LDAP is configured first if it is to be used, and the service is configured on both.",
        seen.host, seen.port, seen.address, seen.version, seen.fingerprint
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen() -> MasterSeen {
        MasterSeen {
            host: "node-a".into(),
            port: 8443,
            address: "10.1.4.20:8443".into(),
            fingerprint: format!("SHA256:{}", "5a".repeat(32)).parse().unwrap(),
            version: "0.1.0".into(),
            role: Some(Role::Master),
            same_network: false,
        }
    }

    /// spec 3.1: only an equal fingerprint goes on; a refusal shows both whole.
    #[test]
    fn another_fingerprint_is_refused_with_both_in_full() {
        assert_eq!(agreed_fingerprint(&seen(), Some(seen().fingerprint)), Ok(seen().fingerprint));
        let expected: Fingerprint = "c4".repeat(32).parse().unwrap();
        let problem = agreed_fingerprint(&seen(), Some(expected)).unwrap_err().to_string();
        assert!(
            problem.contains(&expected.to_string()) && problem.contains(&seen().fingerprint.to_string()),
            "{problem}"
        );
        assert!(problem.contains("nothing was sent"));
    }

    /// spec 3.1, 1.5: the whole fingerprint and what has to be done before.
    #[test]
    fn the_operator_sees_the_whole_fingerprint_and_the_hints() {
        let text = introduction(&seen());
        assert!(text.contains(&seen().fingerprint.to_string()), "{text}");
        assert!(text.contains("share no network") && text.contains("LDAP") && text.contains("configured on both"));
    }

    /// spec 4.4: only a shadow connects.
    #[test]
    fn a_master_does_not_connect() {
        let status = Status { role: Some(Role::Master), ..Status::default() };
        assert!(refuse_unless_shadow(&status).unwrap_err().why.contains("only a shadow"));
    }
}
