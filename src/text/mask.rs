//! Values whose key looks like a secret are hidden until asked for (spec 5.8). Only what is shown: files never change. Where it
//! is not clear what belongs to a value, more is hidden rather than less.

mod keys;
mod output;

pub use keys::is_secret_key;
pub use output::{OutputMask, output};

use super::clean;
use super::yaml::Lexer;
use keys::{is_secret, scan};

/// What stands in place of a value.
pub const MASK: &str = "********  (masked)";

/// So much of a key over several lines is remembered for its next line, bytes: more than any part of a secret key is long.
const CARRY_BYTES: usize = 64;

/// One line as shown.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShownLine {
    /// As it is in the file.
    pub plain: String,
    /// With the value hidden; none: nothing to hide.
    pub masked: Option<String>,
}

impl ShownLine {
    /// The text to show.
    #[must_use]
    pub fn text(&self, show_secrets: bool) -> &str {
        match &self.masked {
            Some(masked) if !show_secrets => masked,
            _ => &self.plain,
        }
    }
}

/// Every line of `text`, with what to show in its place (spec 5.8).
#[must_use]
pub fn lines(text: &str) -> Vec<ShownLine> {
    let mut masker = Masker::default();
    text.lines().map(|line| masker.line(line)).collect()
}

/// Reads lines one after the other.
#[derive(Default)]
struct Masker<'a> {
    in_private_key: bool,
    hidden: Option<Hidden>,
    /// The same of a key in a comment, which may stand within another value.
    commented: Option<Hidden>,
    explicit: Option<Explicit>,
    /// The end of the last line that said something: a key, if the next one begins with a colon.
    tail: &'a str,
    /// Of everything so far: whether brackets are open.
    whole: Lexer,
    /// The last line ended with a backslash.
    goes_on: bool,
}

/// What belongs to the value of a secret key in the lines below it.
struct Hidden {
    /// Of the key: what stands deeper belongs to it.
    column: usize,
    /// Of the key's text, if it is in a comment.
    in_comment: Option<usize>,
    /// Nothing of the value stands behind the key: items of a list at the same column belong to it too.
    with_items: bool,
    /// Has read the value so far: quotes and brackets that are open go on, however little the next line is indented.
    value: Lexer,
}

/// A key behind `?`, which may go on in the lines below.
struct Explicit {
    column: usize,
    is_secret: bool,
    /// The end of what was read of it.
    carry: String,
}

impl Explicit {
    fn read(&mut self, text: &str) {
        self.carry.push_str(text);
        self.is_secret |= is_secret(&self.carry);
        let from = self.carry.len().saturating_sub(CARRY_BYTES);
        let from = (from..=self.carry.len()).find(|at| self.carry.is_char_boundary(*at)).unwrap_or(0);
        self.carry.drain(..from);
        // Goes on in the next line: an escaped end of a line is none.
        self.carry.truncate(self.carry.trim_end_matches('\\').len());
    }
}

impl<'a> Masker<'a> {
    fn line(&mut self, line: &'a str) -> ShownLine {
        let plain = clean(line);
        let indent = line.len() - line.trim_start().len();
        let inside = self.whole.is_inside();
        self.whole.line(line);
        let goes_on = std::mem::replace(&mut self.goes_on, line.ends_with('\\'));
        if self.in_private_key || line.contains("PRIVATE KEY-----") {
            self.in_private_key = !line.contains("-----END ");
            return hide_whole(plain, indent);
        }
        let is_commented = self.commented.as_mut().is_some_and(|hidden| hidden.has(line, inside, goes_on));
        if !is_commented {
            self.commented = None;
        }
        if self.is_hidden(line, inside, goes_on) || (is_commented && is_comment(line)) {
            self.tail = line;
            return hide_whole(plain, indent);
        }
        let at = self.value_in(line);
        if let Some(at) = at {
            let hidden = Hidden::below(line, &line[at..]);
            *(if is_comment(line) { &mut self.commented } else { &mut self.hidden }) = Some(hidden);
        }
        match at {
            // Below a key in a comment; it may have keys of its own.
            _ if is_commented => hide_whole(plain, indent),
            Some(at) if !is_block_start(&line[at..]) => {
                let blank = line[at..].len() - line[at..].trim_start().len();
                ShownLine { plain, masked: Some(format!("{}{MASK}", clean(&line[..at + blank]))) }
            }
            _ => ShownLine { plain, masked: None },
        }
    }

    /// All of this line belongs to a value that began before.
    fn is_hidden(&mut self, line: &str, inside: bool, goes_on: bool) -> bool {
        let is_hidden = self.hidden.as_mut().is_some_and(|hidden| hidden.has(line, inside, goes_on));
        // A comment within a value does not end it.
        if !is_hidden && !is_comment(line) {
            self.hidden = None;
        }
        is_hidden
    }

    /// Where the value of the first secret key in this line begins.
    fn value_in(&mut self, line: &'a str) -> Option<usize> {
        if line.trim().is_empty() {
            return None;
        }
        let found = scan(line, is_comment(line));
        if is_comment(line) {
            return found.value;
        }
        let text = line.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}');
        let indent = line.len() - text.len();
        let is_value = text.starts_with(':');
        let of_tail = is_value && is_secret(self.tail);
        let mut of_explicit = false;
        if let Some(explicit) = &mut self.explicit {
            of_explicit = is_value && explicit.is_secret;
            if indent > explicit.column {
                explicit.read(line);
            } else {
                self.explicit = None;
            }
        }
        let column = column_of_key(line);
        if self.explicit.is_none() && is_mark(&line[column..], '?') {
            let mut explicit = Explicit { column, is_secret: false, carry: String::new() };
            explicit.read(&line[column + 1..]);
            self.explicit = Some(explicit);
        }
        self.tail = if found.value.is_some() { line } else { found.tail };
        if of_tail || of_explicit { Some(indent + 1) } else { found.value }
    }
}

impl Hidden {
    fn below(line: &str, value: &str) -> Self {
        let mut lexer = Lexer::default();
        // `=>`, `:=`, `==`: the rest of a sign of another language.
        lexer.line(value.trim_start_matches(|c: char| c.is_whitespace() || matches!(c, '>' | '=' | ':')));
        Self {
            column: column_of_key(line),
            in_comment: is_comment(line).then(|| column_of_comment(line)),
            with_items: may_go_on_below(value),
            value: lexer,
        }
    }

    /// Whether all of the next line belongs to the value. `inside`: brackets are open; `goes_on`: the line before says so.
    fn has(&mut self, line: &str, inside: bool, goes_on: bool) -> bool {
        let text = line.trim_start();
        let indent = line.len() - text.len();
        if self.value.is_open() && (self.in_comment.is_none() || is_comment(line)) {
            let in_quote = self.value.is_quoted();
            self.value.line(line);
            // What closes the value alone is no part of it.
            return in_quote || self.value.is_open() || !text.starts_with(['}', ']']);
        }
        let is_item = |text: &str| self.with_items && is_mark(text, '-');
        let has = match self.in_comment {
            _ if text.is_empty() || goes_on => true,
            Some(column) if is_comment(line) => {
                let at = column_of_comment(line);
                at > column || (at == column && is_item(&line[at..]))
            }
            _ if indent > self.column || (indent == self.column && is_item(text)) => true,
            Some(_) => false,
            None => !is_comment(line) && (self.with_items || inside) && !self.begins_anew(text),
        };
        // A comment ends a block, and goes on with what is below it.
        if has || is_comment(line) {
            self.value.line(line);
        }
        has
    }

    /// Something else begins with this line, which is no deeper than the key.
    fn begins_anew(&self, text: &str) -> bool {
        text.starts_with(['}', ']', ')', '<', ':'])
            || text.starts_with("---")
            || text.starts_with("...")
            || is_mark(text, '-')
            || is_mark(text, '?')
            || (!self.with_items && text.starts_with(['{', '[']))
            || begins_with_key(text)
    }
}

/// `key: …`, `"key": …`, `key = …`; not where the sign may be within a value.
fn begins_with_key(text: &str) -> bool {
    if let Some(quote) = text.chars().next().filter(|c| matches!(c, '"' | '\'')) {
        let behind = text[1..].split_once(quote).map_or("", |(_, behind)| behind.trim_start());
        return behind.starts_with([':', '=']);
    }
    for (at, c) in text.char_indices() {
        let behind = &text[at + c.len_utf8()..];
        match c {
            ',' => return false,
            ':' if behind.is_empty() || behind.starts_with(char::is_whitespace) => return at > 0,
            '=' => {
                // At the end of a line it may be the end of a key in base64.
                let is_name = |c: char| c.is_alphanumeric() || matches!(c, '_' | '-' | '.' | ' ' | '\t');
                let value = behind.trim_start();
                return at > 0 && text[..at].chars().all(is_name) && !value.is_empty() && !value.starts_with('=');
            }
            _ => {}
        }
    }
    false
}

/// `- `, `? `: the sign alone, or with a blank behind it.
fn is_mark(text: &str, sign: char) -> bool {
    text.strip_prefix(sign).is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

fn is_comment(line: &str) -> bool {
    line.trim_start().starts_with('#')
}

/// Where the text of a comment begins.
fn column_of_comment(line: &str) -> usize {
    line.len() - line.trim_start_matches(|c: char| c.is_whitespace() || c == '#').len()
}

/// Where the first key of a line stands: behind the signs of list items.
fn column_of_key(line: &str) -> usize {
    let mut column = line.len() - line.trim_start_matches(|c: char| c.is_whitespace() || c == '\u{feff}').len();
    while is_mark(&line[column..], '-') {
        let rest = &line[column + 1..];
        column += 1 + rest.len() - rest.trim_start().len();
    }
    column
}

fn hide_whole(plain: String, indent: usize) -> ShownLine {
    let masked = (!plain.trim().is_empty()).then(|| format!("{}{MASK}", " ".repeat(indent)));
    ShownLine { plain, masked }
}

/// Nothing of the value is on this line: it is empty, or the head of a block scalar.
fn is_block_start(value: &str) -> bool {
    let head = value.trim();
    let is_head = |head: &str| head.chars().all(|c| c.is_ascii_digit() || matches!(c, '+' | '-'));
    head.is_empty() || head.strip_prefix(['|', '>']).is_some_and(is_head)
}

/// A list may be the value although it stands no deeper than the key: behind it is nothing, or an anchor, a tag or a comment.
fn may_go_on_below(value: &str) -> bool {
    value.trim().is_empty() || value.trim_start().starts_with(['&', '!', '#'])
}

#[cfg(test)]
mod tests;
