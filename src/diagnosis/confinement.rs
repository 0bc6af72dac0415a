//! What confines this process: a profile, a domain, Landlock rules.

use super::prelude::*;
use crate::diagnosis::remedy::CONTAINER;
use crate::diagnosis::wish::{allow_nesting, confine_container, leave_restriction, reload_container_profile};

/// Which profile confines us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum AppArmor<'a> {
    /// It is not there.
    Absent,
    /// No profile confines us, but one may attach to bwrap by its path.
    Unconfined,
    /// A profile that denies nothing: Ubuntu has many, to exempt programs from its restriction. What they start keeps it.
    Free(&'a str),
    /// Ubuntu's restriction itself confines us.
    Restriction(&'a str),
    /// The profile that our remedies give to containers.
    Ours(&'a str),
    /// A container engine's default confines us; they all deny mounting.
    Engine(&'a str),
    /// The profile of a LXC, LXD or Incus container.
    Lxc(&'a str),
    /// Another profile confines us.
    Other(&'a str),
    Unknown,
}

const ENGINES: &[&str] = &["docker-default", "cri-containerd.apparmor.d", "crio-default", "nerdctl-default"];

impl<'a> AppArmor<'a> {
    pub(super) fn of(case: &Case<'a>) -> Self {
        let security = &case.host.security;
        let Some(profile) = security.apparmor() else {
            let seen = |fact: &Fact<String>| matches!(fact, Fact::Present(_) | Fact::Absent);
            let known = seen(&security.label) || seen(&security.apparmor_label);
            let off = security.apparmor_enabled.is(&false);
            return if known || off { Self::Absent } else { Self::Unknown };
        };
        if profile == "unconfined" {
            return Self::Unconfined;
        }
        if !security.is_apparmor_enforcing() {
            return Self::Free(profile);
        }
        if security.is_restriction() {
            return Self::Restriction(profile);
        }
        // stacked profiles: each of them must allow
        let any = |test: fn(&str) -> bool| profile.split("//&").any(test);
        if any(|name| ENGINES.contains(&name) || name.starts_with("containers-default-")) {
            Self::Engine(profile)
        } else if any(|name| ["lxc-", "lxd-", "incus-"].iter().any(|prefix| name.starts_with(prefix))) {
            Self::Lxc(profile)
        } else if profile == CONTAINER {
            Self::Ours(profile)
        } else {
            Self::Other(profile)
        }
    }

    /// The profile that confines us.
    pub(super) fn profile(self) -> Option<&'a str> {
        match self {
            Self::Engine(profile)
            | Self::Lxc(profile)
            | Self::Other(profile)
            | Self::Restriction(profile)
            | Self::Ours(profile) => Some(profile),
            Self::Absent | Self::Unconfined | Self::Free(_) | Self::Unknown => None,
        }
    }
}

/// Whether a profile explains that `what` was answered with "Permission denied".
pub(super) fn apparmor_denies(case: &Case<'_>, what: &str) -> Option<Judgement> {
    // the kernel log would not tell: a plain deny rule writes nothing there
    let found = |confidence| weigh(confidence).refuted_by("the same sandbox starts under another profile");
    let label = &case.host.security.label;
    let attached = "whether a profile attaches to bwrap itself: `aa-status`, as root";
    Some(match AppArmor::of(case) {
        AppArmor::Absent => return None,
        AppArmor::Ours(_) if !case.failed() => return None,
        AppArmor::Ours(profile) => found(Low)
            .summary(format!("the AppArmor profile {profile} that is loaded may deny {what}"))
            .seen_against(label, format!("the profile {profile}, as our remedies write it, permits {what}"))
            .unknown(format!("whether the profile {profile} that is loaded is that one")),
        AppArmor::Unconfined => found(Low).contra(evidence::profile(case).otherwise()).unknown(attached),
        AppArmor::Free(profile) => {
            let denies = "of this process denies nothing (/proc/self/attr/current)";
            found(Low).seen_against(label, format!("the profile {profile} {denies}")).unknown(attached)
        }
        AppArmor::Unknown => found(Medium).unknown("our AppArmor profile: /proc/self/attr/current"),
        confined => found(High)
            .summary(format!("the AppArmor profile {} denies {what}", confined.profile()?))
            .pro(evidence::profile(case).so()),
    })
}

/// Which domain confines us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Selinux<'a> {
    /// It is not there, or only logs.
    Absent,
    /// A domain that may mount what it likes.
    Free(&'a str),
    /// The domain of ordinary containers.
    Container(&'a str),
    Other(&'a str),
    Unknown,
}

const FREE_DOMAINS: &str = "unconfined_t unconfined_service_t spc_t container_engine_t container_runtime_t \
                            container_userns_t kernel_t init_t initrc_t";

impl<'a> Selinux<'a> {
    pub(super) fn of(case: &Case<'a>) -> Self {
        let security = &case.host.security;
        if security.selinux_enforcing.is(&false) || security.selinux_filesystem.is(&false) {
            return Self::Absent;
        }
        match (security.selinux(), &security.label) {
            (Some(context), _) if FREE_DOMAINS.split(' ').any(|free| free == context.domain) => {
                Self::Free(context.domain)
            }
            (Some(context), _) if ["container_t", "svirt_lxc_net_t"].contains(&context.domain) => {
                Self::Container(context.domain)
            }
            (Some(context), _) => Self::Other(context.domain),
            // another module's label, or none; "kernel" is all there is without a policy
            (None, Fact::Present(_) | Fact::Absent) => Self::Absent,
            (None, _) => Self::Unknown,
        }
    }

    /// The domain that confines us.
    pub(super) fn domain(self) -> Option<&'a str> {
        match self {
            Self::Container(domain) | Self::Other(domain) => Some(domain),
            Self::Absent | Self::Free(_) | Self::Unknown => None,
        }
    }
}

/// Whether the policy denies `what` (`TYPE:CLASS PERMISSION`): before a launch, as the policy of containers has it.
pub(super) fn selinux_denies(case: &Case<'_>, what: &str) -> Option<Judgement> {
    let found = |confidence| {
        let refuted = "`getenforce` says Permissive, or `ausearch -m avc -c bwrap`, as root, shows no denial";
        weigh(confidence).refuted_by(refuted)
    };
    let security = &case.host.security;
    let (confidence, domain) = match (Selinux::of(case), case.failed()) {
        (Selinux::Container(domain) | Selinux::Other(domain), true) => (High, domain),
        (Selinux::Container(domain), _) if security.selinux_enforcing.is(&true) => (High, domain),
        (Selinux::Container(domain), _) => (Medium, domain),
        // its siblings are as confined, mostly
        (Selinux::Other(domain), _) if domain.starts_with("container_") => (Medium, domain),
        (Selinux::Free(domain), true) => {
            let seen =
                format!("the domain {domain} may do that in the usual policies (/proc/self/attr/current)");
            return Some(found(Low).seen_against(&security.label, seen));
        }
        (Selinux::Unknown, true) => {
            return Some(found(Medium).unknown("our SELinux context: /proc/self/attr/current"));
        }
        (Selinux::Absent, _) | (_, false) => return None,
    };
    found(confidence)
        .summary(format!("SELinux denies {what} to the domain {domain}"))
        .pro(evidence::domain(case).so())
        .if_so(evidence::enforcing(case))
        .into()
}

/// How sure it is that a Landlock domain confines us, by what it leaves visible: a file that is ours and may not be
/// written to.
pub(super) fn landlocked(case: &Case<'_>) -> Option<Confidence> {
    let Fact::Unreadable(why) = &case.host.user_namespace.uid_map_writable else { return None };
    if why != "Permission denied" || knows_landlock(case) == Some(false) || ids_differ(case) {
        return None;
    }
    // they could deny the same
    if AppArmor::of(case).profile().is_some() || Selinux::of(case).domain().is_some() {
        return Some(Low);
    }
    // whoever confines himself needs no_new_privs, and a launcher that is not dumpable sees the same; root never does
    let certain = case.host.process.no_new_privs.is(&true) || case.root() == Some(true);
    Some(if certain { High } else { Medium })
}

/// Whether Landlock is among the kernel's active modules; `None` where that is hidden.
pub(super) fn knows_landlock(case: &Case<'_>) -> Option<bool> {
    case.host.security.modules.present().map(|modules| modules.iter().any(|module| module == "landlock"))
}

/// Whether a set-id program started us, or something that acts like one.
pub(super) fn ids_differ(case: &Case<'_>) -> bool {
    let process = &case.host.process;
    differing(&process.uid, &process.real_uid).or(differing(&process.gid, &process.real_gid)).is_some()
}

/// An effective and a real id, if they are not the same.
pub(super) fn differing(effective: &Fact<u32>, real: &Fact<u32>) -> Option<(u32, u32)> {
    let (effective, real) = (*effective.present()?, *real.present()?);
    (effective != real).then_some((effective, real))
}

/// A profile that allows it in place of the one that confines us, or rules to add to that.
pub(super) fn permit_in_profile(case: &Case<'_>) -> Vec<Remedy> {
    match (AppArmor::of(case), Setting::of(case)) {
        (AppArmor::Restriction(_), _) => leave_restriction(case),
        (AppArmor::Ours(_), _) => reload_container_profile(case),
        (AppArmor::Lxc(_), _) | (_, Setting::Lxc) => allow_nesting(case),
        _ => confine_container(case),
    }
}
