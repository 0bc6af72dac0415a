//! How a cause is recognised: a rule, and what it finds.
//!
//! A rule judges from the facts alone. After a failure only the rules whose messages were heard are asked; before a launch
//! all of them are, and what has [`Confidence::High`] will stop the sandbox, what has [`Confidence::Medium`] may.

use super::case::Case;
use super::evidence::{self, Seen, Sight, Words};
use super::finding::Confidence::{High, Low, Medium};
use super::finding::{Bearing, Confidence, Evidence, Finding};
use super::usual::{MISSING, Rank};
use super::{Cause, Remedy, wish};
use crate::bwrap::Message;
use crate::host::Fact;
use crate::sandbox::Plan;
use crate::visible::line;

/// How a cause is recognised and what helps.
pub(super) struct Rule {
    pub(super) cause: Cause,
    /// The messages that it explains: their [patterns](crate::Message::pattern), and the error numbers that they come with
    /// (any, if empty).
    pub(super) messages: &'static [(&'static [&'static str], &'static [i32])],
    /// Whether it can be foreseen.
    pub(super) when: When,
    /// What the sandbox must ask for: before a launch nothing stands in the way of what is not asked for.
    pub(super) asks: &'static [fn(&Plan) -> bool],
    /// The operation of the sandbox that it is about, if there is one of that kind.
    pub(super) about: fn(&Plan) -> Option<usize>,
    /// What to look at or to try, that would prove it wrong; empty where the judge says it, with names and paths.
    pub(super) refuted_by: &'static [&'static str],
    /// Weighs the facts; `None` if they rule it out, or if nothing speaks for it before a launch.
    pub(super) judge: fn(&Case<'_>) -> Option<Judgement>,
    /// What helps, least privilege first.
    pub(super) remedies: fn(&Case<'_>) -> Vec<Remedy>,
}

/// A table of rules: `Cause, When, [message, message => (error numbers); ..], unless "what would refute it" => judge, remedies;`.
/// Messages without error numbers stand for any; `about` names the field of the plan that has the operation, `if` says what the
/// plan must be to be asked before a launch. Where the remedies are those of the cause's own text, and nothing is to be filled in,
/// the row does not name them.
macro_rules! rules {
    ($($cause:ident, $when:ident $(about $about:ident)? $(if $asks:expr)?, $messages:tt $(, unless $refuted:expr)?
        => $judge:expr $(, $remedies:expr)?;)+) => {
        pub(in crate::diagnosis) const RULES: &[crate::diagnosis::weigh::Rule] = &[$(crate::diagnosis::weigh::Rule {
            cause: crate::diagnosis::Cause::$cause,
            messages: crate::diagnosis::weigh::messages!($messages),
            when: crate::diagnosis::weigh::When::$when,
            asks: &[$($asks)?],
            about: |_plan| None$(.or(_plan.$about))?,
            refuted_by: &[$($refuted)?],
            judge: $judge,
            remedies: crate::diagnosis::weigh::remedies!($cause $($remedies)?),
        }),+];
    };
}
pub(super) use rules;

/// The messages of a row, or `in` a constant that several rows share.
macro_rules! messages {
    ([in $list:ident $(=> $numbers:tt)?]) => { &[($list, crate::diagnosis::weigh::numbers!($($numbers)?))] };
    ([$($($text:expr),+ $(=> $numbers:tt)?);*]) => {
        &[$((&[$($text),+], crate::diagnosis::weigh::numbers!($($numbers)?))),*]
    };
}
pub(super) use messages;

/// Error numbers by their names in libc, or a constant that several messages share.
macro_rules! numbers {
    () => { &[] };
    (($($name:ident)+)) => { &[$(libc::$name),+] };
    ($shared:ident) => { $shared };
}
pub(super) use numbers;

/// What helps: without a word about it all that the cause's own text has.
macro_rules! remedies {
    ($cause:ident) => {
        |_case| crate::diagnosis::Remedy::of(crate::diagnosis::Cause::$cause)
    };
    ($cause:ident $remedies:expr) => {
        $remedies
    };
}
pub(super) use remedies;

/// When a rule is asked.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum When {
    /// After a failure, and before a launch.
    Anytime,
    /// After a failure only: nothing shows it before.
    Failed,
}

/// Stands for every message of bwrap's: what one error number means, whatever it ends.
pub(super) const ANY: &str = "any message";

/// Stands for a message where bwrap itself could not be started, and so said nothing.
pub(super) const LAUNCH: &str = "";

/// Stands for a message where SIGSYS ended bwrap, or what it had started, before anything was said.
pub(super) const KILLED: &str = "killed by SIGSYS";

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

/// Ends a judge where nobody knows what would decide: after a failure the cause is left open, before a launch nothing speaks for it.
pub(super) fn open(case: &Case<'_>, confidence: Confidence, what: impl Words) -> Option<Judgement> {
    case.failed().then(|| weigh(confidence).unknown(what))
}

impl Judgement {
    /// What would prove the cause wrong, where the rule cannot say it: names, paths.
    pub(super) fn refuted_by(mut self, text: impl Words) -> Self {
        self.refuted_by = text.words();
        self
    }

    /// Another confidence, where more was seen.
    pub(super) fn confidence(mut self, confidence: Confidence) -> Self {
        self.confidence = confidence;
        self
    }

    /// The message itself.
    pub(super) fn said(self, case: &Case<'_>) -> Self {
        self.pro(evidence::said(case))
    }

    /// What bwrap, its loader or the kernel answered, and that speaks for the cause.
    pub(super) fn heard(self, case: &Case<'_>, text: impl Words) -> Self {
        self.pro(evidence::heard(case, text))
    }

    /// What the sandbox asks for, and that speaks for the cause.
    pub(super) fn asked(self, case: &Case<'_>, text: impl Words) -> Self {
        self.pro(evidence::asked(case, text))
    }

    /// What a fact shows, and that speaks for the cause.
    pub(super) fn seen<T>(self, fact: &Fact<T>, text: impl Words) -> Self {
        self.pro(evidence::seen(fact, text))
    }

    /// What a fact shows, and that speaks for the cause; where it shows nothing, what would decide.
    pub(super) fn seen_or<T>(self, fact: &Fact<T>, text: Option<impl Words>, otherwise: impl Words) -> Self {
        if text.is_some() { self.seen(fact, text) } else { self.unknown(otherwise) }
    }

    /// What a fact shows, and that speaks against the cause.
    pub(super) fn seen_against<T>(self, fact: &Fact<T>, text: impl Words) -> Self {
        self.contra(evidence::seen(fact, text))
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
        self.sighted(sight, Bearing::For, Bearing::Against)
    }

    /// What speaks against the cause if it is so, for it if not, and would decide if nobody knows.
    pub(super) fn if_not(self, sight: Sight) -> Self {
        self.sighted(sight, Bearing::Against, Bearing::For)
    }

    fn sighted(mut self, sight: Sight, so: Bearing, otherwise: Bearing) -> Self {
        let bearing = sight.answer.map_or(Bearing::Unknown, |answer| if answer { so } else { otherwise });
        self.evidence.push(Evidence { bearing, text: sight.text() });
        self
    }

    /// Something that could not be seen, and would decide.
    pub(super) fn unknown(mut self, text: impl Words) -> Self {
        self.evidence.extend(text.words().map(|text| Evidence { bearing: Bearing::Unknown, text }));
        self
    }

    /// What the cause is here, instead of its title: names, paths, numbers. A line without a full stop.
    pub(super) fn summary(mut self, text: impl Words) -> Self {
        self.summary = text.words().map(|text| line(&text).into_owned()).or(self.summary);
        self
    }

    /// The operation of the sandbox that it is about.
    pub(super) fn operation(mut self, index: Option<usize>) -> Self {
        self.operation = index;
        self
    }

    /// Whether more than the message speaks for it.
    fn has_seen(&self, case: &Case<'_>) -> bool {
        let said = evidence::said(case).map(Seen::text);
        self.evidence.iter().any(|it| it.bearing == Bearing::For && Some(&it.text) != said.as_ref())
    }

    pub(super) fn finding(self, cause: Cause, remedies: Vec<Remedy>) -> Finding {
        let Self { confidence, summary, evidence, refuted_by, operation } = self;
        let summary = summary.unwrap_or_else(|| cause.title().to_owned());
        let refuted_by = refuted_by.into_iter().collect();
        Finding { cause, confidence, summary, evidence, refuted_by, remedies, operation }
    }
}

fn said(message: &Message) -> [Option<&'static str>; 2] {
    [message.pattern(), message.reason()]
}

impl Rule {
    /// Whether it can explain what was said.
    pub(super) fn explains(&self, case: &Case<'_>) -> bool {
        if let Some(errno) = case.not_started {
            return self.heard([Some(LAUNCH), None]).any(|numbers| numbers.contains(&errno));
        }
        if case.killed() {
            return self.heard([Some(KILLED), None]).next().is_some();
        }
        let Some(message) = case.message() else { return false };
        let errno = message.errno().and_then(crate::bwrap::message::Errno::code);
        let fits = |numbers: &[i32]| errno.is_some_and(|errno| numbers.contains(&errno));
        let whatever = self.heard([Some(ANY), None]).any(fits);
        whatever
            || self.heard(said(message)).any(|numbers| numbers.is_empty() || case.cut_off() || fits(numbers))
    }

    /// The error numbers that each of its messages comes with, of those that were heard.
    fn heard(&self, said: [Option<&'static str>; 2]) -> impl Iterator<Item = &'static [i32]> {
        let is = move |pattern: &&str| said.contains(&Some(*pattern));
        let heard = self.messages.iter().filter(move |(patterns, _)| patterns.iter().any(is));
        heard.map(|(_, numbers)| *numbers)
    }

    /// What it finds; `None` if it is ruled out.
    pub(super) fn find(&self, case: &Case<'_>) -> Option<Finding> {
        self.weighed(case).map(|(finding, _)| finding)
    }

    /// The same, and how it ranks among what is as sure.
    pub(super) fn weighed(&self, case: &Case<'_>) -> Option<(Finding, Rank)> {
        if !case.failed() && (self.when == When::Failed || !self.asks.iter().all(|asks| case.plans(asks))) {
            return None;
        }
        let mut judgement = (self.judge)(case)?;
        let cut_off = case.message().filter(|_| case.cut_off() && !self.messages.is_empty());
        let rank = cut_off.map(|message| {
            let answers: Vec<&[i32]> = self.heard(said(message)).collect();
            let rank = Rank::of(message, &answers, judgement.confidence);
            // the answer would decide, unless facts do
            if answers.iter().all(|numbers| !numbers.is_empty()) {
                let seen = judgement.confidence == High && judgement.has_seen(case);
                judgement.confidence = if seen { Medium } else { Low };
                let missing = Evidence { bearing: Bearing::Unknown, text: MISSING.to_owned() };
                judgement.evidence.insert(0, missing);
            }
            rank
        });
        judgement.operation = judgement.operation.or_else(|| (self.about)(case.plan.as_ref()?));
        judgement.refuted_by =
            judgement.refuted_by.or_else(|| self.refuted_by.first().map(ToString::to_string));
        Some((judgement.finding(self.cause, self.remedies(case)), rank.unwrap_or_default()))
    }

    /// What helps, in the words of whoever is to do it here.
    pub(super) fn remedies(&self, case: &Case<'_>) -> Vec<Remedy> {
        wish::fit(case, (self.remedies)(case))
    }
}
