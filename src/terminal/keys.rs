//! Bytes of a terminal into keys. A lone ESC is Escape only after a pause, because arrows begin with it and slow lines tear
//! them apart: without the pause half an arrow would be a command.

use crate::console::message::{Code, Key};

/// Longest escape sequence understood; a longer one is dropped.
const SEQUENCE_MAX_BYTES: usize = 32;
/// Most of a paste that is kept; the rest is dropped.
pub const PASTE_MAX_BYTES: usize = 16 * 1024;
const PASTE_BEGIN: &[u8] = b"\x1b[200~";
const PASTE_END: &[u8] = b"\x1b[201~";

/// What was typed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Typed {
    /// A key.
    Key(Key),
    /// A bracketed paste.
    Paste(String),
}

/// Takes bytes in and gives keys out.
#[derive(Default)]
pub struct Parser {
    pending: Vec<u8>,
    paste: Option<Vec<u8>>,
}

impl Parser {
    /// Something is begun and not ended: call [`Parser::flush`] if nothing follows soon.
    #[must_use]
    pub fn is_waiting(&self) -> bool {
        !self.pending.is_empty() && self.paste.is_none()
    }

    /// Takes more in.
    pub fn feed(&mut self, bytes: &[u8]) -> Vec<Typed> {
        self.pending.extend_from_slice(bytes);
        self.take(false)
    }

    /// Nothing followed: a lone ESC is Escape, half a sequence is dropped.
    pub fn flush(&mut self) -> Vec<Typed> {
        if self.paste.is_some() { Vec::new() } else { self.take(true) }
    }

    fn take(&mut self, is_final: bool) -> Vec<Typed> {
        let mut out = Vec::new();
        loop {
            if self.paste.is_some() {
                if !self.take_paste(&mut out) {
                    return out;
                }
                continue;
            }
            if self.pending.is_empty() {
                return out;
            }
            if self.pending.starts_with(PASTE_BEGIN) {
                self.pending.drain(..PASTE_BEGIN.len());
                self.paste = Some(Vec::new());
                continue;
            }
            match next(&self.pending) {
                Next::Key(length, code) => {
                    self.pending.drain(..length);
                    out.extend(code.map(Typed::Key));
                }
                Next::More if !is_final => return out,
                Next::More => {
                    if self.pending == [0x1b] {
                        out.push(Typed::Key(Key::plain(Code::Esc)));
                    }
                    self.pending.clear();
                }
            }
        }
    }

    /// Moves pending bytes into the paste; false: its end has not come yet.
    fn take_paste(&mut self, out: &mut Vec<Typed>) -> bool {
        let Some(paste) = &mut self.paste else { return true };
        let end = self.pending.windows(PASTE_END.len()).position(|window| window == PASTE_END);
        // The end may be torn: keep as many bytes as could belong to it.
        let keep = PASTE_END.len() - 1;
        let length = end.unwrap_or(self.pending.len().saturating_sub(keep));
        let room = PASTE_MAX_BYTES.saturating_sub(paste.len());
        paste.extend(self.pending[..length].iter().take(room));
        if end.is_none() {
            self.pending.drain(..length);
            return false;
        }
        self.pending.drain(..length + PASTE_END.len());
        let text = String::from_utf8_lossy(paste).into_owned();
        self.paste = None;
        out.push(Typed::Paste(text));
        true
    }
}

enum Next {
    /// So many bytes are this key, or nothing that is known.
    Key(usize, Option<Key>),
    /// More bytes may follow.
    More,
}

fn next(bytes: &[u8]) -> Next {
    match bytes[0] {
        0x1b => escape(bytes),
        b'\r' | b'\n' => Next::Key(1, Some(Key::plain(Code::Enter))),
        b'\t' => Next::Key(1, Some(Key::plain(Code::Tab))),
        0x08 | 0x7f => Next::Key(1, Some(Key::plain(Code::Backspace))),
        byte @ 1..=26 => Next::Key(1, Some(Key::ctrl(char::from(byte - 1 + b'a')))),
        0..=31 => Next::Key(1, None),
        _ => utf8(bytes),
    }
}

fn utf8(bytes: &[u8]) -> Next {
    let length = match bytes[0] {
        0..=0x7f => 1,
        0xc0..=0xdf => 2,
        0xe0..=0xef => 3,
        0xf0..=0xf7 => 4,
        _ => return Next::Key(1, None),
    };
    if bytes.len() < length {
        return Next::More;
    }
    match std::str::from_utf8(&bytes[..length]).ok().and_then(|text| text.chars().next()) {
        Some(c) => Next::Key(length, Some(Key::ch(c))),
        None => Next::Key(1, None),
    }
}

fn escape(bytes: &[u8]) -> Next {
    match bytes.get(1) {
        None => Next::More,
        Some(b'O') => match bytes.get(2) {
            None => Next::More,
            Some(last) => Next::Key(3, letter(*last)),
        },
        Some(b'[') => {
            let Some(end) = bytes[2..].iter().position(|byte| (0x40..=0x7e).contains(byte)) else {
                return if bytes.len() > SEQUENCE_MAX_BYTES { Next::Key(bytes.len(), None) } else { Next::More };
            };
            Next::Key(end + 3, sequence(&bytes[2..end + 2], bytes[end + 2]))
        }
        // Escape, and then whatever follows by itself.
        Some(_) => Next::Key(1, Some(Key::plain(Code::Esc))),
    }
}

fn letter(last: u8) -> Option<Key> {
    let code = match last {
        b'A' => Code::Up,
        b'B' => Code::Down,
        b'C' => Code::Right,
        b'D' => Code::Left,
        b'H' => Code::Home,
        b'F' => Code::End,
        b'Z' => Code::BackTab,
        b'M' => Code::Enter,
        _ => return None,
    };
    Some(Key::plain(code))
}

fn sequence(parameters: &[u8], last: u8) -> Option<Key> {
    if last != b'~' {
        return letter(last);
    }
    let number = parameters.split(|byte| *byte == b';').next()?;
    let code = match number {
        b"1" | b"7" => Code::Home,
        b"3" => Code::Delete,
        b"4" | b"8" => Code::End,
        b"5" => Code::PageUp,
        b"6" => Code::PageDown,
        _ => return None,
    };
    Some(Key::plain(code))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(chunks: &[&[u8]]) -> Vec<Typed> {
        let mut parser = Parser::default();
        let mut out: Vec<Typed> = chunks.iter().flat_map(|chunk| parser.feed(chunk)).collect();
        out.extend(parser.flush());
        out
    }

    fn plain(codes: &[Code]) -> Vec<Typed> {
        codes.iter().map(|code| Typed::Key(Key::plain(*code))).collect()
    }

    #[test]
    fn sequences_are_keys() {
        let bytes: &[u8] = b"\x1b[A\x1bOB\x1b[3~\x1b[1;5C\x1b[Z\r\x7fx\x1b[6~";
        let expected = [
            Code::Up,
            Code::Down,
            Code::Delete,
            Code::Right,
            Code::BackTab,
            Code::Enter,
            Code::Backspace,
            Code::Char('x'),
            Code::PageDown,
        ];
        assert_eq!(keys(&[bytes]), plain(&expected));
        assert_eq!(keys(&[b"\x03"]), [Typed::Key(Key::ctrl('c'))]);
        assert_eq!(keys(&["é".as_bytes()]), plain(&[Code::Char('é')]));
    }

    /// spec 8.5: an arrow torn by a slow line never becomes `A`, which deletes all alerts.
    #[test]
    fn torn_sequences_stay_whole() {
        assert_eq!(keys(&[b"\x1b", b"[", b"A"]), plain(&[Code::Up]));
        assert_eq!(keys(&["é".as_bytes().split_at(1).0, "é".as_bytes().split_at(1).1]), plain(&[Code::Char('é')]));
        assert_eq!(keys(&[b"\x1b"]), plain(&[Code::Esc]));
        assert_eq!(keys(&[b"\x1bq"]), plain(&[Code::Esc, Code::Char('q')]));
        assert_eq!(keys(&[b"\x1b[12"]), []);
    }

    /// spec 8.5: what is pasted is never a key.
    #[test]
    fn a_paste_is_one_thing() {
        let typed = keys(&[b"a\x1b[200~q\nS", b"\x1b[20", b"1~b"]);
        assert_eq!(typed, [Typed::Key(Key::ch('a')), Typed::Paste("q\nS".into()), Typed::Key(Key::ch('b'))]);
    }

    #[test]
    fn endless_input_is_bounded() {
        let mut parser = Parser::default();
        parser.feed(b"\x1b[200~");
        for _ in 0..100 {
            parser.feed(&[b'x'; 1024]);
        }
        let Some(Typed::Paste(text)) = parser.feed(b"\x1b[201~").pop() else { panic!("a paste") };
        assert_eq!(text.len(), PASTE_MAX_BYTES);
        let mut parser = Parser::default();
        parser.feed(b"\x1b[");
        parser.feed(&[b'1'; 100]);
        assert!(!parser.is_waiting());
    }
}
