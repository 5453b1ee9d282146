//! How long the master takes to answer checks, for *check timeouts* (spec 4.2): the real requests of this run, finer than the
//! engine's clock.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex};
use std::time::Instant;

use super::shared::lock;
use crate::engine::message::{Body, Envelope};
use crate::engine::timeouts::REQUESTS_MEASURED;

/// Checks under way that are followed; older ones are never answered any more.
const OPEN_MAX: usize = 64;

/// Cheap to clone; every clone is the same.
#[derive(Clone, Debug, Default)]
pub struct Trips {
    inner: Arc<Mutex<Inner>>,
}

#[derive(Debug, Default)]
struct Inner {
    open: VecDeque<(u64, Instant)>,
    taken_us: VecDeque<u64>,
}

impl Trips {
    /// It is about to be sent.
    pub fn sent(&self, envelope: &Envelope) {
        let Body::Check(check) = &envelope.body else { return };
        let mut inner = lock(&self.inner);
        if inner.open.len() >= OPEN_MAX {
            inner.open.pop_front();
        }
        inner.open.push_back((check.nonce, Instant::now()));
    }

    /// It has come.
    pub fn received(&self, envelope: &Envelope) {
        let Body::CheckAnswer(answer) = &envelope.body else { return };
        let mut inner = lock(&self.inner);
        let Some(at) = inner.open.iter().rposition(|(nonce, _)| *nonce == answer.nonce) else { return };
        let took = inner.open[at].1.elapsed();
        inner.open.drain(..=at);
        if inner.taken_us.len() >= REQUESTS_MEASURED {
            inner.taken_us.pop_front();
        }
        inner.taken_us.push_back(u64::try_from(took.as_micros()).unwrap_or(u64::MAX));
    }

    /// The newest of this run, µs.
    #[must_use]
    pub fn taken_us(&self) -> Vec<u64> {
        lock(&self.inner).taken_us.iter().copied().collect()
    }
}
