//! High Availability: settings above, the connected shadow below, this instance's fingerprint last (spec 2.6).

use super::super::page::{Page, pad};
use crate::console::facts::{self, duration};
use crate::console::model::Model;
use crate::engine::base::LinkState;
use crate::engine::status::words::clock_text;
use crate::engine::status::{PeerStatus, Status};

/// Adds the page.
pub fn add(page: &mut Page, model: &Model, status: &Status) {
    settings(page, status);
    page.blank();
    match (&status.peer, status.state) {
        _ if !status.ha.enabled => disabled(page, status),
        (None, _) => alone(page, status),
        (Some(peer), Some(LinkState::Alone)) => {
            page.title("Shadow", "state ALONE ");
            value(page, "Last known", &peer.host);
            if let Some(message) = &status.state_message {
                page.text(3, message, page.theme.plain());
            }
            page.text(3, "It said that it leaves, or was disconnected: it will not take over.", page.theme.plain());
            page.text(
                3,
                &format!("Next: press c in the console of {}; R here forgets it.", peer.host),
                page.theme.strong(),
            );
        }
        (Some(peer), _) => shadow(page, model, status, peer),
    }
    page.blank();
    super::rest(page, model, status);
}

fn settings(page: &mut Page, status: &Status) {
    let theme = page.theme;
    let lock = status.settings_locked.clone().map_or_else(|| "e edit ".to_owned(), |why| format!("locked: {why} "));
    page.title("Settings", &lock);
    let ha = &status.ha;
    let enabled = if ha.enabled { "enabled" } else { "DISABLED" };
    let style = if ha.enabled { theme.plain() } else { theme.warning() };
    let port = status.settings.link_port();
    let own_port = if status.settings.high_availability.port.is_some() { "of its own" } else { "administration" };
    let host = ha.permitted_shadow_host.as_deref().unwrap_or("any");
    let port = format!("HA port       {port}, {own_port}");
    let grace = format!("grace period  {}", duration(ha.grace_period_ms));
    if page.width >= 76 {
        let two = |page: &mut Page, label: &str, value: &str, style, other: &str| {
            page.spans(vec![
                (format!("   {label:<22}"), theme.plain()),
                (pad(value, 19), style),
                (format!(" {other}"), theme.plain()),
            ]);
        };
        two(page, "High availability", enabled, style, &port);
        two(page, "Permitted shadow host", host, theme.plain(), &grace);
    } else {
        page.styled_field("  High availability    ", enabled, style);
        page.field("  Permitted shadow host", host);
        page.line(&format!("   {port}"), theme.plain());
        page.line(&format!("   {grace}"), theme.plain());
    }
}

fn disabled(page: &mut Page, status: &Status) {
    let theme = page.theme;
    page.title("Shadow", "refused while disabled ");
    page.text(3, "High availability is disabled: every shadow is refused, nobody can take over.", theme.warning());
    page.blank();
    page.text(1, "What to do", theme.strong());
    page.text(3, "1  Press e and enable high availability.", theme.plain());
    steps_on_shadow(page, status, 2);
}

fn alone(page: &mut Page, status: &Status) {
    let theme = page.theme;
    page.title("Shadow", "state ALONE ");
    page.text(3, "No shadow has connected yet: nobody can take over.", theme.warning());
    if let Some(message) = &status.state_message {
        page.text(3, message, theme.plain());
    }
    page.blank();
    page.text(1, "What to do", theme.strong());
    steps_on_shadow(page, status, 1);
}

/// How a shadow connects, with this instance's values.
fn steps_on_shadow(page: &mut Page, status: &Status, first: usize) {
    let plain = page.theme.plain();
    let host = if status.instance.host.is_empty() { "this machine" } else { &status.instance.host };
    let port = status.settings.link_port();
    page.text(3, &format!("{first}  Install Standin on the second machine and start `standin`: role shadow."), plain);
    page.text(3, &format!("{}  Give it master host {host}, port {port}; press c there.", first + 1), plain);
    page.text(3, &format!("{}  Compare the fingerprint it shows with the one below.", first + 2), plain);
    page.text(3, &format!("{}  Log on there as an administrator of this instance.", first + 3), plain);
}

fn shadow(page: &mut Page, model: &Model, status: &Status, peer: &PeerStatus) {
    let theme = page.theme;
    let state = status.state.map_or("unknown", LinkState::word);
    let title = if peer.connected_since.is_some() { "Connected shadow" } else { "Shadow, as last known" };
    page.title(title, &format!("state {state} "));
    if let Some(message) = &status.state_message {
        page.styled_field("  Message", message, theme.warning());
    }
    let dial = match &status.dial_back {
        Some(dial) if dial.ok => "   dials back: ok".into(),
        Some(dial) => format!("   CANNOT BE DIALLED BACK: {}", dial.message),
        None => String::new(),
    };
    let address = peer.address.as_deref().unwrap_or("");
    value(page, "Host", &format!("{}   {address}{dial}", peer.host));
    let compatible = if peer.compatible { "compatible" } else { "NOT COMPATIBLE" };
    value(page, "Version", &format!("{}, {compatible}", peer.version));
    let ends = peer.certificate_expires.map_or_else(String::new, |at| format!(", ends {}", facts::day(at)));
    value(page, "Certificate", &format!("pinned{ends}"));
    super::fingerprint(page, peer.fingerprint);
    if let Some(since) = peer.connected_since {
        value(page, "Connected since", &facts::moment(since, model.now));
    } else if let Some(at) = peer.last_check {
        value(page, "Last check", &facts::moment(at, model.now));
    }
    let timeout = duration(peer.request_timeout_ms);
    value(page, "Check", &format!("every {}, request timeout {timeout}", duration(peer.check_interval_ms)));
    let (configured, passing) = peer.takeover_checks;
    let checks = match configured {
        0 => "no takeover checks configured".into(),
        _ => format!("{passing} of {configured} checks pass there"),
    };
    value(page, "Takeover", &format!("after {}; {checks}", status.takeover_delay_text(duration)));
    super::checks(page, &format!("  {:<21}", ""), &peer.checks);
    let same = match peer.in_sync {
        true => "same digest",
        // Its disk is not what it says, or the own one.
        false if peer.root.is_some() && peer.root == status.configuration.root => "same digest, NOT in sync",
        false => "NOT the same digest",
    };
    value(page, "Revision", &format!("{}, {} behind, {same}", peer.revision, peer.behind));
    if let Some(difference) = peer.clock_difference_ms {
        value(page, "Clock", &clock_text(difference));
    }
    own_settings(page, status, peer);
}

/// What each instance keeps for itself and must have to take over (spec 2.6).
fn own_settings(page: &mut Page, status: &Status, peer: &PeerStatus) {
    let label = format!("  {:<21}", "Own settings there");
    let style = page.theme.warning();
    if !peer.differences.is_empty() {
        for (index, difference) in peer.differences.iter().enumerate() {
            page.styled_field(
                &if index == 0 { label.clone() } else { " ".repeat(23) },
                &format!("! {difference}"),
                style,
            );
        }
    } else if !peer.service.is_empty() && peer.service != status.service.kind {
        page.styled_field(&label, &format!("service: {} there, {} here", peer.service, status.service.kind), style);
    } else if peer.connected_since.is_some() {
        page.field(&label, "as here, as far as it hurts at a takeover");
    }
}

fn value(page: &mut Page, label: &str, text: &str) {
    page.field(&format!("  {label:<21}"), text);
}
