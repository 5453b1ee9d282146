//! Results on standard output, one message on standard error, and the exit status.

use std::io::{self, IsTerminal, Write};

use serde::Serialize;

use super::arguments::ColorWhen;
use super::text::clean;
use crate::engine::base::Problem;

/// How a command ended that did what it is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Exit {
    /// 0
    Done,
    /// 1: the answer is no (`config verify` with differences), already told on standard output.
    No,
    /// 3: `status` of an instance that is not healthy.
    Degraded,
    /// 4: told on standard output, from what was last known.
    NotRunning,
    /// What a process that was started said.
    Status(u8),
}

/// How a command ended otherwise.
#[derive(Debug)]
pub enum Failure {
    /// 1: refused or failed.
    Problem(Problem),
    /// 2: understood by clap, but senseless.
    Usage(Problem),
    /// 4: nobody answers for this home.
    NotRunning(Problem),
    /// 0: nobody reads standard output any more (`| head`).
    ClosedPipe,
}

/// What every command returns.
pub type Outcome = Result<Exit, Failure>;

impl From<Problem> for Failure {
    fn from(problem: Problem) -> Self {
        Self::Problem(problem)
    }
}

impl Failure {
    /// The message, where there is one.
    #[must_use]
    pub fn problem(&self) -> Option<&Problem> {
        match self {
            Self::Problem(problem) | Self::Usage(problem) | Self::NotRunning(problem) => Some(problem),
            Self::ClosedPipe => None,
        }
    }
}

/// Writes the one message, if there is one, and gives the exit status.
#[must_use]
pub fn conclude(outcome: Outcome) -> u8 {
    if let Err(failure) = &outcome
        && let Some(problem) = failure.problem()
    {
        note(&format!("standin: {problem}"));
    }
    match outcome {
        Ok(Exit::Done) | Err(Failure::ClosedPipe) => 0,
        Ok(Exit::No) | Err(Failure::Problem(_)) => 1,
        Err(Failure::Usage(_)) => 2,
        Ok(Exit::Degraded) => 3,
        Ok(Exit::NotRunning) | Err(Failure::NotRunning(_)) => 4,
        Ok(Exit::Status(status)) => status,
    }
}

/// A line for people on standard error; nobody reading it is no error.
pub fn note(text: &str) {
    let _ = writeln!(io::stderr(), "{}", text.lines().map(clean).collect::<Vec<_>>().join("\n"));
}

/// How a word is drawn; the word itself says the same (spec 8.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Paint {
    /// As it is.
    Plain,
    /// Something will not work.
    Warning,
    /// Something does not work.
    Error,
    /// What is told about comes below.
    Title,
    /// Where in a file.
    Place,
    /// A line that is new.
    Added,
    /// A line that is gone.
    Removed,
}

impl Paint {
    fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Warning => "\x1b[33m",
            Self::Error => "\x1b[1;31m",
            Self::Title => "\x1b[1m",
            Self::Place => "\x1b[36m",
            Self::Added => "\x1b[32m",
            Self::Removed => "\x1b[31m",
        }
    }
}

/// Standard output, buffered. Control characters in what others wrote never reach the terminal.
pub struct Output {
    sink: Box<dyn Write>,
    is_painted: bool,
}

impl Output {
    /// The process's own.
    #[must_use]
    pub fn stdout(color: ColorWhen) -> Self {
        let is_painted = match color {
            ColorWhen::Always => true,
            ColorWhen::Never => false,
            ColorWhen::Auto => {
                let is_set = |name: &str| std::env::var_os(name).is_some_and(|value| !value.is_empty());
                io::stdout().is_terminal() && !is_set("NO_COLOR") && std::env::var("TERM").is_ok_and(|t| t != "dumb")
            }
        };
        Self { sink: Box::new(io::BufWriter::new(io::stdout())), is_painted }
    }

    /// Into any writer; for tests and files.
    #[must_use]
    pub fn into_writer(sink: Box<dyn Write>, is_painted: bool) -> Self {
        Self { sink, is_painted }
    }

    /// One line.
    ///
    /// # Errors
    /// [`Failure::ClosedPipe`], or what the writing met.
    pub fn line(&mut self, text: &str) -> Result<(), Failure> {
        self.pieces(&[(text, Paint::Plain)])
    }

    /// One line of pieces.
    ///
    /// # Errors
    /// Those of [`Self::line`].
    pub fn pieces(&mut self, pieces: &[(&str, Paint)]) -> Result<(), Failure> {
        let mut line = String::new();
        for (text, paint) in pieces {
            if self.is_painted && *paint != Paint::Plain {
                line.push_str(paint.code());
                line.push_str(&clean(text));
                line.push_str("\x1b[0m");
            } else {
                line.push_str(&clean(text));
            }
        }
        line.push('\n');
        self.raw(line.as_bytes())
    }

    /// One line in which tabs stay tabs, as in a file.
    ///
    /// # Errors
    /// Those of [`Self::line`].
    pub fn tabbed(&mut self, text: &str, paint: Paint) -> Result<(), Failure> {
        let cleaned = text.split('\t').map(clean).collect::<Vec<_>>().join("\t");
        let is_painted = self.is_painted && paint != Paint::Plain;
        let (before, after) = if is_painted { (paint.code(), "\x1b[0m") } else { ("", "") };
        self.raw(format!("{before}{cleaned}{after}\n").as_bytes())
    }

    /// Bytes as they are.
    ///
    /// # Errors
    /// Those of [`Self::line`].
    pub fn raw(&mut self, bytes: &[u8]) -> Result<(), Failure> {
        self.sink.write_all(bytes).map_err(|error| write_failure(&error))
    }

    /// A value as JSON, indented.
    ///
    /// # Errors
    /// Those of [`Self::line`].
    pub fn json(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string_pretty(value).map_err(|error| json_failure(&error))?;
        self.raw(text.as_bytes())?;
        self.raw(b"\n")
    }

    /// A value as one line of JSON.
    ///
    /// # Errors
    /// Those of [`Self::line`].
    pub fn json_line(&mut self, value: &impl Serialize) -> Result<(), Failure> {
        let text = serde_json::to_string(value).map_err(|error| json_failure(&error))?;
        self.raw(text.as_bytes())?;
        self.raw(b"\n")
    }

    /// Hands everything written so far on; for output that follows something live.
    ///
    /// # Errors
    /// Those of [`Self::line`].
    pub fn flush(&mut self) -> Result<(), Failure> {
        self.sink.flush().map_err(|error| write_failure(&error))
    }
}

fn write_failure(error: &io::Error) -> Failure {
    if error.kind() == io::ErrorKind::BrokenPipe {
        return Failure::ClosedPipe;
    }
    Problem::new("The result could not be written to standard output", error.to_string(), "").into()
}

fn json_failure(error: &serde_json::Error) -> Failure {
    Problem::new("The result could not be written as JSON", error.to_string(), "").into()
}

#[cfg(test)]
pub mod testing {
    //! Output that a test can read.

    use std::cell::RefCell;
    use std::io::{self, Write};
    use std::rc::Rc;

    use super::Output;

    /// What was written.
    #[derive(Clone, Default)]
    pub struct Written(Rc<RefCell<Vec<u8>>>);

    impl Written {
        /// As text.
        pub fn text(&self) -> String {
            String::from_utf8_lossy(&self.0.borrow()).into_owned()
        }
    }

    impl Write for Written {
        fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
            self.0.borrow_mut().extend_from_slice(bytes);
            Ok(bytes.len())
        }

        fn flush(&mut self) -> io::Result<()> {
            Ok(())
        }
    }

    /// Unpainted output and what is written to it.
    pub fn output() -> (Output, Written) {
        let written = Written::default();
        (Output::into_writer(Box::new(written.clone()), false), written)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// interfaces: exit status.
    #[test]
    fn each_ending_has_its_status() {
        let problem = || Problem::new("What", "why", "");
        assert_eq!(conclude(Ok(Exit::Done)), 0);
        assert_eq!(conclude(Err(Failure::ClosedPipe)), 0);
        assert_eq!(conclude(Err(Failure::Problem(problem()))), 1);
        assert_eq!(conclude(Err(Failure::Usage(problem()))), 2);
        assert_eq!(conclude(Ok(Exit::Degraded)), 3);
        assert_eq!(conclude(Err(Failure::NotRunning(problem()))), 4);
    }

    /// spec 8.4: the word is there without its colour; and what others wrote cannot steer the terminal.
    #[test]
    fn a_line_is_the_same_without_colour_and_carries_no_escapes_of_others() {
        let (mut out, written) = testing::output();
        out.pieces(&[("ERROR", Paint::Error), (" evil \x1b[2J\r\nname", Paint::Plain)]).unwrap();
        assert_eq!(written.text(), "ERROR evil ?[2J??name\n");
    }
}
