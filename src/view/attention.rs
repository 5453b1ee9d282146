//! What holds the instance back, first thing on the Overview: the word, the facts, the keys (spec 7.5, 7.7, 7.9, 7.10, 8.3).

use unicode_width::UnicodeWidthStr;

use super::page::Page;
use crate::console::facts::{self, peer_name};
use crate::console::model::{EngineLink, Model};
use crate::engine::base::{Condition, LinkState, Role};
use crate::engine::status::{Hold, Status};

/// Cells of a count-down's bar.
const BAR_CELLS: usize = 16;

/// Adds what needs attention, if anything does.
pub fn add(page: &mut Page, model: &Model, status: &Status) {
    let before = page.lines.len();
    if let EngineLink::Away { since, .. } = &model.link {
        heading(page, "STANDIN DOES NOT ANSWER HERE", &format!("since {}", facts::moment(*since, model.now)));
        let from = facts::moment(model.shown_at, model.now);
        let text = format!(
            "It was stopped or has failed, and its service with it. All below is what was known at {from}. To start it: \
             leave with q, then standin, or your system's service manager."
        );
        page.text(3, &text, page.theme.plain());
    }
    if status.stopping {
        heading(page, "STANDIN IS STOPPING", "");
        page.text(
            3,
            "The service stops first; then the role is handed over if the other side can take it.",
            page.theme.plain(),
        );
    }
    if let Some(condition) = status.condition {
        add_condition(page, model, status, condition);
    } else if let Some(hold) = &status.hold {
        add_hold(page, model, "WAITING", hold);
    }
    if status.maintenance_until.is_some() && status.condition != Some(Condition::Maintenance) {
        add_maintenance(page, status);
    }
    if status.state == Some(LinkState::Lost) {
        add_takeover(page, model, status);
    }
    if status.role == Some(Role::Master) && status.state == Some(LinkState::Broken) && status.condition.is_none() {
        heading(page, &format!("{} IS SILENT", peer_name(status).to_uppercase()), "state BROKEN");
        message(page, status);
    }
    if !status.branches.is_empty() {
        let count = facts::counted(status.branches.len() as u64, "branch");
        heading(page, &format!("{} KEPT AFTER A DIVERGENCE", count.to_uppercase()), "o shows them");
        page.text(
            3,
            &format!("Both instances had changed the configuration: {}.", status.branches.join(", ")),
            page.theme.plain(),
        );
    }
    if page.lines.len() > before {
        page.blank();
    }
}

fn heading(page: &mut Page, left: &str, right: &str) {
    let style = page.theme.error();
    let plain = page.theme.strong();
    let fits = left.width() + right.width() + 6 <= page.width;
    let beside = if fits && !right.is_empty() { format!("   {right}") } else { String::new() };
    page.spans(vec![(" ".into(), page.theme.plain()), (format!(" {left} "), style), (beside, plain)]);
    if !fits {
        page.text(3, right, plain);
    }
}

fn message(page: &mut Page, status: &Status) {
    if let Some(text) = &status.state_message {
        page.text(3, text, page.theme.plain());
    }
}

fn add_condition(page: &mut Page, model: &Model, status: &Status, condition: Condition) {
    let peer = peer_name(status);
    let plain = page.theme.plain();
    match condition {
        Condition::BootHold => match &status.hold {
            Some(hold) => {
                add_hold(page, model, "BOOT HOLD", hold);
                page.text(3, "This instance was master. It does not run the service yet.", plain);
                page.text(3, &format!("r resumes now: only if {peer} is surely not master."), plain);
            }
            None => heading(page, "BOOT HOLD", "waits for an answer"),
        },
        Condition::Switching => {
            let switch = status.switching.as_ref();
            let key = if switch.is_some_and(|switch| switch.can_abort) { "a ends it" } else { "too late to end it" };
            heading(page, "SWITCHING ROLES", if switch.is_some() { key } else { "changes are frozen" });
            if let Some(switch) = switch {
                page.text(3, &format!("Step {}.", switch.step), plain);
            }
            message(page, status);
        }
        Condition::InDoubt => {
            heading(page, "IN DOUBT: NOBODY IS ACTIVE", "the service is stopped");
            message(page, status);
            page.text(
                3,
                &format!("The role was offered to {peer} and no answer came. It is asked again and again."),
                plain,
            );
            page.text(3, &format!("T becomes master here: only if {peer} is surely not master."), plain);
        }
        Condition::Isolated => {
            heading(page, "ISOLATED", "the service is stopped, the role is kept");
            message(page, status);
            let (who, end) = if status.arbiter.is_some() {
                (
                    "the arbiter has confirmed this master within its hold time",
                    "It resumes when one of them confirms it.",
                )
            } else {
                ("any takeover check answers: this machine is cut off", "It resumes by itself when they answer again.")
            };
            page.text(3, &format!("Neither {peer} nor {who}."), plain);
            page.text(3, end, plain);
        }
        Condition::Maintenance => add_maintenance(page, status),
        Condition::Damped => {
            heading(page, "DAMPED", "too many takeovers in a short time");
            page.text(3, &damped_text(status, model), plain);
            message(page, status);
        }
        Condition::Stopping => {
            heading(page, "STOPPING", "the service is being stopped");
            message(page, status);
        }
    }
}

fn add_maintenance(page: &mut Page, status: &Status) {
    let until = status.maintenance_until.map_or_else(String::new, |at| format!("until {}", at.clock(0)));
    heading(page, "MAINTENANCE", &format!("takeovers are suspended {until}   M ends it"));
}

fn add_hold(page: &mut Page, model: &Model, word: &str, hold: &Hold) {
    match hold.ends_at {
        Some(ends_at) => {
            let left = facts::seconds_left(ends_at, model.now);
            let done = hold.of_ms.saturating_sub(facts::between(model.now, ends_at));
            heading(page, word, &format!("ends in {left} s   {}", bar(done, hold.of_ms)));
        }
        None => heading(page, word, "ends by an answer or an order only"),
    }
    page.text(3, &hold.why, page.theme.plain());
}

/// What the damping does now, until when, and how it ends (spec 7.15).
#[must_use]
pub fn damped_text(status: &Status, model: &Model) -> String {
    let delay = facts::duration(status.takeover.delay_ms);
    let usual = status.pair_settings().shadow.takeover_delay;
    let usual = if usual == status.takeover.delay_ms {
        String::new()
    } else {
        format!(" instead of {}", facts::duration(usual))
    };
    let ends = status
        .hold
        .as_ref()
        .and_then(|hold| hold.ends_at)
        .map_or_else(String::new, |at| format!(", for {} more", facts::age(facts::between(model.now, at))));
    format!("The takeover delay is {delay}{usual}{ends}. r clears it.")
}

/// The takeover, counting down or with the reason why not.
pub fn add_takeover(page: &mut Page, model: &Model, status: &Status) {
    let peer = peer_name(status);
    match (status.takeover.due_at, &status.takeover.why_not) {
        (_, Some(why_not)) => {
            heading(page, &format!("{} LOST, NO TAKEOVER", peer.to_uppercase()), "");
            page.text(3, why_not, page.theme.plain());
        }
        (Some(due_at), None) => {
            let left = facts::seconds_left(due_at, model.now);
            heading(
                page,
                &format!("{} LOST", peer.to_uppercase()),
                &format!("takeover in {left} s unless it answers   {}", countdown(status, model)),
            );
            message(page, status);
        }
        (None, None) => {
            let waits =
                status.takeover.waits_for.as_ref().map_or_else(String::new, |what| format!("takeover when {what}"));
            heading(page, &format!("{} LOST", peer.to_uppercase()), &waits);
            message(page, status);
        }
    }
}

/// `[==========......]  1/3 s` of the takeover delay.
#[must_use]
pub fn countdown(status: &Status, model: &Model) -> String {
    let Some(due_at) = status.takeover.due_at else { return String::new() };
    let delay = status.takeover.delay_ms.max(1);
    let done = delay.saturating_sub(facts::between(model.now, due_at));
    bar(done, delay)
}

/// `[====....]  12/60 s`
#[must_use]
pub fn bar(done_ms: u64, of_ms: u64) -> String {
    let of_ms = of_ms.max(1);
    let done = done_ms.min(of_ms);
    let cells = usize::try_from(done * BAR_CELLS as u64 / of_ms).unwrap_or(0).min(BAR_CELLS);
    let seconds = if of_ms < 1_000 {
        format!("{done}/{of_ms} ms")
    } else {
        format!("{}/{} s", done / 1_000, of_ms.div_ceil(1_000))
    };
    format!("[{}{}]  {seconds}", "=".repeat(cells), ".".repeat(BAR_CELLS - cells))
}
