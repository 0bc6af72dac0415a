//! Whether what names a place means it: a text also names places in passing, wonders about them, and says that it works there.

use super::denied::{is_denied, is_in_passing};
use super::words::{clause, stands_whole, token};

/// Whether a phrase is meant as the place where it fails.
pub(super) fn is_meant(line: &str, word: &str, before: &str, after: &str) -> bool {
    // where every shell of Ubuntu's looks for programs, and where each snap of a machine is mounted
    let mounted = ["squashfs", "/dev/loop"].iter().any(|mark| line.contains(mark))
        || line.trim_start().starts_with("loop");
    let path = word == "/snap/" && (after.starts_with("bin") || mounted);
    // what a program says of a command of its own: `"chroot /work final" returned non-zero exit code 1`
    let reported =
        word.starts_with("chroot") && before.ends_with(['"', '\'']) && after.contains(" returned ");
    // what runs on that is in no container of it
    let host =
        word == "docker host" && ["on the ", "on my ", "on our "].iter().any(|on| before.ends_with(on));
    !path
        && !reported
        && !host
        && !is_denied(before, after)
        && !is_elsewhere(before, after)
        && !is_installed(after)
        && !is_wondered_at(before)
        && !is_listed(before, after)
}

/// Whether a name is.
pub(super) fn is_named(word: &str, before: &str, after: &str) -> bool {
    // Proxmox runs virtual machines as well
    let machine = ["vm", "vms", "kvm", "qemu", "virtual machine", "virtual machines", "not lxc", "no lxc"];
    let virtual_machine = || {
        let line = [before, after].concat();
        machine.iter().any(|words| stands_whole(&line, words, |_, _| true))
    };
    let has_container =
        || ["lxc", "container"].iter().any(|words| before.contains(words) || after.contains(words));
    !is_denied(before, after)
        && !is_elsewhere(before, after)
        && !is_installed(after)
        && !is_part(before, after)
        && !is_wondered_at(before)
        && !is_listed(before, after)
        && !is_in_passing(before, after)
        && (!is_habit(before, after) || word == "proxmox" && has_container())
        && !(word == "proxmox" && virtual_machine())
}

/// Whether it is a part of a path, a prompt, an address or a longer name: `lxc@laptop:~/kubernetes$`, `/opt/lxc-scripts`.
fn is_part(before: &str, after: &str) -> bool {
    let [head, tail] = token(before, after);
    let longer = |text: &str| text.starts_with(char::is_alphabetic);
    let of_path =
        |text: &str| text.starts_with(['/', '~', '.']) || text.contains("://") || text.contains('@');
    // `lxd-container` is one
    let hyphen = tail.strip_prefix('-').is_some_and(|rest| longer(rest) && !rest.starts_with("container"))
        || head.ends_with('-') && !head.ends_with("in-");
    of_path(head) || tail.contains('@') || tail.contains("://") || hyphen
}

/// What comes before the name of a place in which something runs.
const INTO: &[&str] = &[
    "in ",
    "inside ",
    "within ",
    "under ",
    "on ",
    "in a ",
    "in an ",
    "inside a ",
    "inside an ",
    "into ",
    "is ",
];

/// Words of a sentence about what somebody has or is.
const HABITS: &[&str] = &[
    "regularly ",
    "admin",
    "there is also ",
    "there's also ",
    "which ",
    "command -v ",
    "whereis ",
    "type -a ",
    "not used",
    "unused",
];

/// Whether a sentence tells what somebody has or uses otherwise: `I use it regularly with flatpak and lxc`.
fn is_habit(before: &str, after: &str) -> bool {
    let [head, tail] = clause(before, after);
    let into = INTO.iter().any(|words| before.ends_with(words));
    let has = |text: &str| HABITS.iter().any(|words| text.contains(words));
    !into && (has(head) || ["admin", "not used", "unused"].iter().any(|words| tail.contains(words)))
}

/// What begins a clause about a place where nobody has been.
const WONDERS: &[&str] = &[
    "not sure how",
    "not sure if",
    "not sure whether",
    "no idea how",
    "no idea if",
    "don't know how",
    "do not know how",
    "don't know if",
    "wonder how",
    "wonder if",
    "wondering how",
    "wondering if",
    "curious how",
];

/// Whether the clause only wonders how that is elsewhere: `not sure how that is working in kubernetes`.
fn is_wondered_at(before: &str) -> bool {
    let [head, _] = clause(before, "");
    WONDERS.iter().any(|words| head.contains(words))
}

/// Whether it is one of several in brackets, as whoever names kinds lists them: `nested containers (docker, lxd, bubblewrap)`.
fn is_listed(before: &str, after: &str) -> bool {
    let (Some((_, head)), Some((tail, _))) = (before.rsplit_once('('), after.split_once(')')) else {
        return false;
    };
    let inside = !head.contains(')') && !tail.contains('(');
    let items = [head, tail].map(|text| text.matches(", ").count()).iter().sum::<usize>();
    // of a version or a host there is more than a word
    let short = head.split(", ").chain(tail.split(", ")).all(|item| item.split_whitespace().count() <= 1);
    inside && items >= 2 && short
}

/// Whether it is said to be there, and no more.
fn is_installed(after: &str) -> bool {
    let rest = after.trim_start_matches(['`', '"', '\'', '*']);
    let there =
        [" is installed", " installed", " is available"].iter().find_map(|words| rest.strip_prefix(words));
    // what was installed from something is what it runs in
    there.is_some_and(|rest| !rest.starts_with(" from "))
}

/// Whether the clause says that there it works.
fn is_elsewhere(before: &str, after: &str) -> bool {
    const WORKS: &[&str] =
        &["works", "worked", "succeeds", "is fine", "are fine", "runs fine", "work fine", "no problem"];
    const UNLESS: &[&str] = &[
        "not ",
        "n't ",
        "no longer ",
        "never ",
        "only ",
        "stopped ",
        "except",
        "apart from",
        "until",
        "before",
        "once ",
        "used to",
        "nothing ",
        "hardly ",
        "if ",
        "how ",
    ];
    let clause = clause(before, after).concat();
    let has = |words: &&&str| stands_whole(&clause, words, |_, _| true);
    WORKS.iter().any(|words| has(&words)) && !UNLESS.iter().any(|words| clause.contains(words))
}

/// Whether a word stands in a sentence, and not in what was typed or printed.
pub(super) fn is_spoken(line: &str, word: &str) -> bool {
    let line = line.trim_start_matches(|c: char| c.is_whitespace() || "`>|".contains(c));
    let typed = line.starts_with(['$', '#', '%', '\u{279c}', '\u{2b22}']) || line.starts_with(word);
    let prompt = line.split_whitespace().next().is_some_and(|first| first.contains('@'));
    !(typed || prompt || line.starts_with("sudo "))
}
