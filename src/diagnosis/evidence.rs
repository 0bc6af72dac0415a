//! What can be seen of a case: each thing said once, in three sentences, and tied to what it was read from.
//!
//! A [`Seen`] is made only of something that was read: of a fact that is known, of a message that was heard, of a sandbox
//! that is known. What nobody read can only be called unknown.

use super::case::Case;
use super::cause::{Cause, section};
use std::path::{Path, PathBuf};

use super::facts::{enters_user_namespace, word};
use super::remedy::fill;
use super::wish::bwrap_path;
use crate::bwrap::Message;
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

/// Of what bwrap, its loader or the kernel answered: not of a message that ends before the answer.
pub(super) fn heard(case: &Case<'_>, text: impl Words) -> Option<Seen> {
    let cut_off = case.message().is_some_and(Message::is_cut_off);
    text.words().filter(|_| case.failed() && !cut_off).map(Seen)
}

/// Of what was found by looking, in no words of bwrap's.
pub(super) const LOOKED: &str = "on this machine, in the files that the sandbox shows";

/// The message itself.
pub(super) fn said(case: &Case<'_>) -> Option<Seen> {
    case.symptom?.message().map(|message| Seen(format!("bwrap says so: {message}")))
}

/// Whether words stand in a text, those before ` ... ` before those after it.
pub(super) fn is_said(text: &str, words: &str) -> bool {
    let mut rest = Some(text);
    for part in words.split(" ... ") {
        rest = rest.and_then(|rest| Some(rest.split_once(part)?.1));
    }
    rest.is_some()
}

/// The line of another's than bwrap's by which a cause is known: by the words below `== said` in its text, in small letters.
pub(super) fn others_line(case: &Case<'_>, of: Cause) -> Option<String> {
    let words = section(of.text(), "said");
    let says = |line: &&str| {
        let lower = line.to_ascii_lowercase();
        words.lines().any(|words| is_said(&lower, words))
    };
    case.others().find_map(|text| {
        // most texts have none, and are long
        let lower = text.to_ascii_lowercase();
        let may = words.lines().any(|words| is_said(&lower, words));
        let line = may.then(|| text.lines().find(says)).flatten()?;
        Some(line.trim().to_owned())
    })
}

/// Of what the sandbox asks for.
pub(super) fn asked(case: &Case<'_>, text: impl Words) -> Option<Seen> {
    text.words().filter(|_| case.sandbox.is_some()).map(Seen)
}

/// Of what gives a platform away.
pub(super) fn sighted(sighting: &Sighting) -> Seen {
    Seen(format!("this is {}: {}", sighting.platform, sighting.evidence))
}

/// Of what stood around bwrap's message.
pub(super) fn told(case: &Case<'_>, text: impl Words) -> Option<Seen> {
    text.words().filter(|_| case.told().is_some()).map(Seen)
}

/// A thing that can be seen: whether it is so, and what is said if it is, if it is not, and if nobody knows.
pub(super) struct Sight {
    pub(super) answer: Option<bool>,
    text: String,
}

impl Sight {
    /// With the three sentences of a file of `sights/`, one a line, in which names in braces are filled in.
    fn new(answer: Option<bool>, sentences: &str, values: &[(&str, &str)]) -> Self {
        let line = match answer {
            Some(true) => 0,
            Some(false) => 1,
            None => 2,
        };
        Self { answer, text: fill(sentences.lines().nth(line).unwrap_or_default(), values) }
    }

    /// If it is so.
    pub(super) fn so(self) -> Option<Seen> {
        (self.answer == Some(true)).then_some(Seen(self.text))
    }

    /// If it is not so.
    pub(super) fn otherwise(self) -> Option<Seen> {
        (self.answer == Some(false)).then_some(Seen(self.text))
    }

    /// Either; of what nobody knows, what to look at.
    pub(super) fn text(self) -> String {
        self.text
    }
}

/// A system call filter.
pub(super) fn filter(case: &Case<'_>) -> Sight {
    // that it was asked for is no look at what there is
    let sentences = if case.is_shown_unfiltered() {
        include_str!("sights/unfiltered.txt")
    } else {
        include_str!("sights/filter.txt")
    };
    Sight::new(case.filtered(), sentences, &[])
}

/// Root.
pub(super) fn root(case: &Case<'_>) -> Sight {
    Sight::new(case.root(), include_str!("sights/root.txt"), &[])
}

/// A capability that the process has.
pub(super) fn capability(case: &Case<'_>, capability: Capability) -> Sight {
    let name = capability.to_string();
    Sight::new(case.has(capability), include_str!("sights/capability.txt"), &[("name", &name)])
}

/// A capability that the process can ever have.
pub(super) fn bound(case: &Case<'_>, capability: Capability) -> Sight {
    let bound = case.host.process.bounding.present().map(|set| set.has(capability));
    Sight::new(bound, include_str!("sights/bound.txt"), &[("name", &capability.to_string())])
}

/// An AppArmor profile that confines this process.
pub(super) fn profile(case: &Case<'_>) -> Sight {
    let security = &case.host.security;
    let name = security.apparmor().filter(|name| *name != "unconfined");
    let known = [&security.label, &security.apparmor_label].iter().any(|label| !label.is_unknown());
    let answer = name.map(|_| true).or(known.then_some(false));
    let shown = answer == Some(false) && case.told().is_some_and(|told| told.unconfined);
    let sentences =
        if shown { include_str!("sights/unprofiled.txt") } else { include_str!("sights/profile.txt") };
    Sight::new(answer, sentences, &[("name", name.unwrap_or_default())])
}

/// A security module that confines this process, whichever it is.
pub(super) fn label(case: &Case<'_>) -> Sight {
    let label = &case.host.security.label;
    let name = case.label();
    let none = match label {
        Fact::Present(_) => Some("AppArmor does not confine us"),
        _ => label.is_absent().then_some("neither AppArmor nor SELinux is on"),
    };
    let answer = name.map(|_| true).or(none.map(|_| false));
    let values = [("name", name.unwrap_or_default()), ("none", none.unwrap_or_default())];
    Sight::new(answer, include_str!("sights/label.txt"), &values)
}

/// The SELinux domain that this process is in.
pub(super) fn domain(case: &Case<'_>) -> Sight {
    let security = &case.host.security;
    let name = security.selinux().map(|context| context.domain);
    let answer = name.map(|_| true).or((!security.label.is_unknown()).then_some(false));
    Sight::new(answer, include_str!("sights/domain.txt"), &[("name", name.unwrap_or_default())])
}

/// Whether SELinux enforces its policy; that file is hidden in containers.
pub(super) fn enforcing(case: &Case<'_>) -> Sight {
    let enforcing = case.host.security.selinux_enforcing.present().copied();
    Sight::new(enforcing, include_str!("sights/enforcing.txt"), &[])
}

/// A user namespace of the sandbox's own.
pub(super) fn own_namespace(case: &Case<'_>) -> Sight {
    Sight::new(case.user_namespace(), include_str!("sights/own-namespace.txt"), &[])
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
    let answer = effective.present().zip(real.present()).map(|(effective, real)| effective == real);
    Sight::new(answer, include_str!("sights/same-ids.txt"), &[("kind", kind), ("field", field)])
}

/// Whether our user is mapped in the user namespace that we are in.
pub(super) fn mapped(case: &Case<'_>) -> Sight {
    let map = case.host.user_namespace.uid_map.present();
    let known = case.host.process.uid.present().zip(map);
    let answer = known.map(|(uid, map)| map.iter().any(|line| line.covers(*uid)));
    Sight::new(answer, include_str!("sights/mapped.txt"), &[])
}

/// Whether bwrap mounts in a user namespace other than ours, where the kernel wants to see a whole /proc.
pub(super) fn entered_namespace(case: &Case<'_>) -> Sight {
    Sight::new(enters_user_namespace(case), include_str!("sights/entered-namespace.txt"), &[])
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
    let absent = |file: PathBuf| {
        let absent = case.host.files.get(&file).is_some_and(Fact::is_absent);
        absent.then(|| format!("no {}", file.display()))
    };
    let absent = profile_files(bwrap).into_iter().map(absent).collect::<Option<Vec<_>>>()?;
    Some(Seen(format!("there is no profile for {}: {}", bwrap.display(), absent.join(", "))))
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
