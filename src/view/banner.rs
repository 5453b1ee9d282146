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
    let row = |page: &mut Page, text: &str, is_title: bool| {
        let inner = pad(text, inside);
        let middle = if is_title { theme.error() } else { theme.strong() };
        page.spans(vec![("  # ".into(), style), (inner, middle), (" #".into(), style)]);
    };
    row(page, "", false);
    let at = notice.at.clock(1);
    let room = inside.saturating_sub(at.width() + 6);
    row(page, &format!("  {}  {at}  ", pad(&notice.title, room)), true);
    row(page, "", false);
    for line in &notice.lines {
        for part in wrap(line, inside.saturating_sub(4)) {
            row(page, &format!("  {part}"), false);
        }
    }
    row(
        page,
        &format!("  Term {}, reason: {}. Press u when you have understood.", notice.term, notice.reason.word()),
        false,
    );
    row(page, "", false);
    page.line(&edge, style);
    page.blank();
    let (first, last) = (notice.timeline.first(), notice.timeline.last());
    for entry in &notice.timeline {
        page.text(3, &format!("{}  {}", entry.at.clock(1), entry.text), theme.plain());
    }
    if let (Some(first), Some(last)) = (first, last)
        && last.at > first.at
    {
        let gap = (last.at.0 - first.at.0) / 100;
        page.text(3, &format!("from first to last line {}.{} s", gap / 10, gap % 10), theme.strong());
    }
    page.blank();
}
