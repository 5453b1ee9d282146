//! Rules for a password (spec 1.2): long enough, not from a name, not a well-known one.

use crate::engine::base::Problem;

/// Shortest password allowed.
pub const PASSWORD_MIN_CHARS: usize = 12;
/// Longest one: what the link carries.
pub const PASSWORD_MAX_BYTES: usize = 1_024;
/// A name shorter than this is in too many words to count as the source of a password.
const NAME_MIN_CHARS: usize = 3;
/// Fewer different characters than this is a pattern.
const DIFFERENT_MIN: usize = 5;
/// What is left when names, well-known words and sequences are taken out must be at least so long.
const REST_MIN_CHARS: usize = 6;
/// A run of neighbours (`abcd`, `4321`, `qwer`) of at least this length is a sequence.
const SEQUENCE_MIN_CHARS: usize = 4;

const SEQUENCES: [&str; 6] =
    ["abcdefghijklmnopqrstuvwxyz", "01234567890", "qwertyuiop", "qwertzuiop", "asdfghjkl", "yxcvbnm"];

/// Stems that turn up in every list of the most used passwords, longest first.
const WELL_KNOWN: [&str; 40] = [
    "correcthorsebatterystaple",
    "administrator",
    "iloveyou",
    "password",
    "passwort",
    "kennwort",
    "standin",
    "trustno",
    "superman",
    "starwars",
    "sunshine",
    "princess",
    "football",
    "baseball",
    "whatever",
    "computer",
    "internet",
    "welcome",
    "changeme",
    "letmein",
    "monkey",
    "dragon",
    "shadow",
    "master",
    "secret",
    "geheim",
    "hallo",
    "hello",
    "admin",
    "login",
    "guest",
    "default",
    "summer",
    "winter",
    "spring",
    "autumn",
    "manage",
    "test",
    "root",
    "pass",
];

/// Whether `password` may be that of user `name`.
///
/// # Errors
/// Which rule it breaks and what to do.
pub fn check_password_rules(name: &str, password: &str) -> Result<(), Problem> {
    let refuse = |why: String| {
        Err(Problem::new(
            "this password is refused",
            why,
            format!(
                "take at least {PASSWORD_MIN_CHARS} characters that nobody guesses: four unrelated words, for example"
            ),
        ))
    };
    let chars = password.chars().count();
    if chars < PASSWORD_MIN_CHARS {
        return refuse(format!("it has {chars} characters, {PASSWORD_MIN_CHARS} are the least"));
    }
    if password.len() > PASSWORD_MAX_BYTES {
        return refuse(format!("it is longer than {PASSWORD_MAX_BYTES} bytes"));
    }
    if password.chars().any(char::is_control) {
        return refuse("it contains a control character, such as a line end".into());
    }
    let lower = password.to_lowercase();
    if different(&lower) < DIFFERENT_MIN || is_repeated(&lower) {
        return refuse("it repeats the same few characters".into());
    }
    let is_from = |part: &String| {
        let text = plain(password);
        text.contains(part) && text.replace(part, "").chars().count() < REST_MIN_CHARS
    };
    if names_in(name).iter().any(is_from) {
        return refuse("it is made from the user name".into());
    }
    // Sequences first: taking the disguise off would hide those of digits.
    let mut left = plain(&without_sequences(&lower));
    for word in WELL_KNOWN {
        left = left.replace(word, "");
    }
    if left.chars().count() < REST_MIN_CHARS {
        return refuse("it is made from well-known words or sequences".into());
    }
    Ok(())
}

/// How good `password` is, in words.
#[must_use]
pub fn strength(password: &str) -> &'static str {
    let chars = password.chars().count();
    if chars < PASSWORD_MIN_CHARS {
        return "too short";
    }
    if check_password_rules("", password).is_err() {
        return "easily guessed";
    }
    let kinds: [fn(&char) -> bool; 4] =
        [|c| c.is_lowercase(), |c| c.is_uppercase(), char::is_ascii_digit, |c| !c.is_alphanumeric()];
    let kinds = kinds.into_iter().filter(|is| password.chars().any(|c| is(&c))).count();
    match chars + 2 * kinds {
        ..18 => "fair",
        18..24 => "good",
        _ => "strong",
    }
}

/// In lower case, letters and digits alone, with the usual disguises (`p4$$w0rd`) taken off.
fn plain(text: &str) -> String {
    let undisguise = |c: char| match c {
        '@' | '4' => 'a',
        '3' => 'e',
        '1' | '!' => 'i',
        '0' => 'o',
        '$' | '5' => 's',
        '7' => 't',
        c => c,
    };
    text.to_lowercase().chars().map(undisguise).filter(|c| c.is_alphanumeric()).collect()
}

fn different(text: &str) -> usize {
    text.chars().collect::<std::collections::BTreeSet<char>>().len()
}

/// The same piece over and over: `abcabcabcabc`, with a beginning of it at the end.
fn is_repeated(text: &str) -> bool {
    let chars: Vec<char> = text.chars().collect();
    (1..=chars.len() / 2).any(|period| chars.iter().zip(&chars[period..]).all(|(a, b)| a == b))
}

fn names_in(name: &str) -> Vec<String> {
    let whole = plain(name);
    let mut parts: Vec<String> = name.split(|c: char| !c.is_alphanumeric()).map(plain).collect();
    parts.push(whole.chars().rev().collect());
    parts.push(whole);
    parts.retain(|part| part.chars().count() >= NAME_MIN_CHARS);
    parts
}

fn without_sequences(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let mut left = String::new();
    let mut at = 0;
    while at < chars.len() {
        let run = (SEQUENCE_MIN_CHARS..=chars.len() - at).rev().find(|length| is_sequence(&chars[at..at + length]));
        match run {
            Some(length) => at += length,
            None => {
                left.push(chars[at]);
                at += 1;
            }
        }
    }
    left
}

fn is_sequence(chars: &[char]) -> bool {
    let forward: String = chars.iter().collect();
    let backward: String = chars.iter().rev().collect();
    SEQUENCES.iter().any(|sequence| sequence.contains(&forward) || sequence.contains(&backward))
}
