//! Standin keeps one on-premise service running on two machines. `ARCHITECTURE.md` is the map.
#![deny(unsafe_code)]

pub mod access;
pub mod arbiter;
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
pub mod view;
pub mod wire;
