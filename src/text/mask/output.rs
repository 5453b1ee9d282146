//! What a program writes, line by line: into events, alerts, mails and the program log (spec 5.8).

use std::ops::Range;

use super::keys::is_secret;
use super::{MASK, lines};

/// A key is not longer, in lines: after so many without an end, what follows is shown again.
const KEY_LINES_MAX: u32 = 200;
/// Shorter words are no secret: `token 3 of 5`.
const SECRET_CHARS_MIN: usize = 4;

/// Hides the values of secrets in lines that come one after the other, for ever.
#[derive(Default)]
pub struct OutputMask {
    /// So many lines of a private key have come.
    in_private_key: Option<u32>,
}

impl OutputMask {
    /// The line as it may be shown.
    #[must_use]
    pub fn line(&mut self, text: &str) -> String {
        if text.contains("PRIVATE KEY-----") {
            self.in_private_key = (!text.contains("-----END ")).then_some(0);
            return MASK.to_owned();
        }
        if let Some(count) = &mut self.in_private_key {
            *count += 1;
            if *count <= KEY_LINES_MAX {
                return MASK.to_owned();
            }
            self.in_private_key = None;
        }
        output(&[text]).concat()
    }
}

/// All that a program wrote: a value may go on in the lines below its key.
#[must_use]
pub fn output(texts: &[&str]) -> Vec<String> {
    let all = texts.join("\n");
    let mut masked: Vec<String> = lines(&all).iter().map(|line| in_prose(line.text(false))).collect();
    // An empty last line is none to the one that reads them.
    masked.resize(texts.len(), String::new());
    masked
}

/// The form `password hunter2`: a secret's name, and behind it a word that looks drawn. Ordinary prose (`password expired`)
/// stays.
fn in_prose(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let (mut done, mut before) = (0, "");
    for word in words(text) {
        let this = &text[word.clone()];
        if is_secret(before) && !before.ends_with(['.', '!', '?']) && looks_drawn(this) {
            out.push_str(&text[done..word.start]);
            out.push_str(MASK);
            done = word.end;
        }
        before = this;
    }
    out.push_str(&text[done..]);
    out
}

fn words(text: &str) -> impl Iterator<Item = Range<usize>> {
    let mut from = 0;
    text.split(' ').filter_map(move |word| {
        let range = from..from + word.len();
        from = range.end + 1;
        (!word.is_empty()).then_some(range)
    })
}

/// No word of people: long enough, and with a digit in it.
fn looks_drawn(word: &str) -> bool {
    word.chars().count() >= SECRET_CHARS_MIN && word.chars().any(|c| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 5.8: what a program writes shows no secret, and prose stays as it is
    #[test]
    fn secrets_in_what_a_program_writes_are_hidden() {
        let mut mask = OutputMask::default();
        for (text, secret) in [
            ("password: hunter2svc", "hunter2svc"),
            ("api_key = hunter4", "hunter4"),
            ("login with password hunter2 failed", "hunter2"),
            ("12:01 db: PASSWORD=\"a b\" used", "a b"),
            ("run --token 8f3a9c now", "8f3a9c"),
        ] {
            let shown = mask.line(text);
            assert!(!shown.contains(secret) && shown.contains(MASK), "{shown}");
            assert!(shown.starts_with(&text[..3]), "what is before it stays: {shown}");
        }
        for prose in [
            "password expired for anna",
            "the token of node-2 was renewed",
            "token 3 of 5",
            "no password. 2026-11-22 begins",
            "listening on port 8080",
            "",
        ] {
            assert_eq!(mask.line(prose), prose);
        }
    }

    /// spec 5.8: a private key is hidden to its end; one without an end hides no more than a key is long
    #[test]
    fn a_private_key_in_the_output_is_hidden() {
        let mut mask = OutputMask::default();
        for line in ["-----BEGIN PRIVATE KEY-----", "MIIEvQ", "-----END PRIVATE KEY-----"] {
            assert_eq!(mask.line(line), MASK);
        }
        assert_eq!(mask.line("goes on"), "goes on");
        assert_eq!(mask.line("-----BEGIN PRIVATE KEY-----"), MASK);
        (0..KEY_LINES_MAX).for_each(|_| assert_eq!(mask.line("MIIEvQ"), MASK));
        assert_eq!(mask.line("goes on"), "goes on");
        assert_eq!(
            output(&["password: |", "  hunter2", "", "port: 1", ""])[1..],
            [&format!("  {MASK}"), "", "port: 1", ""]
        );
    }
}
