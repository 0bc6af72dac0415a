//! What a text says in passing, and what one cause or remedy alone asks for.

use super::denied::{holds, is_denied};
use super::mood::{self, Mood};
use super::switches;
use super::words::{sentences, stands};
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
        Hint::Qemu,
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
    // as they are typed, and as they begin
    (Hint::OwnBwrap, &["found runimage", "./runimage", "./conty", "$ conty", "./startwine"]),
    (Hint::CapAdd, &["--cap-add", "cap_add", "capadd", "capabilities.add", "--privileged"]),
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
    (Hint::SteamOfFlatpak, &["flatpak run com.valvesoftware.steam"]),
    (Hint::FlatpakInstall, &["flatpak install", "flatpak update"]),
    (Hint::FlatpakBuild, &["flatpak-builder", "flatpak build"]),
    (Hint::BeforeApp, &["ldconfig failed", "failed to sync with dbus proxy"]),
    (Hint::KernelOptions, &["config_namespaces=y", "config_pid_ns=y", "config_net_ns=y"]),
    (Hint::UserNsOption, &["config_user_ns=y"]),
    (
        Hint::FlatpakDescriptors,
        &[
            "flatpak 1.16.4",
            "flatpak 1.16.5",
            "flatpak-1.16.4",
            "flatpak-1.16.5",
            "flatpak version 1.16.4",
            "flatpak version 1.16.5",
            "flatpak version: 1.16.4",
            "flatpak version: 1.16.5",
        ],
    ),
    (
        Hint::SetuidBwrap,
        &[
            "bubblewrap-suid",
            "suid binary of bubblewrap",
            "setuid bubblewrap",
            "setuid bwrap",
            "suid bubblewrap",
            "suid bwrap",
            "userns is disabled",
            "userns disabled",
            "user namespaces are disabled",
        ],
    ),
    (
        Hint::OwnKernel,
        &[
            "custom kernel config",
            "own kernel config",
            "my kernel config",
            "self compiled kernel",
            "self-compiled kernel",
        ],
    ),
    (
        Hint::El7,
        &[
            "rhel 7",
            "rhel7",
            "rhel-7",
            "el7",
            "centos 7",
            "centos7",
            "centos-7",
            "centos linux 7",
            "centos linux release 7",
            "red hat enterprise linux 7",
            "red hat enterprise linux server 7",
            "scientific linux 7",
            "oracle linux 7",
        ],
    ),
    (Hint::FilterOption, &["config_seccomp_filter=y"]),
    (
        Hint::OwnUserNamespace,
        &["hostusers: false", "hostusers:false", "hostusers=false", "usernamespacessupport"],
    ),
    (Hint::NothingOfNode, &["privileged: false", "hostnetwork: false"]),
    // and clusters that come with it
    (Hint::Containerd, &["containerd", "gke", "eks", "aks", "k3s", "rke2"]),
    // what an agent's other way is called is no domain around bwrap
    (
        Hint::LandlockDomain,
        &[
            "landlock domain",
            "landlock_restrict_self",
            "landlocked",
            "inside landlock",
            "under landlock",
            "within landlock",
            "confined by landlock",
        ],
    ),
    // which is never WSL 1
    (
        Hint::KernelOfWsl2,
        &[
            "docker desktop",
            "default version: 2",
            "microsoft-standard",
            "kernel 5.",
            "kernel 6.",
            "linux 5.",
            "linux 6.",
            "kernel 4.19",
        ],
    ),
    (Hint::ParentPids, &["parent-share-pids", "parent-expose-pids"]),
];

/// What a line tells so, as it stands and in small letters.
pub(super) fn of(whole: &str, line: &str) -> impl Iterator<Item = Hint> {
    let named = HINTS.iter().filter(move |(hint, words)| holds(line, words) && is_plain(*hint, words, line));
    let said = [
        (Hint::Emulated, is_emulated(line)),
        (Hint::FileThere, is_there(line)),
        (
            Hint::KeepId,
            stands(line, &["keep-id"], |before, after| !is_denied(before, after) && !after.starts_with(':')),
        ),
        (Hint::SysAdmin, adds_sys_admin(line)),
        (Hint::FileCapabilities, is_set(line)),
        (Hint::NoSwitch, has_no_switch(line)),
        (Hint::NamespacesLeftOut, leaves_namespaces_out(line)),
        (Hint::NewClaude, is_new_claude(line)),
        (Hint::Nested, is_nested(line)),
        (Hint::WithinSandbox, switches::nests(line)),
        (Hint::Unshares, switches::makes_namespaces(whole)),
        (Hint::OldKubernetes, is_old_kubernetes(line)),
        (Hint::NewKubernetes, is_new_kubernetes(line)),
        (Hint::MachinesIds, line.split_whitespace().eq(["0", "0", "4294967295"])),
    ];
    named.map(|(hint, _)| *hint).chain(said.into_iter().filter(|(_, said)| *said).map(|(hint, _)| hint))
}

/// Whether a line says of what it names that it is so here and now, for what nobody else tells.
fn is_plain(hint: Hint, words: &[&str], line: &str) -> bool {
    match hint {
        Hint::LandlockDomain => sentences(line).iter().any(|sentence| {
            let otherwise = Mood::ASKS | Mood::SUPPOSES | Mood::DENIES | Mood::CHANGES | Mood::REMEMBERS;
            holds(sentence, words) && !mood::of(sentence).intersects(otherwise) && !line.contains('?')
        }),
        // of several releases nobody knows which is meant
        Hint::FlatpakDescriptors => {
            let other = ["changelog", "upgraded", "updated", "downgraded", "fixes", "fixed"];
            line.matches("flatpak 1.").count() <= 1 && !has(line, &other)
        }
        Hint::SetuidBwrap => {
            let otherwise = mood::of(line).intersects(Mood::ASKS | Mood::REMEMBERS);
            !otherwise && !has(line, &["not that", "remov", "replac"])
        }
        _ => true,
    }
}

/// Whether a line names a release of Kubernetes before 1.33: `Kubernetes 1.29`, `k3s v1.29.4+k3s1`, `Server Version: v1.30.2`.
fn is_old_kubernetes(line: &str) -> bool {
    names_kubernetes(line, 15..33) && !has(line, &["docs", "from kubernetes", "from k8s"])
}

/// The same of the releases that honour these fields.
fn is_new_kubernetes(line: &str) -> bool {
    names_kubernetes(line, 33..100) || has(line, &[" to 1.33", " to 1.34", " to 1.35", " to 1.36"])
}

fn names_kubernetes(line: &str, releases: std::ops::Range<u16>) -> bool {
    const NAMES: &[&str] =
        &["kubernetes", "k8s", "eks", "gke", "aks", "k3s", "rke2", "kubelet", "server version"];
    stands(line, NAMES, |before, after| {
        let rest = after.trim_start_matches([' ', ':', '(', ',', '=', 'v']);
        let rest = rest.strip_prefix("version ").unwrap_or(rest).trim_start_matches('v');
        let minor = rest.strip_prefix("1.").map(|rest| rest.split(|c: char| !c.is_ascii_digit()).next());
        let minor: Option<u16> = minor.flatten().and_then(|digits| digits.parse().ok());
        minor.is_some_and(|minor| releases.contains(&minor)) && !is_denied(before, after)
    })
}

/// Whether a line says that more sandboxes are started in one of bwrap's.
fn is_nested(line: &str) -> bool {
    let inside = [
        "inside a bwrap sandbox",
        "in a bwrap sandbox",
        "within a bwrap sandbox",
        "inside bwrap",
        "within bwrap",
    ];
    let more = [
        " further user namespace",
        " further namespace",
        " another user namespace",
        " another bwrap",
        " another sandbox",
        " nested ",
    ];
    has(line, &inside) && has(line, &more)
}

fn has(line: &str, words: &[&str]) -> bool {
    words.iter().any(|word| line.contains(word))
}

/// Whether a line says that qemu runs the program: it is also installed and listed where nothing runs in it.
fn is_emulated(line: &str) -> bool {
    let runs = ["support", "under qemu", "with qemu", "via qemu", "through qemu", "emulat", "unimplemented"];
    let listed = ["installed", "(enabled)", "needs ", "not emulat", "instead of "];
    if is_of_another_processor(line) {
        return true;
    }
    let qemu = HINTS.iter().find(|(hint, _)| *hint == Hint::Qemu);
    has(line, &runs) && !has(line, &listed) && qemu.is_some_and(|(_, words)| holds(line, words))
}

/// Whether a line starts a container of a platform that is named, or is an engine's warning that the image is for another.
fn is_of_another_processor(line: &str) -> bool {
    let runs = ["docker run", "docker create", "podman run", "podman create", "nerdctl run"];
    // which is most machines' own, and what runs in the background is something else
    let own = line.contains("linux/amd64")
        && !has(line, &[" m1", " m2", " m3", " m4", "apple", "arm64", "aarch64"]);
    let named = has(line, &["--platform linux/", "--platform=linux/"])
        && has(line, &runs)
        && !own
        && !has(line, &[" -d ", " --detach "]);
    let doubtful = ["?", "works", "without", "instead of ", "done ", " ago"];
    // which is there for nothing else
    let registers = line.contains("tonistiigi/binfmt") && line.contains("--install");
    has(line, &["does not match the detected host platform"]) || (named || registers) && !has(line, &doubtful)
}

/// Whether a line says of the program that it is there: of files at large much is said, and of those of the host.
fn is_there(line: &str) -> bool {
    let what = ["path", "binary", "executable", "program", "script"];
    let is = [" exists", " does exist", " is valid", " is there"];
    let other = [" if ", " whether ", "not bind", "n't bind", "on the host", "on my host", "outside", "?"];
    let ends =
        |at: usize| line.get(..at).is_some_and(|before| what.iter().any(|what| before.ends_with(what)));
    let named = is.iter().any(|is| line.match_indices(is).any(|(at, _)| ends(at)));
    let directory = line
        .split_once("directory to ")
        .and_then(|(_, rest)| rest.split_once(' '))
        .is_some_and(|(_, rest)| rest.starts_with("is valid") || rest.starts_with("exists"));
    let bound = has(line, &["binding the executable", "binding the binary"]) && line.contains("enough");
    (named || directory || bound) && !line.starts_with("if ") && !has(line, &other)
}

/// Whether a line gives root in a container the one capability and not that over networks: with it bwrap makes no user namespace.
fn adds_sys_admin(line: &str) -> bool {
    let adds =
        ["--cap-add sys_admin", "--cap-add=sys_admin", "--cap-add cap_sys_admin", "--cap-add=cap_sys_admin"];
    let listed = line.trim_start().starts_with("add:") && line.contains("sys_admin");
    let other = ["net_admin", "all", " -u ", "--user", "?", "works"];
    (has(line, &adds) || listed) && !has(line, &other)
}

/// Whether capabilities are put on bwrap's file.
fn is_set(line: &str) -> bool {
    stands(line, &["setcap"], |before, after| {
        !is_denied(before, after) && has(after, &["bwrap", "bubblewrap"]) && !after.starts_with(" -r")
    }) && !line.contains('?')
}

/// Distributions whose kernels come without Debian's switch.
const WITHOUT: &[&str] = &["fedora", "silverblue", "bazzite", "opensuse", "alpine", "void"];

/// Whether a line says so of one of them. That it is named says little: packages, addresses and neighbours are, too.
fn has_no_switch(line: &str) -> bool {
    let not_for = ["not applicable to ", "not apply to ", "not exist on ", "not exist in "];
    stands(line, WITHOUT, |before, after| {
        not_for.iter().any(|words| before.ends_with(words)) && !after.starts_with(" user")
    }) && !has(line, &["on debian", "debian 1"])
}

/// Whether a line shows or says that a kernel is built without a kind of namespaces: `# CONFIG_PID_NS is not set`.
fn leaves_namespaces_out(line: &str) -> bool {
    const KINDS: &[&str] = &[
        "config_namespaces",
        "config_pid_ns",
        "config_ipc_ns",
        "config_net_ns",
        "config_uts_ns",
        "config_sysvipc",
    ];
    const OFF: &[&str] =
        &[" is not set", "=n", " is disabled", " is missing", " was missing", " was not set"];
    const BEFORE: &[&str] = &["without ", "missing ", "lacks ", "lack "];
    // what somebody says to be needed may be there; of Kconfig's own line the name before it is what is not
    let kconfig = line.trim_start_matches([' ', '`', '*', '-']).starts_with("config_");
    let elsewhere = has(line, &["other ", "says", "docs", "readme", "?"]);
    !elsewhere
        && stands(line, KINDS, |before, after| {
            let after = after.trim_start_matches(['`', '*']);
            let before = before.trim_end_matches(['`', '*']);
            let off = OFF.iter().filter_map(|off| after.strip_prefix(off));
            off.into_iter().any(|rest| !rest.starts_with(|c: char| c.is_alphanumeric()))
                || !after.starts_with("=y")
                    && (BEFORE.iter().any(|words| before.ends_with(words))
                        || kconfig && before.ends_with("depends on "))
        })
}

/// Whether a line names a release of Claude Code that leaves out what cannot be made: 2.1.227 does first.
fn is_new_claude(line: &str) -> bool {
    line.match_indices("2.1.").any(|(at, mark)| {
        let (before, after) =
            (line.get(..at).unwrap_or_default(), line.get(at + mark.len()..).unwrap_or_default());
        let digits: String = after.chars().take_while(char::is_ascii_digit).collect();
        let whole = !before.ends_with(|c: char| c.is_ascii_digit() || c == '.');
        let mended = before.ends_with("fixed in ") || before.ends_with("since ");
        whole && !mended && digits.len() >= 3 && digits.parse().is_ok_and(|release: u16| release >= 227)
    })
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
            ("which qemu-user doesn't seem to support:", Hint::Emulated),
            (
                "warning: the requested image's platform (linux/amd64) does not match the detected host platform",
                Hint::Emulated,
            ),
            ("docker run --platform linux/arm64 img bwrap --unshare-user true", Hint::Emulated),
            ("podman run --platform=linux/amd64 on an m1 (podman machine)", Hint::Emulated),
            (
                "our agent runs in a landlock domain (landlock_restrict_self). inside it:",
                Hint::LandlockDomain,
            ),
            ("with /proc granted writable inside the landlock domain: ", Hint::LandlockDomain),
            ("docker run --cap-add sys_admin debian bash", Hint::SysAdmin),
            ("    add: [\"sys_admin\"]", Hint::SysAdmin),
            ("run setcap cap_sys_admin+ep /usr/bin/bwrap", Hint::FileCapabilities),
            ("when the directory to run.sh is valid.", Hint::FileThere),
            ("container launched with `--userns=keep-id` alone", Hint::KeepId),
            ("$ ./conty.sh steam", Hint::OwnBwrap),
            ("the binary exists, and is executable", Hint::FileThere),
            ("just binding the executable itself is not enough though:", Hint::FileThere),
            ("it is from a debian-specific patch, so not applicable to fedora/quill os.", Hint::NoSwitch),
            ("  \"capadd\": [\"sys_admin\"],", Hint::CapAdd),
            ("claude code 2.1.230", Hint::NewClaude),
            ("2.1.1000 and 2.1.300 (claude code)", Hint::NewClaude),
            ("eks 1.31, cri-o", Hint::OldKubernetes),
            ("k3s v1.29.4+k3s1", Hint::OldKubernetes),
            ("kubernetes 1.33", Hint::NewKubernetes),
            ("we upgraded from kubernetes 1.29 to 1.34.", Hint::NewKubernetes),
            ("docker desktop with the wsl 2 backend", Hint::KernelOfWsl2),
            ("         0          0 4294967295", Hint::MachinesIds),
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
            "build@sandbox:~$ bwrap --ro-bind / / true",
            "i'd like to run another program in a bwrap sandbox:",
            "i run firefox in a bwrap sandbox and spawn another one in a second terminal",
            "mkdir: cannot create directory '/opt/x': file exists",
            "your licence is valid until 2027",
            "json is valid",
            "the binary exists on the host at /opt/x/run but i did not bind it",
            "runimage is an alternative",
            "i use docker and conty",
            "deb http://download.opensuse.org/repositories/home:/x/debian_10/ /",
            "fedora  system,oci",
            "podman run --userns=keep-id:uid=999,gid=999 img",
            "claude code 2.1.216, fixed in 2.1.227",
            "kernel 12.1.300",
            "docker build --platform linux/arm64 .",
            "it works with docker run --platform linux/arm64 img",
            "codex logs: \"falling back to landlock sandbox\"",
            "i switched from the legacy landlock sandbox to bubblewrap:",
            "feature request: please add a landlock domain.",
            "the old cli was in a landlock domain before",
            "the readme says the kernel needs config_pid_ns and config_net_ns.",
            "the kernel needs config_pid_ns. ours has it.",
            "on my other phone \"# config_pid_ns is not set\", on this one it is set.",
            "docker run --rm --platform linux/amd64 img bwrap --ro-bind / / true",
            "docker run -d --platform linux/arm64 postgres",
            "the docs for kubernetes 1.30 describe it",
            "changelog of flatpak 1.16.6: fixes a regression of flatpak 1.16.4",
            "my flatpak 1.16.4 was upgraded to flatpak 1.16.6, still",
            "flatpak 1.14.10 here; flatpak 1.16.4 is in testing",
            "the setuid bwrap was removed years ago.",
            "my error is not that user namespaces are disabled.",
            "legacy landlock works",
            "use landlock instead of bwrap",
            "is it in a landlock domain?",
            "docker run --cap-drop sys_admin x",
            "should i setcap bwrap?",
            "kubernetes 1.4 million pods",
            "         0     100000      65536",
        ] {
            assert_eq!(of(line, line).next(), None, "{line}");
        }
        let registered = "docker run --rm --privileged tonistiigi/binfmt --install all   # done last year";
        assert!(of(registered, registered).all(|hint| hint != Hint::Emulated));
    }
}
