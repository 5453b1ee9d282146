//! Screen 5: what happened, newest at the end.

use ratatui::Frame;
use ratatui::layout::Rect;

use super::WIDE_COLUMNS;
use super::page::{Page, pad, shorten};
use super::theme::Theme;
use crate::console::message::Drawn;
use crate::console::model::Model;
use crate::engine::event::{Event, EventKind};

/// Draws the list; from 120 columns on with the selected one beside it.
pub fn draw(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) -> Drawn {
    let wide = area.width >= WIDE_COLUMNS;
    let list = Rect { width: if wide { area.width * 2 / 3 } else { area.width }, ..area };
    draw_list(frame, list, model, theme);
    if wide && let Some(event) = model.events.current() {
        for y in area.top()..area.bottom() {
            frame.buffer_mut().set_string(list.right(), y, "│", theme.quiet());
        }
        let detail = Rect { x: list.right() + 1, width: area.width - list.width - 1, ..area };
        let mut page = Page::new(detail.width, theme);
        add_detail(&mut page, event);
        let _ = page.draw(frame, detail, 0);
    }
    Drawn { page: area.height.saturating_sub(1), scroll_max: 0 }
}

fn draw_list(frame: &mut Frame<'_>, area: Rect, model: &Model, theme: Theme) {
    let matching: Vec<&Event> = model.events.matching().collect();
    let mut page = Page::new(area.width, theme);
    let filter = if model.events.filter.is_empty() { String::new() } else { format!("   / {}", model.events.filter) };
    let follow = if model.events.selected.is_none() { "following " } else { "G follows " };
    page.title(&format!("{} of {}{filter}", matching.len(), model.events.list.len()), follow);
    if matching.is_empty() {
        let text = if model.events.list.is_empty() { "Nothing has happened yet." } else { "No event holds this text." };
        page.text(3, text, theme.plain());
    }
    let rows = usize::from(area.height).saturating_sub(1).max(1);
    let last = matching.len().saturating_sub(1);
    let position =
        model.events.selected.and_then(|id| matching.iter().position(|event| event.id == id)).unwrap_or(last);
    let mut lines = lines_around(&matching, position, rows);
    let selected = lines.iter().position(|line| *line == (position, None)).unwrap_or(0);
    // A selected change of roles is seen with all of its timeline, as far as that fits.
    let end = lines.iter().rposition(|line| line.0 == position).unwrap_or(selected);
    let first = super::first_visible(selected, rows, lines.len()).max((end + 1).saturating_sub(rows)).min(selected);
    lines.drain(..first);
    let today = model.now.rfc3339(0)[..10].to_owned();
    for (index, part) in lines.into_iter().take(rows) {
        match part {
            None => event_line(&mut page, matching[index], index == position, &today),
            Some(line) => {
                let text = matching[index].timeline_text().swap_remove(line);
                page.line(&format!("      {text}"), theme.plain());
            }
        }
    }
    let _ = page.draw(frame, area, 0);
}

/// Lines of the list near the selected event: each event, and under it each line of its timeline. As many events on both
/// sides as could be seen.
fn lines_around(matching: &[&Event], position: usize, rows: usize) -> Vec<(usize, Option<usize>)> {
    let from = position.saturating_sub(rows);
    let near = matching.iter().enumerate().skip(from).take(rows * 2 + 1);
    near.flat_map(|(index, event)| {
        std::iter::once((index, None)).chain((0..event.timeline.len()).map(move |line| (index, Some(line))))
    })
    .collect()
}

fn event_line(page: &mut Page, event: &Event, is_selected: bool, today: &str) {
    let theme = page.theme;
    let date = event.at.rfc3339(0)[..10].to_owned();
    let when = if date == today { event.at.clock(0) } else { format!("{} {}", &date[5..], &event.at.clock(0)[..5]) };
    let base = match (is_selected, event.kind) {
        (true, _) => theme.selected(),
        (false, EventKind::Role) => theme.strong(),
        _ => theme.plain(),
    };
    let severity = if event.severity == crate::engine::event::Severity::Information {
        String::new()
    } else {
        event.severity.word().to_owned()
    };
    let room = page.width.saturating_sub(33);
    page.spans(vec![
        (if is_selected { " > " } else { "   " }.into(), theme.strong()),
        (format!("{} {} ", pad(&when, 11), pad(kind_word(event.kind), 8)), base),
        (pad(&severity, 7), theme.severity(event.severity)),
        (format!(" {}", shorten(&event.text, room)), base),
    ]);
}

/// The kind in at most eight letters.
fn kind_word(kind: EventKind) -> &'static str {
    if kind == EventKind::Configuration { "config" } else { kind.word() }
}

/// One event, whole.
pub fn add_detail(page: &mut Page, event: &Event) {
    let theme = page.theme;
    page.title(event.kind.word(), event.severity.word());
    page.field("When", &event.at.rfc3339(3));
    page.field("Number", &event.id.to_string());
    if let Some(who) = &event.who {
        page.field("Who", who);
    }
    page.blank();
    page.text(1, &event.text, theme.plain());
    if !event.timeline.is_empty() {
        page.blank();
        page.title("How it came about", "");
        for line in event.timeline_text() {
            page.text(3, &line, theme.plain());
        }
    }
}
