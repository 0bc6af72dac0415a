//! Ranges of ids, written from outside while bwrap waits: by root, or by helpers that may do anything.

use std::fs;
use std::io::Write;
use std::os::fd::OwnedFd;
use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use bwrap_launch::{Bwrap, Error, ExitStatus, IdRange, Namespaces, Sandbox, Stdio};

use crate::cases;
use crate::common::{Case, Here, host, skip};

pub(crate) const CASES: &[Case] = cases![
    ids_are_mapped_in_ranges,
    ids_that_nobody_granted,
    helpers_that_hang_or_talk,
    a_report_that_nobody_reads,
];

/// What a helper does in the place of newuidmap and newgidmap, and what comes of a launch that has half a second, or 30 s
/// where it has to come to its end.
const HELPERS: [(&str, &str, &str); 5] = [
    ("hangs", "exec sleep 20", "None"),
    ("hangs, and nobody hears it", "exec 2>&-; exec sleep 20", "None"),
    ("talks without end", "exec yes >&2", "None"),
    // what it leaves behind holds its standard error
    ("leaves a process", "sleep 60 & exec /usr/bin/${0##*/} \"$@\"", "Some(0)"),
    (
        "talks",
        "printf 'no\\nWhat to do:\\n\\033[31m' >&2; exit 1",
        "newuidmap refused: no\\nWhat to do:\\n\\u{1b}[31m",
    ),
];

fn mapped(uid: u32, gid: u32) -> Sandbox {
    // the subordinate ids that scripts/test-tools gives to its user
    let ids = |own| [IdRange::new(0, own, 1), IdRange::new(1, 600_000, 1000)];
    host().unshare(Namespaces::USER | Namespaces::PID).map_uids(ids(uid)).map_gids(ids(gid))
}

/// A helper: launches with ranges of ids, and says what came of it.
pub(crate) fn mapper(arguments: &[String]) {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    let bwrap = Bwrap::at(&arguments[0]).unwrap();
    let limit = Duration::from_millis(arguments[1].parse().unwrap());
    let status = mapped(uid, gid).command("true").bwrap(&bwrap).status_timeout(limit);
    match status {
        Ok(status) => println!("{:?}", status.map(ExitStatus::raw)),
        Err(error) => println!("{error}"),
    }
}

fn helpers_that_hang_or_talk(here: &Here) {
    let uid = rustix::process::getuid();
    if here.root || nix::unistd::User::from_uid(uid.as_raw().into()).ok().flatten().is_none() {
        skip("root may map any id, and newuidmap only ids of users with a name");
    }
    for (what, script, expected) in HELPERS {
        let directory = here.scratch.join("helpers");
        fs::create_dir_all(&directory).unwrap();
        for name in ["newuidmap", "newgidmap"] {
            let path = directory.join(name);
            fs::write(&path, format!("#!/bin/sh\nPATH=/usr/bin:/bin\n{script}\n")).unwrap();
            fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut caller = std::process::Command::new(std::env::current_exe().unwrap());
        // what has to come to its end has more time than what must not
        let limit = if expected == "None" { "500" } else { "30000" };
        caller
            .args(["--helper", "mapper"])
            .arg(here.bwrap.path())
            .arg(limit)
            .env("PATH", &directory)
            .current_dir("/");
        let output = caller.output().unwrap();
        let said = String::from_utf8_lossy(&output.stdout);
        assert!(said.contains(expected), "{what}: {said} {}", String::from_utf8_lossy(&output.stderr));
    }
}

/// Of a pipe that is full, which gets bwrap's report, too.
fn a_report_that_nobody_reads(here: &Here) {
    if !here.root {
        skip("the helpers map ids of users with a name only, and root maps its own");
    }
    let (_reader, mut writer) = std::io::pipe().unwrap();
    writer.write_all(&vec![0; 65536]).unwrap();
    let sandbox = mapped(0, 0).info_fd(OwnedFd::from(writer));
    let status = here.command(&sandbox, "true").status_timeout(Duration::from_millis(300)).unwrap();
    assert!(status.is_none(), "{status:?}");
}

fn ids_are_mapped_in_ranges(here: &Here) {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    if !here.root && nix::unistd::User::from_uid(uid.into()).ok().flatten().is_none() {
        skip("newuidmap maps ids of users with a name only; scripts/test-tools makes one");
    }
    // the subordinate ids that scripts/test-tools gives to its user
    let ids = |own| [IdRange::new(0, own, 1), IdRange::new(1, 600_000, 1000)];
    let sandbox = host().proc("/proc").unshare(Namespaces::USER | Namespaces::PID);
    let sandbox = sandbox.map_uids(ids(uid)).map_gids(ids(gid));
    let text = here.prints(&sandbox, "tr -s ' ' < /proc/self/uid_map; tr -s ' ' < /proc/self/gid_map");
    assert_eq!(text, format!(" 0 {uid} 1\n 1 600000 1000\n 0 {gid} 1\n 1 600000 1000\n"));
    let output = here.helper(&sandbox, "descriptors").output().unwrap();
    assert_eq!(String::from_utf8(output.stdout).unwrap(), "[0, 1, 2]\n");
    // what goes wrong before the map is still told
    let broken = sandbox.ro_bind("/nonexistent", "/mnt");
    let error = here.command(&broken, "true").stderr(Stdio::piped()).status().unwrap_err();
    assert!(matches!(error, Error::SetupFailed(_)), "{error}");
}

fn ids_that_nobody_granted(here: &Here) {
    let (uid, gid) = (rustix::process::getuid().as_raw(), rustix::process::getgid().as_raw());
    if here.root || nix::unistd::User::from_uid(uid.into()).ok().flatten().is_none() {
        skip("root may map any id, and newuidmap only ids of users with a name");
    }
    let sandbox = host().unshare(Namespaces::USER).map_gids([IdRange::new(0, gid, 1)]);
    let sandbox = sandbox.map_uids([IdRange::new(0, uid, 1), IdRange::new(1, 4_000_000, 1000)]);
    let error = here.command(&sandbox, "true").status().unwrap_err().to_string();
    assert!(error.contains("`usermod --add-subuids 4000000-4000999 USER`"), "{error}");
}
