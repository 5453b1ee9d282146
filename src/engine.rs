//! The rules of a pair: takes what happened, returns what to do. Reads no clock, file or socket, draws no random number,
//! never waits (see `ARCHITECTURE.md`, walls).

pub mod alerts;
pub mod base;
pub mod durable;
pub mod effect;
pub mod event;
pub mod input;
pub mod message;
pub mod order;
pub mod password;
pub mod settings;
pub mod setup;
pub mod status;
