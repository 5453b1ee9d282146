//! To come.

pub mod host_names;
pub mod settings_text;
pub mod setup;

pub use host_names::host_names;
