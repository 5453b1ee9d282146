//! Virtual addresses (spec 7.14): on this machine's interfaces while this instance is active, and at no other time.
//!
//! Raised before the service starts, withdrawn when it has stopped or will not stop. What a crash leaves behind is taken
//! away by the guard, and by the next start. Announcements are repeated by a thread of their own and hold nothing up.

use std::collections::BTreeMap;
use std::io;
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{SystemTime, UNIX_EPOCH};

use super::lock;
use crate::engine::base::{Problem, UnixMillis};
use crate::engine::settings::VirtualAddress;
use crate::engine::settings::table::prefix_of;
use crate::engine::status::AddressStatus;
use netlink::{EADDRNOTAVAIL, ENODEV};
use network::{Interface, Kernel, Network};
use note::Note;

mod herald;
mod netlink;
mod network;
mod note;
mod packets;
#[cfg(test)]
mod tests;

/// Needed for adding and announcing; bits of `CapEff`.
const CAP_NET_ADMIN: u32 = 12;
const CAP_NET_RAW: u32 = 13;

/// What one look says when something is in the way.
type Why = String;

/// The addresses of one home. All calls return within milliseconds.
#[derive(Clone)]
pub struct Addresses {
    shared: Arc<Shared>,
    wake: SyncSender<herald::Wish>,
}

struct Shared {
    network: Box<dyn Network>,
    note: PathBuf,
    run: String,
    state: Mutex<State>,
    on_change: Box<dyn Fn(Vec<AddressStatus>) + Send + Sync>,
}

#[derive(Default)]
struct State {
    wanted: Vec<VirtualAddress>,
    /// This instance is active, or about to be.
    is_raised: bool,
    /// A start was asked for after the last stop.
    is_held: bool,
    /// Put there by this home, this run or an earlier one.
    own: Vec<VirtualAddress>,
    status: Vec<AddressStatus>,
}

impl Addresses {
    /// Takes away what an earlier run left, and looks. `note` is a file under the home, `run` names this run and no other;
    /// `on_change` is called with every new state, never with a lock held.
    ///
    /// # Errors
    /// A thread cannot be started.
    pub fn new(
        note: PathBuf,
        run: String,
        wanted: &[VirtualAddress],
        on_change: impl Fn(Vec<AddressStatus>) + Send + Sync + 'static,
    ) -> Result<Self, Problem> {
        Self::on(Box::new(Kernel), note, run, wanted, Box::new(on_change))
    }

    fn on(
        network: Box<dyn Network>,
        note: PathBuf,
        run: String,
        wanted: &[VirtualAddress],
        on_change: Box<dyn Fn(Vec<AddressStatus>) + Send + Sync>,
    ) -> Result<Self, Problem> {
        let state = Mutex::new(State { wanted: wanted.to_vec(), ..State::default() });
        let shared = Arc::new(Shared { network, note, run, state, on_change });
        // A home that never had any is not given a file.
        if shared.note.exists() {
            shared.with_note(|shared, state, held| {
                state.own = held.read().addresses;
                shared.withdraw_all(state);
            });
        }
        shared.look();
        let (wake, wishes) = sync_channel(herald::WISHES_MAX);
        herald::start(&shared, wishes, &wake)?;
        Ok(Self { shared, wake })
    }

    /// Puts all of them on and announces each once; more announcements follow by themselves. What cannot be put on is told
    /// and holds nothing up. How many are there now.
    pub fn raise(&self) -> usize {
        lock(&self.shared.state).is_held = true;
        self.shared.raise();
        self.wish(herald::Wish::Announce);
        lock(&self.shared.state).status.iter().filter(|status| status.present).count()
    }

    /// A stop was asked for: the next [`Self::withdraw_unless_held`] takes them away.
    pub fn release(&self) {
        lock(&self.shared.state).is_held = false;
    }

    /// Takes all of them away, unless [`Self::raise`] came after the last [`Self::release`].
    pub fn withdraw_unless_held(&self) {
        let is_held = lock(&self.shared.state).is_held;
        if !is_held {
            self.withdraw();
        }
    }

    /// Takes all of them away.
    pub fn withdraw(&self) {
        self.shared.withdraw();
        self.wish(herald::Wish::Look);
    }

    /// Tells the network again where they are; nothing when this instance is not active.
    pub fn announce(&self) {
        self.wish(herald::Wish::Announce);
    }

    /// Other settings, in force at once.
    pub fn set(&self, wanted: &[VirtualAddress]) {
        if self.shared.set(wanted) {
            self.wish(herald::Wish::Announce);
        }
    }

    fn wish(&self, wish: herald::Wish) {
        // Full: it is busy with the same.
        let _ = self.wake.try_send(wish);
    }
}

/// For the guard: takes away what the run `run` has put there, unless another run has taken over the note.
pub fn withdraw_left(note: &Path, run: &str) {
    if !note.exists() {
        return;
    }
    let Ok(mut held) = note::hold(note) else { return };
    let left = held.read();
    if left.run != run {
        return;
    }
    let Ok(interfaces) = Kernel.interfaces() else { return };
    let addresses = left.addresses.into_iter().filter(|address| take_away(&Kernel, &interfaces, address).is_err());
    let _ = held.write(&Note { run: left.run, addresses: addresses.collect() });
}

/// Why the addresses of the settings could not be raised here, each by itself; for `doctor`. Changes nothing.
#[must_use]
pub fn problems(wanted: &[VirtualAddress], own: &[String]) -> Vec<(String, Option<Why>)> {
    let interfaces = Kernel.interfaces();
    let about = |address: &VirtualAddress| match &interfaces {
        Err(error) => Some(format!("the interfaces cannot be listed: {error}")),
        Ok(interfaces) => hindrance(interfaces, address, own.contains(&address.address), has_capabilities()),
    };
    wanted.iter().map(|address| (format!("{} on {}", address.address, address.interface), about(address))).collect()
}

impl Shared {
    /// Runs `work` with the note held. A note that cannot be held must not keep an address away from a service.
    fn with_note(&self, work: impl FnOnce(&Self, &mut State, &mut note::Held)) -> Option<io::Error> {
        let mut state = lock(&self.state);
        match note::hold(&self.note) {
            Ok(mut held) => {
                work(self, &mut state, &mut held);
                held.write(&Note { run: self.run.clone(), addresses: state.own.clone() }).err()
            }
            Err(error) => Some(error),
        }
    }

    fn raise(&self) {
        if lock(&self.state).wanted.is_empty() {
            lock(&self.state).is_raised = true;
            return;
        }
        let failed = self.with_note(|shared, state, held| {
            // Before, so that a crash in between leaves nothing behind that nobody knows.
            let mut addresses = state.own.clone();
            addresses.extend(state.wanted.iter().filter(|one| !state.own.contains(one)).cloned());
            let _ = held.write(&Note { run: shared.run.clone(), addresses });
            shared.raise_all(state);
        });
        if let Some(error) = failed {
            tracing::warn!("the note of virtual addresses cannot be written: {error}");
            let mut state = lock(&self.state);
            if !state.is_raised {
                self.raise_all(&mut state);
            }
        }
        self.tell();
    }

    fn raise_all(&self, state: &mut State) {
        state.is_raised = true;
        let interfaces = self.network.interfaces().unwrap_or_default();
        for wanted in state.wanted.clone() {
            let Some((address, prefix)) = prefix_of(&wanted.address) else { continue };
            let Some(interface) = interfaces.get(&wanted.interface) else { continue };
            if interface.addresses.contains(&address) {
                continue;
            }
            match self.network.add(interface, address, prefix) {
                Ok(()) if !state.own.contains(&wanted) => state.own.push(wanted.clone()),
                Ok(()) => {}
                Err(error) => tracing::warn!("virtual address {} was not added: {error}", wanted.address),
            }
            self.announce_once(interface, address);
        }
        self.refresh(state, Some(wall()));
    }

    fn announce_once(&self, interface: &Interface, address: IpAddr) {
        if let Err(error) = self.network.announce(interface, address) {
            tracing::warn!("virtual address {address} was not announced: {error}");
        }
    }

    fn withdraw(&self) {
        let is_nothing = {
            let mut state = lock(&self.state);
            state.is_raised = false;
            state.own.is_empty()
        };
        if !is_nothing {
            let failed = self.with_note(|shared, state, _| shared.withdraw_all(state));
            if failed.is_some() {
                self.withdraw_all(&mut lock(&self.state));
            }
        }
        self.look();
    }

    fn withdraw_all(&self, state: &mut State) {
        let interfaces = self.network.interfaces().unwrap_or_default();
        state.own.retain(|address| match take_away(&*self.network, &interfaces, address) {
            Ok(()) => false,
            Err(error) => {
                tracing::error!("virtual address {} was not taken away: {error}", address.address);
                true
            }
        });
    }

    /// True: something is to be announced.
    fn set(&self, wanted: &[VirtualAddress]) -> bool {
        let is_raised = {
            let mut state = lock(&self.state);
            if state.wanted == wanted {
                return false;
            }
            state.wanted = wanted.to_vec();
            state.is_raised
        };
        // Those that are no longer wanted go, also when none is wanted any more.
        if is_raised {
            let failed = self.with_note(|shared, state, _| {
                let interfaces = shared.network.interfaces().unwrap_or_default();
                let wanted = state.wanted.clone();
                state.own.retain(|one| wanted.contains(one) || take_away(&*shared.network, &interfaces, one).is_err());
            });
            if let Some(error) = failed {
                tracing::warn!("the note of virtual addresses cannot be written: {error}");
            }
            self.raise();
        }
        self.look();
        is_raised
    }

    /// Looks, and tells what is new.
    fn look(&self) {
        self.refresh(&mut lock(&self.state), None);
        self.tell();
    }

    fn tell(&self) {
        let status = lock(&self.state).status.clone();
        (self.on_change)(status);
    }

    fn refresh(&self, state: &mut State, announced_at: Option<UnixMillis>) {
        if state.wanted.is_empty() {
            state.status.clear();
            return;
        }
        let interfaces = self.network.interfaces();
        let can = has_capabilities();
        let old = std::mem::take(&mut state.status);
        state.status = state
            .wanted
            .iter()
            .map(|wanted| {
                let is_own = state.own.contains(wanted);
                let before = old.iter().find(|old| old.address == wanted.address);
                let address = prefix_of(&wanted.address).map(|(address, _)| address);
                let interface = interfaces.as_ref().ok().and_then(|all| all.get(&wanted.interface));
                let present = interface.zip(address).is_some_and(|(it, address)| it.addresses.contains(&address));
                let mut problem = match &interfaces {
                    Ok(interfaces) => hindrance(interfaces, wanted, is_own, can),
                    Err(error) => Some(format!("the interfaces cannot be listed: {error}")),
                };
                if state.is_raised && !present && problem.is_none() {
                    problem = Some("it was taken away by somebody, or could not be added".into());
                }
                if !state.is_raised && present && is_own {
                    problem = Some("it could not be taken away".into());
                }
                let announced_before = before.and_then(|before| before.announced_at);
                AddressStatus {
                    address: wanted.address.clone(),
                    interface: wanted.interface.clone(),
                    present,
                    announced_at: announced_at.filter(|_| present).or(announced_before),
                    problem,
                    used_by: before.and_then(|before| before.used_by.clone()).filter(|_| state.is_raised),
                }
            })
            .collect();
    }
}

/// What is in the way of an address, before anything is tried.
fn hindrance(
    interfaces: &BTreeMap<String, Interface>,
    wanted: &VirtualAddress,
    is_own: bool,
    has_capabilities: bool,
) -> Option<Why> {
    let (address, _) = prefix_of(&wanted.address)?;
    let Some(interface) = interfaces.get(&wanted.interface) else {
        let names: Vec<&str> = interfaces.keys().map(String::as_str).filter(|name| *name != "lo").take(8).collect();
        return Some(format!("this machine has no interface {}; it has {}", wanted.interface, names.join(", ")));
    };
    let holder = interfaces.iter().find(|(_, interface)| interface.addresses.contains(&address));
    if let Some((name, _)) = holder.filter(|_| !is_own) {
        return Some(format!("{address} is on {name} already, and Standin did not put it there: take it away"));
    }
    if !has_capabilities {
        let why = "Standin lacks the capabilities CAP_NET_ADMIN and CAP_NET_RAW";
        return Some(format!("{why}: run it as root, or with AmbientCapabilities= of its unit"));
    }
    (!interface.is_up).then(|| format!("the interface {} is down", wanted.interface))
}

fn take_away(
    network: &dyn Network,
    interfaces: &BTreeMap<String, Interface>,
    address: &VirtualAddress,
) -> io::Result<()> {
    let (Some((ip, prefix)), Some(interface)) = (prefix_of(&address.address), interfaces.get(&address.interface))
    else {
        // An interface that is gone has taken its addresses with it.
        return Ok(());
    };
    if !interface.addresses.contains(&ip) {
        return Ok(());
    }
    match network.remove(interface, ip, prefix) {
        Err(error) if matches!(error.raw_os_error(), Some(EADDRNOTAVAIL | ENODEV)) => Ok(()),
        other => other,
    }
}

fn has_capabilities() -> bool {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let effective = status.lines().find_map(|line| line.strip_prefix("CapEff:"));
    let bits = effective.and_then(|hex| u64::from_str_radix(hex.trim(), 16).ok()).unwrap_or(0);
    [CAP_NET_ADMIN, CAP_NET_RAW].iter().all(|bit| bits & (1 << bit) != 0)
}

fn wall() -> UnixMillis {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    UnixMillis(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
