//! Virtual addresses (spec 7.14): could this machine take them?

use super::Finding;
use crate::cli::rooms;
use crate::engine::settings::Settings;
use crate::engine::status::Status;

const ABOUT: &str = "virtual address";
const TODO: &str = "Correct `addresses` in the settings, the interface, or the rights of Standin.";

/// What the running instance found, whose rights count; without one, what this command finds with its own.
pub fn look(settings: Option<&Settings>, status: Option<&Status>) -> Vec<Finding> {
    let found: Vec<(String, Option<String>)> = match (status, settings) {
        (Some(status), _) => {
            let about = |one: &crate::engine::status::AddressStatus| {
                (format!("{} on {}", one.address, one.interface), one.problem.clone())
            };
            status.addresses.iter().map(about).collect()
        }
        (None, Some(settings)) => rooms::address_problems(&settings.addresses),
        (None, None) => Vec::new(),
    };
    found
        .into_iter()
        .map(|(address, problem)| match problem {
            None => Finding::ok(ABOUT, format!("{address} can be taken")),
            Some(why) => Finding::fail(ABOUT, format!("{address}: {why}"), TODO),
        })
        .collect()
}
