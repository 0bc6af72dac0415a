//! What else bwrap said: messages of other launches in the same text, or what its other processes said of the same failure.

use super::{Case, Cause, Symptom, explain};
use crate::bwrap::{Message, Severity};

/// A message beside the one that is explained.
///
/// ```
/// use bwrap_launch::diagnosis::{Cause, Symptom, diagnose};
/// use bwrap_launch::host::Host;
/// let log = b"bwrap: setting up uid map: Permission denied\nbwrap: execvp mak: No such file or directory\n";
/// let diagnosis = diagnose(&Symptom::from_text(log), &Host::default(), None);
/// assert_eq!(diagnosis.message.as_deref(), Some("bwrap: setting up uid map: Permission denied"));
/// assert_eq!(diagnosis.also[0].message, "bwrap: execvp mak: No such file or directory");
/// assert_eq!(diagnosis.also[0].cause, Some(Cause::ProgramMissing));
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct AlsoSaid {
    /// The message, with `bwrap: ` in front.
    pub message: String,
    /// Its likeliest cause; `None` for a warning, and where nothing is known to explain it.
    pub cause: Option<Cause>,
}

impl AlsoSaid {
    /// What a case has beside the decisive message, each once.
    pub(super) fn of(case: &Case<'_>) -> Vec<Self> {
        let messages = case.symptom.map_or(&[][..], |symptom| &symptom.messages);
        let mut told: Vec<&Message> = case.message().into_iter().collect();
        let mut also = Vec::new();
        for message in messages.iter().filter(|message| message.is_own()) {
            if !told.iter().any(|other| other.text() == message.text()) {
                told.push(message);
                also.push(Self { message: format!("bwrap: {message}"), cause: cause(case, message) });
            }
        }
        also
    }
}

/// The likeliest cause of a message alone.
fn cause(case: &Case<'_>, message: &Message) -> Option<Cause> {
    if message.severity() == Severity::Warning || message.pattern().is_none() {
        return None;
    }
    let symptom = Symptom { messages: vec![message.clone()], ..Symptom::default() };
    let causes = explain(&Case::new(Some(&symptom), case.host, case.sandbox));
    causes.first().map(|finding| finding.cause).filter(|cause| *cause != Cause::Unexplained)
}

#[cfg(test)]
mod tests {
    use super::super::diagnose;
    use super::*;
    use crate::host::Host;

    #[test]
    fn each_failure_of_a_text_is_told() {
        for (text, also) in [
            (
                "bwrap: setting up uid map: Operation not permitted bwrap: execvp x: No such file or directory",
                &[("bwrap: execvp x: No such file or directory", "EX02")][..],
            ),
            (
                "bwrap: pivot_root: Operation not permittedbwrap: setting up uid map: Permission denied",
                &[("bwrap: setting up uid map: Permission denied", "UM02")],
            ),
            (
                "[\"bwrap: pivot_root: Invalid argument\", \"bwrap: Can't find source path /a: No such file or directory\"]",
                &[("bwrap: Can't find source path /a: No such file or directory", "BD01")],
            ),
            (
                "$ one\nbwrap: pivot_root: Invalid argument\n$ two\nbwrap: execvp x: No such file or directory\nbwrap: new words",
                &[("bwrap: execvp x: No such file or directory", "EX02"), ("bwrap: new words", "")],
            ),
            // the same once more, a title, a path with the name in it, and one name before another
            (
                "bwrap: setting up uid map: Permission denied bwrap: setting up uid map: Permission denied",
                &[],
            ),
            ("bwrap: setting up uid map\nbwrap: setting up uid map: Permission denied", &[]),
            ("bwrap: Can't find source path /a/bwrap: b: No such file or directory", &[]),
            ("bwrap: execvp bwrap: No such file or directory", &[]),
            ("bwrap: bwrap: setting up uid map: Permission denied", &[]),
            ("E: bwrap: setting up uid map: Permission denied (bwrap: 0.8.0)", &[]),
        ] {
            let diagnosis = diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None);
            let told: Vec<(&str, &str)> = diagnosis
                .also
                .iter()
                .map(|it| (it.message.as_str(), it.cause.map_or("", Cause::code)))
                .collect();
            assert_eq!(told, also, "{text}");
            for (message, _) in also {
                let line = format!("Also said: {message}");
                assert!(
                    diagnosis.brief().contains(&line) && diagnosis.to_string().contains(&line),
                    "{diagnosis}"
                );
            }
        }
    }
}
