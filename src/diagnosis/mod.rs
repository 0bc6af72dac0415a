//! Why a sandbox does not start, and what to change: pure functions, without any I/O.
//!
//! [`diagnose`] explains what failed; [`predict`] says beforehand what will. Both ask the same rules, one for each
//! [`Cause`], about a snapshot of the [`Host`] and what the sandbox asks of it. What they say is data
//! ([`Diagnosis`], [`Remedy`]) and text (`Display`).
//!
//! A launch that fails is diagnosed already: see [`Failure::diagnosis`](crate::Failure::diagnosis).

mod also;
mod audit;
mod brief;
mod calls;
mod case;
mod cause;
mod causes;
mod confinement;
mod denial;
mod evidence;
mod facts;
mod finding;
#[cfg(test)]
mod fixtures;
#[cfg(test)]
mod golden;
mod handed_on;
mod hint;
#[cfg(feature = "serde")]
mod json;
mod launcher;
mod line;
mod named;
mod need;
mod pasted;
mod prelude;
mod remedy;
mod report;

mod setting;
mod symptom;
#[cfg(test)]
mod tests;
mod told;
mod usual;
mod visible_proc;
mod way;
mod weigh;
mod wish;

use case::Case;
#[cfg(feature = "kubernetes")]
pub(crate) use case::OURS as FILTER_FOR_BWRAP;
pub use cause::{Cause, UnknownCause};
pub use finding::{AlsoSaid, Bearing, Confidence, Diagnosis, Evidence, Finding, Outlook, Prediction};
pub use pasted::diagnose_pasted;
pub use remedy::{
    Action, AppArmorProfile, CiService, ContainerOptions, Engine, PodPatch, Profile, Remedy, RemedyFile,
    SandboxChange, SelinuxModule, SelinuxRule, Sysctl, UnitSettings,
};
pub use symptom::{Symptom, Verdict};

pub use crate::host::inside::ProgramProblem;

use std::cmp::Reverse;

use crate::bwrap::{Message, Stage};
use crate::host::Host;
use crate::sandbox::Sandbox;

/// Explains what failed.
///
/// The host should be as it was when it failed; facts that are not known make it less sure. The sandbox, if it is known, says
/// what bwrap was asked for.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::diagnosis::{Cause, Confidence, Symptom, diagnose};
/// use bwrap_launch::host::{Fact, Host};
/// let mut host = Host::default();
/// host.sysctls.insert("kernel.unprivileged_userns_clone".into(), Fact::Present("0".into()));
/// let symptom = Symptom::from_text(b"bwrap: No permissions to create a new namespace");
/// let diagnosis = diagnose(&symptom, &host, Some(&Sandbox::new()));
/// assert_eq!(diagnosis.cause(), Some(Cause::UserNamespacesSwitchedOff));
/// assert_eq!(diagnosis.causes[0].confidence, Confidence::High);
/// ```
#[must_use]
pub fn diagnose(symptom: &Symptom, host: &Host, sandbox: Option<&Sandbox>) -> Diagnosis {
    let causes = explain_told(symptom, host, sandbox);
    let foreseen = foresee(&Case::new(Some(symptom), host, sandbox), &causes);
    let own = symptom.message().map(|message| format!("bwrap: {message}"));
    // in others' words it is not to be taken for bwrap's
    let message =
        own.or_else(|| symptom.messages.iter().find(|said| !said.is_own()).map(ToString::to_string));
    let at_once = way::at_once(causes.iter().take(1).chain(&foreseen));
    let also = also::also(symptom, |alone| explain(&Case::new(Some(alone), host, sandbox)));
    Diagnosis {
        verdict: symptom.verdict,
        stage: symptom.stage(),
        message,
        notes: Vec::new(),
        also,
        causes,
        foreseen,
        at_once,
        spoken: symptom.message().map(Message::spoken).unwrap_or_default(),
    }
}

/// The same with what a text tells in place of what nobody looked at: of all that it finds it says what it has from there.
fn explain_told(symptom: &Symptom, host: &Host, sandbox: Option<&Sandbox>) -> Vec<Finding> {
    if symptom.told.is_none() && symptom.denials.is_empty() {
        return explain(&Case::new(Some(symptom), host, sandbox));
    }
    let over = symptom.told.as_ref().map_or_else(|| host.clone(), |told| told.over(host));
    let over = audit::over(&symptom.denials, over);
    let case = Case::new(Some(symptom), &over, sandbox);
    let mut causes = explain(&case);
    let silent = Symptom { told: None, ..symptom.clone() };
    let seen = explain(&Case::new(Some(&silent), host, sandbox));
    for finding in &mut causes {
        if let Some(told) = &symptom.told {
            finding.remedies.sort_by_key(|remedy| told.has_tried(&remedy.instructions()));
        }
        let same = seen.iter().find(|other| other.cause == finding.cause);
        finding.mark_told(same.map_or(&[], |other| &other.evidence));
    }
    audit::confirm(symptom, &case, &mut causes);
    causes
}

/// What explains a failure, the likeliest first.
fn explain(failed: &Case<'_>) -> Vec<Finding> {
    let explained =
        causes::all().filter(|rule| rule.explains(failed)).filter_map(|rule| rule.weighed(failed));
    let (mut causes, ranks): (Vec<Finding>, Vec<(Cause, usual::Rank)>) = explained
        .map(|(finding, rank)| {
            let cause = finding.cause;
            (finding, (cause, rank))
        })
        .unzip();
    causes.extend(causes::ex::program(failed));
    causes.extend(calls::denied_any(failed, &causes));
    let rank = |of: Cause| {
        ranks.iter().find(|(cause, _)| *cause == of).map_or_else(usual::Rank::default, |(_, rank)| *rank)
    };
    // a filter that would answer as the kernel does is the last to think of
    let odd = |finding: &Finding| {
        finding.cause == Cause::SeccompDeniesCall && finding.confidence == Confidence::Low
    };
    causes.sort_by_key(|finding| {
        (Reverse(finding.confidence), odd(finding), Reverse(rank(finding.cause)), finding.cause)
    });
    if causes.is_empty() {
        let noted = audit::find(failed).or_else(|| audit::let_pass(failed));
        causes.push(noted.unwrap_or_else(|| causes::unexplained(failed)));
    }
    causes
}

/// What will stop the sandbox once the present cause is gone.
fn foresee(failed: &Case<'_>, causes: &[Finding]) -> Vec<Finding> {
    let Some(first) = causes.first().filter(|first| first.cause != Cause::Unexplained) else {
        return Vec::new();
    };
    // a remedy that changes the sandbox may lead to something that the sandbox as it is does not meet
    let changed = match first.remedies.first().map(|remedy| &remedy.action) {
        Some(Action::Sandbox(change)) => failed.sandbox.map(|sandbox| change.apply(sandbox)),
        _ => None,
    };
    // where bwrap itself could not be started, nothing has gone well yet
    let after = failed.not_started.is_none().then_some(first.cause);
    let mut ahead = obstacles(failed.host, changed.as_ref().or(failed.sandbox), after);
    ahead.retain(|finding| !causes.iter().any(|cause| cause.cause == finding.cause));
    // who has got as far as mounting has made namespaces, and makes the same ones again. (Of what comes after that some is also done
    // before: a first pivot_root, a first capset.)
    let made = |stage: Stage| (Stage::Loopback..=Stage::Pivot).contains(&stage);
    if changed.is_none() && failed.stage().is_some_and(made) {
        ahead.retain(|finding| finding.cause.stage() > Stage::Namespaces);
    }
    ahead
}

/// Whether a sandbox will start on a host, and if not, why.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::diagnosis::{Cause, Outlook, predict};
/// use bwrap_launch::host::{Fact, Host};
/// let mut host = Host::snapshot();
/// host.sysctls.insert("user.max_user_namespaces".into(), Fact::Present("0".into()));
/// host.process.uid = Fact::Present(1000);
/// let prediction = predict(&host, &Sandbox::new().ro_bind("/", "/"));
/// assert_eq!(prediction.outlook, Outlook::Fails);
/// assert_eq!(prediction.obstacles[0].cause, Cause::NoUserNamespacesAllowed);
/// ```
#[must_use]
pub fn predict(host: &Host, sandbox: &Sandbox) -> Prediction {
    predict_but(host, sandbox, None)
}

/// The same, where one cause is known not to hold.
pub(crate) fn predict_but(host: &Host, sandbox: &Sandbox, not: Option<Cause>) -> Prediction {
    let mut obstacles = obstacles(host, Some(sandbox), None);
    obstacles.retain(|finding| Some(finding.cause) != not);
    let outlook = match obstacles.iter().map(|finding| finding.confidence).max() {
        Some(Confidence::High) => Outlook::Fails,
        Some(_) => Outlook::Uncertain,
        None if is_unknown(host) => Outlook::Uncertain,
        None => Outlook::Starts,
    };
    let at_once = way::at_once(obstacles.iter());
    Prediction { outlook, obstacles, at_once }
}

/// Whether nothing is known that could stand in the way: that is no reason to let anything go.
fn is_unknown(host: &Host) -> bool {
    host.process.uid.is_unknown() && host.process.seccomp.is_unknown() && host.mounts.is_unknown()
}

/// What stands in the way, in the order in which bwrap will meet it, after some cause if one is known to come first.
fn obstacles(host: &Host, sandbox: Option<&Sandbox>, after: Option<Cause>) -> Vec<Finding> {
    let case = Case::new(None, host, sandbox);
    let later = causes::all().filter(|rule| Some(rule.cause) > after);
    let mut found: Vec<Finding> = later.filter_map(|rule| rule.find(&case)).collect();
    found.retain(|finding| finding.confidence >= Confidence::Medium);
    found.sort_by_key(|finding| finding.cause);
    found
}
