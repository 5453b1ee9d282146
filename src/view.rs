//! To come.

pub mod form;
pub mod wizard;
