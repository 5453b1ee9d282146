//! The traces of the protocol model that concern a pair without arbiter, as tests.
