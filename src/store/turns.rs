//! Whose turn it is to write. SQLite lets one write at a time, and has the others look again and again, ever more seldom.
//! Inside this process they wait here instead, and the record of the engine goes before everything else (spec 7.3).

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};

/// One at a time. Taken after the connection, and given back before anything else is locked.
#[derive(Default)]
pub(super) struct Turns {
    state: Mutex<State>,
    is_free: Condvar,
}

#[derive(Default)]
struct State {
    is_taken: bool,
    /// So many wait that go first.
    urgent: usize,
}

/// Until it is dropped nobody else writes.
pub(super) struct Turn<'a>(&'a Turns);

impl Turns {
    /// For the record: before all others that wait.
    pub fn urgent(&self) -> Turn<'_> {
        let mut state = self.lock();
        state.urgent += 1;
        let mut state = self.wait(state, |state| state.is_taken);
        state.urgent -= 1;
        state.is_taken = true;
        Turn(self)
    }

    /// For what may wait: long work takes one for each of its steps.
    pub fn patient(&self) -> Turn<'_> {
        let mut state = self.wait(self.lock(), |state| state.is_taken || state.urgent > 0);
        state.is_taken = true;
        Turn(self)
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&'a self, state: MutexGuard<'a, State>, is_busy: impl Fn(&State) -> bool) -> MutexGuard<'a, State> {
        self.is_free.wait_while(state, |state| is_busy(state)).unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Turn<'_> {
    fn drop(&mut self) {
        self.0.lock().is_taken = false;
        self.0.is_free.notify_all();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;
    use std::time::Duration;

    /// spec 7.3: the record waits for the write that is under way, and for none that waits with it.
    #[test]
    fn the_record_goes_first() {
        let turns = Turns::default();
        let (done, order) = channel();
        std::thread::scope(|scope| {
            let under_way = turns.patient();
            for _ in 0..3 {
                let done = done.clone();
                let turns = &turns;
                scope.spawn(move || {
                    let _turn = turns.patient();
                    done.send("patient").unwrap();
                });
            }
            let turns = &turns;
            scope.spawn(move || {
                let _turn = turns.urgent();
                done.send("urgent").unwrap();
            });
            while turns.lock().urgent == 0 {
                std::thread::yield_now();
            }
            assert!(order.try_recv().is_err());
            drop(under_way);
            let got: Vec<_> = (0..4).map(|_| order.recv_timeout(Duration::from_secs(20)).unwrap()).collect();
            assert_eq!(got, ["urgent", "patient", "patient", "patient"]);
        });
    }
}
