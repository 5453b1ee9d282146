//! The names and addresses that this machine has (spec 4.1), as the kernel and `/etc/hosts` know them.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// Most names and addresses told.
const HOST_NAMES_MAX: usize = 64;
/// Hexadecimal digits of an IPv6 address in `/proc/net/if_inet6`.
const IPV6_HEX_DIGITS: usize = 32;

/// Names first (the machine's own, then those that `/etc/hosts` gives its addresses), then the addresses of its interfaces,
/// without loopback and link-local ones. Never fails: what cannot be read is left out.
#[must_use]
pub fn host_names() -> Vec<String> {
    let read = |path: &str| std::fs::read_to_string(path).unwrap_or_default();
    let name = rustix::system::uname().nodename().to_string_lossy().into_owned();
    list(&name, &read("/etc/hosts"), &read("/proc/net/fib_trie"), &read("/proc/net/if_inet6"))
}

/// Only the addresses of [`host_names`].
#[must_use]
pub fn addresses() -> Vec<String> {
    host_names().into_iter().filter(|name| name.parse::<IpAddr>().is_ok()).collect()
}

fn list(name: &str, hosts: &str, fib_trie: &str, if_inet6: &str) -> Vec<String> {
    let mut addresses: Vec<IpAddr> = ipv4_of(fib_trie).into_iter().map(IpAddr::V4).collect();
    addresses.extend(ipv6_of(if_inet6).into_iter().map(IpAddr::V6));
    let mut found = vec![name.to_owned()];
    found.extend(names_of(hosts, &addresses));
    found.extend(addresses.iter().map(IpAddr::to_string));
    let mut unique: Vec<String> = Vec::new();
    for entry in found {
        let is_useful = !entry.is_empty() && entry != "localhost" && entry != "(none)";
        if is_useful && !unique.iter().any(|known| known.eq_ignore_ascii_case(&entry)) {
            unique.push(entry);
        }
    }
    unique.truncate(HOST_NAMES_MAX);
    unique
}

/// The names that a hosts file gives to `addresses`.
fn names_of(hosts: &str, addresses: &[IpAddr]) -> Vec<String> {
    let mut names = Vec::new();
    for line in hosts.lines() {
        let mut words = line.split('#').next().unwrap_or_default().split_whitespace();
        let is_own =
            words.next().and_then(|word| word.parse().ok()).is_some_and(|address| addresses.contains(&address));
        if is_own {
            names.extend(words.map(str::to_owned));
        }
    }
    names
}

/// Own addresses in the kernel's routing table: the line before `/32 host LOCAL` names one.
fn ipv4_of(fib_trie: &str) -> Vec<Ipv4Addr> {
    let mut found: Vec<Ipv4Addr> = Vec::new();
    let mut last = None;
    for line in fib_trie.lines() {
        let text = line.trim_start();
        if let Some(leaf) = text.strip_prefix("|-- ") {
            last = leaf.trim().parse::<Ipv4Addr>().ok();
        } else if text.starts_with("/32 host LOCAL")
            && let Some(address) = last
            && !address.is_loopback()
            && !address.is_link_local()
            && !found.contains(&address)
        {
            found.push(address);
        }
    }
    found
}

/// Own addresses in `/proc/net/if_inet6`: 32 hexadecimal digits each, first on the line.
fn ipv6_of(if_inet6: &str) -> Vec<Ipv6Addr> {
    let parse = |line: &str| {
        let digits = line.split_whitespace().next().filter(|digits| digits.len() == IPV6_HEX_DIGITS)?;
        u128::from_str_radix(digits, 16).ok().map(Ipv6Addr::from)
    };
    let is_useful = |address: &Ipv6Addr| !address.is_loopback() && !address.is_unicast_link_local();
    if_inet6.lines().filter_map(parse).filter(is_useful).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const FIB_TRIE: &str = "Main:\n  +-- 0.0.0.0/0 3 0 5\n     |-- 0.0.0.0\n        /0 universe UNICAST\n     +-- 10.1.4.0/24 2 0 2\n\
        \u{20}       |-- 10.1.4.0\n           /24 link UNICAST\n        |-- 10.1.4.20\n           /32 host LOCAL\n        |-- 10.1.4.255\n\
        \u{20}          /32 link BROADCAST\n     |-- 127.0.0.1\n        /32 host LOCAL\nLocal:\n        |-- 10.1.4.20\n           /32 host LOCAL\n";
    const IF_INET6: &str = "00000000000000000000000000000001 01 80 10 80       lo\n\
        fd000000000000000000000000000020 02 40 00 80     eth0\n\
        fe800000000000000042acfffe110002 02 40 20 80     eth0\n";
    const HOSTS: &str =
        "127.0.0.1 localhost\n10.1.4.20  node-a.example.net node-a # us\n10.1.4.21 node-b\nfd00::20 node-a6\n";

    /// spec 4.1: names first, then addresses; no loopback, nothing twice, nobody else's
    #[test]
    fn names_and_addresses_of_this_machine_are_listed() {
        assert_eq!(
            list("node-a", HOSTS, FIB_TRIE, IF_INET6),
            ["node-a", "node-a.example.net", "node-a6", "10.1.4.20", "fd00::20"]
        );
        assert_eq!(list("", "", "", ""), Vec::<String>::new());
        assert_eq!(list("localhost", "garbage", "|-- x\n/32 host LOCAL", "zz 1"), Vec::<String>::new());
    }

    #[test]
    fn the_list_is_bounded() {
        let many: String = (0..500).map(|n| format!("10.1.4.20 name-{n}\n")).collect();
        assert_eq!(list("node-a", &many, FIB_TRIE, "").len(), HOST_NAMES_MAX);
    }

    #[test]
    fn this_machine_can_be_asked() {
        assert!(host_names().len() <= HOST_NAMES_MAX);
        assert!(addresses().iter().all(|address| !address.parse::<IpAddr>().unwrap().is_loopback()));
    }
}
