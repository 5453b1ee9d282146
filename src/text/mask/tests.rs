use super::*;

fn shown(text: &str) -> Vec<String> {
    lines(text).iter().map(|line| line.text(false).to_owned()).collect()
}

/// spec 5.8
#[test]
fn values_of_secret_keys_are_hidden() {
    for (line, expected) in [
        ("password: hunter2", "password: ********  (masked)"),
        ("  clientSecret: \"x\"", "  clientSecret: ********  (masked)"),
        ("db.password=hunter2", "db.password=********  (masked)"),
        ("{\"user\": \"a\", \"api_key\": \"k\"}", "{\"user\": \"a\", \"api_key\": ********  (masked)"),
        ("<token>abc</token>", "<token>********  (masked)"),
        ("- private-key: abc", "- private-key: ********  (masked)"),
        ("host: app17", "host: app17"),
        ("url: https://a/?token=abc", "url: https://a/?token=********  (masked)"),
    ] {
        assert_eq!(shown(line), [expected], "{line}");
    }
}

/// spec 5.8: nothing of a value shows, however YAML lets it be written; what stands beside it does
#[test]
fn no_way_to_write_a_value_shows_it() {
    for text in [
        "passwords:\n- hunter2\n- hunter2\nhost: a",
        "password: \"begins\n  hunter2\"\nhost: a",
        "password: begins\n  hunter2\nhost: a",
        "password: &anchor |\n  hunter2\nhost: a",
        "password: !!str |-\n  hunter2\nhost: a",
        "password: | # a comment\n  hunter2\nhost: a",
        "password: # a comment\n  hunter2\nhost: a",
        "tokens: &all # these\n- hunter2\nhost: a",
        "- password: begins\n    hunter2\n  host: a",
        "- - token: |2\n      hunter2\n    host: a",
        "password=#hunter2\nhost: a",
        "password=|hunter2\nhost: a",
        "password=&hunter2\nhost: a",
    ] {
        let shown = shown(text).join("\n");
        assert!(!shown.contains("hunter2"), "{text}\nis shown as\n{shown}");
        assert!(shown.contains("host: a"), "{text}\nis shown as\n{shown}");
    }
}

/// spec 5.8
#[test]
fn values_over_several_lines_are_hidden_to_their_end() {
    let text = "private_key: |\n  line one\n\n  line two\nhost: a\nkeys:\n  secret:\n    - x\n  open: y";
    let hidden = "  ********  (masked)";
    assert_eq!(
        shown(text),
        ["private_key: |", hidden, "", hidden, "host: a", "keys:", "  secret:", "    ********  (masked)", "  open: y"]
    );
    let pem = "-----BEGIN EC PRIVATE KEY-----\nabc\n-----END EC PRIVATE KEY-----\nafter";
    assert_eq!(shown(pem), [MASK, MASK, MASK, "after"]);
    assert_eq!(lines(pem)[1].text(true), "abc");
}

/// spec 5.8: words for a secret, alone or joined, however the words are joined; words that only sound alike are none
#[test]
fn keys_of_secrets_are_known() {
    for key in [
        "pass",
        "Pass",
        "PASS",
        "db_pass",
        "dbPass",
        "DBPass",
        "dbpass",
        "user.pass",
        "pass2",
        "passFile",
        "pwd",
        "DB_PWD",
        "passwd",
        "passphrase",
        "passcode",
        "pin",
        "userPin",
        "SIM-PIN",
        "pinCode",
        "totp",
        "wifi_psk",
        "aws.creds",
        "jwt",
        "client secret",
        "bypassPass",
        "Kennwort",
        "signing-key",
    ] {
        assert!(is_secret_key(key), "{key}");
    }
    for key in [
        "bypass",
        "compass",
        "passthrough",
        "pass_through",
        "passive",
        "passenger",
        "pipeline",
        "spinning",
        "pinned",
        "fingerprint",
        "author",
        "opinion",
        "host",
        "key",
        "keys",
        "credits",
    ] {
        assert!(!is_secret_key(key), "{key}");
    }
}

/// spec 5.8: every way in which YAML, JSON and properties let a key be written; what stands beside it is shown
#[test]
fn no_way_to_write_a_key_shows_its_value() {
    for text in [
        "pass: hunter2\nhost: a",
        "\"pass\\u0077ord\": hunter2\nhost: a",
        "\"\\x70assword\": |\n  hunter2\nhost: a",
        "\"p\\U00000061ssword\" : {x: hunter2,\n  y: hunter2}\nhost: a",
        "'pass''word': hunter2\nhost: a",
        "'pass''word':\n- hunter2\nhost: a",
        "pass\\u0077ord=hunter2\nhost: a",
        "\"password, old\": hunter2\nhost: a",
        "b: 1, \"password (a&b)\": hunter2\nhost: a",
        "password of the database: hunter2\nhost: a",
        "!!str password: hunter2\nhost: a",
        "&key password: hunter2\nhost: a",
        "- &key password\n- *key : hunter2\nhost: a",
        "? password\n: hunter2\nhost: a",
        "? password\n# a comment\n\n: hunter2\nhost: a",
        "? password # a comment\n:\n  hunter2\nhost: a",
        "? password\n:\n- hunter2\nhost: a",
        "? password\n: |\n  hunter2\nhost: a",
        "? password\n: {a: hunter2,\nb: hunter2}\nhost: a",
        "? \"pass\\u0077ord\"\n: hunter2\nhost: a",
        "? |\n  pass\n  word\n: hunter2\nhost: a",
        "? \"pass\\\n  word\"\n: hunter2\nhost: a",
        "?\n  password\n: hunter2\nhost: a",
        "? [user, password]\n: hunter2\nhost: a",
        "- ? password\n  : hunter2\n- host: a",
        "- - ? pin\n    : hunter2\nhost: a",
        "\u{feff}? password\n: hunter2\nhost: a",
        "{\"password\"\n: \"hunter2\"}\nhost: a",
        "{a: b, ? password\n: hunter2}\nhost: a",
    ] {
        let shown = shown(text).join("\n");
        assert!(!shown.contains("hunter2"), "{text}\nis shown as\n{shown}");
        assert!(shown.contains("host: a"), "{text}\nis shown as\n{shown}");
    }
}

/// spec 5.8: quotes and brackets hold a value together, however little its lines are indented
#[test]
fn a_value_that_is_open_is_hidden_to_its_end() {
    for text in [
        "password: \"begins\nhunter2\"\nhost: a",
        "password: 'it''s\nhunter2'\nhost: a",
        "password: !!str \"begins \\\" \nhunter2\"\nhost: a",
        "password:\n  \"begins\nhunter2\"\nhost: a",
        "passwords:\n- \"begins\nhunter2\"\nhost: a",
        "{\"password\":\n\"hunter2\",\n\"host: a\": \"host: a\"}",
        "{\npassword:\nhunter2\n}\nhost: a",
        "{\npassword: begins\nhunter2,\nhost: a}",
        "{\n\"passwords\":\n[\n\"hunter2\"\n],\n\"host: a\": 1\n}",
        "passwords: [ # ]\nhunter2\n]\nhost: a",
        "passwords: [\n\"]\",\n{a: hunter2},\nhunter2\n]\nhost: a",
        "password: {a: \"}\nhunter2\"}\nhost: a",
        "{password: \"a\", token: \"begins\nhunter2\"}\nhost: a",
        "password:\n# a comment\n  hunter2\nhost: a",
        "password = begins\\\nhunter2\nhost: a",
        "password => \"begins\nhunter2\"\nhost: a",
        "<password>\nhunter2\nhunter2==\n</password>\nhost: a",
        "# password: |\n#   hunter2\n# host: a",
        "# passwords:\n# - hunter2\n# host: a",
        "password: x\n# token: |\n#   hunter2\nhost: a",
        "password:\n# token:\n#   hunter2\n  hunter2\nhost: a",
        "# token: \"begins\nhost: a",
        "password: |\n  x\n# token:\n  pin: \"begins\nhunter2\"\nhost: a",
        "# token:\n  password: \"begins\nhunter2\"\nhost: a",
    ] {
        let shown = shown(text).join("\n");
        assert!(!shown.contains("hunter2"), "{text}\nis shown as\n{shown}");
        assert!(shown.contains("host: a"), "{text}\nis shown as\n{shown}");
    }
}

/// spec 5.8: prose in a comment hides nothing but what looks like a value of its own
#[test]
fn what_is_no_secret_is_shown() {
    for text in [
        "# The password of it: none\nhost: a",
        "host: a\nbypass: b\n  proxy: [x,\ny]",
        "? host\n: a",
        "note: 'it''s a password'\nhost: a",
    ] {
        assert!(lines(text).iter().all(|line| line.masked.is_none()), "{text}");
    }
}
