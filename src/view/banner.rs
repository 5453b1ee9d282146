//! A change of role, impossible to miss, until dismissed (spec 8.3).

use unicode_width::UnicodeWidthStr;

use super::page::{Page, pad, wrap};
use crate::engine::event::timeline_text;
use crate::engine::status::Notice;

/// Where the text of a line of the timeline begins: behind its moment and its span.
const TEXT_COLUMN: usize = 28;

/// Adds the banner with its timeline.
pub fn add(page: &mut Page, notice: &Notice) {
    let theme = page.theme;
    let inside = page.width.saturating_sub(8).max(20);
    let edge = format!("  {}", "#".repeat(inside + 4));
    let style = theme.strong();
    page.line(&edge, style);
    // No empty row above the title: on 80×24 the timeline and the protection must still be seen.
    let row = |page: &mut Page, text: &str, is_title: bool| {
        let inner = pad(text, inside);
        let middle = if is_title { theme.error() } else { theme.strong() };
        page.spans(vec![("  # ".into(), style), (inner, middle), (" #".into(), style)]);
    };
    let at = notice.at.clock(1);
    let room = inside.saturating_sub(at.width() + 6);
    row(page, &format!("  {}  {at}  ", pad(&notice.title, room)), true);
    row(page, "", false);
    let fallback = [format!("Term {}, reason: {}.", notice.term, notice.reason.word())];
    let lines = if notice.lines.is_empty() { fallback.as_slice() } else { notice.lines.as_slice() };
    for line in lines {
        for part in wrap(line, inside.saturating_sub(4)) {
            row(page, &format!("  {part}"), false);
        }
    }
    row(page, "  Press u when you have understood.", false);
    row(page, "", false);
    page.line(&edge, style);
    page.blank();
    // Every line with how long after the one before it came: the gap is accounted for to the millisecond.
    for line in timeline_text(&notice.timeline) {
        let room = page.width.saturating_sub(TEXT_COLUMN + 1).max(10);
        let (head, text) = line.split_at(line.len().min(TEXT_COLUMN - 1));
        for (index, part) in wrap(text.trim_start(), room).into_iter().enumerate() {
            let head = if index == 0 { head } else { "" };
            page.line(&format!(" {}{part}", pad(head, TEXT_COLUMN - 1)), theme.plain());
        }
    }
    if let (Some(first), Some(last)) = (notice.timeline.first(), notice.timeline.last()) {
        let gap_ms = last.at.0.saturating_sub(first.at.0).max(0);
        if gap_ms > 0 {
            page.line(&format!(" {}{gap_ms} ms from the first line to the last", " ".repeat(15)), theme.strong());
        }
    }
    page.blank();
}
