//! What a text tells beside bwrap's message: who ran it, and where. Whoever pastes a message pastes what stood around it: a
//! prompt, a launcher's own words, `uname -a`, a few sysctls, mounts, a unit.
//!
//! It stands in for facts that nobody read ([`Told::over`]). Nobody saw it here: what is found by it says so ([`mark`]).

mod marks;

use std::collections::BTreeMap;

use super::finding::{Bearing, Finding};
use super::launcher::Launcher;
use crate::host::{Fact, Host, Mount, Platform, Sighting, platform_of_kernel};
use marks::{COMPOSITORS, DISTRIBUTIONS, LAUNCHERS, PLATFORMS, holds};

/// So many lines are read: what people add stands near the message.
const MOST_LINES: usize = 2_000;
/// Of each so many bytes.
const MOST_BYTES: usize = 2_000;

/// What a text tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Told {
    /// Who wrote bwrap's line.
    pub(super) launcher: Option<Launcher>,
    /// What else is said of mounts; these are a few lines of many.
    pub(super) mounts: Vec<Mount>,
    /// Settings of a unit of systemd's: `ProtectKernelTunables=true`.
    pub(super) unit: Vec<String>,
    /// The settings of an agent's sandbox keep everything from it.
    pub(super) denies_root: bool,
    /// A compositor that keeps a capability is named.
    pub(super) compositor: bool,
    /// Facts, as of a host.
    host: Host,
}

impl Told {
    /// What a text tells, if anything.
    pub(super) fn read(text: &[u8]) -> Option<Box<Self>> {
        let mut reader = Reader::default();
        for line in text.split(|byte| *byte == b'\n').take(MOST_LINES) {
            reader.read(&String::from_utf8_lossy(line.get(..MOST_BYTES).unwrap_or(line)));
        }
        let told = reader.told();
        (told != Self::default()).then(|| Box::new(told))
    }

    /// A host with what is told in place of what nobody looked at.
    pub(super) fn over(&self, host: &Host) -> Host {
        let told = &self.host;
        let mut host = host.clone();
        fill(&mut host.platforms, &told.platforms);
        fill(&mut host.kernel.release, &told.kernel.release);
        fill(&mut host.security.modules, &told.security.modules);
        fill(&mut host.security.apparmor_enabled, &told.security.apparmor_enabled);
        for (name, value) in &told.sysctls {
            fill(host.sysctls.entry(name.clone()).or_default(), value);
        }
        host
    }
}

fn fill<T: Clone>(fact: &mut Fact<T>, told: &Fact<T>) {
    if fact.is_unknown() {
        fact.clone_from(told);
    }
}

/// Says of evidence that is only there because a text tells it, and that was not found without, where it is from.
pub(super) fn mark(found: &mut [Finding], without: &[Finding]) {
    for finding in found {
        let same = without.iter().find(|other| other.cause == finding.cause);
        let seen = same.map_or(&[][..], |other| &other.evidence);
        for evidence in &mut finding.evidence {
            if evidence.bearing != Bearing::Unknown && !seen.contains(evidence) {
                evidence.text.insert_str(0, "the text tells it: ");
            }
        }
    }
}

#[derive(Default)]
struct Reader {
    /// The place in the table of the launcher that is surest of those that are named.
    launcher: Option<usize>,
    platforms: BTreeMap<Platform, String>,
    release: Option<String>,
    sysctls: BTreeMap<String, String>,
    /// The kernel parameter that was just looked at, whose value is the next line.
    asked: Option<String>,
    mounts: Vec<Mount>,
    unit: Vec<String>,
    denies_root: bool,
    compositor: bool,
    chromium_os: bool,
    without_apparmor: bool,
}

impl Reader {
    fn read(&mut self, line: &str) {
        // what bwrap says is read elsewhere
        let line = line.find("bwrap: ").and_then(|at| line.get(..at)).unwrap_or(line);
        let lower = line.to_ascii_lowercase();
        if let Some(rank) = LAUNCHERS.iter().position(|(_, words)| holds(&lower, words)) {
            self.launcher = Some(self.launcher.map_or(rank, |other| other.min(rank)));
        }
        for (platform, words) in PLATFORMS {
            if let Some(word) = words.iter().find(|word| holds(&lower, &[word])) {
                self.platforms.entry(*platform).or_insert_with(|| (*word).to_owned());
            }
        }
        self.denies_root |= marks::denies_root(line);
        self.compositor |= holds(&lower, COMPOSITORS);
        self.chromium_os |= holds(&lower, &["chromium os lsm"]);
        self.without_apparmor |= holds(&lower, DISTRIBUTIONS);
        if let Some(release) = marks::release(line) {
            self.release.get_or_insert_with(|| release.to_owned());
        }
        let value = self.asked.take().zip(marks::value(line));
        if let Some((name, value)) = value.or_else(|| marks::parameter(line)) {
            self.sysctls.insert(name, value);
        }
        self.asked = marks::asked(line);
        self.mounts.extend(marks::mount(line));
        self.unit.extend(marks::unit_settings(line));
    }

    fn told(mut self) -> Told {
        let mut host = Host::default();
        let launcher = self.launcher.and_then(|rank| LAUNCHERS.get(rank)).map(|(launcher, _)| *launcher);
        if let Some(release) = self.release {
            // a kernel is the machine's, whatever runs on it
            host.security.apparmor_enabled =
                if [".el", ".fc", ".amzn"].iter().any(|mark| release.contains(mark)) {
                    Fact::Present(false)
                } else {
                    Fact::Unknown
                };
            if let Some(platform) = platform_of_kernel(&release) {
                self.platforms.insert(platform, release.clone());
            }
            host.kernel.release = Fact::Present(release);
        }
        if !self.unit.is_empty() {
            self.platforms.entry(Platform::SystemdUnit).or_insert_with(|| self.unit.join(", "));
        }
        if self.platforms.is_empty() {
            // nobody has these in a container without a word about it
            let mounted = |mount: &Mount| ["nfsd", "xenfs"].contains(&mount.filesystem.as_str());
            if launcher.is_some_and(Launcher::is_of_desktops) || self.mounts.iter().any(mounted) {
                host.platforms = Fact::Absent;
            }
            if self.without_apparmor {
                host.security.apparmor_enabled = Fact::Present(false);
            }
        } else {
            let seen = self.platforms.into_iter();
            let seen = seen.map(|(platform, word)| Sighting::new(platform, format!("`{}`", word.trim())));
            host.platforms = Fact::Present(seen.collect());
        }
        if self.chromium_os {
            host.security.modules = Fact::Present(vec!["chromiumos".to_owned()]);
        }
        host.sysctls = self.sysctls.into_iter().map(|(name, value)| (name, Fact::Present(value))).collect();
        let Self { mounts, unit, denies_root, compositor, .. } = self;
        Told { launcher, mounts, unit, denies_root, compositor, host }
    }
}

#[cfg(test)]
mod tests;
