//! What a text says in passing, and what one cause or remedy alone asks for.

use super::denied::holds;
use super::switches;
use crate::diagnosis::hint::Hint;

/// The words of each, in small letters.
const HINTS: &[(Hint, &[&str])] = &[
    (
        Hint::Nested,
        &[
            "nested bwrap",
            "bwrap inside bwrap",
            "bwrap within bwrap",
            "nested bubblewrap",
            "namespaces inside a bwrap",
        ],
    ),
    (
        Hint::Emulated,
        &[
            "qemu-user",
            "qemu-user-static",
            "qemu-riscv64",
            "qemu-aarch64",
            "qemu-arm",
            "qemu-x86_64",
            "tonistiigi/binfmt",
        ],
    ),
    (
        Hint::ContainerAction,
        &[
            "docker container action",
            "docker container actions",
            "docker-based action",
            "using: docker",
            "using: 'docker'",
            "using: \"docker\"",
        ],
    ),
    (Hint::OwnBwrap, &["runimage", "conty", "conty.sh", "startwine"]),
    (
        Hint::FileThere,
        &[
            "is valid",
            "file exists",
            "does exist",
            "binary exists",
            "binding the executable",
            "binding the binary",
        ],
    ),
    (Hint::KeepId, &["keep-id"]),
    (Hint::CapAdd, &["--cap-add", "cap_add", "--privileged"]),
    (Hint::GameMode, &["gamemodeauto", "libgamemodeauto", "gamemoderun"]),
    (
        Hint::AppOfFlatpak,
        &[
            "disabling sandboxing solves",
            "disabling sandboxing solved",
            "disabling sandboxing helps",
            "disabling sandboxing helped",
            "disabling sandboxing fixes",
            "disabling sandboxing fixed",
            "disabling the sandbox solves",
            "disabling the sandbox helps",
            "disabling the sandbox fixes",
        ],
    ),
    (Hint::FlatpakRun, &["flatpak run"]),
    (Hint::BeforeApp, &["ldconfig failed", "failed to sync with dbus proxy"]),
    (Hint::KernelOptions, &["config_namespaces=y", "config_pid_ns=y", "config_net_ns=y"]),
    (Hint::UserNsOption, &["config_user_ns=y"]),
    (Hint::NoSwitch, &["fedora", "silverblue", "bazzite", "opensuse", "alpine linux", "void linux"]),
    (Hint::ParentPids, &["parent-share-pids", "parent-expose-pids"]),
];

/// What a line tells so, as it stands and in small letters.
pub(super) fn of(whole: &str, line: &str) -> impl Iterator<Item = Hint> {
    let supposed = line.starts_with("if ") || line.contains(" if ") || line.contains(" whether ");
    let named = HINTS
        .iter()
        .filter(move |(hint, words)| holds(line, words) && !(supposed && *hint == Hint::FileThere));
    let said = [
        (Hint::Nested, is_nested(line)),
        (Hint::WithinSandbox, switches::nests(line)),
        (Hint::Unshares, switches::makes_namespaces(whole)),
    ];
    named.map(|(hint, _)| *hint).chain(said.into_iter().filter(|(_, said)| *said).map(|(hint, _)| hint))
}

/// Whether a line says that more sandboxes are started in one of bwrap's, or shows its prompt.
fn is_nested(line: &str) -> bool {
    let inside = [
        "inside a bwrap sandbox",
        "in a bwrap sandbox",
        "within a bwrap sandbox",
        "inside bwrap",
        "within bwrap",
    ];
    let more = [" further ", " another ", " nested ", " spawn "];
    let has = |words: &[&str]| words.iter().any(|word| line.contains(word));
    has(&inside) && has(&more)
        || line.split_whitespace().next().is_some_and(|word| word.contains("@sandbox:"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_in_passing_is_read() {
        for (line, hint) in [
            (
                "running a process that tries to spawn further user namespaces inside a bwrap sandbox",
                Hint::Nested,
            ),
            ("user@sandbox:~$ umu-run explorer.exe", Hint::Nested),
            ("which qemu-user doesn't seem to support:", Hint::Emulated),
            ("when the directory to run.sh is valid.", Hint::FileThere),
            ("container launched with `--userns=keep-id` alone", Hint::KeepId),
            ("$ ./conty.sh steam", Hint::OwnBwrap),
        ] {
            assert!(of(line, line).any(|it| it == hint), "{line}");
        }
        for line in [
            "i run firefox inside a bwrap sandbox:",
            "qemu-system-x86_64 -enable-kvm",
            "check whether the file exists",
            "we don't use --cap-add",
            "/home/u/continuity",
            "flatpak version of host: 1.14.4",
            "disabling sandboxing is not an option for us. debian 10:",
        ] {
            assert_eq!(of(line, line).next(), None, "{line}");
        }
    }
}
