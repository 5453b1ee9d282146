//! The rules of a pair: takes what happened, returns what to do. Reads no clock, file or socket, draws no random number,
//! never waits (see `ARCHITECTURE.md`, walls).

pub mod alerts;
pub mod base;
pub mod durable;
pub mod effect;
pub mod event;
pub mod input;
pub mod message;
pub mod order;
pub mod password;
pub mod settings;
pub mod setup;
pub mod status;

/// Stub.
pub struct Engine;
#[allow(missing_docs, unused_variables, clippy::all)]
impl Engine {
    pub fn new(now: base::Now, boot: input::Boot) -> Engine {
        Engine
    }
    pub fn handle(&mut self, now: base::Now, input: input::Input, effects: &mut effect::Effects) {}
    pub fn deadline(&self) -> Option<base::Millis> {
        None
    }
    pub fn status(&self, now: base::Now) -> status::Status {
        status::Status::default()
    }
    pub fn alerts(&self) -> Vec<alerts::Alert> {
        Vec::new()
    }
    pub fn durable(&self) -> &durable::Durable {
        unimplemented!()
    }
    pub fn refuses_settings(&self, new: &settings::Settings) -> Option<base::Problem> {
        None
    }
    pub fn first_role(durable: durable::Durable, role: base::Role, now: base::Now) -> durable::Durable {
        durable
    }
}
