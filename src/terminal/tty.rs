//! The controlling terminal: opened, put into raw mode, and given back as it was found (spec 8.7).

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicBool, Ordering};

use nix::sys::signal::{SigSet, SigmaskHow, Signal};
use rustix::process::Pid;
use rustix::termios::{self, OptionalActions, SpecialCodeIndex, Termios};

/// Alternate screen, cleared, cursor off, bracketed paste.
const ENTER: &[u8] = b"\x1b[?1049h\x1b[2J\x1b[?25l\x1b[?2004h";
/// All of that off, colours back.
const LEAVE: &[u8] = b"\x1b[?2026l\x1b[?2004l\x1b[0m\x1b[?25h\x1b[?1049l";
/// A read waits this many tenths of a second at most, so that the reader can pause and see a new size.
const READ_TENTHS: u8 = 2;

/// The terminal.
pub struct Tty {
    input: File,
    output: File,
    found: Termios,
    is_entered: AtomicBool,
}

impl Tty {
    /// The controlling terminal, or standard input and output where those are one.
    pub fn open() -> io::Result<Self> {
        let (input, output) = match OpenOptions::new().read(true).write(true).open("/dev/tty") {
            Ok(tty) => (tty.try_clone()?, tty),
            Err(_) => (
                File::from(io::stdin().as_fd().try_clone_to_owned()?),
                File::from(io::stdout().as_fd().try_clone_to_owned()?),
            ),
        };
        let found = termios::tcgetattr(&input)?;
        termios::tcgetattr(&output)?;
        Ok(Self { input, output, found, is_entered: AtomicBool::new(false) })
    }

    /// Raw mode and the alternate screen, until the guard is dropped.
    pub fn enter(&self) -> io::Result<Guard<'_>> {
        self.raw()?;
        Ok(Guard { tty: self })
    }

    fn raw(&self) -> io::Result<()> {
        let mut raw = self.found.clone();
        raw.make_raw();
        raw.special_codes[SpecialCodeIndex::VMIN] = 0;
        raw.special_codes[SpecialCodeIndex::VTIME] = READ_TENTHS;
        termios::tcsetattr(&self.input, OptionalActions::Now, &raw)?;
        self.is_entered.store(true, Ordering::SeqCst);
        self.write(ENTER)
    }

    fn restore(&self) {
        if self.is_entered.swap(false, Ordering::SeqCst) {
            // A terminal that is gone needs no restoring; there is nobody to tell either.
            let _ = self.write(LEAVE);
            let _ = termios::tcsetattr(&self.input, OptionalActions::Flush, &self.found);
        }
    }

    /// Writes it all.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn write(&self, bytes: &[u8]) -> io::Result<()> {
        let mut output = &self.output;
        output.write_all(bytes)?;
        output.flush()
    }

    /// Reads what was typed; 0 when nothing was for a while, or the terminal is gone.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn read(&self, buffer: &mut [u8]) -> io::Result<usize> {
        (&self.input).read(buffer)
    }

    /// Columns and rows.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn size(&self) -> io::Result<(u16, u16)> {
        let size = termios::tcgetwinsize(&self.output)?;
        // Some serial lines do not know theirs.
        if size.ws_col == 0 || size.ws_row == 0 { Ok((80, 24)) } else { Ok((size.ws_col, size.ws_row)) }
    }

    /// The job that has the terminal; none: this terminal knows none, or belongs to another session.
    #[must_use]
    pub fn foreground(&self) -> Option<Pid> {
        let job = termios::tcgetpgrp(&self.input).ok()?;
        // Out of the background nothing may be given away.
        (job == rustix::process::getpgrp()).then_some(job)
    }

    /// Makes a job the one that has the terminal, also out of the background.
    ///
    /// # Errors
    /// The terminal, or the job, is gone.
    pub fn set_foreground(&self, job: Pid) -> io::Result<()> {
        // Who takes it back is in the background, and would be stopped for it.
        let mut out_of_background = SigSet::empty();
        out_of_background.add(Signal::SIGTTOU);
        let before = out_of_background.thread_swap_mask(SigmaskHow::SIG_BLOCK)?;
        let done = termios::tcsetpgrp(&self.input, job);
        before.thread_set_mask()?;
        Ok(done?)
    }

    /// The terminal as input, output and errors of a program.
    ///
    /// # Errors
    /// Those of the system.
    pub fn handles(&self) -> io::Result<(File, File, File)> {
        Ok((self.input.try_clone()?, self.output.try_clone()?, self.output.try_clone()?))
    }

    /// Another handle for the reader's thread.
    ///
    /// # Errors
    /// Those of the system.
    pub fn reader(&self) -> io::Result<Self> {
        Ok(Self {
            input: self.input.try_clone()?,
            output: self.output.try_clone()?,
            found: self.found.clone(),
            is_entered: AtomicBool::new(false),
        })
    }
}

/// Gives the terminal back when dropped, also by a panic.
pub struct Guard<'a> {
    tty: &'a Tty,
}

impl Guard<'_> {
    /// Gives the terminal to the shell until this process is continued.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn suspend(&self) -> io::Result<()> {
        self.tty.restore();
        // The whole foreground job, as Ctrl-Z would in a program without raw mode.
        rustix::process::kill_current_process_group(rustix::process::Signal::TSTP)?;
        self.tty.raw()
    }
}

impl Guard<'_> {
    /// The terminal as it was found, for a program that gets it alone.
    pub fn lend(&self) {
        self.tty.restore();
    }

    /// Raw mode and the alternate screen again.
    ///
    /// # Errors
    /// The terminal is gone.
    pub fn take_back(&self) -> io::Result<()> {
        self.tty.raw()
    }
}

impl Drop for Guard<'_> {
    fn drop(&mut self) {
        self.tty.restore();
    }
}
