//! Just enough of Rust's lexical rules to tell code from comments, strings and test modules.

/// What a character belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Code,
    Comment,
    Text,
}

/// `source` with everything but code replaced by spaces; lines stay where they are.
pub fn code(source: &str) -> String {
    keep(source, Part::Code)
}

/// `source` with everything but the contents of string literals replaced by spaces.
pub fn strings(source: &str) -> String {
    keep(source, Part::Text)
}

fn keep(source: &str, wanted: Part) -> String {
    let characters: Vec<char> = source.chars().collect();
    let parts = parts(&characters);
    let shown = characters.iter().zip(parts);
    shown.map(|(c, part)| if part == wanted || *c == '\n' { *c } else { ' ' }).collect()
}

fn parts(source: &[char]) -> Vec<Part> {
    let mut parts = vec![Part::Code; source.len()];
    let mut at = 0;
    while at < source.len() {
        let (end, part) = token(source, at);
        if part == Part::Text {
            // Quotes count as code, so that a string stays visible as one.
            let quotes = at..end;
            for index in quotes {
                let is_edge = index == at || index + 1 == end;
                parts[index] = if is_edge { Part::Code } else { Part::Text };
            }
        } else {
            parts[at..end].fill(part);
        }
        at = end;
    }
    parts
}

/// Where the token at `at` ends, and what it is. Always moves on.
fn token(source: &[char], at: usize) -> (usize, Part) {
    let next = |offset: usize| source.get(at + offset).copied();
    let is_word_start = at == 0 || !is_word(source[at - 1]);
    match source[at] {
        '/' if next(1) == Some('/') => (find(source, at, |c| c == '\n'), Part::Comment),
        '/' if next(1) == Some('*') => (block_comment_end(source, at), Part::Comment),
        '"' => (string_end(source, at + 1), Part::Text),
        'r' | 'b' | 'c' if is_word_start => match raw_string(source, at) {
            Some(end) => (end, Part::Text),
            None => (at + 1, Part::Code),
        },
        '\'' => match character_end(source, at) {
            Some(end) => (end, Part::Text),
            None => (at + 1, Part::Code),
        },
        _ => (at + 1, Part::Code),
    }
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn find(source: &[char], from: usize, stop: impl Fn(char) -> bool) -> usize {
    (from..source.len()).find(|index| stop(source[*index])).unwrap_or(source.len())
}

fn block_comment_end(source: &[char], at: usize) -> usize {
    let mut depth = 0;
    let mut index = at;
    while index < source.len() {
        match (source[index], source.get(index + 1)) {
            ('/', Some('*')) => (depth, index) = (depth + 1, index + 2),
            ('*', Some('/')) => (depth, index) = (depth - 1, index + 2),
            _ => index += 1,
        }
        if depth == 0 {
            return index;
        }
    }
    source.len()
}

fn string_end(source: &[char], from: usize) -> usize {
    let mut index = from;
    while index < source.len() {
        match source[index] {
            '\\' => index += 2,
            '"' => return index + 1,
            _ => index += 1,
        }
    }
    source.len()
}

/// The end of `r"…"`, `r#"…"#` and their `br` and `cr` forms; plain `b"…"` and `c"…"` are left to the quote.
fn raw_string(source: &[char], at: usize) -> Option<usize> {
    let r = if source[at] == 'r' { at } else { at + 1 };
    if source.get(r) != Some(&'r') {
        return None;
    }
    let quote = find(source, r + 1, |c| c != '#');
    if source.get(quote) != Some(&'"') {
        return None;
    }
    let hashes = quote - r - 1;
    let is_end =
        |index: usize| source[index] == '"' && (1..=hashes).all(|offset| source.get(index + offset) == Some(&'#'));
    Some((quote + 1..source.len()).find(|index| is_end(*index)).map_or(source.len(), |index| index + 1 + hashes))
}

/// The end of a character literal; none for a lifetime.
fn character_end(source: &[char], at: usize) -> Option<usize> {
    match source.get(at + 1)? {
        '\\' => Some(find(source, at + 3, |c| c == '\'') + 1),
        _ if source.get(at + 2) == Some(&'\'') => Some(at + 3),
        _ => None,
    }
}

/// `code` (of [`code`]) without the items that only tests see.
pub fn without_tests(code: &str) -> String {
    const MARK: &str = "#[cfg(test)]";
    let mut left = code.to_owned();
    while let Some(start) = left.find(MARK) {
        let end = item_end(&left, start + MARK.len());
        let blank: String = left[start..end].chars().map(|c| if c == '\n' { '\n' } else { ' ' }).collect();
        left.replace_range(start..end, &blank);
    }
    left
}

/// Behind the `;`, the closing brace, or for a field the `,` of what begins at `from`, attributes before it included.
fn item_end(code: &str, from: usize) -> usize {
    let is_field = is_field(&code[from..]);
    let mut depth = 0;
    for (index, c) in code[from..].char_indices() {
        match c {
            '{' | '(' | '[' => depth += 1,
            '}' | ')' | ']' if depth == 0 => return from + index,
            '}' | ')' | ']' => depth -= 1,
            _ => {}
        }
        if depth == 0 && (matches!(c, ';' | '}') || is_field && c == ',') {
            return from + index + 1;
        }
    }
    code.len()
}

/// `name: Type` of a struct, `name: value` of a literal.
fn is_field(item: &str) -> bool {
    let item = without_visibility(item.trim_start());
    let name = item.find(|c: char| !is_word(c)).unwrap_or(item.len());
    let after = item[name..].trim_start();
    name > 0 && after.starts_with(':') && !after.starts_with("::")
}

fn without_visibility(item: &str) -> &str {
    let Some(after) = item.strip_prefix("pub").filter(|after| after.starts_with([' ', '('])) else { return item };
    let after = match after.strip_prefix('(') {
        Some(inside) => inside.split_once(')').map_or("", |(_, after)| after),
        None => after,
    };
    after.trim_start()
}

/// Names of the modules in files of their own that only tests see: `#[cfg(test)] mod tests;`.
pub fn test_modules(code: &str) -> Vec<String> {
    code.split("#[cfg(test)]")
        .skip(1)
        .filter_map(|after| {
            let declaration = after.split([';', '{']).next()?;
            let is_file = after[declaration.len()..].starts_with(';');
            let name = without_visibility(declaration.trim()).strip_prefix("mod ")?;
            is_file.then(|| name.trim().to_owned())
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_and_strings_are_no_code() {
        let source = "let a = \"tokio \\\" async\"; // tokio\n/* async /* nested */ tokio */ let b = r#\"to\"kio\"#;";
        let code = code(source);
        assert!(!code.contains("tokio") && !code.contains("kio") && !code.contains("async"), "{code}");
        assert!(code.contains("let a = \"") && code.contains("let b = r"), "{code}");
        assert_eq!(code.lines().count(), 2);
        assert!(strings(source).contains("tokio") && !strings(source).contains("nested"));
    }

    #[test]
    fn a_lifetime_is_no_character_and_a_quote_character_no_string() {
        let code = code("fn f<'a>(x: &'a str) { g('\"', '\\'', b'x'); h(\"in\") } tokio");
        assert!(code.contains("&'a str") && code.ends_with("tokio") && !code.contains("in\""), "{code}");
    }

    #[test]
    fn test_items_are_cut_out_and_nothing_else() {
        let code = "fn a() { x }\n#[cfg(test)]\n#[path = 1]\nmod tests {\n fn b() { y[{ z }] }\n}\nfn c() {}\n#[cfg(test)]\nmod more;\nfn d() {}";
        let left = without_tests(code);
        for kept in ["fn a() { x }", "fn c() {}", "fn d() {}"] {
            assert!(left.contains(kept), "{left}");
        }
        assert!(!left.contains("fn b") && !left.contains("more"), "{left}");
        assert_eq!(left.lines().count(), code.lines().count());
        assert_eq!(test_modules(code), ["more"]);
        assert_eq!(test_modules("#[cfg(test)]\npub(crate) mod testing;"), ["testing"]);
    }

    #[test]
    fn a_field_for_tests_ends_at_its_comma() {
        for code in ["struct S {\n #[cfg(test)]\n crash: testing::Crash,\n kept: u8 }", "S { #[cfg(test)] a: b }\nkept"]
        {
            let left = without_tests(code);
            assert!(left.contains("kept") && !left.contains("rash") && !left.contains("a: b"), "{left}");
        }
    }
}
