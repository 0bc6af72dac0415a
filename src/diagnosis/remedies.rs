//! What helps, in the environment at hand: the constructors that rules pick from, and the texts of their actions.
//!
//! Every constructor returns remedies for the [`Setting`] that the case is in, least privilege first; none returns "run it
//! privileged" first or alone.

mod apparmor;
mod ci;
mod engine;
mod host;
mod instructions;
mod kubernetes;
mod limits;
mod lxc;
mod sandbox;
mod seccomp;
mod selinux;

pub(super) use apparmor::{
    CONTAINER, beside, bwrap_path, confine_container, leave_restriction, permit_bwrap, present_profile,
    profile_name, reload_container_profile,
};
pub(super) use engine::{drop_ambient_capabilities, options, run_as_user};
pub(super) use host::{commands, in_both, manual, own_unit, raise, sysctl, unit};
pub(super) use instructions::path_word;
pub(super) use kubernetes::unmask_proc;
pub(super) use limits::{Limit, raise_limit};
pub(super) use lxc::allow_nesting;
pub(super) use sandbox::{change, leave_out};
pub(super) use seccomp::{Calls, permit_calls, permit_calls_to_unit};
pub(super) use selinux::permit_domain;

use super::case::Case;
use super::remedy::{Action, CiService, Engine, Remedy};
use crate::host::{Fact, Platform, Sighting};

/// Where remedies are applied: what started this process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Setting {
    /// A pod; OpenShift's have security context constraints of their own.
    Kubernetes {
        openshift: bool,
    },
    Container(Engine),
    Lxc,
    Nspawn,
    /// A unit of systemd's, on a machine's own system.
    Unit,
    /// A container of an engine that nobody recognised.
    OtherContainer,
    Machine,
    /// Nothing is known but the message: [`everywhere`].
    Unknown,
}

impl Setting {
    pub(super) fn of(case: &Case<'_>) -> Self {
        let on = |platform| case.on(platform);
        if on(Platform::Kubernetes) || on(Platform::OpenShift) || on(Platform::CriO) {
            return Self::Kubernetes { openshift: on(Platform::OpenShift) };
        }
        if on(Platform::Docker) {
            Self::Container(Engine::Docker)
        } else if on(Platform::Podman) {
            Self::Container(Engine::Podman)
        } else if on(Platform::Lxc) {
            Self::Lxc
        } else if on(Platform::Nspawn) {
            Self::Nspawn
        } else if on(Platform::Containerd) || on(Platform::Container) {
            Self::OtherContainer
        } else if on(Platform::SystemdUnit) {
            Self::Unit
        } else if case.platforms.is_unknown() {
            Self::Unknown
        } else {
            Self::Machine
        }
    }
}

impl Setting {
    /// Whether something else than this system's own administrator decides: an engine on another, or a node.
    fn is_container(self) -> bool {
        !matches!(self, Self::Unit | Self::Machine | Self::Unknown)
    }

    /// Where the kernel's settings and security policies are kept, seen from here.
    fn machine(self) -> &'static str {
        match self {
            Self::Kubernetes { .. } => "every node that runs the pod",
            Self::Unit | Self::Machine => "this machine",
            Self::Unknown => "the machine",
            _ => "the machine that runs the container",
        }
    }
}

/// Where nothing tells what started this process: the first remedy in each of the likeliest settings, which its summary
/// names.
pub(super) fn everywhere(case: &Case<'_>, remedies: impl Fn(&Case<'_>) -> Vec<Remedy>) -> Vec<Remedy> {
    let likely = [
        ("Docker", Some(Platform::Docker)),
        ("Podman", Some(Platform::Podman)),
        ("Kubernetes", Some(Platform::Kubernetes)),
        ("a machine", None),
    ];
    let mut found: Vec<(Vec<&str>, Remedy)> = Vec::new();
    let mut shown = Vec::new();
    for (name, platform) in likely {
        let assumed = |platform| Fact::Present(vec![Sighting::new(platform, "assumed")]);
        let there = case.elsewhere(platform.map_or(Fact::Absent, assumed));
        let remedy = remedies(&there).into_iter().next().map(|remedy| remedy.told(&there));
        let Some(mut remedy) = remedy else { continue };
        // a long file once is enough
        for file in std::mem::take(&mut remedy.files) {
            if shown.contains(&file.content) {
                let path = file.path.display();
                remedy.requires.push(format!("the file {path}, with the same content as the file above"));
            } else {
                shown.push(file.content.clone());
                remedy.files.push(file);
            }
        }
        match found.last_mut() {
            // what is done on the machine is the same for several
            Some((names, last)) if *last == remedy => names.push(name),
            _ => found.push((vec![name], remedy)),
        }
    }
    let named = found.into_iter().map(|(names, mut remedy)| {
        let preposition = if names == ["a machine"] { "On" } else { "In" };
        remedy.summary = format!("{preposition} {}: {}", names.join(" and "), uncapitalized(&remedy.summary));
        remedy
    });
    named.collect()
}

fn uncapitalized(text: &str) -> String {
    let mut letters = text.chars();
    letters.next().map_or_else(String::new, |first| first.to_lowercase().chain(letters).collect())
}

impl Remedy {
    /// The same for whoever is to apply it here: a CI service types no command line, the machine wants root, and an
    /// operation is known by its options.
    pub(super) fn told(mut self, case: &Case<'_>) -> Self {
        let ours = matches!(Setting::of(case), Setting::Unit | Setting::Machine);
        match &mut self.action {
            Action::Container(options) => options.service = CiService::of(case),
            Action::Sandbox(_) => {
                if let Some(sandbox) = case.sandbox {
                    return self.worded(sandbox);
                }
            }
            Action::Unit(unit) if unit.user => {
                return self.requires("no root: type it as the user whose unit it is");
            }
            Action::Sysctl(_) | Action::Selinux(_) | Action::AppArmor(_) | Action::Unit(_) if ours => {
                return self.for_root(case);
            }
            _ => {}
        }
        self
    }

    /// Its lines are for root, whom not everybody is.
    pub(super) fn for_root(self, case: &Case<'_>) -> Self {
        if case.root() == Some(true) || self.requires.iter().any(|what| what.starts_with("root")) {
            return self;
        }
        self.requires("root: give these lines to a root shell, for example `sudo sh`")
    }

    /// `summary` begins with a verb; `opens` says what it opens up or takes away.
    pub(super) fn new(summary: impl Into<String>, action: Action, opens: impl Into<String>) -> Self {
        let (requires, files) = (Vec::new(), Vec::new());
        Self { summary: summary.into(), action, opens: opens.into(), requires, files, wording: None }
    }

    pub(super) fn requires(mut self, what: impl Into<String>) -> Self {
        self.requires.push(what.into());
        self
    }

    pub(super) fn file(mut self, path: impl Into<std::path::PathBuf>, content: impl Into<String>) -> Self {
        self.files.push(super::RemedyFile { path: path.into(), content: content.into() });
        self
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixtures::{machine, only_on};
    use super::*;
    use crate::host::Host;

    fn summaries(remedies: &[Remedy]) -> Vec<&str> {
        remedies.iter().map(|remedy| remedy.summary.as_str()).collect()
    }

    #[test]
    fn a_message_alone_is_answered_for_each_environment() {
        let host = Host::default();
        let case = Case::new(None, &host, None);
        assert_eq!(Setting::of(&case), Setting::Unknown);
        assert_eq!(
            summaries(&unmask_proc(&case)),
            [
                "In Docker: start the container with an unmasked /proc",
                "In Podman: start the container with an unmasked /proc",
                "In Kubernetes: give the pod a user namespace of its own, and its container an unmasked /proc",
                "On a machine: mount a second, whole /proc beside the covered one",
            ]
        );
        // a machine's setting is the same for both engines
        let set = sysctl(&case, "kernel.unprivileged_userns_clone", "1", "x");
        assert!(set[0].summary.starts_with("In Docker and Podman: set kernel."), "{:?}", summaries(&set));
        assert!(set[2].summary.starts_with("On a machine: set kernel."));
        assert!(set[2].requires.iter().any(|what| what.starts_with("root: ")));
        for constructor in [run_as_user, drop_ambient_capabilities] {
            let found = constructor(&case);
            assert!(summaries(&found)[0].starts_with("In Docker: "), "{found:?}");
            assert!(found.last().is_some_and(|last| last.summary.starts_with("On a machine: ")), "{found:?}");
        }
        let calls = permit_calls(&case, Calls::Sandboxing);
        assert_eq!(calls.len(), 4);
        assert_eq!(calls.iter().map(|remedy| remedy.files.len()).sum::<usize>(), 1);
        assert!(
            calls[2].requires.iter().any(|what| what.contains("seccomp/profiles/bwrap.json, with the same"))
        );
        assert!(!permit_domain(&case, &[]).is_empty() && raise_limit(&case, Limit::Pids).len() == 4);
    }

    #[test]
    fn a_place_where_nobody_looked_is_no_machine() {
        let setting = |host: &Host| Setting::of(&Case::new(None, host, None));
        let mut host = machine();
        assert_eq!(setting(&host), Setting::Machine);
        host.platforms = Fact::Unknown;
        assert_eq!(setting(&host), Setting::Unknown);
        assert_eq!(setting(&only_on(host, Platform::Docker)), Setting::Container(Engine::Docker));
    }

    #[test]
    fn root_is_asked_for_where_we_are_not() {
        let wants = |host: &Host| {
            let case = Case::new(None, host, None);
            let remedy = sysctl(&case, "a.b", "1", "x").remove(0).told(&case);
            remedy.requires.iter().any(|what| what.contains("sudo sh"))
        };
        let mut host = machine();
        assert!(wants(&host));
        host.process.uid = Fact::Present(0);
        assert!(!wants(&host));
    }
}
