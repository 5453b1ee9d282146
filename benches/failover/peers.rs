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
/// The default of keepalived. The backup waits (256 - priority) / 256 of an advert more, after a goodbye nothing else.
const PRIORITY: u8 = 100;
const PRIORITY_MOST: u8 = 254;
/// Lines of the log of one that does not do what is expected.
const LOG_SHOWN: usize = 12;
/// Beyond an advert, before a fault: the backup has heard one since it became that.
const HEARD: Duration = Duration::from_millis(50);
/// Steps of the varying part of an advert before a fault, so that faults fall anywhere between two of them.
const STEPS: u64 = 16;

/// A fault, and how keepalived is given it.
struct Way {
    fault: Fault,
    /// Of both sides.
    priority: u8,
    /// For a planned switch: the file of the master's directory that a 1 is written to.
    file: &'static str,
    /// What is special about it.
    note: &'static str,
    /// The same fault is measured with Standin, too.
    is_beside: bool,
}

impl Way {
    const fn new(fault: Fault) -> Self {
        Self { fault, priority: PRIORITY, file: "", note: "", is_beside: true }
    }
}

/// The five faults, and what makes keepalived quicker in two of them.
const WAYS: [Way; 7] = [
    Way::new(Fault::Kill),
    Way::new(Fault::Stop),
    Way::new(Fault::Cut),
    Way { file: "less", note: "; track_file, weight -50", ..Way::new(Fault::Switch) },
    Way { file: "fault", note: "; track_file, weight 0: FAULT", is_beside: false, ..Way::new(Fault::Switch) },
    Way::new(Fault::PlannedStop),
    Way { priority: PRIORITY_MOST, note: "; priority 254", is_beside: false, ..Way::new(Fault::PlannedStop) },
];

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
    for (setting, way) in SETTINGS.iter().flat_map(|setting| WAYS.iter().map(move |way| (setting, way))) {
        let fault = way.fault;
        let text = format!("{version}, adverts every {} ms{}", setting.advert_ms, way.note);
        let row = keepalived(way, setting, rounds, &text);
        writeln!(out, "{}", or_gave_up(row, &format!("keepalived: {}", fault.word()), &text)?)?;
        out.flush()?;
        if way.is_beside {
            // As a crash of the whole machine would, with the delay in force: keepalived knows no other kind.
            let row = crate::measure(fault, setting.same, rounds, 0);
            writeln!(out, "{}", or_gave_up(row, fault.word(), &setting.same.text())?)?;
            out.flush()?;
        }
    }
    Ok(())
}

/// At 10 ms a busy machine looks like a dead one, and the roles change before the fault: no reason to end all.
fn or_gave_up(row: Result<String, Fail>, what: &str, setting: &str) -> Result<String, Fail> {
    clock::check()?;
    Ok(row.unwrap_or_else(|error| {
        let why = error.to_string().replace('\n', " ").replace('|', "/");
        format!("| {what} | {setting}: gave up, {why} | | | | | | | | |")
    }))
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Role {
    Master,
    Backup,
}

/// One of the two.
struct Peer<'a> {
    namespace: &'a str,
    directory: PathBuf,
    /// The moments at which it became master, and those at which it became backup.
    masters: PathBuf,
    backups: PathBuf,
    priority: u8,
    started_ns: u64,
    child: Option<Child>,
}

impl<'a> Peer<'a> {
    fn new(folder: &Path, name: &str, namespace: &'a str, priority: u8) -> Self {
        let [directory, masters, backups] = ["", ".masters", ".backups"].map(|end| folder.join(format!("{name}{end}")));
        Self { namespace, directory, masters, backups, priority, started_ns: 0, child: None }
    }

    fn start(&mut self, advert_s: &str) -> Result<(), Fail> {
        fs::create_dir_all(&self.directory)?;
        let log = File::options().create(true).append(true).open(self.directory.join("log"))?;
        let program = machine::own_program()?;
        let [master, backup] = [&self.masters, &self.backups].map(|it| format!("{program} {STAMP} {}", it.display()));
        self.started_ns = clock::now_ns();
        let child = Command::new("ip")
            .args(["netns", "exec", self.namespace, "sh", SCRIPT, "run"])
            .arg(&self.directory)
            .args([&self.priority.to_string(), advert_s, &master, &backup])
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()?;
        self.child = Some(child);
        Ok(())
    }

    /// What it was last told to be since it was started.
    fn role(&self) -> Option<Role> {
        let newest = |journal| service::newest(journal).map_or(0, |start| start.at_ns);
        let (master_ns, backup_ns) = (newest(&self.masters), newest(&self.backups));
        let role = if master_ns > backup_ns { Role::Master } else { Role::Backup };
        (master_ns.max(backup_ns) > self.started_ns).then_some(role)
    }

    fn log(&self) -> String {
        let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
        let lines: Vec<_> = log.lines().collect();
        lines[lines.len().saturating_sub(LOG_SHOWN)..].join("\n")
    }

    /// The VRRP process first: the death of its parent alone makes it say goodbye.
    fn processes(&self) -> Result<Vec<u32>, Fail> {
        let Some(child) = &self.child else { return Ok(Vec::new()) };
        let mut found = machine::children(child.id()).unwrap_or_default();
        found.push(child.id());
        Ok(found)
    }

    /// To all of `processes`; `CLOCK_MONOTONIC` just before.
    fn signal(processes: &[u32], signal: Signal) -> u64 {
        let at_ns = clock::now_ns();
        for process in processes {
            if let Some(pid) = i32::try_from(*process).ok().and_then(Pid::from_raw) {
                // It may be gone with the one before.
                let _ = kill_process(pid, signal);
            }
        }
        at_ns
    }

    fn end(&mut self) {
        let processes = self.processes().unwrap_or_default();
        let _ = Self::signal(&processes, Signal::KILL);
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

    /// Waits until it has ended by itself.
    fn ended(&mut self) -> Result<(), Fail> {
        let Some(child) = &mut self.child else { return Ok(()) };
        clock::until("keepalived ends on SIGTERM", || Ok(child.try_wait()?))?;
        self.child = None;
        Ok(())
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        self.end();
    }
}

/// A row.
fn keepalived(way: &Way, setting: &Setting, rounds: usize, text: &str) -> Result<String, Fail> {
    let network = Network::new("peers")?;
    let folder = machine::folder()?;
    let mut a = Peer::new(folder.path(), "a", &network.left, way.priority);
    let mut b = Peer::new(folder.path(), "b", &network.right, way.priority);
    let (mut values, mut early) = (Vec::new(), 0);
    a.start(setting.advert_s)?;
    b.start(setting.advert_s)?;
    for number in 0..rounds {
        let is_a = settled(&a, &b)?;
        let (master, backup) = if is_a { (&mut a, &mut b) } else { (&mut b, &mut a) };
        let before_ns = service::newest(&backup.masters).map(|start| start.at_ns);
        let newest = || service::newest(&backup.masters).map(|start| start.at_ns).filter(|it| Some(*it) != before_ns);
        // One advert is heard for certain; the fault comes anywhere between it and the next.
        let varying = setting.advert_ms * 1_000 * (u64::try_from(number)? * 7 % STEPS) / STEPS;
        clock::pass(HEARD + Duration::from_millis(setting.advert_ms) + Duration::from_micros(varying))?;
        if newest().is_some() {
            early += 1;
            continue;
        }
        let begin_ns = inflict(way, &network, master)?;
        let end_ns = clock::until("the other keepalived becomes master", || Ok(newest()))
            .map_err(|error| format!("{error}\n{}\n{}", master.log(), backup.log()))?;
        if end_ns > begin_ns {
            values.push(clock::ms_between(begin_ns, end_ns));
        } else {
            early += 1;
        }
        undo(way, &network, master, setting)?;
    }
    if values.is_empty() {
        return Err(format!("each of {early} times the other side became master before the fault").into());
    }
    let early = if early == 0 { String::new() } else { format!("; {early} times master before the fault") };
    let what = format!("keepalived: {}", way.fault.word());
    Ok(row(&what, &format!("{text}{early}"), &Samples::new(values), None))
}

/// Waits until one of the two is master and the other backup; whether it is `a` that is master.
fn settled(a: &Peer<'_>, b: &Peer<'_>) -> Result<bool, Fail> {
    clock::until("one keepalived is master, the other backup", || {
        Ok(match (a.role(), b.role()) {
            (Some(Role::Master), Some(Role::Backup)) => Some(true),
            (Some(Role::Backup), Some(Role::Master)) => Some(false),
            _ => None,
        })
    })
    .map_err(|error| format!("{error}\n{}\n{}", a.log(), b.log()).into())
}

/// `CLOCK_MONOTONIC` just before.
fn inflict(way: &Way, network: &Network, master: &Peer<'_>) -> Result<u64, Fail> {
    let processes = master.processes()?;
    Ok(match way.fault {
        Fault::Kill => Peer::signal(&processes, Signal::KILL),
        Fault::Stop => Peer::signal(&processes, Signal::STOP),
        Fault::Cut => {
            let begin_ns = clock::now_ns();
            network.cut(master.namespace)?;
            begin_ns
        }
        Fault::Switch => {
            let begin_ns = clock::now_ns();
            fs::write(master.directory.join(way.file), "1\n")?;
            begin_ns
        }
        // To the parent, as its service manager would.
        Fault::PlannedStop => Peer::signal(&processes[processes.len().saturating_sub(1)..], Signal::TERM),
    })
}

/// The former master comes back, of the same priority: it stays backup.
fn undo(way: &Way, network: &Network, former: &mut Peer<'_>, setting: &Setting) -> Result<(), Fail> {
    match way.fault {
        Fault::Cut => return network.heal(former.namespace),
        Fault::Switch => return Ok(fs::write(former.directory.join(way.file), "0\n")?),
        Fault::PlannedStop => former.ended()?,
        Fault::Kill | Fault::Stop => {}
    }
    former.end();
    former.start(setting.advert_s)
}
