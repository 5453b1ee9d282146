//! The pair, as the running instance sees it, and certificates.

use super::Finding;
use crate::cli::home::Context;
use crate::cli::rooms;
use crate::cli::text::wall_now;
use crate::engine::base::{LinkState, UnixMillis};
use crate::engine::status::{Protection, Status};

/// How long before its end a certificate is worth a look.
const CERTIFICATE_NOTICE_MS: i64 = 30 * 86_400_000;

/// Everything of this room.
pub fn look(context: &Context, status: Option<&Status>) -> Vec<Finding> {
    let now = wall_now();
    let Some(status) = status else {
        return rooms::certificate_expires(&context.home)
            .map(|at| certificate("certificate", at, now))
            .into_iter()
            .collect();
    };
    let mut findings = Vec::new();
    findings.extend(status.instance.certificate_expires.map(|at| certificate("certificate", at, now)));
    if let Some(peer) = &status.peer {
        findings.extend(peer.certificate_expires.map(|at| certificate("peer's cert.", at, now)));
    }
    findings.push(link(status));
    if let Some(dial_back) = status.dial_back.as_ref().filter(|dial_back| !dial_back.ok && status.peer.is_some()) {
        let todo = "The two cannot change places: open the shadow's port in its firewall, and check its own host.";
        findings.push(Finding::fail("dials back", dial_back.message.clone(), todo));
    }
    findings.extend(status.takeover.checks.iter().filter(|check| !check.ok).map(|check| {
        Finding::warn(
            "takeover check",
            format!("{}: {}", check.target, check.message),
            "A shadow whose checks all fail does not take over.",
        )
    }));
    findings.push(protection(status));
    findings
}

pub(super) fn link(status: &Status) -> Finding {
    const ABOUT: &str = "peer";
    let Some(state) = status.state else { return Finding::ok(ABOUT, "no role yet") };
    let message = status.state_message.as_deref().map_or(String::new(), |message| format!(": {message}"));
    let found = format!("{}{message}", state.word());
    match state {
        LinkState::Connected | LinkState::Ready => Finding::ok(ABOUT, found),
        LinkState::Alone | LinkState::Initial => {
            Finding::warn(ABOUT, found, "There is no pair yet; connect the shadow: standin shadow connect (there).")
        }
        LinkState::Binding | LinkState::Handshake | LinkState::Initsync | LinkState::Disconnecting => {
            Finding::warn(ABOUT, found, "Under way; look again.")
        }
        LinkState::Disconnected => Finding::warn(ABOUT, found, "To connect: standin shadow connect"),
        LinkState::Broken | LinkState::Lost => Finding::fail(
            ABOUT,
            found,
            "Look at the other machine, the cable, the firewall; standin shadow show lists each step.",
        ),
    }
}

fn protection(status: &Status) -> Finding {
    const ABOUT: &str = "protection";
    let found = format!("{}: {}", status.protection.word(), status.protection_message);
    match status.protection {
        Protection::Full => Finding::ok(ABOUT, found),
        _ => Finding::warn(ABOUT, found, "standin alerts says what to do."),
    }
}

/// Validity never refuses or ends the link (spec 3.4), so it is never a failure.
pub(super) fn certificate(about: &'static str, ends: UnixMillis, now: UnixMillis) -> Finding {
    let found = format!("ends {}", ends.rfc3339(0));
    let left_ms = ends.0 - now.0;
    if left_ms < 0 {
        let todo = "The link goes on all the same. To renew: disconnect, reset and pair again.";
        return Finding::warn(about, format!("{found}: over"), todo);
    }
    if left_ms < CERTIFICATE_NOTICE_MS {
        return Finding::warn(
            about,
            format!("{found}: in {} days", left_ms / 86_400_000),
            "The link goes on all the same.",
        );
    }
    Finding::ok(about, found)
}
