//! A change of role, impossible to miss, until dismissed (spec 8.3).

use unicode_width::UnicodeWidthStr;

use super::page::{Page, pad, wrap};
use crate::engine::status::Notice;

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
    let begin = notice.timeline.first().map_or(notice.at, |first| first.at);
    let last = notice.timeline.len().saturating_sub(1);
    for (index, entry) in notice.timeline.iter().enumerate() {
        let gap = (entry.at.0 - begin.0).max(0) / 100;
        let gap = if index == last && gap > 0 { format!("   gap {}.{} s", gap / 10, gap % 10) } else { String::new() };
        page.text(3, &format!("{}  {}{gap}", entry.at.clock(1), entry.text), theme.plain());
    }
    page.blank();
}
