//! The permitted shadow host (spec 2.3).

use std::net::IpAddr;

use super::Shared;
use super::names::Resolved;

/// Why a shadow that declares `declared` and connects from `from` may not; none: it may.
pub(super) async fn host_problem(shared: &Shared, declared: &str, from: IpAddr) -> Option<String> {
    let permitted = shared.state().permitted.clone()?;
    let (_, source) = split(&permitted);
    let resolved = shared.names.resolve(source).await;
    judge(&permitted, declared, from, &resolved)
}

/// `host@address`: the host that is declared, and where the connection comes from.
fn split(permitted: &str) -> (&str, &str) {
    let (host, source) = permitted.split_once('@').unwrap_or((permitted, permitted));
    (host.trim(), source.trim())
}

fn judge(permitted: &str, declared: &str, from: IpAddr, resolved: &Result<Resolved, String>) -> Option<String> {
    let (host, source) = split(permitted);
    let from = from.to_canonical();
    let plain = |name: &str| name.trim().trim_end_matches('.').to_ascii_lowercase();
    if plain(host) != plain(declared) {
        return Some(format!(
            "the permitted shadow host is {permitted}, the shadow declares its own host as {declared:?} (from {from})"
        ));
    }
    match resolved {
        Err(why) => {
            Some(format!("the permitted shadow host is {permitted}, and {why}; the shadow connects from {from}"))
        }
        Ok(resolved) if resolved.addresses.contains(&from) => None,
        Ok(resolved) => {
            let addresses: Vec<String> = resolved.addresses.iter().map(ToString::to_string).collect();
            let age = if resolved.is_old { " as last known" } else { "" };
            let is_address = source.parse::<IpAddr>().is_ok();
            let of = if is_address { String::new() } else { format!(" ({source} is {}{age})", addresses.join(", ")) };
            Some(format!("the permitted shadow host is {permitted}{of}, the shadow connects from {from}"))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(addresses: &[&str]) -> Result<Resolved, String> {
        Ok(Resolved { addresses: addresses.iter().map(|text| text.parse().unwrap()).collect(), is_old: false })
    }

    /// spec 2.3
    #[test]
    fn host_and_source_must_both_fit() {
        let both = ["10.0.0.2", "10.0.1.2", "fd00::2"];
        let table: [(&str, &str, &str, &[&str], bool); 9] = [
            ("node-b", "node-b", "10.0.0.2", &both, true),
            ("node-b", "NODE-B.", "10.0.1.2", &both, true),
            ("node-b", "node-b", "fd00::2", &both, true),
            ("node-b", "node-b", "::ffff:10.0.0.2", &both, true),
            ("node-b", "node-b", "10.0.0.3", &both, false),
            ("node-b", "node-c", "10.0.0.2", &both, false),
            ("node-b@192.0.2.7", "node-b", "192.0.2.7", &["192.0.2.7"], true),
            ("node-b@192.0.2.7", "node-b", "10.0.0.2", &["192.0.2.7"], false),
            ("10.0.0.2", "10.0.0.2", "10.0.0.2", &["10.0.0.2"], true),
        ];
        for (permitted, declared, from, addresses, may) in table {
            let problem = judge(permitted, declared, from.parse().unwrap(), &resolved(addresses));
            assert_eq!(problem.is_none(), may, "{permitted} {declared} {from}: {problem:?}");
        }
    }

    /// spec 2.3: a refusal names both sides' values.
    #[test]
    fn a_refusal_names_both_sides() {
        let from = "10.0.0.3".parse().unwrap();
        let problem = judge("node-b", "node-b", from, &resolved(&["10.0.0.2"])).unwrap();
        assert!(problem.contains("node-b is 10.0.0.2") && problem.contains("from 10.0.0.3"), "{problem}");
        let problem = judge("node-b", "node-c", from, &resolved(&["10.0.0.3"])).unwrap();
        assert!(problem.contains("is node-b,") && problem.contains("node-c"), "{problem}");
        let problem = judge("node-b", "node-b", from, &Err("DNS is away".into())).unwrap();
        assert!(problem.contains("DNS is away") && problem.contains("10.0.0.3"), "{problem}");
    }
}
