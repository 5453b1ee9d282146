//! The program log under `HOME/log`: text or JSON, bounded in number and size. `tracing-appender` writes it from a thread
//! of its own, so that a slow disk never holds up a check; it rotates by time alone, so the bound in size is kept here.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use tracing::level_filters::LevelFilter;
use tracing_appender::non_blocking::{NonBlockingBuilder, WorkerGuard};
use tracing_subscriber::layer::SubscriberExt;
use tracing_subscriber::reload;

use crate::engine::base::Problem;
use crate::engine::settings::Log;

/// The newest file; older ones end in `.1`, `.2`, …
pub const LOG_FILE: &str = "standin.log";
/// Lines waiting for the disk; more are dropped. The places for all of them are made at the start, 32 bytes each.
const LINES_WAITING_MAX: usize = 8_192;

/// Keeps the log alive; dropped last, it writes out what is queued.
pub struct Logging {
    _writer: WorkerGuard,
    level: Level,
}

/// Changes the level while the program runs. Clone it freely.
#[derive(Clone)]
pub struct Level {
    handle: reload::Handle<LevelFilter, tracing_subscriber::Registry>,
    verbose: u8,
}

impl Level {
    /// Puts the level of the settings in force; `-v` still raises it.
    pub fn set(&self, level: &str) {
        // Fails only when the log is gone.
        let _ = self.handle.reload(level_of(level, self.verbose));
    }
}

impl Logging {
    /// Starts the log of this process. Logging twice in one process keeps the first.
    ///
    /// # Errors
    /// When the folder cannot be made or the file not be opened.
    pub fn start(folder: &Path, settings: &Log, verbose: u8) -> Result<Self, Problem> {
        let cannot = |error: io::Error| {
            Problem::new(
                "The program log cannot be written",
                format!("{}: {error}", folder.display()),
                "Make the folder writable for the user that runs Standin.",
            )
        };
        crate::files::make_private_directory(folder).map_err(cannot)?;
        let file = RotatingFile::open(folder.join(LOG_FILE), settings.file_size, settings.files).map_err(cannot)?;
        let (writer, guard) = NonBlockingBuilder::default().buffered_lines_limit(LINES_WAITING_MAX).finish(file);
        let (filter, handle) = reload::Layer::new(level_of(&settings.level, verbose));
        let level = Level { handle, verbose };
        let registry = tracing_subscriber::registry().with(filter);
        let layer = tracing_subscriber::fmt::layer().with_writer(writer).with_ansi(false).with_target(false);
        let result = if settings.format == "json" {
            tracing::subscriber::set_global_default(registry.with(layer.json()))
        } else {
            tracing::subscriber::set_global_default(registry.with(layer))
        };
        // A second engine in one process (tests) logs into the first one's file.
        let _ = result;
        Ok(Self { _writer: guard, level })
    }

    /// To change the level.
    #[must_use]
    pub fn level(&self) -> Level {
        self.level.clone()
    }
}

fn level_of(word: &str, verbose: u8) -> LevelFilter {
    let level = match word {
        "error" => LevelFilter::ERROR,
        "warn" => LevelFilter::WARN,
        "debug" => LevelFilter::DEBUG,
        "trace" => LevelFilter::TRACE,
        _ => LevelFilter::INFO,
    };
    let asked = match verbose {
        0 => LevelFilter::OFF,
        1 => LevelFilter::DEBUG,
        _ => LevelFilter::TRACE,
    };
    level.max(asked)
}

struct RotatingFile {
    path: PathBuf,
    file: File,
    written_bytes: u64,
    limit_bytes: u64,
    files: u32,
}

impl RotatingFile {
    fn open(path: PathBuf, limit_bytes: u64, files: u32) -> io::Result<Self> {
        let file = OpenOptions::new().create(true).append(true).mode(0o600).open(&path)?;
        let written_bytes = file.metadata()?.len();
        Ok(Self { path, file, written_bytes, limit_bytes: limit_bytes.max(4_096), files: files.max(1) })
    }

    fn numbered(&self, number: u32) -> PathBuf {
        let mut name = self.path.as_os_str().to_owned();
        name.push(format!(".{number}"));
        PathBuf::from(name)
    }

    fn rotate(&mut self) -> io::Result<()> {
        let oldest = self.files - 1;
        if oldest == 0 {
            self.file.set_len(0)?;
        } else {
            let _ = fs::remove_file(self.numbered(oldest));
            for number in (1..oldest).rev() {
                let _ = fs::rename(self.numbered(number), self.numbered(number + 1));
            }
            fs::rename(&self.path, self.numbered(1))?;
            self.file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.path)?;
        }
        self.written_bytes = 0;
        Ok(())
    }
}

impl Write for RotatingFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.written_bytes + bytes.len() as u64 > self.limit_bytes && self.written_bytes > 0 {
            self.rotate()?;
        }
        let count = self.file.write(bytes)?;
        self.written_bytes += count as u64;
        Ok(count)
    }

    fn flush(&mut self) -> io::Result<()> {
        self.file.flush()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_bounded_in_number_and_size() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join(LOG_FILE);
        let mut log = RotatingFile::open(path.clone(), 4_096, 3).unwrap();
        let line = [b'x'; 1_000];
        for _ in 0..40 {
            log.write_all(&line).unwrap();
        }
        let sizes: Vec<u64> =
            fs::read_dir(folder.path()).unwrap().map(|entry| entry.unwrap().metadata().unwrap().len()).collect();
        assert_eq!(sizes.len(), 3);
        assert!(sizes.iter().all(|size| *size <= 4_096), "{sizes:?}");
        assert!(path.exists());
    }
}
