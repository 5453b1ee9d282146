//! What the operating system knows: users, groups, the seal of a home.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// Name of the user with this number; the number itself where it has none.
#[must_use]
pub fn user_name(id: u32) -> String {
    field_of("/etc/passwd", |fields| {
        fields.get(2)?.parse::<u32>().ok().filter(|found| *found == id).map(|_| fields[0].to_owned())
    })
    .unwrap_or_else(|| format!("user {id}"))
}

/// Number of the group with this name.
#[must_use]
pub fn group_id(name: &str) -> Option<u32> {
    field_of("/etc/group", |fields| if fields[0] == name { fields.get(2)?.parse().ok() } else { None })
}

fn field_of<T>(file: &str, find: impl Fn(&[&str]) -> Option<T>) -> Option<T> {
    let text = fs::read_to_string(file).ok()?;
    text.lines().find_map(|line| find(&line.split(':').collect::<Vec<_>>()))
}

/// This program's file; where an upgrade has replaced it meanwhile, the running one, as the kernel still has it.
///
/// # Errors
/// When the system does not tell.
pub fn own_program() -> std::io::Result<std::path::PathBuf> {
    let path = std::env::current_exe()?;
    Ok(if path.exists() { path } else { "/proc/self/exe".into() })
}

/// What a home is sealed with: it changes when the home is copied or restored, to another machine or beside itself
/// (spec 7.5). The inode of the link's key stands for the home, the machine id for the machine.
#[must_use]
pub fn seal_of(home: &Path) -> Option<String> {
    let machine = fs::read_to_string("/etc/machine-id").unwrap_or_default();
    let key = fs::metadata(home.join("identity")).ok()?;
    Some(format!("{} {}", machine.trim(), key.ino()))
}
