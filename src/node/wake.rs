//! Wakes the loop that decides, to the millisecond. A timer of the runtime comes up to one millisecond late, and each of its
//! timers wakes an idle program twice.

use std::io::{self, ErrorKind};

use tokio::net::unix::pipe::Receiver;

use crate::engine::base::Millis;
use crate::service::timer::Timer;

/// The one thing that the loop waits for besides its inputs.
pub struct Wake {
    timer: Timer,
    /// The timer's descriptor is read as a pipe is.
    come: Receiver,
    set: Option<Millis>,
}

impl Wake {
    /// Within a runtime.
    ///
    /// # Errors
    /// No descriptor is left.
    pub fn new() -> io::Result<Self> {
        let timer = Timer::polled()?;
        let come = Receiver::from_owned_fd_unchecked(timer.handle()?)?;
        Ok(Self { timer, come, set: None })
    }

    /// Returns then or later; none: never. Ended sooner, nothing is lost.
    pub async fn at(&mut self, due: Option<Millis>) {
        if self.set != due {
            self.timer.set(due.map(|due| due.0));
            self.set = due;
        }
        loop {
            let is_ready = self.come.readable().await;
            match is_ready.and_then(|()| self.come.try_read(&mut [0; 8])) {
                Ok(_) => {
                    self.set = None;
                    return;
                }
                // Set anew since.
                Err(error) if error.kind() == ErrorKind::WouldBlock => {}
                // The runtime ends.
                Err(_) => return std::future::pending().await,
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::node::clock;

    /// spec 7.12: at its time and not before; what was waited for before does not wake
    #[tokio::test]
    async fn it_wakes_at_the_time_last_said() {
        let mut wake = Wake::new().unwrap();
        let begin = clock::monotonic();
        let (soon, later) = (begin.plus(5), begin.plus(50));
        assert!(tokio::time::timeout(Duration::from_millis(1), wake.at(Some(soon))).await.is_err());
        wake.at(Some(later)).await;
        assert!(clock::monotonic() >= later);
        wake.at(Some(begin)).await;
        wake.at(Some(begin)).await;
        assert!(tokio::time::timeout(Duration::from_millis(20), wake.at(None)).await.is_err(), "never");
    }
}
