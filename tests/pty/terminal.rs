//! A real pseudo-terminal with a program in it, and what a terminal would show of its output.

use std::fs::OpenOptions;
use std::io::Write;
use std::num::NonZeroU16;
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{Termios, Winsize, tcgetattr, tcsetwinsize};

/// For one condition; generous, because a loaded machine with two cores runs these.
pub const LIMIT: Duration = Duration::from_secs(30);
/// Between two looks at a condition.
pub const LOOK_GAP: Duration = Duration::from_millis(20);

/// What came out so far.
struct Seen {
    parser: vt100::Parser,
    bytes: Vec<u8>,
}

/// A program in a terminal of its own. Ended when dropped.
pub struct Terminal {
    controller: Option<OwnedFd>,
    seen: Arc<Mutex<Seen>>,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
    child: Child,
    /// The terminal's modes before the program touched them.
    found: Termios,
}

fn nonzero(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).unwrap()
}

fn size(columns: u16, rows: u16) -> Winsize {
    Winsize { ws_col: columns, ws_row: rows, ws_xpixel: 0, ws_ypixel: 0 }
}

/// Whether `check` comes true within `limit`.
pub fn comes_true(limit: Duration, mut check: impl FnMut() -> bool) -> bool {
    let since = Instant::now();
    while !check() {
        if since.elapsed() > limit {
            return false;
        }
        thread::sleep(LOOK_GAP);
    }
    true
}

impl Terminal {
    /// Starts `program` with its arguments in a terminal that it is the session leader of.
    pub fn start(program: &[&str], environment: &[(&str, &str)], columns: u16, rows: u16) -> Self {
        let controller = openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&controller).unwrap();
        unlockpt(&controller).unwrap();
        tcsetwinsize(&controller, size(columns, rows)).unwrap();
        let name = PathBuf::from(std::ffi::OsString::from_vec(ptsname(&controller, Vec::new()).unwrap().into_bytes()));
        let user = OpenOptions::new().read(true).write(true).open(name).unwrap();
        let found = tcgetattr(&controller).unwrap();
        // Makes standard input the controlling terminal of a new session, then becomes the program itself.
        let mut command = Command::new("setsid");
        command.arg("--ctty").args(program);
        for name in ["NO_COLOR", "STANDIN_HOME", "LC_ALL", "LC_CTYPE", "ENV"] {
            command.env_remove(name);
        }
        command.env("TERM", "xterm-256color").env("LANG", "C.UTF-8").env("PS1", "prompt> ");
        command.envs(environment.iter().copied());
        command.stdin(user.try_clone().unwrap()).stdout(user.try_clone().unwrap()).stderr(user);
        let child = command.spawn().unwrap();
        drop(command);
        let seen = Seen { parser: vt100::Parser::new(nonzero(rows), nonzero(columns), 0), bytes: Vec::new() };
        let seen = Arc::new(Mutex::new(seen));
        let is_over = Arc::new(AtomicBool::new(false));
        let reader = {
            let (input, seen, is_over) = (controller.try_clone().unwrap(), Arc::clone(&seen), Arc::clone(&is_over));
            thread::spawn(move || read(&input, &seen, &is_over))
        };
        Self { controller: Some(controller), seen, is_over, reader: Some(reader), child, found }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap()
    }

    fn controller(&self) -> &OwnedFd {
        self.controller.as_ref().expect("the terminal was not hung up")
    }

    /// What the screen shows now.
    pub fn screen(&self) -> String {
        self.seen().parser.screen().contents()
    }

    /// Waits until the screen fulfils `check`; the screen then.
    pub fn wait_until(&self, what: &str, check: impl Fn(&str) -> bool) -> String {
        let mut screen = String::new();
        let came = comes_true(LIMIT, || {
            screen = self.screen();
            check(&screen)
        });
        assert!(came, "not within {LIMIT:?}: {what}. The screen:\n{screen}");
        screen
    }

    /// Waits until the screen shows each of `texts`.
    pub fn wait_for(&self, texts: &[&str]) -> String {
        self.wait_until(&format!("{texts:?}"), |screen| texts.iter().all(|text| screen.contains(text)))
    }

    /// Types, as fast as a program can.
    pub fn type_text(&self, text: &str) {
        rustix::io::write(self.controller(), text.as_bytes()).unwrap();
    }

    /// Types, and waits for each of `texts` on the screen.
    pub fn press(&self, keys: &str, texts: &[&str]) -> String {
        self.type_text(keys);
        self.wait_for(texts)
    }

    /// Another size of the window.
    pub fn resize(&self, columns: u16, rows: u16) {
        self.seen().parser.set_size(nonzero(rows), nonzero(columns));
        tcsetwinsize(self.controller(), size(columns, rows)).unwrap();
    }

    /// How many bytes came out so far.
    pub fn count(&self) -> usize {
        self.seen().bytes.len()
    }

    /// Every byte that came out after the first `from`.
    pub fn bytes_after(&self, from: usize) -> Vec<u8> {
        self.seen().bytes[from..].to_vec()
    }

    /// Waits until nothing has come out for `quiet`; how many bytes had come by then.
    pub fn wait_for_quiet(&self, quiet: Duration) -> usize {
        let (mut count, mut since) = (self.count(), Instant::now());
        let came = comes_true(LIMIT, || {
            let now = self.count();
            if now != count {
                (count, since) = (now, Instant::now());
            }
            since.elapsed() >= quiet
        });
        let last = self.bytes_after(count.saturating_sub(400));
        assert!(came, "never quiet for {quiet:?}; last: {:?}", String::from_utf8_lossy(&last));
        count
    }

    /// Waits until the program has ended.
    pub fn wait_for_end(&mut self) -> ExitStatus {
        let mut status = None;
        let came = comes_true(LIMIT, || {
            status = self.child.try_wait().unwrap();
            status.is_some()
        });
        assert!(came, "the program did not end. The screen:\n{}", self.screen());
        status.unwrap()
    }

    /// The program's process.
    pub fn process(&self) -> u32 {
        self.child.id()
    }

    /// Waits until the terminal is as it was found: its modes, the main screen, the cursor, pasting (spec 8.7).
    pub fn wait_for_restored(&self) {
        let is_restored = || {
            let now = tcgetattr(self.controller()).unwrap();
            let modes = (now.input_modes, now.output_modes, now.control_modes, now.local_modes);
            let found = &self.found;
            let seen = self.seen();
            let screen = seen.parser.screen();
            modes == (found.input_modes, found.output_modes, found.control_modes, found.local_modes)
                && !screen.alternate_screen()
                && !screen.hide_cursor()
                && !screen.bracketed_paste()
        };
        assert!(comes_true(LIMIT, is_restored), "not restored. The screen:\n{}", self.screen());
    }

    /// Whether the alternate screen is shown.
    pub fn is_full_screen(&self) -> bool {
        self.seen().parser.screen().alternate_screen()
    }

    /// The terminal goes away under the program, as when an SSH session is lost.
    pub fn hang_up(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            reader.join().unwrap();
        }
        self.controller = None;
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // It may have ended long ago.
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(reader) = self.reader.take() {
            let _ = reader.join();
        }
    }
}

/// Until the program's side is closed, or nobody wants to know any more.
fn read(input: &OwnedFd, seen: &Mutex<Seen>, is_over: &AtomicBool) {
    let gap = Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
    let mut buffer = [0; 16 * 1024];
    while !is_over.load(Ordering::SeqCst) {
        let mut wanted = [PollFd::new(input, PollFlags::IN)];
        if poll(&mut wanted, Some(&gap)).unwrap_or(0) == 0 {
            continue;
        }
        match rustix::io::read(input.as_fd(), &mut buffer) {
            Ok(0) | Err(_) => return,
            Ok(count) => {
                let mut seen = seen.lock().unwrap();
                seen.parser.process(&buffer[..count]);
                seen.bytes.write_all(&buffer[..count]).unwrap();
            }
        }
    }
}
