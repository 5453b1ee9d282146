//! A message on its way, as far as it decides anything where it arrives.

use standin::engine::base::{RevisionId, Run};
use standin::engine::message::{Body, Hello, Renewal};
use standin::engine::sketch::Sketch as _;

use crate::sim::net::Item;
use crate::sim::world::World;

use super::Paper;

/// A renewal behind so many newer ones was sent longer ago than its hold time: nothing hangs on it, and how many decides nothing.
const BEHIND_MAX: u64 = 8;

pub(super) fn put(world: &World, to: usize, item: &Item, paper: &mut Paper<'_>) {
    let Item::Message(envelope) = item else {
        return paper.show(&"end");
    };
    let from = 1 - to;
    paper.show(&(envelope.role, envelope.term));
    paper.run_of(from, envelope.run);
    paper.show(&std::mem::discriminant(&envelope.body));
    match &envelope.body {
        Body::Hello(hello) | Body::Welcome(hello) => greeting(hello, paper),
        Body::Refused(refusal) => paper.show(&refusal.code),
        Body::Check(check) => {
            revision(check.head, paper);
            paper.flags(&[check.ready, check.takeover_checks_pass]);
        }
        Body::CheckAnswer(answer) => {
            revision(answer.head, paper);
            paper.flags(&[answer.active, answer.renewal.is_some(), answer.maintenance_ms.is_some_and(|left| left > 0)]);
            if let Some(asked) = answer.renewal {
                renewal(from, envelope.run, asked, paper);
            }
        }
        Body::Push(push) => {
            revision(Some(push.revision), paper);
            paper.flags(&[push.base.is_some()]);
        }
        Body::Applied(applied) => revision(Some(applied.revision), paper),
        Body::MayTakeOver { head } => revision(Some(*head), paper),
        Body::Ask { question, nonce } => {
            paper.show(question);
            question_of(world, from, *nonce, paper);
        }
        Body::Answer(answer) => {
            paper.show(&(answer.has_taken_over, answer.known_term, answer.open_offer));
            question_of(world, to, answer.nonce, paper);
        }
        Body::Offer(offer) => paper.show(&(offer.term, offer.kind)),
        Body::OfferTaken { term } => paper.word(term.0),
        Body::OfferRefused { term, own_term, .. } => paper.show(&(term, own_term)),
        Body::Farewell { kind } => paper.show(kind),
        Body::Pause { for_ms, kind } | Body::PauseHeard { for_ms, kind } => paper.show(&(for_ms, kind)),
        Body::Renew(asked) => renewal(from, envelope.run, *asked, paper),
        Body::Confirm { serial } => paper.word(paper.counters[to].serial.wrapping_sub(*serial).min(BEHIND_MAX)),
        Body::Takeovers(takeovers) => paper.word(takeovers.list.len() as u64),
        _ => {}
    }
}

fn greeting(hello: &Hello, paper: &mut Paper<'_>) {
    paper.show(&hello.purpose);
    revision(hello.head, paper);
    paper.flags(&[
        hello.complete,
        hello.was_master,
        hello.forced_shadow,
        hello.promised,
        hello.was_ready,
        hello.takeover_checks_pass,
    ]);
    paper.word(hello.takeovers.list.len() as u64);
}

/// By its place among the renewals of that run.
fn renewal(from: usize, run: Run, asked: Renewal, paper: &mut Paper<'_>) {
    paper.word(asked.promise_ms);
    if run == paper.runs[from] {
        paper.word(paper.counters[from].serial.wrapping_sub(asked.serial).min(BEHIND_MAX));
    }
}

/// By its place among the open questions of whoever asked.
fn question_of(world: &World, asker: usize, nonce: u64, paper: &mut Paper<'_>) {
    let index = world.nodes[asker].engine.as_ref().and_then(|engine| engine.question_index(nonce));
    paper.word(index.map_or(0, |index| index as u64 + 1));
}

fn revision(id: Option<RevisionId>, paper: &mut Paper<'_>) {
    paper.word(id.map_or(0, |id| id.number));
    paper.word(id.map_or(0, |id| id.term.0));
}
