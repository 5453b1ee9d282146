//! Questions on the terminal: a line, a yes, a secret without echo. Questions go to standard error, because standard
//! output carries results only.

use std::io::{self, BufRead, IsTerminal, Write};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::text::clean;
use crate::engine::base::Problem;
use crate::engine::order::Secret;

/// Longest answer taken, in bytes.
const ANSWER_MAX_BYTES: u64 = 4 * 1024;

/// A person can be asked.
#[must_use]
pub fn can_ask() -> bool {
    io::stdin().is_terminal() && io::stderr().is_terminal()
}

/// Asks and reads one line.
///
/// # Errors
/// When nobody can be asked or the terminal is gone.
pub fn ask(question: &str) -> Result<String, Problem> {
    if !can_ask() {
        return Err(nobody_to_ask(question));
    }
    prompt(question);
    read_line()
}

/// Asks for a word and tells whether exactly it was typed.
///
/// # Errors
/// Those of [`ask`].
pub fn confirm(question: &str, words: &[&str]) -> Result<bool, Problem> {
    let answer = ask(question)?;
    Ok(words.iter().any(|word| answer.trim().eq_ignore_ascii_case(word)))
}

/// Asks for a secret; what is typed is not shown (spec 1.2).
///
/// # Errors
/// Those of [`ask`].
pub fn ask_secret(question: &str) -> Result<Secret, Problem> {
    if !can_ask() {
        return Err(nobody_to_ask(question));
    }
    prompt(question);
    let secret = {
        let _quiet = NoEcho::new()?;
        read_line().map(Secret::new)
    };
    // The line end that was typed was not shown either.
    prompt("\n");
    secret
}

fn prompt(text: &str) {
    let mut stderr = io::stderr();
    let _ = stderr.write_all(text.as_bytes()).and_then(|()| stderr.flush());
}

fn read_line() -> Result<String, Problem> {
    let mut line = Vec::new();
    let mut input = io::Read::take(io::stdin().lock(), ANSWER_MAX_BYTES);
    let read = input.read_until(b'\n', &mut line);
    let failed = |why: String| Problem::new("No answer was read from the terminal", why, "");
    match read {
        Ok(0) => return Err(failed("the input ended".into())),
        Ok(_) => {}
        Err(error) => return Err(failed(error.to_string())),
    }
    while matches!(line.last(), Some(b'\n' | b'\r')) {
        line.pop();
    }
    String::from_utf8(line).map_err(|_| failed("it is not UTF-8".into()))
}

fn nobody_to_ask(question: &str) -> Problem {
    Problem::new(
        format!("Nobody can be asked: {}", clean(question.trim_end_matches([' ', ':', '\n']))),
        "standard input or standard error is not a terminal",
        "Give the answer as an option; standin COMMAND --help lists them.",
    )
}

/// Echo off while it lives.
struct NoEcho {
    before: Termios,
}

impl NoEcho {
    fn new() -> Result<Self, Problem> {
        let stdin = io::stdin();
        let hidden = |error: rustix::io::Errno| {
            Problem::new(
                "The password was not asked for",
                format!("the terminal cannot hide it: {error}"),
                "Use --password-file FILE.",
            )
        };
        let before = tcgetattr(&stdin).map_err(hidden)?;
        let mut quiet = before.clone();
        quiet.local_modes.remove(LocalModes::ECHO | LocalModes::ECHONL);
        tcsetattr(&stdin, OptionalActions::Flush, &quiet).map_err(hidden)?;
        Ok(Self { before })
    }
}

impl Drop for NoEcho {
    fn drop(&mut self) {
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}
