use clap::Parser;

use super::*;
use crate::cli::arguments::{Arguments, Command};
use crate::cli::output::testing::output;
use crate::engine::base::Term;
use crate::engine::status::CheckResult;

fn action(line: &[&str]) -> Result<HaAction, clap::Error> {
    let words = ["standin", "ha"].iter().chain(line);
    Arguments::try_parse_from(words).map(|arguments| match arguments.command {
        Some(Command::Ha { action }) => action,
        other => panic!("{other:?}"),
    })
}

/// spec 2.5: only what was named is changed.
#[test]
fn an_edit_changes_only_what_was_named() {
    let HaAction::Edit(edit) = action(&["edit", "--any-shadow-host", "--grace-period", "2s"]).unwrap() else {
        panic!()
    };
    let expected =
        SettingsPatch { permitted_shadow_host: Some(None), grace_period: Some(2_000), ..SettingsPatch::default() };
    assert_eq!(patch(&edit), expected);
    let HaAction::Edit(edit) = action(&["edit", "--ha-port", "admin", "--permitted-shadow-host", "b"]).unwrap() else {
        panic!()
    };
    assert_eq!(patch(&edit).ha_port, Some(None));
    assert_eq!(patch(&edit).permitted_shadow_host, Some(Some("b".into())));
}

/// spec 7.11: the third vote from the command line, and away again.
#[test]
fn the_arbiter_is_set_and_taken_away() {
    let HaAction::Edit(edit) = action(&["edit", "--arbiter", "http://a:2379,http://b:2379", "--hold", "2s"]).unwrap()
    else {
        panic!()
    };
    let expected = SettingsPatch {
        arbiter_endpoints: Some(vec!["http://a:2379".into(), "http://b:2379".into()]),
        arbiter_hold: Some(2_000),
        ..SettingsPatch::default()
    };
    assert_eq!(patch(&edit), expected);
    let HaAction::Edit(edit) = action(&["edit", "--no-arbiter", "--stop-budget", "3s"]).unwrap() else { panic!() };
    assert_eq!((patch(&edit).arbiter_endpoints, patch(&edit).arbiter_stop_budget), (Some(Vec::new()), Some(3_000)));
    assert_eq!(action(&["edit", "--arbiter", "http://a:1", "--no-arbiter"]).unwrap_err().exit_code(), 2);
}

/// spec 7.7: a switch is rehearsed or ended, not both.
#[test]
fn a_switch_is_rehearsed_or_ended() {
    let is_abort = |line: &[&str]| matches!(action(line), Ok(HaAction::Switch { abort: true, .. }));
    assert!(is_abort(&["switch", "--abort"]));
    assert_eq!(action(&["switch", "--abort", "--dry-run"]).unwrap_err().exit_code(), 2);
}

/// interfaces: 2 is wrong usage.
#[test]
fn senseless_usage_is_refused() {
    for line in [
        &["edit"][..],
        &["edit", "--ha-port", "0"],
        &["edit", "--ha-port", "70000"],
        &["edit", "--grace-period", "3"],
        &["edit", "--permitted-shadow-host", "b", "--any-shadow-host"],
        &["maintenance"],
        &["maintenance", "--for", "1h", "--end"],
        &[],
    ] {
        assert_eq!(action(line).unwrap_err().exit_code(), 2, "{line:?}");
    }
    let HaAction::Maintenance(none) = action(&["maintenance", "--for", "0"]).unwrap() else { panic!() };
    assert!(matches!(maintenance_ms(&none), Err(Failure::Usage(_))));
}

/// spec 7.8: the forced roles need a flag and say what will happen first.
#[test]
fn forced_roles_say_what_will_happen_and_do_nothing_without_the_flag() {
    for problem in [what_become_master_does(), what_become_shadow_does()] {
        assert!(problem.todo.contains("--force") && problem.why.contains("would"), "{problem}");
    }
}

/// spec 7.7: every check is shown, the failing ones are marked in words.
#[test]
fn a_rehearsal_shows_every_check_and_step() {
    let check = |target: &str, ok| CheckResult { target: target.into(), ok, message: "told".into() };
    let rehearsal = Rehearsal {
        possible: false,
        new_master: "node-b".into(),
        term: Term(8),
        checks: vec![check("shadow READY", true), check("same revision", false)],
        gap: "Expected gap 0.3 s".into(),
        steps: vec!["changes are frozen".into()],
    };
    let (mut out, written) = output();
    print_rehearsal(&rehearsal, &mut out).unwrap();
    assert_eq!(written.text(), "ok    shadow READY  told\nFAIL  same revision  told\n   1  changes are frozen\n");
}

/// spec 4.1: nothing is said of dialling back a shadow that is not known any more
#[test]
fn a_shadow_that_is_forgotten_is_not_dialled_back() {
    use crate::engine::status::{DialBack, PeerStatus};
    let dial_back = DialBack { ok: true, at: crate::engine::base::UnixMillis(0), message: String::new() };
    let mut status = Status { dial_back: Some(dial_back), ..Status::default() };
    let is_told = |status: &Status| settings_rows(status).iter().any(|(label, _)| *label == "Dials back");
    assert!(!is_told(&status));
    status.peer = Some(PeerStatus::default());
    assert!(is_told(&status));
}
