//! How a cause is recognised: a rule, and what it finds.
//!
//! A rule judges from the facts alone. After a failure only the rules whose messages were heard are asked; before a launch
//! all of them are, and what has [`Confidence::High`] will stop the sandbox, what has [`Confidence::Medium`] may.

use super::evidence::{Seen, Sight};
use crate::diagnosis::case::{Case, Plan};
use crate::diagnosis::finding::{Bearing, Confidence, Evidence, Finding};
use crate::diagnosis::{Cause, Remedy, wish};

/// How a cause is recognised and what helps.
pub(super) struct Rule {
    pub(super) cause: Cause,
    /// The messages that it explains: their [pattern](crate::Message::pattern), and the error numbers that they come with
    /// (any, if empty).
    pub(super) messages: &'static [(&'static str, &'static [i32])],
    /// Whether it can be foreseen.
    pub(super) when: When,
    /// The operation of the sandbox that it is about, if there is one of that kind.
    pub(super) about: fn(&Plan) -> Option<usize>,
    /// What to look at or to try, that would prove it wrong; empty where the judge says it, with names and paths.
    pub(super) refuted_by: &'static str,
    /// Weighs the facts; `None` if they rule it out, or if nothing speaks for it before a launch.
    pub(super) judge: fn(&Case<'_>) -> Option<Judgement>,
    /// What helps, least privilege first.
    pub(super) remedies: fn(&Case<'_>) -> Vec<Remedy>,
}

/// When a rule is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// After a failure, and before a launch.
    Anytime,
    /// After a failure only: nothing shows it before.
    Failed,
}

/// Stands for a message where bwrap itself could not be started, and so said nothing.
pub(super) const LAUNCH: &str = "";

/// What a rule finds.
pub(super) struct Judgement {
    pub(super) confidence: Confidence,
    summary: Option<String>,
    evidence: Vec<Evidence>,
    refuted_by: Option<String>,
    operation: Option<usize>,
}

/// Begins a judgement.
pub(super) fn weigh(confidence: Confidence) -> Judgement {
    Judgement { confidence, summary: None, evidence: Vec::new(), refuted_by: None, operation: None }
}

impl Judgement {
    /// What would prove the cause wrong, where the rule cannot say it: names, paths.
    pub(super) fn refuted_by(mut self, text: impl Into<String>) -> Self {
        self.refuted_by = Some(text.into());
        self
    }

    /// Something seen that speaks for the cause, and where it was seen.
    pub(super) fn pro(self, seen: impl Into<Option<Seen>>) -> Self {
        self.see(Bearing::For, seen.into())
    }

    /// Something seen that speaks against it, without ruling it out.
    pub(super) fn contra(self, seen: impl Into<Option<Seen>>) -> Self {
        self.see(Bearing::Against, seen.into())
    }

    fn see(mut self, bearing: Bearing, seen: Option<Seen>) -> Self {
        self.evidence.extend(seen.map(|seen| Evidence { bearing, text: seen.text() }));
        self
    }

    /// What speaks for the cause if it is so, against it if not, and would decide if nobody knows.
    pub(super) fn if_so(self, sight: Sight) -> Self {
        match sight.either() {
            Ok((true, seen)) => self.pro(seen),
            Ok((false, seen)) => self.contra(seen),
            Err(unknown) => self.unknown(unknown),
        }
    }

    /// Something that could not be seen, and would decide.
    pub(super) fn unknown(mut self, text: impl Into<String>) -> Self {
        self.evidence.push(Evidence { bearing: Bearing::Unknown, text: text.into() });
        self
    }

    /// What the cause is here, instead of its title: names, paths, numbers. A line without a full stop.
    pub(super) fn summary(mut self, text: impl Into<String>) -> Self {
        self.summary = Some(text.into());
        self
    }

    /// The operation of the sandbox that it is about.
    pub(super) fn operation(mut self, index: Option<usize>) -> Self {
        self.operation = index;
        self
    }

    pub(super) fn finding(self, cause: Cause, remedies: Vec<Remedy>) -> Finding {
        let Self { confidence, summary, evidence, refuted_by, operation } = self;
        let summary = summary.unwrap_or_else(|| cause.title().to_owned());
        let refuted_by = refuted_by.into_iter().collect();
        Finding { cause, confidence, summary, evidence, refuted_by, remedies, operation }
    }
}

impl Rule {
    /// What most rules have.
    pub(super) const BASE: Self = Self {
        cause: Cause::Unexplained,
        messages: &[],
        when: When::Anytime,
        about: |_| None,
        refuted_by: "",
        judge: |_| None,
        remedies: |_| Vec::new(),
    };

    /// Whether it can explain what was said.
    pub(super) fn explains(&self, case: &Case<'_>) -> bool {
        let Some(symptom) = case.symptom else { return false };
        if let Some(errno) = case.not_started {
            return self
                .messages
                .iter()
                .any(|(pattern, numbers)| *pattern == LAUNCH && numbers.contains(&errno));
        }
        let Some(message) = symptom.message() else { return false };
        let errno = message.errno().and_then(crate::bwrap::message::Errno::code);
        let fits = |(pattern, numbers): &(&str, &[i32])| {
            let said = message.pattern() == Some(pattern) || message.reason() == Some(pattern);
            said && (numbers.is_empty() || errno.is_some_and(|errno| numbers.contains(&errno)))
        };
        self.messages.iter().any(fits)
    }

    /// What it finds; `None` if it is ruled out.
    pub(super) fn find(&self, case: &Case<'_>) -> Option<Finding> {
        if self.when == When::Failed && !case.failed() {
            return None;
        }
        let mut judgement = (self.judge)(case)?;
        judgement.operation = judgement.operation.or_else(|| (self.about)(case.plan.as_ref()?));
        if !self.refuted_by.is_empty() {
            judgement.refuted_by.get_or_insert_with(|| self.refuted_by.to_owned());
        }
        Some(judgement.finding(self.cause, self.remedies(case)))
    }

    /// What helps, in the words of whoever is to do it here.
    pub(super) fn remedies(&self, case: &Case<'_>) -> Vec<Remedy> {
        wish::fit(case, (self.remedies)(case))
    }
}
