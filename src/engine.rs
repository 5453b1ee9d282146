//! The rules of a pair: takes what happened, returns what to do. Reads no clock, file or socket, draws no random number,
//! never waits (see `ARCHITECTURE.md`, walls).

pub mod alerts;
pub mod base;
pub mod damping;
pub mod durable;
pub mod effect;
pub mod event;
pub mod history;
pub mod input;
pub mod kit;
pub mod listing;
pub mod message;
pub mod order;
pub mod password;
pub mod settings;
pub mod setup;
pub mod status;
pub mod timeouts;
pub mod vote;

mod addresses;
mod arbiter;
mod change;
mod clocks;
mod conflict;
mod core;
mod failing;
pub(crate) mod faults;
mod fence;
mod glance;
mod isolation;
mod likeness;
mod links;
mod listen;
mod master;
mod offer;
mod orders;
mod pairing;
mod pause;
mod protection;
mod push;
mod question;
mod reset;
mod rivals;
mod settings_rules;
mod shadow;
#[doc(hidden)]
pub mod sketch;
mod stall;
mod start;
mod status_of;
mod steps;
mod stop;
mod switch;
mod takeover;
mod then;
mod timers;
mod work;

pub use core::Engine;
pub use glance::Glance;
