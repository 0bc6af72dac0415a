//! Linux security modules: which are there, and what they call us.

use super::Fact;
use super::source::Source;

/// What can be seen of Linux security modules.
///
/// Inside containers the files that tell enforcing from permissive are mostly hidden; the label is not.
///
/// ```
/// use bwrap_launch::host::{Fact, Host};
/// let security = Host::snapshot().security;
/// if let Fact::Present(label) = &security.label {
///     println!("we are {label}");
/// }
/// ```
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[cfg_attr(feature = "serde", derive(serde::Serialize, serde::Deserialize), serde(default))]
#[non_exhaustive]
pub struct Security {
    /// The active modules (`/sys/kernel/security/lsm`).
    pub modules: Fact<Vec<String>>,
    /// Our label (`/proc/self/attr/current`): `docker-default (enforce)`, `unconfined`,
    /// `system_u:system_r:container_t:s0:c1,c2`.
    pub label: Fact<String>,
    /// Our AppArmor profile where modules are stacked (`/proc/self/attr/apparmor/current`).
    pub apparmor_label: Fact<String>,
    /// AppArmor is on (`/sys/module/apparmor/parameters/enabled`).
    pub apparmor_enabled: Fact<bool>,
    /// The kernel has SELinux and a policy is loaded: `selinuxfs` is in `/proc/filesystems`.
    pub selinux_filesystem: Fact<bool>,
    /// SELinux denies instead of only logging (`/sys/fs/selinux/enforce`).
    pub selinux_enforcing: Fact<bool>,
}

/// A SELinux context, taken apart.
///
/// ```
/// use bwrap_launch::host::SelinuxContext;
/// let context = SelinuxContext::parse("system_u:system_r:container_t:s0:c1,c2").unwrap();
/// assert_eq!((context.role, context.domain), ("system_r", "container_t"));
/// assert!(SelinuxContext::parse("docker-default (enforce)").is_none());
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct SelinuxContext<'a> {
    /// The user.
    pub user: &'a str,
    /// The role.
    pub role: &'a str,
    /// The type, of a process its domain.
    pub domain: &'a str,
}

impl<'a> SelinuxContext<'a> {
    /// Takes `user:role:type` or `user:role:type:level` apart.
    #[must_use]
    pub fn parse(label: &'a str) -> Option<Self> {
        let mut parts = label.splitn(4, ':');
        let context = Self { user: parts.next()?, role: parts.next()?, domain: parts.next()? };
        let plain = |c: char| c.is_ascii_alphanumeric() || "_.-".contains(c);
        let word = |part: &str| !part.is_empty() && part.chars().all(plain);
        [context.user, context.role, context.domain].into_iter().all(word).then_some(context)
    }
}

impl Security {
    /// Our SELinux context, if we have one.
    ///
    /// ```
    /// use bwrap_launch::host::{Fact, Security};
    /// let mut security = Security::default();
    /// security.label = Fact::Present("system_u:system_r:container_t:s0".into());
    /// assert_eq!(security.selinux().unwrap().domain, "container_t");
    /// assert_eq!(security.apparmor(), None);
    /// ```
    #[must_use]
    pub fn selinux(&self) -> Option<SelinuxContext<'_>> {
        SelinuxContext::parse(self.label.present()?)
    }

    /// Our AppArmor profile without its mode, if we have one: `docker-default`, `unconfined`.
    ///
    /// ```
    /// use bwrap_launch::host::{Fact, Security};
    /// let mut security = Security::default();
    /// security.label = Fact::Present("docker-default (enforce)".into());
    /// assert_eq!(security.apparmor(), Some("docker-default"));
    /// ```
    #[must_use]
    pub fn apparmor(&self) -> Option<&str> {
        let label = self.apparmor_label.present().or_else(|| {
            self.label.present().filter(|label| SelinuxContext::parse(label).is_none() && *label != "kernel")
        })?;
        Some(label.rsplit_once(" (").map_or(label.as_str(), |(profile, _)| profile))
            .filter(|name| !name.is_empty())
    }

    /// Whether an AppArmor profile confines us and denies, as far as its label tells.
    ///
    /// ```
    /// use bwrap_launch::host::{Fact, Security};
    /// let mut security = Security::default();
    /// security.label = Fact::Present("docker-default (complain)".into());
    /// assert!(!security.is_apparmor_enforcing());
    /// ```
    #[must_use]
    pub fn is_apparmor_enforcing(&self) -> bool {
        let label = self.apparmor_label.present().or(self.label.present());
        self.apparmor().is_some_and(|profile| profile != "unconfined")
            && label.is_some_and(|label| !label.ends_with("(complain)") && !label.ends_with("(unconfined)"))
    }

    /// Whether we are in the namespace of a program that Ubuntu's restriction took the capabilities from: its profile is
    /// ours, alone or stacked upon another.
    pub(crate) fn is_restriction(&self) -> bool {
        self.is_apparmor_enforcing()
            && self.apparmor().is_some_and(|profile| {
                profile.split("//&").any(|name| ["unprivileged_userns", "unpriv_bwrap"].contains(&name))
            })
    }
}

pub(super) fn read(source: &Source) -> Security {
    let flag = |path: &str| source.text(path).map(|text| matches!(text.as_str(), "Y" | "1"));
    let label = |path: &str| match source.text(path) {
        // neither module is there
        Fact::Unreadable(why) if why == "Invalid argument" => Fact::Absent,
        Fact::Present(text) if text.is_empty() => Fact::Absent,
        fact => fact,
    };
    Security {
        modules: source
            .text("/sys/kernel/security/lsm")
            .map(|text| text.split(',').map(str::to_owned).collect()),
        label: label("/proc/thread-self/attr/current"),
        apparmor_label: label("/proc/thread-self/attr/apparmor/current"),
        apparmor_enabled: flag("/sys/module/apparmor/parameters/enabled"),
        selinux_filesystem: source
            .text("/proc/filesystems")
            .map(|text| text.split_whitespace().any(|word| word == "selinuxfs")),
        selinux_enforcing: flag("/sys/fs/selinux/enforce"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_restriction_is_known_by_its_profiles() {
        let of = |label: &str| Security { label: Fact::Present(label.into()), ..Security::default() };
        for label in
            ["unprivileged_userns (enforce)", "unpriv_bwrap (enforce)", "bwrap//&unpriv_bwrap (enforce)"]
        {
            assert!(of(label).is_restriction(), "{label}");
        }
        for label in [
            "unconfined",
            "vscode (unconfined)",
            "unprivileged_userns (complain)",
            "unprivileged_userns2 (enforce)",
        ] {
            assert!(!of(label).is_restriction(), "{label}");
        }
    }
}
