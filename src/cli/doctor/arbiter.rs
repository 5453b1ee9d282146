//! Whether the third vote answers (spec 7.11). Only reads.

use super::Finding;
use crate::cli::home::Context;
use crate::cli::rooms;
use crate::engine::settings::Settings;
use crate::engine::status::LinkStep;

const ABOUT: &str = "arbiter";

/// One finding for each endpoint; none where no arbiter is configured.
pub fn look(context: &Context, settings: &Settings) -> Vec<Finding> {
    if !settings.arbiter.is_set() {
        return Vec::new();
    }
    match rooms::test_arbiter(&context.home, settings, false) {
        Ok(found) => judge(&found),
        Err(problem) => vec![Finding::fail(ABOUT, problem.why, problem.todo)],
    }
}

/// One endpoint of several may be away: the others are asked.
fn judge(found: &[(String, Vec<LinkStep>)]) -> Vec<Finding> {
    let failed = |steps: &[LinkStep]| steps.iter().find(|step| step.ok != Some(true)).cloned();
    let answers = found.iter().any(|(_, steps)| failed(steps).is_none());
    let finding = |(endpoint, steps): &(String, Vec<LinkStep>)| match failed(steps) {
        None => {
            let last = steps.last().map_or("", |step| &step.message);
            Finding::ok(ABOUT, format!("{endpoint}: {last}"))
        }
        Some(step) => {
            let text = format!("{endpoint}: {}: {}", step.name, step.message);
            if answers {
                Finding::warn(ABOUT, text, "Another endpoint answers. Each step: standin ha test-arbiter")
            } else {
                let todo = "Without it no takeover is possible. Each step: standin ha test-arbiter";
                Finding::fail(ABOUT, text, todo)
            }
        }
    };
    found.iter().map(finding).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::doctor::Verdict;

    /// spec 7.11: losing one endpoint of several is no more than worth a look, losing all means no takeover.
    #[test]
    fn one_endpoint_that_answers_suffices() {
        let one = |name: &str, ok: bool| {
            let step = LinkStep { name: "TCP".into(), ok: Some(ok), message: "refused".into() };
            (format!("https://{name}:2379"), vec![step])
        };
        let verdicts =
            |found: &[(String, Vec<LinkStep>)]| judge(found).iter().map(|one| one.verdict).collect::<Vec<_>>();
        assert_eq!(verdicts(&[one("a", true), one("b", false)]), [Verdict::Ok, Verdict::Warn]);
        assert_eq!(verdicts(&[one("a", false), one("b", false)]), [Verdict::Fail, Verdict::Fail]);
        let text = &judge(&[one("a", false)])[0].found;
        assert_eq!(text, "https://a:2379: TCP: refused");
    }
}
