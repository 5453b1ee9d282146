//! Deliberate faults in the rules, so that every checker of the simulator is shown to bite. In a program that people run the
//! question is the constant *no*; in the tests of this library one fault at a time is switched on, for the thread that asks.

/// What a rule does wrong when it is told to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Fault {
    /// A shadow that says *not taken over* goes on with its takeover (spec 7.5).
    AnswerCancelsNothing,
    /// Becomes active while what it promised the master still runs (spec 7.11).
    IgnoresPromise,
    /// The arbiter grants a term while the other's lease runs (spec 7.11).
    GrantsWhileLeased,
    /// Takes over without the arbiter's grant (spec 7.11).
    NeedsNoGrant,
    /// The next term is the present one (spec 7.3).
    ReusesTerm,
    /// A push is acknowledged before it is on disk (spec 5.3).
    AcknowledgesEarly,
    /// A master gives way without committing what was edited (spec 7.6).
    ForgetsEdits,
    /// A shadow that lost its master does not look for it any more (spec 7.1).
    StopsLooking,
    /// A shadow takes over though it was not READY (spec 7.1).
    TakesOverInHandshake,
    /// A takeover leaves what was changed behind Standin's back (spec 7.3).
    SkipsDrift,
    /// A switch in doubt never answers the operator (spec 7.7).
    ForgetsReply,
    /// An open hand-over is never settled by an answer (spec 7.7).
    StaysInDoubt,
    /// The alert stays when the master answers again (spec 6.2).
    KeepsAlert,
    /// A lost master is no alert (spec 6.5).
    ForgetsAlert,
    /// A stop that has to be sooner leaves the one under way as it is (spec 2.4, 7.11).
    RunsGraceOut,
    /// A maintenance does not survive a restart (spec 7.9).
    ForgetsPause,
    /// What the master has of a maintenance is not followed (spec 7.9).
    PausesAlone,
}

#[cfg(test)]
thread_local! {
    static ON: core::cell::Cell<Option<Fault>> = const { core::cell::Cell::new(None) };
}

/// Whether the rule that asks is to break.
#[cfg(test)]
pub(crate) fn breaks(fault: Fault) -> bool {
    ON.with(core::cell::Cell::get) == Some(fault)
}

/// Whether the rule that asks is to break: never.
#[cfg(not(test))]
#[inline]
pub(crate) const fn breaks(_: Fault) -> bool {
    false
}

/// Runs `work` with the fault on, in this thread.
#[cfg(test)]
pub(crate) fn with<T>(fault: Fault, work: impl FnOnce() -> T) -> T {
    ON.with(|on| on.set(Some(fault)));
    let outcome = work();
    ON.with(|on| on.set(None));
    outcome
}
