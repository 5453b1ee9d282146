//! The console's connection to its engine: one thread that connects, reads frames, and connects again when it ends (spec 8.8).

use std::io;
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::SyncSender;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use super::Connect;
use super::main_loop::Happened;
use crate::engine::order::{ClientFrame, ServerFrame};
use crate::wire::control;

/// Between two tries to connect.
const RECONNECT_PAUSE: Duration = Duration::from_millis(500);
/// An engine that takes no bytes for so long is as good as gone; the console must not hang on it.
const WRITE_TIMEOUT: Duration = Duration::from_secs(2);

/// The writing half.
#[derive(Clone, Default)]
pub struct EngineLink {
    stream: Arc<Mutex<Option<UnixStream>>>,
    is_over: Arc<AtomicBool>,
}

impl EngineLink {
    /// Starts the thread; it says what it hears to `out`.
    ///
    /// # Errors
    /// The thread cannot be started.
    pub fn start(connect: Connect, out: SyncSender<Happened>) -> io::Result<Self> {
        let link = Self::default();
        let of_thread = link.clone();
        thread::Builder::new().name("console-link".into()).spawn(move || of_thread.read_all(connect, &out))?;
        Ok(link)
    }

    /// Says something to the engine; what cannot be said ends the connection, and that is told like any other end.
    pub fn send(&self, frame: &ClientFrame) {
        let mut held = self.stream.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(stream) = held.as_mut()
            && control::write(stream, frame).is_err()
        {
            // The reader sees the end and tells it.
            let _ = stream.shutdown(Shutdown::Both);
            *held = None;
        }
    }

    /// No more tries.
    pub fn stop(&self) {
        self.is_over.store(true, Ordering::SeqCst);
        if let Some(stream) = self.stream.lock().unwrap_or_else(PoisonError::into_inner).take() {
            // It may be closed already.
            let _ = stream.shutdown(Shutdown::Both);
        }
    }

    fn read_all(&self, mut connect: Connect, out: &SyncSender<Happened>) {
        while !self.is_over.load(Ordering::SeqCst) {
            let why = match connect().and_then(|stream| self.keep(stream)) {
                Ok(mut stream) => {
                    if out.send(Happened::Connected).is_err() {
                        return;
                    }
                    let error = loop {
                        match control::read::<ServerFrame>(&mut stream) {
                            Ok(frame) => {
                                if out.send(Happened::Frame(Box::new(frame))).is_err() {
                                    return;
                                }
                            }
                            Err(error) => break error,
                        }
                    };
                    *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = None;
                    ended(&error)
                }
                Err(error) => ended(&error),
            };
            if out.send(Happened::Disconnected(why)).is_err() {
                return;
            }
            thread::sleep(RECONNECT_PAUSE);
        }
    }

    fn keep(&self, stream: UnixStream) -> io::Result<UnixStream> {
        let writer = stream.try_clone()?;
        writer.set_write_timeout(Some(WRITE_TIMEOUT))?;
        *self.stream.lock().unwrap_or_else(PoisonError::into_inner) = Some(writer);
        Ok(stream)
    }
}

/// In words for the message line.
fn ended(error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::UnexpectedEof | io::ErrorKind::ConnectionReset => "It closed the connection.".into(),
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => "No instance runs.".into(),
        io::ErrorKind::PermissionDenied => "This user may not use its control socket.".into(),
        _ => format!("{error}."),
    }
}
