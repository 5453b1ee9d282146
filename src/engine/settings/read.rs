//! Reads a settings file and tells everything that is wrong with it at once: line, key, reason, and for an unknown key the
//! nearest right one (interfaces, Files).

use serde_yaml::Value;

use super::Settings;
use super::table::{self, ROWS};
use crate::engine::base::Problem;

/// Most mistakes told at once.
pub const MISTAKES_MAX: usize = 50;
/// A key is near another when at most this many letters differ.
const NEAR_MAX_LETTERS: usize = 3;
/// And at most one letter in so many: `bogus` is near nothing.
const NEAR_SHARE: usize = 3;
/// Longest key that is compared with others, in characters.
const KEY_MAX_CHARS: usize = 64;

/// One mistake of a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    /// Counted from 1; none: it belongs to no single line.
    pub line: Option<usize>,
    /// Dotted key; empty: the file as a whole.
    pub key: String,
    /// What is wrong with it.
    pub problem: Problem,
}

impl Mistake {
    /// For people: begins with file and line.
    #[must_use]
    pub fn told(&self, file: &str) -> Problem {
        let place = self.line.map_or_else(|| file.to_owned(), |line| format!("{file}, line {line}"));
        Problem { what: format!("{place}: {}", self.problem.what), ..self.problem.clone() }
    }
}

/// The settings that `text` says; what it does not say has its default. An empty file is all defaults.
///
/// # Errors
/// Every mistake, at most [`MISTAKES_MAX`], in the order of the file where it has lines.
pub fn read(text: &str) -> Result<Settings, Vec<Mistake>> {
    let whole = match serde_yaml::from_str::<Value>(text) {
        Ok(whole) => whole,
        Err(error) => {
            let line = error.location().map(|place| place.line());
            let problem = Problem::new("This is no YAML", error.to_string(), "Correct this place");
            return Err(vec![Mistake { line, key: String::new(), problem }]);
        }
    };
    let mut reader = Reader { text, settings: Settings::default(), mistakes: Vec::new() };
    match &whole {
        Value::Null => {}
        Value::Mapping(_) => reader.section("", &whole),
        _ => reader
            .say("", Problem::new("These are no settings", "the file is a single value or list", "Write key: value")),
    }
    for (key, problem) in table::validate(&reader.settings) {
        if !reader.mistakes.iter().any(|mistake| mistake.key == key) {
            reader.say(key, problem);
        }
    }
    let Reader { settings, mut mistakes, .. } = reader;
    if mistakes.is_empty() {
        return Ok(settings);
    }
    mistakes.sort_by_key(|mistake| mistake.line.unwrap_or(usize::MAX));
    mistakes.truncate(MISTAKES_MAX);
    Err(mistakes)
}

struct Reader<'a> {
    text: &'a str,
    settings: Settings,
    mistakes: Vec<Mistake>,
}

impl Reader<'_> {
    fn say(&mut self, key: &str, problem: Problem) {
        self.mistakes.push(Mistake { line: line_of(self.text, key), key: key.to_owned(), problem });
    }

    fn section(&mut self, prefix: &str, section: &Value) {
        let Value::Mapping(entries) = section else { return };
        for (name, value) in entries {
            let Some(name) = name.as_str() else {
                let why = "a key of the settings is a word";
                self.say(prefix, Problem::new("A key that is no text", why, "Take it out"));
                continue;
            };
            let key = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
            if table::row(&key).is_some() {
                self.value(&key, value);
            } else if ROWS.iter().any(|row| row.key.starts_with(&format!("{key}."))) {
                match value {
                    // A section whose lines are all comments.
                    Value::Null => {}
                    Value::Mapping(_) => self.section(&key, value),
                    _ => self.say(
                        &key,
                        Problem::new(
                            format!("{key} has a value of its own"),
                            "it is a section and holds other settings",
                            "Write its settings below it, indented by two spaces",
                        ),
                    ),
                }
            } else {
                let todo = nearest(&key).map_or_else(
                    || "config/settings.yaml shows every setting".to_owned(),
                    |near| format!("The nearest one is {near}"),
                );
                self.say(&key, Problem::new(format!("{key} is unknown"), "there is no such setting", todo));
            }
        }
    }

    fn value(&mut self, key: &str, value: &Value) {
        match table::set(&self.settings, key, value.clone()) {
            Ok(settings) => self.settings = settings,
            Err(problem) => {
                let limits = table::row(key).map(|row| format!("{}: {}", row.unit(), row.limits())).unwrap_or_default();
                self.say(key, Problem { todo: format!("Allowed is a {limits}"), ..problem });
            }
        }
    }
}

/// The line on which a dotted key stands, counted from 1; none where it is written in another way.
fn line_of(text: &str, key: &str) -> Option<usize> {
    let mut lines = text.lines().enumerate();
    let mut found = None;
    let mut depth = None;
    for part in key.split('.').filter(|part| !part.is_empty()) {
        let (index, indent) = lines.by_ref().find_map(|(index, line)| {
            let name = line.trim_start();
            let indent = line.len() - name.len();
            let rest = name.trim_start_matches(['"', '\'']).strip_prefix(part)?;
            let is_key = rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':');
            (is_key && depth.is_none_or(|depth| indent > depth) && (depth.is_some() || indent == 0))
                .then_some((index, indent))
        })?;
        depth = Some(indent);
        found = Some(index + 1);
    }
    found
}

/// The setting or section whose key differs least from `key`.
fn nearest(key: &str) -> Option<&'static str> {
    if key.chars().count() > KEY_MAX_CHARS {
        return None;
    }
    let leaf = |key: &'static str| key.rsplit('.').next().unwrap_or(key);
    let by_key = |known: &'static str| (letters_between(key, known), known);
    let sections = table::SECTIONS.iter().map(|(name, _)| *name);
    let whole = ROWS.iter().map(|row| row.key).chain(sections).map(by_key).min();
    // The right name in the wrong section, or in none.
    let name = key.rsplit('.').next().unwrap_or(key);
    let elsewhere = ROWS.iter().map(|row| row.key).find(|known| leaf(known) == name);
    match (whole, elsewhere) {
        (Some((letters, known)), _) if letters <= NEAR_MAX_LETTERS.min(key.chars().count() / NEAR_SHARE) => Some(known),
        (_, elsewhere) => elsewhere,
    }
}

/// How many letters have to be put in, taken out or changed (Levenshtein).
fn letters_between(one: &str, other: &str) -> usize {
    let other: Vec<char> = other.chars().collect();
    let mut row: Vec<usize> = (0..=other.len()).collect();
    for (index, a) in one.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, b) in other.iter().enumerate() {
            let changed = diagonal + usize::from(a != *b);
            diagonal = row[column + 1];
            row[column + 1] = changed.min(diagonal + 1).min(row[column] + 1);
        }
    }
    row[other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn told(text: &str) -> Vec<(Option<usize>, String)> {
        read(text).unwrap_err().into_iter().map(|mistake| (mistake.line, mistake.key)).collect()
    }

    /// interfaces, Files: names file, line, key and the nearest right one; all errors at once
    #[test]
    fn every_mistake_is_told_with_its_line() {
        let text = "host: node-a\nshadow:\n  chek_interval: 1s\n  takeover_delay: soon\n  master_port: 0\n\nlog:\n  level: loud\n\
                    colour: red\ncheck_interval: 1s\n";
        let mistakes = read(text).unwrap_err();
        let places: Vec<(usize, &str)> = mistakes.iter().map(|one| (one.line.unwrap(), one.key.as_str())).collect();
        assert_eq!(
            places,
            [
                (3, "shadow.chek_interval"),
                (4, "shadow.takeover_delay"),
                (5, "shadow.master_port"),
                (8, "log.level"),
                (9, "colour"),
                (10, "check_interval")
            ]
        );
        assert_eq!(mistakes[0].problem.todo, "The nearest one is shadow.check_interval");
        assert_eq!(mistakes[5].problem.todo, "The nearest one is shadow.check_interval", "in the wrong place");
        assert!(mistakes[4].problem.todo.contains("config/settings.yaml"), "nothing is near");
        assert_eq!(
            mistakes[0].told("/x/settings.yaml").what,
            "/x/settings.yaml, line 3: shadow.chek_interval is unknown"
        );
    }

    #[test]
    fn what_is_not_said_has_its_default() {
        assert_eq!(read(""), Ok(Settings::default()));
        assert_eq!(read(&table::commented_default()), Ok(Settings::default()));
        assert_eq!(read("shadow:\n  # check_interval: 1s\n"), Ok(Settings::default()), "a section of comments");
        assert_eq!(read("host: b\n").map(|settings| settings.host), Ok("b".into()));
    }

    #[test]
    fn sections_values_and_yaml_are_told_apart() {
        assert_eq!(told("log: quiet\n"), [(Some(1), "log".into())]);
        assert_eq!(told("- a\n"), [(None, String::new())]);
        assert_eq!(told("host: a\nlog: [\n").len(), 1);
        assert!(told("host: a\nhost: b\n").len() == 1, "a key twice");
        assert_eq!(told("1: a\n").len(), 1);
        assert_eq!(told("host: null\n"), [(Some(1), "host".into())]);
        // The port that fights stands in another section than the one it is told for.
        assert_eq!(told("high_availability:\n  port: 8443\n"), [(Some(2), "high_availability.port".into())]);
    }

    #[test]
    fn the_number_of_mistakes_is_bounded() {
        let text: String = (0..200).map(|n| format!("unknown_{n}: 1\n")).collect();
        assert_eq!(read(&text).unwrap_err().len(), MISTAKES_MAX);
    }
}
