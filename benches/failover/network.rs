//! Two hosts: network namespaces joined by a cable that can be pulled. Needs root.

use std::process::Command;

use crate::Fail;

/// Prefix of the namespaces' names.
const NAME: &str = "standin-bench";

pub struct Network {
    pub left: String,
    pub right: String,
}

fn ip(arguments: &[&str]) -> Result<(), Fail> {
    let output = Command::new("ip").args(arguments).output()?;
    if output.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&output.stderr).into_owned();
    Err(format!("ip {arguments:?}: {said} (network namespaces need root)").into())
}

impl Network {
    pub const LEFT: &str = "10.78.0.1";
    pub const RIGHT: &str = "10.78.0.2";

    /// Gone when dropped.
    pub fn new(tag: &str) -> Result<Self, Fail> {
        let process = std::process::id();
        let network = Self { left: format!("{NAME}-{process}-{tag}-a"), right: format!("{NAME}-{process}-{tag}-b") };
        ip(&["netns", "add", &network.left])?;
        ip(&["netns", "add", &network.right])?;
        let (left, right) = (&network.left, &network.right);
        ip(&["-n", left, "link", "add", "cable", "type", "veth", "peer", "name", "cable", "netns", right])?;
        for (name, address) in [(left, Self::LEFT), (right, Self::RIGHT)] {
            ip(&["-n", name, "address", "add", &format!("{address}/24"), "dev", "cable"])?;
            ip(&["-n", name, "link", "set", "cable", "up"])?;
            ip(&["-n", name, "link", "set", "lo", "up"])?;
        }
        Ok(network)
    }

    /// Pulls the cable at one end: nothing passes, no connection hears of it.
    pub fn cut(&self, namespace: &str) -> Result<(), Fail> {
        ip(&["-n", namespace, "link", "set", "cable", "down"])
    }

    /// Plugs it in again.
    pub fn heal(&self, namespace: &str) -> Result<(), Fail> {
        ip(&["-n", namespace, "link", "set", "cable", "up"])
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        for name in [&self.left, &self.right] {
            // It may not have come to be.
            let _ = Command::new("ip").args(["netns", "delete", name]).output();
        }
    }
}
