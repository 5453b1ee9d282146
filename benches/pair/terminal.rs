//! The console in a real terminal, with the clock of every byte it writes.

use std::fs::File;
use std::io::{self, Read, Write};
use std::num::NonZeroU16;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, sync_channel};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{ioctl_tiocsctty, setsid};
use rustix::pty::{OpenptFlags, grantpt, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::instance::PROGRAM;
use crate::machine::own_program;
use crate::{Fail, clock};

/// First argument that makes this binary the way into a terminal of its own.
pub const WORD: &str = "in-terminal";
const COLUMNS: u16 = 80;
const ROWS: u16 = 24;
/// Ends each frame: synchronized update off.
const FRAME_END: &[u8] = b"\x1b[?2026l";
/// Pieces read and not yet looked at.
const PIECES_MAX: usize = 4096;
/// A console that is left ends within this time.
const LEAVE_LIMIT: Duration = Duration::from_secs(10);

/// Makes standard input the controlling terminal of a new session, says when, and becomes the program of the arguments.
pub fn become_leader(arguments: &[String]) -> Result<(), Fail> {
    let (program, rest) = arguments.split_first().ok_or("no program to run")?;
    setsid()?;
    ioctl_tiocsctty(io::stdin())?;
    let mut command = Command::new(program);
    command.args(rest);
    let mut out = io::stdout();
    writeln!(out, "{}", clock::now_ns())?;
    out.flush()?;
    Err(command.exec().into())
}

/// `standin` attached to the instance of a home.
pub struct Terminal {
    /// When the console was about to be executed.
    pub started_ns: u64,
    control: File,
    pieces: Receiver<(u64, Vec<u8>)>,
    seen: vt100::Parser,
    /// The last bytes, in which the end of a frame may be.
    tail: Vec<u8>,
    child: Child,
}

impl Terminal {
    pub fn open(home: &Path) -> Result<Self, Fail> {
        let control = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        grantpt(&control)?;
        unlockpt(&control)?;
        tcsetwinsize(&control, Winsize { ws_row: ROWS, ws_col: COLUMNS, ws_xpixel: 0, ws_ypixel: 0 })?;
        let other = ioctl_tiocgptpeer(&control, OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC)?;
        let control = File::from(control);
        let pieces = read_all(control.try_clone()?)?;
        let child = Command::new(own_program()?)
            .args([WORD, PROGRAM, "--home"])
            .arg(home)
            .env("TERM", "xterm-256color")
            .env("LC_ALL", "C.UTF-8")
            .env_remove("NO_COLOR")
            .env_remove("STANDIN_HOME")
            .stdin(Stdio::from(other.try_clone()?))
            .stdout(Stdio::from(other.try_clone()?))
            .stderr(Stdio::from(other))
            .spawn()?;
        let (rows, columns) = (NonZeroU16::new(ROWS).ok_or("rows")?, NonZeroU16::new(COLUMNS).ok_or("columns")?);
        let seen = vt100::Parser::new(rows, columns, 0);
        let mut terminal = Self { started_ns: 0, control, pieces, seen, tail: Vec::new(), child };
        terminal.started_ns = terminal.wait_started()?;
        Ok(terminal)
    }

    /// The first line is [`become_leader`]'s clock.
    fn wait_started(&mut self) -> Result<u64, Fail> {
        let mut line = Vec::new();
        clock::until("the console is executed", || {
            if let Some((at_ns, bytes)) = self.piece(Duration::from_millis(100))? {
                line.extend_from_slice(&bytes);
                if let Some(end) = line.iter().position(|byte| *byte == b'\n') {
                    self.take(&line[end + 1..]);
                    let number = String::from_utf8_lossy(&line[..end]).trim().parse()?;
                    return if number <= at_ns { Ok(Some(number)) } else { Err("a clock that goes back".into()) };
                }
            }
            Ok(None)
        })
    }

    /// The next piece; none within `limit`.
    fn piece(&self, limit: Duration) -> Result<Option<(u64, Vec<u8>)>, Fail> {
        match self.pieces.recv_timeout(limit) {
            Ok(piece) => Ok(Some(piece)),
            Err(RecvTimeoutError::Timeout) => Ok(None),
            Err(RecvTimeoutError::Disconnected) => {
                Err(format!("the console has ended; its screen was:\n{}", self.text()).into())
            }
        }
    }

    /// True: the bytes ended a frame.
    fn take(&mut self, bytes: &[u8]) -> bool {
        self.seen.process(bytes);
        self.tail.extend_from_slice(bytes);
        let is_end = self.tail.windows(FRAME_END.len()).any(|window| window == FRAME_END);
        let keep = if is_end { 0 } else { FRAME_END.len() - 1 };
        self.tail.drain(..self.tail.len().saturating_sub(keep));
        is_end
    }

    pub fn text(&self) -> String {
        self.seen.screen().contents()
    }

    /// When the frame was there after which the screen fits.
    pub fn wait_frame(&mut self, what: &str, fits: impl Fn(&str) -> bool) -> Result<u64, Fail> {
        let outcome = clock::until(what, || {
            let Some((at_ns, bytes)) = self.piece(Duration::from_millis(100))? else { return Ok(None) };
            let is_end = self.take(&bytes);
            Ok((is_end && fits(&self.text())).then_some(at_ns))
        });
        outcome.map_err(|error| format!("{error}; the screen is:\n{}", self.text()).into())
    }

    pub fn press(&mut self, key: &[u8]) -> Result<(), Fail> {
        Ok(self.control.write_all(key)?)
    }

    /// Waits until nothing was written for `quiet`, ten times as long at most; how many bytes were until then.
    pub fn quiet(&mut self, quiet: Duration) -> Result<usize, Fail> {
        let end = Instant::now() + quiet * 10;
        let mut count = 0;
        while Instant::now() < end {
            clock::check()?;
            let Some((_, bytes)) = self.piece(quiet)? else { break };
            count += bytes.len();
            self.take(&bytes);
        }
        Ok(count)
    }

    /// Bytes written during `time`.
    pub fn count(&mut self, time: Duration) -> Result<usize, Fail> {
        let end = Instant::now() + time;
        let mut count = 0;
        loop {
            clock::check()?;
            let left = end.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(count);
            }
            if let Some((_, bytes)) = self.piece(left.min(Duration::from_millis(200)))? {
                count += bytes.len();
                self.take(&bytes);
            }
        }
    }

    /// `q`, and the console is gone.
    pub fn leave(mut self) -> Result<(), Fail> {
        self.press(b"q")?;
        let child = &mut self.child;
        clock::until_by("the console ends after q", LEAVE_LIMIT, Duration::from_millis(5), || Ok(child.try_wait()?))?;
        Ok(())
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Everything written, with its moment; ends with the last program in the terminal.
fn read_all(mut control: File) -> Result<Receiver<(u64, Vec<u8>)>, Fail> {
    let (tell, pieces) = sync_channel(PIECES_MAX);
    thread::Builder::new().name("terminal".into()).spawn(move || {
        let mut buffer = [0; 64 * 1024];
        while let Ok(count) = control.read(&mut buffer) {
            if count == 0 || tell.send((clock::now_ns(), buffer[..count].to_vec())).is_err() {
                return;
            }
        }
    })?;
    Ok(pieces)
}
