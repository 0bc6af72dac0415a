//! Facts of the process and its security that a text shows or says, each as of a host.

use std::collections::BTreeMap;

use super::given::Runs;
use super::kernels;
use super::modules::{self, State};
use super::options::{self, Given};
use super::said::Said;
use super::systems::{Module, restricts};
use super::unshared::Unshared;
use crate::diagnosis::hint::Hint;
use crate::host::{CapabilitySet, Fact, Host, RESTRICTION};

#[derive(Debug, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is what another line has opened, or told")]
pub(super) struct Facts {
    selinux: Said<State>,
    apparmor: Said<State>,
    /// `getenforce` was typed, and the next line is the answer.
    asked_state: bool,
    asked_label: bool,
    /// The list of what `docker info` has of security is open.
    listed: bool,
    label: Said<String>,
    /// Lines of /proc/self/status.
    status: BTreeMap<String, Said<String>>,
    /// Before what failed, and after it: an issue may begin with its message.
    runs: Runs,
    later: Runs,
    /// Something that helps, or would, was spoken of since.
    helped: bool,
    /// Whether the release that is named restricts user namespaces.
    restricts: Said<bool>,
    /// Whether the kernels of the distribution that is named have no switch for user namespaces.
    no_switch: Said<bool>,
    /// What unshare(1) answered.
    unshared: Unshared,
    /// A container may nest others.
    pub(super) nests: bool,
}

/// What says, after a message, that what comes is how it was started.
const HOW: &[&str] = &[
    "i ran",
    "i run ",
    "we run ",
    "i start",
    "we start",
    "started with",
    "command:",
    "reproduc",
    "steps",
    "config",
    "compose",
    "manifest",
    "spec:",
    "still",
    "already",
    "pod has ",
    "pod with ",
    "container has ",
];

/// Whether a line after a message may belong to how it was started: what was typed, fields, options, or what says so. Of other sentences
/// nobody knows what they lead to: most often to what helped.
fn is_how(lower: &str) -> bool {
    let line = options::bare(lower);
    let typed = line.starts_with(['$', '-', '>', '{', '[', '}', ']', '"', '`']) || line.ends_with('\\');
    let bare = line.trim_start_matches(['#', '+', ' ']);
    let bare = bare.strip_prefix("sudo ").unwrap_or(bare);
    let runs = options::RUNS.iter().any(|run| bare.starts_with(run));
    let short = line.split_whitespace().count() <= 2;
    typed || runs || short || options::is_data(line) || HOW.iter().any(|words| line.contains(words))
}

/// What says, after a message, that what comes is no longer how it failed.
const HELPS: &[&str] = &[
    "work",
    "fix",
    "solv",
    "solution",
    "help",
    "suggest",
    "propos",
    "expected",
    "starts",
    "succeed",
    "passes",
    "gone",
    "disappear",
    "with this",
    "with that",
    "recommend",
    "instead",
    "should",
    "could",
    "would",
    "need",
    "must",
    "try ",
    "tried",
    "then ",
    "without",
    "afterwards",
    "now ",
    "alternativ",
    "allow",
    "if ",
    "can ",
    "around",
    "avoid",
    "bypass",
    "?",
];

impl Facts {
    /// A line, and whether what failed comes after it.
    pub(super) fn read(&mut self, line: &str, lower: &str, before: bool) {
        let answer = modules::answer(line).filter(|_| std::mem::take(&mut self.asked_state));
        for state in answer.into_iter().chain(modules::said(lower)) {
            match state {
                State::Selinux(_) | State::NoSelinux => self.selinux.note(state),
                State::AppArmor | State::NoAppArmor => self.apparmor.note(state),
            }
        }
        self.asked_state = modules::asks(lower);
        match modules::listed(lower) {
            Some(state) if self.listed => match state {
                State::AppArmor => self.apparmor.note(state),
                _ => self.selinux.note(state),
            },
            _ => {
                let begins = lower.trim() == "security options:";
                self.listed = begins || self.listed && modules::is_listed(lower);
            }
        }
        if let Some(label) = modules::label(line).filter(|_| std::mem::take(&mut self.asked_label)) {
            self.label.note(label.to_owned());
        }
        self.asked_label = modules::asks_label(line);
        if let Some((name, value)) = modules::status(line) {
            self.status.entry(name.to_owned()).or_default().note(value.to_owned());
        }
        if let Some(restricts) = restricts(lower) {
            self.restricts.note(restricts);
        }
        if let Some(lacks) = kernels::lacks_switch(lower) {
            self.no_switch.note(lacks);
        }
        self.unshared.read(line, lower);
        if before {
            self.runs.read(lower);
        } else {
            self.helped |= HELPS.iter().any(|words| lower.contains(words)) || !is_how(lower);
            if !self.helped {
                self.later.read(lower);
            }
        }
        // afterwards it may be what helped, unless a container is described
        self.nests |= nests(lower) && (before || lower.contains("privileged container"));
    }

    /// What confines the process, by its label.
    pub(super) fn label(&self) -> Option<&str> {
        self.label.once().map(String::as_str)
    }

    /// What is told by all lines together: the systems that are named, what was typed and answered.
    pub(super) fn hints(&self) -> impl Iterator<Item = Hint> {
        let lacks_switch = self.no_switch.once() == Some(&true);
        let told = [
            (Hint::NoSwitch, lacks_switch),
            (Hint::NamedWithoutSwitch, lacks_switch),
            (Hint::UnshareDenied, self.unshared.refused),
        ];
        told.into_iter().filter(|(_, is)| *is).map(|(hint, _)| hint)
    }

    /// Whether a line of /proc/self/status shows if a filter is on.
    pub(super) fn shows_filter(&self) -> bool {
        self.status.get("Seccomp").and_then(Said::once).is_some()
    }

    /// What a container was given.
    pub(super) fn given(&self) -> Given {
        self.runs.given().or(self.later.given()).unwrap_or_default()
    }

    /// What is told of security modules, or else what the named distribution comes with.
    pub(super) fn fill(&self, host: &mut Host, named: Option<Module>, inside: bool) {
        let security = &mut host.security;
        match named {
            Some(Module::AppArmor) => security.selinux_filesystem = Fact::Present(false),
            Some(Module::Selinux) => security.apparmor_enabled = Fact::Present(false),
            Some(Module::Neither) => {
                security.selinux_filesystem = Fact::Present(false);
                security.apparmor_enabled = Fact::Present(false);
            }
            None => {}
        }
        match self.selinux.once() {
            Some(State::Selinux(enforcing)) => {
                security.selinux_enforcing = Fact::Present(*enforcing);
                security.selinux_filesystem = Fact::Present(true);
                security.apparmor_enabled = Fact::Present(false);
            }
            Some(_) => security.selinux_filesystem = Fact::Present(false),
            None => {}
        }
        match self.apparmor.once() {
            Some(State::AppArmor) => security.apparmor_enabled = Fact::Unknown,
            Some(_) => security.apparmor_enabled = Fact::Present(false),
            None => {}
        }
        if let Some(label) = self.label.once() {
            security.label = Fact::Present(label.clone());
        }
        let given = self.given();
        if given.unconfined && security.label.is_unknown() {
            security.apparmor_label = Fact::Present("unconfined".to_owned());
        }
        self.fill_process(host, given);
        let apparmor = self.apparmor.once() == Some(&State::AppArmor);
        if self.restricts.once() == Some(&false) && !inside && !apparmor {
            host.sysctls.entry(RESTRICTION.to_owned()).or_insert(Fact::Absent);
        }
    }

    fn fill_process(&self, host: &mut Host, given: Given) {
        let value = |name: &str| self.status.get(name).and_then(Said::once);
        let set = |name: &str| {
            let set = value(name).and_then(|text| u64::from_str_radix(text, 16).ok());
            set.map_or(Fact::Unknown, |set| Fact::Present(CapabilitySet(set)))
        };
        let process = &mut host.process;
        process.seccomp = match value("Seccomp").and_then(|mode| mode.parse().ok()) {
            Some(mode) => Fact::Present(mode),
            None if given.unfiltered => Fact::Present(0),
            None => Fact::Unknown,
        };
        process.no_new_privs = value("NoNewPrivs").map_or(Fact::Unknown, |value| Fact::Present(value == "1"));
        process.effective = set("CapEff");
        process.permitted = set("CapPrm");
        process.bounding = set("CapBnd");
        process.ambient = set("CapAmb");
    }
}

/// Whether a line in small letters shows that a container may nest others.
fn nests(line: &str) -> bool {
    let line: String = line.chars().filter(|c| !c.is_whitespace() && !"\"'".contains(*c)).collect();
    let on = [
        "features:nesting=1",
        "nesting=1isalready",
        "nesting=1already",
        "nestingisalready",
        "--featuresnesting=1",
        "nesting=1,",
        "security.nesting:true",
        "security.nesting=true",
    ];
    let doubtful = ["try", "?", "not", "other", "says"];
    on.iter().any(|words| line.contains(words)) && !doubtful.iter().any(|word| line.contains(word))
}
