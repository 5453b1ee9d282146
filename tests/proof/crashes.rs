//! Real instances killed at any moment of a commit, a push or an apply, and what must be true afterwards.
//!
//! `STANDIN_CRASHES` says how often (100), `STANDIN_CRASH_SEED` which edits and moments (1): the seed of each lane is printed.

use std::fs;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::checks::{self, Acknowledged};
use crate::edits::{self, Draw};
use crate::harness::{Instance, LIMIT, Network, PASSWORD, USER, copy_sample};

/// Crashes of all lanes together, unless `STANDIN_CRASHES` says otherwise.
const CRASHES: usize = 100;
/// Lanes that share them.
const LANES: usize = 2;
/// Every so many crashes all of the history is read; else its newest part.
const THOROUGH_EVERY: usize = 10;
/// Longest wait for an apply or a commit to begin, so that the kill meets it.
const AIM_LIMIT: Duration = Duration::from_millis(250);
/// Longest wait for an order that was under way when the master died.
const ORDER_LIMIT: Duration = Duration::from_secs(20);

/// A master and a shadow that never takes over: what is tested here is that nothing is lost without that.
struct Pair {
    a: Instance,
    b: Instance,
    _network: Network,
    folder: tempfile::TempDir,
}

impl Pair {
    fn ready() -> Self {
        let folder = tempfile::Builder::new().prefix("standin-crash").tempdir().unwrap();
        let network = Network::new();
        let mut a = Instance::new(folder.path(), "a", &network.left, "10.77.0.1");
        let mut b = Instance::new(folder.path(), "b", &network.right, "10.77.0.2");
        copy_sample(&a.directory);
        a.setup("master", &["--enable-ha"]);
        b.setup("shadow", &["--master-host", "10.77.0.1", "--master-port", "8443"]);
        for instance in [&a, &b] {
            instance.set("shadow", "check_interval", "50ms");
            instance.set("shadow", "takeover_delay", "10m");
        }
        a.start();
        b.start();
        let (fingerprint, password) = (a.fingerprint(), b.password_file(PASSWORD));
        b.ok(&["shadow", "connect", "--user", USER, "--password-file", &password, "--fingerprint", &fingerprint]);
        let pair = Self { a, b, _network: network, folder };
        pair.wait_same();
        pair
    }

    /// Everything in the master's directory is committed, and the shadow says and has the same.
    fn wait_same(&self) {
        let until = Instant::now() + LIMIT * 2;
        loop {
            let (on_a, on_b) = (self.a.status(), self.b.status());
            let root = &on_a["configuration"]["root"];
            let is_calm = on_a["active"] == true && on_a["state"] == "CONNECTED" && on_a["peer"]["in_sync"] == true;
            let is_ready = on_b["state"] == "READY" && on_b["configuration"]["root"] == *root;
            if is_calm && is_ready {
                let same = checks::tree(&self.a.directory);
                let is_committed = checks::root(&same) == root.as_str().unwrap_or_default();
                if is_committed && checks::tree(&self.b.directory) == same {
                    return;
                }
            }
            if Instant::now() > until {
                for instance in [&self.a, &self.b] {
                    instance.wait_for("the same again", Duration::ZERO, |_| false);
                }
            }
            sleep(Duration::from_millis(10));
        }
    }

    /// An order of an operator that is under way; nobody waits for it.
    fn order(&self, arguments: &[&str]) -> Child {
        let mut command = self.a.command(arguments);
        command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Victim {
    Master,
    Shadow,
    Both,
}

/// Kills, starts again and checks, so often.
struct Lane {
    pair: Pair,
    draw: Draw,
    acknowledged: Acknowledged,
    /// Names in the home of each when all was well for the first time.
    homes: [Vec<String>; 2],
    orders: Vec<(Child, String)>,
    number: usize,
    /// Deaths that met files lying aside; and an apply with its plan noted.
    met: [usize; 2],
}

impl Lane {
    fn run(name: &str, number: u64, victims: &[Victim]) {
        let crashes = number_of("STANDIN_CRASHES").map_or(CRASHES, |count| usize::try_from(count).unwrap()) / LANES;
        let seed = number_of("STANDIN_CRASH_SEED").unwrap_or(1).wrapping_mul(100) + number;
        println!("{name}: {crashes} crashes, seed {seed}");
        let pair = Pair::ready();
        let homes = [checks::names(&pair.a.home), checks::names(&pair.b.home)];
        let mut lane = Self {
            pair,
            draw: Draw::new(seed),
            acknowledged: Acknowledged::default(),
            homes,
            orders: Vec::new(),
            number: 0,
            met: [0; 2],
        };
        let began = Instant::now();
        while lane.number < crashes {
            lane.number += 1;
            let victim = victims[lane.draw.below(victims.len())];
            lane.crash(victim);
            lane.check(lane.number.is_multiple_of(THOROUGH_EVERY) || lane.number == crashes);
        }
        let ([aside, half_way], told) = (lane.met, lane.acknowledged.told());
        println!(
            "{name}: {crashes} crashes in {:.1?}, {aside} with files aside, {half_way} half-way: {told}",
            began.elapsed()
        );
    }

    /// Edits, one of which the death meets somewhere; then the next start.
    fn crash(&mut self, victim: Victim) {
        self.give_order();
        edits::burst(&mut self.draw, &self.pair.a.directory);
        self.aim(victim);
        self.kill(victim);
        if self.draw.below(3) == 0 {
            edits::burst(&mut self.draw, &self.pair.a.directory);
        }
        // The second death comes during the recovery from the first.
        while self.draw.below(5) == 0 {
            self.start_only(victim);
            sleep(Duration::from_millis(self.draw.below(60) as u64));
            self.kill(victim);
        }
        let (a, b) = (&mut self.pair.a, &mut self.pair.b);
        match victim {
            Victim::Master => a.start(),
            Victim::Shadow => b.start(),
            Victim::Both if self.draw.below(2) == 0 => {
                a.start();
                b.start();
            }
            Victim::Both => {
                b.start();
                a.start();
            }
        }
        self.collect_orders();
        self.pair.wait_same();
    }

    /// Waits until what the victim is to be killed in has begun, most of the time; then a moment.
    fn aim(&mut self, victim: Victim) {
        if self.draw.below(4) == 0 {
            sleep(Duration::from_millis(self.draw.below(120) as u64));
            return;
        }
        let stage = self.pair.b.home.join("stage");
        let log = self.pair.a.home.join("standin.db-wal");
        let about = || fs::metadata(&log).ok().and_then(|about| about.modified().ok());
        let before = about();
        let until = Instant::now() + AIM_LIMIT;
        while Instant::now() < until {
            let has_begun = if victim == Victim::Master { about() != before } else { stage.exists() };
            if has_begun {
                break;
            }
            std::hint::spin_loop();
        }
        sleep(Duration::from_micros(self.draw.below(12_000) as u64));
    }

    fn kill(&mut self, victim: Victim) {
        if victim != Victim::Shadow {
            self.pair.a.kill();
        }
        if victim != Victim::Master {
            self.pair.b.kill();
        }
        let (a, b) = (&self.pair.a, &self.pair.b);
        // Read on the disk of the dead, before it could mend anything.
        let (on_a, on_b) = (checks::at_rest(a), checks::at_rest(b));
        let dead = [(victim != Victim::Shadow).then_some((a, &on_a)), (victim != Victim::Master).then_some((b, &on_b))];
        for (instance, at_rest) in dead.into_iter().flatten() {
            self.met[0] += usize::from(instance.home.join("stage").exists());
            self.met[1] += usize::from(at_rest.has_plan);
        }
        if victim == Victim::Shadow {
            // The master is alive and says what it was told.
            let status = a.status();
            if let Some(told) = status["peer"]["revision"].as_u64() {
                assert!(
                    on_b.newest >= told,
                    "the shadow acknowledged {told} and has {} (crash {})",
                    on_b.newest,
                    self.number
                );
                self.acknowledged.by_shadow(told);
            }
        }
        assert!(on_a.newest >= on_b.newest, "the shadow has {} and the master {}", on_b.newest, on_a.newest);
        self.acknowledged.still_there(&on_a, &on_b);
    }

    fn start_only(&mut self, victim: Victim) {
        if victim != Victim::Shadow {
            self.pair.a.launch();
        }
        if victim != Victim::Master {
            self.pair.b.launch();
        }
    }

    /// Now and then an operator works too.
    fn give_order(&mut self) {
        let newest = self.acknowledged.newest;
        let tag = format!("order {}", self.number);
        let text = match self.draw.below(8) {
            0 | 1 => {
                let source = self.pair.folder.path().join("ordered.yaml");
                fs::write(&source, format!("ordered: {}\n", self.number)).unwrap();
                let source = source.display().to_string();
                let child = self.pair.order(&["config", "apply", &source, "--to", "ordered", "-m", &tag]);
                self.orders.push((child, tag));
                return;
            }
            2 if newest > 1 => (1 + self.draw.below(usize::try_from(newest).unwrap())).to_string(),
            3 => {
                let child = self.pair.order(&["config", "forget", "ordered", "--history-only"]);
                self.orders.push((child, String::new()));
                return;
            }
            4 => {
                let child = self.pair.order(&["reconnect"]);
                self.orders.push((child, String::new()));
                return;
            }
            _ => return,
        };
        let child = self.pair.order(&["config", "restore", &text, "ciphers.yaml", "ordered", "-m", &tag]);
        self.orders.push((child, tag));
    }

    /// What was answered with a revision is acknowledged; what was not may or may not be there.
    fn collect_orders(&mut self) {
        for (mut child, tag) in std::mem::take(&mut self.orders) {
            let until = Instant::now() + ORDER_LIMIT;
            while child.try_wait().unwrap().is_none() {
                if Instant::now() > until {
                    child.kill().unwrap();
                    panic!("an order never ended: {tag}, crash {}", self.number);
                }
                sleep(Duration::from_millis(5));
            }
            let output = child.wait_with_output().unwrap();
            let text = String::from_utf8_lossy(&output.stdout);
            let number = text.lines().find_map(|line| line.strip_prefix("Revision ")?.split(':').next()?.parse().ok());
            if let Some(number) = number.filter(|_| output.status.success() && !tag.is_empty()) {
                self.acknowledged.answered(number, &tag);
            }
        }
    }

    fn check(&mut self, is_thorough: bool) {
        let same = checks::tree(&self.pair.a.directory);
        for (instance, names) in [&self.pair.a, &self.pair.b].into_iter().zip(&self.homes) {
            let status = instance.status();
            assert_eq!(status["configuration"]["root"], checks::root(&same), "crash {}", self.number);
            assert_eq!(status["term"], 1, "nobody took over");
            checks::nothing_is_left(instance, names);
            checks::history(instance, is_thorough);
        }
        self.acknowledged.newest = checks::at_rest(&self.pair.a).newest;
        self.acknowledged.is_kept_by_master(&self.pair.a);
        self.acknowledged.is_kept_by_shadow(&self.pair.b, self.acknowledged.newest);
        if is_thorough {
            self.pair.a.ok(&["config", "verify"]);
            self.pair.b.ok(&["config", "log", "-n", "5"]);
        }
    }
}

fn number_of(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(text.parse().unwrap_or_else(|_| panic!("{name} is no number: {text}")))
}

/// spec 5.3, 5.5, 5.7: a shadow killed in the middle of a push or an apply
#[test]
fn the_shadow_is_killed() {
    Lane::run("shadow", 1, &[Victim::Shadow]);
}

/// spec 5.2, 5.3, 5.6: a master killed in the middle of a commit or a push, alone or with its shadow
#[test]
fn the_master_is_killed() {
    Lane::run("master", 2, &[Victim::Master, Victim::Master, Victim::Both]);
}
