//! One entry of `takeover_checks.http` (spec 7.2): a URL, and the status it has to answer with.

/// Statuses that count when none is named.
const DEFAULT: (u16, u16) = (200, 399);
/// Statuses there are.
const STATUSES: std::ops::RangeInclusive<u16> = 100..=599;

/// `https://gw.example.net/health 200`, or the URL alone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HttpCheck {
    /// `http://` or `https://`, host, and what follows.
    pub url: String,
    /// The one status that passes; none: 200 to 399.
    pub status: Option<u16>,
}

impl HttpCheck {
    /// Reads it.
    ///
    /// # Errors
    /// What is wrong with it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let mut words = text.split_whitespace();
        let url = words.next().unwrap_or_default();
        let rest = ["https://", "http://"].iter().find_map(|scheme| url.strip_prefix(scheme));
        let Some(rest) = rest else { return Err("it begins with neither https:// nor http://".into()) };
        if rest.is_empty() || rest.starts_with(['/', ':', '?']) {
            return Err("it names no host".into());
        }
        let status = words.next().map(|word| {
            let status = word.parse().ok().filter(|status| STATUSES.contains(status));
            status.ok_or_else(|| format!("'{word}' is no status of HTTP"))
        });
        if words.next().is_some() {
            return Err("after the URL there may stand one status".into());
        }
        Ok(Self { url: url.into(), status: status.transpose()? })
    }

    /// Whether an answer with this status passes.
    #[must_use]
    pub fn accepts(&self, status: u16) -> bool {
        self.status.map_or((DEFAULT.0..=DEFAULT.1).contains(&status), |wanted| wanted == status)
    }

    /// `200`, or `200 to 399`.
    #[must_use]
    pub fn expected(&self) -> String {
        self.status.map_or_else(|| format!("{} to {}", DEFAULT.0, DEFAULT.1), |status| status.to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// spec 7.2
    #[test]
    fn a_status_may_be_named_and_else_any_success_passes() {
        let named = HttpCheck::parse("https://gw.example.net/health 204").unwrap();
        assert_eq!((named.url.as_str(), named.status), ("https://gw.example.net/health", Some(204)));
        assert!(named.accepts(204) && !named.accepts(200));
        let any = HttpCheck::parse("http://192.0.2.1:8080").unwrap();
        assert!(any.accepts(200) && any.accepts(302) && !any.accepts(404) && !any.accepts(500));
        for wrong in ["", "gw.example.net", "ftp://x", "https://", "https:///x", "https://x 20", "https://x 200 300"] {
            assert!(HttpCheck::parse(wrong).is_err(), "{wrong}");
        }
    }
}
