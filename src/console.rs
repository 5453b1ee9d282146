//! The console's rules: a message in, commands out. Reads no clock, file or socket and never waits; talks to the engine only
//! in the types of the control socket (`ARCHITECTURE.md`, walls).

pub mod actions;
pub mod dialog;
pub mod facts;
pub mod field;
pub mod files;
pub mod form;
pub mod history;
pub mod keymap;
pub mod message;
pub mod model;
pub mod search;
pub mod tree;
pub mod update;
pub mod wizard;

pub use message::{Command, Key, Leave, Message};
pub use model::{Model, Screen};
pub use update::update;
