//! By what words a text tells who wrote bwrap's line.

use super::denied::{is_denied, is_in_passing};
use super::words::stands;
use crate::diagnosis::launcher::Launcher;

/// Words of launchers, in small letters: those that are surest first, for one launcher is started by another.
pub(super) const LAUNCHERS: &[(Launcher, &[&str])] = &[
    (
        Launcher::Steam,
        &[
            "pressure-vessel",
            "steam.sh",
            "steamlinuxruntime",
            "steamlinuxruntime_soldier",
            "steamlinuxruntime_sniper",
            "steamlinuxruntime_4",
            "umu_run.py",
            "steam-runtime",
            "umu-run",
            "umu-launcher",
            "protonfixes",
            "$ steam",
        ],
    ),
    (Launcher::Opam, &["opam-init/hooks/sandbox.sh", "opam init", "opam install", "opam switch"]),
    (
        Launcher::RpmOstree,
        // the first are its own words
        &["bwrap test failed, see <https://github.com/coreos/rpm-ostree", "rpmostree-dracut-wrapper"],
    ),
    (
        Launcher::ClaudeCode,
        // the last is how it shows what a command printed
        &[
            "claude code",
            "claude-code",
            "claude cli",
            "@anthropic-ai",
            "sandbox-runtime",
            "$ srt",
            "npx srt",
            "srt:",
            "denyread",
            "\u{23bf}",
        ],
    ),
    (Launcher::Codex, &["codex"]),
    (Launcher::Glycin, &["glycin"]),
    (
        Launcher::WebKit,
        &[
            "webkit",
            "webkitgtk",
            "webkit2gtk",
            "webkitwebprocess",
            "webkitnetworkprocess",
            "epiphany",
            "(evolution:",
        ],
    ),
    (
        Launcher::NixFhs,
        &["-fhsenv", "buildfhsenv", "buildfhsuserenv", "buildfhsuserenvbubblewrap", "steam-run"],
    ),
    // the last are its own words
    (Launcher::Flatpak, &["flatpak", "gnome-software", "usebottles", "error: ldconfig failed"]),
    // which is at home where Flatpak is
    (Launcher::RpmOstree, &["rpm-ostree compose", "coreos-assembler"]),
];

/// The same of launchers, which are also named in passing: `I also have flatpak`.
pub(super) fn names_launcher(line: &str, words: &[&str]) -> bool {
    stands(line, words, |before, after| !is_denied(before, after) && !is_in_passing(before, after))
}

/// Whether a line in small letters shows that a program of a desktop was started as root: `sudo flatpak run`.
pub(super) fn starts_as_root(line: &str) -> bool {
    ["sudo flatpak run", "sudo steam", "sudo codex", "sudo claude", "sudo bwrap"]
        .iter()
        .any(|words| line.trim_start_matches(['$', '#', '>', ' ', '`']).starts_with(words))
}
