//! The real program in a real terminal, typed at by keys and looked at through a terminal emulator.

#![allow(clippy::unwrap_used, reason = "tests")]

mod editing;
mod ending;
mod first_start;
mod home;
mod looks;
mod operating;
#[path = "../arbiter/ports.rs"]
mod ports;
mod terminal;
