//! Who confines this process: what its labels come to.

use super::{Fact, OUR_PROFILE, Security};

/// Which profile confines us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum AppArmor<'a> {
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
    pub(crate) fn of(security: &'a Security) -> Self {
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
        } else if profile == OUR_PROFILE {
            Self::Ours(profile)
        } else {
            Self::Other(profile)
        }
    }

    /// The profile that confines us.
    pub(crate) fn profile(self) -> Option<&'a str> {
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

/// Which domain confines us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Selinux<'a> {
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
    pub(crate) fn of(security: &'a Security) -> Self {
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
    pub(crate) fn domain(self) -> Option<&'a str> {
        match self {
            Self::Container(domain) | Self::Other(domain) => Some(domain),
            Self::Absent | Self::Free(_) | Self::Unknown => None,
        }
    }
}
