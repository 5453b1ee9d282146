//! Wakes the guard at a moment of the clock that counts suspension: a machine that slept wakes it at once (spec 7.12).

use std::io;
use std::sync::Arc;
use std::thread;

use rustix::io::Errno;

use crate::service::timer::Timer;

/// One alarm, and the thread that waits for it.
pub struct Alarm(Arc<Timer>);

impl Alarm {
    /// Starts the thread; `on_alarm` is called there each time.
    ///
    /// # Errors
    /// No descriptor or thread is left.
    pub fn new(on_alarm: impl Fn() + Send + 'static) -> io::Result<Self> {
        let timer = Arc::new(Timer::waiting()?);
        let waited = Arc::clone(&timer);
        thread::Builder::new().name("alarm".into()).spawn(move || {
            loop {
                match waited.has_come() {
                    Ok(()) => on_alarm(),
                    // Set anew meanwhile.
                    Err(Errno::INTR | Errno::CANCELED) => {}
                    Err(_) => return,
                }
            }
        })?;
        Ok(Self(timer))
    }

    /// At this moment, ms; none: not at all. Replaces the one before.
    pub fn set(&self, at_ms: Option<u64>) {
        self.0.set(at_ms);
    }
}
