//! The service of a pair: stalls, failing, fence (spec 7.12, 7.13).

use crate::harness::{Instance, eventually, is_alive};
use crate::{Pair, Wish};

fn has_alert(instance: &Instance, code: &str) -> bool {
    instance.alerts().iter().any(|alert| alert["code"] == code)
}

/// spec 7.12, 7.13: kill -STOP of the master: its service ends though nobody takes over; -CONT: it asks, and goes on
#[test]
fn a_stalled_master_runs_no_service_and_asks_before_it_goes_on() {
    let pair = Pair::ready(&Wish { takeover_delay: "60s", ..Wish::default() });
    let old_service = pair.a.living_services()[0];
    pair.a.signal("STOP");
    eventually("its watchdog stops the service", || !is_alive(old_service));
    assert!(pair.a.living_services().is_empty());
    pair.a.signal("CONT");
    // The state of before the stall stands until it has heard of it.
    eventually("it knows that its watchdog stopped the service", || has_alert(&pair.a, "V-006"));
    pair.a.wait("goes on", |status| status["active"] == true && status["service"]["state"] == "running");
    pair.wait_settled(&pair.a, &pair.b);
    assert_eq!(pair.a.status()["term"], 1);
    pair.assert_runs_only_on(&pair.a, &pair.b);
}

/// spec 7.12, 7.13: a master that stalls for longer than the takeover takes does not run its service beside the new one
#[test]
fn a_stalled_master_that_was_replaced_stays_stopped() {
    let pair = Pair::ready(&Wish { takeover_delay: "2s", ..Wish::default() });
    let old_service = pair.a.living_services()[0];
    let starts = |instance: &Instance| {
        std::fs::read_to_string(&instance.journal)
            .unwrap_or_default()
            .lines()
            .filter(|line| line.starts_with("start"))
            .count()
    };
    pair.a.signal("STOP");
    pair.b.wait_active();
    eventually("the old service is dead", || !is_alive(old_service));
    pair.a.signal("CONT");
    pair.wait_settled(&pair.b, &pair.a);
    assert_eq!(starts(&pair.a), 1, "never started again");
    pair.assert_runs_only_on(&pair.b, &pair.a);
}

/// spec 7.13: a service past its restart limit is handed to the READY shadow
#[test]
fn a_failing_service_changes_places() {
    let pair = Pair::ready(&Wish { takeover_delay: "60s", ..Wish::default() });
    let old_service = pair.a.living_services()[0];
    for (key, value) in
        [("restart_limit", "1"), ("restart_pause", "10ms"), ("command", "[/bin/sh, -c, 'sleep 0.3; exit 7']")]
    {
        pair.a.set("service", key, value);
    }
    pair.a
        .wait("the settings are in force", |status| status["settings"]["service"]["command"][2] == "sleep 0.3; exit 7");
    // The new command runs from the next start; an end of the old one alone is none.
    pair.a.ok(&["ha", "switch"]);
    pair.wait_settled(&pair.b, &pair.a);
    eventually("the old one is gone", || !is_alive(old_service));
    pair.b.ok(&["ha", "switch"]);
    let status = pair.b.wait("it comes back", |status| {
        status["active"] == true && status["last_role_change"]["reason"] == "service-failed"
    });
    assert_eq!(status["role"], "master");
    pair.wait_settled(&pair.b, &pair.a);
    pair.assert_runs_only_on(&pair.b, &pair.a);
    let told = pair.b.ok(&["events"]) + &pair.a.ok(&["events"]);
    assert!(told.contains("the service keeps failing here"), "{told}");
}

/// spec 7.7, 8.9: a program that is missing on the shadow is known on both sides before anybody needs it, and a switch is refused
#[test]
fn a_service_that_the_shadow_could_not_start_is_known() {
    let pair = Pair::ready(&Wish::default());
    let command = pair.b.status()["settings"]["service"]["command"].to_string();
    pair.b.set("service", "command", "[/no/such/agent]");
    let is_told = |status: &serde_json::Value| {
        let message = status["protection_message"].as_str().unwrap_or_default();
        status["protection"] == "none" && message.contains("/no/such/agent does not exist")
    };
    pair.b.wait("the shadow says so", is_told);
    pair.a.wait("its master says so", is_told);
    assert!(has_alert(&pair.b, "V-009"));
    let refused = pair.a.refused(&["ha", "switch"]);
    assert!(refused.contains("the shadow can start the service"), "{refused}");
    let rehearsed = pair.a.standin(&["ha", "switch", "--dry-run"]);
    assert_eq!(rehearsed.status.code(), Some(1));
    assert!(String::from_utf8_lossy(&rehearsed.stdout).contains("/no/such/agent"), "{rehearsed:?}");
    pair.b.set("service", "command", &command);
    pair.a.wait("it is full again", |status| status["protection"] == "full");
    pair.a.ok(&["ha", "switch"]);
    pair.wait_settled(&pair.b, &pair.a);
}

/// spec 7.13: a required fence command runs before the takeover, with the term to come; failing, there is none
#[test]
fn a_takeover_waits_for_its_fence() {
    let mut pair = Pair::ready(&Wish { takeover_delay: "0s", ..Wish::default() });
    let sign = pair.b.journal.with_extension("fence");
    let script = format!("echo \"term $STANDIN_TERM\"; [ -e {} ]", sign.display());
    pair.b.set("hooks", "fence", &format!("[/bin/sh, -c, '{script}']"));
    pair.b.set("hooks", "fence_required", "true");
    pair.b.wait("the settings are in force", |status| status["settings"]["hooks"]["fence_required"] == true);
    pair.a.kill();
    eventually("the alert", || has_alert(&pair.b, "V-011"));
    assert_eq!(pair.b.status()["role"], "shadow");
    std::fs::write(&sign, "").unwrap();
    let status = pair.b.wait_active();
    assert_eq!(status["term"], 2);
    assert!(status["notice"]["timeline"].to_string().contains("fence command succeeded"), "{}", status["notice"]);
    assert!(pair.b.ok(&["events"]).contains("hook fence: term 2"));
}

/// spec 2.5, 7.13: an instance that is active without a service starts the one that is configured; one that ends is started as
/// it is configured now
#[test]
fn a_service_configured_meanwhile_runs() {
    let pair = Pair::ready(&Wish { takeover_delay: "60s", ..Wish::default() });
    let runs = |name: &str| {
        let name = name.to_owned();
        pair.a.wait("that command runs", move |status| {
            status["service"]["state"] == "running" && status["service"]["name"].as_str() == Some(&name)
        });
    };
    let kill_service = || {
        let process = pair.a.status()["service"]["process"].as_u64().unwrap();
        let process = rustix::process::Pid::from_raw(i32::try_from(process).unwrap()).unwrap();
        rustix::process::kill_process(process, rustix::process::Signal::KILL).unwrap();
    };
    let set = |command: &str, length: usize| {
        pair.a.set("service", "command", command);
        pair.a.wait("in force", |status| {
            status["settings"]["service"]["command"].as_array().is_some_and(|words| words.len() == length)
        });
    };
    set("[sleep, '4321']", 2);
    kill_service();
    runs("sleep 4321");
    set("[]", 0);
    kill_service();
    pair.a.wait("none runs", |status| status["service"]["kind"] == "none");
    set("[sleep, '43', '21']", 3);
    runs("sleep 43 21");
    assert!(pair.a.ok(&["events"]).contains("service.command takes effect at the next start of the service"));
}

/// A stand-in for systemctl whose only unit is a file: `up` while it runs. `broken`: systemd cannot be asked.
const SYSTEMCTL: &str = r#"#!/bin/sh
dir=$(dirname "$0"); verb=$1
[ -e "$dir/broken" ] && { echo "Failed to connect to bus" >&2; exit 1; }
case $verb in
show) printf 'LoadState=loaded\nSubState=x\nResult=success\nMainPID=0\n'
  if [ -e "$dir/up" ]; then echo ActiveState=active; else echo ActiveState=inactive; fi ;;
start) : > "$dir/up" ;;
stop|kill) rm -f "$dir/up" ;;
esac
exit 0
"#;

/// spec 7.7, 7.13: a switch to an instance on which systemd cannot be asked about the unit comes back: somebody is active
#[test]
fn a_switch_to_a_unit_that_cannot_be_asked_about_comes_back() {
    let mut pair = Pair::prepared(&Wish { takeover_delay: "60s", service: false, ..Wish::default() });
    let place = |instance: &mut Instance| {
        let tools = instance.folder.join(format!("{}-tools", instance.name));
        std::fs::create_dir(&tools).unwrap();
        std::fs::write(tools.join("systemctl"), SYSTEMCTL).unwrap();
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o755);
        std::fs::set_permissions(tools.join("systemctl"), mode).unwrap();
        let path = std::env::var("PATH").unwrap_or_default();
        instance.wrap = vec!["env".into(), format!("PATH={}:{path}", tools.display())];
        instance.set("service", "unit", "web.service");
        tools
    };
    let (here, there) = (place(&mut pair.a), place(&mut pair.b));
    pair.a.start();
    pair.b.start();
    pair.connect();
    pair.a.wait("the unit runs", |status| status["service"]["state"] == "running");
    std::fs::write(there.join("broken"), "").unwrap();
    let said = pair.a.refused(&["ha", "switch"]);
    assert!(said.contains("Failed to connect to bus"), "{said}");
    pair.a.wait("it has the role again", |status| {
        status["active"] == true && status["term"] == 3 && status["service"]["state"] == "running"
    });
    pair.b.wait("the other is shadow again", |status| status["role"] == "shadow");
    assert!(here.join("up").exists() && !there.join("up").exists());
}
