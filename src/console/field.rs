//! A single line that is typed into: text, cursor, limit, and the part of it that fits on the screen.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};
use zeroize::Zeroize;

/// What stands for each character of a masked field.
const MASK: char = '*';

/// One key press inside a field.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FieldKey {
    /// A character to insert.
    Char(char),
    /// Deletes the character before the cursor.
    Backspace,
    /// Deletes the character at the cursor.
    Delete,
    /// One character back.
    Left,
    /// One character on.
    Right,
    /// To the beginning of the word.
    WordLeft,
    /// Behind the end of the word.
    WordRight,
    /// To the beginning.
    Home,
    /// Behind the end.
    End,
    /// Deletes back to the beginning of the word (Ctrl-W).
    DeleteWord,
    /// Deletes back to the beginning of the line (Ctrl-U).
    DeleteToStart,
    /// Deletes to the end of the line (Ctrl-K).
    DeleteToEnd,
}

/// A single line of text in edit. Control characters never enter it.
#[derive(Clone, PartialEq, Eq)]
pub struct Field {
    text: String,
    /// In characters from the beginning, never between a character and its accents.
    cursor: usize,
    limit: usize,
    masked: bool,
}

/// The part of a field that fits.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Window {
    /// What is shown; at most the width asked for.
    pub text: String,
    /// Column of the cursor inside it; may be the column behind the last one shown.
    pub cursor: usize,
    /// There is more to the left.
    pub more_left: bool,
    /// There is more to the right.
    pub more_right: bool,
}

impl Field {
    /// Empty, for at most `limit_chars` characters.
    #[must_use]
    pub fn new(limit_chars: usize) -> Self {
        Self { text: String::new(), cursor: 0, limit: limit_chars, masked: false }
    }

    /// Empty, never shown, wiped when dropped (spec 1.2).
    #[must_use]
    pub fn masked(limit_chars: usize) -> Self {
        Self { text: String::new(), cursor: 0, limit: limit_chars, masked: true }
    }

    /// With `text` in it and the cursor behind it.
    #[must_use]
    pub fn with(limit_chars: usize, text: &str) -> Self {
        let mut field = Self::new(limit_chars);
        field.set(text);
        field
    }

    /// The text as it is.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.text
    }

    /// It is never shown.
    #[must_use]
    pub fn is_masked(&self) -> bool {
        self.masked
    }

    /// Another text, cursor behind it. What is over the limit is dropped.
    pub fn set(&mut self, text: &str) {
        self.wipe();
        self.paste(text);
    }

    /// Inserts at the cursor what can stand on one line: line ends at the end of it are dropped, other control characters
    /// too. Returns how many characters did not fit.
    pub fn paste(&mut self, text: &str) -> usize {
        let chars: Vec<char> = text.chars().filter(|c| !c.is_control()).collect();
        let room = self.limit.saturating_sub(self.length());
        for c in chars.iter().take(room) {
            self.insert(*c);
        }
        self.cursor = self.after_marks(self.cursor);
        chars.len().saturating_sub(room)
    }

    /// Does what the key says. Returns whether the text changed.
    pub fn key(&mut self, key: FieldKey) -> bool {
        let before = self.length();
        match key {
            FieldKey::Char(c) if !c.is_control() && before < self.limit => {
                self.insert(c);
                self.cursor = self.after_marks(self.cursor);
            }
            FieldKey::Char(_) => {}
            FieldKey::Backspace => self.delete(self.left_of(self.cursor), self.cursor),
            FieldKey::Delete => self.delete(self.cursor, self.right_of(self.cursor)),
            FieldKey::DeleteWord => self.delete(self.word_left(), self.cursor),
            FieldKey::DeleteToStart => self.delete(0, self.cursor),
            FieldKey::DeleteToEnd => self.delete(self.cursor, before),
            FieldKey::Left => self.cursor = self.left_of(self.cursor),
            FieldKey::Right => self.cursor = self.right_of(self.cursor),
            FieldKey::WordLeft => self.cursor = self.word_left(),
            FieldKey::WordRight => self.cursor = self.word_right(),
            FieldKey::Home => self.cursor = 0,
            FieldKey::End => self.cursor = before,
        }
        self.length() != before
    }

    /// What is shown in `width` columns, so that the cursor is inside: wide characters are never cut in half.
    #[must_use]
    pub fn window(&self, width: usize) -> Window {
        let shown: Vec<char> =
            if self.masked { self.text.chars().map(|_| MASK).collect() } else { self.text.chars().collect() };
        // The cursor needs a column of its own behind the text.
        let room = width.saturating_sub(1);
        let mut start = self.cursor;
        let mut used = 0;
        while start > 0 {
            let step = columns(shown[start - 1]);
            if used + step > room {
                break;
            }
            used += step;
            start -= 1;
        }
        // Accents whose character is cut off would land on a strange one.
        while start < self.cursor && columns(shown[start]) == 0 {
            start += 1;
        }
        let mut text = String::new();
        let mut end = start;
        while end < shown.len() && text.width() + columns(shown[end]) <= width {
            text.push(shown[end]);
            end += 1;
        }
        let cursor = shown[start..self.cursor].iter().map(|c| columns(*c)).sum();
        Window { text, cursor, more_left: start > 0, more_right: end < shown.len() }
    }

    fn length(&self) -> usize {
        self.text.chars().count()
    }

    fn byte_of(&self, index: usize) -> usize {
        self.text.char_indices().nth(index).map_or(self.text.len(), |(byte, _)| byte)
    }

    fn insert(&mut self, c: char) {
        if self.masked && self.text.capacity() < self.text.len() + c.len_utf8() {
            // Growing moves the text and leaves the old bytes behind: take all the room at once and wipe the old place.
            let mut grown = String::with_capacity(self.limit.saturating_mul(4));
            grown.push_str(&self.text);
            self.text.zeroize();
            self.text = grown;
        }
        let at = self.byte_of(self.cursor);
        self.text.insert(at, c);
        self.cursor += 1;
    }

    fn delete(&mut self, from: usize, to: usize) {
        let range = self.byte_of(from)..self.byte_of(to);
        self.text.replace_range(range, "");
        self.cursor = from;
    }

    fn char_at(&self, index: usize) -> Option<char> {
        self.text.chars().nth(index)
    }

    /// `index`, moved behind accents that belong to the character before it.
    fn after_marks(&self, index: usize) -> usize {
        let is_mark = |index: usize| self.char_at(index).is_some_and(|c| columns(c) == 0);
        (index..).find(|index| !is_mark(*index)).unwrap_or(index)
    }

    fn right_of(&self, index: usize) -> usize {
        self.after_marks((index + 1).min(self.length()))
    }

    fn left_of(&self, index: usize) -> usize {
        let is_base = |index: &usize| self.char_at(*index).is_some_and(|c| columns(c) > 0);
        (0..index).rev().find(is_base).unwrap_or(0)
    }

    fn word_left(&self) -> usize {
        let chars: Vec<char> = self.text.chars().collect();
        let mut at = self.cursor;
        while at > 0 && !is_word(chars[at - 1]) {
            at -= 1;
        }
        while at > 0 && is_word(chars[at - 1]) {
            at -= 1;
        }
        at
    }

    fn word_right(&self) -> usize {
        let chars: Vec<char> = self.text.chars().collect();
        let mut at = self.cursor;
        while at < chars.len() && !is_word(chars[at]) {
            at += 1;
        }
        while at < chars.len() && is_word(chars[at]) {
            at += 1;
        }
        at
    }

    fn wipe(&mut self) {
        self.cursor = 0;
        if self.masked {
            self.text.zeroize();
        } else {
            self.text.clear();
        }
    }
}

fn columns(c: char) -> usize {
    c.width().unwrap_or(0)
}

/// Marks belong to their word.
fn is_word(c: char) -> bool {
    c.is_alphanumeric() || columns(c) == 0
}

impl std::fmt::Debug for Field {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let text = if self.masked { "…" } else { self.text.as_str() };
        f.debug_struct("Field").field("text", &text).field("cursor", &self.cursor).finish_non_exhaustive()
    }
}

impl Drop for Field {
    fn drop(&mut self) {
        self.wipe();
    }
}

#[cfg(test)]
mod tests;
