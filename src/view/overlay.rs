//! What lies over a screen: help, palette, comparison, branches, one event.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::events;
use super::history;
use super::page::{Page, pad, shorten};
use super::theme::Theme;
use crate::console::facts;
use crate::console::keymap::{self, Contexts, Danger, Group, Row, TABLE};
use crate::console::message::Drawn;
use crate::console::model::{Model, Overlay};
use crate::engine::order::VerifyReport;
use crate::engine::timeouts::{TimeoutReport, TimeoutVerdict, micros_text};

/// Draws it over the whole content.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, overlay: &Overlay, theme: Theme) -> Drawn {
    let mut page = Page::new(area.width, theme);
    match overlay {
        Overlay::Help => add_help(&mut page, model),
        Overlay::Palette { text, chosen } => return palette(frame, area, model, text, *chosen, theme),
        Overlay::Report => match &model.files.report {
            Some(report) => add_report(&mut page, model, report),
            None => page.text(1, "Nothing was verified yet; v does.", theme.plain()),
        },
        Overlay::Branches => return history::branches(frame, area, model, theme),
        Overlay::Held => add_held(&mut page, model),
        Overlay::History => return history::revisions(frame, area, model, theme),
        Overlay::Diff => return history::diff(frame, area, model.files.diff.as_ref(), theme),
        Overlay::Timeouts(report) => add_timeouts(&mut page, report),
        Overlay::Alert(id) => match model.alerts.list.iter().find(|alert| alert.id == *id) {
            Some(alert) => super::alerts::add_detail(&mut page, alert, model),
            None => page.text(1, "This alert is gone.", theme.plain()),
        },
        Overlay::Event(id) => match model.events.list.iter().find(|event| event.id == *id) {
            Some(event) => events::add_detail(&mut page, event),
            None => page.text(1, "This event is older than what the console keeps.", theme.plain()),
        },
    }
    page.draw(frame, area, model.scroll)
}

fn add_help(page: &mut Page, model: &Model) {
    page.title("Help", "CAPITALS ask first, Esc goes back and never leaves ");
    let here = Contexts::of(model.screen);
    for group in Group::ALL {
        page.blank();
        page.title(group.title(), "");
        for row in TABLE.iter().filter(|row| row.group == group) {
            help_row(page, row, here, model);
        }
    }
}

/// Columns of the keys in the help.
const KEYS_WIDTH: usize = 9;

fn help_row(page: &mut Page, row: &Row, here: Contexts, model: &Model) {
    let theme = page.theme;
    let keys: Vec<String> = row.keys.iter().map(|key| key.name()).collect();
    let keys = if keys.is_empty() { ":".to_owned() } else { keys.join(" ") };
    let asks = match row.danger {
        Danger::Plain => "",
        Danger::Ask => " Asks.",
        Danger::Type => " Asks for a typed name.",
    };
    let elsewhere = !row.contexts.meets(here) && row.contexts.meets(Contexts::SCREENS);
    let where_to = if elsewhere { " On its own screen only." } else { "" };
    let room = page.width.saturating_sub(KEYS_WIDTH + 24).max(18);
    let text = format!("{}{asks}{where_to}", row.help);
    let mut keys = keys.as_str();
    if keys.len() > KEYS_WIDTH {
        // A line of their own, so that the columns stay columns.
        page.spans(vec![(format!("  {keys}"), theme.key())]);
        keys = "";
    }
    for (index, line) in super::page::wrap(&text, room).into_iter().enumerate() {
        let (keys, label) = if index == 0 { (keys, row.label_now(model)) } else { ("", "") };
        page.spans(vec![
            (format!("  {} ", pad(keys, KEYS_WIDTH)), theme.key()),
            (format!("{} ", pad(label, 19)), theme.strong()),
            (line, theme.plain()),
        ]);
    }
}

fn palette(frame: &mut Frame<'_>, area: Rect, model: &Model, text: &str, chosen: usize, theme: Theme) -> Drawn {
    let mut page = Page::new(area.width, theme);
    let rows = keymap::matching(text);
    page.spans(vec![(format!(" : {text}"), theme.strong()), ("_".into(), theme.block())]);
    page.blank();
    if rows.is_empty() {
        page.text(3, "No action has this in its name.", theme.plain());
    }
    let visible = usize::from(area.height).saturating_sub(2).max(1);
    let first = super::first_visible(chosen, visible, rows.len());
    for (index, row) in rows.iter().enumerate().skip(first).take(visible) {
        let reason = (row.reason)(model);
        let style = if reason.is_some() { theme.quiet() } else { theme.plain() };
        let tail = reason.map_or_else(|| row.help.to_owned(), |reason| format!("not now: {reason}"));
        let room = page.width.saturating_sub(34);
        page.spans(vec![
            (if index == chosen { " > " } else { "   " }.into(), theme.strong()),
            (pad(&row.key_name(), 6), theme.key()),
            (format!("{}  ", pad(row.label_now(model), 21)), if index == chosen { theme.selected() } else { style }),
            (shorten(&tail, room), style),
        ]);
    }
    page.draw(frame, area, 0)
}

/// Spec 5.4: which file, which line, why.
fn add_held(page: &mut Page, model: &Model) {
    let theme = page.theme;
    let all = model.status.as_ref().map_or(0, |status| status.configuration.held);
    page.title("Held back: not mirrored as it is in the directory now", &format!("{} ", facts::grouped(all)));
    page.text(
        1,
        "What was mirrored last stays on both sides. Correct the file, and it goes through by itself.",
        theme.plain(),
    );
    for held in &model.files.held {
        page.blank();
        page.line(&format!(" {}", held.path), theme.strong());
        page.text(3, &held.why, theme.warning());
        page.text(3, &format!("since {}", facts::moment(held.since, model.now)), theme.quiet());
    }
}

fn add_report(page: &mut Page, model: &Model, report: &VerifyReport) {
    let theme = page.theme;
    let peer = model.status.as_deref().map(facts::peer_name).unwrap_or_default();
    let verdict = match (&report.peer_root, report.differences_total) {
        (None, _) => "read here only",
        (Some(_), 0) => "no difference",
        _ => "DIFFERENT",
    };
    page.title(&format!("Every file on both sides, read at {}", facts::moment(report.at, model.now)), verdict);
    page.blank();
    let style = if report.differences_total > 0 { theme.error() } else { theme.plain() };
    page.styled_field("Differences", &facts::grouped(report.differences_total), style);
    let size = format!(
        "{}, {}, in {} ms",
        facts::counted(report.files, "file"),
        facts::bytes(report.bytes),
        facts::grouped(report.took_ms)
    );
    page.field("Read here", &size);
    page.field("On disk here", &report.own_root.to_string());
    page.field("Committed", &report.committed_root.to_string());
    match (&report.peer_root, &report.peer_problem) {
        (Some(root), _) => page.field(&format!("On {peer}"), &root.to_string()),
        (None, Some(why)) => page.styled_field(&format!("On {peer}"), why, theme.warning()),
        (None, None) => page.styled_field(&format!("On {peer}"), "could not be asked", theme.warning()),
    }
    page.blank();
    for difference in &report.differences {
        let path = super::page::shorten_left(&difference.path, page.width.saturating_sub(24));
        page.spans(vec![(format!("   {} ", pad(&difference.what, 18)), theme.warning()), (path, theme.plain())]);
    }
    let missing = report.differences_total.saturating_sub(report.differences.len() as u64);
    if missing > 0 {
        page.line(&format!("   and {} more", facts::grouped(missing)), theme.plain());
    }
}

/// Spec 4.2: what is set, what was measured, what that means.
fn add_timeouts(page: &mut Page, report: &TimeoutReport) {
    let theme = page.theme;
    let verdict = if report.holds() { "both hold " } else { "NOT ALL HOLD " };
    page.title(&format!("Timeouts, measured against {}", report.master), verdict);
    page.blank();
    page.line(
        &format!("   {:<17}{:>9}{:>10}{:>10}{:>10}  verdict", "", "set", "half in", "slowest", "measured"),
        theme.quiet(),
    );
    for row in &report.rows {
        let span = |us: Option<u64>| us.map_or("-".to_owned(), micros_text);
        let style = match row.verdict {
            TimeoutVerdict::Holds => theme.strong(),
            TimeoutVerdict::Narrow | TimeoutVerdict::Unknown => theme.warning(),
            TimeoutVerdict::Fails => theme.error(),
        };
        let text = format!(
            "   {:<17}{:>9}{:>10}{:>10}{:>10}  ",
            row.name,
            facts::duration(row.configured_ms),
            span(row.p50_us),
            span(row.max_us),
            row.samples + row.failed
        );
        page.spans(vec![(text, theme.plain()), (row.verdict.word().into(), style)]);
        page.text(5, &row.message, theme.plain());
        page.blank();
    }
    for note in &report.notes {
        page.text(3, &format!("Note: {note}"), theme.plain());
    }
    page.text(3, "e changes the timeouts (also while connected), i measures again.", theme.plain());
}
