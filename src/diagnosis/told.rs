//! What a text tells beside bwrap's message: who ran it, and where. Whoever pastes a message pastes what stood around it: a
//! prompt, a launcher's own words, `uname -a`, a few sysctls, mounts, a unit.
//!
//! It stands in for facts that nobody read ([`Told::over`]). Nobody saw it here: what is found by it says so.

mod denied;
mod marks;
mod mounts;
mod prompts;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

use super::launcher::Launcher;
use crate::bwrap::message::is_signed;
use crate::host::{Fact, Host, Mount, Platform, Sighting, platform_of_kernel};
use denied::{Inside, inside};
use marks::{
    CHROMIUM_OS, COMPOSITORS, DISTRIBUTIONS, FUSE, LAUNCHERS, Module, PLATFORMS, QUBES, holds, names_launcher,
};

/// So many lines are read from the first on, and so many up to the last: what people add by hand is short, and a log may be between.
const MOST_LINES: usize = 2_000;
/// And so many around the first message: who ran it stands there.
const AROUND: usize = 200;
/// Of each so many bytes.
const MOST_BYTES: usize = 2_000;

/// What a text tells.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
#[allow(clippy::struct_excessive_bools, reason = "each is told by words of its own, and none by another")]
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
    /// The bwrap is one of Nix's.
    pub(super) nix_bwrap: bool,
    /// The root is shown to be the initramfs.
    pub(super) rootfs: bool,
    /// The kernel is Chromium OS's, by this word.
    pub(super) chromium_os: Option<&'static str>,
    /// It is a virtual machine of Qubes'.
    pub(super) qubes: bool,
    /// A file system in user space is spoken of.
    pub(super) fuse: bool,
    /// Files that ls(1) shows.
    pub(super) files: BTreeSet<PathBuf>,
    /// Facts, as of a host.
    host: Host,
}

impl Told {
    /// What a text tells, if anything.
    pub(super) fn read(text: &[u8]) -> Option<Box<Self>> {
        let mut reader = Reader::default();
        let lines: Vec<&[u8]> = text.split(|byte| *byte == b'\n').collect();
        let end = lines.len().saturating_sub(MOST_LINES);
        let said = lines.iter().position(|line| is_signed(line)).unwrap_or_default();
        for (index, line) in lines.into_iter().enumerate() {
            if index < MOST_LINES || index >= end || index.abs_diff(said) < AROUND {
                reader.read(&String::from_utf8_lossy(line.get(..MOST_BYTES).unwrap_or(line)));
            }
        }
        let told = reader.told();
        (told != Self::default()).then(|| Box::new(told))
    }

    /// Those of these settings of a unit that are on.
    pub(super) fn settings(&self, names: &[&str]) -> Option<String> {
        let is_named =
            |setting: &&String| setting.split_once('=').is_some_and(|(name, _)| names.contains(&name));
        let on = self.unit.iter().filter(is_named).filter(|setting| marks::is_on(setting));
        let on: Vec<&str> = on.map(String::as_str).collect();
        (!on.is_empty()).then(|| on.join(", "))
    }

    /// Where bwrap ran, and by what words.
    pub(super) fn places(&self) -> Vec<String> {
        let sightings = self.host.platforms.present().into_iter().flatten();
        sightings.map(|sighting| format!("{} ({})", sighting.platform, sighting.evidence)).collect()
    }

    /// A host with what is told in place of what nobody looked at.
    pub(super) fn over(&self, host: &Host) -> Host {
        let told = &self.host;
        let mut host = host.clone();
        fill(&mut host.platforms, &told.platforms);
        fill(&mut host.kernel.release, &told.kernel.release);
        fill(&mut host.security.modules, &told.security.modules);
        fill(&mut host.security.apparmor_enabled, &told.security.apparmor_enabled);
        fill(&mut host.security.selinux_filesystem, &told.security.selinux_filesystem);
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

/// What lines say of one thing. Where they say several, nobody knows which of these was so when bwrap failed.
#[derive(Default, Clone, PartialEq)]
enum Said<T> {
    #[default]
    Nothing,
    Once(T),
    Several,
}

impl<T: PartialEq> Said<T> {
    fn note(&mut self, said: T) {
        *self = match self {
            Self::Nothing => Self::Once(said),
            Self::Once(before) if *before == said => return,
            Self::Once(_) | Self::Several => Self::Several,
        };
    }

    fn once(&self) -> Option<&T> {
        match self {
            Self::Once(said) => Some(said),
            Self::Nothing | Self::Several => None,
        }
    }
}

#[derive(Default)]
struct Reader {
    /// The place in the table of the launcher that is surest of those that are named.
    launcher: Option<usize>,
    platforms: BTreeMap<Platform, String>,
    release: Said<String>,
    sysctls: BTreeMap<String, Said<String>>,
    /// The line before sets a kernel parameter, and this one may print it.
    sets: bool,
    /// The kernel parameter that was just looked at, whose value is the next line.
    asked: Option<String>,
    mounts: Vec<Mount>,
    unit: Vec<String>,
    files: BTreeSet<PathBuf>,
    chromium_os: Option<&'static str>,
    module: Said<Module>,
    signs: BTreeSet<Sign>,
    /// The lines whose words were read.
    shapes: HashSet<String>,
}

/// What is told by a word or two.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Sign {
    DeniesRoot,
    Compositor,
    NixBwrap,
    Qubes,
    Fuse,
    /// A job of GitHub's runs in a container.
    JobContainer,
    /// It is said to be in no container.
    NoContainer,
    /// A container is spoken of.
    Container,
    /// The root is the file system of the initramfs.
    Rootfs,
}

impl Reader {
    fn read(&mut self, line: &str) {
        // what bwrap says is read elsewhere
        let line = line.find("bwrap: ").and_then(|at| line.get(..at)).unwrap_or(line);
        let lower = line.to_ascii_lowercase();
        if self.is_new(&lower) {
            self.read_words(line, &lower);
        }
        self.read_values(line, &lower);
    }

    /// Whether no line of the same words came before: logs repeat themselves.
    fn is_new(&mut self, lower: &str) -> bool {
        // of that one the number is a part
        let numbered = lower.contains("wsl");
        let shape = lower.chars().filter(|letter| numbered || !letter.is_ascii_digit());
        self.shapes.insert(shape.collect())
    }

    /// What a line names.
    fn read_words(&mut self, line: &str, lower: &str) {
        if let Some(rank) = LAUNCHERS.iter().position(|(_, words)| names_launcher(lower, words)) {
            self.launcher = Some(self.launcher.map_or(rank, |other| other.min(rank)));
        }
        for (platform, words) in PLATFORMS {
            if let Some(word) = words.iter().find(|word| holds(lower, &[word])) {
                self.platforms.entry(*platform).or_insert_with(|| (*word).to_owned());
            }
        }
        let spoken = inside(lower);
        let chromium_os = CHROMIUM_OS.iter().find(|words| holds(lower, &[words]));
        self.chromium_os = self.chromium_os.or(chromium_os.copied());
        let signs = [
            (Sign::DeniesRoot, marks::denies_root(line)),
            (Sign::NixBwrap, marks::is_nix_bwrap(lower)),
            (Sign::Compositor, holds(lower, COMPOSITORS)),
            (Sign::Qubes, holds(lower, QUBES)),
            (Sign::Fuse, holds(lower, FUSE)),
            (Sign::NoContainer, spoken == Some(Inside::No)),
            (Sign::Container, spoken == Some(Inside::Perhaps)),
            (Sign::Rootfs, marks::shows_rootfs(lower)),
            (Sign::JobContainer, lower.trim_start().starts_with("container:")),
        ];
        self.signs.extend(signs.into_iter().filter(|(_, there)| *there).map(|(sign, _)| sign));
        for (module, _) in DISTRIBUTIONS.iter().filter(|(_, words)| holds(lower, words)) {
            self.module.note(*module);
        }
    }

    /// What a line shows.
    fn read_values(&mut self, line: &str, lower: &str) {
        if let Some((platform, prompt)) = prompts::prompt(line) {
            self.platforms.entry(platform).or_insert_with(|| prompt.to_owned());
        }
        if let Some(release) = marks::release(line) {
            self.release.note(release.to_owned());
        }
        let value = self.asked.take().zip(marks::value(line));
        let printed = value.or_else(|| marks::parameter(line)).filter(|_| !self.sets);
        if let Some((name, value)) = printed {
            self.sysctls.entry(name).or_default().note(value);
        }
        self.sets = marks::sets_parameter(lower);
        self.asked = marks::asked(line);
        self.mounts.extend(mounts::mount(line));
        self.unit.extend(marks::unit_settings(line));
        self.files.extend(marks::file(line));
    }

    fn told(mut self) -> Told {
        let launcher = self.launcher.and_then(|rank| LAUNCHERS.get(rank)).map(|(launcher, _)| *launcher);
        if let Some((platform, release)) =
            self.release.once().and_then(|it| Some((platform_of_kernel(it)?, it)))
        {
            self.platforms.insert(platform, release.clone());
        }
        // the kernel of Proxmox, whose own system seldom starts a sandbox
        if let Some(release) = self.release.once().filter(|release| release.contains("-pve")) {
            self.platforms.entry(Platform::Lxc).or_insert_with(|| release.clone());
        }
        if self.unit.iter().any(|setting| marks::is_on(setting)) {
            self.platforms.entry(Platform::SystemdUnit).or_insert_with(|| self.unit.join(", "));
        }
        if self.has(Sign::JobContainer) && self.platforms.contains_key(&Platform::GitHubActions) {
            self.platforms.entry(Platform::Docker).or_insert_with(|| "container:".to_owned());
        }
        // a cluster's client stands on many desks
        if launcher.is_some_and(Launcher::is_of_desktops)
            && self.evidence(Platform::Kubernetes) == Some("kubectl")
        {
            self.platforms.remove(&Platform::Kubernetes);
        }
        // of Chromium OS Linux runs in a virtual machine, or on its own kernel
        let by_name = |evidence: &str| evidence.contains("chrome");
        if self.chromium_os.is_some() && self.evidence(Platform::Crostini).is_some_and(by_name) {
            self.platforms.remove(&Platform::Crostini);
        }
        // both are spoken of, and one of them is meant
        if self.platforms.contains_key(&Platform::Wsl1) && self.platforms.contains_key(&Platform::Wsl2) {
            self.platforms.retain(|platform, _| ![Platform::Wsl1, Platform::Wsl2].contains(platform));
        }
        let host = self.host(launcher);
        let compositor = self.has(Sign::Compositor) && !self.is_inside();
        let denies_root = self.has(Sign::DeniesRoot);
        let nix_bwrap = self.has(Sign::NixBwrap);
        let [rootfs, qubes, fuse] = [Sign::Rootfs, Sign::Qubes, Sign::Fuse].map(|sign| self.has(sign));
        let Self { mounts, unit, files, chromium_os, .. } = self;
        Told {
            launcher,
            mounts,
            unit,
            denies_root,
            compositor,
            nix_bwrap,
            rootfs,
            chromium_os,
            qubes,
            fuse,
            files,
            host,
        }
    }

    fn host(&self, launcher: Option<Launcher>) -> Host {
        let mut host = Host::default();
        let sighting =
            |(platform, word): (&Platform, &String)| Sighting::new(*platform, format!("`{}`", word.trim()));
        if !self.platforms.is_empty() {
            host.platforms = Fact::Present(self.platforms.iter().map(sighting).collect());
        } else if self.is_of_machine(launcher) {
            host.platforms = Fact::Absent;
        }
        // a kernel is the machine's, and a distribution may be a container's
        let release = self.release.once();
        let named = self.module.once().copied().filter(|_| !self.is_inside());
        match release.and_then(|release| marks::module_of_kernel(release)).or(named) {
            Some(Module::AppArmor) => host.security.selinux_filesystem = Fact::Present(false),
            Some(Module::Selinux) => host.security.apparmor_enabled = Fact::Present(false),
            Some(Module::Neither) => {
                host.security.selinux_filesystem = Fact::Present(false);
                host.security.apparmor_enabled = Fact::Present(false);
            }
            None => {}
        }
        host.kernel.release = release.map_or(Fact::Unknown, |release| Fact::Present(release.clone()));
        let parameter = |(name, value): (&String, &Said<String>)| {
            Some((name.clone(), Fact::Present(value.once()?.clone())))
        };
        host.sysctls = self.sysctls.iter().filter_map(parameter).collect();
        host
    }

    fn has(&self, sign: Sign) -> bool {
        self.signs.contains(&sign)
    }

    /// By which words a platform is known.
    fn evidence(&self, platform: Platform) -> Option<&str> {
        self.platforms.get(&platform).map(String::as_str)
    }

    /// Whether a container's engine is named.
    fn is_inside(&self) -> bool {
        let engines = [Platform::Docker, Platform::Podman, Platform::Kubernetes, Platform::OpenShift];
        engines.iter().any(|engine| self.platforms.contains_key(engine))
    }

    /// Whether there are things that nobody has in a container without a word about it.
    fn is_of_machine(&self, launcher: Option<Launcher>) -> bool {
        let mounted = |mount: &Mount| ["nfsd", "xenfs"].contains(&mount.filesystem.as_str());
        let hardened = self.release.once().is_some_and(|release| release.contains("hardened"));
        let said = self.has(Sign::Qubes) || self.has(Sign::NoContainer) && !self.has(Sign::Container);
        said || hardened || launcher.is_some_and(Launcher::is_of_desktops) || self.mounts.iter().any(mounted)
    }
}

#[cfg(test)]
mod tests;
