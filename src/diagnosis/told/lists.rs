//! Lists of places, and examples of them: whoever gives some tells of none where it ran.

/// What keeps programs apart, as whoever names its kinds lists them.
const KINDS: &[&str] = &[
    "bubblewrap",
    "bwrap",
    "docker",
    "firejail",
    "flatpak",
    "incus",
    "kubernetes",
    "lxc",
    "lxd",
    "nspawn",
    "podman",
    "snap",
    "systemd-nspawn",
    "unshare",
];

/// What an item of a list begins with that is any place of a kind.
const ANY: &[&str] = &["vps", "hosts ", "kernels ", "machines ", "runtimes ", "systems ", "vms "];

/// What begins a list of all places where something happens.
const AFFECTED: &[&str] =
    &["affected:", "affects:", "affected platforms:", "affected environments:", "applies to:"];

/// Whether it is one of several kinds in brackets, or of all that are affected: `nested containers (docker, lxd, bubblewrap)`. A place
/// is named together with what it is made of: `Env (Kubernetes, EKS, containerd)`.
pub(super) fn is_listed(before: &str, after: &str) -> bool {
    let bracket = before.rsplit_once('(').zip(after.split_once(')'));
    let bracket = bracket.map(|((_, head), (tail, _))| (head, tail));
    let bracket = bracket.filter(|(head, tail)| !head.contains(')') && !tail.contains('('));
    let affected = || AFFECTED.iter().find_map(|words| Some((before.rsplit_once(words)?.1, after)));
    let Some((head, tail)) = bracket.or_else(affected) else { return false };
    let items = |text| split(text).map(bare);
    let all = || items(head).chain(items(tail));
    let others = all().filter(|item| KINDS.contains(item)).count();
    let any = all().any(|item| ANY.iter().any(|kind| item.starts_with(kind)));
    // of a version or a host there is more than a word
    let short = all().all(|item| item.split_whitespace().count() <= 1);
    let count = [head, tail].map(|text| split(text).count() - 1).iter().sum::<usize>();
    count >= 2 && (short && others >= 2 || any)
}

/// The items of a list.
fn split(text: &str) -> impl Iterator<Item = &str> {
    text.split(", ").flat_map(|part| part.split(" or ")).flat_map(|part| part.split(" and "))
}

/// An item without what joins and ends a list.
fn bare(item: &str) -> &str {
    let item = item.trim();
    let item = item.strip_prefix("or ").or(item.strip_prefix("and ")).unwrap_or(item);
    item.strip_suffix("etc.").or(item.strip_suffix("etc")).unwrap_or(item).trim().trim_end_matches('.')
}

/// What begins examples.
const EXAMPLES: &[&str] = &[
    "such as ",
    "e.g. ",
    "e.g., ",
    "for example ",
    "for example, ",
    "for instance ",
    "common on ",
    "common in ",
    "environments like ",
    "hosts like ",
    "platforms like ",
    "runtimes like ",
    "sandboxes like ",
    "systems like ",
];

/// What says of an example that it is where somebody is.
const OWN: &[&str] = &["i ", "my ", "our ", "this ", "mine", "the "];

/// Whether a place, before which this stands in small letters, is an example, or one of several: `hosts such as LXC, OpenVZ or gVisor`.
pub(super) fn is_example(before: &str) -> bool {
    const MOST_WORDS: usize = 3;
    let last = EXAMPLES.iter().filter_map(|words| Some((before.rfind(words)?, words.len())));
    let Some((at, length)) = last.max() else { return false };
    let between = before.get(at + length..).unwrap_or_default();
    let ended = [". ", "; ", ": ", ")", " but ", "?"].iter().any(|end| between.contains(end));
    let short = split(between).all(|item| item.split_whitespace().count() < MOST_WORDS);
    short && !ended && !OWN.iter().any(|own| between.starts_with(own) || between.contains(&format!(" {own}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn examples_and_lists_are_no_places() {
        for (before, after) in [
            ("restricted environments such as lxc, openvz or ", ""),
            ("restricted environments (e.g. ", ", kata)"),
            ("for example in ", " or docker"),
            ("hosts such as docker and ", ""),
            ("environments like termux, proot or ", ""),
            ("(vps, restricted ", ", kernels with userns=0, runtimes dropping cap_net_admin)"),
            ("(docker, lxc, ", " etc.)"),
            ("affected: docker, podman, ", ", lxc"),
            ("common on chromeos, crostini and proxmox ", ""),
        ] {
            assert!(is_example(before) || is_listed(before, after), "{before}...{after}");
        }
        for (before, after) in [
            ("such as my ", " container on proxmox"),
            ("e.g. when i start it as another user in ", ""),
            ("docker container in an ", " on proxmox"),
            ("unprivileged ", ", docker inside"),
            ("it fails, for example: it is in ", ""),
            ("it looks like ", " is to blame"),
            ("env (", ", eks, containerd)"),
            ("host (proxmox, ", ", unprivileged)"),
            ("distros such as debian fail. i run it in ", ""),
        ] {
            assert!(!is_example(before) && !is_listed(before, after), "{before}...{after}");
        }
    }
}
