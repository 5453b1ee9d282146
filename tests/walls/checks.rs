//! The checks themselves: a source in, broken places out.

use super::lexer;
use super::sources::{Source, top};

/// Rooms that only compute.
const PURE_ROOMS: [&str; 5] = ["engine", "wire", "console", "view", "text"];
/// Files of a mixed room that only compute.
const PURE_MODULES: [&str; 4] = ["mirror/tree", "mirror/digest", "mirror/diff", "mirror/yaml"];
/// Modules of `std` that reach outside.
const OUTSIDE: [&str; 6] = ["fs", "net", "process", "env", "thread", "os"];
/// Words that have no place in a room that only computes.
const IMPURE_WORDS: [&str; 10] =
    ["tokio", "async", "await", "unsafe", "HashMap", "HashSet", "rand", "getrandom", "rustix", "new_v4"];
/// The same, as paths.
const IMPURE_PATHS: [&str; 2] = ["Instant::now", "SystemTime::now"];
/// Who may know a room, beside the room itself; a room that is not here may be known by all.
const KNOWN_BY: [(&str, &[&str]); 11] = [
    ("node", &["main", "cli"]),
    ("cli", &["main", "node"]),
    ("terminal", &["cli", "node"]),
    ("store", &["node", "mirror"]),
    ("identity", &["node"]),
    ("service", &["node"]),
    ("arbiter", &["node"]),
    ("http", &["node", "arbiter", "service", "notify"]),
    ("notify", &["node"]),
    ("api", &["node"]),
    ("view", &["terminal"]),
];
/// Rooms that know only these, beside themselves.
const KNOWS_ONLY: [(&str, &[&str]); 5] = [
    ("engine", &[]),
    ("text", &[]),
    ("wire", &["engine"]),
    ("console", &["engine", "text"]),
    ("view", &["engine", "console", "text"]),
];
/// Crates, and the only rooms that use them.
const CRATE_ROOMS: [(&str, &[&str]); 6] = [
    ("ratatui", &["view", "terminal"]),
    ("crossterm", &["terminal", "view"]),
    ("tokio", &["node", "arbiter", "http", "service"]),
    ("tokio_rustls", &["node", "http"]),
    ("async", &["node", "arbiter", "http"]),
    ("rusqlite", &["store"]),
];
/// The room that may contain `unsafe`: the parent-death signal of the service needs it.
const UNSAFE_ROOM: &str = "service";
/// Lines above an `expect` in which its reason may stand.
const REASON_LINES: usize = 2;

fn at(source: &Source, line: usize, what: &str) -> String {
    format!("{}:{}: {what}", source.path, line + 1)
}

/// Identifiers, keywords and numbers of a code.
pub fn words(code: &str) -> impl Iterator<Item = &str> {
    code.split(|c: char| !c.is_alphanumeric() && c != '_').filter(|word| !word.is_empty())
}

fn places<'a>(source: &'a Source, what: impl Fn(&'a str) -> Vec<String>) -> Vec<String> {
    let lines = source.code.lines().enumerate();
    lines.flat_map(|(line, code)| what(code).into_iter().map(move |found| at(source, line, &found))).collect()
}

fn is_pure(source: &Source) -> bool {
    let is_in = |module: &&str| source.module() == *module || source.module().starts_with(&format!("{module}/"));
    PURE_ROOMS.contains(&&*source.room) || PURE_MODULES.iter().any(is_in)
}

/// Wall 1.
pub fn purity(source: &Source) -> Vec<String> {
    if !is_pure(source) {
        return Vec::new();
    }
    let mut found = places(source, |code| {
        let squeezed: String = code.split_whitespace().collect();
        let words = words(code).filter(|word| IMPURE_WORDS.contains(word)).map(str::to_owned);
        let paths = IMPURE_PATHS.iter().filter(|path| squeezed.contains(**path)).map(|path| (*path).to_owned());
        words.chain(paths).collect()
    });
    for segment in first_segments(&source.code, "std") {
        if OUTSIDE.contains(&&*segment) {
            found.push(format!("{}: std::{segment}", source.path));
        }
    }
    found
}

/// What follows `root::`, groups opened: `std::{fs, io::Read}` gives `fs` and `io`.
fn first_segments(code: &str, root: &str) -> Vec<String> {
    let squeezed: String =
        code.split_whitespace().collect::<Vec<_>>().join(" ").replace(" ::", "::").replace(":: ", "::");
    let mark = format!("{root}::");
    let mut found = Vec::new();
    for (index, _) in squeezed.match_indices(&mark) {
        let before = squeezed[..index].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_') {
            continue;
        }
        let after = &squeezed[index + mark.len()..];
        match after.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(words(after).next().map(str::to_owned)),
        }
    }
    found
}

fn group_heads(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut heads = Vec::new();
    let mut is_head = true;
    for part in group.split_inclusive(['{', '}', ',']) {
        if is_head && depth == 0 {
            heads.extend(words(part).next().map(str::to_owned));
        }
        is_head = true;
        match part.chars().next_back() {
            Some('{') => depth += 1,
            Some('}') if depth == 0 => break,
            Some('}') => depth -= 1,
            _ => {}
        }
    }
    heads
}

/// Wall 1: the engine's only float is the round trip that the status shows.
pub fn floats(source: &Source) -> Vec<String> {
    if source.room != "engine" {
        return Vec::new();
    }
    places(source, |code| {
        let is_shown = source.path == "src/engine/status.rs" && code.contains("round_trip_ms");
        let is_float = words(code).any(|word| matches!(word, "f32" | "f64")) || has_float_literal(code);
        if is_float && !is_shown { vec!["a float".into()] } else { Vec::new() }
    })
}

fn has_float_literal(code: &str) -> bool {
    let bytes = code.as_bytes();
    (1..bytes.len().saturating_sub(1)).any(|index| {
        // `pair.0.1` is a field of a field.
        let is_field = code[..index].trim_end_matches(|c: char| c.is_ascii_digit()).ends_with('.');
        bytes[index] == b'.' && bytes[index - 1].is_ascii_digit() && bytes[index + 1].is_ascii_digit() && !is_field
    })
}

/// Wall 2.
pub fn acquaintances(source: &Source) -> Vec<String> {
    let room = &*source.room;
    let mut found = Vec::new();
    for root in ["crate", "standin"] {
        for known in first_segments(&source.code, root).iter().filter(|known| **known != room) {
            let is_hidden = KNOWN_BY.iter().any(|(hidden, by)| hidden == known && !by.contains(&room));
            let is_foreign = KNOWS_ONLY.iter().any(|(who, only)| *who == room && !only.contains(&&**known));
            if is_hidden || is_foreign {
                found.push(format!("{}: {room} knows {known}", source.path));
            }
        }
    }
    found
}

/// Walls 2 and 3.
pub fn crates(source: &Source) -> Vec<String> {
    places(source, |code| {
        let foreign =
            |word: &&str| CRATE_ROOMS.iter().any(|(name, rooms)| name == word && !rooms.contains(&&*source.room));
        words(code).filter(foreign).map(|word| format!("{word} in {}", source.room)).collect()
    })
}

/// SQL outside the store.
pub fn sql(source: &Source) -> Vec<String> {
    const BEGINNINGS: [&str; 8] = [
        "SELECT ",
        "INSERT INTO ",
        "INSERT OR ",
        "UPDATE ",
        "DELETE FROM ",
        "CREATE TABLE ",
        "PRAGMA ",
        "BEGIN IMMEDIATE",
    ];
    if source.room == "store" {
        return Vec::new();
    }
    let strings = lexer::strings(&source.text);
    let found =
        strings.lines().enumerate().filter(|(_, line)| BEGINNINGS.iter().any(|sql| line.trim_start().starts_with(sql)));
    found.map(|(line, text)| at(source, line, text.trim())).collect()
}

/// `unwrap` never; `expect` only with its reason beside it.
pub fn panics(source: &Source) -> Vec<String> {
    let texts: Vec<&str> = source.text.lines().collect();
    let has_reason = |line: usize| {
        let near = &texts[line.saturating_sub(REASON_LINES)..=line.min(texts.len() - 1)];
        near.iter().any(|text| text.contains("// "))
    };
    let mut found = Vec::new();
    for (line, code) in source.code.lines().enumerate() {
        for bad in [".unwrap()", "todo!(", "unimplemented!(", "dbg!("] {
            if code.contains(bad) {
                found.push(at(source, line, bad));
            }
        }
        // The message may stand on the next line; a parser's `expect(token)` is none.
        let is_expect = code.contains(".expect(\"") || code.trim_end().ends_with(".expect(");
        if is_expect && !has_reason(line) {
            found.push(at(source, line, ".expect( without a comment that says why it cannot fail"));
        }
    }
    found
}

/// `unsafe` outside its room.
pub fn unsafe_code(source: &Source) -> Vec<String> {
    if source.room == UNSAFE_ROOM {
        return Vec::new();
    }
    places(source, |code| words(code).filter(|word| *word == "unsafe").map(str::to_owned).collect())
}

/// Hosts of package registries, in pieces, so that this file does not name them.
const PACKAGE_HOSTS: [&str; 9] = [
    concat!("crates", ".io"),
    concat!("rust-lang", ".org/dist"),
    concat!("sh.rustup", ".rs"),
    concat!("pypi", ".org"),
    concat!("npmjs", ".org"),
    concat!("deb.", "debian.org"),
    concat!("archive.", "ubuntu.com"),
    concat!("ports.", "ubuntu.com"),
    concat!("registry", "+https"),
];
/// Where tools of a build machine lie.
const BUILD_PLACES: [&str; 3] =
    [concat!("/.cargo/", "registry"), concat!("/.rus", "tup/"), concat!("/target/", "debug/deps")];
/// First parts of paths that every machine has.
const COMMON_TOPS: [&str; 14] =
    ["bin", "boot", "dev", "etc", "home", "lib", "mnt", "opt", "proc", "root", "srv", "tmp", "usr", "var"];

/// The project's own place, and its top directory where that is no common one.
pub fn paths_of_this_machine() -> Vec<String> {
    let place = top();
    let mut paths = vec![place.to_string_lossy().into_owned()];
    if let Some(first) = place.iter().nth(1).map(|first| first.to_string_lossy())
        && !COMMON_TOPS.contains(&&*first)
    {
        paths.push(format!("/{first}/"));
    }
    paths
}

/// Package hosts and places of a build machine in a text.
pub fn foreign_words(path: &str, text: &str, machine: &[String]) -> Vec<String> {
    let mut found = Vec::new();
    for (line, content) in text.lines().enumerate() {
        let place = |word: &str| format!("{path}:{}: {word}", line + 1);
        for word in PACKAGE_HOSTS.iter().chain(&BUILD_PLACES).filter(|word| content.contains(**word)) {
            found.push(place(word));
        }
        for word in machine {
            // `frame/work/x` is a relative path, not one of the machine's.
            let starts = content.match_indices(&**word).map(|(index, _)| content[..index].chars().next_back());
            if starts.into_iter().any(|before| !before.is_some_and(|c| c.is_alphanumeric() || "._-/}".contains(c))) {
                found.push(place(word));
            }
        }
    }
    found
}

#[cfg(test)]
mod tests;
