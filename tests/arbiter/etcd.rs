//! A real etcd of one or three members, on ports and directories of its own, ended with the test.

use std::fs::File;
use std::net::TcpStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use crate::ports::free_port;
use rustix::process::{Pid, Signal, kill_process};

/// Longest wait for anything that etcd does.
const LIMIT: Duration = Duration::from_secs(15);
const POLL: Duration = Duration::from_millis(20);

/// Certificates an etcd works with.
#[derive(Clone)]
pub struct Tls {
    pub ca: PathBuf,
    pub certificate: PathBuf,
    pub key: PathBuf,
    /// Asks clients for one.
    pub wants_client: bool,
}

/// One member; killed when dropped.
pub struct Member {
    name: String,
    directory: PathBuf,
    client_port: u16,
    peer_port: u16,
    cluster: String,
    tls: Option<Tls>,
    extra: Vec<String>,
    child: Option<Child>,
}

/// Waits for a condition.
pub fn until(what: &str, mut is_so: impl FnMut() -> bool) {
    let begin = Instant::now();
    while !is_so() {
        assert!(begin.elapsed() < LIMIT, "{what}: not within {LIMIT:?}");
        sleep(POLL);
    }
}

impl Member {
    /// One alone, running.
    pub fn alone(home: &Path, tls: Option<Tls>, extra: &[&str]) -> Self {
        let mut one = Self::cluster(home, 1, tls, extra).remove(0);
        one.start();
        one
    }

    /// Several that know each other, not running yet.
    pub fn cluster(home: &Path, count: usize, tls: Option<Tls>, extra: &[&str]) -> Vec<Self> {
        let peers: Vec<(String, u16)> = (0..count).map(|n| (format!("m{n}"), free_port())).collect();
        let list: Vec<String> = peers.iter().map(|(name, port)| format!("{name}=http://127.0.0.1:{port}")).collect();
        let member = |(name, peer_port): (String, u16)| Self {
            directory: home.join(&name),
            name,
            client_port: free_port(),
            peer_port,
            cluster: list.join(","),
            tls: tls.clone(),
            extra: extra.iter().map(|&word| word.to_owned()).collect(),
            child: None,
        };
        peers.into_iter().map(member).collect()
    }

    pub fn url(&self) -> String {
        let scheme = if self.tls.is_some() { "https" } else { "http" };
        format!("{scheme}://127.0.0.1:{}", self.client_port)
    }

    /// Starts it and does not wait.
    pub fn spawn(&mut self) {
        let peer = format!("http://127.0.0.1:{}", self.peer_port);
        let log = File::options().create(true).append(true).open(self.directory.with_extension("log")).unwrap();
        let mut command = Command::new("etcd");
        command
            .args(["--name", &self.name, "--data-dir"])
            .arg(&self.directory)
            .args(["--listen-client-urls", &self.url(), "--advertise-client-urls", &self.url()])
            .args(["--listen-peer-urls", &peer, "--initial-advertise-peer-urls", &peer])
            .args(["--initial-cluster", &self.cluster, "--unsafe-no-fsync"])
            .args(["--heartbeat-interval", "50", "--election-timeout", "250"])
            .args(&self.extra);
        if let Some(tls) = &self.tls {
            command.arg("--cert-file").arg(&tls.certificate).arg("--key-file").arg(&tls.key);
            if tls.wants_client {
                command.arg("--client-cert-auth").arg("--trusted-ca-file").arg(&tls.ca);
            }
        }
        command.stdin(Stdio::null()).stdout(log.try_clone().unwrap()).stderr(log);
        self.child = Some(command.spawn().expect("etcd: tests/run installs it (package etcd-server)"));
    }

    /// Starts it and waits until it listens and has a leader.
    pub fn start(&mut self) {
        self.spawn();
        self.wait();
    }

    /// Until it answers.
    pub fn wait(&mut self) {
        let address = ("127.0.0.1", self.client_port);
        until("etcd listens", || {
            let ended = self.child.as_mut().and_then(|child| child.try_wait().unwrap());
            let log = || std::fs::read_to_string(self.directory.with_extension("log")).unwrap_or_default();
            assert!(ended.is_none(), "etcd ended: {}", log());
            TcpStream::connect(address).is_ok()
        });
    }

    fn signal(&self, signal: Signal) {
        let child = self.child.as_ref().unwrap();
        kill_process(Pid::from_child(child), signal).unwrap();
    }

    pub fn stop(&self) {
        self.signal(Signal::STOP);
    }

    pub fn go_on(&self) {
        self.signal(Signal::CONT);
    }

    /// As by a power failure.
    pub fn kill(&mut self) {
        if let Some(mut child) = self.child.take() {
            child.kill().unwrap();
            child.wait().unwrap();
        }
    }

    /// Its data are gone.
    pub fn wipe(&mut self) {
        self.kill();
        std::fs::remove_dir_all(&self.directory).unwrap();
    }

    /// Runs `etcdctl` on it; its output.
    pub fn ctl(&self, words: &[&str]) -> String {
        let mut command = Command::new("etcdctl");
        command.env("ETCDCTL_API", "3").args(["--endpoints", &self.url(), "--command-timeout=8s"]);
        if let Some(tls) = &self.tls {
            command.arg("--cacert").arg(&tls.ca);
        }
        let done = command.args(words).output().expect("etcdctl: tests/run installs it (package etcd-client)");
        let text = String::from_utf8_lossy(&done.stdout).into_owned();
        assert!(done.status.success(), "etcdctl {words:?}: {text}{}", String::from_utf8_lossy(&done.stderr));
        text
    }
}

impl Drop for Member {
    fn drop(&mut self) {
        self.kill();
    }
}
