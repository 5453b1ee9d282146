//! The same faults with keepalived at the same detection time, in the same run and on the same kind of network.

use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rustix::process::{Pid, Signal, kill_process};

use crate::fault::{Fault, Timing};
use crate::figures::Samples;
use crate::network::Network;
use crate::{Fail, clock, machine, row, service};

/// First argument that makes this binary what keepalived calls when it becomes master.
pub const STAMP: &str = "stamp";
const SCRIPT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/benches/peers/keepalived.sh");
const FAULTS: [Fault; 3] = [Fault::Kill, Fault::Stop, Fault::Cut];
/// Of the slower setting; a round takes several seconds.
const SLOW_ROUNDS_MAX: usize = 15;

/// keepalived waits three adverts and a part of one by its priority; Standin the rest of an interval, a request timeout and
/// a delay.
struct Setting {
    advert_s: &'static str,
    advert_ms: u64,
    same: Timing,
}

const SETTINGS: [Setting; 2] = [
    Setting {
        advert_s: "1",
        advert_ms: 1_000,
        same: Timing { interval_ms: 1_000, request_ms: 1_000, delay_ms: 1_000 },
    },
    Setting { advert_s: "0.01", advert_ms: 10, same: Timing { interval_ms: 10, request_ms: 10, delay_ms: 10 } },
];

/// Appends the moment to the file of the first argument; keepalived adds arguments of its own.
pub fn stamp(started_ns: u64, arguments: &[String]) -> Result<(), Fail> {
    let path = arguments.first().ok_or("the stamp needs the file to write to")?;
    let line = format!("{started_ns} {}\n", std::process::id());
    Ok(OpenOptions::new().create(true).append(true).open(path)?.write_all(line.as_bytes())?)
}

pub fn measure(rounds: usize, out: &mut dyn Write) -> Result<(), Fail> {
    let installed = Command::new("sh").args([SCRIPT, "install"]).stderr(Stdio::inherit()).output()?;
    if !installed.status.success() {
        return Err("keepalived cannot be installed: apt-get install keepalived".into());
    }
    let version = String::from_utf8_lossy(&installed.stdout).trim().to_owned();
    for setting in &SETTINGS {
        let rounds = if setting.advert_ms >= 1_000 { rounds.min(SLOW_ROUNDS_MAX) } else { rounds };
        for fault in FAULTS {
            let samples = keepalived(fault, setting, rounds).map_err(|error| format!("keepalived: {error}"))?;
            let text = format!("{version}, adverts every {} ms", setting.advert_ms);
            writeln!(out, "{}", row(&format!("keepalived: {}", fault.word()), &text, &samples, None))?;
            // As a crash of the whole machine would, with the delay in force: keepalived knows no other kind.
            match crate::measure(fault, setting.same, rounds, 0) {
                Ok(row) => writeln!(out, "{row}")?,
                // At 10 ms a busy machine looks like a dead one, and the roles change before the fault.
                Err(error) => {
                    writeln!(out, "| {} | {}: gave up, {error} | | | | | | | |", fault.word(), setting.same.text())?
                }
            }
            out.flush()?;
        }
    }
    Ok(())
}

/// One of the two.
struct Peer<'a> {
    namespace: &'a str,
    directory: PathBuf,
    journal: PathBuf,
    priority: u8,
    child: Option<Child>,
}

impl<'a> Peer<'a> {
    fn new(folder: &Path, name: &str, namespace: &'a str, priority: u8) -> Self {
        let (directory, journal) = (folder.join(name), folder.join(format!("{name}.starts")));
        Self { namespace, directory, journal, priority, child: None }
    }

    fn start(&mut self, advert_s: &str) -> Result<(), Fail> {
        fs::create_dir_all(&self.directory)?;
        let log = File::create(self.directory.join("log"))?;
        let command = format!("{} {STAMP} {}", machine::own_program()?, self.journal.display());
        let child = Command::new("ip")
            .args(["netns", "exec", self.namespace, "sh", SCRIPT, "run"])
            .arg(&self.directory)
            .args([&self.priority.to_string(), advert_s, &command])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// The VRRP process first: the death of its parent alone makes it say goodbye.
    fn processes(&self) -> Result<Vec<u32>, Fail> {
        let Some(child) = &self.child else { return Ok(Vec::new()) };
        let mut found = machine::children(child.id()).unwrap_or_default();
        found.push(child.id());
        Ok(found)
    }

    fn signal(&self, signal: Signal) -> Result<u64, Fail> {
        let processes = self.processes()?;
        let at_ns = clock::now_ns();
        for process in processes {
            if let Some(pid) = i32::try_from(process).ok().and_then(Pid::from_raw) {
                // It may be gone with the one before.
                let _ = kill_process(pid, signal);
            }
        }
        Ok(at_ns)
    }

    fn end(&mut self) {
        let processes = self.processes().unwrap_or_default();
        let _ = self.signal(Signal::KILL);
        if let Some(mut child) = self.child.take() {
            let _ = child.wait();
        }
        let gone = || processes.iter().all(|process| !machine::is_alive(*process)).then_some(());
        let _ = clock::until("keepalived ends", || Ok(gone()));
        // A pid file with a living number would keep the next from starting.
        for name in ["keepalived.pid", "vrrp.pid"] {
            let _ = fs::remove_file(self.directory.join(name));
        }
    }

    /// It became master after `ns`: when.
    fn wait_master(&self, after_ns: u64) -> Result<u64, Fail> {
        let found = || service::newest(&self.journal).map(|start| start.at_ns).filter(|at_ns| *at_ns > after_ns);
        clock::until(&format!("keepalived of {} becomes master", self.namespace), || Ok(found())).map_err(|error| {
            let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
            format!("{error}\n{log}").into()
        })
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

fn keepalived(fault: Fault, setting: &Setting, rounds: usize) -> Result<Samples, Fail> {
    let network = Network::new("peers")?;
    let folder = machine::folder()?;
    let mut master = Peer::new(folder.path(), "a", &network.left, 101);
    let mut backup = Peer::new(folder.path(), "b", &network.right, 100);
    let mut values = Vec::new();
    let mut begin_ns = clock::now_ns();
    master.start(setting.advert_s)?;
    backup.start(setting.advert_s)?;
    for number in 0..rounds {
        master.wait_master(begin_ns)?;
        // Until the other one has heard it, and a varying part of an advert.
        let varying = setting.advert_ms * 1_000 * (u64::try_from(number)? * 7 % 16) / 16;
        clock::pass(Duration::from_millis(500 + 2 * setting.advert_ms) + Duration::from_micros(varying))?;
        let at_ns = match fault {
            Fault::Stop => master.signal(Signal::STOP)?,
            Fault::Cut => {
                let at_ns = clock::now_ns();
                network.cut(&network.left)?;
                at_ns
            }
            _ => master.signal(Signal::KILL)?,
        };
        values.push(clock::ms_between(at_ns, backup.wait_master(at_ns)?));
        begin_ns = clock::now_ns();
        master.end();
        if fault == Fault::Cut {
            network.heal(&network.left)?;
        }
        // The higher priority takes the role back.
        master.start(setting.advert_s)?;
    }
    Ok(Samples::new(values))
}
