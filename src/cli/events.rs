//! `standin events`: what happened, oldest first.

use clap::Args;

use super::client::{Client, unexpected};
use super::home::Context;
use super::output::{Exit, Failure, Outcome, Output, Paint};
use crate::engine::base::Problem;
use crate::engine::event::{Event, Severity};
use crate::engine::order::{Order, Reply, ServerFrame};

/// Events asked for at once.
const PAGE: u32 = 500;
/// Pages read at most: more than any instance keeps.
const PAGES_MAX: usize = 10_000;

/// `standin events`.
#[derive(Debug, Args)]
pub struct EventsArguments {
    /// Go on with new ones
    #[arg(long)]
    pub follow: bool,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// Prints every event that is kept, then the new ones if asked for.
///
/// # Errors
/// When the instance is gone.
pub fn run(context: &Context, arguments: &EventsArguments, out: &mut Output) -> Outcome {
    let mut client = Client::connect(&context.home)?;
    let mut after = 0;
    for _ in 0..PAGES_MAX {
        let Reply::Events(mut events) = client.order(Order::Events { after, limit: PAGE })? else {
            return Err(unexpected().into());
        };
        let is_last = events.len() < PAGE as usize;
        print_new(&mut events, &mut after, arguments.json, out)?;
        if is_last {
            break;
        }
    }
    if !arguments.follow {
        return Ok(Exit::Done);
    }
    client.subscribe(after)?;
    out.flush()?;
    while let Some(frame) = client.next_frame_wanted()? {
        if let ServerFrame::Events(mut events) = frame {
            print_new(&mut events, &mut after, arguments.json, out)?;
            out.flush()?;
        }
    }
    Err(Failure::NotRunning(Problem::new(
        "No more events: the instance is gone",
        "it closed its control socket",
        "It was stopped, or it failed: look at its log.",
    )))
}

/// Each event once, in order, whatever overlaps.
fn print_new(events: &mut [Event], after: &mut u64, is_json: bool, out: &mut Output) -> Result<(), Failure> {
    events.sort_by_key(|event| event.id);
    for event in events.iter().filter(|event| event.id > *after) {
        if is_json {
            out.json_line(event)?;
        } else {
            print(event, out)?;
        }
    }
    *after = events.last().map_or(*after, |event| event.id.max(*after));
    Ok(())
}

fn print(event: &Event, out: &mut Output) -> Result<(), Failure> {
    let paint = match event.severity {
        Severity::Error => Paint::Error,
        Severity::Warning => Paint::Warning,
        Severity::Information => Paint::Plain,
    };
    let who = event.who.as_deref().map_or(String::new(), |who| format!("  ({who})"));
    out.pieces(&[
        (&event.at.rfc3339(1), Paint::Plain),
        (&format!("  {:<7}", event.severity.word()), paint),
        (&format!("  {:<13}  {}{who}", event.kind.word(), event.text), Paint::Plain),
    ])?;
    // A change of roles is one block: what led to it stands indented under it.
    for line in event.timeline_text() {
        out.line(&format!("    {line}"))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::output::testing::output;
    use crate::engine::base::UnixMillis;
    use crate::engine::event::EventKind;
    use crate::engine::status::TimelineEntry;

    fn event(id: u64) -> Event {
        let at = UnixMillis(1_795_356_000_250);
        let text = format!("event {id}");
        Event {
            id,
            at,
            kind: EventKind::Role,
            severity: Severity::Warning,
            text,
            who: Some("ops".into()),
            timeline: Vec::new(),
        }
    }

    #[test]
    fn each_event_is_printed_once_and_in_order() {
        let (mut out, written) = output();
        let mut after = 0;
        print_new(&mut [event(2), event(1)], &mut after, false, &mut out).unwrap();
        print_new(&mut [event(2), event(3)], &mut after, false, &mut out).unwrap();
        let line = |id| format!("2026-11-22T14:00:00.2Z  WARNING  role           event {id}  (ops)\n");
        assert_eq!(written.text(), (1..=3).map(line).collect::<String>());
        assert_eq!(after, 3);
    }

    /// screens, Events: the timeline of a change of roles is one indented block, to the millisecond.
    #[test]
    fn a_change_of_roles_is_one_block() {
        let (mut out, written) = output();
        let entry = |ms: i64, text: &str| TimelineEntry { at: UnixMillis(1_795_356_000_000 + ms), text: text.into() };
        let timeline = vec![entry(0, "last check answered"), entry(1_004, "check failed")];
        print_new(&mut [Event { timeline, ..event(1) }], &mut 0, false, &mut out).unwrap();
        let block: Vec<String> = written.text().lines().skip(1).map(str::to_owned).collect();
        assert_eq!(
            block,
            ["    14:00:00.000Z              last check answered", "    14:00:01.004Z    +1004 ms  check failed"]
        );
    }

    #[test]
    fn json_is_one_object_a_line() {
        let (mut out, written) = output();
        print_new(&mut [event(1)], &mut 0, true, &mut out).unwrap();
        assert_eq!(serde_json::from_str::<Event>(written.text().trim_end()).unwrap(), event(1));
    }
}
