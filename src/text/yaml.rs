//! What the parts of a YAML line are, for colours alone: a small lexer that forgives everything and never changes a
//! character. It knows where a block or a quoted text goes on in the next line; what it does not know is plain.

#[cfg(test)]
mod tests;

/// What a part of a line is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Part {
    /// Anything else.
    Plain,
    /// Before a colon.
    Key,
    /// A quoted or block text.
    Text,
    /// A number, a truth value, null.
    Value,
    /// From `#` on.
    Comment,
    /// `&name`, `*name`, `!tag`.
    Name,
    /// `-`, `:`, brackets, `---`, `|`.
    Mark,
}

/// From one byte of a line to another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte.
    pub start: u32,
    /// Behind the last.
    pub end: u32,
    /// What it is.
    pub part: Part,
}

/// Whether a file of this name is read as YAML; JSON is a part of it.
#[must_use]
pub fn is_yaml_name(path: &str) -> bool {
    let name = path.rsplit('/').next().unwrap_or(path).to_ascii_lowercase();
    [".yaml", ".yml", ".json"].iter().any(|end| name.ends_with(end))
}

/// Reads lines one after the other.
#[derive(Clone, Debug, Default)]
pub struct Lexer {
    /// Deeper lines are the text of a block.
    block: Option<usize>,
    /// In a quoted text that began in a line before.
    quote: Option<char>,
    /// Brackets that are open.
    depth: usize,
}

impl Lexer {
    /// Brackets are open.
    #[must_use]
    pub fn is_inside(&self) -> bool {
        self.depth > 0
    }

    /// A quoted text goes on in the next line.
    #[must_use]
    pub fn is_quoted(&self) -> bool {
        self.quote.is_some()
    }

    /// The next line goes on with a quoted text or within brackets, however little it is indented.
    #[must_use]
    pub fn is_open(&self) -> bool {
        self.is_inside() || self.is_quoted()
    }

    /// The parts of the next line, in order, without gaps: together they are the line.
    pub fn line(&mut self, line: &str) -> Vec<Span> {
        let mut parts = Parts { line, at: 0, spans: Vec::new() };
        let indent = line.len() - line.trim_start_matches(' ').len();
        if let Some(outer) = self.block {
            if line.trim().is_empty() || indent > outer {
                parts.to(line.len(), Part::Text);
                return parts.spans;
            }
            self.block = None;
        }
        if let Some(quote) = self.quote {
            self.quoted(&mut parts, quote);
        } else if self.depth == 0 && (line.starts_with("---") || line.starts_with("...") || line.starts_with('%')) {
            let end = if line.starts_with('%') { line.len() } else { 3 };
            parts.to(end, Part::Mark);
        }
        while parts.at < line.len() {
            self.next(&mut parts, indent);
        }
        parts.spans
    }

    fn next(&mut self, parts: &mut Parts<'_>, indent: usize) {
        let rest = parts.rest();
        let Some(first) = rest.chars().next() else { return };
        let ends = |at: usize| rest[at..].chars().next().is_none_or(char::is_whitespace);
        match first {
            c if c.is_whitespace() => parts.over(rest.len() - rest.trim_start().len(), Part::Plain),
            '#' if parts.is_after_blank() => parts.over(rest.len(), Part::Comment),
            '-' | '?' if ends(1) => parts.over(1, Part::Mark),
            '{' | '[' => {
                self.depth += 1;
                parts.over(1, Part::Mark);
            }
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                parts.over(1, Part::Mark);
            }
            ',' if self.depth > 0 => parts.over(1, Part::Mark),
            ':' if ends(1) || self.depth > 0 => parts.over(1, Part::Mark),
            '&' | '*' | '!' => {
                let inside = self.depth > 0;
                let end = rest.find(|c: char| c.is_whitespace() || (inside && ",]}".contains(c)));
                parts.over(end.unwrap_or(rest.len()), Part::Name);
            }
            '|' | '>' if self.depth == 0 && is_block_head(rest) => {
                let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
                parts.over(end, Part::Mark);
                self.block = Some(indent);
            }
            '"' | '\'' => {
                let from = parts.at;
                parts.at += 1;
                self.quoted_from(parts, from, first);
            }
            _ => self.scalar(parts),
        }
    }

    /// The rest of a quoted text from a line before.
    fn quoted(&mut self, parts: &mut Parts<'_>, quote: char) {
        let from = parts.at;
        self.quoted_from(parts, from, quote);
    }

    /// To the end of a quoted text, or of the line; a key if a colon follows.
    fn quoted_from(&mut self, parts: &mut Parts<'_>, from: usize, quote: char) {
        let text = parts.line;
        let mut chars = text[parts.at..].char_indices().peekable();
        let mut end = None;
        while let Some((at, c)) = chars.next() {
            match c {
                '\\' if quote == '"' => drop(chars.next()),
                // Twice is the character itself.
                '\'' if quote == '\'' && chars.peek().is_some_and(|(_, next)| *next == '\'') => drop(chars.next()),
                c if c == quote => {
                    end = Some(parts.at + at + c.len_utf8());
                    break;
                }
                _ => {}
            }
        }
        self.quote = end.is_none().then_some(quote);
        let end = end.unwrap_or(text.len());
        let is_key = self.quote.is_none() && text[end..].trim_start().starts_with(':');
        parts.at = from;
        parts.to(end, if is_key { Part::Key } else { Part::Text });
    }

    /// A text without quotes: up to a colon it is a key.
    fn scalar(&mut self, parts: &mut Parts<'_>) {
        let rest = parts.rest();
        let inside = self.depth > 0;
        let mut end = rest.len();
        let mut is_key = false;
        let mut before = ' ';
        for (at, c) in rest.char_indices() {
            let next = rest[at + c.len_utf8()..].chars().next();
            let ends = next.is_none_or(|next| next.is_whitespace() || (inside && ",]}".contains(next)));
            if c == ':' && ends {
                (end, is_key) = (at, true);
                break;
            }
            if (c == '#' && before.is_whitespace() && at > 0) || (inside && ",[]{}".contains(c)) {
                end = at;
                break;
            }
            before = c;
        }
        let text = rest[..end].trim_end();
        // A lone mark that nothing above knows must not stop the reading.
        let length = text.len().max(rest.chars().next().map_or(1, char::len_utf8));
        let part = match is_key {
            true => Part::Key,
            false if is_value(text) => Part::Value,
            false => Part::Plain,
        };
        parts.over(length, part);
    }
}

/// `|`, `>-`, `|2+`, and nothing but a comment behind.
fn is_block_head(rest: &str) -> bool {
    let head = rest.split_whitespace().next().unwrap_or(rest);
    let behind = rest[head.len()..].trim_start();
    head[1..].chars().all(|c| c == '-' || c == '+' || c.is_ascii_digit())
        && (behind.is_empty() || behind.starts_with('#'))
}

fn is_value(text: &str) -> bool {
    let is_word =
        ["true", "false", "null", "~", "yes", "no", "on", "off"].iter().any(|word| text.eq_ignore_ascii_case(word));
    let digits = text.trim_start_matches(['-', '+']);
    let is_number = digits.starts_with(|c: char| c.is_ascii_digit())
        && digits.chars().all(|c| c.is_ascii_hexdigit() || matches!(c, '.' | '_' | 'x' | 'o' | '+' | '-'))
        && (digits.starts_with("0x") || !digits.contains(|c: char| matches!(c, 'a'..='d' | 'A'..='D' | 'f' | 'F')));
    is_word || is_number
}

/// A line, cut up so far.
struct Parts<'a> {
    line: &'a str,
    at: usize,
    spans: Vec<Span>,
}

impl<'a> Parts<'a> {
    fn rest(&self) -> &'a str {
        &self.line[self.at..]
    }

    fn is_after_blank(&self) -> bool {
        self.line[..self.at].chars().next_back().is_none_or(char::is_whitespace)
    }

    fn over(&mut self, bytes: usize, part: Part) {
        self.to(self.at + bytes, part);
    }

    fn to(&mut self, end: usize, part: Part) {
        let (start, stop) = (u32::try_from(self.at).unwrap_or(u32::MAX), u32::try_from(end).unwrap_or(u32::MAX));
        if end > self.at {
            match self.spans.last_mut() {
                Some(last) if last.part == part => last.end = stop,
                _ => self.spans.push(Span { start, end: stop, part }),
            }
        }
        self.at = end;
    }
}
