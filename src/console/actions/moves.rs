//! Arrows, pages and Enter on the lists.

use unicode_width::UnicodeWidthStr;

use super::show_selected;
use crate::console::keymap::Action;
use crate::console::message::Command;
use crate::console::model::{Model, Overlay, Screen};
use crate::console::tree::RowKind;

/// Cells that a line goes aside at once.
const SIDE_STEP: usize = 8;

/// Moves within what is on top.
pub fn run(model: &mut Model, action: Action) -> Vec<Command> {
    if model.dialog.is_none()
        && let Some(commands) = history(model, action)
    {
        return commands;
    }
    if model.dialog.is_some() || model.overlay.is_some() || matches!(model.screen, Screen::Overview | Screen::Pair) {
        let limit = usize::from(model.drawn.scroll_max);
        let moved = step(usize::from(model.scroll), limit + 1, page(model), action);
        model.scroll = u16::try_from(moved).unwrap_or(u16::MAX);
        return Vec::new();
    }
    match model.screen {
        Screen::Configuration => files(model, action),
        Screen::Alerts if action == Action::Open => {
            model.overlay = model.alerts.selected.map(Overlay::Alert);
            model.scroll = 0;
            Vec::new()
        }
        Screen::Alerts => {
            alerts(model, action);
            Vec::new()
        }
        _ => {
            events(model, action);
            Vec::new()
        }
    }
}

/// In revisions, comparisons and branches, which may be longer than a screen's scroll position counts.
fn history(model: &mut Model, action: Action) -> Option<Vec<Command>> {
    let page = page(model);
    match model.overlay {
        Some(Overlay::History) if action == Action::Open => Some(super::history::what_changed(model)),
        Some(Overlay::History) => {
            let history = &mut model.files.history;
            history.cursor = step(history.cursor, history.entries.len(), page, action);
            Some(super::history::ask_more(model))
        }
        Some(Overlay::Diff) => {
            let rows = usize::from(model.drawn.page);
            if let Some(diff) = &mut model.files.diff {
                let places = (diff.rows.len() + 1).saturating_sub(rows).max(1);
                diff.scroll = step(diff.scroll, places, page, action);
                let texts = diff.rows.iter().map(|row| row.text.as_str());
                diff.left = sideways(diff.left, texts, action);
            }
            Some(Vec::new())
        }
        Some(Overlay::Branches) => {
            model.files.branch = step(model.files.branch, model.files.branches.len(), page, action);
            Some(Vec::new())
        }
        _ => None,
    }
}

/// One page, less a line that stays for the eye.
fn page(model: &Model) -> usize {
    usize::from(model.drawn.page.saturating_sub(1)).max(1)
}

/// Where the first column goes: never beyond the end of the longest line.
fn sideways<'a>(left: usize, texts: impl Iterator<Item = &'a str>, action: Action) -> usize {
    match action {
        Action::Left => left.saturating_sub(SIDE_STEP),
        Action::Right => {
            let longest = texts.map(UnicodeWidthStr::width).max().unwrap_or(0);
            if left + SIDE_STEP < longest { left + SIDE_STEP } else { left }
        }
        Action::Top => 0,
        _ => left,
    }
}

/// Where `at` goes in a list of `length`.
fn step(at: usize, length: usize, page: usize, action: Action) -> usize {
    let last = length.saturating_sub(1);
    match action {
        Action::Up => at.saturating_sub(1),
        Action::Down => (at + 1).min(last),
        Action::PageUp => at.saturating_sub(page),
        Action::PageDown => (at + page).min(last),
        Action::Top => 0,
        Action::Bottom => last,
        _ => at.min(last),
    }
}

fn alerts(model: &mut Model, action: Action) {
    let at = model.alerts.position().unwrap_or(0);
    let to = step(at, model.alerts.list.len(), page(model), action);
    model.alerts.selected = model.alerts.list.get(to).map(|alert| alert.id);
}

fn events(model: &mut Model, action: Action) {
    if action == Action::Open {
        if let Some(event) = model.events.current() {
            model.overlay = Some(Overlay::Event(event.id));
            model.scroll = 0;
        }
        return;
    }
    let ids: Vec<u64> = model.events.matching().map(|event| event.id).collect();
    let at = model.events.selected.and_then(|id| ids.iter().position(|other| *other == id));
    let to = step(at.unwrap_or(ids.len().saturating_sub(1)), ids.len(), page(model), action);
    // At the newest one the list follows what comes.
    model.events.selected = if to + 1 >= ids.len() { None } else { ids.get(to).copied() };
}

fn files(model: &mut Model, action: Action) -> Vec<Command> {
    if model.files.in_file {
        match action {
            Action::Left if model.files.file_left == 0 => model.files.in_file = false,
            _ => {
                let show = model.files.show_secrets;
                let texts = model.files.shown.iter().flat_map(|shown| &shown.lines).map(|line| line.text(show));
                model.files.file_left = sideways(model.files.file_left, texts, action);
                let lines = model.files.shown.as_ref().map_or(0, |shown| shown.lines.len());
                let last = (lines + 1).saturating_sub(usize::from(model.drawn.page)).max(1);
                model.files.file_scroll = step(model.files.file_scroll, last, page(model), action);
            }
        }
        return Vec::new();
    }
    match action {
        Action::Open | Action::Right => open(model),
        Action::Left => fold(model),
        _ => {
            let to = step(model.files.cursor, model.files.tree.rows(), page(model), action);
            model.files.select(to);
        }
    }
    show_selected(model)
}

fn open(model: &mut Model) {
    match model.files.current().map(|row| row.kind) {
        Some(RowKind::Directory { .. }) => model.files.tree.toggle(model.files.cursor),
        Some(_) => model.files.in_file = true,
        None => {}
    }
}

/// Folds the directory, or goes to the one above.
fn fold(model: &mut Model) {
    let Some(row) = model.files.current() else { return };
    if matches!(row.kind, RowKind::Directory { open: true, .. }) && model.files.filter.is_empty() {
        model.files.tree.toggle(model.files.cursor);
    } else if let Some(above) = model.files.tree.row_above(model.files.cursor) {
        model.files.select(above);
    }
}
