//! Every checker is shown to bite: for each a deliberate fault in the rules that it catches within [`LIVES_MAX`] lives.
#![allow(clippy::unwrap_used, clippy::print_stdout)]

use crate::engine::faults::{Fault, with};
use crate::sim::chaos;

/// Lives until a fault must have been caught.
const LIVES_MAX: u64 = 10_000;

/// The first life in which that checker complains, and about what.
fn first_catch(letter: char, fault: Fault) -> Option<(u64, String)> {
    let by = format!("({letter})");
    with(fault, || {
        (1..=LIVES_MAX).find_map(|seed| {
            let outcome = std::panic::catch_unwind(|| chaos::run(seed, false));
            outcome.unwrap_or(Ok(())).err().filter(|why| why.contains(&by)).map(|why| (seed, why))
        })
    })
}

fn bites(letter: char, fault: Fault) {
    let (seed, why) = first_catch(letter, fault).unwrap_or_else(|| panic!("{fault:?} is never caught by ({letter})"));
    println!("({letter}) catches {fault:?} in life {seed}: {why}");
}

/// architecture, Proof (a)
#[test]
fn two_active_are_caught() {
    bites('a', Fault::TakesOverInHandshake);
}

/// architecture, Proof (a): with an arbiter
#[test]
fn two_active_with_an_arbiter_are_caught() {
    bites('a', Fault::GrantsWhileLeased);
}

/// spec 7.11: architecture, Proof (a): the own promise counts beside the grant
#[test]
fn a_promise_that_is_not_waited_out_is_caught() {
    bites('a', Fault::IgnoresPromise);
}

/// spec 7.5: architecture, Proof (a): *not taken over* is a word that binds
#[test]
fn a_takeover_after_the_word_is_caught() {
    bites('a', Fault::AnswerCancelsNothing);
}

/// architecture, Proof (e): with an arbiter
#[test]
fn a_takeover_without_the_arbiter_is_caught() {
    bites('e', Fault::NeedsNoGrant);
}

/// architecture, Proof (b)
#[test]
fn a_term_used_twice_is_caught() {
    bites('b', Fault::ReusesTerm);
}

/// architecture, Proof (c)
#[test]
fn a_revision_acknowledged_too_early_is_caught() {
    bites('c', Fault::AcknowledgesEarly);
}

/// architecture, Proof (c)
#[test]
fn edits_that_get_lost_are_caught() {
    bites('c', Fault::ForgetsEdits);
}

/// architecture, Proof (d)
#[test]
fn a_pair_that_does_not_heal_is_caught() {
    bites('d', Fault::StopsLooking);
}

/// architecture, Proof (e)
#[test]
fn a_takeover_without_its_conditions_is_caught() {
    bites('e', Fault::TakesOverInHandshake);
}

/// architecture, Proof (f)
#[test]
fn a_directory_that_is_no_whole_revision_is_caught() {
    bites('f', Fault::SkipsDrift);
}

/// architecture, Proof (g)
#[test]
fn a_state_without_a_way_out_is_caught() {
    bites('g', Fault::ForgetsReply);
}

/// architecture, Proof (d): an operator's force is a way out of it.
#[test]
fn a_doubt_that_no_answer_ends_is_caught() {
    bites('d', Fault::StaysInDoubt);
}

/// architecture, Proof (h)
#[test]
fn an_alert_that_outlives_its_cause_is_caught() {
    bites('h', Fault::KeepsAlert);
}

/// architecture, Proof (h)
#[test]
fn a_cause_without_its_alert_is_caught() {
    bites('h', Fault::ForgetsAlert);
}

/// spec 2.4, 7.6, 7.11: architecture, Proof (a)
#[test]
fn a_stop_that_runs_out_its_grace_is_caught() {
    bites('a', Fault::RunsGraceOut);
}

/// spec 7.9: architecture, Proof (e)
#[test]
fn a_maintenance_that_a_restart_ends_is_caught() {
    bites('e', Fault::ForgetsPause);
}

/// spec 7.9: architecture, Proof (e)
#[test]
fn a_pause_of_one_side_alone_is_caught() {
    bites('e', Fault::PausesAlone);
}
