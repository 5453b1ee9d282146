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
    let first = super::first_visible(position, rows, matching.len());
    let today = model.now.rfc3339(0)[..10].to_owned();
    for (index, event) in matching.iter().enumerate().skip(first).take(rows) {
        let is_selected = index == position;
        let date = event.at.rfc3339(0)[..10].to_owned();
        let when =
            if date == today { event.at.clock(0) } else { format!("{} {}", &date[5..], &event.at.clock(0)[..5]) };
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
    let _ = page.draw(frame, area, 0);
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
}
