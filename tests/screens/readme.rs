//! The README's key list is the key table's. `UPDATE_README=1` writes it anew.

use standin::console::keymap::{Danger, Group, TABLE};

const BEGIN: &str = "<!-- keys: from the key table; UPDATE_README=1 cargo test --test screens -->\n";
const END: &str = "<!-- end of keys -->\n";
/// What a reader needs before the first look; moves and dialogs say their keys themselves.
const SHOWN: [Group; 4] = [Group::Pair, Group::Look, Group::Alerts, Group::Console];

fn table() -> String {
    let mut text = String::from("| key | action | does |\n| --- | --- | --- |\n");
    let mut told = Vec::new();
    for group in SHOWN {
        for row in TABLE.iter().filter(|row| row.group == group && !row.keys.is_empty()) {
            if told.contains(&row.action) {
                continue;
            }
            told.push(row.action);
            let keys: Vec<String> = row.keys.iter().map(|key| format!("`{}`", key.name())).collect();
            let asks = match row.danger {
                Danger::Plain => "",
                Danger::Ask => " Asks.",
                Danger::Type => " Asks for a typed name.",
            };
            let help = row.help.replace('*', "\\*");
            text.push_str(&format!("| {} | {} | {help}{asks} |\n", keys.join(", "), row.label));
        }
    }
    text
}

/// Wall 6: one key table feeds the README's key list.
#[test]
fn the_readme_lists_the_keys_of_the_table() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/README.md");
    let readme = std::fs::read_to_string(path).unwrap();
    let (before, rest) = readme.split_once(BEGIN).expect("the README marks where its key list begins");
    let (listed, after) = rest.split_once(END).expect("the README marks where its key list ends");
    if std::env::var_os("UPDATE_README").is_some_and(|value| value == "1") {
        std::fs::write(path, format!("{before}{BEGIN}{}{END}{after}", table())).unwrap();
        return;
    }
    assert_eq!(listed, table(), "run UPDATE_README=1 cargo test --test screens");
}
