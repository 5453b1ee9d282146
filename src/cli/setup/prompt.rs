//! Asks for a password on the terminal, twice, without showing it (spec 1.2).

use std::fs::{File, OpenOptions};
use std::io::{Read, Write};
use std::os::fd::AsFd;

use rustix::termios::{self, LocalModes, OptionalActions, SpecialCodeIndex, Termios};
use zeroize::Zeroize;

use crate::engine::base::Problem;
use crate::engine::order::Secret;
use crate::engine::password;

/// Longest line that is read, in bytes.
const LINE_MAX_BYTES: usize = 4_096;
/// Ends the line, and with it the question.
const CTRL_C: u8 = 3;
/// How often a refused password may be tried again.
const TRIES_MAX: usize = 3;

/// Puts the terminal back as it was found, whatever happens in between (spec 8.7).
struct Silence<'a> {
    terminal: &'a File,
    before: Termios,
}

impl<'a> Silence<'a> {
    fn of(terminal: &'a File) -> rustix::io::Result<Self> {
        let before = termios::tcgetattr(terminal.as_fd())?;
        let mut silent = before.clone();
        // A signal would end the process before the echo is back: its key comes as a character that ends the line.
        silent.local_modes.remove(LocalModes::ECHO | LocalModes::ISIG);
        silent.special_codes[SpecialCodeIndex::VEOL] = CTRL_C;
        silent.local_modes.insert(LocalModes::ECHONL);
        termios::tcsetattr(terminal.as_fd(), OptionalActions::Flush, &silent)?;
        Ok(Self { terminal, before })
    }
}

impl Drop for Silence<'_> {
    fn drop(&mut self) {
        // A terminal that is gone needs no echo.
        let _ = termios::tcsetattr(self.terminal.as_fd(), OptionalActions::Flush, &self.before);
    }
}

/// A new password for `user`: asked twice, checked (spec 1.2), asked again when refused, a few times.
///
/// # Errors
/// There is no terminal, the input ended, or every try was refused.
pub fn new_password(user: &str) -> Result<Secret, Problem> {
    let mut last = None;
    for _ in 0..TRIES_MAX {
        let first = ask(&format!("Password for {user}: "))?;
        if let Err(problem) = password::check(user, first.expose()) {
            say(&format!("{problem}\n"))?;
            last = Some(problem);
            continue;
        }
        if ask("The same again: ")? == first {
            return Ok(first);
        }
        let problem = Problem::new("The two passwords differ", "they are not the same", "Type the same one twice");
        say(&format!("{problem}\n"))?;
        last = Some(problem);
    }
    Err(last.unwrap_or_else(no_terminal))
}

/// One line from the terminal, not shown.
///
/// # Errors
/// There is no terminal, or the input ended.
pub fn ask(question: &str) -> Result<Secret, Problem> {
    let terminal = open()?;
    say(question)?;
    let silence = Silence::of(&terminal).map_err(|_| no_terminal())?;
    // The terminal hands over whole lines: one read is one line.
    let mut line = [0; LINE_MAX_BYTES];
    let read = (&terminal).read(&mut line).unwrap_or(0);
    drop(silence);
    let secret =
        std::str::from_utf8(&line[..read]).map(|text| Secret::new(text.trim_end_matches(['\n', '\r']).to_owned()));
    line.zeroize();
    let refuse = |why: &str| Err(Problem::new("No password was given", why, "Use --password-file or --password-fd"));
    match secret {
        Ok(_) if read == 0 => refuse("the input ended"),
        Ok(secret) if secret.expose().ends_with(char::from(CTRL_C)) => refuse("Ctrl-C was pressed"),
        Ok(secret) => Ok(secret),
        Err(_) => refuse("it is no UTF-8 text"),
    }
}

fn say(text: &str) -> Result<(), Problem> {
    open()?.write_all(text.as_bytes()).map_err(|_| no_terminal())
}

fn open() -> Result<File, Problem> {
    OpenOptions::new().read(true).write(true).open("/dev/tty").map_err(|_| no_terminal())
}

fn no_terminal() -> Problem {
    Problem::new("No password can be asked for", "there is no terminal", "Use --password-file FILE or --password-fd N")
}
