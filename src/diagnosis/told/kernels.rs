//! Which distributions have Debian's switch for user namespaces in their kernels, `kernel.unprivileged_userns_clone`. It is a patch
//! of Debian's, which Ubuntu, Arch and linux-hardened took over: elsewhere the command that sets it only fails.

use super::denied::{is_denied, is_in_passing};
use super::words::stands;

/// Those whose kernels never had it.
const WITHOUT: &[&str] = &[
    "fedora",
    "silverblue",
    "kinoite",
    "bazzite",
    "red hat enterprise linux",
    "rhel",
    "centos",
    "almalinux",
    "rocky linux",
    "oracle linux",
    "opensuse",
    "nixos",
    "void linux",
    "gentoo",
    "alpine linux",
    "postmarketos",
    "slackware",
    "guix system",
];

/// Those that have or had it.
const WITH: &[&str] = &[
    "debian",
    "ubuntu",
    "kubuntu",
    "xubuntu",
    "lubuntu",
    "mint",
    "pop!_os",
    "kali",
    "raspbian",
    "raspberry pi",
    "proxmox",
    "zorin",
    "kde neon",
    "arch",
    "archlinux",
    "manjaro",
    "endeavouros",
    "cachyos",
    "garuda",
    "artix",
    "steamos",
    "linuxmint",
    "devuan",
    "deepin",
    "mx linux",
    "antix",
    "elementary os",
    "parrot",
    "pureos",
    "tails",
];
/// Kernels that bring it along wherever they run.
const KERNELS: &[&str] = &["hardened", "linux_hardened", "linux-zen", "linux_zen", "liquorix"];

/// What stands before the name of the system that somebody has: `OS: Fedora`, `I'm on Fedora`.
const OWN: &[&str] = &["on", "os", "distro", "running", "using", "i use", "my", "i have", "am"];

/// What makes of it another's, or of another time.
const OTHERS: &[&str] = &[
    "same ",
    "tested",
    "other",
    "reports",
    "previously",
    "before",
    "formerly",
    "seen ",
    "was on ",
    "used to",
];

/// Whether a line in small letters names such a system as one's own, without the switch or perhaps with it.
pub(super) fn lacks_switch(line: &str) -> Option<bool> {
    // a limit forbids the same, and whoever speaks of it has looked further
    if line.contains("max_user_namespaces")
        || stands(line, KERNELS, |_, _| true)
        || stands(line, WITH, |before, after| {
            !is_bound(before, after) && !EXAMPLES.iter().any(|words| before.ends_with(words))
        })
    {
        return Some(false);
    }
    let own = |before: &str, after: &str| {
        !is_bound(before, after)
            && is_own(before)
            && !is_denied(before, after)
            && !is_in_passing(before, after)
    };
    stands(line, WITHOUT, own).then_some(true)
}

/// What says of the name behind it that it is somebody else's: so does bwrap's own message.
const EXAMPLES: &[&str] = &["e.g. ", "only for ", "only on ", "only in ", "specific to "];

/// Whether a name is a part of an address, a path, an image's name or another's name, or says whose something is.
fn is_bound(before: &str, after: &str) -> bool {
    let letter = |text: &str| text.starts_with(|c: char| c.is_ascii_alphabetic());
    before.ends_with(['/', '.', '@', '-', '_'])
        || after.starts_with(['/', '@', '-', '_', ':', '\''])
        || after.strip_prefix('.').is_some_and(letter)
}

/// Whether nothing stands before a name in its clause, or what says that it is one's own.
fn is_own(before: &str) -> bool {
    let head = before.trim_end_matches([' ', '\t', '*', '`', '"', '\'', '|', '#', '>', '(', '-']);
    let word =
        |own: &str| head.strip_suffix(own).is_some_and(|rest| !rest.ends_with(|c: char| c.is_alphanumeric()));
    let sentence = before.rsplit(['.', ';', '!']).next().unwrap_or_default();
    let others = OTHERS.iter().any(|words| sentence.contains(words));
    let listed = head.ends_with(',') && sentence.contains(':');
    let begins = head.is_empty() || head.ends_with([':', '=', ',', '.', ';']);
    !others && !listed && (begins || OWN.iter().any(|own| word(own)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_system_is_named_as_ones_own() {
        for line in [
            "os: fedora linux 41 (workstation edition)",
            "name=\"opensuse tumbleweed\"",
            "void linux, flatpak run org.gimp.gimp",
            "nixos 24.05, flatpak 1.14.6",
            "i'm on gentoo with openrc",
            "that is only for debian systems. i, on fedora do not need that",
            "trying to use it, fedora, flatpak lutris",
            "- rhel 9",
        ] {
            assert_eq!(lacks_switch(line), Some(true), "{line}");
        }
        for line in [
            "deb http://download.opensuse.org/repositories/home:/x/ /",
            "the packages are built from fedora's spec",
            "package: fedora-toolbox-39 is installed",
            "from centos:7",
            "a colleague with fedora",
            "it works on fedora",
            "likely because the kernel does not. on e.g. debian this can be enabled with",
            "not on fedora",
            "previously i was on fedora. now:",
            "the same setup on fedora, no problem.",
            "other reports: fedora, nixos",
            "runtimes: gnome, kde, fedora",
            "centosomething",
        ] {
            assert_eq!(lacks_switch(line), None, "{line}");
        }
        for line in [
            "debian 10",
            "deepin 20",
            "fedora 39. user.max_user_namespaces=0 was set",
            "nixos with linux_hardened",
            "fedora with linux-hardened",
            "arch linux",
        ] {
            assert_eq!(lacks_switch(line), Some(false), "{line}");
        }
    }
}
