//! A virtual node: drives an engine as the real one does, on a virtual disk.

use std::collections::BTreeMap;

use standin::engine::Engine;
use standin::engine::alerts::Alert;
use standin::engine::base::{Digest, Fingerprint, InstanceId, LinkId, Millis, Now, Role, UnixMillis};
use standin::engine::durable::Durable;
use standin::engine::effect::Effect;
use standin::engine::input::Boot;
use standin::engine::settings::Settings;
use standin::engine::status::ServiceStatus;

use crate::sim::mirror::Mirror;

/// What survives a crash.
#[derive(Clone, Debug)]
pub struct Disk {
    pub durable: Durable,
    pub mirror: Mirror,
    pub settings: Settings,
    pub alerts: BTreeMap<u64, Alert>,
    pub is_copied: bool,
}

/// One machine.
#[derive(Clone, Debug)]
pub struct Node {
    pub index: usize,
    pub disk: Disk,
    pub engine: Option<Engine>,
    /// Grows at every start and every crash.
    pub incarnation: u64,
    /// Effects that wait to be executed.
    pub effects: std::collections::VecDeque<Effect>,
    pub next_link: u64,
    /// Runs, or may run.
    pub service: bool,
    pub guard: crate::sim::guard::Guard,
    /// Stopped (SIGSTOP) until that moment of the world.
    pub suspended_until: Option<u64>,
    pub suspended_since: u64,
    /// Clock: offset and deviation in parts per million.
    pub offset_ms: u64,
    pub wall_offset_ms: i64,
    pub rate_ppm: i64,
    /// The process dies before its n-th effect from now.
    pub crash_in: Option<u64>,
    /// An apply is under way: the history it brings.
    pub applying: Option<usize>,
    pub persist_fails: bool,
    pub start_fails: bool,
    pub stop_fails: bool,
    /// A start takes up to.
    pub start_ms: u64,
    pub checks_fail: bool,
    pub fence_fails: bool,
    /// How long its fence hook takes.
    pub fence_ms: u64,
    /// Runs of its fence hook.
    pub fenced: u64,
    pub alarm: Option<u64>,
    pub cancelled: Vec<u64>,
    pub exits: u64,
}

pub fn fingerprint(index: usize) -> Fingerprint {
    Fingerprint(Digest([index as u8 + 1; 32]))
}

pub fn instance(index: usize) -> InstanceId {
    InstanceId(uuid::Uuid::from_u128(index as u128 + 1))
}

pub fn service_status(state: &str) -> ServiceStatus {
    ServiceStatus { kind: "command".into(), state: state.into(), ..ServiceStatus::default() }
}

impl Node {
    pub fn new(index: usize, disk: Disk) -> Self {
        Self {
            index,
            disk,
            engine: None,
            incarnation: 0,
            effects: std::collections::VecDeque::new(),
            next_link: 1,
            service: false,
            guard: crate::sim::guard::Guard::default(),
            suspended_until: None,
            suspended_since: 0,
            offset_ms: 0,
            wall_offset_ms: 0,
            rate_ppm: 0,
            crash_in: None,
            applying: None,
            persist_fails: false,
            start_fails: false,
            stop_fails: false,
            start_ms: 100,
            checks_fail: false,
            fence_fails: false,
            fence_ms: 20,
            fenced: 0,
            alarm: None,
            cancelled: Vec::new(),
            exits: 0,
        }
    }

    /// Both clocks of this machine at a moment of the world.
    pub fn now(&self, t: u64) -> Now {
        let mono = i128::from(t) * i128::from(1_000_000 + self.rate_ppm) / 1_000_000;
        Now {
            mono: Millis(mono as u64 + self.offset_ms),
            wall: UnixMillis(1_795_356_000_000 + i64::try_from(t).unwrap() + self.wall_offset_ms),
        }
    }

    /// The moment of the world at which this machine's clock shows `at`.
    pub fn world_time(&self, at: Millis) -> u64 {
        let mono = u128::from(at.0.saturating_sub(self.offset_ms));
        (mono * 1_000_000).div_ceil((1_000_000 + self.rate_ppm) as u128) as u64
    }

    /// A span of this machine's clock in time of the world: not shorter.
    pub fn world_span(&self, span_ms: u64) -> u64 {
        (span_ms * 1_000_000).div_ceil((1_000_000 + self.rate_ppm) as u64)
    }

    /// The same: not longer.
    pub fn world_span_floor(&self, span_ms: u64) -> u64 {
        span_ms * 1_000_000 / (1_000_000 + self.rate_ppm) as u64
    }

    /// Its service runs, or still runs after its Standin died.
    pub fn runs_service(&self, t: u64) -> bool {
        self.service || t < self.guard.orphan_until
    }

    /// What a starting process reads; the run was raised, durably.
    pub fn boot(&mut self, seed: u64) -> Boot {
        self.disk.durable.run.0 += 1;
        Boot {
            durable: self.disk.durable.clone(),
            settings: self.disk.settings.clone(),
            head: self.disk.mirror.committed(),
            trail: self.disk.mirror.trail(),
            branches: self.disk.mirror.branches.keys().cloned().collect(),
            alerts: self.disk.alerts.values().cloned().collect(),
            is_copied: self.disk.is_copied,
            version: "0.1.0".into(),
            link_port: 8443,
            seed,
            instance: self.disk.durable.instance,
            fingerprint: fingerprint(self.index),
            service_kind: "command".into(),
        }
    }

    pub fn is_up(&self) -> bool {
        self.engine.is_some()
    }

    pub fn role(&self) -> Option<Role> {
        self.disk.durable.role
    }

    pub fn new_link(&mut self) -> LinkId {
        self.next_link += 1;
        LinkId(self.next_link)
    }
}
