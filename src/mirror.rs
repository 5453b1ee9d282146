//! The configuration as revisions (spec 5).

pub mod diff;
pub mod digest;
pub mod path;
pub mod quiet;
#[cfg(test)]
pub(crate) mod testing;
pub mod tree;
