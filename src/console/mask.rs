//! Values whose key looks like a secret are hidden until asked for (spec 5.8). Only what is shown: files never change.

/// What stands in place of a value.
pub const MASK: &str = "********  (masked)";

/// Parts of a key that make its value a secret; compared without case, `-`, `_`, `.` and spaces.
const SECRET_PARTS: [&str; 13] = [
    "password",
    "passwd",
    "passphrase",
    "secret",
    "token",
    "privatekey",
    "credential",
    "apikey",
    "accesskey",
    "pwd",
    "authorization",
    "sharedkey",
    "encryptionkey",
];

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

/// Whether a key with this name holds a secret.
#[must_use]
pub fn is_secret_key(key: &str) -> bool {
    let plain: String = key.chars().filter(|c| c.is_alphanumeric()).flat_map(char::to_lowercase).collect();
    SECRET_PARTS.iter().any(|part| plain.contains(part))
}

/// Every line of `text`, with what to show in its place.
#[must_use]
pub fn lines(text: &str) -> Vec<ShownLine> {
    // Deeper lines after a secret key with a block or nothing behind it belong to its value.
    let mut hidden_below: Option<usize> = None;
    let mut in_private_key = false;
    text.lines()
        .map(|line| {
            let plain = super::facts::clean(line);
            let indent = line.len() - line.trim_start().len();
            let pem_edge = line.contains("PRIVATE KEY-----");
            if in_private_key || pem_edge {
                in_private_key = !line.contains("-----END ");
                return hide_whole(plain, indent);
            }
            if let Some(outer) = hidden_below {
                if line.trim().is_empty() || indent > outer {
                    return hide_whole(plain, indent);
                }
                hidden_below = None;
            }
            match split_secret(line) {
                Some((head, value)) => {
                    if is_block_start(value) {
                        hidden_below = Some(indent);
                        return ShownLine { plain, masked: None };
                    }
                    let masked = Some(format!("{}{MASK}", super::facts::clean(head)));
                    ShownLine { plain, masked }
                }
                None => ShownLine { plain, masked: None },
            }
        })
        .collect()
}

fn hide_whole(plain: String, indent: usize) -> ShownLine {
    let masked = (!plain.trim().is_empty()).then(|| format!("{}{MASK}", " ".repeat(indent)));
    ShownLine { plain, masked }
}

/// A value that goes on in the lines below: nothing, or a block scalar.
fn is_block_start(value: &str) -> bool {
    let value = value.trim();
    value.is_empty() || value.starts_with('|') || value.starts_with('>')
}

/// The line up to its value and the value, if its key is a secret's. Knows `key: value`, `key = value`, `"key": "value"`
/// and `<key>value</key>`; in a line with several pairs everything from the first secret on is hidden.
fn split_secret(line: &str) -> Option<(&str, &str)> {
    let mut start = 0;
    for (index, c) in line.char_indices() {
        match c {
            ':' | '=' | '>' => {
                let key = line[start..index].trim_matches(|c: char| !c.is_alphanumeric());
                let name = key.rsplit([' ', '<', '{', ',', '"', '\'']).next().unwrap_or(key);
                if is_secret_key(name) {
                    let after = index + c.len_utf8();
                    let value = &line[after..];
                    let blank = value.len() - value.trim_start().len();
                    return Some((&line[..after + blank], value));
                }
                start = index + c.len_utf8();
            }
            '{' | ',' | '&' | '?' | ';' => start = index + c.len_utf8(),
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(text: &str) -> Vec<String> {
        lines(text).iter().map(|line| line.text(false).to_owned()).collect()
    }

    /// spec 5.8
    #[test]
    fn values_of_secret_keys_are_hidden() {
        for (line, expected) in [
            ("password: hunter2", "password: ********  (masked)"),
            ("  clientSecret: \"x\"", "  clientSecret: ********  (masked)"),
            ("db.password=hunter2", "db.password=********  (masked)"),
            ("{\"user\": \"a\", \"api_key\": \"k\"}", "{\"user\": \"a\", \"api_key\": ********  (masked)"),
            ("<token>abc</token>", "<token>********  (masked)"),
            ("- private-key: abc", "- private-key: ********  (masked)"),
            ("host: app17", "host: app17"),
            ("url: https://a/?token=abc", "url: https://a/?token=********  (masked)"),
        ] {
            assert_eq!(shown(line), [expected], "{line}");
        }
    }

    /// spec 5.8
    #[test]
    fn values_over_several_lines_are_hidden_to_their_end() {
        let text = "private_key: |\n  line one\n\n  line two\nhost: a\nkeys:\n  secret:\n    - x\n  open: y";
        let hidden = "  ********  (masked)";
        assert_eq!(
            shown(text),
            [
                "private_key: |",
                hidden,
                "",
                hidden,
                "host: a",
                "keys:",
                "  secret:",
                "    ********  (masked)",
                "  open: y"
            ]
        );
        let pem = "-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\nafter";
        assert_eq!(shown(pem), [MASK, MASK, MASK, "after"]);
        assert_eq!(lines(pem)[1].text(true), "abc");
    }
}
