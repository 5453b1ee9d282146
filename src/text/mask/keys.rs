//! Which keys are those of secrets, and where in a line they are.

use std::ops::Range;

/// Parts of a key that make its value a secret; compared without case, `-`, `_`, `.` and spaces.
const SECRET_PARTS: [&str; 22] = [
    "password",
    "passwd",
    "passphrase",
    "passcode",
    "passkey",
    "passwort",
    "kennwort",
    "pswd",
    "pwd",
    "pincode",
    "secret",
    "token",
    "privatekey",
    "credential",
    "apikey",
    "accesskey",
    "authorization",
    "sharedkey",
    "encryptionkey",
    "signingkey",
    "masterkey",
    "sessionkey",
];
/// The same, but as whole words alone, as `pin` is in `spinning` too; and a word that ends with `pass`. Numbers behind them do not
/// count.
const SECRET_WORDS: [&str; 8] = ["pin", "otp", "totp", "psk", "cred", "creds", "jwt", "bearer"];
/// Words with `pass` in them that say nothing of a secret.
const HARMLESS: [&str; 4] = ["passthrough", "bypass", "compass", "surpass"];

/// Whether a key with this name holds a secret (spec 5.8).
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let plain: String = key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    if SECRET_PARTS.iter().any(|part| plain.contains(part)) {
        return true;
    }
    let has_pass =
        plain.contains("pass") && HARMLESS.iter().fold(plain, |rest, word| rest.replace(word, "")).contains("pass");
    words(key).any(|word| {
        let word = word.trim_end_matches(char::is_numeric).to_lowercase();
        (has_pass && word.ends_with("pass")) || SECRET_WORDS.contains(&word.as_str())
    })
}

/// `dbPass`, `db_pass` and `DBPass` have the same two words.
fn words(key: &str) -> impl Iterator<Item = &str> {
    key.split(|c: char| !c.is_alphanumeric()).filter(|part| !part.is_empty()).flat_map(|part| {
        let mut from = 0;
        let mut before: Option<char> = None;
        let mut cuts = Vec::new();
        let mut chars = part.char_indices().peekable();
        while let Some((at, c)) = chars.next() {
            let is_before_small = chars.peek().is_some_and(|(_, next)| next.is_lowercase());
            let begins = before.is_some_and(|before| c.is_uppercase() && (!before.is_uppercase() || is_before_small));
            if begins {
                cuts.push(&part[from..at]);
                from = at;
            }
            before = Some(c);
        }
        cuts.push(&part[from..]);
        cuts
    })
}

/// [`is_secret_key`], as it is written and as YAML, JSON and properties read what is escaped in it.
pub(super) fn is_secret(key: &str) -> bool {
    is_secret_key(key) || (key.contains('\\') && is_secret_key(&unescaped(key)))
}

fn unescaped(key: &str) -> String {
    let mut out = String::with_capacity(key.len());
    let mut rest = key;
    while let Some((before, behind)) = rest.split_once('\\') {
        out.push_str(before);
        let Some(sign) = behind.chars().next() else { return out };
        rest = &behind[sign.len_utf8()..];
        let digits = match sign {
            'x' => 2,
            'u' => 4,
            'U' => 8,
            _ => 0,
        };
        let code = rest.get(..digits).filter(|_| digits > 0).and_then(|digits| u32::from_str_radix(digits, 16).ok());
        match code.and_then(char::from_u32) {
            Some(c) => {
                out.push(c);
                rest = &rest[digits..];
            }
            None if "0abtnvfreN_LP".contains(sign) => out.push(' '),
            None => out.push(sign),
        }
    }
    out.push_str(rest);
    out
}

/// What a line has of keys.
pub(super) struct Scan<'a> {
    /// Where the value of the first secret key begins, directly behind its sign.
    pub(super) value: Option<usize>,
    /// Behind the last sign: what would be a key if a colon followed.
    pub(super) tail: &'a str,
}

/// Knows `key: value`, `key = value`, `"key": "value"` and `<key>value</key>`; in a line with several pairs the first secret
/// counts, and everything behind it is hidden. In a comment only the last word before a sign is a key: the rest is prose.
pub(super) fn scan(line: &str, is_comment: bool) -> Scan<'_> {
    let mut start = 0;
    let mut has_pair = false;
    let mut quotes = Quotes::default();
    for (index, c) in line.char_indices() {
        quotes.read(index, c);
        match c {
            ':' | '=' | '>' => {
                let key = &line[start..index];
                let is_secret_here = match c {
                    _ if is_comment => is_secret(last_word(key)),
                    '>' => is_secret_tag(key),
                    _ => is_secret(key) || (c == ':' && is_alias(key)),
                };
                let quoted = quotes.last.clone().filter(|quoted| quoted.end == line[..index].trim_end().len());
                if is_secret_here || quoted.is_some_and(|quoted| is_secret(&line[quoted])) {
                    return Scan { value: Some(index + c.len_utf8()), tail: line };
                }
                start = index + c.len_utf8();
                has_pair = true;
            }
            // What is before them is the value of the pair before; without one it may be a part of the key.
            '{' | ',' | '&' | '?' | ';' if has_pair || is_comment => start = index + c.len_utf8(),
            _ => {}
        }
    }
    let quoted = quotes.last.filter(|quoted| quoted.end == line.trim_end().len());
    Scan { value: None, tail: &line[quoted.map_or(start, |quoted| quoted.start.min(start))..] }
}

fn last_word(key: &str) -> &str {
    let key = key.trim_matches(|c: char| !c.is_alphanumeric());
    key.rsplit([' ', '<', '{', ',', '"', '\'']).next().unwrap_or(key)
}

/// The name of an element: what is before it belongs to another; its end has no value.
fn is_secret_tag(key: &str) -> bool {
    let name = key.rsplit_once('<').map_or(key, |(_, name)| name);
    !name.starts_with('/') && is_secret(name)
}

/// `*name:` is a key that stands elsewhere: it may be that of a secret.
fn is_alias(key: &str) -> bool {
    let key = key.trim_start_matches(|c: char| c.is_whitespace() || "-?{[,".contains(c)).trim_end();
    let is_name = |name: &str| !name.is_empty() && name.chars().all(|c| c.is_alphanumeric() || "-_".contains(c));
    key.strip_prefix('*').is_some_and(is_name)
}

/// Where quoted texts are in a line.
#[derive(Default)]
struct Quotes {
    open: Option<(char, usize)>,
    is_escaped: bool,
    before: Option<char>,
    last: Option<Range<usize>>,
}

impl Quotes {
    fn read(&mut self, at: usize, c: char) {
        match self.open {
            Some(_) if self.is_escaped => self.is_escaped = false,
            Some(('"', _)) if c == '\\' => self.is_escaped = true,
            Some((sign, from)) if c == sign => {
                self.open = None;
                self.last = Some(from..at + 1);
            }
            Some(_) => {}
            None if matches!(c, '"' | '\'') => {
                let again = self.last.clone().filter(|last| last.end == at && self.before == Some(c));
                let begins = self.before.is_none_or(|before| before.is_whitespace() || "{[,:?=(-!&>;".contains(before));
                match again {
                    // Twice is the character itself.
                    Some(last) => self.open = Some((c, last.start)),
                    None if begins => self.open = Some((c, at)),
                    None => {}
                }
            }
            None => {}
        }
        self.before = Some(c);
    }
}
