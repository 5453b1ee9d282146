//! To come.

pub mod net;
