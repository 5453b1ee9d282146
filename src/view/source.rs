//! The lines of a file: numbered, YAML told apart by colour, secrets masked (spec 5.8). No character is changed by colours.

use ratatui::style::Style;
use unicode_width::UnicodeWidthStr;

use super::page::{Page, shorten, without_left};
use super::theme::Theme;
use crate::console::files::{Files, ShownFile};
use crate::text::mask::{MASK, ShownLine};
use crate::text::yaml::{Part, Span};

/// Appends what fits in `room` lines.
pub fn add_lines(page: &mut Page, shown: &ShownFile, files: &Files, room: usize) {
    let theme = page.theme;
    if !shown.is_text {
        page.text(0, "Not text; its bytes are mirrored as they are.", theme.plain());
        return;
    }
    if shown.lines.is_empty() {
        page.text(0, "Empty.", theme.plain());
    }
    let digits = shown.lines.len().to_string().len().max(3);
    let first = files.file_scroll.min(shown.lines.len().saturating_sub(1));
    let width = page.width.saturating_sub(digits + 2);
    for (index, line) in shown.lines.iter().enumerate().skip(first).take(room) {
        let is_hit = files.search.hits.binary_search(&index).is_ok();
        let number = if is_hit { theme.block() } else { theme.quiet() };
        let parts = shown.parts.get(index).map_or(&[][..], Vec::as_slice);
        let mut spans = vec![(format!("{:>digits$}", index + 1), number), ("  ".into(), theme.plain())];
        let pieces = without_left(styled(line, parts, files.show_secrets, theme), files.file_left);
        spans.extend(fitting(pieces, width));
        page.spans(spans);
    }
    if shown.is_cut && room > shown.lines.len().saturating_sub(first) {
        page.text(0, "Longer than what is shown here.", theme.warning());
    }
}

/// A line in pieces, each with its style.
fn styled(line: &ShownLine, parts: &[Span], show_secrets: bool, theme: Theme) -> Vec<(String, Style)> {
    let text = line.text(show_secrets);
    // What stands before a masked value; the value itself is told apart, hidden or not.
    let head = match &line.masked {
        None => text.len(),
        Some(masked) => masked.strip_suffix(MASK).filter(|head| text.starts_with(head)).map_or(0, str::len),
    };
    let mut pieces = Vec::new();
    let mut at = 0;
    for span in parts {
        let end = (span.end as usize).min(head);
        // Made for this very line; a line cut elsewhere would lose its colours, never its text.
        let Some(piece) = text.get(at..end).filter(|piece| !piece.is_empty()) else { continue };
        pieces.push((piece.to_owned(), style(span.part, theme)));
        at = end;
    }
    pieces.extend(text.get(at..head).filter(|rest| !rest.is_empty()).map(|rest| (rest.to_owned(), theme.plain())));
    pieces.extend(text.get(head..).filter(|rest| !rest.is_empty()).map(|rest| (rest.to_owned(), theme.warning())));
    pieces
}

fn style(part: Part, theme: Theme) -> Style {
    match part {
        Part::Plain => theme.plain(),
        Part::Key => theme.yaml_key(),
        Part::Text => theme.yaml_text(),
        Part::Value => theme.yaml_value(),
        Part::Comment | Part::Mark => theme.quiet(),
        Part::Name => theme.yaml_name(),
    }
}

/// The pieces in at most `width` cells, `…` where they were cut.
fn fitting(pieces: Vec<(String, Style)>, width: usize) -> Vec<(String, Style)> {
    let whole: usize = pieces.iter().map(|(text, _)| text.width()).sum();
    if whole <= width {
        return pieces;
    }
    let mut room = width;
    let mut out = Vec::new();
    for (text, style) in pieces {
        if text.width() < room {
            room -= text.width();
            out.push((text, style));
            continue;
        }
        // Exactly as wide as the room: more follows, so that it has to end with the sign all the same.
        let text = if text.width() == room { text + "  " } else { text };
        out.push((shorten(&text, room), style));
        break;
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::mask;
    use crate::text::yaml::Lexer;
    use crate::view::ColorLevel;

    fn pieces(text: &str, show: bool) -> Vec<Vec<(String, Style)>> {
        let theme = Theme::new(ColorLevel::Ansi16, false);
        let mut lexer = Lexer::default();
        let lines = mask::lines(text);
        lines.iter().map(|line| styled(line, &lexer.line(&line.plain), show, theme)).collect()
    }

    fn text(pieces: &[(String, Style)]) -> String {
        pieces.iter().map(|(text, _)| text.as_str()).collect()
    }

    /// spec 5.8: colours change no character, and a masked value stays masked whatever its parts are.
    #[test]
    fn colours_change_no_text_and_show_no_secret() {
        let source = "a: 1 # c\npassword: \"x: y\"\nsecret: |\n  deep: text\n\ttab: &b !t 'q'\n- {token: abc, b: 2}\n";
        for show in [false, true] {
            for (line, shown) in pieces(source, show).iter().zip(mask::lines(source)) {
                assert_eq!(text(line), shown.text(show));
            }
        }
        let hidden: String = pieces(source, false).iter().map(|line| text(line)).collect();
        assert!(!hidden.contains("x: y") && !hidden.contains("deep") && !hidden.contains("abc"), "{hidden}");
    }

    #[test]
    fn long_lines_are_cut_where_the_room_ends() {
        for width in 0..30 {
            let cut = fitting(pieces("key: \"äöü\" # a rather long comment", false).remove(0), width);
            assert!(text(&cut).width() <= width);
            assert_eq!(text(&cut).ends_with('…'), width > 0, "{width}");
        }
        let line = pieces("key: v", false).remove(0);
        assert_eq!(text(&fitting(line, 6)), "key: v");
    }
}
