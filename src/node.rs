//! Runs an engine: the only asynchronous code.

pub mod signals;
