//! Bytes to messages and back: framing, limits, versions. Pure.

pub mod control;
