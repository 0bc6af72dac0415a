//! The case before the rules: what failed, on which host, and what the sandbox asks of it.

use std::borrow::Cow;
use std::cell::OnceCell;
use std::rc::Rc;

use super::hint::Hint;
use super::symptom::{Symptom, Verdict};
use super::told::Told;
use super::visible_proc::{Visibility, visibility};
use crate::bwrap::message::Errno;
use crate::bwrap::{Message, Stage};
use crate::host::inside::BrokenLink;
use crate::host::{AppArmor, CapabilitySet, Fact, Host, Platform, Selinux, Sighting};
use crate::sandbox::{Capability, Plan, Sandbox};

/// How Kubernetes names an engine's own system call filter.
pub(super) const DEFAULT: &str = "RuntimeDefault";
/// The filter that remedies write for a node, as its pods name it.
pub(crate) const OURS: &str = "profiles/bwrap.json";

/// What a rule looks at.
#[derive(Clone)]
pub(super) struct Case<'a> {
    /// What failed; `None` while nothing was tried.
    pub(super) symptom: Option<&'a Symptom>,
    pub(super) host: &'a Host,
    pub(super) sandbox: Option<&'a Sandbox>,
    /// What bwrap will do, if the sandbox is known.
    pub(super) plan: Option<Plan>,
    /// The error number with which the system refused to start bwrap at all.
    pub(super) not_started: Option<i32>,
    /// The decisive message: looked for once, for a log may have very many.
    message: Option<&'a Message>,
    /// Where we are: as the host says, or as is assumed.
    pub(super) platforms: Cow<'a, Fact<Vec<Sighting>>>,
    /// Judged once: there may be a hundred thousand mounts.
    visibility: Rc<OnceCell<Option<Visibility<'a>>>>,
}

impl<'a> Case<'a> {
    pub(super) fn new(symptom: Option<&'a Symptom>, host: &'a Host, sandbox: Option<&'a Sandbox>) -> Self {
        let uid = host.process.uid.present().copied();
        let plan = sandbox.map(|sandbox| Plan::of(sandbox, uid));
        let message = symptom.and_then(Symptom::message);
        let not_started = symptom.filter(|_| message.is_none()).and_then(|it| it.errno);
        Self {
            symptom,
            host,
            sandbox,
            plan,
            not_started,
            message,
            platforms: Cow::Borrowed(&host.platforms),
            visibility: Rc::default(),
        }
    }

    /// The same in another place: the host is the same, but for that.
    pub(super) fn elsewhere(&self, platforms: Fact<Vec<Sighting>>) -> Self {
        Self { platforms: Cow::Owned(platforms), ..self.clone() }
    }

    /// Whether something was tried and failed, instead of being predicted.
    pub(super) fn failed(&self) -> bool {
        self.symptom.is_some()
    }

    /// What stood around bwrap's message, and tells of the place.
    pub(super) fn told(&self) -> Option<&'a Told> {
        self.symptom?.told.as_deref()
    }

    /// Whether a text says so in passing.
    pub(super) fn hinted(&self, hint: Hint) -> bool {
        self.told().is_some_and(|told| told.hints.contains(&hint))
    }

    /// What others than bwrap said.
    pub(super) fn others(&self) -> impl Iterator<Item = Cow<'a, str>> + use<'a> {
        let messages = self.symptom.into_iter().flat_map(|symptom| &symptom.messages);
        messages.filter(|message| !message.is_own()).map(|message| message.text().to_string_lossy())
    }

    /// Whether bwrap runs as root; `None` if nobody knows.
    pub(super) fn root(&self) -> Option<bool> {
        self.host.process.uid.present().map(|uid| *uid == 0)
    }

    /// Whether the plan says so. One that nobody knows says yes after a failure, for whoever asks knows that bwrap got
    /// there; before a launch it says no: nothing stands in the way of what may not be asked for. Where a fact is plain all
    /// the same, look at [`plan`](Self::plan), and say what is not known.
    pub(super) fn plans(&self, what: impl FnOnce(&Plan) -> bool) -> bool {
        self.plan.as_ref().map_or_else(|| self.failed(), what)
    }

    /// Whether that is known, and so: unlike [`plans`](Self::plans), nothing is supposed of a sandbox that nobody knows.
    pub(super) fn is_planned(&self, what: impl FnOnce(&Plan) -> bool) -> bool {
        self.plan.as_ref().is_some_and(what)
    }

    /// Whether the sandbox is known to join a user namespace.
    pub(super) fn joins_user_namespace(&self) -> bool {
        self.sandbox.is_some_and(|sandbox| sandbox.namespaces.join_user.is_some())
    }

    /// Whether bwrap makes a user namespace of its own; `None` if nobody knows.
    pub(super) fn user_namespace(&self) -> Option<bool> {
        let Some(plan) = &self.plan else { return (self.root() == Some(false)).then_some(true) };
        Some(plan.user_namespace && !(plan.user_namespace_optional && self.userns_skipped()))
    }

    /// Whether bwrap goes on without a user namespace that it is only asked to try.
    pub(super) fn userns_skipped(&self) -> bool {
        !self.host.user_namespaces_seem_possible()
    }

    /// Whether we have a capability; `None` if nobody knows.
    pub(super) fn has(&self, capability: Capability) -> Option<bool> {
        self.host.process.effective.present().map(|set: &CapabilitySet| set.has(capability))
    }

    /// Whether our container was given a capability, for which engines' default filters let calls pass, whoever we are in it;
    /// `None` if nobody knows.
    pub(super) fn granted(&self, capability: Capability) -> Option<bool> {
        let bounding = self.host.process.bounding.present().map(|set| set.has(capability));
        let has = self.has(capability) == Some(true);
        bounding.map(|bound| bound || has).or(has.then_some(true))
    }

    /// Whether we are root, and known to have `CAP_SYS_ADMIN`.
    pub(super) fn is_admin(&self) -> bool {
        self.root() == Some(true) && self.has(Capability::CAP_SYS_ADMIN) == Some(true)
    }

    /// Which AppArmor profile confines us.
    pub(super) fn apparmor(&self) -> AppArmor<'a> {
        AppArmor::of(&self.host.security)
    }

    /// Which SELinux domain confines us.
    pub(super) fn selinux(&self) -> Selinux<'a> {
        Selinux::of(&self.host.security)
    }

    /// Whether a security module is known to confine us.
    pub(super) fn is_confined(&self) -> bool {
        self.apparmor().profile().is_some() || self.selinux().domain().is_some()
    }

    /// The security label that may be denied something.
    pub(super) fn label(&self) -> Option<&'a str> {
        let label = self.host.security.label.present().map(String::as_str);
        label.filter(|label| *label != "unconfined")
    }

    /// The link on the way to what bwrap did not find, if that leads nowhere.
    pub(super) fn broken_link(&self) -> Option<&'a BrokenLink> {
        self.symptom?.broken_link.as_ref()
    }

    /// Whether a system call filter is on; `None` if nobody knows.
    pub(super) fn filtered(&self) -> Option<bool> {
        self.host.process.seccomp.present().map(|mode| *mode == 2)
    }

    /// Whether nobody looked, and options of a container show that it was to have none.
    pub(super) fn is_shown_unfiltered(&self) -> bool {
        self.filtered() == Some(false) && self.told().is_some_and(|told| told.unfiltered)
    }

    /// The name of that filter, where whoever set it up says so.
    pub(super) fn filter_name(&self) -> Option<&str> {
        self.host.process.seccomp_profile.present().map(String::as_str)
    }

    /// The kernel's version: 6.12 of `6.12.0-1-amd64`.
    pub(super) fn kernel(&self) -> Option<(u32, u32)> {
        let mut numbers = self.host.kernel.release.present()?.split(|c: char| !c.is_ascii_digit());
        Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
    }

    /// The platform whose kernel is none of Linux's own, if we are on one.
    pub(super) fn emulated(&self) -> Option<Platform> {
        [Platform::GVisor, Platform::Wsl1].into_iter().find(|platform| self.on(*platform))
    }

    pub(super) fn on(&self, platform: Platform) -> bool {
        self.sighting(platform).is_some()
    }

    /// What gives a platform away, if we are on it.
    pub(super) fn sighting(&self, platform: Platform) -> Option<&Sighting> {
        self.platforms.present()?.iter().find(|sighting| sighting.platform == platform)
    }

    /// Which procfs the kernel sees; `None` if nobody knows.
    pub(super) fn visibility(&self) -> Option<&Visibility<'a>> {
        let judge = || self.host.mounts.present().map(|mounts| visibility(mounts, self.kernel()));
        self.visibility.get_or_init(judge).as_ref()
    }

    /// Whether a launch is known to have got just so far.
    pub(super) fn ended(&self, verdict: Verdict) -> bool {
        self.symptom.is_some_and(|symptom| symptom.verdict == verdict)
    }

    /// Whether SIGSYS ended bwrap, or what it had started, before anything was said.
    pub(super) fn killed(&self) -> bool {
        self.message().is_none() && self.symptom.is_some_and(|symptom| symptom.signal == Some(libc::SIGSYS))
    }

    /// The decisive message.
    pub(super) fn message(&self) -> Option<&'a Message> {
        self.message
    }

    /// Whether that is one of these.
    pub(super) fn says(&self, patterns: &[&str]) -> bool {
        self.message().and_then(Message::pattern).is_some_and(|pattern| patterns.contains(&pattern))
    }

    /// The errno of the decisive message.
    pub(super) fn errno(&self) -> Option<i32> {
        self.message()?.errno()?.code()
    }

    /// Its text; empty, if there is none.
    pub(super) fn answer(&self) -> &'a str {
        self.message().and_then(Message::errno).map_or("", Errno::text)
    }

    /// Whether that is missing, and no other error stands in its place: people shorten what they paste.
    pub(super) fn cut_off(&self) -> bool {
        let known = |message: &&Message| {
            message.pattern().is_some() && (message.reason().is_none() || message.is_cut_off())
        };
        let message = self.message().filter(known);
        message.is_some_and(|message| message.errno().is_none() && message.stale_errno().is_none())
    }

    /// The stage of the decisive message.
    pub(super) fn stage(&self) -> Option<Stage> {
        self.message.map(Message::stage)
    }
}

#[cfg(test)]
mod tests {

    use super::super::fixtures::{machine, whole};
    use super::*;

    #[test]
    fn a_plan_that_nobody_knows_is_one_only_after_a_failure() {
        let (host, symptom, sandbox) =
            (machine(), Symptom::from_text(b"bwrap: pivot_root: Invalid argument"), whole());
        let plans = |symptom, sandbox| Case::new(symptom, &host, sandbox).plans(|plan| plan.new_net);
        assert!(plans(Some(&symptom), None) && !plans(None, None));
        assert!(plans(None, Some(&sandbox)) && !plans(Some(&symptom), Some(&sandbox.clone().share_net())));
    }
}
