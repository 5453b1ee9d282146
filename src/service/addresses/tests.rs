//! The rules with a network that is none; the real one is tried between network namespaces.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use super::packets::Mac;
use super::*;

#[derive(Default)]
struct Fake {
    interfaces: Mutex<BTreeMap<String, Interface>>,
    announced: AtomicUsize,
    other: Mutex<Option<Mac>>,
    is_stuck: bool,
}

impl Fake {
    fn new() -> Arc<Self> {
        let fake = Self::default();
        let interface = Interface { index: 2, is_up: true, ..Interface::default() };
        lock(&fake.interfaces).insert("eth0".into(), interface);
        Arc::new(fake)
    }

    fn has(&self, address: &str) -> bool {
        lock(&self.interfaces)["eth0"].addresses.contains(&address.parse().unwrap())
    }

    fn put(&self, address: &str) {
        if let Some(interface) = lock(&self.interfaces).get_mut("eth0") {
            interface.addresses.push(address.parse().unwrap());
        }
    }
}

impl Network for Arc<Fake> {
    fn interfaces(&self) -> io::Result<BTreeMap<String, Interface>> {
        Ok(lock(&self.interfaces).clone())
    }

    fn add(&self, _: &Interface, address: IpAddr, _: u8) -> io::Result<()> {
        self.put(&address.to_string());
        Ok(())
    }

    fn remove(&self, _: &Interface, address: IpAddr, _: u8) -> io::Result<()> {
        if self.is_stuck {
            return Err(io::Error::other("stuck"));
        }
        if let Some(interface) = lock(&self.interfaces).get_mut("eth0") {
            interface.addresses.retain(|one| *one != address);
        }
        Ok(())
    }

    fn announce(&self, _: &Interface, _: IpAddr) -> io::Result<()> {
        self.announced.fetch_add(1, Ordering::SeqCst);
        Ok(())
    }

    fn other_holder(&self, _: &Interface, _: IpAddr, _: Duration) -> io::Result<Option<Mac>> {
        Ok(*lock(&self.other))
    }
}

const ONE: &str = "192.0.2.10";

fn wanted(address: &str) -> VirtualAddress {
    VirtualAddress { address: format!("{address}/24"), interface: "eth0".into() }
}

fn addresses(fake: &Arc<Fake>, home: &Path, run: &str, list: &[VirtualAddress]) -> Addresses {
    let note = home.join("addresses");
    Addresses::on(Box::new(Arc::clone(fake)), note, run.into(), list, Box::new(|_| {})).unwrap()
}

fn status(addresses: &Addresses) -> Vec<AddressStatus> {
    lock(&addresses.shared.state).status.clone()
}

fn eventually(what: &str, fits: impl Fn() -> bool) {
    let end = std::time::Instant::now() + Duration::from_secs(10);
    while !fits() {
        assert!(std::time::Instant::now() < end, "never: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

/// spec 7.14: on the active instance only; and announced at takeover, more than once
#[test]
fn addresses_come_and_go_with_the_role() {
    let home = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    let it = addresses(&fake, home.path(), "r1", &[wanted(ONE)]);
    assert!(!fake.has(ONE) && !home.path().join("addresses").exists(), "nothing before it is active");
    it.raise();
    assert!(fake.has(ONE) && status(&it)[0].present && status(&it)[0].announced_at.is_some());
    assert_eq!(fake.announced.load(Ordering::SeqCst), 1, "once at once");
    eventually("repeated", || fake.announced.load(Ordering::SeqCst) >= 3);
    it.withdraw();
    assert!(!fake.has(ONE) && !status(&it)[0].present);
    // One that was under way when it was withdrawn may have gone out; none begins any more.
    let so_far = fake.announced.load(Ordering::SeqCst);
    it.announce();
    eventually("woken", || true);
    assert!(fake.announced.load(Ordering::SeqCst) <= so_far + 1);
}

/// spec 7.14: what a crash left is taken away at the next start, by the note alone; what others put there is not
#[test]
fn what_was_left_behind_goes_at_the_next_start() {
    let home = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    let it = addresses(&fake, home.path(), "r1", &[wanted(ONE)]);
    it.raise();
    drop(it);
    fake.put("192.0.2.77");
    // It is not even among the settings any more.
    let next = addresses(&fake, home.path(), "r2", &[]);
    assert!(!fake.has(ONE) && fake.has("192.0.2.77"));
    drop(next);
    let third = addresses(&fake, home.path(), "r3", &[wanted("192.0.2.77")]);
    let problem = status(&third)[0].problem.clone().unwrap();
    assert!(problem.contains("already") && problem.contains("take it away"), "{problem}");
    third.raise();
    third.withdraw();
    assert!(fake.has("192.0.2.77"), "foreign: not Standin's to take away");
}

/// spec 7.14: refused clearly, and still shown when it changes
#[test]
fn an_interface_that_is_not_there_is_named() {
    let home = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    let unknown = VirtualAddress { address: "192.0.2.10/24".into(), interface: "eth7".into() };
    let it = addresses(&fake, home.path(), "r1", &[unknown]);
    let problem = status(&it)[0].problem.clone().unwrap();
    assert_eq!(problem, "this machine has no interface eth7; it has eth0");
    it.raise();
    assert!(!status(&it)[0].present, "nothing is held up by it");
    it.set(&[wanted(ONE)]);
    assert!(fake.has(ONE) && status(&it)[0].present, "an edit is in force at once on the active instance");
    it.set(&[]);
    assert!(!fake.has(ONE) && status(&it).is_empty());
}

/// spec 7.14: taken away behind Standin's back, it comes back
#[test]
fn an_address_that_somebody_took_away_comes_back() {
    let home = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    let it = addresses(&fake, home.path(), "r1", &[wanted(ONE)]);
    it.raise();
    if let Some(interface) = lock(&fake.interfaces).get_mut("eth0") {
        interface.addresses.clear();
    }
    it.wish(herald::Wish::Look);
    eventually("there again", || fake.has(ONE));
}

/// spec 7.12, 7.14: what the guard took from a program that did not move is not put back by it when it moves again
#[test]
fn what_the_guard_took_stays_away() {
    let home = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    let it = addresses(&fake, home.path(), "r1", &[wanted(ONE)]);
    it.raise();
    let path = home.path().join("addresses");
    note::hold(&path).unwrap().write(&Note { run: "r1".into(), addresses: Vec::new() }).unwrap();
    if let Some(interface) = lock(&fake.interfaces).get_mut("eth0") {
        interface.addresses.clear();
    }
    it.shared.mend();
    assert!(!fake.has(ONE) && !status(&it)[0].present, "another instance may be active by now");
    it.raise();
    assert!(fake.has(ONE), "decided anew");
}

/// spec 7.14: another machine with the address is found, and not fought
#[test]
fn another_holder_is_told() {
    let home = tempfile::tempdir().unwrap();
    let fake = Fake::new();
    *lock(&fake.other) = Some([2, 0, 0, 0, 0, 9]);
    let it = addresses(&fake, home.path(), "r1", &[wanted(ONE)]);
    it.raise();
    eventually("told", || status(&it)[0].used_by.as_deref() == Some("02:00:00:00:00:09"));
    assert!(fake.has(ONE));
    it.withdraw();
    assert_eq!(status(&it)[0].used_by, None);
}

/// spec 7.13: what cannot be taken away is said, and tried again by the next
#[test]
fn an_address_that_stays_is_a_problem() {
    let home = tempfile::tempdir().unwrap();
    let mut fake = Fake { is_stuck: true, ..Fake::default() };
    fake.interfaces = Mutex::new(lock(&Fake::new().interfaces).clone());
    let fake = Arc::new(fake);
    let it = addresses(&fake, home.path(), "r1", &[wanted(ONE)]);
    it.raise();
    it.withdraw();
    assert_eq!(status(&it)[0].problem.as_deref(), Some("it could not be taken away"));
    let left = note::hold(&home.path().join("addresses")).unwrap().read();
    assert_eq!(left.addresses, [wanted(ONE)], "the next start knows of it");
}

/// The guard of an earlier run leaves the addresses of the next one alone.
#[test]
fn only_the_run_of_the_note_withdraws() {
    let home = tempfile::tempdir().unwrap();
    let path = home.path().join("addresses");
    let note = Note { run: "r2".into(), addresses: vec![wanted(ONE)] };
    note::hold(&path).unwrap().write(&note).unwrap();
    withdraw_left(&path, "r1");
    assert_eq!(note::hold(&path).unwrap().read(), note);
    withdraw_left(&path, "r2");
    assert_eq!(note::hold(&path).unwrap().read().addresses, [], "it is on no interface here, so it is gone");
}
