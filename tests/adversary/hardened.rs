//! The filter for commands, tried from inside: every call that it names, its neighbours, and the ways round it.

use std::collections::BTreeMap;

use bwrap_launch::{Filter, Sandbox};

use crate::common::{Here, host};

/// What each call came to: an errno, 0 or a signal.
pub(crate) fn tried(here: &Here, sandbox: &Sandbox) -> BTreeMap<String, String> {
    let output = here.command(sandbox, program(here)).output().unwrap();
    assert!(output.status.success(), "{}", output.status);
    let text = String::from_utf8(output.stdout).unwrap();
    let lines = text.lines().map(|line| match line.rsplit_once(" signal ") {
        Some((name, signal)) => (name.to_owned(), format!("signal {signal}")),
        None => line.rsplit_once(' ').map(|(name, errno)| (name.to_owned(), errno.to_owned())).unwrap(),
    });
    lines.collect()
}

fn program(here: &Here) -> std::path::PathBuf {
    here.compiled("calls", include_str!("calls.c"))
}

pub(crate) fn the_hardened_filter_denies_what_it_says(here: &Here) {
    let without = tried(here, &host().unshare_all());
    let with = tried(here, &host().unshare_all().seccomp(Filter::hardened().unwrap()));
    let expected = |name: &str| {
        let new = [
            "clone3",
            "open_tree",
            "move_mount",
            "fsopen",
            "fsconfig",
            "fsmount",
            "fspick",
            "mount_setattr",
            "open_tree_attr",
            "io_uring_setup",
        ];
        match name {
            _ if new.contains(&name) || name.starts_with("x32 ") => Some(libc::ENOSYS.to_string()),
            "i386" => Some(format!("signal {}", libc::SIGSYS)),
            "ioctl" => Some(libc::EBADF.to_string()),
            "unshare files" | "socket unix" | "socket inet" | "socket netlink" | "personality" => {
                Some("0".into())
            }
            "socket unix, high bits" => None,
            _ if name.starts_with("socket ") => Some(libc::EAFNOSUPPORT.to_string()),
            _ => Some(libc::EPERM.to_string()),
        }
    };
    for (name, got) in &with {
        if let Some(expected) = expected(name) {
            assert_eq!(got, &expected, "{name}; without the filter: {}", without[name]);
        }
    }
    assert!(with.len() > 45 && with.len() == without.len(), "{with:?}");
    // the filter it is that denies: most of them fail otherwise without it
    let same = with.iter().filter(|(name, got)| without[*name] == **got).count();
    assert!(same < with.len() / 2, "{same} of {} are the same without it: {without:?}", with.len());
}

/// What ordinary commands do goes on working.
pub(crate) fn ordinary_commands_work_under_the_hardened_filter(here: &Here) {
    let sandbox = host().proc("/proc").tmpfs("/tmp").unshare_all().seccomp(Filter::hardened().unwrap());
    let script = "set -e; cd /tmp; echo 'int main(void) { return 0; }' > a.c; ls -l /proc/self/fd > /dev/null
        (sleep 0.01 & wait) | cat; tar c a.c | tar t; if command -v cc > /dev/null; then cc -o a a.c && ./a; fi
        if command -v python3 > /dev/null; then python3 -c 'import threading, socket, subprocess
t = threading.Thread(target=print, args=(1,)); t.start(); t.join(); socket.socketpair(); subprocess.run([\"true\"], check=True)'; fi";
    let output = here.shell(&sandbox, script).output().unwrap();
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    // the verdict is as clear as without it
    let missing = here.command(&sandbox, "no-such-program").output().unwrap_err();
    assert!(matches!(missing, bwrap_launch::Error::NotExecuted(_)), "{missing}");
    // beside another filter, too
    if here.bwrap.accepts("--add-seccomp-fd") {
        let both = sandbox.seccomp(Filter::terminal().unwrap());
        assert!(here.command(&both, "true").status().unwrap().success());
    }
}
