//! What each cause means, at length: `bwrap-doctor explain CODE`.
//!
//! A text says what bwrap was doing and what refused, how to know it (the message, what to look at), and what to do in each
//! environment with what it costs. Plain text, wrapped at 78 columns, paragraphs parted by an empty line.

mod arguments;
mod cluster;
mod description;
mod idmap;
mod inside;
mod mounts;
mod namespaces;
mod privileges;
mod proc;

use super::Cause;

pub(super) fn of(cause: Cause) -> &'static str {
    match cause {
        Cause::FileCapabilitiesOutsideBounds => privileges::FILE_CAPABILITIES_OUTSIDE_BOUNDS,
        Cause::LoaderFailed => privileges::LOADER_FAILED,
        Cause::UnexpectedCapabilities => privileges::UNEXPECTED_CAPABILITIES,
        Cause::SetuidWithoutBounds => privileges::SETUID_WITHOUT_BOUNDS,
        Cause::SetuidUnsupported => privileges::SETUID_UNSUPPORTED,
        Cause::SetuidHangs => privileges::SETUID_HANGS,
        Cause::ProcIncomplete => privileges::PROC_INCOMPLETE,
        Cause::UnknownOption => arguments::UNKNOWN_OPTION,
        Cause::BadArguments => arguments::BAD_ARGUMENTS,
        Cause::ProcUnavailable => arguments::PROC_UNAVAILABLE,
        Cause::ContradictoryOptions => arguments::CONTRADICTORY_OPTIONS,
        Cause::SeccompDeniesNamespaces => namespaces::SECCOMP_DENIES_NAMESPACES,
        Cause::UserNamespacesSwitchedOff => namespaces::USER_NAMESPACES_SWITCHED_OFF,
        Cause::Chrooted => namespaces::CHROOTED,
        Cause::UnmappedId => namespaces::UNMAPPED_ID,
        Cause::UnitRestrictsNamespaces => namespaces::UNIT_RESTRICTS_NAMESPACES,
        Cause::OuterSandboxDeniesNamespaces => namespaces::OUTER_SANDBOX_DENIES_NAMESPACES,
        Cause::RootWithoutSysAdmin => namespaces::ROOT_WITHOUT_SYS_ADMIN,
        Cause::SelinuxDeniesUserNamespaces => namespaces::SELINUX_DENIES_USER_NAMESPACES,
        Cause::AppArmorDeniesUserNamespaces => namespaces::APP_ARMOR_DENIES_USER_NAMESPACES,
        Cause::NamespacesNotImplemented => namespaces::NAMESPACES_NOT_IMPLEMENTED,
        Cause::KernelWithoutUserNamespaces => namespaces::KERNEL_WITHOUT_USER_NAMESPACES,
        Cause::NoUserNamespacesAllowed => namespaces::NO_USER_NAMESPACES_ALLOWED,
        Cause::AncestorLimitsUserNamespaces => namespaces::ANCESTOR_LIMITS_USER_NAMESPACES,
        Cause::NestedTooDeep => namespaces::NESTED_TOO_DEEP,
        Cause::NamespaceLimit => namespaces::NAMESPACE_LIMIT,
        Cause::ProcessLimit => namespaces::PROCESS_LIMIT,
        Cause::GvisorNestedTooDeep => namespaces::GVISOR_NESTED_TOO_DEEP,
        Cause::JoinDenied => namespaces::JOIN_DENIED,
        Cause::AppArmorStripsNetAdmin => idmap::APP_ARMOR_STRIPS_NET_ADMIN,
        Cause::NetAdminMissing => idmap::NET_ADMIN_MISSING,
        Cause::GvisorLoopback => idmap::GVISOR_LOOPBACK,
        Cause::NetlinkDenied => idmap::NETLINK_DENIED,
        Cause::SelinuxDeniesNetAdmin => idmap::SELINUX_DENIES_NET_ADMIN,
        Cause::MissingSetfcap => idmap::MISSING_SETFCAP,
        Cause::AppArmorRestrictsUserNamespaces => idmap::APP_ARMOR_RESTRICTS_USER_NAMESPACES,
        Cause::ProcReadOnly => idmap::PROC_READ_ONLY,
        Cause::LandlockDeniesProc => idmap::LANDLOCK_DENIES_PROC,
        Cause::BwrapUnreadable => idmap::BWRAP_UNREADABLE,
        Cause::IdsDiffer => idmap::IDS_DIFFER,
        Cause::GidMapDenied => idmap::GID_MAP_DENIED,
        Cause::SourceMissing => description::SOURCE_MISSING,
        Cause::SourceUnreachable => description::SOURCE_UNREACHABLE,
        Cause::AppArmorDeniesMount => mounts::APP_ARMOR_DENIES_MOUNT,
        Cause::SeccompDeniesMount => mounts::SECCOMP_DENIES_MOUNT,
        Cause::MountNotImplemented => mounts::MOUNT_NOT_IMPLEMENTED,
        Cause::LandlockDeniesMount => mounts::LANDLOCK_DENIES_MOUNT,
        Cause::TmpMissing => mounts::TMP_MISSING,
        Cause::SelinuxDeniesTmpfs => mounts::SELINUX_DENIES_TMPFS,
        Cause::SeccompDeniesTmpfs => mounts::SECCOMP_DENIES_TMPFS,
        Cause::MountLimit => mounts::MOUNT_LIMIT,
        Cause::OverlayUnsupported => mounts::OVERLAY_UNSUPPORTED,
        Cause::Openat2Missing => mounts::OPENAT2_MISSING,
        Cause::HostnameDenied => mounts::HOSTNAME_DENIED,
        Cause::MaskedProc => proc::MASKED_PROC,
        Cause::CoveredProc => proc::COVERED_PROC,
        Cause::OuterBwrapCoversProc => proc::OUTER_BWRAP_COVERS_PROC,
        Cause::ProcAtime => proc::PROC_ATIME,
        Cause::SelinuxDeniesProc => proc::SELINUX_DENIES_PROC,
        Cause::AppArmorDeniesProc => proc::APP_ARMOR_DENIES_PROC,
        Cause::PidNamespaceNotOwned => proc::PID_NAMESPACE_NOT_OWNED,
        Cause::EmulatedKernelDeniesProc => proc::EMULATED_KERNEL_DENIES_PROC,
        Cause::NeedlessUserNamespace => proc::NEEDLESS_USER_NAMESPACE,
        Cause::SelinuxDeniesDevpts => proc::SELINUX_DENIES_DEVPTS,
        Cause::DevptsInvalid => proc::DEVPTS_INVALID,
        Cause::DeviceMissing => proc::DEVICE_MISSING,
        Cause::RemountRefused => description::REMOUNT_REFUSED,
        Cause::DestinationReadOnly => description::DESTINATION_READ_ONLY,
        Cause::DestinationIsSymlink => description::DESTINATION_IS_SYMLINK,
        Cause::DestinationOfOtherKind => description::DESTINATION_OF_OTHER_KIND,
        Cause::DestinationExists => description::DESTINATION_EXISTS,
        Cause::FileTooBig => description::FILE_TOO_BIG,
        Cause::BindDenied => description::BIND_DENIED,
        Cause::SeccompDeniesPivotRoot => mounts::SECCOMP_DENIES_PIVOT_ROOT,
        Cause::AppArmorDeniesPivotRoot => mounts::APP_ARMOR_DENIES_PIVOT_ROOT,
        Cause::SeccompDeniesUmount => mounts::SECCOMP_DENIES_UMOUNT,
        Cause::SeccompDeniesUnshare => inside::SECCOMP_DENIES_UNSHARE,
        Cause::SecondUserNamespaceLimit => inside::SECOND_USER_NAMESPACE_LIMIT,
        Cause::DisableUsernsDenied => inside::DISABLE_USERNS_DENIED,
        Cause::DisableUsernsReadOnly => inside::DISABLE_USERNS_READ_ONLY,
        Cause::UserNamespacesStillAllowed => inside::USER_NAMESPACES_STILL_ALLOWED,
        Cause::CapabilityUnavailable => inside::CAPABILITY_UNAVAILABLE,
        Cause::ProcessLimitLate => inside::PROCESS_LIMIT_LATE,
        Cause::WorkingDirectoryMissing => inside::WORKING_DIRECTORY_MISSING,
        Cause::LabelRefused => inside::LABEL_REFUSED,
        Cause::FilterRejected => inside::FILTER_REJECTED,
        Cause::LoaderMissing => inside::LOADER_MISSING,
        Cause::ProgramMissing => inside::PROGRAM_MISSING,
        Cause::ProgramNotExecutable => inside::PROGRAM_NOT_EXECUTABLE,
        Cause::WrongArchitecture => inside::WRONG_ARCHITECTURE,
        Cause::ExecDenied => inside::EXEC_DENIED,
        Cause::DescriptorLimit => inside::DESCRIPTOR_LIMIT,
        Cause::OutOfMemory => inside::OUT_OF_MEMORY,
        Cause::UnmaskedNeedsUserNamespace => cluster::UNMASKED_NEEDS_USER_NAMESPACE,
        Cause::NodeWithoutUserNamespaces => cluster::NODE_WITHOUT_USER_NAMESPACES,
        Cause::PodFieldsIgnored => cluster::POD_FIELDS_IGNORED,
        Cause::PodSecurityForbidsUnmasked => cluster::POD_SECURITY_FORBIDS_UNMASKED,
        Cause::Unexplained => cluster::UNEXPLAINED,
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_cause_is_explained_for_a_terminal() {
        let mut seen = HashSet::new();
        for &cause in Cause::ALL {
            let text = of(cause);
            let words = text.split_whitespace().count();
            assert!((40..=260).contains(&words), "{cause:?}: {words} words");
            for line in text.lines() {
                assert!(line.chars().count() <= 78 && line.trim_end() == line, "{cause:?}: {line}");
            }
            assert!(text.contains("\n\n") && text.ends_with('.') && !text.contains("\n\n\n"), "{cause:?}");
            assert!(seen.insert(text), "{cause:?} has the text of another");
        }
    }

    /// Whoever reads it has a message or a file before him, and looks for it here.
    #[test]
    fn each_names_what_is_seen() {
        for &cause in Cause::ALL {
            let text = of(cause);
            assert!(
                text.contains('`') && text.matches('`').count().is_multiple_of(2),
                "{cause:?}: nothing literal, or open"
            );
            let quoted = text.split('`').skip(1).step_by(2);
            let seen = quoted.chain(text.split_whitespace()).any(|part| {
                part.contains(": ")
                    || part.starts_with("/proc/")
                    || part.starts_with("/sys/")
                    || part.contains("bwrap")
            });
            assert!(seen, "{cause:?} names neither message nor evidence");
        }
    }

    /// Each message that a rule is for is found in the text about its cause, by its first words.
    #[test]
    fn messages_of_rules_are_quoted() {
        for rule in crate::diagnosis::rules::all() {
            let text = of(rule.cause).split_whitespace().collect::<Vec<_>>().join(" ");
            let quoted = rule.messages.iter().any(|(pattern, _)| {
                let words: String = pattern.split('%').next().unwrap().chars().take(20).collect();
                text.contains(words.trim_end())
            });
            assert!(quoted || rule.messages.is_empty(), "{:?}: none of {:?}", rule.cause, rule.messages);
        }
    }
}
