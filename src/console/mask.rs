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
    // Lines deeper than a secret key belong to its value; where nothing stands behind the key, a list below it too.
    let mut hidden_below: Option<Below> = None;
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
            if let Some(below) = hidden_below {
                let is_item = below.with_items && indent == below.column && is_item(&line[indent..]);
                if line.trim().is_empty() || indent > below.column || is_item {
                    return hide_whole(plain, indent);
                }
                hidden_below = None;
            }
            match split_secret(line) {
                Some((head, value)) => {
                    hidden_below = Some(Below { column: column_of_key(line), with_items: may_go_on_below(value) });
                    if is_block_start(value) {
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

/// What below a secret key belongs to its value.
#[derive(Clone, Copy)]
struct Below {
    /// Of the key.
    column: usize,
    /// Items of a list at the same column too.
    with_items: bool,
}

/// An item of a list begins here.
fn is_item(rest: &str) -> bool {
    rest.strip_prefix('-').is_some_and(|rest| rest.is_empty() || rest.starts_with([' ', '\t']))
}

/// Where the first key of a line stands: behind the signs of list items.
fn column_of_key(line: &str) -> usize {
    let mut column = line.len() - line.trim_start().len();
    while is_item(&line[column..]) {
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

    /// spec 5.8: nothing of a value shows, however YAML lets it be written; what stands beside it does
    #[test]
    fn no_way_to_write_a_value_shows_it() {
        for text in [
            "passwords:\n- hunter2\n- hunter2\nhost: a",
            "password: \"begins\n  hunter2\"\nhost: a",
            "password: begins\n  hunter2\nhost: a",
            "password: &anchor |\n  hunter2\nhost: a",
            "password: !!str |-\n  hunter2\nhost: a",
            "password: | # a comment\n  hunter2\nhost: a",
            "password: # a comment\n  hunter2\nhost: a",
            "tokens: &all # these\n- hunter2\nhost: a",
            "- password: begins\n    hunter2\n  host: a",
            "- - token: |2\n      hunter2\n    host: a",
            "password=#hunter2\nhost: a",
            "password=|hunter2\nhost: a",
            "password=&hunter2\nhost: a",
        ] {
            let shown = shown(text).join("\n");
            assert!(!shown.contains("hunter2"), "{text}\nis shown as\n{shown}");
            assert!(shown.contains("host: a"), "{text}\nis shown as\n{shown}");
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
