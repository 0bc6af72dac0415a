//! Whether a text says, before the line that failed, that this is on the machine itself: `On the host:`, `but fails on my laptop itself`.
//! The places of which it spoke before are not where it failed, then.

use super::denied::{CONTAINERS, holds, is_denied, words};
use super::words::{around, sentences, stands_whole};
use crate::host::Platform;

/// So many lines may be between that and what failed.
const NEAR: usize = 8;
/// So many between what ended and why.
const BESIDE: usize = 5;

/// What is no container, where `the` or `my` stands before it.
const HOSTS: &[&str] = &["host", "booted system", "installed system"];
const DESKS: &[&str] = &["laptop", "desktop", "pc", "notebook", "workstation"];
/// The same where `itself` stands behind.
const MACHINES: &[&str] = &["machine", "server", "system", "computer", "box", "vm"];

/// Whose that is.
const ARTICLES: &[&str] = &["on the ", "on my ", "on our ", "on this ", "directly on the ", "locally on "];

/// Of these it is told that the failure is not there.
pub(super) const LEFT: &[Platform] = &[
    Platform::Docker,
    Platform::Podman,
    Platform::Kubernetes,
    Platform::OpenShift,
    Platform::Lxc,
    Platform::Nspawn,
    Platform::Chroot,
    Platform::Snap,
    Platform::Firejail,
    Platform::Flatpak,
];

/// Words of a container of an engine that is not named.
pub(super) const IN_CONTAINER: &[&str] = &[
    "in a container",
    "in an unprivileged container",
    "in our container",
    "inside a container",
    "inside the container",
    "inside an unprivileged container",
    "inside of a container",
];

/// Where a text last said so.
#[derive(Debug, Default)]
pub(super) struct Here {
    at: Option<usize>,
    /// It was so when something failed.
    failed: Option<usize>,
    /// The line that failed.
    over: Option<usize>,
}

impl Here {
    /// A line in small letters, and whether it names a place.
    pub(super) fn read(&mut self, at: usize, line: &str, place: bool) {
        if self.is_over() {
            return;
        }
        if says_here(line) {
            self.at = Some(at);
        } else if place || names_container(line) {
            self.at = None;
        }
    }

    /// Something failed.
    pub(super) fn fails(&mut self, at: usize) {
        if !self.is_over() {
            self.over = Some(at);
            self.failed = self.at.filter(|here| at.saturating_sub(*here) <= NEAR);
        }
    }

    /// Whether something has failed already.
    pub(super) fn is_over(&self) -> bool {
        self.over.is_some()
    }

    /// Whether that stands beside a line.
    pub(super) fn failed_beside(&self, line: usize) -> bool {
        self.over.is_some_and(|failed| failed.abs_diff(line) <= BESIDE)
    }

    /// The line from which on it is the machine itself.
    pub(super) fn since(&self) -> Option<usize> {
        self.failed
    }
}

fn names_container(line: &str) -> bool {
    words(line).any(|(at, word)| {
        let (before, after) = around(line, at, word);
        let path = after.starts_with('/') || before.ends_with('/');
        (CONTAINERS.contains(&word) || word == "chroot") && !path && !is_denied(before, after)
    })
}

fn says_here(line: &str) -> bool {
    const WORKS: &[&str] = &["works", "worked", "work", "fine", "succeeds", "ssh", "while", "unlike"];
    // and not `Ubuntu 24.04 on the host`, `I set the sysctl on the host`
    const FAILS: &[&str] = &["itself", "fails", "failed", "failing", "error", "happens", "i use"];
    let is = |sentence: &&str| {
        let compares = WORKS.iter().any(|word| stands_whole(sentence, word, |_, _| true));
        let about = sentence.trim_end_matches([' ', '`', '*']).ends_with(':')
            || FAILS.iter().any(|word| stands_whole(sentence, word, |a, b| !is_denied(a, b)));
        about
            && !names_container(sentence)
            && (!compares || sentence.contains("itself"))
            && names_host(sentence)
    };
    // `I'm an admin of Kubernetes, this is my laptop`
    let mine = DESKS.iter().any(|desk| line.contains(&format!("this is my {desk}")));
    mine || sentences(line).iter().any(is)
}

fn names_host(sentence: &str) -> bool {
    ARTICLES.iter().any(|article| {
        sentence.match_indices(article).any(|(at, _)| {
            let (_, rest) = around(sentence, at, article);
            HOSTS.iter().chain(DESKS).any(|noun| is_meant(rest, noun, true))
                || MACHINES.iter().any(|noun| is_meant(rest, noun, false))
        })
    })
}

/// Whether a noun comes soon, after a few words that say which, and is what the sentence is about: it ends so, or says `itself`.
fn is_meant(rest: &str, noun: &str, at_end: bool) -> bool {
    let Some(at) = rest.find(noun) else { return false };
    let (head, tail) = around(rest, at, noun);
    let near = head.is_empty() || head.ends_with(' ') && head.split_whitespace().count() <= 4;
    let tail = tail.trim_end_matches([' ', '`', '*', '.']);
    near && (tail.starts_with(" itself") || at_end && (tail.is_empty() || tail.starts_with(':')))
}

/// What says of a machine that it is one, beside a distribution's name.
const OF_MACHINES: &[&str] =
    &["laptop", "notebook", "workstation", "desktop", "virtual machine", "vm", "kvm", "locally"];
/// Systems that are told of so.
const SYSTEMS: &[&str] = &[
    "debian",
    "ubuntu",
    "arch",
    "arch linux",
    "fedora",
    "opensuse",
    "manjaro",
    "gentoo",
    "mint",
    "linux mint",
    "void linux",
    "centos",
    "rhel",
    "almalinux",
    "rocky linux",
    "alpine",
];
/// What nobody has in a container without a word about it.
const ALONE: &[&str] = &["linux-hardened", "hardened.nix", "nixos-rebuild", "nixos", "live iso", "live usb"];

/// Whether a line in small letters names NixOS.
pub(super) fn tells_nixos(line: &str) -> bool {
    holds(line, &["nixos", "nixos-rebuild", "nixpkgs", "/run/wrappers/bin/bwrap"])
}

/// Whether a line in small letters tells that somebody sits at the machine; not of an engine's program for that, or where it works.
pub(super) fn tells_desk(line: &str) -> bool {
    const WORKS: &[&str] = &["works", "worked", "fine", "from my", "ssh", "succeeds"];
    let desk =
        stands_any(line, DESKS, |before, after| !before.ends_with("docker ") && !is_denied(before, after));
    // and compares with none
    desk && !WORKS.iter().any(|words| line.contains(words))
}

fn stands_any(line: &str, words: &[&str], meant: impl Fn(&str, &str) -> bool) -> bool {
    words.iter().any(|word| stands_whole(line, word, &meant))
}

/// Whether a line in small letters tells of a machine: `Debian 10 laptop`, `NixOS 24.05`.
pub(super) fn tells_machine(line: &str) -> bool {
    let others = ["docker", "podman", "distrobox", "toolbox", "k3s", "workload", " image "];
    if names_container(line) || others.iter().any(|word| line.contains(word)) {
        return false;
    }
    let server = || {
        SYSTEMS.iter().any(|system| {
            line.match_indices(system).any(|(at, _)| {
                let (before, after) = around(line, at, system);
                before.ends_with("my ")
                    && after
                        .split_whitespace()
                        .take(3)
                        .any(|word| word.trim_matches([':', ',', '.']) == "server")
            })
        })
    };
    let alone = |word: &&&str| {
        stands_whole(line, word, |before, after| {
            !is_denied(before, after) && !before.ends_with(['/', '@']) && !after.starts_with('/')
        })
    };
    // snapd's mounts are a machine's
    let mounted = || {
        line.contains("/snap/")
            && (line.contains("squashfs")
                || line.trim_start_matches([' ', '>', '`']).starts_with("/dev/loop")
                || line.trim_start().starts_with("loop"))
    };
    ALONE.iter().any(|word| alone(&word))
        || mounted()
        || holds(line, SYSTEMS) && holds(line, OF_MACHINES)
        || server()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_machine_itself_is_named() {
        for line in [
            "on the host:",
            "debian 12 host that runs incus. on the host itself:",
            "it works in a docker container but fails on my debian 10 laptop itself:",
            "i installed arch with arch-chroot last week. now on the booted system:",
            "there is a docker image of it, but i use the appimage on my desktop.",
            "i'm a kubernetes admin, this is my laptop (fedora 40).",
            "formerly i used it in a chroot, and it worked there. on the debian 10 host:",
        ] {
            assert!(says_here(line), "{line}");
        }
        for line in [
            "i run it in docker, on my laptop:",
            "on the host it works, in the container it does not:",
            "on the host i start docker with these options:",
            "on my machine, with docker run:",
            "it happens on my system:",
            "on the host's kernel",
            "works on the host:",
        ] {
            assert!(!says_here(line), "{line}");
        }
        for line in [
            "debian gnu/linux 10 (buster), gnome desktop",
            "debian 10 laptop",
            "nixos 24.05",
            "on my debian 10 server it does not:",
        ] {
            assert!(tells_machine(line), "{line}");
        }
        for line in [
            "docker desktop on ubuntu",
            "from nixos/nix:latest",
            "ubuntu in a container on my laptop",
            "ubuntu server 24.04",
            "laptop",
        ] {
            assert!(!tells_machine(line), "{line}");
        }
    }
}
