//! What is printed is typed by tired people, as it stands, on machines that run: none of it destroys anything, keeps anybody out
//! or breaks the machine without a word about it beside.

use std::path::Path;

use super::super::fixtures::machine;
use super::super::{Symptom, diagnose};
use super::MESSAGES;
use crate::host::Host;

/// What no remedy has, whoever types it.
const NEVER: &[&str] = &[
    "rm -",
    "rm /",
    "rmdir",
    "switch_root /",
    "chmod -R",
    "chown -R",
    "chown ",
    "mkfs",
    "dd if=",
    "umount -R",
    "umount -a",
    "umount -f",
    "> /etc/fstab",
    "> /etc/passwd",
    "> /etc/group",
    "> /etc/sysctl.conf",
    "> /etc/wsl.conf",
    "sed -i '",
    "pkill",
    "killall",
    "kill -9",
    "setenforce 0",
    "aa-teardown",
    "systemctl stop",
    "systemctl disable",
    "systemctl mask",
    "restorecon -RF",
    "sysctl -w user.max_user_namespaces=0",
    "apt-get remove",
    "apt-get purge",
    "dnf remove",
    "prune -a",
    "--privileged",
    "userdel",
    "iptables -F",
];

/// What has its price: what must stand in the same line, or the lines and the price before it.
const WARNED: &[(&str, &[&str])] = &[
    ("systemctl restart", &["ends what runs", "go on", "must be opened again"]),
    ("restart CONTAINER", &["ends"]),
    ("restart penguin", &["ends"]),
    ("pct reboot", &["ends"]),
    ("--shutdown", &["ends"]),
    ("--set-version", &["copy"]),
    ("replace --force", &["no volume claim"]),
    ("helm upgrade", &["restarts the container runtime"]),
    ("umount -l", &["only such a one"]),
    (
        "umount ",
        &["takes away", "nobody has", "can be seen again", "nobody needs", "nothing that the system"],
    ),
    ("mv -", &["does not find it", "start them again", "games and their saves"]),
    ("chmod u-s", &["back"]),
    ("worktree prune", &["would forget"]),
    ("override --user --reset", &["with all else"]),
    ("cat > /etc/apparmor.d", &["keep a copy"]),
];

/// Where nothing is mounted, unmounted, moved or given other permissions for the sake of a sandbox.
const SYSTEM: &[&str] = &[
    "/",
    "/bin",
    "/boot",
    "/dev",
    "/etc",
    "/home",
    "/home/me",
    "/lib",
    "/lib64",
    "/nix/store",
    "/opt",
    "/root",
    "/run",
    "/sbin",
    "/srv",
    "/sys",
    "/tmp",
    "/usr",
    "/usr/lib",
    "/var",
    "/var/lib",
    "/etc/passwd",
    "/etc/nologin",
    "/proc",
];

/// Some of these, one of each kind.
const TRIED: &[&str] = &["/", "/usr", "/home/me", "/etc/nologin", "/lib64", "/proc"];

/// What is wrong with a line, in what stands before it.
fn harm<'l>(line: &'l str, before: &str) -> Option<&'l str> {
    let typed = line.split("   # ").next().unwrap();
    // what is said of it is no command
    if line.trim_start().starts_with('#') {
        return None;
    }
    if typed.trim() == "reboot" || NEVER.iter().any(|never| typed.contains(never)) {
        return Some(line);
    }
    let warned = |words: &[&str]| words.iter().any(|word| line.contains(word) || before.contains(word));
    if WARNED.iter().any(|(does, words)| typed.contains(does) && !warned(words)) {
        return Some(line);
    }
    let mut words = typed.split_whitespace().map(|word| word.trim_matches(['`', '\'', ';', ')']));
    while let Some(word) = words.next() {
        if ["umount", "mv", "chmod", "setfacl", "touch"].contains(&word) {
            let moved = words.clone().find(|word| word.starts_with('/')).unwrap_or("");
            let read = word == "setfacl" || moved == "/usr/bin/bwrap";
            if SYSTEM.contains(&moved) && !read {
                return Some(line);
            }
        }
    }
    None
}

/// All that is printed of any cause, in any setting, as the goldens hold it.
#[test]
fn nothing_that_is_printed_does_harm() {
    // the next run reads what this one writes
    if std::env::var_os("BWRAP_LAUNCH_WRITE_DOCS").is_some() {
        return;
    }
    let directory = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/data/words/causes");
    let mut seen = 0;
    for file in std::fs::read_dir(directory).unwrap() {
        let path = file.unwrap().path();
        let text = std::fs::read_to_string(&path).unwrap();
        let mut before = String::new();
        for line in text.lines() {
            let Some(typed) = line.trim_start().strip_prefix("| ") else {
                if line.trim_start().starts_with("price: ") {
                    before.clear();
                }
                before += line;
                continue;
            };
            seen += 1;
            assert_eq!(harm(typed, &before), None, "{}: after {before}", path.display());
            before += typed;
        }
    }
    assert!(seen > 2_000, "{seen}");
}

/// The same of each message with a path of the system's in it, on a machine, and where nobody looked.
#[test]
fn nothing_is_done_to_what_the_system_needs() {
    let mut seen = 0;
    for said in MESSAGES.lines().filter(|line| !line.starts_with('#')) {
        let mut fields = said.split('\t');
        let (text, path) = (fields.next().unwrap(), fields.nth(2).unwrap());
        let plain = path.starts_with('/') && path.len() > 1 && !path.contains("..");
        for system in TRIED.iter().filter(|_| plain) {
            let text = format!("bwrap: {}", text.replace(path, system));
            for host in [Host::default(), machine()] {
                let diagnosis = diagnose(&Symptom::from_text(text.as_bytes()), &host, None);
                for remedy in diagnosis.causes.iter().flat_map(|finding| &finding.remedies) {
                    let mut before = format!("{} {}", remedy.summary, remedy.opens);
                    for line in remedy.instructions().lines() {
                        seen += 1;
                        assert_eq!(harm(line, &before), None, "{text}: {before}");
                        before += line;
                    }
                }
            }
        }
    }
    assert!(seen > 2_000, "{seen}");
}

#[test]
fn harm_is_known() {
    for line in [
        "umount /usr",
        "sudo umount /",
        "rm -rf ~/.local/share/x",
        "mv -nT -- /etc /etc.old",
        "systemctl restart sshd",
        "reboot",
    ] {
        assert!(harm(line, "Price: takes away what is there").is_some(), "{line}");
    }
    for line in ["umount /mnt/nfs", "# rm -rf is not for you", "systemctl restart x   # ends what runs in it"]
    {
        assert_eq!(harm(line, "takes away"), None, "{line}");
    }
}
