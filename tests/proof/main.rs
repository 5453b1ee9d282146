//! What must hold whatever happens: real instances killed at any moment, and a peer that is authenticated and malicious. Needs
//! root and `iproute2`.
#![allow(clippy::unwrap_used, clippy::print_stdout, reason = "tests; the seed has to be seen")]

mod checks;
mod crashes;
mod edits;
#[allow(dead_code, reason = "shared with the pair tests, which need more of it")]
#[path = "../pair/harness.rs"]
mod harness;
mod hostile;
mod hostile_shadow;
mod middle;
