//! Changes single values in `settings.yaml` and leaves everything else as the operator wrote it: comments, order, blank
//! lines, quotes (interfaces, Files). Works on lines; what came of it is read back and compared, so that a file written in
//! a way this does not know is refused and never damaged.

use std::ops::Range;

use serde_yaml::{Mapping, Value};

use crate::engine::base::Problem;

/// Columns by which a new section is indented.
const INDENT: usize = 2;
/// A list that is longer on one line than this is written one entry a line.
const FLOW_MAX_CHARS: usize = 100;

#[cfg(test)]
mod tests;

/// `text` with the value at a dotted key replaced or added.
///
/// # Errors
/// `text` is no YAML mapping, a part of the key is no section, or the place is written in a way that cannot be edited line
/// by line (anchors, several documents …); then nothing has changed and the operator has to.
pub fn set(text: &str, dotted_key: &str, value: &Value) -> Result<String, Problem> {
    let path: Vec<&str> = dotted_key.split('.').collect();
    let mut wanted = parse(text)?;
    put(&mut wanted, &path, value).ok_or_else(|| {
        Problem::new(
            format!("{dotted_key} cannot be set"),
            "a part of it is a value and no section",
            "Correct the file",
        )
    })?;
    let mut document = Document::new(text);
    let whole = 0..document.lines.len();
    document.set(whole, 0, &path, value);
    let new = document.text();
    // The proof that nothing but the wanted value changed.
    match parse(&new) {
        Ok(found) if found == wanted => Ok(new),
        _ => Err(Problem::new(
            format!("{dotted_key} cannot be changed in this file"),
            "the place is written in a way that Standin cannot edit without losing something",
            format!("Write {dotted_key}: {} into the file yourself", scalar(value)),
        )),
    }
}

/// [`set`] for several keys, all or none.
///
/// # Errors
/// Those of [`set`].
pub fn set_all(text: &str, values: &[(&str, Value)]) -> Result<String, Problem> {
    values.iter().try_fold(text.to_owned(), |text, (key, value)| set(&text, key, value))
}

fn parse(text: &str) -> Result<Value, Problem> {
    match serde_yaml::from_str::<Value>(text) {
        Ok(Value::Null) => Ok(Value::Mapping(Mapping::new())),
        Ok(value @ Value::Mapping(_)) => Ok(value),
        Ok(_) => Err(unreadable("it holds no settings but a single value or list")),
        Err(error) => Err(unreadable(&error.to_string())),
    }
}

fn unreadable(why: &str) -> Problem {
    Problem::new("The settings file cannot be read", why, "Correct it; config/settings.yaml shows every setting")
}

/// Puts `value` into a parsed document; none: a part of the path is no section.
fn put(whole: &mut Value, path: &[&str], value: &Value) -> Option<()> {
    let (last, sections) = path.split_last()?;
    let mut place = whole;
    for section in sections {
        place = place.as_mapping_mut()?.entry(Value::from(*section)).or_insert(Value::Null);
        if place.is_null() {
            *place = Value::Mapping(Mapping::new());
        }
    }
    place.as_mapping_mut()?.insert(Value::from(*last), value.clone());
    Some(())
}

/// A file as lines.
struct Document {
    lines: Vec<String>,
    /// `\n` or `\r\n`, as the file has it.
    end: &'static str,
}

/// A key that was found.
struct Entry {
    /// Its line.
    line: usize,
    /// Behind the last line of its value, comments and blank lines at the end not counted.
    end: usize,
    /// What stands behind the colon, without the comment.
    inline: String,
    /// The comment of the line, with the spaces before it.
    comment: String,
    /// The line up to and including the colon.
    head: String,
}

impl Document {
    fn new(text: &str) -> Self {
        let end = if text.contains("\r\n") { "\r\n" } else { "\n" };
        Self { lines: text.lines().map(str::to_owned).collect(), end }
    }

    fn text(&self) -> String {
        self.lines.iter().flat_map(|line| [line.as_str(), self.end]).collect()
    }

    /// Sets a key among the lines of `range`, which stand `indent` columns in.
    fn set(&mut self, range: Range<usize>, indent: usize, path: &[&str], value: &Value) {
        let Some((name, rest)) = path.split_first() else { return };
        match (self.find(range.clone(), indent, name), rest.is_empty()) {
            (Some(entry), true) => self.replace(&entry, indent, value),
            (Some(entry), false) => self.set_inside(&entry, indent, rest, value),
            (None, _) => {
                let at = self.behind_last(range);
                let block = block_of(indent, path, value);
                let is_new_section = indent == 0 && at > 0;
                let gap = (is_new_section && !rest.is_empty()).then(String::new);
                self.lines.splice(at..at, gap.into_iter().chain(block));
            }
        }
    }

    /// Sets a key inside the section `entry`.
    fn set_inside(&mut self, entry: &Entry, indent: usize, rest: &[&str], value: &Value) {
        let is_block = entry.inline.is_empty();
        if !is_block {
            // `section: {}`, `section: {a: 1}` or `section: null` becomes a block with the same in it.
            let text = std::iter::once(entry.inline.as_str())
                .chain(self.lines[entry.line + 1..entry.end].iter().map(String::as_str))
                .collect::<Vec<_>>()
                .join("\n");
            let inner = serde_yaml::from_str::<Value>(&text).unwrap_or(Value::Null);
            let Some(children) = inner.as_mapping().cloned().or_else(|| inner.is_null().then(Mapping::new)) else {
                return;
            };
            let lines = children.iter().filter_map(|(key, value)| Some((key.as_str()?, value)));
            let block: Vec<String> = lines.flat_map(|(key, value)| block_of(indent + INDENT, &[key], value)).collect();
            let head = format!("{}{}", entry.head, entry.comment);
            let end = entry.line + 1 + block.len();
            self.lines.splice(entry.line..entry.end, std::iter::once(head).chain(block));
            self.set(entry.line + 1..end, indent + INDENT, rest, value);
            return;
        }
        let end = self.section_end(entry.line, indent);
        let range = entry.line + 1..end;
        let first = self.lines[range.clone()].iter().find(|line| !is_blank(line)).map(|line| indent_of(line));
        self.set(range, first.filter(|found| *found > indent).unwrap_or(indent + INDENT), rest, value);
    }

    /// Replaces the value of `entry`, keeps its comments.
    fn replace(&mut self, entry: &Entry, indent: usize, value: &Value) {
        let old = &self.lines[entry.line + 1..entry.end];
        let is_block_list = entry.inline.is_empty() && old.iter().any(|line| line.trim_start().starts_with("- "));
        let new = match value {
            Value::Sequence(items) if !items.is_empty() && (is_block_list || flow(items).len() > FLOW_MAX_CHARS) => {
                let column = old.iter().find(|line| !is_blank(line)).map_or(indent + INDENT, |line| indent_of(line));
                let head = format!("{}{}", entry.head, entry.comment);
                std::iter::once(head).chain(list_lines(old, items, column)).collect()
            }
            _ => {
                let comments = old.iter().filter(|line| line.trim_start().starts_with('#')).cloned();
                let head = format!("{} {}{}", entry.head, scalar(value), entry.comment);
                std::iter::once(head).chain(comments).collect::<Vec<_>>()
            }
        };
        self.lines.splice(entry.line..entry.end, new);
    }

    fn find(&self, range: Range<usize>, indent: usize, name: &str) -> Option<Entry> {
        let line = range.clone().find(|index| {
            let line = &self.lines[*index];
            !is_blank(line) && indent_of(line) == indent && key_of(line).is_some_and(|(key, _)| key == name)
        })?;
        let (_, colon) = key_of(&self.lines[line])?;
        let (head, rest) = self.lines[line].split_at(colon + 1);
        let (inline, comment) = split_comment(rest);
        let mut end = self.section_end(line, indent).min(range.end);
        if inline.starts_with(['[', '{']) {
            end = self.flow_end(line, &inline);
        }
        while end > line + 1 && is_blank(&self.lines[end - 1]) {
            end -= 1;
        }
        Some(Entry { line, end, inline, comment, head: head.to_owned() })
    }

    /// Behind the last line that stands deeper than `indent` (or is an entry of a list at it), from `line` on.
    fn section_end(&self, line: usize, indent: usize) -> usize {
        let belongs = |text: &String| {
            is_blank(text)
                || indent_of(text) > indent
                || (indent_of(text) == indent && text.trim_start().starts_with("- "))
        };
        let mut end = line + 1;
        while end < self.lines.len() && belongs(&self.lines[end]) {
            end += 1;
        }
        // Comments that stand no deeper than the key belong to what follows.
        while end > line + 1 && is_blank(&self.lines[end - 1]) && indent_of(&self.lines[end - 1]) <= indent {
            end -= 1;
        }
        end
    }

    /// Behind the line on which a value that begins with a bracket is complete.
    fn flow_end(&self, line: usize, inline: &str) -> usize {
        let mut text = inline.to_owned();
        for (index, next) in self.lines.iter().enumerate().skip(line + 1) {
            if serde_yaml::from_str::<Value>(&text).is_ok() {
                return index;
            }
            text.push('\n');
            text.push_str(next);
        }
        self.lines.len()
    }

    /// Where a new key goes: behind the last line of `range` that says something, or the comments below it.
    fn behind_last(&self, range: Range<usize>) -> usize {
        let says = |index: &usize| !self.lines[*index].trim().is_empty();
        range.clone().rev().find(says).map_or(range.start, |index| index + 1)
    }
}

/// Blank, comment, or mark of a document.
fn is_blank(line: &str) -> bool {
    let text = line.trim();
    text.is_empty() || text.starts_with('#') || text == "---"
}

fn indent_of(line: &str) -> usize {
    line.len() - line.trim_start_matches(' ').len()
}

/// The key of a line, without quotes, and the byte of its colon.
fn key_of(line: &str) -> Option<(&str, usize)> {
    let colon = line.char_indices().find(|(index, c)| {
        *c == ':' && line[index + 1..].chars().next().is_none_or(|next| next == ' ' || next == '\t')
    })?;
    let key = line[..colon.0].trim();
    let inner = |quote: char| key.strip_prefix(quote).and_then(|key| key.strip_suffix(quote));
    Some((inner('"').or_else(|| inner('\'')).unwrap_or(key), colon.0))
}

/// A value and the comment behind it (with the spaces before it).
fn split_comment(rest: &str) -> (String, String) {
    let mut quote = None;
    let mut before = ' ';
    for (index, c) in rest.char_indices() {
        match (quote, c) {
            (None, '#') if before.is_whitespace() => {
                let value = rest[..index].trim_end();
                return (value.trim_start().to_owned(), rest[value.len()..].to_owned());
            }
            // A quote opens a text only where a value can begin; two single ones inside a text stand for one.
            (None, '"' | '\'') if before.is_whitespace() || "[{,:".contains(before) || before == c => quote = Some(c),
            (Some('"'), '"') if before == '\\' => {}
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
        before = if before == '\\' && c == '\\' { ' ' } else { c };
    }
    (rest.trim().to_owned(), String::new())
}

/// New lines for a key with nothing there yet.
fn block_of(indent: usize, path: &[&str], value: &Value) -> Vec<String> {
    let Some((name, rest)) = path.split_first() else { return Vec::new() };
    let pad = " ".repeat(indent);
    if !rest.is_empty() {
        let inner = block_of(indent + INDENT, rest, value);
        return std::iter::once(format!("{pad}{name}:")).chain(inner).collect();
    }
    match value {
        Value::Sequence(items) if flow(items).len() > FLOW_MAX_CHARS => {
            let lines = list_lines(&[], items, indent + INDENT);
            std::iter::once(format!("{pad}{name}:")).chain(lines).collect()
        }
        _ => vec![format!("{pad}{name}: {}", scalar(value))],
    }
}

/// One entry a line; lines of entries that were there before stay as they were written, comments between them too.
fn list_lines(old: &[String], items: &[Value], column: usize) -> Vec<String> {
    let value_of = |line: &String| {
        let entry = line.trim_start().strip_prefix("- ")?;
        serde_yaml::from_str::<Value>(entry).ok()
    };
    let comments = old.iter().filter(|line| line.trim_start().starts_with('#')).cloned();
    let line_of = |item: &Value| {
        let kept = old.iter().find(|line| value_of(line).as_ref() == Some(item)).cloned();
        kept.unwrap_or_else(|| format!("{}- {}", " ".repeat(column), scalar(item)))
    };
    comments.chain(items.iter().map(line_of)).collect()
}

fn flow(items: &[Value]) -> String {
    format!("[{}]", items.iter().map(scalar).collect::<Vec<_>>().join(", "))
}

/// A value on one line; texts in quotes where they could be read as something else.
fn scalar(value: &Value) -> String {
    match value {
        Value::Null => "null".into(),
        Value::Bool(on) => on.to_string(),
        Value::Number(number) => number.to_string(),
        Value::Sequence(items) => flow(items),
        Value::String(text) => quoted(text),
        Value::Mapping(map) => {
            let entries = map.iter().map(|(key, value)| format!("{}: {}", scalar(key), scalar(value)));
            format!("{{{}}}", entries.collect::<Vec<_>>().join(", "))
        }
        Value::Tagged(tagged) => scalar(&tagged.value),
    }
}

fn quoted(text: &str) -> String {
    let is_simple = |c: char| c.is_alphanumeric() || "_./@+- ".contains(c);
    let begins_well = text.starts_with(|c: char| c.is_alphanumeric() || "_./".contains(c));
    let is_plain = begins_well
        && text.trim() == text
        && text.chars().all(is_simple)
        && serde_yaml::from_str::<Value>(text).is_ok_and(|value| value.as_str() == Some(text));
    // JSON's quotes and escapes are YAML's too.
    if is_plain { text.to_owned() } else { serde_json::to_string(text).unwrap_or_default() }
}
