//! What can be seen of a case: each thing said once, in three sentences, and tied to what it was read from.
//!
//! A [`Seen`] is made only of something that was read: of a fact that is known, of a message that was heard, of a sandbox
//! that is known. What nobody read can only be called unknown.

use super::case::Case;
use std::path::Path;

use super::facts::{enters_user_namespace, word};
use super::wish::bwrap_path;
use crate::host::{Fact, Sighting, profile_files};
use crate::sandbox::Capability;

/// A sentence about something that was read.
#[derive(Debug)]
pub(super) struct Seen(String);

impl Seen {
    pub(super) fn text(self) -> String {
        self.0
    }
}

/// A sentence, or none where there is nothing to say.
pub(super) trait Words {
    fn words(self) -> Option<String>;
}

impl Words for &str {
    fn words(self) -> Option<String> {
        Some(self.to_owned())
    }
}

impl Words for String {
    fn words(self) -> Option<String> {
        Some(self)
    }
}

impl<T: Words> Words for Option<T> {
    fn words(self) -> Option<String> {
        self?.words()
    }
}

/// Of a fact, present, absent or refused; nothing, if nobody knows it.
pub(super) fn seen<T>(fact: &Fact<T>, text: impl Words) -> Option<Seen> {
    text.words().filter(|_| !fact.is_unknown()).map(Seen)
}

/// Of what bwrap, its loader or the kernel answered.
pub(super) fn heard(case: &Case<'_>, text: impl Words) -> Option<Seen> {
    text.words().filter(|_| case.failed()).map(Seen)
}

/// The message itself.
pub(super) fn said(case: &Case<'_>) -> Option<Seen> {
    case.symptom?.message().map(|message| Seen(format!("bwrap says so: {message}")))
}

/// Of what the sandbox asks for.
pub(super) fn asked(case: &Case<'_>, text: impl Words) -> Option<Seen> {
    text.words().filter(|_| case.sandbox.is_some()).map(Seen)
}

/// Of what gives a platform away.
pub(super) fn sighted(sighting: &Sighting) -> Seen {
    Seen(format!("this is {}: {}", sighting.platform, sighting.evidence))
}

/// A thing that can be seen: whether it is so, and what is said if it is, if it is not, and if nobody knows.
pub(super) struct Sight {
    pub(super) answer: Option<bool>,
    so: String,
    otherwise: String,
    unknown: String,
}

impl Sight {
    fn new(answer: Option<bool>, so: impl Into<String>, otherwise: impl Into<String>, unknown: &str) -> Self {
        Self { answer, so: so.into(), otherwise: otherwise.into(), unknown: unknown.to_owned() }
    }

    /// If it is so.
    pub(super) fn so(self) -> Option<Seen> {
        (self.answer == Some(true)).then_some(Seen(self.so))
    }

    /// If it is not so.
    pub(super) fn otherwise(self) -> Option<Seen> {
        (self.answer == Some(false)).then_some(Seen(self.otherwise))
    }

    /// Either; what to look at, if nobody knows.
    pub(super) fn either(self) -> Result<(bool, Seen), String> {
        match self.answer {
            Some(true) => Ok((true, Seen(self.so))),
            Some(false) => Ok((false, Seen(self.otherwise))),
            None => Err(self.unknown),
        }
    }
}

/// A system call filter.
pub(super) fn filter(case: &Case<'_>) -> Sight {
    Sight::new(
        case.filtered(),
        "a system call filter is on (Seccomp: 2 in /proc/self/status)",
        "no system call filter is on (Seccomp: 0 in /proc/self/status)",
        "whether a system call filter is on: Seccomp in /proc/self/status",
    )
}

/// Root.
pub(super) fn root(case: &Case<'_>) -> Sight {
    Sight::new(
        case.root(),
        "the process is root (Uid 0 in /proc/self/status)",
        "the process is not root (Uid in /proc/self/status)",
        "whether the process is root: Uid in /proc/self/status",
    )
}

/// A capability that the process has.
pub(super) fn capability(case: &Case<'_>, capability: Capability) -> Sight {
    Sight::new(
        case.has(capability),
        format!("the process has {capability} (CapEff in /proc/self/status)"),
        format!("{capability} is not among the capabilities (CapEff in /proc/self/status)"),
        &format!("whether the process has {capability}: CapEff in /proc/self/status"),
    )
}

/// A capability that the process can ever have.
pub(super) fn bound(case: &Case<'_>, capability: Capability) -> Sight {
    Sight::new(
        case.host.process.bounding.present().map(|set| set.has(capability)),
        format!("{capability} is in the bounding set (CapBnd in /proc/self/status)"),
        format!("{capability} is out of bounds (CapBnd in /proc/self/status)"),
        &format!("whether the container has {capability}: CapBnd in /proc/self/status"),
    )
}

/// An AppArmor profile that confines this process.
pub(super) fn profile(case: &Case<'_>) -> Sight {
    let security = &case.host.security;
    let name = security.apparmor().filter(|name| *name != "unconfined");
    let known = [&security.label, &security.apparmor_label].iter().any(|label| !label.is_unknown());
    Sight::new(
        if name.is_some() { Some(true) } else { known.then_some(false) },
        format!("the profile {} confines this process (/proc/self/attr/current)", name.unwrap_or_default()),
        "this process is unconfined (/proc/self/attr/current)",
        "our AppArmor profile: /proc/self/attr/current",
    )
}

/// A security module that confines this process, whichever it is.
pub(super) fn label(case: &Case<'_>) -> Sight {
    let label = &case.host.security.label;
    let name = label.present().map(String::as_str).filter(|name| *name != "unconfined");
    let (none, otherwise) = match label {
        Fact::Present(_) => (true, "AppArmor does not confine us (/proc/self/attr/current)"),
        _ => (label.is_absent(), "neither AppArmor nor SELinux is on (/proc/self/attr/current)"),
    };
    Sight::new(
        if name.is_some() { Some(true) } else { none.then_some(false) },
        format!("a security module confines us: {} (/proc/self/attr/current)", name.unwrap_or_default()),
        otherwise,
        "whether a security module confines us: /proc/self/attr/current",
    )
}

/// The SELinux domain that this process is in.
pub(super) fn domain(case: &Case<'_>) -> Sight {
    let name = case.host.security.selinux().map(|context| context.domain);
    Sight::new(
        if name.is_some() { Some(true) } else { (!case.host.security.label.is_unknown()).then_some(false) },
        format!("this process is in the domain {} (/proc/self/attr/current)", name.unwrap_or_default()),
        "this process is in no domain of SELinux's (/proc/self/attr/current)",
        "our SELinux context: /proc/self/attr/current",
    )
}

/// Whether SELinux enforces its policy; that file is hidden in containers.
pub(super) fn enforcing(case: &Case<'_>) -> Sight {
    Sight::new(
        case.host.security.selinux_enforcing.present().copied(),
        "SELinux enforces its policy (/sys/fs/selinux/enforce)",
        "SELinux only logs (/sys/fs/selinux/enforce)",
        "whether SELinux enforces or only logs: inside a container both look alike, and only trying tells; \
         `getenforce` on the host",
    )
}

/// A user namespace of the sandbox's own.
pub(super) fn own_namespace(case: &Case<'_>) -> Sight {
    Sight::new(
        case.user_namespace(),
        "bwrap makes a user namespace of its own",
        "the sandbox asks for no user namespace, and root gets none unasked",
        "whether bwrap makes a user namespace of its own",
    )
}

/// The real user id, compared with the effective one.
pub(super) fn same_users(case: &Case<'_>) -> Sight {
    let process = &case.host.process;
    same(&process.uid, &process.real_uid, "user", "Uid")
}

/// The real group id, compared with the effective one.
pub(super) fn same_groups(case: &Case<'_>) -> Sight {
    let process = &case.host.process;
    same(&process.gid, &process.real_gid, "group", "Gid")
}

fn same(effective: &Fact<u32>, real: &Fact<u32>, kind: &str, field: &str) -> Sight {
    Sight::new(
        effective.present().zip(real.present()).map(|(effective, real)| effective == real),
        format!("the {kind} ids are the same ({field} in /proc/self/status)"),
        format!("the {kind} ids differ ({field} in /proc/self/status)"),
        &format!("our {kind} ids: {field} in /proc/self/status"),
    )
}

/// Whether our user is mapped in the user namespace that we are in.
pub(super) fn mapped(case: &Case<'_>) -> Sight {
    let map = case.host.user_namespace.uid_map.present();
    let uid = case.host.process.uid.present();
    Sight::new(
        uid.zip(map).map(|(uid, map)| map.iter().any(|line| line.covers(*uid))),
        "our user is mapped in our user namespace (/proc/self/uid_map)",
        "our user is not mapped in our user namespace (/proc/self/uid_map)",
        "the map of our user namespace: /proc/self/uid_map",
    )
}

/// Whether bwrap mounts in a user namespace other than ours, where the kernel wants to see a whole /proc.
pub(super) fn entered_namespace(case: &Case<'_>) -> Sight {
    Sight::new(
        enters_user_namespace(case),
        "bwrap mounts in a user namespace of its own, for which the rule holds",
        "bwrap makes no user namespace, and the rule holds only in others than the first",
        "whether bwrap makes a user namespace, for which alone the rule holds",
    )
}

/// Of a file that was looked at.
pub(super) fn file(case: &Case<'_>, path: &str, text: &str) -> Option<Seen> {
    seen(case.host.files.get(Path::new(path))?, text)
}

/// Those of some files that are not there.
pub(super) fn not_there(case: &Case<'_>, paths: &[&str]) -> Option<Seen> {
    let absent = |path: &&&str| case.host.files.get(Path::new(path)).is_some_and(Fact::is_absent);
    let absent: Vec<&str> = paths.iter().filter(absent).copied().collect();
    (!absent.is_empty()).then(|| Seen(format!("{} does not exist", absent.join(", "))))
}

/// The files of AppArmor profiles that this bwrap could have, and none of which is there.
pub(super) fn no_profile(case: &Case<'_>) -> Option<Seen> {
    let bwrap = bwrap_path(case);
    let files = profile_files(bwrap);
    if !files.iter().all(|file| case.host.files.get(file).is_some_and(Fact::is_absent)) {
        return None;
    }
    let files: Vec<String> = files.iter().map(|file| format!("no {}", file.display())).collect();
    Some(Seen(format!("there is no profile for {}: {}", bwrap.display(), files.join(", "))))
}

/// A kernel parameter's value.
pub(super) fn parameter(case: &Case<'_>, name: &str) -> Option<Seen> {
    let value = case.host.sysctl(name).present()?;
    Some(Seen(format!("{name} is {value} (/proc/sys/{})", name.replace('.', "/"))))
}

/// bwrap's file has the setuid bit.
pub(super) fn setuid_file(case: &Case<'_>) -> Option<Seen> {
    let program = case.host.bwrap.present().filter(|program| program.setuid)?;
    Some(Seen(format!("{} has the setuid bit and is root's", word(&program.path))))
}

/// bwrap's file has capabilities.
pub(super) fn capable_file(case: &Case<'_>) -> Option<Seen> {
    let program = case.host.bwrap.present().filter(|program| program.file_capabilities)?;
    Some(Seen(format!("{} has the extended attribute security.capability", word(&program.path))))
}
