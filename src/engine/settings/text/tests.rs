use super::*;
use crate::engine::settings::Settings;
use crate::engine::settings::table::{self, ROWS};

fn yaml(text: &str) -> Value {
    serde_yaml::from_str(text).unwrap()
}

fn changed(text: &str, key: &str, value: &str) -> String {
    set(text, key, &yaml(value)).unwrap()
}

/// interfaces, Files: the operator's comments stay
#[test]
fn a_value_is_replaced_and_everything_else_stays() {
    let text = "# mine\nshadow:   # the other one\n  check_interval: 1s   # fast enough\n\n  # do not touch\n  takeover_delay: 3s\nlog:\n  level: info\n";
    assert_eq!(changed(text, "shadow.check_interval", "2s"), text.replace("1s   #", "2s   #"));
    assert_eq!(changed(text, "log.level", "debug"), text.replace("info", "debug"));
}

#[test]
fn an_absent_key_goes_to_the_end_of_its_section() {
    let text = "shadow:\n    check_interval: 1s\n    # takeover_delay: 3s\n\n# the log\nlog:\n  level: info\n";
    let expected = "shadow:\n    check_interval: 1s\n    # takeover_delay: 3s\n    master_port: 9443\n\n# the log\nlog:\n  level: info\n";
    assert_eq!(changed(text, "shadow.master_port", "9443"), expected);
    assert_eq!(changed("", "host", "node-a"), "host: node-a\n");
    assert_eq!(changed("# only this\n", "log.level", "warn"), "# only this\n\nlog:\n  level: warn\n");
    assert_eq!(changed("a: 1", "b", "2"), "a: 1\nb: 2\n");
}

#[test]
fn an_empty_or_inline_section_becomes_a_block() {
    assert_eq!(changed("log:\nhost: a\n", "log.level", "warn"), "log:\n  level: warn\nhost: a\n");
    assert_eq!(changed("log: {}  # none\nhost: a\n", "log.level", "warn"), "log:  # none\n  level: warn\nhost: a\n");
    assert_eq!(changed("log: null\n", "log.level", "warn"), "log:\n  level: warn\n");
    let inline = "log: {level: info, files: 3}\nhost: a\n";
    assert_eq!(changed(inline, "log.level", "warn"), "log:\n  level: warn\n  files: 3\nhost: a\n");
    let long = "log: {\n  level: info,\n  files: 3\n}\nhost: a\n";
    assert_eq!(changed(long, "log.files", "4"), "log:\n  level: info\n  files: 4\nhost: a\n");
}

#[test]
fn lists_keep_their_form_and_the_lines_of_what_stays() {
    let block =
        "takeover_checks:\n  tcp:\n    # the gateway\n    - \"gateway:443\"   # east\n    - 'dns:53'\n  timeout: 1s\n";
    let expected =
        "takeover_checks:\n  tcp:\n    # the gateway\n    - \"gateway:443\"   # east\n    - \"new:1\"\n  timeout: 1s\n";
    assert_eq!(changed(block, "takeover_checks.tcp", "['gateway:443', 'new:1']"), expected);
    assert_eq!(
        changed(block, "takeover_checks.tcp", "[]"),
        "takeover_checks:\n  tcp: []\n    # the gateway\n  timeout: 1s\n"
    );
    let flat = "takeover_checks:\n  tcp:\n  - a\n  - b\n  timeout: 1s\n";
    assert_eq!(
        changed(flat, "takeover_checks.tcp", "[b, c]"),
        "takeover_checks:\n  tcp:\n  - b\n  - c\n  timeout: 1s\n"
    );
    let inline = "service:\n  command: [a, 'b c']\n";
    assert_eq!(
        changed(inline, "service.command", "[x, 'y, z', '-n', '8']"),
        "service:\n  command: [x, \"y, z\", \"-n\", \"8\"]\n"
    );
    let broken_over_lines = "service:\n  command: [a,\n    b,\n  ]\n  directory: /srv\n";
    assert_eq!(changed(broken_over_lines, "service.command", "[c]"), "service:\n  command: [c]\n  directory: /srv\n");
    let many: Vec<String> = (0..16).map(|n| format!("gateway-{n}.example.net")).collect();
    let long =
        set("shadow:\n  master_hosts: []\n", "shadow.master_hosts", &serde_yaml::to_value(&many).unwrap()).unwrap();
    assert!(long.contains("master_hosts:\n    - gateway-0.example.net\n"), "{long}");
}

#[test]
fn null_and_texts_that_look_like_something_else_survive() {
    let text = "high_availability:\n  port: 9443  # own\n";
    assert_eq!(changed(text, "high_availability.port", "null"), "high_availability:\n  port: null  # own\n");
    for value in [
        "",
        "null",
        "true",
        "1s",
        "08",
        "a: b",
        "a #b",
        "- x",
        "it's",
        "say \"x\"",
        " spaces ",
        "*x",
        "äöü 漢",
        "tab\there",
        "yes",
    ] {
        let new = set("description: old # note\nhost: a\n", "description", &Value::from(value)).unwrap();
        let settings: serde_yaml::Mapping = serde_yaml::from_str(&new).unwrap();
        assert_eq!(settings["description"].as_str(), Some(value), "{new}");
        assert!(new.contains(" # note\nhost: a\n"), "{new}");
    }
}

#[test]
fn quotes_hashes_and_line_ends_are_understood() {
    assert_eq!(changed("description: \"a # b\" # c\n", "description", "x"), "description: x # c\n");
    assert_eq!(changed("description: 'it''s # b'\n", "description", "x"), "description: x\n");
    assert_eq!(changed("description: a#b\n", "description", "x"), "description: x\n");
    assert_eq!(changed("\"description\": a\n", "description", "x"), "\"description\": x\n");
    assert_eq!(changed("description: |\n  one\n  two\nhost: a\n", "description", "x"), "description: x\nhost: a\n");
    assert_eq!(changed("description: one\n  two\nhost: a\n", "description", "x"), "description: x\nhost: a\n");
    assert_eq!(changed("---\r\nhost: a # x\r\n", "host", "b"), "---\r\nhost: b # x\r\n");
}

/// What cannot be edited is refused and says what to do; nothing is damaged.
#[test]
fn what_cannot_be_edited_is_refused() {
    for (text, key) in [
        ("host: [", "host"),
        ("- a\n- b\n", "host"),
        ("log: quiet\n", "log.level"),
        ("{host: a}\n", "log.level"),
        ("host: &h a\ndescription: *h\n", "host"),
        ("host: a\n---\nhost: b\n", "host"),
    ] {
        let problem = set(text, key, &Value::from("x")).expect_err(text);
        assert!(!problem.todo.is_empty());
    }
}

/// Every setting can be set in the commented default, one after the other, and no comment is lost.
#[test]
fn every_setting_can_be_changed_in_the_commented_default() {
    let file = table::commented_default();
    let mut text = file.clone();
    let mut settings = Settings::default();
    for row in &ROWS {
        let value = match table::get(&settings, row.key).unwrap() {
            Value::Bool(on) => Value::from(!on),
            Value::Number(number) => Value::from(number.as_u64().unwrap() + 1),
            Value::Sequence(_) if row.key == "addresses" => yaml("[{address: 192.0.2.10/24, interface: eth0}]"),
            Value::Sequence(_) if row.key.ends_with("http") => yaml("[{url: 'https://gw/a#b', status: 204}]"),
            Value::Sequence(_) if row.key.ends_with("checks.command") => yaml("[[ping, -c1, 'gw # 1'], ['true']]"),
            Value::Sequence(_) => yaml("['a:1', b c]"),
            Value::Null if row.key.ends_with("port") => Value::from(1),
            Value::String(text) if table::row(row.key).is_some_and(|row| row.unit().starts_with("duration")) => {
                Value::from(if text == "7s" { "8s" } else { "7s" })
            }
            _ => Value::from("other value"),
        };
        text = set(&text, row.key, &value).unwrap();
        settings = table::set(&settings, row.key, value).unwrap();
        assert_eq!(serde_yaml::from_str::<Settings>(&text).unwrap(), settings, "{}", row.key);
    }
    let comments = |text: &str| {
        text.lines().filter(|line| line.trim_start().starts_with('#')).map(str::to_owned).collect::<Vec<_>>()
    };
    assert_eq!(comments(&text), comments(&file));
    let differences = table::differences(&settings, &Settings::default());
    assert_eq!(set_all(&text, &differences).unwrap(), file, "and back");
}
