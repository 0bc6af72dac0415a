//! What the dynamic loader says before any of bwrap's own code runs.

use crate::diagnosis::causes::cp::path;
use crate::diagnosis::causes::prelude::*;

/// The program that the loader complains of, if it names one, and what about.
fn loader_complaint(message: &Message) -> (Option<String>, String) {
    let text = message.text().to_string_lossy();
    let marks = ["error while loading shared libraries: ", "symbol lookup error: "];
    if let Some((program, complaint)) = marks.iter().find_map(|mark| text.split_once(mark)) {
        let program = program.trim_end_matches([':', ' ']);
        return (Some(program.to_owned()).filter(|program| !program.is_empty()), complaint.to_owned());
    }
    (text.split_once(": version `").map(|(program, _)| program.to_owned()), text.into_owned())
}

pub(super) fn loader_failed(case: &Case<'_>) -> Option<Judgement> {
    let (program, complaint) = loader_complaint(case.message()?);
    let other = program.filter(|program| !program.contains("bwrap"));
    let found = weigh(if other.is_some() { Low } else { High })
        .summary(format!("the dynamic loader cannot load bwrap: {complaint}"))
        .heard(case, "it is the loader's message: none of bwrap's own code ran");
    let names = |program| format!("the message names {program}, which may be the command instead of bwrap");
    Some(found.contra(evidence::heard(case, other.map(names))))
}

pub(super) fn mend_libraries(case: &Case<'_>) -> Vec<Remedy> {
    vec![told!(EX10, "install-libraries", path = path(case)), told!(EX10, "no-library-path")]
}
