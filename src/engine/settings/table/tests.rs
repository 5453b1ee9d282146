use std::collections::BTreeSet;

use super::*;
use crate::engine::settings::Shadow;

fn leaves(prefix: &str, value: &Value, into: &mut BTreeSet<String>) {
    match value {
        Value::Mapping(map) => {
            for (key, value) in map {
                let key = key.as_str().unwrap();
                let path = if prefix.is_empty() { key.to_owned() } else { format!("{prefix}.{key}") };
                leaves(&path, value, into);
            }
        }
        _ => assert!(into.insert(prefix.to_owned())),
    }
}

fn keys_of(found: &[(&'static str, Problem)]) -> Vec<&'static str> {
    found.iter().map(|(key, _)| *key).collect()
}

fn with(key: &str, yaml: &str) -> Settings {
    set(&Settings::default(), key, serde_yaml::from_str(yaml).unwrap()).unwrap()
}

/// The table is complete: every leaf of the settings has a row, and every row a leaf, in the same order.
#[test]
fn every_setting_has_one_row_and_every_row_a_setting() {
    let mut found = BTreeSet::new();
    leaves("", &serde_yaml::to_value(Settings::default()).unwrap(), &mut found);
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.key.to_owned()).collect();
    assert_eq!(rows, found);
    assert_eq!(rows.len(), ROWS.len(), "no row twice");
    for row in &ROWS {
        assert!(!row.label.is_empty() && !row.help.is_empty() && !row.limits().is_empty(), "{}", row.key);
        assert!(row.label.chars().count() <= 24, "{} fits the column of a form", row.label);
        assert!(!row.help.ends_with('.'), "{}", row.key);
        let default = get(&Settings::default(), row.key).unwrap();
        assert!(value::check(row, &default).is_none(), "the default of {} is within its limits", row.key);
        assert_eq!(row.parse(&row.default_text()).ok(), Some(default), "{} reads its own default", row.key);
    }
    for (section, _) in SECTIONS {
        assert!(ROWS.iter().any(|row| row.key.starts_with(&format!("{section}."))), "{section}");
    }
}

/// `config/settings.yaml` is what the table says, and parses to the defaults.
#[test]
fn the_commented_default_matches_the_table() {
    let file = include_str!("../../../../config/settings.yaml");
    assert_eq!(file, commented_default(), "write commented_default() to config/settings.yaml");
    assert_eq!(serde_yaml::from_str::<Settings>(file).unwrap(), Settings::default());
    assert!(file.lines().all(|line| line.chars().count() <= 120));
}

#[test]
fn the_defaults_have_no_problem_and_no_warning() {
    assert!(validate(&Settings::default()).is_empty());
    assert!(warnings(&Settings::default()).is_empty());
}

/// interfaces, settings.yaml: all errors at once
#[test]
fn all_problems_come_at_once_in_the_order_of_the_table() {
    let mut settings = Settings { description: "x".repeat(201), ..Settings::default() };
    settings.administration.port = 0;
    settings.high_availability.permitted_shadow_host = Some("node b".into());
    settings.shadow.check_interval = 9;
    settings.service.stop_signal = "KILL".into();
    settings.configuration.quiet_time = 3_000;
    settings.log.files = 0;
    assert_eq!(
        keys_of(&validate(&settings)),
        [
            "description",
            "administration.port",
            "high_availability.permitted_shadow_host",
            "shadow.check_interval",
            "configuration.quiet_time",
            "service.stop_signal",
            "log.files"
        ]
    );
    let problem = &validate(&settings)[3].1;
    assert_eq!(problem.what, "shadow.check_interval cannot be '9ms'");
    assert_eq!(problem.why, "it has to be 10ms to 1h");
}

/// spec 4.2, and the limits that the settings state: the last value inside and the first outside
#[test]
fn limits_hold_on_both_ends() {
    for (key, inside, outside) in [
        ("shadow.check_interval", ["10ms", "1h"], ["9ms", "3600001ms"]),
        ("shadow.takeover_delay", ["0s", "1h"], ["3600001ms", "2h"]),
        ("shadow.connect_timeout", ["10ms", "60s"], ["9ms", "61s"]),
        ("shadow.request_timeout", ["10ms", "60s"], ["9ms", "61s"]),
        ("service.stop_grace", ["0s", "10m"], ["601s", "1h"]),
        ("hooks.timeout", ["100ms", "1h"], ["99ms", "2h"]),
        ("takeover_checks.interval", ["1s", "1h"], ["999ms", "2h"]),
        ("log.files", ["1", "100"], ["0", "101"]),
        ("high_availability.port", ["1", "65535"], ["0", "0"]),
    ] {
        for text in inside {
            assert_eq!(
                keys_of(&validate(&with(key, text))).iter().filter(|found| **found == key).count(),
                0,
                "{key} {text}"
            );
        }
        for text in outside {
            assert!(keys_of(&validate(&with(key, text))).contains(&key), "{key} {text}");
        }
    }
}

/// spec 2.3
#[test]
fn a_permitted_shadow_host_is_a_host_or_a_host_at_an_address() {
    for text in
        ["node-b", "node-b.example.net", "10.1.4.21", "fd00::21", "node-b@10.1.4.21", "node-b@fd00::21", "a_b.local"]
    {
        assert!(is_host_at(text), "{text}");
    }
    for text in [
        "",
        "node b",
        "-node",
        "node-",
        "a..b",
        "10.1.4.300",
        "node-b@",
        "node-b@gateway",
        "@10.1.4.21",
        "a@b@c",
        "x:1",
    ] {
        assert!(!is_host_at(text), "{text}");
    }
    assert!(!is_host(&"a".repeat(64)) && !is_host(&vec!["abc"; 64].join(".")));
}

/// spec 2.2: a port of its own, or none
#[test]
fn the_separate_port_must_differ_from_the_administration_port() {
    let problems = validate(&with("high_availability.port", "8443"));
    assert_eq!(keys_of(&problems), ["high_availability.port"]);
    assert!(problems[0].1.todo.contains("empty"));
    assert!(validate(&with("high_availability.port", "9443")).is_empty());
}

/// spec 4.1
#[test]
fn an_instance_is_not_its_own_master() {
    let mut settings = Settings { host: "Node-B".into(), ..Settings::default() };
    settings.shadow.master_hosts = vec!["node-a".into(), "node-b".into()];
    assert_eq!(keys_of(&validate(&settings)), ["shadow.master_hosts"]);
    settings.shadow.master_port = 9443;
    assert!(validate(&settings).is_empty(), "two instances of one machine differ by their port");
    assert_eq!(keys_of(&warnings(&settings)), ["shadow.master_hosts"]);
    settings.shadow.master_hosts = vec!["node-a".into(), "NODE-A".into()];
    assert!(validate(&settings)[0].1.why.contains("twice"));
}

/// spec 4.2, 2.7
#[test]
fn timings_that_fight_are_warned_about_and_allowed() {
    for (key, text, warned) in [
        ("shadow.takeover_delay", "0s", "shadow.takeover_delay"),
        ("shadow.takeover_delay", "500ms", "shadow.takeover_delay"),
        ("shadow.connect_timeout", "3s", "shadow.connect_timeout"),
        ("shadow.request_timeout", "4s", "shadow.request_timeout"),
        ("takeover_checks.timeout", "31s", "takeover_checks.timeout"),
        ("high_availability.boot_hold", "4s", "high_availability.boot_hold"),
        ("administration.port", "443", "administration.port"),
    ] {
        let settings = with(key, text);
        assert!(validate(&settings).is_empty(), "{key} {text}");
        assert!(keys_of(&warnings(&settings)).contains(&warned), "{key} {text}");
    }
}

#[test]
fn lists_commands_and_paths_are_checked() {
    for (key, yaml) in [
        ("takeover_checks.tcp", "[gateway]"),
        ("takeover_checks.tcp", "['gateway:0']"),
        ("takeover_checks.tcp", "['fd00::1:443']"),
        ("takeover_checks.tcp", "['a:1', 'A:1']"),
        ("shadow.master_hosts", "[a, b, c, d, e, f, g, h, i]"),
        ("service.command", "['']"),
        ("configuration.directory", "etc/connector"),
        ("configuration.directory", "/"),
        ("configuration.directory", "/etc/../x"),
        ("control.group", "'a b'"),
        ("administration.listen", "everywhere"),
        ("administration.listen", "''"),
        ("log.level", "loud"),
    ] {
        assert_eq!(keys_of(&validate(&with(key, yaml))), [key], "{yaml}");
    }
    for (key, yaml) in [
        ("takeover_checks.tcp", "['gateway.example.net:443', '[fd00::1]:443', '10.0.0.1:53']"),
        ("service.command", "[/usr/bin/connector, --home, '/srv/a b']"),
        ("configuration.directory", "/etc/connector"),
        ("administration.listen", "'::'"),
        ("control.group", "standin-ops"),
        ("host", "''"),
    ] {
        assert!(validate(&with(key, yaml)).is_empty(), "{yaml}");
    }
}

/// screens, First start: kept up to date
#[test]
fn the_time_to_a_replacement_is_told_as_a_range() {
    let mut shadow = Shadow::default();
    assert_eq!(replaced_after_text(&shadow), "a dead master is replaced after 3 to 5 s");
    shadow.takeover_delay = 0;
    shadow.check_interval = 100;
    shadow.request_timeout = 150;
    assert_eq!(replaced_after_text(&shadow), "a dead master is replaced after 0 s to 250 ms");
    shadow.takeover_delay = 500;
    shadow.check_interval = 1_000;
    assert_eq!(replaced_after_text(&shadow), "a dead master is replaced after 500 ms to 1.7 s");
    assert_eq!(seconds_text(180_000), "3 min");
}

/// What a form or a command changed travels as a patch, and lands as it was.
#[test]
fn a_patch_carries_exactly_what_the_forms_can_change() {
    let old = Settings::default();
    for row in ROWS.iter().filter(|row| row.in_form) {
        let text = match row.kind {
            Kind::Text(_) => "other",
            Kind::Host | Kind::HostAt => "node-b",
            Kind::Hosts(_) => "node-a, 10.1.4.20",
            Kind::Port => "9443",
            Kind::Switch => "true",
            Kind::Duration(..) => "7s",
            Kind::Urls(_) => "http://etcd-1:2379, http://etcd-2:2379",
            other => panic!("{other:?}"),
        };
        let new = set(&old, row.key, row.parse(text).unwrap()).unwrap();
        assert_ne!(old, new, "{}", row.key);
        assert_eq!(patch_between(&old, &new).applied_to(&old), new, "{}", row.key);
        assert_eq!(differences(&old, &new), [(row.key, get(&new, row.key).unwrap())]);
        assert_eq!(patch_between(&new, &old).applied_to(&new), old, "{}", row.key);
    }
    assert!(patch_between(&old, &old).is_empty());
}

#[test]
fn an_unknown_key_or_a_value_of_another_type_is_refused() {
    assert!(set(&Settings::default(), "shadow.nothing", Value::Null).is_err());
    assert!(set(&Settings::default(), "shadow.master_port", Value::from("x")).is_err());
    assert!(get(&Settings::default(), "shadow.nothing").is_none() && row("shadow.nothing").is_none());
}

/// spec 7.11: settings that break the inequality are refused, with the numbers.
#[test]
fn an_arbiter_whose_numbers_let_two_be_active_is_refused() {
    let mut settings = Settings::default();
    settings.arbiter.endpoints = vec!["https://etcd-1.example.net:2379".into()];
    settings.service.command = vec!["/bin/sleep".into(), "1d".into()];
    assert!(validate(&settings).is_empty(), "{:?}", validate(&settings));
    assert_eq!(settings.arbiter.promise_ms(), 10_101);
    settings.arbiter.promise = 10_100;
    let problems = validate(&settings);
    assert_eq!(problems.first().map(|(key, _)| *key), Some("arbiter.promise"));
    let text = problems.first().map(|(_, problem)| problem.to_string()).unwrap_or_default();
    assert!(text.contains("10101ms") && text.contains("4s") && text.contains("6s"), "{text}");
    settings.arbiter.promise = 0;
    settings.service.stop_grace = 5_501;
    assert_eq!(validate(&settings).first().map(|(key, _)| *key), Some("arbiter.stop_budget"));
    settings.service.stop_grace = 1_000;
    settings.arbiter.hold = 900;
    assert_eq!(validate(&settings).first().map(|(key, _)| *key), Some("arbiter.hold"));
}
