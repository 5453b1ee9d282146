//! Reads the text of a settings file: every problem at once, each with its line, its key and the nearest right one.

use serde_yaml::{Mapping, Value};

use super::Settings;
use super::table::{self, ROWS};

/// Largest settings file, bytes. Checked before it is parsed.
pub const SETTINGS_FILE_MAX_BYTES: usize = 256 * 1024;

/// One thing wrong with a settings file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fault {
    /// Line, from 1; none when it cannot be told.
    pub line: Option<usize>,
    /// Dotted key; empty when it is the file as a whole.
    pub key: String,
    /// For people.
    pub why: String,
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        if let Some(line) = self.line {
            write!(f, "line {line}: ")?;
        }
        if !self.key.is_empty() {
            write!(f, "{}: ", self.key)?;
        }
        f.write_str(&self.why)
    }
}

/// The settings in `text`.
///
/// # Errors
/// All faults at once; none of the file is in force then.
pub fn parse(text: &str) -> Result<Settings, Vec<Fault>> {
    let whole = |why: String| vec![Fault { line: None, key: String::new(), why }];
    if text.len() > SETTINGS_FILE_MAX_BYTES {
        return Err(whole(format!("the file is larger than {SETTINGS_FILE_MAX_BYTES} bytes")));
    }
    let value: Value = serde_yaml::from_str(text).map_err(|error| {
        let line = error.location().map(|at| at.line());
        vec![Fault { line, key: String::new(), why: format!("this is no YAML: {error}") }]
    })?;
    let mapping = match value {
        Value::Null => Mapping::new(),
        Value::Mapping(mapping) => mapping,
        _ => return Err(whole("keys and values are expected".into())),
    };
    let mut faults = Vec::new();
    let mut leaves = Vec::new();
    collect("", &mapping, &mut leaves, &mut faults);
    let mut good = Mapping::new();
    for (key, value) in leaves {
        let single = nested(&key, value.clone());
        match serde_yaml::from_value::<Settings>(Value::Mapping(single)) {
            Ok(_) => merge(&mut good, &key, value),
            Err(error) => faults.push(fault(&key, error.to_string())),
        }
    }
    if faults.is_empty() {
        match serde_yaml::from_value::<Settings>(Value::Mapping(good)) {
            Ok(settings) => {
                faults.extend(table::validate(&settings).into_iter().map(|(key, problem)| {
                    fault(key, format!("{}: {}{}", problem.what, problem.why, todo(&problem.todo)))
                }));
                if faults.is_empty() {
                    return Ok(settings);
                }
            }
            Err(error) => faults.push(fault("", error.to_string())),
        }
    }
    for fault in &mut faults {
        fault.line = line_of(text, &fault.key);
    }
    faults.sort_by_key(|fault| fault.line);
    Err(faults)
}

fn todo(text: &str) -> String {
    if text.is_empty() { String::new() } else { format!(". {text}") }
}

fn fault(key: &str, why: String) -> Fault {
    Fault { line: None, key: key.to_owned(), why }
}

/// Every known leaf with its value; unknown keys become faults.
fn collect(prefix: &str, mapping: &Mapping, leaves: &mut Vec<(String, Value)>, faults: &mut Vec<Fault>) {
    for (key, value) in mapping {
        let Some(name) = key.as_str() else {
            faults.push(fault(prefix, "a key here is no text".into()));
            continue;
        };
        let dotted = if prefix.is_empty() { name.to_owned() } else { format!("{prefix}.{name}") };
        let is_section = ROWS.iter().any(|row| row.key.strip_prefix(&dotted).is_some_and(|rest| rest.starts_with('.')));
        match value {
            _ if ROWS.iter().any(|row| row.key == dotted) => leaves.push((dotted, value.clone())),
            Value::Mapping(inner) if is_section => collect(&dotted, inner, leaves, faults),
            Value::Null if is_section => {}
            _ if is_section => faults.push(fault(&dotted, "keys and values are expected below it".into())),
            _ => faults.push(fault(&dotted, format!("there is no such setting; did you mean `{}`?", nearest(&dotted)))),
        }
    }
}

fn nested(dotted: &str, value: Value) -> Mapping {
    let mut mapping = Mapping::new();
    merge(&mut mapping, dotted, value);
    mapping
}

fn merge(mapping: &mut Mapping, dotted: &str, value: Value) {
    match dotted.split_once('.') {
        None => {
            mapping.insert(Value::from(dotted), value);
        }
        Some((section, rest)) => {
            let inner = mapping.entry(Value::from(section)).or_insert_with(|| Value::Mapping(Mapping::new()));
            if let Value::Mapping(inner) = inner {
                merge(inner, rest, value);
            }
        }
    }
}

fn nearest(wrong: &str) -> &'static str {
    let last = wrong.rsplit('.').next().unwrap_or(wrong);
    ROWS.iter()
        .map(|row| row.key)
        .min_by_key(|key| {
            let key_last = key.rsplit('.').next().unwrap_or(key);
            distance(wrong, key).min(distance(last, key_last) + 1)
        })
        .unwrap_or("")
}

/// Levenshtein distance, in characters.
fn distance(left: &str, right: &str) -> usize {
    let right: Vec<char> = right.chars().collect();
    let mut row: Vec<usize> = (0..=right.len()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = index + 1;
        for (column, to) in right.iter().enumerate() {
            let cost = usize::from(from != *to);
            let next = (diagonal + cost).min(row[column] + 1).min(row[column + 1] + 1);
            diagonal = std::mem::replace(&mut row[column + 1], next);
        }
    }
    row[right.len()]
}

/// The line of a dotted key in block style; the nearest section's when the key itself is not found.
fn line_of(text: &str, dotted: &str) -> Option<usize> {
    if dotted.is_empty() {
        return None;
    }
    let mut found = None;
    let mut depth_indent = None;
    let mut parts = dotted.split('.').peekable();
    let mut wanted = parts.next()?;
    for (index, line) in text.lines().enumerate() {
        let trimmed = line.trim_start();
        if trimmed.is_empty() || trimmed.starts_with('#') {
            continue;
        }
        let indent = line.len() - trimmed.len();
        if depth_indent.is_some_and(|above| indent <= above) {
            break;
        }
        let is_wanted = trimmed.strip_prefix(wanted).is_some_and(|rest| rest.trim_start().starts_with(':'));
        let is_level = depth_indent.is_some() || indent == 0;
        if is_wanted && is_level {
            found = Some(index + 1);
            depth_indent = Some(indent);
            match parts.next() {
                Some(next) => wanted = next,
                None => break,
            }
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_faults_at_once_with_line_and_nearest_key() {
        let text = "description: x\nshadow:\n  # how often\n  check_intervall: 1s\n  takeover_delay: soon\n\
                    administration:\n  port: 70000\nserivce: {}\n";
        let faults = parse(text).unwrap_err();
        let shown: Vec<String> = faults.iter().map(ToString::to_string).collect();
        assert_eq!(faults.len(), 4, "{shown:#?}");
        assert!(shown[0].starts_with("line 4: shadow.check_intervall") && shown[0].contains("shadow.check_interval`"));
        assert!(shown[1].starts_with("line 5: shadow.takeover_delay") && shown[1].contains("soon"));
        assert!(shown[2].starts_with("line 7: administration.port"), "{}", shown[2]);
        assert!(shown[3].starts_with("line 8: serivce"), "{}", shown[3]);
    }

    #[test]
    fn an_empty_file_is_the_defaults_and_no_yaml_is_a_fault() {
        assert!(parse("").is_ok());
        let faults = parse("a: [1\nb: 2").unwrap_err();
        assert!(faults[0].why.contains("YAML"));
        assert!(parse("- a list").is_err());
    }
}
