//! The configuration as revisions (spec 5).

pub mod diff;
pub mod digest;
mod ground;
pub mod path;
pub mod quiet;
pub mod scan;
#[cfg(test)]
pub(crate) mod testing;
pub mod tree;
pub mod yaml;
