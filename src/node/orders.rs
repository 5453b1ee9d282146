//! Orders of operators: those about files, users and pairing talk are carried out here, all others by the engine.

use std::sync::Arc;

use tokio::task::spawn_blocking;

use super::desk::MirrorDesk;
use super::forget::ForgetDesk;
use super::net::Net;
use super::settings_file::SettingsDesk;
use super::shared::{OrderOutcome, Shared};
use super::trips::Trips;
use super::{branches, clock, compare, hosts, timeouts, verify};
use crate::access::Access;
use crate::engine::base::{Fingerprint, InstanceId, Problem, Role};
use crate::engine::event::{Event, EventKind, Severity};
use crate::engine::history::APPLIED_FILE_MAX_BYTES;
use crate::engine::input::Input;
use crate::engine::message::{PROTOCOL, PROTOCOL_MIN, PairHello, Timing};
use crate::engine::order::{Actor, Order, Reply, Secret};
use crate::engine::settings::{Settings, SettingsPatch, table};
use crate::identity::Identity;
use crate::store::Store;

/// Most events in one answer.
const EVENTS_MAX: u32 = 5_000;

/// Carries out orders.
pub struct Orders {
    /// Consoles and the engine.
    pub shared: Shared,
    /// Kept events.
    pub store: Store,
    /// The mirrored directory.
    pub mirror: MirrorDesk,
    /// Links.
    pub net: Net,
    /// Local users.
    pub access: Arc<Access>,
    /// The settings in force.
    pub settings: SettingsDesk,
    /// The own certificate.
    pub identity: Arc<Identity>,
    /// This instance.
    pub instance: InstanceId,
    /// Round trips of the checks.
    pub trips: Trips,
    /// Contents removed from both histories.
    pub forgets: ForgetDesk,
}

impl Orders {
    /// Does it, or has the engine do it; answers once.
    ///
    /// # Errors
    /// The refusal, for people.
    pub async fn carry_out(self: &Arc<Self>, actor: Actor, order: Order) -> OrderOutcome {
        let order = branches::have(self, order).await?;
        match order {
            Order::Status => Ok(Reply::Status(Box::new(self.shared.status.borrow().as_ref().clone()))),
            Order::Alerts => Ok(Reply::Alerts(self.shared.alerts.borrow().as_ref().clone())),
            Order::Events { after, limit } => Ok(Reply::Events(self.kept_events(after, limit.min(EVENTS_MAX)).await)),
            Order::HostNames => blocking(|| Ok(Reply::HostNames(hosts::host_names()))).await,
            Order::ListFiles
            | Order::ListPart { .. }
            | Order::HeldFiles
            | Order::DriftFiles
            | Order::ShowFile { .. }
            | Order::FileBytes { .. }
            | Order::FilePart { .. }
            | Order::Log { .. } => {
                let mirror = self.mirror.clone();
                blocking(move || mirror.read(&order)).await
            }
            Order::Branches => branches::list(self).await,
            Order::ShowBranch { name } => branches::show(self, &name).await,
            Order::BranchBytes { branch, path } => branches::bytes(self, &branch, path).await,
            Order::CheckTimeouts => timeouts::check(self).await,
            Order::Diff { from, to, paths, show_secrets } => {
                compare::diff(self, compare::Wanted { from, to, paths, exclude: Vec::new(), show_secrets }).await
            }
            Order::KeepContent { bytes } => {
                let mirror = self.mirror.clone();
                blocking(move || keep_content(&mirror, bytes.0)).await
            }
            Order::Forget { path, history_only } => self.forgets.forget(actor, path, history_only).await,
            Order::Verify => verify::verify(self).await,
            Order::SetPassword { user, password } => self.set_password(actor, user, password).await,
            Order::Probe { host, port } => self.probe(host, port).await,
            Order::Pair { user, password, fingerprint } => self.pair(actor, user, password, fingerprint).await,
            Order::Edit(patch) => self.edit(actor, patch).await,
            other => self.shared.ask_engine(actor, other).await,
        }
    }

    /// Events newer than `after`, oldest first; with `after` 0 the newest ones.
    pub async fn kept_events(&self, after: u64, limit: u32) -> Vec<Event> {
        let (store, recorder) = (self.store.clone(), self.shared.recorder.clone());
        let list = spawn_blocking(move || {
            // What has happened is among them, also what is still being gathered.
            recorder.flush();
            if after == 0 { store.last_events(limit) } else { store.events_after(after, limit) }
        });
        match list.await {
            Ok(Ok(list)) => list,
            _ => Vec::new(),
        }
    }

    fn note(&self, actor: &Actor, kind: EventKind, text: String) {
        let who = Some(actor.user.clone());
        self.shared.recorder.event(Event {
            id: 0,
            at: clock::wall(),
            kind,
            severity: Severity::Information,
            text,
            who,
            timeline: Vec::new(),
        });
    }

    async fn set_password(&self, actor: Actor, user: String, password: Secret) -> OrderOutcome {
        let (access, name) = (Arc::clone(&self.access), user.clone());
        blocking(move || access.set_password(&name, password.expose()).map(|()| Reply::Done(String::new()))).await?;
        self.note(&actor, EventKind::Security, format!("the password of {user} was changed"));
        Ok(Reply::Done(format!("The password of {user} is changed.")))
    }

    /// Valid as a whole, or refused before anything is written.
    async fn edit(&self, actor: Actor, patch: SettingsPatch) -> OrderOutcome {
        if patch.is_empty() {
            return Ok(Reply::Done("Nothing to change.".into()));
        }
        let new = patch.applied_to(&self.settings.in_force());
        let faults = table::validate(&new);
        if !faults.is_empty() {
            let all: Vec<String> = faults
                .iter()
                .map(|(key, problem)| format!("{key}: {}: {}. {}", problem.what, problem.why, problem.todo))
                .collect();
            return Err(Problem::new("The settings were not changed", all.join("\n  "), "Correct them and try again."));
        }
        self.shared.ask_engine(actor, Order::Edit(patch)).await
    }

    fn pair_hello(&self, settings: &Settings) -> PairHello {
        let shadow = &settings.shadow;
        PairHello {
            instance: self.instance,
            version: env!("CARGO_PKG_VERSION").to_owned(),
            protocol: PROTOCOL,
            protocol_min: PROTOCOL_MIN,
            host: settings.host.clone(),
            port: settings.link_port(),
            description: settings.description.clone(),
            timing: Timing {
                check_interval_ms: shadow.check_interval,
                takeover_delay_ms: shadow.takeover_delay,
                connect_timeout_ms: shadow.connect_timeout,
                request_timeout_ms: shadow.request_timeout,
            },
        }
    }

    async fn probe(&self, host: Option<String>, port: Option<u16>) -> OrderOutcome {
        let settings = self.settings.in_force();
        let host = match host.or_else(|| settings.shadow.master_hosts.first().cloned()) {
            Some(host) => host,
            None => return Err(no_master_host()),
        };
        let port = port.unwrap_or(settings.shadow.master_port);
        self.net.probe(&host, port, self.pair_hello(&settings)).await.map(|probed| Reply::MasterSeen(probed.seen))
    }

    async fn pair(&self, actor: Actor, user: String, password: Secret, fingerprint: Fingerprint) -> OrderOutcome {
        let status = Arc::clone(&self.shared.status.borrow());
        if status.role != Some(Role::Shadow) {
            return Err(Problem::new(
                "This instance cannot be paired from here",
                format!("it is {}", status.role.map_or("without a role", Role::word)),
                "Pair from the shadow: `standin shadow connect` there.",
            ));
        }
        if status.peer.as_ref().is_some_and(|peer| peer.connected_since.is_some()) {
            return Err(Problem::new(
                "Not paired again",
                "the shadow is connected to its master",
                "Disconnect it first if you mean to pair it anew: `standin shadow disconnect`.",
            ));
        }
        let settings = self.settings.in_force();
        if settings.shadow.master_hosts.is_empty() {
            return Err(no_master_host());
        }
        self.note(
            &actor,
            EventKind::Order,
            format!("pairing with {} ordered", settings.shadow.master_hosts.join(", ")),
        );
        let (hosts, port) = (settings.shadow.master_hosts.clone(), settings.shadow.master_port);
        let hello = self.pair_hello(&settings);
        let paired = self.net.pair(&hosts, port, fingerprint, (user, password), hello).await?;
        let identity = Arc::clone(&self.identity);
        let der = paired.certificate;
        blocking(move || identity.save_peer(&der)).await?;
        let (order, answer) = self.shared.expect_answer()?;
        let input = Input::PairGranted { order, grant: Box::new(paired.grant), fingerprint, address: paired.address };
        let stopping =
            || Problem::new("The pairing was not finished", "the engine is stopping", "Start it and connect again.");
        self.shared.inputs.send(input).await.map_err(|_| stopping())?;
        answer.await.map_err(|_| stopping())?
    }
}

/// The content of a file that an operator is about to put.
fn keep_content(mirror: &MirrorDesk, bytes: Vec<u8>) -> OrderOutcome {
    let size = bytes.len() as u64;
    if size > APPLIED_FILE_MAX_BYTES {
        return Err(Problem::new(
            "The file was not taken",
            format!("it has {size} bytes, at most {APPLIED_FILE_MAX_BYTES} go this way"),
            "Copy it into the mirrored directory: it becomes a revision by itself.",
        ));
    }
    mirror.mirror().keep_content(bytes).map(Reply::Kept)
}

fn no_master_host() -> Problem {
    Problem::new(
        "No master to connect to",
        "no master host is set",
        "Set it: `standin shadow edit --master-host NAME --master-port N`, or `e` in the console.",
    )
}

async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, Problem> + Send + 'static) -> Result<T, Problem> {
    spawn_blocking(work).await.unwrap_or_else(|error| {
        Err(Problem::new("The order failed", format!("its thread ended: {error}"), "Look at the program log."))
    })
}
