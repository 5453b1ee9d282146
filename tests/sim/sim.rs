//! The simulator itself: the same files serve `tests/sim` (lives of the rules as they are) and the library's own tests (lives of
//! rules with a deliberate fault, see `engine::faults`). `README.md` beside this file says what is modelled and what is not.
#![allow(clippy::unwrap_used, clippy::print_stdout, clippy::print_stderr, dead_code)]

pub mod ambush;
pub mod arbiter;
pub mod chaos;
pub mod check;
pub mod clocks;
pub mod effects;
pub mod faults;
pub mod guard;
pub mod mirror;
pub mod net;
pub mod node;
pub mod print;
pub mod queue;
pub mod random;
pub mod trace;
pub mod traffic;
pub mod walk;
pub mod world;
