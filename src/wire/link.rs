//! Messages of the link: [`Envelope`] to bytes and back.

use serde::{Deserialize, Serialize};

use super::{Limited, Part, WireError, check, cut, from_bytes, to_bytes};
use crate::engine::base::{InstanceId, PairId, Role, Run, Term};
use crate::engine::damping::{TAKEOVERS_MAX, Takeovers};
use crate::engine::kit::{KIT_LIST_MAX, KIT_TEXT_MAX, Kit};
use crate::engine::message::{
    BRANCH_FILES_MAX, Body, Branch, Envelope, Hello, PUSH_PAYLOAD_MAX_BYTES, Push, Refusal, TRAIL_MAX,
};
use crate::engine::settings::patterns::{PATTERN_MAX_BYTES, PATTERNS_MAX};

/// Protocol name of the link in the TLS handshake.
pub const ALPN: &[u8] = b"standin/1";
/// Longest host name (RFC 1035).
pub const HOST_MAX_CHARS: usize = 253;
/// Longest sentence for people.
pub const WHY_MAX_CHARS: usize = 1_000;
/// Longest program version.
pub const VERSION_MAX_CHARS: usize = 64;
/// Longest free text of an operator.
pub const DESCRIPTION_MAX_CHARS: usize = 1_000;
/// Longest name of a user, a branch, a kind of service.
pub const NAME_MAX_CHARS: usize = 200;
/// Longest path named in a branch: fifty of the longest still fit into one frame.
pub const PATH_MAX_CHARS: usize = 1_000;

/// `envelope` as the payload of a frame. Texts and lists over their limit are cut, so that the other end never refuses them.
#[must_use]
pub fn encode(envelope: &Envelope) -> Vec<u8> {
    let mut envelope = envelope.clone();
    cut(&mut envelope.body);
    // Every type of the message writes itself, and a vector takes every byte: nothing is left that could fail.
    to_bytes(&envelope).unwrap_or_default()
}

/// The message in the payload of a frame. A body unknown to this version is [`Body::Unknown`], whatever it holds.
///
/// # Errors
/// When it is no envelope, or a text or list in it is over its limit.
pub fn decode(bytes: &[u8]) -> Result<Envelope, WireError> {
    let mut envelope = match from_bytes::<Envelope>(bytes) {
        Ok(envelope) => envelope,
        Err(error) => from_the_future(bytes).ok_or(error)?,
    };
    check(&mut envelope.body)?;
    Ok(envelope)
}

#[derive(Deserialize)]
struct Outline {
    pair: PairId,
    from: InstanceId,
    run: Run,
    role: Role,
    term: Term,
    body: Kind,
}

#[derive(Serialize, Deserialize)]
struct Kind {
    kind: String,
}

/// serde would read the content of an unknown body as that of the unit variant and stumble over it.
fn from_the_future(bytes: &[u8]) -> Option<Envelope> {
    let outline: Outline = from_bytes(bytes).ok()?;
    let bare = to_bytes(&outline.body).ok()?;
    let body = from_bytes::<Body>(&bare).ok().filter(|body| *body == Body::Unknown)?;
    let Outline { pair, from, run, role, term, .. } = outline;
    Some(Envelope { pair, from, run, role, term, body })
}

impl Limited for Body {
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        match self {
            Self::Hello(hello) | Self::Welcome(hello) => hello.limits(visit),
            Self::Refused(refusal) => refusal.limits(visit),
            Self::CheckAnswer(answer) => {
                visit(Part::Text("description", &mut answer.description, DESCRIPTION_MAX_CHARS));
            }
            Self::Push(push) => push.limits(visit),
            Self::ApplyFailed { why, .. } | Self::OfferRefused { why, .. } => {
                visit(Part::Text("why", why, WHY_MAX_CHARS));
            }
            Self::PleaseDisconnect { by } | Self::PleaseReconnect { by } => {
                visit(Part::Text("by", by, NAME_MAX_CHARS));
            }
            Self::BranchKept(branch) => branch.limits(visit),
            Self::Takeovers(takeovers) => takeovers.limits(visit),
            Self::Kit(kit) => kit.limits(visit),
            Self::Check(_)
            | Self::Applied(_)
            | Self::MayTakeOver { .. }
            | Self::Ask { .. }
            | Self::Answer(_)
            | Self::Offer(_)
            | Self::OfferTaken { .. }
            | Self::Farewell { .. }
            | Self::FarewellHeard
            | Self::Pause { .. }
            | Self::PauseHeard { .. }
            | Self::Renew(_)
            | Self::Confirm { .. }
            | Self::Unknown => {}
        }
    }
}

impl Limited for Hello {
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        visit(Part::Text("version", &mut self.version, VERSION_MAX_CHARS));
        visit(Part::Text("host", &mut self.host, HOST_MAX_CHARS));
        visit(Part::Text("description", &mut self.description, DESCRIPTION_MAX_CHARS));
        visit(Part::Text("service", &mut self.service, NAME_MAX_CHARS));
        let trail = &mut self.trail;
        visit(Part::List("trail", trail.len(), TRAIL_MAX, &mut |to| trail.truncate(to)));
        self.takeovers.limits(visit);
        if let Some(kit) = &mut self.kit {
            kit.limits(visit);
        }
    }
}

impl Limited for Takeovers {
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        let list = &mut self.list;
        visit(Part::List("takeovers", list.len(), TAKEOVERS_MAX, &mut |to| list.truncate(to)));
    }
}

impl Limited for Kit {
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        visit(Part::Text("service", &mut self.service, KIT_TEXT_MAX));
        visit(Part::Text("service name", &mut self.service_name, KIT_TEXT_MAX));
        visit(Part::Text("users", &mut self.facts.users_digest, KIT_TEXT_MAX));
        visit(Part::Text("user", &mut self.facts.runs_as, KIT_TEXT_MAX));
        let lists = [("hooks", &mut self.hooks), ("arbiter", &mut self.arbiter), ("addresses", &mut self.addresses)];
        for (name, list) in lists {
            visit(Part::List(name, list.len(), KIT_LIST_MAX, &mut |to| list.truncate(to)));
            for text in list.iter_mut().take(KIT_LIST_MAX) {
                visit(Part::Text(name, text, KIT_TEXT_MAX));
            }
        }
        if let Some(patterns) = &mut self.exclude {
            visit(Part::List("exclude", patterns.len(), PATTERNS_MAX, &mut |to| patterns.truncate(to)));
            for pattern in patterns.iter_mut().take(PATTERNS_MAX) {
                visit(Part::Text("exclude", pattern, PATTERN_MAX_BYTES));
            }
        }
    }
}

impl Limited for Refusal {
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        visit(Part::Text("why", &mut self.why, WHY_MAX_CHARS));
    }
}

impl Limited for Push {
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        // A cut payload would be a wrong one: its maker keeps the limit, and a wrong one is refused by the receiver.
        visit(Part::List("payload", self.payload.len(), PUSH_PAYLOAD_MAX_BYTES, &mut |_| {}));
    }
}

impl Limited for Branch {
    fn limits(&mut self, visit: &mut dyn FnMut(Part<'_>)) {
        visit(Part::Text("name", &mut self.name, NAME_MAX_CHARS));
        visit(Part::Text("author", &mut self.author, NAME_MAX_CHARS));
        visit(Part::Text("holder", &mut self.holder, NAME_MAX_CHARS));
        let files = &mut self.files;
        visit(Part::List("files", files.len(), BRANCH_FILES_MAX, &mut |to| files.truncate(to)));
        for file in files.iter_mut().take(BRANCH_FILES_MAX) {
            visit(Part::Text("path", file, PATH_MAX_CHARS));
        }
    }
}

#[cfg(test)]
mod tests;
