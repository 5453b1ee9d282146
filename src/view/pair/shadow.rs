//! Shadow Connector: trust, connection step by step, takeover or why not, timing (spec 4, 7.1, 7.2).

use super::super::attention;
use super::super::page::{Page, pad};
use crate::console::facts::{self, duration};
use crate::console::model::Model;
use crate::engine::base::{Condition, LinkState};
use crate::engine::settings::{failover, table};
use crate::engine::status::Status;
use crate::engine::status::words::clock_text;

/// Adds the page.
pub fn add(page: &mut Page, model: &Model, status: &Status) {
    let theme = page.theme;
    let shadow = &status.settings.shadow;
    let state = status.state.map_or("unknown", LinkState::word);
    let master = if shadow.master_hosts.is_empty() {
        "none configured".to_owned()
    } else {
        format!("{} port {}", shadow.master_hosts.join(", "), shadow.master_port)
    };
    page.title(&format!("{}{master}", pad("Master", 14)), &format!("state {state} "));
    if let Some(message) = &status.state_message {
        page.styled_field("", message, theme.warning());
    }
    trust(page, status);
    next_step(page, status);
    page.blank();
    connection(page, status);
    takeover(page, model, status);
    page.blank();
    let timing = format!(
        "check {}   delay {}   connect {}   request {}",
        duration(shadow.check_interval),
        duration(shadow.takeover_delay),
        duration(shadow.connect_timeout),
        duration(shadow.request_timeout)
    );
    page.field("Timing", &timing);
    let now = status.failover_settings();
    let longest = table::seconds_text(failover::longest_failover_ms(&now));
    page.field("", &format!("{}; {longest} at the longest", table::replaced_after_text(&now.shadow)));
    match &status.settings_locked {
        Some(why) => page.field("", &format!("locked: {why}")),
        None => page.field("", "e edit"),
    }
    if status.peer.is_some() {
        page.field("", "i measures whether the timeouts hold");
    }
    page.blank();
    differences(page, status);
    super::rest(page, model, status);
}

/// What would hurt here at a takeover (spec 2.6), and the clocks.
fn differences(page: &mut Page, status: &Status) {
    let Some(peer) = &status.peer else { return };
    let style = page.theme.warning();
    for (index, difference) in peer.differences.iter().enumerate() {
        page.styled_field(if index == 0 { "Differs" } else { "" }, &format!("! {difference}"), style);
    }
    if let Some(difference) = peer.clock_difference_ms {
        page.field("Clock", &format!("the master's is {}", clock_text(difference)));
    }
    if !peer.differences.is_empty() || peer.clock_difference_ms.is_some() {
        page.blank();
    }
}

fn trust(page: &mut Page, status: &Status) {
    let Some(peer) = &status.peer else {
        page.field("Trust", "no master's certificate is pinned yet");
        return;
    };
    let ends = peer.certificate_expires.map_or_else(String::new, |at| format!(", ends {}", facts::day(at)));
    page.field("Trust", &format!("certificate pinned{ends}"));
    super::fingerprint(page, peer.fingerprint);
    let mut about = format!("{}, version {}, term {}", peer.host, peer.version, peer.term);
    if !peer.description.is_empty() {
        about = format!("{about}, {}", peer.description);
    }
    page.field("", &about);
}

fn next_step(page: &mut Page, status: &Status) {
    let text = match status.state {
        Some(LinkState::Initial) => "Next: press e and say where the master is, then c to connect.",
        Some(LinkState::Disconnected) if status.peer.is_none() => {
            "Next: press c: compare the master's fingerprint, then log on as its administrator."
        }
        Some(LinkState::Disconnected) => "Next: press c to connect again. Until then nothing is mirrored.",
        _ => return,
    };
    page.blank();
    page.text(1, text, page.theme.strong());
}

fn connection(page: &mut Page, status: &Status) {
    let theme = page.theme;
    page.title("Connection", "");
    if status.link.is_empty() {
        page.text(3, "Not tried yet.", theme.plain());
    }
    for step in &status.link {
        let (word, style) = match step.ok {
            Some(true) => ("[ok]", theme.plain()),
            Some(false) => ("[FAIL]", theme.error()),
            None => ("[--]", theme.quiet()),
        };
        let message = super::super::page::shorten(&step.message, page.width.saturating_sub(36));
        let gap = " ".repeat(7usize.saturating_sub(word.len()));
        page.spans(vec![
            ("   ".into(), theme.plain()),
            (word.into(), style),
            (format!("{gap} {} {message}", pad(&step.name, 21)), theme.plain()),
        ]);
    }
    if let Some(transfer) = &status.transfer {
        let percent = (transfer.bytes_done * 100).checked_div(transfer.bytes_total).unwrap_or(0);
        let rate = transfer.rate.map_or(String::new(), |rate| format!(", {}/s", facts::bytes(rate)));
        let left = transfer.left_ms.map_or(String::new(), |ms| format!(", {} left", facts::age(ms)));
        let text = format!(
            "{} {} of {}, {} of {}, {percent} %{rate}{left}",
            transfer.step.word(),
            facts::grouped(transfer.files_done),
            facts::counted(transfer.files_total, "file"),
            facts::bytes(transfer.bytes_done),
            facts::bytes(transfer.bytes_total)
        );
        page.field("  transfer", &text);
    }
    page.blank();
}

fn takeover(page: &mut Page, model: &Model, status: &Status) {
    let theme = page.theme;
    let takeover = &status.takeover;
    match (takeover.due_at, &takeover.why_not) {
        (_, Some(why_not)) => page.styled_field("Takeover", &format!("no: {why_not}"), theme.warning()),
        (Some(due_at), None) => {
            let left = facts::seconds_left(due_at, model.now);
            let text = format!("in {left} s unless the master answers     {}", attention::countdown(status, model));
            page.styled_field("Takeover", &text, theme.warning());
        }
        (None, None) if takeover.waits_for.is_some() => {
            let waits_for = takeover.waits_for.as_deref().unwrap_or_default();
            page.styled_field("Takeover", &format!("when {waits_for}, unless the master answers"), theme.warning());
        }
        (None, None) => {
            let delay = if takeover.delay_ms > 0 { takeover.delay_ms } else { status.settings.shadow.takeover_delay };
            page.field("Takeover", &format!("when the master has been silent for {}", duration(delay)));
        }
    }
    if status.condition == Some(Condition::Damped) {
        page.styled_field("  damped", &attention::damped_text(status, model), theme.warning());
    }
    if takeover.checks.is_empty() {
        page.field("  checks", "none configured: nothing else is asked before a takeover");
    } else {
        super::checks(page, "  checks", &takeover.checks);
    }
}
