//! Texts as they are shown: cleaned of what steers a terminal, YAML with its parts told apart, secrets masked (spec 5.8, 8.8). Pure;
//! what the service and the hooks say is masked by the same rules as what a screen shows.

pub mod mask;
pub mod yaml;

/// Control characters, and those that reorder or hide what stands beside them.
#[must_use]
pub fn is_steering(c: char) -> bool {
    c.is_control()
        || matches!(c, '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}' | '\u{feff}')
}

/// `text` for one line: tabs become spaces; what could steer a terminal or turn its writing direction becomes visible.
#[must_use]
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '\t' => out.push_str("    "),
            '\n' => out.push(' '),
            '\r' => {}
            c if is_steering(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 8.7: no text from outside reaches the terminal as anything but text.
    #[test]
    fn nothing_steers_the_terminal() {
        assert_eq!(clean("a\u{1b}[2Jb\tc\r\n"), "a\u{fffd}[2Jb    c ");
        assert_eq!(clean("x\u{202e}y"), "x\u{fffd}y");
    }
}
