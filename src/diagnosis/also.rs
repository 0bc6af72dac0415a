//! What else bwrap said: messages of other launches in the same text, or what its other processes said of the same failure.

use std::collections::HashSet;
use std::ffi::OsStr;

use super::cause::Cause;
use super::finding::{AlsoSaid, Finding};
use super::symptom::Symptom;
use crate::bwrap::Severity;

/// So many are explained; of a whole log of failures the rest is named.
const MOST_EXPLAINED: usize = 64;

/// What is said beside the decisive message, each once, as `explain` explains each alone.
pub(super) fn also(symptom: &Symptom, explain: impl Fn(&Symptom) -> Vec<Finding>) -> Vec<AlsoSaid> {
    let mut also = Vec::new();
    // what others say alone is told as the message
    let Some(first) = symptom.message() else { return also };
    let mut told: HashSet<&OsStr> = HashSet::from([first.text()]);
    for message in &symptom.messages {
        if !told.insert(message.text()) {
            continue;
        }
        let few = also.len() < MOST_EXPLAINED;
        let known = !message.is_own() || message.severity() == Severity::Fatal && message.pattern().is_some();
        let alone = if message.is_own() {
            Symptom { messages: vec![message.clone()], ..Symptom::default() }
        } else {
            Symptom::from_text(message.text().as_encoded_bytes())
        };
        let cause = (known && few).then(|| explain(&alone).first().map(|finding| finding.cause)).flatten();
        let cause = cause.filter(|cause| *cause != Cause::Unexplained);
        let name = if message.is_own() { "bwrap: " } else { "" };
        also.push(AlsoSaid { message: format!("{name}{message}"), cause });
    }
    also
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
            (
                "bash: line 1: bwrap: command not found\nbwrap: pivot_root: Invalid argument\nmake: *** [all] Error 1",
                &[("bash: line 1: bwrap: command not found", "CP07")],
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
