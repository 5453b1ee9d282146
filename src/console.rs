//! To come.

pub mod field;
pub mod form;
pub mod wizard;
