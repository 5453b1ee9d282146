//! What a pair costs that has nothing to do: checks every second, nobody attached.

use std::collections::BTreeMap;
use std::process::Command;
use std::time::Duration;

use crate::figures::Row;
use crate::instance::Instance;
use crate::pair::{Pair, settled};
use crate::{Fail, Rounds, clock, machine};

/// After the pair is settled, before the measurement: what a start leaves to do is done.
const REST: Duration = Duration::from_secs(3);

pub fn measure(rounds: &Rounds) -> Result<Vec<Row>, Fail> {
    let pair = Pair::ready(&[])?;
    settled(&pair.a, &pair.b)?;
    clock::pass(REST)?;
    let sides = [("master", &pair.a), ("shadow", &pair.b)];
    let mut before = Vec::new();
    for (_, instance) in sides {
        before.push((machine::processor_s(instance.process()?)?, machine::processor_s(guard(instance)?)?));
    }
    let sent_before = sent_bytes(pair.a.port);
    clock::pass(Duration::from_secs(rounds.idle_s))?;
    let mut rows = Vec::new();
    for ((name, instance), (own_before, guard_before)) in sides.into_iter().zip(before) {
        let (process, guard) = (instance.process()?, guard(instance)?);
        let own_s = machine::processor_s(process)? - own_before;
        let guard_s = machine::processor_s(guard)? - guard_before;
        let note = format!("its guard: {:.1} MB", machine::resident_mb(guard)?);
        rows.push(Row::single(format!("resident memory, idle {name}"), "MB", machine::resident_mb(process)?, note));
        let what = format!("processor time, idle {name}, {} s", rounds.idle_s);
        rows.push(Row::single(what, "s", own_s, format!("checks every 1 s; its guard: {guard_s:.2} s; to the 10 ms")));
    }
    if let (Some(before), Some(after)) = (sent_before, sent_bytes(pair.a.port)) {
        // Seen from both ends, so this is both directions; a connection made meanwhile counts whole.
        let sent: u64 = after.iter().map(|(end, bytes)| bytes - before.get(end).unwrap_or(&0).min(bytes)).sum();
        let bytes = clock::ms_between(0, sent * 1_000_000);
        let what = format!("bytes of the link, both directions, {} s", rounds.idle_s);
        rows.push(Row::single(what, "bytes", bytes, "TCP payload: TLS records with checks and answers"));
    }
    Ok(rows)
}

/// The process that holds the service.
fn guard(instance: &Instance) -> Result<u32, Fail> {
    let children = machine::children(instance.process()?)?;
    children.first().copied().ok_or_else(|| format!("{} has no guard", instance.name).into())
}

/// Payload sent so far by each end of each connection to `port`; none where there is no `ss` to tell.
fn sent_bytes(port: u16) -> Option<BTreeMap<String, u64>> {
    let filter = format!("( sport = :{port} or dport = :{port} )");
    let output = Command::new("ss").args(["-tinHO", "state", "established", &filter]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok().filter(|_| output.status.success())?;
    let mut found = BTreeMap::new();
    for line in text.lines() {
        let mut fields = line.split_whitespace().skip(2);
        let (from, to) = (fields.next()?, fields.next()?);
        let sent = line.split_whitespace().find_map(|field| field.strip_prefix("bytes_sent:"));
        found.insert(format!("{from} {to}"), sent.and_then(|bytes| bytes.parse().ok()).unwrap_or(0));
    }
    Some(found)
}
