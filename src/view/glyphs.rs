//! What stands for a character where only ASCII may be shown (spec 8.4). Applied to the finished frame, so that no screen can
//! forget it, whatever text came from outside.

use ratatui::buffer::Buffer;
use unicode_width::UnicodeWidthStr;

/// Blocks of a sparkline, lowest first.
pub const BARS: [char; 8] = ['▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'];
/// The same in ASCII.
const ASCII_BARS: [&str; 8] = ["_", "_", ".", ".", "-", "=", "+", "#"];

/// Replaces everything that is not ASCII.
pub fn to_ascii(buffer: &mut Buffer) {
    for index in 0..buffer.content.len() {
        let symbol = buffer.content[index].symbol();
        if symbol.is_ascii() {
            continue;
        }
        let is_wide = symbol.width() > 1;
        let replacement = ascii(symbol);
        buffer.content[index].set_symbol(replacement);
        if is_wide && let Some(next) = buffer.content.get_mut(index + 1) {
            next.set_symbol("?");
        }
    }
}

/// One cell's character.
fn ascii(symbol: &str) -> &'static str {
    let Some(c) = symbol.chars().next() else { return " " };
    if let Some(at) = BARS.iter().position(|bar| *bar == c) {
        return ASCII_BARS[at];
    }
    match c {
        '─' | '━' | '–' | '—' | '‐' | '╌' => "-",
        '═' => "=",
        '│' | '┃' | '║' | '╎' => "|",
        '┌' | '┐' | '└' | '┘' | '├' | '┤' | '┬' | '┴' | '┼' => "+",
        '▶' | '→' | '›' => ">",
        '◀' | '←' | '‹' => "<",
        '▼' | '↓' => "v",
        '▲' | '↑' => "^",
        // As less and vi mark a line that goes on.
        '…' => "~",
        '·' => ".",
        '•' | '●' => "*",
        '\u{a0}' => " ",
        '‘' | '’' => "'",
        '“' | '”' => "\"",
        'µ' | 'μ' => "u",
        _ => "?",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use ratatui::layout::Rect;
    use ratatui::style::Style;

    /// spec 8.4: without Unicode nothing but ASCII is drawn, in the same columns.
    #[test]
    fn every_cell_becomes_ascii() {
        let mut buffer = Buffer::empty(Rect::new(0, 0, 12, 1));
        buffer.set_string(0, 0, "─│…界é▁x", Style::new());
        to_ascii(&mut buffer);
        let line: String = buffer.content.iter().map(ratatui::buffer::Cell::symbol).collect();
        assert_eq!(line.trim_end(), "-|~???_x");
    }
}
