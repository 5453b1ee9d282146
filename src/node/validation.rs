//! The operator's validation command (spec 5.4), run on a change before it is committed.

use std::path::Path;
use std::sync::Arc;

use crate::engine::settings::Validate;
use crate::mirror::{Judge, Rejection};
use crate::service::hooks;

/// Most characters of the command's output that are kept, from its end.
const OUTPUT_CHARS_MAX: usize = 1_500;

/// What asks the command; none: there is none. The mirror's thread calls it, which nothing else waits for.
#[must_use]
pub fn judge(settings: &Validate, directory: &Path) -> Option<Arc<Judge>> {
    if settings.command.is_empty() {
        return None;
    }
    let (settings, directory) = (settings.clone(), directory.display().to_string());
    Some(Arc::new(move |candidate: &Path, changes: &Path| {
        let variables = [
            ("STANDIN_CANDIDATE".to_owned(), candidate.display().to_string()),
            ("STANDIN_CHANGES".to_owned(), changes.display().to_string()),
            ("STANDIN_DIRECTORY".to_owned(), directory.clone()),
        ];
        let (is_good, how, lines) = hooks::run_judge(&settings.command, candidate, &variables, settings.timeout);
        if is_good {
            return Ok(());
        }
        let program = settings.command.first().map_or("", String::as_str);
        Err(Rejection { why: format!("{program}: {how}"), output: last_of(&without_secrets(&lines)) })
    }))
}

/// What the command says goes into alerts, mails and events: values of secret keys do not (spec 5.8).
fn without_secrets(lines: &[String]) -> Vec<String> {
    crate::text::mask::output(&lines.iter().map(String::as_str).collect::<Vec<_>>())
}

/// The lines as one, the last ones where they are too long.
fn last_of(lines: &[String]) -> String {
    let all = lines.iter().map(|line| line.trim()).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ");
    let count = all.chars().count();
    match count.checked_sub(OUTPUT_CHARS_MAX).filter(|more| *more > 0) {
        None => all,
        Some(more) => format!("… {}", all.chars().skip(more).collect::<String>()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn judged(script: &str, timeout: u64) -> Result<(), Rejection> {
        let home = tempfile::tempdir().unwrap();
        std::fs::write(home.path().join("a"), "1").unwrap();
        std::fs::write(home.path().join("changes"), "M a\n").unwrap();
        let command = ["sh", "-c", script].map(str::to_owned).to_vec();
        let judge = judge(&Validate { command, timeout }, Path::new("/etc")).unwrap();
        judge(home.path(), &home.path().join("changes"))
    }

    /// spec 5.4: in the candidate, told what changed, and its output tells why
    #[test]
    fn the_command_sees_the_candidate_and_says_why() {
        let good = "test -e a && test \"$(cat $STANDIN_CHANGES)\" = 'M a' && test $STANDIN_DIRECTORY = /etc \
                    && test $(pwd -P) = $(cd $STANDIN_CANDIDATE && pwd -P)";
        assert_eq!(judged(good, 20_000), Ok(()));
        let rejection = judged("echo a: port 70000; echo is no port >&2; exit 3", 20_000).unwrap_err();
        assert_eq!(rejection.why, "sh: exit status 3");
        assert!(rejection.output.contains("a: port 70000") && rejection.output.contains("is no port"), "{rejection:?}");
        let secret = judged("echo 'a.yaml:3: password: hunter2 is too short'; echo port: 70000; exit 1", 20_000);
        let output = secret.unwrap_err().output;
        assert!(!output.contains("hunter2") && output.contains("a.yaml:3: password:"), "{output}");
        assert!(output.contains("port: 70000"), "{output}");
        let slow = judged("sleep 60 & sleep 60", 100).unwrap_err();
        assert!(slow.why.contains("time limit"), "{slow:?}");
        let long = judged("for n in $(seq 90); do echo line $n with some more words in it; done; exit 1", 20_000);
        let output = long.unwrap_err().output;
        assert!(output.starts_with("… ") && output.ends_with("line 90 with some more words in it"), "{output}");
        assert!(output.chars().count() <= OUTPUT_CHARS_MAX + 2);
        let nothing = Validate { command: vec!["/does/not/exist".into()], timeout: 1_000 };
        let missing = judge(&nothing, Path::new("/etc")).unwrap()(Path::new("/"), Path::new("/x")).unwrap_err();
        assert!(missing.why.starts_with("/does/not/exist: "), "{missing:?}");
        assert!(judge(&Validate::default(), Path::new("/etc")).is_none());
    }
}
