//! Standin keeps one on-premise service running on two machines. `ARCHITECTURE.md` is the map.
#![deny(unsafe_code)]

pub mod access;
pub mod arbiter;
pub mod backup;
pub mod cli;
pub mod console;
pub mod engine;
pub mod files;
pub mod http;
pub mod identity;
pub mod mirror;
pub mod node;
pub mod service;
pub mod store;
pub mod terminal;
pub mod text;
pub mod view;
pub mod wire;

// The simulator's files are shared with `tests/sim`: there they live the rules as they are, here rules with a deliberate fault.
#[cfg(test)]
extern crate self as standin;
#[cfg(test)]
#[path = "../tests/sim/bites.rs"]
mod bites;
#[cfg(test)]
#[path = "../tests/sim/sim.rs"]
mod sim;
