//! What the wizard wants to know about this machine. Blocks (names are resolved, directories walked): call it on a thread
//! of its own.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, ToSocketAddrs};
use std::path::{Path, PathBuf};

use crate::console::wizard::{Answer, Found, Request};
use crate::engine::settings::Settings;

/// Most entries of a directory that are counted before the answer is given as it stands.
const ENTRIES_MAX: u64 = 1_000_000;
/// Most addresses of one name that are told.
const ADDRESSES_MAX: usize = 8;

/// What the wizard is opened with. `base` holds the settings as they are (see [`super::settings_before`]).
#[must_use]
pub fn found(home: &Path, base: &Settings) -> Found {
    let (addresses, host_names) =
        crate::cli::rooms::host_names().into_iter().partition(|name| name.parse::<std::net::IpAddr>().is_ok());
    Found {
        host_names,
        addresses,
        port_free: check_port(&base.administration.listen, base.administration.port),
        home: home.display().to_string(),
        is_default_home: crate::cli::home::is_default(home),
        default_directory: home.join("configuration").display().to_string(),
    }
}

/// Answers one question of the wizard. `listen` is the address that the instance will listen on.
#[must_use]
pub fn find_out(request: &Request, listen: &str) -> Answer {
    match request {
        Request::CheckPort(port) => Answer::Port { port: *port, free: check_port(listen, *port) },
        Request::LookAtDirectory(path) => Answer::Directory { path: path.clone(), look: look_at(Path::new(path)) },
        Request::Resolve(host) => Answer::Resolved { host: host.clone(), addresses: resolve(host) },
    }
}

fn check_port(listen: &str, port: u16) -> Result<(), String> {
    TcpListener::bind((listen, port)).map(drop).map_err(|error| match error.kind() {
        ErrorKind::AddrInUse => "another program listens there".into(),
        ErrorKind::PermissionDenied => "this user may not listen on it".into(),
        _ => error.to_string(),
    })
}

/// Files and bytes below a directory; links are counted and not followed.
fn look_at(path: &Path) -> Result<(u64, u64), String> {
    let say = |error: std::io::Error| match error.kind() {
        ErrorKind::NotFound => "there is no such directory".to_owned(),
        ErrorKind::PermissionDenied => "this user may not read it".to_owned(),
        ErrorKind::NotADirectory => "it is no directory".to_owned(),
        _ => error.to_string(),
    };
    let (mut files, mut bytes, mut entries) = (0, 0, 0);
    let mut left: Vec<PathBuf> = vec![path.to_owned()];
    while let Some(directory) = left.pop() {
        for entry in fs::read_dir(&directory).map_err(say)? {
            let entry = entry.map_err(say)?;
            let about = entry.metadata().map_err(say)?;
            entries += 1;
            if about.is_dir() {
                left.push(entry.path());
            } else {
                files += 1;
                bytes += if about.is_file() { about.len() } else { 0 };
            }
            if entries >= ENTRIES_MAX {
                return Ok((files, bytes));
            }
        }
    }
    Ok((files, bytes))
}

fn resolve(host: &str) -> Result<Vec<String>, String> {
    // The port is only there because the resolver wants one.
    let found = (host, 0_u16).to_socket_addrs().map_err(|_| "no such name is known here".to_owned())?;
    let mut addresses: Vec<String> = Vec::new();
    for address in found.map(|address| address.ip().to_canonical().to_string()) {
        if !addresses.contains(&address) && addresses.len() < ADDRESSES_MAX {
            addresses.push(address);
        }
    }
    Ok(addresses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_in_use_is_told() {
        let taken = TcpListener::bind(("127.0.0.1", 0)).unwrap();
        let port = taken.local_addr().unwrap().port();
        let ask = || find_out(&Request::CheckPort(port), "127.0.0.1");
        assert_eq!(ask(), Answer::Port { port, free: Err("another program listens there".into()) });
        drop(taken);
        assert_eq!(ask(), Answer::Port { port, free: Ok(()) });
    }

    /// screens, First start: found, n files, m bytes; or not readable because …
    #[test]
    fn a_directory_is_counted_and_links_are_not_followed() {
        let place = tempfile::tempdir().unwrap();
        fs::create_dir(place.path().join("sub")).unwrap();
        fs::write(place.path().join("a.yaml"), "12345").unwrap();
        fs::write(place.path().join("sub/b.yaml"), "678").unwrap();
        std::os::unix::fs::symlink("/", place.path().join("sub/link")).unwrap();
        assert_eq!(look_at(place.path()), Ok((3, 8)));
        assert_eq!(look_at(&place.path().join("none")), Err("there is no such directory".into()));
        assert_eq!(look_at(&place.path().join("a.yaml")), Err("it is no directory".into()));
    }

    #[test]
    fn names_are_resolved_and_addresses_stay() {
        assert_eq!(resolve("127.0.0.1"), Ok(vec!["127.0.0.1".into()]));
        assert_eq!(resolve("::ffff:10.1.4.20"), Ok(vec!["10.1.4.20".into()]), "spec 2.3: mapped equals plain");
        assert!(resolve("no host has spaces").is_err());
    }

    #[test]
    fn the_wizard_opens_with_what_is_found_here() {
        let found = found(Path::new("/nowhere/home"), &Settings::default());
        assert_eq!(found.default_directory, "/nowhere/home/configuration");
        assert!(found.host_names.iter().all(|name| name.parse::<std::net::IpAddr>().is_err()));
    }
}
