//! What to change: typed, so that a program can apply it, and with the text that a person types.
//!
//! Each kind of action stands in a file of its own beside its texts. Which of them helps whom is decided in
//! [`wish`](super::wish).

mod apparmor;
mod change;
mod ci;
mod container;
mod pod;
mod sandbox;
mod selinux;
mod sysctl;
mod unit;

mod words;

use std::path::PathBuf;

pub use apparmor::AppArmorProfile;
pub(super) use apparmor::{OF_NIX, bwrap_profile, container_profile, nix_profile, rules};
pub use container::{CiService, ContainerOptions, Engine};
pub use pod::{PodPatch, Profile};
pub use sandbox::SandboxChange;
pub use selinux::{SelinuxModule, SelinuxRule};
pub use sysctl::Sysctl;
pub use unit::UnitSettings;
pub(super) use words::{fill, told};

use super::need::Need;
use crate::shell::{here_document, path_word};
use crate::visible::line;

/// Something that removes a cause.
///
/// ```
/// use bwrap_launch::Sandbox;
/// use bwrap_launch::diagnosis::{Action, SandboxChange, Symptom, diagnose};
/// use bwrap_launch::host::Host;
/// let sandbox = Sandbox::new().ro_bind("/nonexistent", "/mnt");
/// let symptom = Symptom::from_text(b"bwrap: Can't find source path /nonexistent: No such file or directory");
/// let diagnosis = diagnose(&symptom, &Host::snapshot(), Some(&sandbox));
/// let changed = diagnosis.causes[0].remedies.iter().find_map(|remedy| match &remedy.action {
///     Action::Sandbox(change @ SandboxChange::OptionalSource { .. }) => Some(change.apply(&sandbox)),
///     _ => None,
/// });
/// assert_eq!(changed.unwrap().to_string(), "bwrap --clearenv --ro-bind-try /nonexistent /mnt");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Remedy {
    /// What to do, in a line that begins with a verb: `Run the container as another user than root`. Where nothing tells
    /// what started bwrap, that comes before it: `In Docker: run the container as another user than root`.
    pub summary: String,
    /// What exactly to change.
    pub action: Action,
    /// What it opens up, or takes away: the price.
    pub opens: String,
    /// What must be there for it to work: versions, feature gates, privileges.
    pub requires: Vec<String>,
    /// Files that go with it: a seccomp profile, say.
    pub files: Vec<RemedyFile>,
    /// What [`requires`](field@Self::requires) is made of, as long as nobody has held it against what is known.
    pub(super) needs: Vec<Need>,
    /// A change of the sandbox in the words of the one at hand.
    pub(super) wording: Option<String>,
    /// It needs something that is known not to be there, or leads away from here.
    pub(super) last: bool,
}

/// A file that goes with a remedy.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize))]
#[non_exhaustive]
pub struct RemedyFile {
    /// Where it goes.
    #[cfg_attr(feature = "serde", serde(with = "crate::host::lossy"))]
    pub path: PathBuf,
    /// What is in it.
    pub content: String,
    /// The command that makes it count, before its path: whoever names a profile must find it loaded.
    #[cfg_attr(feature = "serde", serde(skip))]
    pub(super) load: Option<&'static str>,
}

/// What exactly to change.
#[derive(Debug, Clone, PartialEq, Eq)]
#[cfg_attr(feature = "serde", derive(serde::Serialize), serde(rename_all = "kebab-case"))]
#[non_exhaustive]
pub enum Action {
    /// The sandbox itself.
    Sandbox(SandboxChange),
    /// The pod.
    Pod(PodPatch),
    /// The options with which a container is started.
    Container(ContainerOptions),
    /// The SELinux policy.
    Selinux(SelinuxModule),
    /// The AppArmor policy of the host: load this profile.
    AppArmor(AppArmorProfile),
    /// A kernel parameter.
    Sysctl(Sysctl),
    /// The systemd unit.
    Unit(UnitSettings),
    /// What to type, as root unless it says otherwise.
    Commands(Vec<String>),
    /// What to do, where nothing can be typed.
    Manual(String),
}

impl Remedy {
    /// `summary` begins with a verb; `opens` says what it opens up or takes away.
    pub(super) fn new(summary: impl Into<String>, action: Action, opens: impl Into<String>) -> Self {
        Self {
            summary: line(&summary.into()).into_owned(),
            action,
            opens: line(&opens.into()).into_owned(),
            requires: Vec::new(),
            files: Vec::new(),
            needs: Vec::new(),
            wording: None,
            last: false,
        }
    }

    /// Lines to type.
    pub(super) fn commands(summary: &str, lines: impl Iterator<Item = String>, opens: &str) -> Self {
        Self::new(summary, Action::Commands(lines.collect()), opens)
    }

    /// It, or else one of the others.
    pub(super) fn or(self, others: impl IntoIterator<Item = Self>) -> Vec<Self> {
        vec![self].or(others)
    }

    pub(super) fn needs(mut self, what: impl Into<Need>) -> Self {
        self.needs.push(what.into());
        self
    }

    /// Its lines are for root of this system.
    pub(super) fn for_root(self) -> Self {
        self.needs(Need::Root)
    }

    pub(super) fn file(mut self, path: impl Into<PathBuf>, content: impl Into<String>) -> Self {
        self.files.push(RemedyFile { path: path.into(), content: content.into(), load: None });
        self
    }

    /// A profile that must be there, and loaded.
    pub(super) fn profile(mut self, profile: &AppArmorProfile) -> Self {
        self.files.push(profile.into());
        self
    }

    /// What to type or paste, for a terminal: files that are needed first, then what uses them.
    ///
    /// Lines that are no command begin with `#`; manifests follow such a line. Commands are for root unless it
    /// says otherwise in [`requires`](field@Self::requires). Names in capitals stand for what only you know.
    ///
    /// ```
    /// use bwrap_launch::diagnosis::{Symptom, diagnose};
    /// use bwrap_launch::host::{CapabilitySet, Fact, Host, Platform, Sighting};
    /// let mut host = Host::default();
    /// host.platforms = Fact::Present(vec![Sighting::new(Platform::Docker, "/.dockerenv")]);
    /// host.process.uid = Fact::Present(0);
    /// host.process.effective = Fact::Present(CapabilitySet(0));
    /// let symptom = Symptom::from_text(b"bwrap: setting up uid map: Operation not permitted");
    /// let diagnosis = diagnose(&symptom, &host, None);
    /// let remedy = diagnosis.remedy().unwrap();
    /// assert_eq!(remedy.instructions(), "docker run --user=1000 IMAGE\n");
    /// ```
    #[must_use]
    pub fn instructions(&self) -> String {
        let (typed, told) = self.parts();
        typed + &told
    }

    /// The files that go with it, by path, with the commands that write them as they stand in the instructions.
    pub(super) fn written(&self) -> Vec<(String, String)> {
        let named = |file: &RemedyFile| (file.path.display().to_string(), file.written());
        let mut files: Vec<_> = self.files.iter().map(named).collect();
        if let Action::AppArmor(profile) = &self.action {
            files.push(named(&profile.into()));
        }
        files
    }

    /// What a shell or a file takes, and after it what only a person understands.
    pub(super) fn parts(&self) -> (String, String) {
        let files: String = self.files.iter().map(RemedyFile::written).collect();
        let typed = match &self.action {
            Action::Sandbox(change) => {
                let told = self.wording.clone().unwrap_or_else(|| change.to_string());
                return (files, told + "\n");
            }
            Action::Manual(text) => return (files, format!("{text}\n")),
            Action::Pod(patch) => patch.typed(&files),
            Action::Container(options) => match options.service {
                Some(service) => ci::job(service, options, &files),
                None => options.typed(&files),
            },
            Action::Selinux(module) => files + &module.typed(),
            Action::AppArmor(profile) => files + &RemedyFile::from(profile).written(),
            Action::Sysctl(sysctl) => files + &sysctl.typed(),
            Action::Unit(unit) => files + &unit.typed(),
            Action::Commands(lines) => lines.iter().fold(files, |text, line| text + line + "\n"),
        };
        (typed, String::new())
    }
}

/// Remedies, the best first.
pub(super) trait Remedies {
    /// These, or else one of the others.
    fn or(self, others: impl IntoIterator<Item = Remedy>) -> Vec<Remedy>;
}

impl Remedies for Vec<Remedy> {
    fn or(mut self, others: impl IntoIterator<Item = Remedy>) -> Vec<Remedy> {
        self.extend(others);
        self
    }
}

impl From<&AppArmorProfile> for RemedyFile {
    fn from(profile: &AppArmorProfile) -> Self {
        let load = Some("apparmor_parser -r");
        Self { path: profile.path.clone(), content: profile.text.clone(), load }
    }
}

impl Action {
    /// Other options of a container.
    pub(super) fn options(engine: Engine, add: &[&str], remove: &[&str]) -> Self {
        let owned = |words: &[&str]| words.iter().map(|word| (*word).to_owned()).collect();
        Self::Container(ContainerOptions { engine, add: owned(add), remove: owned(remove), service: None })
    }
}

impl RemedyFile {
    /// The commands that write it.
    fn written(&self) -> String {
        let path = path_word(&self.path);
        let directory = self.path.parent().filter(|directory| directory.as_os_str() != "");
        let directory = directory.map_or_else(String::new, |it| format!("mkdir -p {}\n", path_word(it)));
        let load = self.load.map_or_else(String::new, |command| format!("{command} {path}\n"));
        // a distribution's own would be lost
        let before = self.load.map_or_else(String::new, |_| {
            format!("# writes over {path}: keep a copy of it, if there is one\n")
        });
        before + &directory + &here_document(&path, &self.content) + &load
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_a_file_is_not_in_it() {
        let remedy = Remedy::told("Do it\nPrice: nothing\n\nSee there.", &[]).file("f", "a\nEOF\nid\n");
        assert_eq!(remedy.instructions(), "cat > f <<'EOFF'\na\nEOF\nid\nEOFF\nSee there.\n");
    }

    #[test]
    fn files_come_first() {
        let remedy = Remedy::commands("Do it", ["use /etc/a/b".to_owned()].into_iter(), "nothing")
            .file("/etc/a/b", "content");
        assert_eq!(
            remedy.instructions(),
            "mkdir -p /etc/a\ncat > /etc/a/b <<'EOF'\ncontent\nEOF\nuse /etc/a/b\n"
        );
    }

    #[test]
    fn a_file_beside_needs_no_directory() {
        let remedy = Remedy::told("Do it\nPrice: nothing\n\nSee there.", &[]).file("bwrap.json", "{}\n");
        assert_eq!(remedy.instructions(), "cat > bwrap.json <<'EOF'\n{}\nEOF\nSee there.\n");
    }
}
