//! Words that stand for others, which are not known here: a shell's expansions, and what `--args` reads from a descriptor.

use std::ffi::OsString;
use std::os::unix::ffi::{OsStrExt, OsStringExt};

use bwrap_launch::diagnosis::{Confidence, Finding, Outlook, Prediction};
use bwrap_launch::op::Operation;

use super::Line;
use super::operators::OPEN;
use crate::visible;

/// Takes the marks off words that a shell would expand. Returns those words, and where each stands.
pub(super) fn take(words: &mut [OsString]) -> Vec<(usize, OsString)> {
    let marked = words.iter_mut().enumerate().filter(|(_, word)| word.as_bytes().contains(&OPEN));
    let plain = marked.map(|(index, word)| {
        let text = word.as_bytes().iter().copied().filter(|byte| *byte != OPEN);
        *word = OsString::from_vec(text.collect());
        (index, word.clone())
    });
    plain.collect()
}

/// So many are named.
const NAMED: usize = 4;

impl Line {
    /// A prediction without what the unknown words may change.
    pub(crate) fn as_far_as_known(&self, mut prediction: Prediction) -> Prediction {
        if self.unknown.is_empty() {
            return prediction;
        }
        let before = prediction.obstacles.len();
        prediction.obstacles.retain(|finding| self.is_certain(finding));
        let lost = prediction.obstacles.len() < before;
        let sure = prediction.obstacles.iter().any(|finding| finding.confidence == Confidence::High);
        if prediction.obstacles.is_empty() || lost && !sure {
            prediction.outlook = Outlook::Uncertain;
        }
        prediction
    }

    /// Whether it stands in the way whatever the unknown words are: what the host denies, and sources that are named in full. What
    /// is inside, and where, they may change.
    fn is_certain(&self, finding: &Finding) -> bool {
        let code = finding.cause.code();
        let of_files = ["BD", "EX", "MT13"].iter().any(|family| code.starts_with(family));
        !of_files || code == "BD01" && finding.operation.is_some_and(|index| self.names_source(index))
    }

    fn names_source(&self, index: usize) -> bool {
        match self.sandbox.operations().get(index) {
            Some(Operation::Bind(bind)) => {
                !self.unknown.iter().any(|word| word.as_os_str() == bind.source().as_os_str())
            }
            _ => false,
        }
    }

    /// What is said where words are not known.
    pub(crate) fn not_known(&self, prediction: &Prediction) -> Option<String> {
        if self.unknown.is_empty() || prediction.outlook == Outlook::Fails {
            return None;
        }
        let words: Vec<_> = self
            .unknown
            .iter()
            .take(NAMED)
            .map(|word| visible::line(&word.to_string_lossy()).into_owned())
            .collect();
        let (what, stand) = (words.join(", "), if self.unknown.len() == 1 { "stands" } else { "stand" });
        Some(format!(
            "Whether this sandbox starts is not known: {what} {stand} for words that are not known here. Only trying tells: \
             bwrap-doctor check -- LINE, typed where the line is."
        ))
    }
}
