//! Programs that write bwrap's line themselves, and by which paths they are known.

use std::path::Path;

/// A program that writes the line of bwrap itself: whoever runs it cannot edit that.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Launcher {
    Codex,
    ClaudeCode,
    Flatpak,
    Steam,
    NixFhs,
    Opam,
    /// What composes trees for rpm-ostree, as root.
    RpmOstree,
    /// A program that shows web pages, as Epiphany.
    WebKit,
    /// A program that shows images with glycin, as GNOME's do.
    Glycin,
}

impl Launcher {
    /// Whether a program is the own one of an application of Flatpak's: a name that is searched in its PATH, or a path of its files.
    pub(super) fn is_of_application(program: &Path) -> bool {
        program.is_relative() || program.starts_with("/app")
    }

    /// Whether it is started on a person's own machine, as good as always.
    pub(super) fn is_of_desktops(self) -> bool {
        matches!(self, Self::Flatpak | Self::Steam | Self::NixFhs | Self::WebKit | Self::Glycin)
    }

    /// Whose path this is, on the host or inside.
    pub(super) fn of_path(path: &Path) -> Option<Self> {
        marked(MARKS, path)
    }

    /// Who covers such a path, or brings it along.
    pub(super) fn protecting(path: &Path) -> Option<Self> {
        marked(PROTECTED, path)
    }
}

/// Parts of paths that only they have.
type Marks = &'static [(Launcher, &'static [&'static str])];

const MARKS: Marks = &[
    (Launcher::Codex, &["/codex-resources/", "/codex-linux-sandbox"]),
    (Launcher::ClaudeCode, &["/sandbox-runtime/"]),
    (Launcher::Steam, &["/pressure-vessel", "/SteamLinuxRuntime", "/share/umu/"]),
    (Launcher::Flatpak, &["/flatpak-bwrap", "/run/flatpak/"]),
    (Launcher::NixFhs, &["-fhsenv-rootfs"]),
];

/// What they cover in a working directory, where others seldom mount anything.
const PROTECTED: Marks = &[
    (Launcher::ClaudeCode, &["/.claude/"]),
    (Launcher::Codex, &["/.codex", "/.agents"]),
    (Launcher::Flatpak, &["/doc/by-app/", "/app/lib/", "/app/share/", "/flatpak/runtime/", "/flatpak/app/"]),
    (Launcher::Steam, &["/steamapps/"]),
];

fn marked(marks: Marks, path: &Path) -> Option<Launcher> {
    let path = path.to_string_lossy();
    let has = |(_, parts): &&(Launcher, &[&str])| parts.iter().any(|part| path.contains(part));
    marks.iter().find(has).map(|(launcher, _)| *launcher)
}
