//! `standin doctor`: looks at this machine and this home, and says what to do.

use super::client::Client;
use super::home::Context;
use super::output::{Exit, Failure, Outcome, Output, Paint};
use super::rooms;
use super::text::count;
use crate::engine::status::Status;

mod addresses;
mod arbiter;
mod files;
mod identity;
mod machine;
mod pair;
mod service;

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// As it should be.
    Ok,
    /// Works, but look at it.
    Warn,
    /// Will not work, or is not safe.
    Fail,
}

/// One line of the report.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// How it ended.
    pub verdict: Verdict,
    /// What was looked at.
    pub about: &'static str,
    /// What was found.
    pub found: String,
    /// What to do; empty when nothing.
    pub todo: String,
}

impl Finding {
    fn ok(about: &'static str, found: impl Into<String>) -> Self {
        Self { verdict: Verdict::Ok, about, found: found.into(), todo: String::new() }
    }

    fn warn(about: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { verdict: Verdict::Warn, about, found: found.into(), todo: todo.into() }
    }

    fn fail(about: &'static str, found: impl Into<String>, todo: impl Into<String>) -> Self {
        Self { verdict: Verdict::Fail, about, found: found.into(), todo: todo.into() }
    }
}

/// Prints every finding; exit status 1 if one failed.
///
/// # Errors
/// Those of standard output.
pub fn run(context: &Context, out: &mut Output) -> Outcome {
    let (status, answer) = running(context);
    let mut findings = files::home(context);
    let (settings, of_settings) = files::settings(context);
    findings.extend(of_settings);
    findings.extend(identity::look(&context.home));
    findings.push(answer);
    findings.extend(machine::look(context, settings.as_ref(), status.as_ref()));
    findings.extend(settings.iter().flat_map(service::look));
    findings.extend(files::owners(settings.as_ref(), status.as_ref(), rooms::can_give_files));
    findings.extend(addresses::look(settings.as_ref(), status.as_ref()));
    findings.extend(pair::look(context, status.as_ref()));
    findings.extend(settings.iter().flat_map(|settings| arbiter::look(context, settings)));
    for finding in &findings {
        print(finding, out)?;
    }
    let number = |verdict| findings.iter().filter(|finding| finding.verdict == verdict).count() as u64;
    let (failed, warned) = (number(Verdict::Fail), number(Verdict::Warn));
    out.line(&format!("{}, {}", count(failed, "failure", "failures"), count(warned, "warning", "warnings")))?;
    Ok(if failed > 0 { Exit::No } else { Exit::Done })
}

fn running(context: &Context) -> (Option<Status>, Finding) {
    const ABOUT: &str = "instance";
    match Client::connect(&context.home) {
        Ok(mut client) => match client.status() {
            Ok(status) => {
                let found = format!("running: version {}, process {}", client.version, client.process);
                let finding = if client.version == env!("CARGO_PKG_VERSION") {
                    Finding::ok(ABOUT, found)
                } else {
                    let own = env!("CARGO_PKG_VERSION");
                    Finding::warn(
                        ABOUT,
                        format!("{found}, but this program is {own}"),
                        "Restart it: standin stop --keep-role, then start it.",
                    )
                };
                (Some(*status), finding)
            }
            Err(problem) => (None, Finding::fail(ABOUT, format!("{}: {}", problem.what, problem.why), problem.todo)),
        },
        Err(Failure::NotRunning(problem)) => (None, Finding::ok(ABOUT, format!("not running: {}", problem.why))),
        Err(failure) => {
            let problem =
                failure.problem().map_or_else(String::new, |problem| format!("{}: {}", problem.what, problem.why));
            let todo = failure.problem().map_or_else(String::new, |problem| problem.todo.clone());
            (None, Finding::fail(ABOUT, problem, todo))
        }
    }
}

fn print(finding: &Finding, out: &mut Output) -> Result<(), Failure> {
    let (word, paint) = match finding.verdict {
        Verdict::Ok => ("ok  ", Paint::Plain),
        Verdict::Warn => ("warn", Paint::Warning),
        Verdict::Fail => ("FAIL", Paint::Error),
    };
    out.pieces(&[(word, paint), (&format!("  {:<15}{}", finding.about, finding.found), Paint::Plain)])?;
    for line in finding.todo.lines() {
        out.line(&format!("      {:<15}{line}", ""))?;
    }
    Ok(())
}

#[cfg(test)]
mod tests;
