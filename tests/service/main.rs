//! The service, its guard and its supervisor as real processes, with real signals (spec 7.13).

// A test may fail loudly; helpers beside the test functions are no exception.
#![allow(clippy::unwrap_used, clippy::print_stderr)]

mod failing;
mod life;
mod speed;
mod support;
mod survival;
mod unit;
mod watchdog;
