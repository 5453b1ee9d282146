//! Where the mirrored directory may be: never where Standin keeps its own files, the private key of the link among them
//! (spec 9.4). Judged on what the paths lead to, links and `..` followed, whether or not they are there yet.

use std::fs;
use std::path::{Path, PathBuf};

use crate::engine::base::Problem;

/// Links followed until a path counts as it is written.
const LINKS_MAX: u32 = 40;
/// What Standin has in its home, also with something after a dot (`identity.old-1`).
const OWN_NAMES: [&str; 11] = [
    "settings",
    "users",
    "identity",
    "admin",
    "standin",
    "control",
    "log",
    "stage",
    "validation",
    "restore",
    "addresses",
];

/// Whether `directory` may be mirrored by the instance of `home`.
///
/// # Errors
/// It contains the home, or it is in the home where Standin keeps something of its own.
pub fn may_be_mirrored(home: &Path, directory: &Path) -> Result<(), Problem> {
    let refused = |why: String| {
        let own = home.join("configuration");
        let todo =
            format!("Name a directory outside the home in configuration.directory, or leave it out: {}", own.display());
        Err(Problem::new(format!("{} cannot be mirrored", directory.display()), why, todo))
    };
    let absolute = |path: &Path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned());
    let (at, real_home) = (led_to(&absolute(directory), LINKS_MAX), led_to(&absolute(home), LINKS_MAX));
    if at == real_home {
        return refused("it is the home of this instance, with the private key of the link".into());
    }
    if real_home.starts_with(&at) {
        return refused(format!(
            "the home of this instance is in it ({}), with the private key of the link",
            home.display()
        ));
    }
    let Ok(inside) = at.strip_prefix(&real_home) else { return Ok(()) };
    let first = inside.components().next().map(|name| name.as_os_str().to_string_lossy().into_owned());
    let first = first.unwrap_or_default();
    let stem = first.split('.').next().unwrap_or_default();
    if stem.is_empty() || OWN_NAMES.contains(&stem) {
        return refused(format!("{first} in the home is Standin's own"));
    }
    Ok(())
}

/// Where a path leads, also where its end is not there yet; without a look at what cannot be looked at.
fn led_to(path: &Path, links: u32) -> PathBuf {
    if let Ok(found) = fs::canonicalize(path) {
        return found;
    }
    let Some(parent) = path.parent() else { return path.to_owned() };
    let parent = led_to(parent, links);
    let Some(name) = path.file_name() else {
        // It ends with `..`.
        return parent.parent().map_or_else(|| parent.clone(), Path::to_owned);
    };
    let at = parent.join(name);
    match fs::read_link(&at) {
        Ok(target) if links > 0 => led_to(&parent.join(target), links - 1),
        _ => at,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::os::unix::fs::symlink;

    /// spec 9.4: neither the home, nor what it is in, nor what is Standin's in it, by whatever name
    #[test]
    fn nothing_of_the_home_is_mirrored() {
        let top = tempfile::tempdir().unwrap();
        let home = top.path().join("a/home");
        fs::create_dir_all(home.join("identity")).unwrap();
        fs::create_dir_all(top.path().join("b")).unwrap();
        let at = |name: &str| top.path().join(name);
        symlink("../a/home", at("b/link")).unwrap();
        symlink("../a/home/identity/new", at("b/later")).unwrap();
        symlink("round", at("b/round")).unwrap();
        let refused = [
            "a",
            "a/home",
            "a/home/identity",
            "a/home/identity/deep",
            "a/home/admin",
            "a/home/log",
            "a/home/stage",
            "a/home/identity.old-1",
            "a/home/restore.new",
            "a/home/.hidden",
            "a/home/standin.db",
            "b/link",
            "b/../a",
            "b/link/identity",
            "b/link/admin/x",
            "b/later",
            "b/later/deep",
            "missing/../a/home",
            "a/home/./x/..",
        ];
        for name in refused {
            let problem = may_be_mirrored(&home, &at(name)).expect_err(name);
            assert!(problem.todo.contains("configuration.directory"), "{problem}");
        }
        assert!(may_be_mirrored(&home, Path::new("/")).is_err());
        // The home may be named by a link too, or not be there yet.
        assert!(may_be_mirrored(&at("b/link"), &at("a/home/identity")).is_err());
        assert!(may_be_mirrored(&at("c/new"), &at("c")).is_err());
        for name in ["a/home/configuration", "a/home/configuration/x", "a/home/mine", "a/home2", "b", "c/d", "b/round"]
        {
            assert_eq!(may_be_mirrored(&home, &at(name)), Ok(()), "{name}");
        }
    }
}
