//! Two hosts as network namespaces, and real instances in them.

use std::fs;
use std::io::Write;
use std::os::unix::fs::PermissionsExt;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use serde_json::Value;

pub const PASSWORD: &str = "correct horse battery 7";
pub const USER: &str = "ops";
/// For one condition; generous, because a loaded machine with 2 cores runs these.
pub const LIMIT: Duration = Duration::from_secs(30);
/// So often a status is asked for while the instance has no time to answer.
const STATUS_TRIES: usize = 3;

static NEXT: AtomicU32 = AtomicU32::new(0);

fn run(program: &str, arguments: &[&str]) -> Output {
    Command::new(program).args(arguments).output().unwrap_or_else(|error| panic!("{program}: {error}"))
}

fn ip(arguments: &[&str]) {
    let output = run("ip", arguments);
    assert!(output.status.success(), "ip {arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// Two namespaces joined by a cable. Gone when dropped.
pub struct Network {
    pub left: String,
    pub right: String,
}

impl Network {
    pub fn new() -> Self {
        let number = NEXT.fetch_add(1, Ordering::Relaxed);
        let tag = format!("{}-{number}", std::process::id());
        let network = Self { left: format!("standin-{tag}-a"), right: format!("standin-{tag}-b") };
        ip(&["netns", "add", &network.left]);
        ip(&["netns", "add", &network.right]);
        ip(&[
            "-n",
            &network.left,
            "link",
            "add",
            "cable",
            "type",
            "veth",
            "peer",
            "name",
            "cable",
            "netns",
            &network.right,
        ]);
        for (name, address) in [(&network.left, "10.77.0.1/24"), (&network.right, "10.77.0.2/24")] {
            ip(&["-n", name, "address", "add", address, "dev", "cable"]);
            ip(&["-n", name, "link", "set", "cable", "up"]);
            ip(&["-n", name, "link", "set", "lo", "up"]);
        }
        network
    }

    /// No more than this fits through the cable, both ways.
    pub fn narrow(&self, megabit_per_s: u32) {
        let rate = format!("{megabit_per_s}mbit");
        for name in [&self.left, &self.right] {
            let cable = ["netns", "exec", name, "tc", "qdisc", "replace", "dev", "cable", "root"];
            ip(&[&cable[..], &["tbf", "rate", &rate, "burst", "64kb", "latency", "200ms"]].concat());
        }
    }

    /// As wide as it was.
    pub fn widen(&self) {
        for name in [&self.left, &self.right] {
            ip(&["netns", "exec", name, "tc", "qdisc", "del", "dev", "cable", "root"]);
        }
    }

    /// Pulls the cable.
    pub fn cut(&self) {
        ip(&["-n", &self.left, "link", "set", "cable", "down"]);
    }

    /// Plugs it in again.
    pub fn heal(&self) {
        ip(&["-n", &self.left, "link", "set", "cable", "up"]);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in [&self.left, &self.right] {
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
        }
    }
}

/// One instance on one host.
pub struct Instance {
    pub name: String,
    pub namespace: String,
    pub address: String,
    pub home: PathBuf,
    pub directory: PathBuf,
    /// The service writes here when it starts and ends.
    pub journal: PathBuf,
    /// Program and arguments that run Standin: `setpriv …`.
    pub wrap: Vec<String>,
    child: Option<Child>,
    pub folder: PathBuf,
}

impl Instance {
    pub fn new(folder: &Path, name: &str, namespace: &str, address: &str) -> Self {
        let home = folder.join(name);
        let directory = folder.join(format!("{name}-configuration"));
        fs::create_dir_all(&directory).unwrap();
        Self {
            name: name.into(),
            namespace: namespace.into(),
            address: address.into(),
            journal: folder.join(format!("{name}.journal")),
            home,
            directory,
            wrap: Vec::new(),
            child: None,
            folder: folder.into(),
        }
    }

    /// A command of Standin, not started.
    pub fn command(&self, arguments: &[&str]) -> Command {
        // Without a namespace it runs beside the tests.
        let ahead: &[&str] =
            if self.namespace.is_empty() { &["env"] } else { &["ip", "netns", "exec", &self.namespace] };
        let mut command = Command::new(ahead[0]);
        command
            .args(&ahead[1..])
            .args(&self.wrap)
            .args([env!("CARGO_BIN_EXE_standin"), "--home"])
            .arg(&self.home)
            .args(arguments)
            .env_remove("STANDIN_HOME")
            .stdin(Stdio::null());
        command
    }

    /// Runs a command of Standin to its end.
    pub fn standin(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().unwrap()
    }

    /// The same, and it must work; its standard output.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = self.standin(arguments);
        assert!(
            output.status.success(),
            "{}: standin {arguments:?} ended with {}\n{}{}",
            self.name,
            output.status,
            String::from_utf8_lossy(&output.stdout),
            String::from_utf8_lossy(&output.stderr)
        );
        String::from_utf8(output.stdout).unwrap()
    }

    /// The same, and it must be refused; what it said on standard error.
    pub fn refused(&self, arguments: &[&str]) -> String {
        let output = self.standin(arguments);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(1), "{}: standin {arguments:?}: {said}", self.name);
        said
    }

    pub fn password_file(&self, password: &str) -> String {
        let path = self.folder.join(format!("password-{}", NEXT.fetch_add(1, Ordering::Relaxed)));
        let mut file = fs::File::create(&path).unwrap();
        file.set_permissions(fs::Permissions::from_mode(0o600)).unwrap();
        writeln!(file, "{password}").unwrap();
        path.display().to_string()
    }

    pub fn setup(&self, role: &str, more: &[&str]) {
        let password = self.password_file(PASSWORD);
        let directory = self.directory.display().to_string();
        let mut arguments = vec!["setup", "--role", role, "--user", USER, "--password-file", &password];
        arguments.extend(["--host", &self.address, "--directory", &directory]);
        arguments.extend(more);
        self.ok(&arguments);
    }

    /// Changes settings in the file, as an operator with an editor would: `section.key` to a YAML value.
    pub fn set(&self, section: &str, key: &str, value: &str) {
        let path = self.home.join("settings.yaml");
        let text = fs::read_to_string(&path).unwrap();
        let (mut found, mut in_section) = (false, false);
        let lines: Vec<String> = text
            .lines()
            .map(|line| {
                if !line.starts_with([' ', '#']) && !line.is_empty() {
                    in_section = line.starts_with(&format!("{section}:"));
                }
                if in_section && line.starts_with(&format!("  {key}:")) {
                    found = true;
                    return format!("  {key}: {value}");
                }
                line.to_owned()
            })
            .collect();
        assert!(found, "no {section}.{key} in the settings file");
        let temporary = path.with_extension("new");
        fs::write(&temporary, lines.join("\n") + "\n").unwrap();
        fs::set_permissions(&temporary, fs::Permissions::from_mode(0o600)).unwrap();
        fs::rename(temporary, path).unwrap();
    }

    /// Makes its service a script that tells when it starts and ends.
    pub fn with_service(&self) {
        let script = self.folder.join(format!("{}-service.sh", self.name));
        let journal = self.journal.display();
        fs::write(
            &script,
            format!(
                "#!/bin/sh\necho \"start $$ $STANDIN_TERM $STANDIN_REASON\" >> {journal}\n\
                 trap 'echo \"end $$\" >> {journal}; exit 0' TERM\nwhile :; do sleep 0.05; done\n"
            ),
        )
        .unwrap();
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).unwrap();
        self.set("service", "command", &format!("[\"{}\"]", script.display()));
    }

    /// Starts the engine and waits until it answers.
    pub fn start(&mut self) {
        self.launch();
        self.wait("answers", |status| status["instance"]["process"].as_u64().is_some_and(|id| id > 0));
    }

    /// Starts the engine.
    pub fn launch(&mut self) {
        assert!(self.child.is_none(), "{} runs already", self.name);
        let log = fs::OpenOptions::new()
            .create(true)
            .append(true)
            .open(self.folder.join(format!("{}.out", self.name)))
            .unwrap();
        let errors = log.try_clone().unwrap();
        let mut command = self.command(&["serve"]);
        command.stdout(log).stderr(errors).process_group(0);
        self.child = Some(command.spawn().unwrap());
    }

    pub fn process(&self) -> u32 {
        self.child.as_ref().expect("runs").id()
    }

    pub fn is_running(&mut self) -> bool {
        self.child.as_mut().is_some_and(|child| child.try_wait().unwrap().is_none())
    }

    pub fn signal(&self, signal: &str) {
        let output = run("kill", &[&format!("-{signal}"), &self.process().to_string()]);
        assert!(output.status.success());
    }

    /// `kill -STOP`, and none of its threads moves any more.
    pub fn freeze(&self) {
        self.signal("STOP");
        let tasks = format!("/proc/{}/task", self.process());
        let is_stopped = |task: fs::DirEntry| {
            let stat = fs::read_to_string(task.path().join("stat")).unwrap_or_default();
            stat.rsplit(')').next().is_some_and(|rest| rest.trim_start().starts_with('T'))
        };
        eventually("stopped", || fs::read_dir(&tasks).unwrap().flatten().all(is_stopped));
    }

    /// `kill -9`, and the process is gone.
    pub fn kill(&mut self) {
        let mut child = self.child.take().expect("runs");
        child.kill().unwrap();
        child.wait().unwrap();
    }

    /// Waits for its end; the exit status.
    pub fn wait_for_end(&mut self) -> i32 {
        let mut child = self.child.take().expect("runs");
        let until = Instant::now() + LIMIT;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status.code().unwrap_or(-1);
            }
            assert!(Instant::now() < until, "{} does not end", self.name);
            std::thread::sleep(Duration::from_millis(10));
        }
    }

    /// The status now; `null` when nothing answers.
    /// Null of one that does not run, or cannot answer.
    pub fn status(&self) -> Value {
        for _ in 0..STATUS_TRIES {
            let output = self.standin(&["status", "--json"]);
            match output.status.code() {
                Some(0 | 3) => return serde_json::from_slice(&output.stdout).unwrap_or(Value::Null),
                // It runs, and had no time for a word within the 2 s that the command waits.
                Some(1) => {}
                _ => break,
            }
        }
        Value::Null
    }

    /// Waits until the status fits; returns it.
    pub fn wait(&self, what: &str, fits: impl Fn(&Value) -> bool) -> Value {
        self.wait_for(what, LIMIT, fits)
    }

    pub fn wait_for(&self, what: &str, limit: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        let until = Instant::now() + limit;
        loop {
            let status = self.status();
            if !status.is_null() && fits(&status) {
                return status;
            }
            assert!(
                Instant::now() < until,
                "{} never: {what}\n{}\n{}\n{}\n{}",
                self.name,
                serde_json::to_string_pretty(&status).unwrap(),
                String::from_utf8_lossy(&self.standin(&["alerts"]).stdout),
                String::from_utf8_lossy(&self.standin(&["events"]).stdout),
                fs::read_to_string(self.folder.join(format!("{}.out", self.name))).unwrap_or_default()
            );
            std::thread::sleep(Duration::from_millis(20));
        }
    }

    pub fn wait_role(&self, role: &str, state: &str) -> Value {
        self.wait(&format!("{role} {state}"), |status| status["role"] == role && status["state"] == state)
    }

    pub fn wait_active(&self) -> Value {
        self.wait("active", |status| status["active"] == true)
    }

    /// Its alert of this code, as long as it is not over.
    pub fn stands(&self, code: &str) -> Option<Value> {
        self.alerts().into_iter().find(|alert| alert["code"] == code && alert["is_over"] == false)
    }

    pub fn alerts(&self) -> Vec<Value> {
        serde_json::from_str(&self.ok(&["alerts", "--json"])).unwrap()
    }

    pub fn fingerprint(&self) -> String {
        self.status()["instance"]["fingerprint"].as_str().unwrap().to_owned()
    }

    /// Processes that its service started and that still live.
    pub fn living_services(&self) -> Vec<u32> {
        let text = fs::read_to_string(&self.journal).unwrap_or_default();
        text.lines()
            .filter_map(|line| line.strip_prefix("start "))
            .filter_map(|rest| rest.split(' ').next()?.parse().ok())
            .filter(|id| is_alive(*id))
            .collect()
    }
}

/// Lives, and is no zombie.
pub fn is_alive(process: u32) -> bool {
    fs::read_to_string(format!("/proc/{process}/stat"))
        .is_ok_and(|stat| stat.rsplit(')').next().is_some_and(|rest| !rest.trim_start().starts_with('Z')))
}

impl Drop for Instance {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits for a condition with the usual limit.
pub fn eventually(what: &str, fits: impl Fn() -> bool) {
    let until = Instant::now() + LIMIT;
    while !fits() {
        assert!(Instant::now() < until, "never: {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// Path, kind and mode, and bytes of everything below `directory`, sorted.
pub fn tree(directory: &Path) -> Vec<(PathBuf, u32, Vec<u8>)> {
    fn walk(root: &Path, at: &Path, list: &mut Vec<(PathBuf, u32, Vec<u8>)>) {
        for entry in fs::read_dir(at).into_iter().flatten() {
            let path = entry.unwrap().path();
            // The directory may be changing under the walk: what has just gone is not there.
            let Ok(about) = fs::symlink_metadata(&path) else { continue };
            let relative = path.strip_prefix(root).unwrap().to_owned();
            if about.is_dir() {
                list.push((relative, about.permissions().mode(), Vec::new()));
                walk(root, &path, list);
            } else {
                list.push((relative, about.permissions().mode(), fs::read(&path).unwrap_or_default()));
            }
        }
    }
    let mut list = Vec::new();
    walk(directory, directory, &mut list);
    list.sort();
    list
}

/// Copies `config/sample` into `directory`, with the modes an operator would have given.
pub fn copy_sample(directory: &Path) {
    let sample = Path::new(env!("CARGO_MANIFEST_DIR")).join("config/sample");
    for (path, mode, bytes) in tree(&sample) {
        let target = directory.join(&path);
        if sample.join(&path).is_dir() {
            fs::create_dir_all(&target).unwrap();
            continue;
        }
        fs::create_dir_all(target.parent().unwrap()).unwrap();
        fs::write(&target, bytes).unwrap();
        let mode = if path.starts_with("secrets") { 0o600 } else { mode };
        fs::set_permissions(&target, fs::Permissions::from_mode(mode)).unwrap();
    }
}
