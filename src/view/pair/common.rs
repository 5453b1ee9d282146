//! What both panels show: the third vote, the cut-off master, service and addresses (spec 2.6, 7.10, 7.11, 7.13, 7.14).

use super::super::page::Page;
use crate::console::facts;
use crate::console::model::Model;
use crate::engine::base::Role;
use crate::engine::settings::failover;
use crate::engine::status::{ArbiterStatus, Status};

/// Adds them.
pub fn add(page: &mut Page, model: &Model, status: &Status) {
    match &status.arbiter {
        Some(arbiter) => with_arbiter(page, model, status, arbiter),
        None => page.field("Arbiter", "none: both may be active when only the link between the two is cut"),
    }
    let longest = failover::longest_failover(&status.failover_settings()).text();
    page.field("  longest", &format!("failover {longest}"));
    page.blank();
    isolation(page, status);
    service(page, status);
    addresses(page, status);
}

fn with_arbiter(page: &mut Page, model: &Model, status: &Status, arbiter: &ArbiterStatus) {
    let theme = page.theme;
    let (text, is_bad) = arbiter.state_text();
    page.styled_field("Arbiter", text, if is_bad { theme.error() } else { theme.strong() });
    page.field("  endpoints", &arbiter.endpoints.join(", "));
    if let Some(why) = &arbiter.message {
        page.styled_field("  says", why, if is_bad { theme.warning() } else { theme.plain() });
    }
    if status.role == Some(Role::Master) {
        let until = arbiter.confirmed_until.map_or_else(String::new, |at| {
            format!(", good until {} if nothing else comes", facts::moment(at, model.now))
        });
        let style = if status.active && arbiter.confirmed_by.is_empty() { theme.warning() } else { theme.plain() };
        page.styled_field("  confirmed", &format!("{}{until}", arbiter.confirmed_text()), style);
    } else if let Some(at) = arbiter.promised_until {
        page.field("  promised", &format!("not to take over before {}", facts::moment(at, model.now)));
    }
    page.field("  times", &arbiter.times_text());
    let holder = match (arbiter.holder, status.instance.id, status.peer.as_ref().and_then(|peer| peer.id)) {
        (Some(holder), Some(own), _) if holder == own => facts::own_name(status),
        (Some(holder), _, Some(peer)) if holder == peer => facts::peer_name(status),
        (Some(_), ..) => "another instance".into(),
        (None, ..) => "nobody".into(),
    };
    page.field("  granted", &format!("term {} to {holder}", arbiter.term));
}

/// Whether a master that is cut off stops before the other takes over (spec 7.10).
fn isolation(page: &mut Page, status: &Status) {
    let isolation = &status.ha.isolation;
    if isolation.text.is_empty() {
        return;
    }
    let style = if isolation.fits || !isolation.enabled { page.theme.plain() } else { page.theme.warning() };
    let word = match (isolation.enabled, isolation.fits) {
        (false, _) => "off",
        (true, true) => "fits",
        (true, false) => "DOES NOT FIT",
    };
    page.styled_field("Cut off", &format!("{word}: {}", isolation.text), style);
    page.blank();
}

fn service(page: &mut Page, status: &Status) {
    let theme = page.theme;
    let service = &status.service;
    if service.kind == "none" {
        page.field("Service", "none configured");
        page.blank();
        return;
    }
    let is_bad = service.state == "failed" || service.failing;
    let failing = if service.failing { ", FAILING: past its restart limit" } else { "" };
    let style = if is_bad { theme.error() } else { theme.strong() };
    page.styled_field("Service", &format!("{}{failing}", service.state), style);
    page.field("  what", &service.what_text());
    if let Some(health) = &service.health {
        let style = if health.is_bad() || health.state == "failing" { theme.warning() } else { theme.plain() };
        page.styled_field("  health", &health.text(), style);
    }
    let settings = &status.settings.service;
    if service.restarts > 0 {
        let limit = format!(
            "{} since the role began; more than {} within {} hand it over",
            service.restarts,
            settings.restart_limit,
            facts::duration(settings.restart_window)
        );
        page.field("  restarts", &limit);
    }
    if let Some(stop) = service.stop_text() {
        page.field("  last stop", &stop);
    } else if service.stop_budget_ms > 0 {
        page.field("  stop", &format!("within {}", facts::duration(service.stop_budget_ms)));
    }
    if let Some(why) = &service.message {
        page.styled_field("", why, theme.warning());
    }
    page.blank();
}

fn addresses(page: &mut Page, status: &Status) {
    for (index, address) in status.addresses.iter().enumerate() {
        let (is_right, text) = address.text(status.active);
        super::marked(page, if index == 0 { "Addresses" } else { "" }, is_right, &text);
    }
    if !status.addresses.is_empty() {
        page.blank();
    }
}
