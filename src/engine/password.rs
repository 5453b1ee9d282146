//! The rule a new password has to keep (spec 1.2), and how strong it is in a word.

use super::base::Problem;

/// Fewest characters of a password (spec 1.2).
pub const PASSWORD_MIN_CHARS: usize = 12;
/// Most characters; more than any password manager makes, little enough to hash at once.
pub const PASSWORD_MAX_CHARS: usize = 256;
/// Fewest different characters; below, it is one pattern repeated.
const DISTINCT_MIN: usize = 5;
/// A name shorter than this is no pattern: it would be found inside too many good passwords.
const NAME_MIN_CHARS: usize = 3;
/// Longest run in keyboard or alphabet order that may stand in a short password.
const RUN_MAX_CHARS: usize = 7;

/// Stems that head every list of stolen passwords; a password made of them and of digits or signs is well known.
const WELL_KNOWN: [&str; 50] = [
    "correcthorsebatterystaple",
    "password",
    "passwort",
    "passphrase",
    "kennwort",
    "geheim",
    "secret",
    "changeme",
    "changeit",
    "letmein",
    "welcome",
    "willkommen",
    "admin",
    "administrator",
    "root",
    "master",
    "shadow",
    "standin",
    "manage",
    "manager",
    "default",
    "iloveyou",
    "monkey",
    "dragon",
    "football",
    "sunshine",
    "princess",
    "trustno",
    "hallo",
    "hello",
    "qwertz",
    "qwerty",
    "login",
    "superman",
    "starwars",
    "baseball",
    "whatever",
    "computer",
    "internet",
    "guest",
    "summer",
    "winter",
    "spring",
    "autumn",
    "test",
    "pass",
    "user",
    "geheimnis",
    "sommer",
    "service",
];

/// What is left without well-known words and rows has at least so many letters and digits.
const REST_MIN_CHARS: usize = 6;
/// So many neighbours in a row (`abcd`, `4321`, `qwer`) count for nothing.
const NEIGHBOURS_MIN: usize = 4;

/// Rows that fingers and children know by heart.
const RUNS: [&str; 7] = [
    "01234567890",
    "abcdefghijklmnopqrstuvwxyz",
    "qwertyuiop",
    "qwertzuiop",
    "asdfghjkl",
    "zxcvbnm",
    "1qaz2wsx3edc4rfv",
];

/// Whether `password` may be the one of the user `name` (spec 1.2): at least [`PASSWORD_MIN_CHARS`] characters, not made
/// of the name, not well known.
///
/// # Errors
/// The first rule it breaks. The password is never part of the text.
pub fn check(name: &str, password: &str) -> Result<(), Problem> {
    let refuse = |why: &str, todo: &str| Err(Problem::new("This password is refused", why, todo));
    let length = password.chars().count();
    if length < PASSWORD_MIN_CHARS {
        let why = format!("it has {length} characters, at least {PASSWORD_MIN_CHARS} are needed");
        return refuse(&why, "Several words that belong together only for you are long and easy to keep");
    }
    if length > PASSWORD_MAX_CHARS {
        return refuse(&format!("it has {length} characters, {PASSWORD_MAX_CHARS} at most"), "Take a shorter one");
    }
    if password.chars().any(char::is_control) {
        return refuse("it holds a control character, which no keyboard types again", "Take it out");
    }
    if is_of_name(name, password) {
        return refuse("it is made of the user's name", "Take words that have nothing to do with the name");
    }
    if is_well_known(password) {
        return refuse("it is well known, and among the first that are tried", "Take words that nobody would list");
    }
    Ok(())
}

/// How strong, in a word: `too short`, `weak`, `fair`, `good` or `strong`. Counts length and variety; knows no dictionary.
#[must_use]
pub fn strength(password: &str) -> &'static str {
    let length = password.chars().count();
    if length < PASSWORD_MIN_CHARS {
        return "too short";
    }
    if is_well_known(password) {
        return "weak";
    }
    let kinds = [
        password.chars().any(char::is_lowercase),
        password.chars().any(char::is_uppercase),
        password.chars().any(char::is_numeric),
        password.chars().any(|c| !c.is_alphanumeric()),
    ];
    let variety = kinds.iter().filter(|kind| **kind).count();
    match length + 2 * variety + distinct(password) / 2 {
        0..=20 => "weak",
        21..=25 => "fair",
        26..=32 => "good",
        _ => "strong",
    }
}

/// The name itself, backwards, or with letters written as digits, filled up with nothing that counts.
fn is_of_name(name: &str, password: &str) -> bool {
    let folded = fold(password);
    let plain = fold_case(password);
    name.split(|c: char| !c.is_alphanumeric()).chain([name]).any(|part| {
        let part = fold_case(part);
        let backwards: String = part.chars().rev().collect();
        part.chars().count() >= NAME_MIN_CHARS
            && [&part, &backwards].iter().any(|form| folded.contains(&fold(form)) || plain.contains(form.as_str()))
    })
}

/// Made of listed stems and of runs; what is left over besides them is too little to count.
fn is_well_known(password: &str) -> bool {
    if distinct(password) < DISTINCT_MIN || is_repeated(password) {
        return true;
    }
    let mut rest = fold(password);
    let mut stems = WELL_KNOWN;
    // The longest first: `admin` inside `administrator` would leave a rest that looks like a word.
    stems.sort_by_key(|stem| std::cmp::Reverse(stem.len()));
    for stem in stems {
        rest = rest.replace(&fold(stem), "");
    }
    let letters_left = rest.chars().filter(|c| c.is_alphabetic()).count();
    let had_stem = rest.chars().count() < password.chars().count();
    (had_stem && letters_left < DISTINCT_MIN && !has_words(&rest)) || is_run(password) || leaves_little(password)
}

/// With rows and well-known words taken out, whatever stands between them, little is left: `Passwort-12345`.
fn leaves_little(password: &str) -> bool {
    // Rows first: reading digits as letters would hide those of digits.
    let mut rest: String = fold(&without_rows(&fold_case(password))).chars().filter(|c| c.is_alphanumeric()).collect();
    for stem in WELL_KNOWN {
        rest = rest.replace(&fold(stem), "");
    }
    rest.chars().count() < REST_MIN_CHARS
}

fn without_rows(text: &str) -> String {
    let chars: Vec<char> = text.chars().collect();
    let (mut left, mut at) = (String::new(), 0);
    while at < chars.len() {
        let row = (NEIGHBOURS_MIN..=chars.len() - at).rev().find(|length| is_row(&chars[at..at + length]));
        if row.is_none() {
            left.push(chars[at]);
        }
        at += row.unwrap_or(1);
    }
    left
}

fn is_row(chars: &[char]) -> bool {
    let forwards: String = chars.iter().collect();
    let backwards: String = chars.iter().rev().collect();
    RUNS.iter().any(|row| row.contains(&forwards) || row.contains(&backwards))
}

/// Enough that is neither a stem nor a digit to be a secret of its own.
fn has_words(rest: &str) -> bool {
    rest.chars().filter(|c| !c.is_whitespace()).count() >= PASSWORD_MIN_CHARS
}

/// One short piece again and again: `abc-abc-abc-`.
fn is_repeated(password: &str) -> bool {
    let chars: Vec<char> = password.chars().collect();
    (1..=chars.len() / 2).any(|size| chars.iter().enumerate().all(|(index, c)| *c == chars[index % size]))
}

/// Nearly all of it follows a row of the keyboard or the alphabet, forwards or backwards.
fn is_run(password: &str) -> bool {
    let text: Vec<char> = fold_case(password).chars().collect();
    let rows: Vec<String> =
        RUNS.iter().flat_map(|row| [(*row).to_owned(), row.chars().rev().collect::<String>()]).collect();
    let follows = |pair: &[char]| rows.iter().any(|row| row.contains(&pair.iter().collect::<String>()));
    let steps = text.windows(2).filter(|pair| follows(pair)).count();
    // Two thirds in order: `123456qwerty` and `abcdef123456` are runs, four digits of a year are none.
    steps >= RUN_MAX_CHARS && steps * 3 >= (text.len().saturating_sub(1)) * 2
}

fn distinct(password: &str) -> usize {
    let mut chars: Vec<char> = password.chars().collect();
    chars.sort_unstable();
    chars.dedup();
    chars.len()
}

fn fold_case(text: &str) -> String {
    text.chars().flat_map(char::to_lowercase).collect()
}

/// Lower case, with the usual digits and signs read as the letters they stand for.
fn fold(text: &str) -> String {
    let letter = |c: char| match c {
        '0' => 'o',
        '1' | '!' | '|' => 'i',
        '3' => 'e',
        '4' | '@' => 'a',
        '5' | '$' => 's',
        '7' => 't',
        other => other,
    };
    text.chars().flat_map(char::to_lowercase).map(letter).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 1.2: at least 12 characters, counted as characters and not as bytes
    #[test]
    fn eleven_characters_are_refused_and_twelve_are_not() {
        let why = check("ops", "grünes-Boot").unwrap_err().why;
        assert!(why.contains("11 characters") && why.contains("12"), "{why}");
        assert_eq!(check("ops", "grünes-Boote"), Ok(()));
    }

    /// spec 1.2: never name-derived
    #[test]
    fn a_password_made_of_the_name_is_refused() {
        for password in ["hannelore-2026", "HANNELORE!!2026", "2026-eroleNnaH!", "h4nnel0re-hunter", "xx-Hannelore-xx"]
        {
            assert!(check("hannelore", password).unwrap_err().why.contains("name"), "{password}");
        }
        assert!(check("ada.king", "Lady-Lovelace-king").is_err(), "a part of the name counts");
        assert_eq!(check("op", "shop in the open air"), Ok(()), "two letters are no pattern");
    }

    /// spec 1.2: never a well-known one
    #[test]
    fn well_known_passwords_are_refused() {
        for password in [
            "password1234",
            "P@ssw0rd2026!",
            "administrator",
            "changeme-changeme",
            "welcome-to-2026",
            "123456789012",
            "aaaaaaaaaaaa",
            "abcabcabcabc",
            "qwertyuiop12",
            "123456qwerty",
            "abcdefghijkl",
            "Standin-Master-1",
            "administrator1",
            "password123456",
            "Passwort-12345",
            "qwertyuiop1234",
            "correct horse battery staple",
            "standin-admin",
        ] {
            let problem = check("ops", password).err().unwrap_or_else(|| panic!("{password} was taken"));
            assert!(problem.why.contains("well known"), "{password}: {}", problem.why);
        }
        for password in [
            "correct horse battery",
            "tr0ub4dor&3-kessel",
            "vier rote Lampen",
            "Zq8#vLm2!xTw",
            "4711-kraut-und-rueben",
            "lantern orbit velvet 9",
            "kX9#mQ2$vL7!",
            "vier wilde Gänse malen",
            "8402759136640285",
        ] {
            assert_eq!(check("ops", password), Ok(()), "{password}");
        }
    }

    /// spec 1.2 and 9.4: the text never shows the password
    #[test]
    fn a_refusal_never_quotes_the_password() {
        for password in ["short-x9", "hannelore-2026", "password1234"] {
            assert!(!check("hannelore", password).unwrap_err().to_string().contains(password));
        }
        assert!(check("ops", &"aB3-".repeat(100)).unwrap_err().why.contains("256 at most"));
        assert!(check("ops", "vier rote\tLampen").unwrap_err().why.contains("control"));
    }

    #[test]
    fn strength_grows_with_length_and_variety() {
        assert_eq!(strength("short"), "too short");
        assert_eq!(strength("aaaaaaaaaaaa"), "weak");
        let words = ["weak", "fair", "good", "strong"];
        let rank = |password: &str| words.iter().position(|word| *word == strength(password)).unwrap();
        assert!(rank("vier lampen x") >= 1);
        assert!(rank("Vier rote Lampen, 1 Boot") > rank("vier lampen x"));
        assert_eq!(strength("Vier rote Lampen, 1 Boot und ein Hund"), "strong");
    }
}
