//! What helps, in the environment at hand: the constructors that rules pick from, and the texts of their actions.
//!
//! Every constructor returns remedies for the [`Setting`] that the case is in, least privilege first; none returns "run it
//! privileged" first or alone.

mod apparmor;
mod engine;
mod host;
mod instructions;
mod kubernetes;
mod limits;
mod sandbox;
mod seccomp;
mod selinux;

pub(super) use apparmor::{beside, confine_container, permit_bwrap};
pub(super) use engine::{drop_ambient_capabilities, run_as_user};
pub(super) use host::{commands, manual, sysctl, unit};
pub(super) use kubernetes::unmask_proc;
pub(super) use limits::limits;
pub(super) use sandbox::change;
pub(super) use seccomp::{Calls, permit_calls};
pub(super) use selinux::permit_domain;

use super::case::Case;
use super::remedy::{Action, Engine, Remedy};
use crate::host::Platform;

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
        } else {
            Self::Machine
        }
    }
}

impl Setting {
    /// Whether something else than this system's own administrator decides: an engine on another, or a node.
    fn is_container(self) -> bool {
        !matches!(self, Self::Unit | Self::Machine)
    }

    /// Where the kernel's settings and security policies are kept, seen from here.
    fn machine(self) -> &'static str {
        match self {
            Self::Kubernetes { .. } => "every node that runs the pod",
            Self::Unit | Self::Machine => "this machine",
            _ => "the machine that runs the container",
        }
    }
}

impl Remedy {
    /// `summary` begins with a verb; `opens` says what it opens up or takes away.
    pub(super) fn new(summary: impl Into<String>, action: Action, opens: impl Into<String>) -> Self {
        let (requires, files) = (Vec::new(), Vec::new());
        Self { summary: summary.into(), action, opens: opens.into(), requires, files }
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
