//! What a text tells beside bwrap's message: who ran it, and where. Whoever pastes a message pastes what stood around it: a
//! prompt, a launcher's own words, `uname -a`, a few sysctls, mounts, a unit.
//!
//! It stands in for facts that nobody read ([`Told::over`]). Nobody saw it here: what is found by it says so.

mod denied;
mod facts;
mod given;
mod here;
mod hints;
mod kernels;
mod launchers;
mod lists;
mod meant;
mod modules;
mod mood;
mod mounts;
mod options;
mod parameters;
mod places;
mod prompts;
mod said;
mod signs;
mod switches;
mod systems;
mod tried;
mod units;
mod unshared;
mod values;
mod versions;
mod words;

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::path::PathBuf;

use super::hint::Hint;
use super::launcher::Launcher;
use crate::bwrap::message::is_signed;
use crate::host::{Fact, Host, Mount, Platform, Sighting, platform_of_kernel};
use denied::holds;
use facts::Facts;
use here::{Here, LEFT};
use launchers::{LAUNCHERS, names_launcher};
use options::Given;
pub(super) use places::of_profile;
use said::Said;
use signs::Sign;
use systems::{CHROMIUM_OS, DISTRIBUTIONS, Module};

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
    /// The kernel is Android's.
    pub(super) android: bool,
    /// It was started by sudo or su from another user's session.
    pub(super) sudo: bool,
    /// It was typed at a shell's prompt, and no unit is named.
    pub(super) typed: bool,
    /// Landlock is spoken of.
    pub(super) landlock: bool,
    /// It is WSL, and nothing says which.
    pub(super) wsl: bool,
    /// The system is NixOS.
    pub(super) nixos: bool,
    /// The container was started with a whole /proc.
    pub(super) unmasked: bool,
    /// The container is a privileged one.
    pub(super) privileged: bool,
    /// It was given no AppArmor profile, as options or fields show; nobody read what there is.
    pub(super) unconfined: bool,
    /// It was given no system call filter, as options or fields show; nobody read what there is.
    pub(super) unfiltered: bool,
    /// The container may nest others.
    pub(super) nests: bool,
    /// The version of bwrap.
    pub(super) version: Option<String>,
    /// A bwrap that ls(1) shows, and whether everybody may read it.
    pub(super) bwrap: Option<(PathBuf, bool)>,
    /// Files that ls(1) shows.
    pub(super) files: BTreeSet<PathBuf>,
    /// Platforms of which there are words in sentences only: nothing was typed there.
    pub(super) spoken: BTreeSet<Platform>,
    /// What is said in passing.
    pub(super) hints: BTreeSet<Hint>,
    /// Words of remedies that were tried.
    tried: BTreeSet<&'static str>,
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
        let is_named = |setting: &&String| {
            names.contains(&setting.split_once('=').map_or(setting.as_str(), |(name, _)| name))
        };
        let on = self.unit.iter().filter(is_named).filter(|setting| units::is_on(setting));
        let on: Vec<&str> = on.map(String::as_str).collect();
        (!on.is_empty()).then(|| on.join(", "))
    }

    /// Whether somebody has tried what a remedy says is to be done, in vain.
    pub(super) fn has_tried(&self, instructions: &str) -> bool {
        !instructions.contains("fusermount") && self.tried.iter().any(|words| instructions.contains(words))
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
        fill(&mut host.security.label, &told.security.label);
        fill(&mut host.security.apparmor_label, &told.security.apparmor_label);
        fill(&mut host.security.selinux_enforcing, &told.security.selinux_enforcing);
        fill(&mut host.security.apparmor_enabled, &told.security.apparmor_enabled);
        fill(&mut host.security.selinux_filesystem, &told.security.selinux_filesystem);
        let (process, shown) = (&mut host.process, &told.process);
        fill(&mut process.seccomp, &shown.seccomp);
        fill(&mut process.no_new_privs, &shown.no_new_privs);
        fill(&mut process.effective, &shown.effective);
        fill(&mut process.permitted, &shown.permitted);
        fill(&mut process.bounding, &shown.bounding);
        fill(&mut process.ambient, &shown.ambient);
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

#[derive(Default)]
struct Reader {
    /// The place in the table of the launcher that is surest of those that are named.
    launcher: Option<usize>,
    platforms: BTreeMap<Platform, Sighted>,
    here: Here,
    /// How many lines were read.
    lines: usize,
    facts: Facts,
    release: Said<String>,
    /// Kernel parameters, or that there is no such one.
    sysctls: BTreeMap<String, Said<Option<String>>>,
    /// The same as sentences say, which count where nothing was printed.
    said_sysctls: BTreeMap<String, Said<Option<String>>>,
    /// The line before sets a kernel parameter, and this one may print it.
    sets: bool,
    /// The kernel parameter that was just looked at, whose value is the next line.
    asked: Option<String>,
    /// What a list or a table begins with.
    heading: parameters::Heading,
    mounts: Vec<Mount>,
    unit: Vec<String>,
    files: BTreeSet<PathBuf>,
    tried: BTreeSet<&'static str>,
    versions: versions::Versions,
    bwrap: Said<(PathBuf, bool)>,
    chromium_os: Option<&'static str>,
    module: Said<Module>,
    signs: BTreeSet<Sign>,
    /// Engines that did not start a container.
    not_started: BTreeSet<Platform>,
    hints: BTreeSet<Hint>,
    /// The lines whose words were read.
    shapes: HashSet<String>,
}

/// By which word a platform is known, where it first stood, and whether it was only spoken of.
struct Sighted {
    word: String,
    line: usize,
    spoken: bool,
}

impl Reader {
    fn read(&mut self, line: &str) {
        self.lines += 1;
        // what bwrap says is read elsewhere
        let said = line.find("bwrap: ");
        if let Some(label) = places::label_of_pod(line) {
            // what collects the logs of a cluster writes that behind the message
            self.conclude(Platform::Kubernetes, label.to_owned());
        }
        let line = said.and_then(|at| line.get(..at)).unwrap_or(line);
        let lower = line.to_ascii_lowercase();
        if self.is_new(&lower) {
            self.read_words(line, &lower);
        }
        self.read_values(line, &lower);
        self.facts.read(line, &lower, !self.here.is_over());
        if said.is_some() {
            self.here.fails(self.lines);
        }
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
        let places = places::places(lower);
        self.here.read(self.lines, lower, !places.is_empty());
        for places::Place { platform, word, spoken } in places {
            if !spoken {
                // and another time it started
                self.not_started.remove(&platform);
            }
            self.see(platform, word, spoken);
        }
        let chromium_os = CHROMIUM_OS.iter().find(|words| holds(lower, &[words]));
        self.chromium_os = self.chromium_os.or(chromium_os.copied());
        self.signs.extend(signs::of(line, lower));
        let hints: BTreeSet<Hint> = hints::of(line, lower).collect();
        // what another container was given is not this one's
        let another = options::RUNS.iter().any(|run| lower.contains(run)) && !hints.contains(&Hint::SysAdmin);
        if another && self.hints.contains(&Hint::SysAdmin) {
            self.signs.insert(Sign::OtherRoot);
        }
        self.hints.extend(hints);
        self.tried.extend(tried::tried(lower));
        self.not_started.extend(places::not_started(lower));
        for (module, _) in DISTRIBUTIONS.iter().filter(|(_, words)| holds(lower, words)) {
            self.module.note(*module);
        }
    }

    /// What a line shows.
    fn read_values(&mut self, line: &str, lower: &str) {
        let shown = [
            prompts::prompt(line).map(|(platform, prompt)| (platform, prompt.to_owned())),
            places::composed(line).map(|name| (Platform::Docker, format!("{name} |"))),
            places::ended_unit(line).map(|unit| (Platform::SystemdUnit, format!("{unit}.service"))),
            places::of_kubectl(lower).map(|words| (Platform::Kubernetes, words.to_owned())),
            places::wsl_row(lower).map(|wsl| (wsl, lower.trim().to_owned())),
            places::of_build(line).map(|engine| (engine, lower.trim().to_owned())),
        ];
        for (platform, word) in shown.into_iter().flatten() {
            self.see(platform, word, false);
        }
        if let Some(release) = values::release(line) {
            self.release.note(release.to_owned());
        }
        self.read_parameters(line, lower);
        self.mounts.extend(mounts::mount(line));
        let settings = units::unit_settings(line);
        self.unit
            .extend(settings.into_iter().filter(|setting| !self.unit.contains(setting)).collect::<Vec<_>>());
        self.files.extend(values::file(line));
        self.versions.read(line);
        if let Some(bwrap) = values::bwrap(line) {
            self.bwrap.note(bwrap);
        }
    }

    /// Kernel parameters that a line shows, or says.
    fn read_parameters(&mut self, line: &str, lower: &str) {
        if let Some(name) = parameters::set(line).filter(|name| self.sysctls.contains_key(name)) {
            self.sysctls.entry(name).or_default().note(None);
        }
        if let Some(name) = parameters::absent(line) {
            self.sysctls.entry(name).or_default().note(None);
        }
        let answered = self.asked.take().zip(parameters::answer(line));
        let (asked, beside) = parameters::asked(line).unzip();
        let beside = asked.clone().zip(beside.flatten());
        let printed = answered.or_else(|| parameters::parameter(line)).or(beside);
        let listed = if printed.is_none() { parameters::listed(line) } else { Vec::new() };
        self.heading.read(lower, !listed.is_empty());
        let listed = listed.into_iter().filter(|_| self.heading.is_of_here());
        for (name, value) in printed.into_iter().chain(listed).filter(|_| !self.sets) {
            self.sysctls.entry(name).or_default().note(Some(value));
        }
        if let Some((name, value)) = switches::switch(lower).or_else(|| switches::set(lower)) {
            self.said_sysctls.entry(name).or_default().note(Some(value));
        }
        self.sets = parameters::sets_parameter(lower);
        self.asked = asked.filter(|_| !self.sets);
    }

    /// Keeps by what a platform is known first; of the names of LXC the one that says whose it is.
    fn see(&mut self, platform: Platform, word: String, spoken: bool) {
        let line = self.lines;
        match self.platforms.get_mut(&platform) {
            Some(seen) if seen.word == "lxc" && word != "lxc" => {
                *seen = Sighted { word, line: seen.line, spoken: seen.spoken && spoken };
            }
            Some(seen) => seen.spoken &= spoken,
            None => drop(self.platforms.insert(platform, Sighted { word, line, spoken })),
        }
    }

    /// What follows from something else than words: nobody speaks of that.
    fn conclude(&mut self, platform: Platform, word: String) {
        let line = self.lines;
        self.platforms.entry(platform).or_insert(Sighted { word, line, spoken: false });
    }

    /// Forgets services that are named where a container's own engine shows itself.
    fn drop_hired(&mut self) {
        let typed: Vec<Platform> =
            self.platforms.iter().filter(|(_, seen)| !seen.spoken).map(|(platform, _)| *platform).collect();
        self.platforms.retain(|platform, _| !places::is_hired_beside(*platform, &typed));
    }

    /// Forgets both kinds of WSL where both are spoken of: one of them is meant.
    fn drop_both_of_wsl(&mut self) {
        let both = [Platform::Wsl1, Platform::Wsl2];
        if both.iter().all(|wsl| self.platforms.contains_key(wsl)) {
            self.platforms.retain(|platform, _| !both.contains(platform));
        }
    }

    fn told(mut self) -> Told {
        let launcher = self.launcher.and_then(|rank| LAUNCHERS.get(rank)).map(|(launcher, _)| *launcher);
        if let Some(here) = self.here.since() {
            self.platforms
                .retain(|platform, seen| !seen.spoken || seen.line > here || !LEFT.contains(platform));
        }
        self.drop_hired();
        if let Some((platform, release)) =
            self.release.once().and_then(|it| Some((platform_of_kernel(it)?, it.clone())))
        {
            self.platforms.remove(&platform);
            self.conclude(platform, release);
        }
        // the kernel of Proxmox, whose own system seldom starts a sandbox
        if let Some(release) = self.release.once().filter(|release| release.contains("-pve")).cloned() {
            self.conclude(Platform::Lxc, release);
        }
        // what is only said of a setting says nothing where an engine is named
        let elsewhere = self.platforms.keys().any(|platform| *platform != Platform::SystemdUnit);
        self.unit.retain(|setting| setting.contains('=') || !elsewhere);
        if self.unit.iter().any(|setting| units::is_on(setting)) {
            self.conclude(Platform::SystemdUnit, self.unit.join(", "));
        }
        if self.has(Sign::JobContainer) && self.platforms.contains_key(&Platform::GitHubActions) {
            self.conclude(Platform::Docker, "container:".to_owned());
        }
        // a desktop's journal tells of all its units
        let ended = self.platforms.get(&Platform::SystemdUnit).filter(|seen| seen.word.ends_with(".service"));
        if ended.is_some_and(|seen| {
            launcher.is_some() || self.has(Sign::Typed) || !self.here.failed_beside(seen.line)
        }) {
            self.platforms.remove(&Platform::SystemdUnit);
        }
        // what fails beside bwrap, in the same container, is not what it is in
        if self.platforms.contains_key(&Platform::Nspawn) {
            self.platforms.retain(|platform, _| !self.not_started.contains(platform));
        }
        // a cluster's client stands on many desks
        if launcher.is_some_and(Launcher::is_of_desktops)
            && self.evidence(Platform::Kubernetes) == Some("kubectl")
        {
            self.platforms.remove(&Platform::Kubernetes);
        }
        // and so do the words of whoever works for one
        if self.has(Sign::Desk) {
            self.platforms.retain(|_, seen| !places::is_of_work(&seen.word, seen.spoken));
        }
        if self.has(Sign::OtherRoot) {
            self.hints.remove(&Hint::SysAdmin);
        }
        // of Chromium OS Linux runs in a virtual machine, or on its own kernel
        let by_name = |evidence: &str| evidence.contains("chrome");
        if self.chromium_os.is_some() && self.evidence(Platform::Crostini).is_some_and(by_name) {
            self.platforms.remove(&Platform::Crostini);
        }
        self.drop_both_of_wsl();
        // what the application says by itself: of Flatpak's own bwrap other words would follow
        let hinted = |hint| self.hints.contains(&hint);
        if hinted(Hint::AppOfFlatpak) && hinted(Hint::FlatpakRun) && !hinted(Hint::BeforeApp) {
            self.conclude(Platform::Flatpak, "flatpak run".to_owned());
        }
        if self.platforms.is_empty() && self.facts.given() != Given::default() {
            self.conclude(Platform::Container, "options of a container's".to_owned());
        }
        self.hints.extend(self.facts.hints().chain(self.versions.hint()));
        let host = self.host(launcher);
        let compositor = self.has(Sign::Compositor) && !self.is_inside();
        let denies_root = self.has(Sign::DeniesRoot);
        let nix_bwrap = self.has(Sign::NixBwrap);
        let [rootfs, qubes, fuse] = [Sign::Rootfs, Sign::Qubes, Sign::Fuse].map(|sign| self.has(sign));
        let signs = [Sign::NixOs, Sign::Android, Sign::Wsl, Sign::Sudo, Sign::Typed, Sign::Landlock];
        let [nixos, android, wsl, sudo, typed, landlock] = signs.map(|sign| self.has(sign));
        let (given, nests) = (self.facts.given(), self.facts.nests);
        let (version, bwrap) = (self.versions.told.once().cloned().flatten(), self.bwrap.once().cloned());
        let typed = typed && self.unit.is_empty();
        let spoken =
            self.platforms.iter().filter(|(_, seen)| seen.spoken).map(|(platform, _)| *platform).collect();
        let Self { mounts, unit, files, chromium_os, tried, hints, .. } = self;
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
            nixos,
            android,
            sudo,
            typed,
            landlock,
            wsl,
            unmasked: given.unmasked,
            privileged: given.is_all(),
            unconfined: given.unconfined && self.facts.label().is_none(),
            unfiltered: given.unfiltered && !self.facts.shows_filter(),
            nests,
            version,
            bwrap,
            files,
            spoken,
            hints,
            tried,
            host,
        }
    }

    fn host(&self, launcher: Option<Launcher>) -> Host {
        let mut host = Host::default();
        let sighting = |(platform, seen): (&Platform, &Sighted)| {
            Sighting::new(*platform, format!("`{}`", seen.word.trim()))
        };
        if !self.platforms.is_empty() {
            host.platforms = Fact::Present(self.platforms.iter().map(sighting).collect());
        } else if let Some(sighting) = self.facts.label().and_then(of_profile) {
            host.platforms = Fact::Present(vec![sighting]);
        } else if self.is_of_machine(launcher) {
            host.platforms = Fact::Absent;
        }
        // a kernel is the machine's, and a distribution may be a container's
        let release = self.release.once();
        // what LXC runs on has AppArmor, whatever the container's own system is
        let of_lxc = |module: &Module| *module == Module::AppArmor && self.evidence(Platform::Lxc).is_some();
        let named = self.module.once().copied().filter(|module| !self.is_inside() || of_lxc(module));
        let node = self.platforms.contains_key(&Platform::OpenShift) || self.has(Sign::SelinuxNode);
        let named = node.then_some(Module::Selinux).or(named);
        let module = release.and_then(|release| systems::module_of_kernel(release)).or(named);
        let doubtful = self.is_inside() || self.has(Sign::Container) && !self.is_of_machine(launcher);
        // a userland of one distribution runs on the kernel of another, unless somebody sits at it
        let at_desk = || launcher.is_some_and(Launcher::is_of_desktops) || self.is_of_machine(launcher);
        let doubtful =
            doubtful || release.map_or_else(|| !at_desk(), |release| systems::may_restrict(release));
        self.facts.fill(&mut host, module, doubtful);
        host.kernel.release = release.map_or(Fact::Unknown, |release| Fact::Present(release.clone()));
        let said = self.said_sysctls.iter().filter(|(name, _)| !self.sysctls.contains_key(*name));
        for (name, value) in self.sysctls.iter().chain(said) {
            let fact = match value.once() {
                Some(Some(value)) => Fact::Present(value.clone()),
                Some(None) => Fact::Absent,
                None => continue,
            };
            host.sysctls.insert(name.clone(), fact);
        }
        host
    }

    fn has(&self, sign: Sign) -> bool {
        self.signs.contains(&sign)
    }

    /// By which words a platform is known.
    fn evidence(&self, platform: Platform) -> Option<&str> {
        self.platforms.get(&platform).map(|seen| seen.word.as_str())
    }

    /// Whether a container's engine is named.
    fn is_inside(&self) -> bool {
        let engines =
            [Platform::Docker, Platform::Podman, Platform::Kubernetes, Platform::OpenShift, Platform::Lxc];
        engines.iter().any(|engine| self.platforms.contains_key(engine))
    }

    /// Whether there are things that nobody has in a container without a word about it.
    fn is_of_machine(&self, launcher: Option<Launcher>) -> bool {
        let mounted = |mount: &Mount| ["nfsd", "xenfs"].contains(&mount.filesystem.as_str());
        let hardened = self.release.once().is_some_and(|release| release.contains("hardened"));
        let here = self.here.since().is_some() || self.has(Sign::Machine) && !self.has(Sign::Container);
        let said = here || self.has(Sign::Qubes) || self.has(Sign::NoContainer) && !self.has(Sign::Container);
        let desktop = launcher.is_some_and(Launcher::is_of_desktops) && !self.has(Sign::InContainer);
        let own = self.hints.contains(&Hint::OwnBwrap) && !self.has(Sign::Container);
        said || hardened || desktop || own || self.mounts.iter().any(mounted)
    }
}

#[cfg(test)]
mod tests;
