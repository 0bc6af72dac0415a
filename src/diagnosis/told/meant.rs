//! Whether what names a place means it: a text also names places in passing, wonders about them, and says that it works there.

use super::denied::{is_denied, is_in_passing};
use super::lists::{is_example, is_listed};
use super::words::{clause, stands, stands_whole, token};

/// Whether a phrase is meant as the place where it fails.
pub(super) fn is_meant(line: &str, word: &str, before: &str, after: &str) -> bool {
    // where every shell of Ubuntu's looks for programs, and where each snap of a machine is mounted
    let mounted = ["squashfs", "/dev/loop"].iter().any(|mark| line.contains(mark))
        || line.trim_start().starts_with("loop");
    let path = word == "/snap/" && (after.starts_with("bin") || mounted);
    // what a program says of a command of its own: `"chroot /work final" returned non-zero exit code 1`
    let reported =
        word.starts_with("chroot") && before.ends_with(['"', '\'']) && after.contains(" returned ");
    !path
        && !reported
        && !is_service(line, word, after)
        && is_entered(line, word, before, after)
        && !is_denied(before, after)
        && !is_elsewhere(before, after)
        && !is_installed(after)
        && !is_wondered_at(before)
        && !is_listed(before, after)
        && (is_typed(word) || !is_example(before))
}

/// Whether a phrase is a command, or what one prints: as an example, too, it was typed.
fn is_typed(word: &str) -> bool {
    const COMMANDS: &[&str] =
        &[" run", " exec", " build", " create", " enter", " bud", " compose", "://", "=", ":"];
    COMMANDS.iter().any(|mark| word.contains(mark)) && !word.starts_with("cloud run")
}

/// What is started beside what fails: a database, or what registers emulators with the kernel.
const SERVICES: &[&str] = &[
    "postgres",
    "redis",
    "mysql",
    "mariadb",
    "mongo",
    "rabbitmq",
    "minio",
    "elasticsearch",
    "memcached",
    "for the database",
    "for the db",
    "multiarch/qemu-user-static",
    "tonistiigi/binfmt",
];

/// Whether what an engine is told names one.
pub(super) fn starts_service(line: &str) -> bool {
    has_any(line, SERVICES) && !line.contains("bwrap")
}

/// Whether a command starts something else than what fails, or brings it to a cluster in passing.
fn is_service(line: &str, word: &str, after: &str) -> bool {
    let starts = ["docker run", "podman run", "nerdctl run", "docker compose", "docker-compose"];
    let deploys = word == "kubectl" && after.starts_with(" apply") && is_spoken(line, word);
    deploys || starts.contains(&word) && starts_service(after)
}

/// Phrases that stand more often beside the place than for it.
const BESIDE: &[&str] = &[
    "codespace",
    "codespaces",
    "agent pod",
    "distrobox container",
    "fedora-toolbox",
    "k8s container",
    "k8s containers",
    "k8s pods",
    "kind cluster",
    "minikube cluster",
    "nspawn container",
    "podman containers",
    "tekton task",
    "toolbox container",
    "toolbx container",
];

/// What comes, with three words at most between, before a place in which something runs.
const WITHIN: &[&str] = &["in", "inside", "within", "into", "on the", "available to", "im", "dans"];

/// Whether a phrase that is also said of neighbours is entered: `in an AI-enabled Codespace`, and not `there's a codespace`.
fn is_entered(line: &str, word: &str, before: &str, after: &str) -> bool {
    match word {
        // which is the machine under the containers, and seldom said for what is in one
        "docker host" => {
            let itself = ["itself", "no container", "not in ", "outside", "bare ", "without "];
            let [head, _] = clause(before, "");
            let release = |_: &str, after: &str| after.contains(char::is_numeric);
            stands(head, &["on a", "on an"], release) && !has_any(line, &itself)
        }
        // a desktop's own lists and records have it as well
        "docker-default" => before.contains("seccomp") && !line.contains("=\""),
        "steam-snap" => {
            ["build ", "building ", "built ", "run ", "running "].iter().any(|verb| before.ends_with(verb))
        }
        // a list, and not the name of a field
        "\"runargs\":" => after.trim().is_empty() || after.trim_start().starts_with('['),
        // a command, and not one of a list of packages
        "nix-user-chroot" => {
            let head = before.trim_start();
            let typed = head.is_empty()
                || ["$ ", "# ", "/", "in ", "with ", "under ", "into "].iter().any(|end| head.ends_with(end));
            typed && !after.starts_with(" is ")
        }
        // which others ask, or quote
        _ if word.starts_with("inside") && word.contains("flatpak") => {
            let asks = after.split('.').next().is_some_and(|rest| rest.contains('?'));
            !asks && !before.ends_with(['`', '"', '\''])
        }
        _ if BESIDE.contains(&word) => {
            let [head, _] = clause(before, "");
            let near = |_: &str, after: &str| after.split_whitespace().count() <= 3;
            WITHIN.iter().any(|words| stands_whole(head, words, near))
        }
        _ => true,
    }
}

fn has_any(line: &str, words: &[&str]) -> bool {
    words.iter().any(|words| line.contains(words))
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
        && (word != "k8s" || !is_of_files(before, after))
        && (!["lxd", "incus"].contains(&word) || !is_daemon(before, after))
        && !is_wondered_at(before)
        && !is_listed(before, after)
        && !is_example(before)
        && !is_in_passing(before, after)
        && (!is_habit(before, after) || word == "proxmox" && has_container())
        && !(word == "proxmox" && virtual_machine())
        && ![" crate", " library", " is not "].iter().any(|words| after.starts_with(words))
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

/// Whether it is a directory or a host, or another phrase has it: `docs/k8s/README.md`, `registry.k8s.io`, `we deploy to k8s pods`.
fn is_of_files(before: &str, after: &str) -> bool {
    let [head, tail] = token(before, after);
    let phrase = [" pod", " container", " manifest"].iter().any(|word| after.starts_with(word));
    phrase || head.ends_with(['/', '.']) || tail.starts_with('/') || tail.starts_with(".io")
}

/// Whether a line speaks of what starts containers on this machine, and of none of them: a unit, a row of `snap list`, what a server runs.
fn is_daemon(before: &str, after: &str) -> bool {
    let head = before.trim_start_matches(|c: char| c.is_whitespace() || "`$#>*\u{25cf}".contains(c));
    let unit = [".service", ".socket", " daemon"].iter().any(|end| after.starts_with(end));
    let managed = ["systemctl ", "service ", "snap "].iter().any(|program| before.contains(program));
    let row =
        head.is_empty() && ["/stable", "/edge", "/candidate"].iter().any(|channel| after.contains(channel));
    let machine = ["server", "machine", "host", "desktop", "laptop", "ubuntu", "debian", "fedora", "arch"];
    let run = before.ends_with("running ") && has_any(before, &machine);
    let beside =
        ["use it with ", "use it beside ", "use it alongside "].iter().any(|with| before.ends_with(with));
    let container =
        ["container", "inside", " exec "].iter().any(|word| before.contains(word) || after.contains(word));
    unit || managed || !container && (row || run || beside)
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

/// Whether the clause only wonders how that works elsewhere: `not sure how that is working in kubernetes`. Who wonders how to mend it
/// is there.
fn is_wondered_at(before: &str) -> bool {
    let [head, _] = clause(before, "");
    let wonder = WONDERS.iter().find_map(|words| head.split_once(words)).map(|(_, rest)| rest.trim_start());
    wonder.is_some_and(|rest| {
        stands(rest, &["works", "working", "work", "worked"], |_, _| true)
            && !rest.starts_with("to ")
            && !rest.contains("my ")
    })
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
