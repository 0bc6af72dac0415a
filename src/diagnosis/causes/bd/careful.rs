//! What helps whoever did not write the line, and what is done to nothing of the system's.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::diagnosis::fixtures::{explain, machine, mounts};
use crate::diagnosis::{Cause, Confidence, Remedy, Symptom, diagnose};
use crate::host::{Fact, Host};
use crate::sandbox::Sandbox;

/// A file that was bound by itself keeps what it was when another takes its place outside.
#[test]
fn what_was_replaced_is_seen_in_the_mounts() {
    let message = "Can't bind mount /oldroot/etc/resolv.conf on /newroot/etc/resolv.conf: \
                   Unable to mount source on destination: No such file or directory";
    let sandbox = Sandbox::new().ro_bind("/etc/resolv.conf", "/etc/resolv.conf");
    let mut host = machine();
    let first = |host: &Host| explain(message, host, &sandbox).causes[0].clone();
    assert_ne!(first(&host).cause, Cause::SourceReplaced);
    let with = |root: &str, point: &str| {
        let line = format!("9 1 0:29 {root} {point} ro,nosuid master:1 - tmpfs tmpfs rw");
        Fact::Present(mounts(&["1 0 8:1 / / rw,relatime - ext4 /dev/vda1 rw", &line]))
    };
    host.mounts = with("/systemd/resolve/stub-resolv.conf//deleted", "/etc/resolv.conf");
    let found = first(&host);
    assert_eq!((found.cause, found.confidence), (Cause::SourceReplaced, Confidence::High));
    assert!(found.remedies[0].opens.contains("ends"), "{found:?}");
    for (root, point) in
        [("/x//deleted", "/etc/hosts"), ("/systemd/resolve/stub-resolv.conf", "/etc/resolv.conf")]
    {
        host.mounts = with(root, point);
        assert_ne!(first(&host).cause, Cause::SourceReplaced, "{root} {point}");
    }
}

/// What the system runs from is looked at; disks and servers of others can do without for a while.
#[test]
fn what_is_unmounted_is_not_the_systems() {
    let typed = |path: &str| {
        let text = format!("bwrap: Can't bind mount /oldroot{path} on /newroot{path}: No such device");
        let found = diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None);
        found
            .causes
            .iter()
            .flat_map(|finding| &finding.remedies)
            .map(Remedy::instructions)
            .collect::<String>()
    };
    for path in
        ["/landru", "/mnt/nfs", "/net/a", "/home/u/mnt", "/run/media/u/disk", "/srv/data", "/media/usb"]
    {
        assert!(typed(path).contains(&format!("umount {path}\n")), "{path}: {}", typed(path));
    }
    for path in [
        "/usr",
        "/usr/share",
        "/",
        "/home",
        "/home/u",
        "/root",
        "/etc",
        "/var",
        "/var/lib",
        "/lib64",
        "/nix/store",
        "/opt/x",
        "/run/user/1",
        "/var/home/u",
    ] {
        assert!(!typed(path).contains("umount"), "{path}: {}", typed(path));
    }
}

#[test]
fn what_lies_on_a_disk_of_windows_is_made_there() {
    let said = |text: &str| {
        let found = diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None);
        found.causes[0].remedies.iter().map(Remedy::instructions).collect::<String>()
    };
    let typed = |text: &str| said(&format!("on 6.18.33.2-microsoft-standard-WSL2\nbwrap: {text}"));
    // elsewhere it is a name like others
    assert!(!said("bwrap: Can't mkdir /mnt/c/data/x: Permission denied").contains("New-Item"));
    for (path, windows) in
        [("/mnt/c/Users/.claude", "'C:\\Users\\.claude'"), ("/mnt/d/it's/x", "'D:\\it''s\\x'")]
    {
        let typed = typed(&format!("Can't mkdir {path}: Permission denied"));
        assert!(typed.contains(&format!("-Force {windows}\n")) && !typed.contains("mkdir"), "{typed}");
    }
    for text in [
        "Can't mkdir /mnt/data/x: Permission denied",
        "Can't mkdir /mnt/c/x: Read-only file system",
        "Can't mkdir /mnt/c: Permission denied",
        "Can't mkdir /srv/c/x: Permission denied",
        "Can't create file at /mnt/c/x: Permission denied",
    ] {
        assert!(!typed(text).contains("New-Item"), "{text}");
    }
}

/// Of a launcher's line nobody changes the destination: a home or a variable names the link.
#[test]
fn who_named_a_link_is_told() {
    let first = |path: &str| {
        let text = format!("bwrap: Can't mkdir parents for {path}: No such file or directory");
        diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None).causes[0].remedies[0]
            .instructions()
    };
    assert!(first("/home/u/.nix-portable/x").contains("HOME=$(readlink -f \"$HOME\")"));
    assert!(first("/run/current-system/sw/lib/x").contains("grep -F /run/current-system/sw/lib\n"));
    assert!(first("/srv/x/y").contains("readlink -f"), "{}", first("/srv/x/y"));
    assert!(!first("/srv/x/y").contains("HOME"));
}

/// What the system does not start without is never to be taken away.
#[test]
fn links_of_the_system_stay() {
    let typed = |path: &str| {
        let text = format!(
            "claude-code says\nbwrap: Can't mount tmpfs on /newroot{path}: No such file or directory"
        );
        let found = diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None);
        let all = found.causes.into_iter().flat_map(|finding| finding.remedies);
        all.map(|remedy| remedy.summary.clone() + "\n" + &remedy.instructions()).collect::<String>()
    };
    for path in ["/bin", "/sbin", "/lib", "/lib64", "/var/run", "/home", "/usr/sbin", "/etc/mtab"] {
        let typed = typed(path);
        assert!(
            typed.contains("has to stay") && !typed.contains("away") && !typed.contains("remove it, or"),
            "{typed}"
        );
    }
    for path in ["/home/u/.ssh", "/srv/x", "/usr/local/x"] {
        assert!(typed(path).contains("Take the link away"), "{path}");
    }
}

/// What only a package manager or a session makes is not made by hand.
#[test]
fn what_others_make_is_not_made_by_hand() {
    let typed = |text: &str| {
        let found = diagnose(&Symptom::from_text(text.as_bytes()), &Host::default(), None);
        let all = found.causes.into_iter().flat_map(|finding| finding.remedies);
        all.map(|remedy| remedy.instructions()).collect::<String>()
    };
    let missing = |path: &str| format!("bwrap: Can't find source path {path}: No such file or directory");
    for path in ["/nix/store/abc-x/share", "/gnu/store/abc-x", "/tmp/dbus-AbCdEfGh01"] {
        assert!(!typed(&missing(path)).contains("mkdir"), "{path}");
    }
    for path in ["/tmp/dbusx", "/tmp/dbus-monitor.log", "/opt/nix/store/x", "/srv/x", "/System"] {
        let typed = typed(&missing(path));
        assert!(typed.contains("mkdir") && !typed.contains('*'), "{path}: {typed}");
    }
    assert!(typed(&format!("NixOS 24.05\n{}", missing("/srv/x"))).contains("mkdir -p /srv/x"));
}
