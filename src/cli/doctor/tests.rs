use std::os::unix::fs::PermissionsExt;

use super::*;
use crate::cli::arguments::Arguments;
use crate::cli::output::testing::output;
use crate::engine::base::{LinkState, UnixMillis};
use clap::Parser;

fn context(home: &std::path::Path) -> Context {
    let line = ["standin".as_ref(), "--home".as_ref(), home.as_os_str()];
    Context::new(&Arguments::try_parse_from(line).unwrap().globals).unwrap()
}

fn chmod(path: &std::path::Path, mode: u32) {
    std::fs::set_permissions(path, std::fs::Permissions::from_mode(mode)).unwrap();
}

fn verdict_of(findings: &[Finding], about: &str) -> Option<Verdict> {
    findings.iter().find(|finding| finding.about == about).map(|finding| finding.verdict)
}

/// spec 9.4: secrets and the home are the owner's alone; the way out is a command.
#[test]
fn what_others_can_read_is_a_failure_with_its_mending() {
    let home = tempfile::tempdir().unwrap();
    let (identity, key) = (home.path().join("identity"), home.path().join("identity/link.key"));
    std::fs::create_dir(&identity).unwrap();
    std::fs::write(&key, "key").unwrap();
    for (path, mode) in [(home.path(), 0o700), (&*identity, 0o700), (&*key, 0o600)] {
        chmod(path, mode);
    }
    let findings = files::home(&context(home.path()));
    assert_eq!(verdict_of(&findings, "secrets"), Some(Verdict::Ok), "{findings:?}");
    chmod(&key, 0o640);
    chmod(home.path(), 0o755);
    let findings = files::home(&context(home.path()));
    assert_eq!(verdict_of(&findings, "permissions"), Some(Verdict::Fail), "{findings:?}");
    let secret = findings.iter().find(|finding| finding.about == "secret").unwrap();
    assert_eq!(secret.verdict, Verdict::Fail);
    assert_eq!(secret.todo, format!("chmod 0600 '{}'", key.display()));
}

/// interfaces: exit status 1 when something failed, 0 otherwise; a wrong setting is one.
#[test]
fn a_wrong_setting_is_a_failure_and_the_exit_status() {
    let home = tempfile::tempdir().unwrap();
    chmod(home.path(), 0o700);
    std::fs::create_dir(home.path().join("configuration")).unwrap();
    let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let text = format!("host: 127.0.0.1\nadministration:\n  listen: 127.0.0.1\n  port: {port}\n");
    std::fs::write(home.path().join("settings.yaml"), &text).unwrap();
    chmod(&home.path().join("settings.yaml"), 0o600);
    let (mut out, written) = output();
    assert_eq!(run(&context(home.path()), &mut out).unwrap(), Exit::Done, "{}", written.text());
    std::fs::write(home.path().join("settings.yaml"), format!("{text}  prot: 1\n")).unwrap();
    let (mut out, written) = output();
    assert_eq!(run(&context(home.path()), &mut out).unwrap(), Exit::No);
    assert!(written.text().contains("FAIL  settings") && written.text().contains("prot"), "{}", written.text());
}

#[test]
fn a_port_of_another_program_is_found() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let finding = machine::port_free("127.0.0.1", taken.local_addr().unwrap().port());
    assert_eq!(finding.verdict, Verdict::Fail);
    assert!(finding.todo.contains("Another program"), "{finding:?}");
    assert_eq!(machine::port_free("node-a", 8443).verdict, Verdict::Fail);
}

/// spec 6.5: 100 MB.
#[test]
fn little_space_warns_and_none_fails() {
    for (free, verdict) in [(9_999_999, Verdict::Fail), (99_999_999, Verdict::Warn), (100_000_000, Verdict::Ok)] {
        assert_eq!(machine::judge_space(free).verdict, verdict);
    }
}

/// setting `configuration.owners`: what the running instance lacks, or what this process may not do, is told; nothing while off
#[test]
fn owners_that_are_missing_are_told() {
    let mut settings = crate::engine::settings::Settings::default();
    let mut status = Status::default();
    assert_eq!(files::owners(Some(&settings), Some(&status), || false), None);
    settings.configuration.owners = true;
    let verdict = |status: Option<&Status>, can| files::owners(Some(&settings), status, || can).unwrap().verdict;
    assert_eq!((verdict(None, true), verdict(None, false)), (Verdict::Ok, Verdict::Warn));
    assert_eq!(verdict(Some(&status), false), Verdict::Ok, "the instance may run as somebody else");
    status.configuration.owners_missing = 2;
    assert_eq!(verdict(Some(&status), true), Verdict::Warn);
}

/// spec 3.5: proxy variables are ignored, and that is told.
#[test]
fn proxy_variables_are_told_as_ignored() {
    let finding = machine::proxies(|name| name == "HTTPS_PROXY");
    assert_eq!(finding.verdict, Verdict::Ok);
    assert!(finding.found.contains("HTTPS_PROXY") && finding.found.contains("ignored"), "{finding:?}");
}

/// spec 3.4: validity alerts, it never refuses.
#[test]
fn a_certificate_that_ends_is_worth_a_look_and_no_failure() {
    let day = 86_400_000;
    let verdict = |days: i64| pair::certificate("certificate", UnixMillis(days * day), UnixMillis(0)).verdict;
    assert_eq!([verdict(400), verdict(29), verdict(-1)], [Verdict::Ok, Verdict::Warn, Verdict::Warn]);
}

#[test]
fn a_lost_peer_fails_and_a_ready_one_does_not() {
    let verdict = |state| pair::link(&Status { state: Some(state), ..Status::default() }).verdict;
    assert_eq!(verdict(LinkState::Lost), Verdict::Fail);
    assert_eq!(verdict(LinkState::Ready), Verdict::Ok);
    assert_eq!(verdict(LinkState::Alone), Verdict::Warn);
}

#[test]
fn clock_and_own_host_are_looked_at() {
    assert_eq!(machine::clock(UnixMillis(0)).verdict, Verdict::Warn);
    assert_eq!(machine::clock(UnixMillis(1_795_356_000_000)).verdict, Verdict::Ok);
    assert_eq!(machine::own_host("127.0.0.1").verdict, Verdict::Warn);
    assert_eq!(machine::own_host("192.0.2.7").verdict, Verdict::Ok);
    let machine = rustix::system::uname().nodename().to_string_lossy().into_owned();
    assert!(machine::own_host("").found.contains(&machine), "none set: the machine's own name");
}

/// spec 7.13: what the service and the hooks would run is looked at before it is needed
#[test]
fn commands_that_cannot_be_run_are_found() {
    let home = tempfile::tempdir().unwrap();
    let program = home.path().join("service");
    std::fs::write(&program, "#!/bin/sh\n").unwrap();
    let command = |first: &str| vec![first.to_owned()];
    let verdict = |command: &[String]| service::of_command("service", "service.command", command, None);
    let found = verdict(&command(&program.to_string_lossy()));
    assert_eq!((found.verdict, found.todo.contains("chmod +x")), (Verdict::Fail, true), "{found:?}");
    chmod(&program, 0o755);
    assert_eq!(verdict(&command(&program.to_string_lossy())).verdict, Verdict::Ok);
    assert_eq!(verdict(&command("sh")).verdict, Verdict::Ok, "found in PATH");
    let found = verdict(&command("no-such-program-here"));
    assert_eq!((found.verdict, found.todo.contains("service.command")), (Verdict::Fail, true), "{found:?}");
    let found = service::of_command("service", "service.command", &command("sh"), Some("/no/such/place"));
    assert!(found.found.contains("/no/such/place"), "{found:?}");
}

/// spec 7.13: a unit that would outlive Standin is a warning, one that systemd does not know a failure
#[test]
fn a_unit_is_judged_by_what_systemd_says() {
    let verdict = |bound: Result<(), &str>| service::of_unit("web.service", bound.map_err(str::to_owned)).verdict;
    assert_eq!(verdict(Ok(())), Verdict::Ok);
    assert_eq!(verdict(Err("web.service is not bound to standin.service")), Verdict::Warn);
    assert_eq!(verdict(Err("web.service is unknown to systemd on this machine")), Verdict::Fail);
    assert_eq!(verdict(Err("systemctl show: systemctl was not found in PATH")), Verdict::Fail);
    let dead = service::of_unit("web.service", Err("systemctl show: Failed to connect to bus".into()));
    assert!(dead.todo.contains("Mend systemd") && !dead.todo.contains("service.unit"), "{dead:?}");
}
