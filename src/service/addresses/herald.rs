//! The thread behind the addresses: repeats announcements, puts back what somebody took away, asks whether another machine
//! answers for them. It sleeps until there is something to do; the kernel tells it of changes.

use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender};
use std::time::{Duration, Instant};

use super::netlink::Changes;
use super::packets::mac_text;
use super::{Arc, Problem, Shared, lock, prefix_of, thread, wall};

/// Most wishes that wait.
pub(super) const WISHES_MAX: usize = 16;
/// Announcements after the first, ms after it: one packet may be lost, and a switch may still be learning.
const REPEATS_MS: [u64; 4] = [100, 500, 1_000, 2_000];
/// How long another machine may take to answer for an address.
const PROBE_WAIT: Duration = Duration::from_millis(200);
/// From one probe to the next, while this instance is active.
const PROBE_PAUSE: Duration = Duration::from_secs(30);
/// Between two looks because of changes; a machine that changes all the time must not keep Standin busy.
const LOOK_PAUSE: Duration = Duration::from_millis(50);

/// What wakes the thread.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Wish {
    /// Announce, several times.
    Announce,
    /// Something has changed.
    Look,
}

/// Starts it, and the one that listens to the kernel. Both end with the program, or when the addresses are dropped.
pub(super) fn start(shared: &Arc<Shared>, wishes: Receiver<Wish>, wake: &SyncSender<Wish>) -> Result<(), Problem> {
    let no_thread = |error: std::io::Error| Problem::new("virtual addresses cannot be kept", format!("{error}"), "");
    let herald = Herald { shared: Arc::clone(shared), repeats: Vec::new(), probe_at: None };
    thread::Builder::new().name("addresses".into()).spawn(move || herald.run(&wishes)).map_err(no_thread)?;
    let Ok(changes) = Changes::listen() else { return Ok(()) };
    let wake = wake.clone();
    let listen = move || {
        while changes.wait().is_ok() {
            thread::sleep(LOOK_PAUSE);
            if let Err(std::sync::mpsc::TrySendError::Disconnected(_)) = wake.try_send(Wish::Look) {
                return;
            }
        }
    };
    thread::Builder::new().name("interfaces".into()).spawn(listen).map(drop).map_err(no_thread)
}

struct Herald {
    shared: Arc<Shared>,
    /// Announcements still due, the next one last.
    repeats: Vec<Instant>,
    probe_at: Option<Instant>,
}

impl Herald {
    fn run(mut self, wishes: &Receiver<Wish>) {
        loop {
            let due = self.repeats.last().copied().into_iter().chain(self.probe_at).min();
            let woken = match due {
                Some(due) => wishes.recv_timeout(due.saturating_duration_since(Instant::now())),
                None => wishes.recv().map_err(|_| RecvTimeoutError::Disconnected),
            };
            match woken {
                Ok(Wish::Announce) => self.begin(),
                Ok(Wish::Look) => self.shared.mend(),
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => return,
            }
            self.do_due(Instant::now());
        }
    }

    fn begin(&mut self) {
        let now = Instant::now();
        self.repeats = REPEATS_MS.iter().rev().map(|ms| now + Duration::from_millis(*ms)).collect();
        self.probe_at = self.repeats.first().copied();
    }

    fn do_due(&mut self, now: Instant) {
        if !lock(&self.shared.state).is_raised {
            self.repeats.clear();
            self.probe_at = None;
            return;
        }
        while self.repeats.last().is_some_and(|due| *due <= now) {
            self.repeats.pop();
            self.shared.announce_all();
        }
        if self.probe_at.is_some_and(|due| due <= now) {
            self.probe_at = Some(now + PROBE_PAUSE);
            self.shared.probe_all();
        }
    }
}

impl Shared {
    fn announce_all(&self) {
        let wanted = lock(&self.state).wanted.clone();
        let Ok(interfaces) = self.network.interfaces() else { return };
        for one in &wanted {
            let (Some(interface), Some((address, _))) = (interfaces.get(&one.interface), prefix_of(&one.address))
            else {
                continue;
            };
            // With the lock, so that no announcement goes out behind a withdrawal.
            let state = lock(&self.state);
            if state.is_raised && interface.addresses.contains(&address) {
                self.announce_once(interface, address);
            }
        }
        let mut state = lock(&self.state);
        if state.is_raised {
            self.refresh(&mut state, Some(wall()));
        }
        drop(state);
        self.tell();
    }

    /// An interface that went down takes its addresses of IPv6 with it, and an administrator may take away any.
    pub(super) fn mend(&self) {
        let (is_new, is_missing) = {
            let mut state = lock(&self.state);
            let before = state.status.clone();
            self.refresh(&mut state, None);
            let is_missing = state.is_raised && state.status.iter().any(|status| !status.present);
            (before != state.status, is_missing)
        };
        if is_missing && !self.was_taken_by_guard() {
            self.raise();
        } else if is_new {
            self.tell();
        }
    }

    /// The guard has taken the addresses away, because this program did not move: they stay away until it is decided anew
    /// that this instance is active. Another may be, by now.
    fn was_taken_by_guard(&self) -> bool {
        let mut was_taken = false;
        let failed = self.with_note(|shared, state, held| {
            let noted = held.read();
            was_taken = noted.run == shared.run && state.own.iter().any(|own| !noted.addresses.contains(own));
            if was_taken {
                state.own.retain(|own| noted.addresses.contains(own));
                state.is_raised = false;
                shared.refresh(state, None);
            }
        });
        was_taken && failed.is_none()
    }

    fn probe_all(&self) {
        let wanted = lock(&self.state).wanted.clone();
        let Ok(interfaces) = self.network.interfaces() else { return };
        for one in &wanted {
            let (Some(interface), Some((address, _))) = (interfaces.get(&one.interface), prefix_of(&one.address))
            else {
                continue;
            };
            let Ok(other) = self.network.other_holder(interface, address, PROBE_WAIT) else { continue };
            let mut state = lock(&self.state);
            let is_raised = state.is_raised;
            if let Some(status) = state.status.iter_mut().find(|status| status.address == one.address) {
                status.used_by = other.filter(|_| is_raised).map(mac_text);
            }
        }
        self.tell();
    }
}
