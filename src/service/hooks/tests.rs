use std::sync::mpsc::{Receiver, channel};

use super::*;
use crate::engine::base::{Digest, Reason, Role, Term};

const PATIENCE: Duration = Duration::from_secs(20);

fn hook(hook: Hook, script: &str, timeout_ms: u64) -> HookRun {
    let env = Env {
        role: Role::Master,
        term: Term(7),
        revision: 12,
        root: Some(Digest([0xab; 32])),
        reason: Reason::Takeover,
        directory: "/tmp".into(),
        peer: "node-b".into(),
    };
    let argv = ["sh", "-c", script].map(str::to_owned).to_vec();
    HookRun { hook, argv, directory: "/tmp".into(), env, timeout_ms }
}

fn runner() -> (Runner, Receiver<HookDone>) {
    let (sender, done) = channel();
    let runner = Runner::new(move |result| {
        let _ = sender.send(result);
    });
    (runner.unwrap(), done)
}

fn texts(done: &HookDone) -> Vec<&str> {
    done.output.iter().map(|line| line.text.as_str()).collect()
}

/// spec 5.8: what a hook, a fence command or a health check writes goes on without the values of secrets
#[test]
fn secrets_in_the_output_go_nowhere() {
    let (runner, done) = runner();
    let script =
        "echo api_key = hunter4; echo 'password: |'; echo '  hunter5'; echo port: 1; echo password hunter6 >&2; exit 1";
    runner.run(hook(Hook::Fence, script, 10_000)).unwrap();
    let done = done.recv_timeout(PATIENCE).unwrap();
    assert_eq!(done.output.len(), 5, "{done:?}");
    assert!(!format!("{done:?} {}", done.summary()).contains("hunter"), "{done:?}");
    assert!(texts(&done).contains(&"port: 1"), "{done:?}");
    let one = hook(Hook::Fence, "", 10_000);
    let argv = ["sh", "-c", "echo token: hunter7; exit 1"].map(str::to_owned);
    let (is_good, how) = run_alone(&argv, &one.directory, &one.env, 10_000);
    assert!(!is_good && how.starts_with("exit status 1: token: ") && !how.contains("hunter"), "{how}");
}

/// spec 7.13: one at a time, in order
#[test]
fn hooks_run_one_at_a_time_in_order() {
    let home = tempfile::tempdir().unwrap();
    let log = home.path().join("log");
    let (runner, done) = runner();
    for (number, pause) in [(1, "0.2"), (2, "0.1"), (3, "0")] {
        let script = format!("echo begin {number} >>{0}; sleep {pause}; echo end {number} >>{0}", log.display());
        runner.run(hook(Hook::NewConfiguration, &script, 10_000)).unwrap();
    }
    for _ in 0..3 {
        assert!(done.recv_timeout(PATIENCE).unwrap().ok);
    }
    let written = std::fs::read_to_string(log).unwrap();
    assert_eq!(written.lines().collect::<Vec<_>>(), ["begin 1", "end 1", "begin 2", "end 2", "begin 3", "end 3"]);
}

/// interfaces, Hooks and service environment; spec 7.13: output goes to the events
#[test]
fn a_hook_gets_its_environment_and_its_output_is_kept() {
    let (runner, done) = runner();
    let script = "env | grep ^STANDIN_ | grep -v ^STANDIN_SIM_ | sort; echo problem >&2; exit 3";
    runner.run(hook(Hook::BecomeMaster, script, 10_000)).unwrap();
    let done = done.recv_timeout(PATIENCE).unwrap();
    assert_eq!((done.hook, done.ok, done.status.as_str()), (Hook::BecomeMaster, false, "exit status 3"));
    let root = format!("STANDIN_ROOT={}", "ab".repeat(32));
    let expected = [
        "STANDIN_DIRECTORY=/tmp",
        "STANDIN_PEER=node-b",
        "STANDIN_REASON=takeover",
        "STANDIN_REVISION=12",
        "STANDIN_ROLE=master",
        &root,
        "STANDIN_TERM=7",
    ];
    let of = |is_error| done.output.iter().filter(move |line| line.is_error == is_error).map(|line| line.text.as_str());
    assert_eq!(of(false).collect::<Vec<_>>(), expected);
    assert_eq!(of(true).collect::<Vec<_>>(), ["problem"]);
}

/// spec 7.13: a time limit, and the next one has its turn
#[test]
fn a_hook_past_its_time_limit_is_killed_with_its_group() {
    let home = tempfile::tempdir().unwrap();
    let pids = home.path().join("pids");
    let (runner, done) = runner();
    let script = format!("trap '' TERM; sleep 600 & echo $! >{}; echo here; wait; sleep 600", pids.display());
    runner.run(hook(Hook::BecomeShadow, &script, 500)).unwrap();
    runner.run(hook(Hook::BecomeShadow, "echo next", 10_000)).unwrap();
    let first = done.recv_timeout(PATIENCE).unwrap();
    assert!(!first.ok);
    assert_eq!(first.status, "killed after its time limit of 500 ms");
    assert_eq!(texts(&first), ["here"], "what it had written is kept");
    assert!(first.took_ms >= 500 && first.took_ms < 5_000, "{}", first.took_ms);
    let pid: i32 = std::fs::read_to_string(pids).unwrap().trim().parse().unwrap();
    let runs = |process: &procs::Process| process.pid == pid && !process.is_zombie;
    let limit = Instant::now() + PATIENCE;
    while procs::all().unwrap().iter().any(runs) {
        assert!(Instant::now() < limit, "the sleep of the hook is still there");
        thread::sleep(Duration::from_millis(2));
    }
    assert_eq!(texts(&done.recv_timeout(PATIENCE).unwrap()), ["next"]);
}

/// spec 7.13: one that fails is an alert, so it has to say why
#[test]
fn a_hook_that_cannot_start_says_why_and_an_empty_one_says_nothing() {
    let (runner, done) = runner();
    let mut empty = hook(Hook::BecomeMaster, "", 1_000);
    empty.argv.clear();
    runner.run(empty).unwrap();
    let mut missing = hook(Hook::BecomeMaster, "", 1_000);
    missing.argv = vec!["/no/such/hook".into()];
    runner.run(missing).unwrap();
    let done = done.recv_timeout(PATIENCE).unwrap();
    assert_eq!((done.ok, done.status.as_str()), (false, "/no/such/hook does not exist"));
}

/// architecture, wall 5: output and queue have limits
#[test]
fn output_and_queue_are_bounded() {
    let (runner, done) = runner();
    let script = format!("i=0; while [ $i -lt {} ]; do echo $i; i=$((i+1)); done; sleep 0.2", OUTPUT_LINES_MAX + 50);
    runner.run(hook(Hook::NewConfiguration, &script, 10_000)).unwrap();
    let mut refused = None;
    for _ in 0..QUEUE_MAX + 2 {
        if let Err(problem) = runner.run(hook(Hook::NewConfiguration, ":", 10_000)) {
            refused = Some(problem);
            break;
        }
    }
    assert!(refused.unwrap().to_string().contains("hook new_configuration was not run: 64 hooks wait"));
    let done = done.recv_timeout(PATIENCE).unwrap();
    let told: u64 = done.output.iter().map(|line| line.dropped).sum::<u64>() + done.dropped;
    assert!(done.output.len() <= OUTPUT_LINES_MAX);
    assert!(told >= 50, "{told} dropped");
}
