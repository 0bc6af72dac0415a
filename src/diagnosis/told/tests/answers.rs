//! Which cause comes first by what stands around a message, and that what stands there in passing changes nothing.

use super::super::super::{Symptom, diagnose_pasted};
use crate::host::Host;

pub(super) const NO_PERMISSIONS: &str = "bwrap: No permissions to create a new namespace";
const PROC: &str = "bwrap: Can't mount proc on /newroot/proc: Operation not permitted";
const SLAVE: &str = "bwrap: Failed to make / slave: Permission denied";
pub(super) const UID_MAP: &str = "bwrap: setting up uid map: Permission denied";
const CREATING: &str = "bwrap: Creating new namespace failed: Permission denied";
const LOOPBACK: &str = "bwrap: loopback: Failed RTM_NEWADDR: Operation not permitted";

/// What stands before the message, the message, the cause and words of the first remedy.
pub(super) fn holds(rows: &[(&str, &str, &str, &str)]) {
    let mut wrong = String::new();
    for (before, said, code, helps) in rows {
        let symptom = Symptom::from_text(format!("{before}\n{said}\n").as_bytes());
        let diagnosis = diagnose_pasted(&symptom, &Host::default(), None);
        let first = diagnosis.causes.first().map_or("", |found| found.cause.code());
        let remedy =
            diagnosis.remedy().map(|remedy| format!("{}\n{}", remedy.summary, remedy.instructions()));
        if first != *code || !remedy.is_some_and(|remedy| remedy.contains(helps)) {
            wrong.extend([before, ": ", code, ", ", helps, "\n", &diagnosis.brief(), "\n"]);
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

pub(super) const SWITCH: &str = "kernel.unprivileged_userns_clone=1 on this machine";

#[test]
fn a_place_in_passing_is_not_where_it_failed() {
    holds(&[
        (
            "It works in a docker container (docker run --privileged x) but fails on my Debian 10 laptop itself:",
            NO_PERMISSIONS,
            "NS02",
            SWITCH,
        ),
        (
            "Fedora 39. `podman run` works fine, only steam fails.\npressure-vessel-wrap[1]: E:",
            PROC,
            "PR02",
            "",
        ),
        (
            "I have LXD installed on the host (lxc list shows it). On the host:\n$ flatpak run x",
            PROC,
            "PR02",
            "",
        ),
        ("I use it regularly with flatpak and lxc.", NO_PERMISSIONS, "NS02", SWITCH),
        ("I'm a Kubernetes admin, this is my laptop.\n$ flatpak run x", PROC, "PR02", ""),
        ("There is a docker image, but I use the AppImage on my desktop.", NO_PERMISSIONS, "NS02", SWITCH),
        ("firejail is installed but not used here.\n$ flatpak run x", NO_PERMISSIONS, "NS02", SWITCH),
        ("$ which lxd\n/snap/bin/lxd\n$ flatpak run x", NO_PERMISSIONS, "NS02", SWITCH),
        ("Debian 12 host that runs incus. On the host itself:", NO_PERMISSIONS, "NS02", SWITCH),
        (
            "I installed it with arch-chroot last week. Now on the booted system:",
            NO_PERMISSIONS,
            "NS02",
            SWITCH,
        ),
        (
            "Formerly I used it in a chroot, and it worked there. On the Debian 10 host:",
            NO_PERMISSIONS,
            "NS02",
            SWITCH,
        ),
        ("Debian 11 VM (KVM) on a Proxmox host, not LXC", NO_PERMISSIONS, "NS02", SWITCH),
        ("It works on WSL 2, on my Debian 10 server it does not:", NO_PERMISSIONS, "NS02", SWITCH),
        ("Our GitHub Actions are fine, locally on Debian 10 it fails:", NO_PERMISSIONS, "NS02", SWITCH),
        (
            "Ubuntu 24.04 desktop\n/dev/loop0  64M  64M  0 100% /snap/core20/2318\n$ flatpak run x",
            NO_PERMISSIONS,
            "NS02",
            SWITCH,
        ),
        ("loop0  7:0  0  63,9M  1 loop /snap/core20/2318\nUbuntu 22.04", NO_PERMISSIONS, "NS02", SWITCH),
        ("lxc@laptop:~/kubernetes/docker$ x", PROC, "PR01", "In Docker"),
        ("/home/me/lxc-scripts/run.sh: line 3", PROC, "PR01", "In Docker"),
    ]);
}

#[test]
fn a_place_that_is_meant_stays() {
    holds(&[
        ("I run Codex in Docker on my laptop:", NO_PERMISSIONS, "NS01", "--security-opt"),
        (
            "On my laptop I use docker compose to start it. In the container:",
            NO_PERMISSIONS,
            "NS01",
            "seccomp",
        ),
        ("It works on the host, but in docker it fails:", NO_PERMISSIONS, "NS01", "--security-opt"),
        ("It fails in docker, works on the host.", NO_PERMISSIONS, "NS01", "--security-opt"),
        ("Debian 12, GNOME desktop, but the agent runs in a container", NO_PERMISSIONS, "NS01", "In Docker"),
        ("On the host:\n$ sysctl -a\nThen in docker:", NO_PERMISSIONS, "NS01", "--security-opt"),
        ("Running inside an LXC container on Proxmox VE.", PROC, "PR01", "pct set"),
        ("The server runs Proxmox. In the container (LXC) I get:", PROC, "PR01", "pct set"),
        ("lxd container with Ubuntu 22.04", PROC, "PR01", "lxc config"),
        ("i think that my problem is lxc", SLAVE, "MT01", "nesting"),
        ("AWX on Kubernetes", PROC, "PR01", "procMount"),
        ("We deploy to Kubernetes (EKS)", NO_PERMISSIONS, "NS01", "seccompProfile"),
        ("inside a k8s pod - even with seccomp set to Unconfined.", SLAVE, "MT01", "bwrap-nested"),
        ("$ firejail chromium", NO_PERMISSIONS, "NS06", "firejail"),
        ("$ snap run code", NO_PERMISSIONS, "NS06", "classic"),
        ("In chroot, on NixOS:", NO_PERMISSIONS, "NS03", "chroot"),
        ("NixOS container in Docker", NO_PERMISSIONS, "NS01", "--security-opt"),
        ("Docker Desktop on Windows, Ubuntu", NO_PERMISSIONS, "NS01", ""),
        ("app-1  | starting", NO_PERMISSIONS, "NS01", ""),
    ]);
    holds(&[("", &format!("app-1  | {NO_PERMISSIONS}"), "NS01", "--security-opt")]);
}

#[test]
fn a_machine_is_seen() {
    for machine in [
        "Debian GNU/Linux 10 (buster), GNOME desktop",
        "Debian 10 laptop",
        "Arch Linux, linux-hardened kernel",
        "NixOS 24.05, imports = [ <nixpkgs/nixos/modules/profiles/hardened.nix> ];",
        "Debian 12 VM",
    ] {
        holds(&[(machine, NO_PERMISSIONS, "NS02", SWITCH)]);
    }
    for nothing in ["Debian 12", "ubuntu server 24.04", "from nixos/nix:latest", "desktop", "Alpine"] {
        holds(&[(nothing, NO_PERMISSIONS, "NS01", "In Docker")]);
    }
}

#[test]
fn security_modules_are_told() {
    holds(&[
        ("Fedora 42, SELinux enforcing", CREATING, "NS08", ""),
        ("RHEL 9.4", CREATING, "NS08", ""),
        (
            "$ sestatus\nSELinux status:                 enabled\nCurrent mode:                   enforcing",
            CREATING,
            "NS08",
            "",
        ),
        ("$ getenforce\nEnforcing", CREATING, "NS08", ""),
        ("Arch Linux, no AppArmor, no SELinux", CREATING, "UN01", ""),
        ("CentOS Stream 9, SELinux is disabled (getenforce: Disabled)", SLAVE, "UN01", ""),
        (
            "$ cat /proc/self/attr/current\ndocker-default (enforce)",
            SLAVE,
            "MT01",
            "--security-opt=apparmor=bwrap-nested",
        ),
        // where nothing is told, and where Ubuntu is
        ("$ x", CREATING, "NS09", ""),
        ("Ubuntu 24.04", CREATING, "NS09", "/usr/bin/bwrap"),
        ("There are no AppArmor denials", CREATING, "NS09", ""),
    ]);
}

#[test]
fn releases_without_the_restriction_are_known() {
    holds(&[
        ("Ubuntu 22.04\nLinux box 5.15.0-91-generic #101-Ubuntu SMP", UID_MAP, "UM12", ""),
        ("Debian GNU/Linux 12 (bookworm)\n$ flatpak run x", UID_MAP, "UM02", "aa-disable flatpak"),
        ("Arch Linux\n-rwx--x--x 1 root root 71552 Jan  1 2024 /usr/bin/bwrap", UID_MAP, "UM12", "chmod"),
        (
            "$ sysctl kernel.apparmor_restrict_unprivileged_userns\nsysctl: cannot stat \
             /proc/sys/kernel/apparmor_restrict_unprivileged_userns: No such file or directory",
            UID_MAP,
            "UM12",
            "",
        ),
        ("Debian 12\nLinux box 6.1.0-18-amd64\nsrt echo hi", LOOPBACK, "LO02", ""),
        ("Fedora 41, our own launcher", UID_MAP, "UM12", ""),
        ("Fedora 41, our own launcher uses Landlock", UID_MAP, "UM04", ""),
        // a userland may be a container's, on a kernel of Ubuntu's
        ("Debian GNU/Linux 12\nLinux claude 6.8.0-51-generic #52-Ubuntu SMP", UID_MAP, "UM02", ""),
        ("PRETTY_NAME=\"Debian GNU/Linux 12 (bookworm)\"\nnode@x:/workspace$ id", UID_MAP, "UM02", ""),
        ("I followed the Debian wiki", UID_MAP, "UM02", ""),
        // others, and containers on what nobody knows
        ("Ubuntu 24.04", UID_MAP, "UM02", ""),
        ("Ubuntu 24.04, which was Ubuntu 22.04", UID_MAP, "UM02", ""),
        ("our docker image (debian:12)", UID_MAP, "UM02", ""),
        ("debian:12 image", UID_MAP, "UM02", ""),
        ("Gentoo with AppArmor enabled", UID_MAP, "UM02", ""),
        ("Arch Linux\n-rwxr-xr-x 1 root root 71552 Jan  1 2024 /usr/bin/bwrap", UID_MAP, "UM02", ""),
        (
            "sysctl: cannot stat /proc/sys/kernel/unprivileged_userns_clone: No such file or directory",
            NO_PERMISSIONS,
            "NS01",
            "",
        ),
    ]);
}

#[test]
fn what_was_done_is_not_the_remedy() {
    let docker = |options: &str| format!("docker run {options} --rm -it fedora bash");
    let filter = docker("--security-opt seccomp=unconfined");
    let all = docker("--privileged");
    let nested = "pct set 101 --features nesting=1 done and container restarted";
    holds(&[
        (&filter, NO_PERMISSIONS, "NS02", "on the machine that runs the container"),
        (&all, PROC, "PR02", "findmnt"),
        (&docker("--security-opt systempaths=unconfined"), PROC, "PR02", "findmnt"),
        ("      procMount: Unmasked\nkubectl logs x", PROC, "PR11", ""),
        ("      securityContext:\n        privileged: true\nkubectl logs x", PROC, "PR02", "findmnt"),
        (nested, SLAVE, "MT01", "lxc.apparmor.profile"),
        // what helps another time is not done
        (&docker(""), NO_PERMISSIONS, "NS01", "seccomp"),
        (&format!("{}\n{filter}", docker("")), NO_PERMISSIONS, "NS01", ""),
        ("In docker. Does --security-opt seccomp=unconfined help?", NO_PERMISSIONS, "NS01", ""),
        ("pct enter 101", SLAVE, "MT01", "pct set"),
    ]);
    holds(&[("In docker:", &format!("{NO_PERMISSIONS}\nThen I tried:\n{filter}"), "NS01", "seccomp")]);
}

#[test]
fn other_systems_are_seen() {
    holds(&[
        (
            "Termux on Android 14, no root",
            "bwrap: Creating new namespace failed: Operation not permitted",
            "NS21",
            "",
        ),
        ("Linux localhost 4.14.190-perf-g1234 #1 SMP PREEMPT aarch64 Android", NO_PERMISSIONS, "NS21", ""),
        (
            "",
            "/data/data/com.termux/files/usr/bin/bwrap: No permissions to create a new namespace",
            "NS21",
            "",
        ),
        ("I ssh from Termux into my Debian 12 server:", NO_PERMISSIONS, "NS02", ""),
        ("The program has an Android version", NO_PERMISSIONS, "NS01", ""),
        ("I: pbuilder: building in /var/cache/pbuilder/build/1", NO_PERMISSIONS, "NS03", ""),
        (
            "  NAME      STATE           VERSION\n* Ubuntu    Running         1",
            "bwrap: Creating new namespace failed, likely because the kernel does not support user namespaces.",
            "NS11",
            "wsl",
        ),
        (
            "  NAME      STATE           VERSION\n* Ubuntu    Running         2",
            LOOPBACK,
            "LO01",
            "/usr/bin/bwrap",
        ),
        (
            "foo.service: x\nNov 30 host systemd[1]: foo.service: Main process exited",
            NO_PERMISSIONS,
            "NS05",
            "",
        ),
        ("Nov 30 host systemd[1]: docker.service: Main process exited", NO_PERMISSIONS, "NS01", ""),
        ("NixOS: boot.kernel.sysctl.\"kernel.unprivileged_userns_clone\" = 0;", NO_PERMISSIONS, "NS02", ""),
        (
            "NixOS unstable\n$ steam",
            "bwrap: setuid use of bubblewrap is not supported in this build",
            "CP04",
            "nixos-rebuild",
        ),
        ("Debian", "bwrap: setuid use of bubblewrap is not supported in this build", "CP04", "chmod u-s"),
        (
            "$ sudo flatpak run x",
            "bwrap: Can't find source path /run/user/1000/doc/by-app/x: Permission denied",
            "BD06",
            "sudo",
        ),
        (
            "$ flatpak run x",
            "bwrap: Can't find source path /run/user/1000/doc/by-app/x: Permission denied",
            "BD06",
            "restart xdg-document-portal",
        ),
        (
            "$ su - other -c x",
            "bwrap: Can't find source path /run/user/1000/wayland-0: Permission denied",
            "BD06",
            "machinectl",
        ),
        ("$ x", "bwrap: Can't find source path /srv/data/x: Permission denied", "BD06", "setfacl"),
    ]);
}

#[test]
fn what_cannot_be_done_there_is_not_the_remedy() {
    let missing = |path: &str| format!("bwrap: Can't find source path {path}: No such file or directory");
    holds(&[
        ("WSL2", &missing("C:\\Users\\me\\proj"), "BD01", "wslpath"),
        ("(bottles) Launching", &missing("/run/media/u/Games/bottle"), "BD01", "udisksctl"),
        ("Subject: Cron <root@host> /usr/local/bin/thumb", &missing("/run/user/0"), "BD01", "enable-linger"),
        ("$ x", &missing("/run/user/1000/bus"), "BD01", "list-sockets"),
        ("$ x", &missing("/srv/x"), "BD01", "mkdir -p /srv/x"),
        ("$ x", &missing("/srv/c:/x"), "BD01", "mkdir -p /srv/c:/x"),
    ]);
    let bound = "bwrap: Can't bind mount /oldroot/tmp on /newroot/tmp: Operation not permitted";
    holds(&[
        ("$ flatpak run org.gnome.gedit", bound, "BD09", "--nofilesystem=/tmp"),
        ("$ x", bound, "BD09", "above or below"),
    ]);
    let portal = "bwrap: Can't find source path /run/user/1000/doc/by-app/x: Permission denied";
    holds(&[
        ("I restarted xdg-document-portal, rebooted, nothing helps", portal, "BD06", "fusermount3"),
        ("Ubuntu 24.04. I created /etc/apparmor.d/bwrap and reloaded. Still:", LOOPBACK, "LO01", "userns=0"),
        ("Ubuntu 24.04. Should I create /etc/apparmor.d/bwrap?", LOOPBACK, "LO01", "abi/4.0"),
    ]);
    let opam =
        "# command     ~/.opam/opam-init/hooks/sandbox.sh build x\n# context     2.0.0~rc2 | linux/x86_64";
    let invalid = "# Creating new namespace failed: Invalid argument";
    holds(&[
        (&format!("{opam}\n# path        /mnt/i/x/_opam"), invalid, "NS11", ""),
        (&format!("{opam}\n# path        /mnt/data/x/_opam"), invalid, "NS20", ""),
    ]);
    let noexec = "/home  /dev/sdb1 ext4 rw,nosuid,nodev,noexec,relatime";
    let program = "bwrap: execvp /home/u/app: Permission denied";
    holds(&[
        (noexec, program, "EX03", "noexec"),
        ("/srv  /dev/sdb1 ext4 rw,noexec", program, "EX03", "chmod +x"),
    ]);
    let old = "bwrap: Can't bind mount /oldroot/home/u/x on /newroot/home/u/x: Invalid argument";
    holds(&[
        ("Bubblewrap version: 0.2.0", old, "VR02", "0.5"),
        ("Bubblewrap version: 0.11.0", old, "BD09", ""),
        ("Since bubblewrap 0.2.0 it fails", old, "BD09", ""),
    ]);
}

#[test]
fn what_a_unit_has_is_plainly_said() {
    let creating = "bwrap: Creating new namespace failed: Operation not permitted";
    holds(&[
        ("The unit has ProtectKernelTunables=yes by default.", PROC, "PR02", "systemd unit"),
        ("My unit has ProtectKernelTunables=yes, which it needs.", PROC, "PR02", "systemd unit"),
        (
            "systemd service runs with PrivateUsers=yes and ProtectKernelTunables=yes, for hardening.",
            PROC,
            "PR02",
            "systemd unit",
        ),
        ("ProtectKernelTunables binds /proc/sys read-only, on this server.", PROC, "PR02", "systemd unit"),
        (
            "The unit is running with RestrictNamespaces=yes, at least since the upgrade.",
            creating,
            "NS05",
            "systemd unit",
        ),
        ("Should the unit be running with ProtectKernelTunables=yes?", PROC, "PR01", ""),
        ("I removed it: the unit has ProtectKernelTunables=yes no longer", PROC, "PR01", ""),
    ]);
}
