//! What the dynamic loader says before any of bwrap's own code runs.

use crate::diagnosis::causes::cp::path;
use crate::diagnosis::causes::prelude::*;

/// The program that the loader complains of, if it names one, and what about.
fn loader_complaint(message: &Message) -> (Option<String>, String) {
    let text = message.text().to_string_lossy().into_owned();
    let marks = ["error while loading shared libraries: ", "symbol lookup error: "];
    for mark in marks {
        if let Some((program, complaint)) = text.split_once(mark) {
            let program = program.trim_end_matches([':', ' ']);
            return (Some(program.to_owned()).filter(|program| !program.is_empty()), complaint.to_owned());
        }
    }
    match text.split_once(": version `") {
        Some((program, _)) => (Some(program.to_owned()), text.clone()),
        None => (None, text),
    }
}

pub(in crate::diagnosis) fn loader_failed(case: &Case<'_>) -> Option<Judgement> {
    let (program, complaint) = loader_complaint(case.symptom?.message()?);
    let judgement = |confidence| {
        weigh(confidence)
            .refuted_by("`bwrap --version` in the same environment prints a version")
            .summary(format!("the dynamic loader cannot load bwrap: {complaint}"))
            .heard(case, "it is the loader's message: none of bwrap's own code ran")
    };
    let other = program.filter(|program| !program.contains("bwrap"));
    Some(match other {
        None => judgement(High),
        Some(program) => judgement(Low).contra(evidence::heard(
            case,
            format!("the message names {program}, which may be the command instead of bwrap"),
        )),
    })
}

pub(in crate::diagnosis) fn mend_libraries(case: &Case<'_>) -> Vec<Remedy> {
    let path = path(case);
    vec![told!("install-libraries", path), told!("no-library-path")]
}
