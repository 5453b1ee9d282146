//! Moments the engine waits for. One of each kind; the node is told only the earliest.

use super::base::{LinkId, Millis};

/// What a moment is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Timer {
    /// Shadow: send the next check.
    Check,
    /// Shadow: the oldest unanswered check is too old.
    CheckLimit,
    /// A link on which the first word is due.
    Greeting(LinkId),
    /// Try to reach the peer again.
    Redial,
    /// Shadow: the takeover delay is over, or the takeover is tried again.
    Takeover,
    /// Run the takeover checks beforehand.
    Checks,
    /// The takeover checks under way are given up.
    ChecksLimit,
    /// Look after standing troubles.
    Health,
    /// Master: the shadow has been silent for three check intervals.
    Silent,
    /// Master: its silent shadow may have taken over by now.
    Unwatched,
    /// Master: the question under way is given up.
    AskLimit,
    /// Master: the boot hold is over.
    BootHold,
    /// A failed durable write is tried again.
    Retry,
    /// Start or stop of the service is tried again.
    ServiceRetry,
    /// The offer is repeated.
    OfferRepeat,
    /// The offer is in doubt.
    OfferDoubt,
    /// The stage of the hand-over is given up.
    Handover,
    /// A failed push is tried again.
    PushRetry,
    /// A push that was not acknowledged has failed.
    PushLimit,
    /// A step of the planned stop is given up.
    Leave,
    /// A farewell by order is not awaited longer.
    Farewell,
    /// The pause ends.
    PauseEnd,
    /// Five minutes before.
    PauseWarn,
    /// A pause asked for was not acknowledged.
    PauseLimit,
    /// See whether the peer's listener can be reached.
    DialBack,
    /// `connect` is answered at the latest.
    ConnectLimit,
    /// The next question to the arbiter, or the end of the one under way.
    Arbiter,
    /// Master: the hold time is over.
    Hold,
    /// Master: the next renewal.
    Renew,
    /// `become-master` waited long enough for the arbiter.
    Wish,
    /// Master: no check of the shadow came in time.
    ShadowLost,
    /// Master: nobody answered after a stall.
    StallLimit,
    /// A switch waited long enough for the shadow to be READY.
    SwitchWait,
}

/// All of them. There are about ten at a time: looked through faster than kept in order.
#[derive(Clone, Debug, Default)]
pub(super) struct Timers(Vec<(Timer, Millis)>);

impl Timers {
    fn place(&self, timer: Timer) -> Option<usize> {
        self.0.iter().position(|(other, _)| *other == timer)
    }

    /// Sets it, whatever it was.
    pub fn set(&mut self, timer: Timer, at: Millis) {
        match self.place(timer) {
            Some(place) => self.0[place].1 = at,
            None => self.0.push((timer, at)),
        }
    }

    /// Sets it unless it is set already.
    pub fn set_if_unset(&mut self, timer: Timer, at: Millis) {
        if self.place(timer).is_none() {
            self.0.push((timer, at));
        }
    }

    /// Forgets it.
    pub fn clear(&mut self, timer: Timer) {
        if let Some(place) = self.place(timer) {
            self.0.swap_remove(place);
        }
    }

    /// When it is due.
    pub fn get(&self, timer: Timer) -> Option<Millis> {
        self.place(timer).map(|place| self.0[place].1)
    }

    /// All that are set, in the order of their kinds.
    pub fn all(&self) -> impl Iterator<Item = (Timer, Millis)> {
        let mut all = self.0.clone();
        all.sort_unstable();
        all.into_iter()
    }

    /// The earliest.
    pub fn earliest(&self) -> Option<Millis> {
        self.0.iter().map(|(_, at)| *at).min()
    }

    /// Takes one that is due, the earliest first.
    pub fn take_due(&mut self, now: Millis) -> Option<Timer> {
        if self.earliest()? > now {
            return None;
        }
        let (timer, _) = self.0.iter().min_by_key(|(timer, at)| (*at, *timer)).copied()?;
        self.clear(timer);
        Some(timer)
    }
}

/// Small generator for nonces: needs to be different, not secret (the link is authenticated).
#[derive(Clone, Debug)]
pub(super) struct Random(u64);

impl Random {
    /// From the node's seed.
    pub fn new(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// The next number, never 0.
    pub fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }
}
