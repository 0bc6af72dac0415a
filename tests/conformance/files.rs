//! What bwrap makes itself: directories, files, tmpfs, devices, proc and the like, with their permissions.

use bwrap_launch::op::{BindData, Chmod, Dir, File, Mqueue, RemountRo, Tmpfs};
use bwrap_launch::{Namespaces, Sandbox, Stage, Version};

use crate::cases;
use crate::common::{Case, Here, host};
use crate::support::{base, is_about, modes, mount_on, setup_failure, variants};

pub(crate) const CASES: &[Case] = cases![
    directories_have_the_modes_asked_for,
    parents_are_as_closed_as_their_children,
    a_tmpfs_has_the_mode_asked_for,
    a_tmpfs_has_the_size_asked_for,
    files_have_the_modes_asked_for,
    files_hold_their_content,
    permissions_can_be_changed,
    permissions_of_nothing_cannot_be_changed,
    dev_has_its_nodes,
    proc_works_without_dev,
    proc_cannot_be_used_to_change_the_host,
    a_remount_is_read_only,
    message_queues,
    the_host_name,
];

fn directories_have_the_modes_asked_for(here: &Here) {
    let sandbox = base()
        .add(Dir::new("/tmp/special").mode(0o1741))
        .dir("/tmp/plain")
        .add(Dir::new("/tmp/twice").mode(0o741))
        .add(Dir::new("/tmp/twice").mode(0o700))
        .add(Dir::new("/tmp/changed").mode(0o700))
        .add(Chmod::new(0o1755, "/tmp/changed"));
    let seen = modes(here, &sandbox, &["/tmp/special", "/tmp/plain", "/tmp/twice", "/tmp/changed"]);
    assert_eq!(seen, ["1741", "755", "741", "1755"]);
    // whatever the caller's umask
    rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o077));
    assert_eq!(modes(here, &sandbox, &["/tmp/special", "/tmp/plain"]), ["1741", "755"]);
    assert_eq!(here.prints(&sandbox, "umask"), "0077\n");
}

/// A directory that lets nobody but its owner in must not be reached through parents that do.
fn parents_are_as_closed_as_their_children(here: &Here) {
    let modes_and_parents = [
        (0o1777, "755"),
        (0o755, "755"),
        (0o644, "755"),
        (0o750, "750"),
        (0o710, "750"),
        (0o720, "750"),
        (0o640, "750"),
        (0o700, "700"),
        (0o600, "700"),
        (0o705, "705"),
        (0o604, "705"),
        (0o000, "700"),
    ];
    let mut sandbox = base().dir("/tmp/default/it");
    let (mut paths, mut expected) = (vec!["/tmp/default".to_owned()], vec!["755"]);
    for (mode, parent) in modes_and_parents {
        for kind in ["dir", "tmpfs", "file", "data"] {
            let path = format!("/tmp/{mode:o}/{kind}/it");
            sandbox = match kind {
                "dir" => sandbox.add(Dir::new(&path).mode(mode)),
                "tmpfs" => sandbox.add(Tmpfs::new(&path).mode(mode)),
                "file" => sandbox.add(File::new("x", &path).mode(mode)),
                _ => sandbox.add(BindData::read_only("x", &path).mode(mode)),
            };
            paths.push(path.trim_end_matches("/it").to_owned());
            expected.push(parent);
        }
        paths.push(format!("/tmp/{mode:o}"));
        expected.push(parent);
    }
    let paths: Vec<&str> = paths.iter().map(String::as_str).collect();
    assert_eq!(modes(here, &sandbox, &paths), expected, "{paths:?}");
}

fn a_tmpfs_has_the_mode_asked_for(here: &Here) {
    let sandbox = base().add(Tmpfs::new("/tmp").mode(0o1777));
    assert_eq!(modes(here, &sandbox, &["/tmp"]), ["1777"]);
    assert_eq!(modes(here, &base(), &["/tmp"]), ["755"]);
    let mount = mount_on(here, &base(), "/tmp");
    assert_eq!(mount.kind, "tmpfs");
    assert!(mount.has("nosuid") && mount.has("nodev"), "{mount:?}");
}

fn a_tmpfs_has_the_size_asked_for(here: &Here) {
    // in bytes inside, whichever was said first
    let script = "stat -c %a /tmp; stat -f -c '%b %S' /tmp | { read b s; echo $((b * s)); }";
    let mebibyte = 1 << 20;
    for (tmpfs, expected) in [
        (Tmpfs::new("/tmp").size(mebibyte), "755\n1048576\n"),
        (Tmpfs::new("/tmp").size(mebibyte).mode(0o1777), "1777\n1048576\n"),
        (Tmpfs::new("/tmp").mode(0o1777).size(mebibyte), "1777\n1048576\n"),
    ] {
        let sandbox = host().add(tmpfs);
        assert_eq!(here.prints(&sandbox, script), expected);
        let full = "head -c 1100000 /dev/zero > /tmp/x; stat -c %s /tmp/x";
        assert_eq!(here.prints(&sandbox, full), "1048576\n", "and no more fits in");
    }
}

fn files_have_the_modes_asked_for(here: &Here) {
    let sandbox = base()
        .file("x", "/tmp/file")
        .add(BindData::read_write("x", "/tmp/data"))
        .add(BindData::read_only("x", "/tmp/ro-data"))
        .add(File::new("x", "/tmp/file-mode").mode(0o640))
        .add(BindData::read_write("x", "/tmp/data-mode").mode(0o640))
        .add(BindData::read_only("x", "/tmp/ro-data-mode").mode(0o640));
    let plain = modes(here, &sandbox, &["/tmp/file", "/tmp/data", "/tmp/ro-data"]);
    assert_eq!(plain, ["666", "600", "600"]);
    let set = modes(here, &sandbox, &["/tmp/file-mode", "/tmp/data-mode", "/tmp/ro-data-mode"]);
    assert_eq!(set, ["640", "640", "640"]);
}

fn files_hold_their_content(here: &Here) {
    let all_bytes: Vec<u8> = (0..=255).collect();
    let sandbox = base()
        .file(all_bytes.clone(), "/tmp/file")
        .add(BindData::read_write(all_bytes.clone(), "/tmp/data"))
        .add(BindData::read_only(all_bytes.clone(), "/tmp/ro-data"));
    let output = here.shell(&sandbox, "cat /tmp/file /tmp/data /tmp/ro-data").output().unwrap();
    assert_eq!(output.stdout, all_bytes.repeat(3));
    let script =
        "for i in file data ro-data; do echo more >> /tmp/$i && echo $i; done; stat -c %s /tmp/*data";
    let seen = here.prints(&sandbox, script);
    assert_eq!(seen, "file\ndata\n261\n256\n");
    assert_eq!(mount_on(here, &sandbox, "/tmp/ro-data").kind, "tmpfs");
    assert!(mount_on(here, &sandbox, "/tmp/ro-data").has("ro"));
    assert!(!mount_on(here, &sandbox, "/tmp/data").has("ro"));
}

fn permissions_can_be_changed(here: &Here) {
    let sandbox = base()
        .dir("/tmp/dir")
        .file("x", "/tmp/file")
        .add(BindData::read_write("x", "/tmp/data"))
        .add(Chmod::new(0o1700, "/tmp/dir"))
        .add(Chmod::new(0o4, "/tmp/file"))
        .add(Chmod::new(0o7777, "/tmp/data"));
    assert_eq!(modes(here, &sandbox, &["/tmp/dir", "/tmp/file", "/tmp/data"]), ["1700", "4", "7777"]);
}

fn permissions_of_nothing_cannot_be_changed(here: &Here) {
    let failure = setup_failure(here, &base().add(Chmod::new(0o755, "/tmp/missing")));
    // bwrap 0.12 opens it first
    let message = if here.bwrap.resolves_in_root() { "Can't open" } else { "Can't chmod" };
    is_about(&failure, message, "/tmp/missing", Some(libc::ENOENT));
    assert_eq!(failure.stage(), Some(Stage::Mounts));
}

fn dev_has_its_nodes(here: &Here) {
    for sandbox in variants(&base().proc("/proc").dev("/dev")) {
        let seen = here.prints(&sandbox, "ls /dev");
        let names: Vec<&str> = seen.lines().filter(|name| *name != "console").collect();
        let expected = [
            "core", "fd", "full", "null", "ptmx", "pts", "random", "shm", "stderr", "stdin", "stdout", "tty",
            "urandom", "zero",
        ];
        assert_eq!(names, expected);
        let devices = "cd /dev; stat -c '%F %t:%T' null zero full random urandom tty";
        let kind = |minor: &str| format!("character special file {minor}\n");
        let all = ["1:3", "1:5", "1:7", "1:8", "1:9", "5:0"].map(kind).concat();
        assert_eq!(here.prints(&sandbox, devices), all);
        let links = "cd /dev; readlink stdin stdout stderr fd core ptmx";
        let all = "/proc/self/fd/0\n/proc/self/fd/1\n/proc/self/fd/2\n/proc/self/fd\n/proc/kcore\npts/ptmx\n";
        assert_eq!(here.prints(&sandbox, links), all);
        // and they work
        let use_them = "echo x > /dev/null; head -c 4 /dev/zero | tr '\\0' z; head -c 9 /dev/urandom | wc -c";
        assert_eq!(here.prints(&sandbox, use_them), "zzzz9\n");
        assert_eq!(mount_on(here, &sandbox, "/dev/pts").kind, "devpts");
    }
}

fn proc_works_without_dev(here: &Here) {
    for sandbox in variants(&base().proc("/proc")) {
        let seen = here.prints(&sandbox, "cat /proc/self/comm; readlink /proc/$$/cwd");
        assert_eq!(seen, "cat\n/\n", "{sandbox}");
        assert_eq!(mount_on(here, &sandbox, "/proc").kind, "proc");
    }
    // process 1 is bwrap's own only in a PID namespace
    let ids = here.prints(&base().proc("/proc").unshare(Namespaces::PID), "cat /proc/1/comm");
    assert_eq!(ids, "bwrap\n");
    assert_ne!(here.prints(&base().proc("/proc"), "cat /proc/1/comm"), "bwrap\n");
}

fn proc_cannot_be_used_to_change_the_host(here: &Here) {
    let directories = "for i in irq bus sys; do mkdir /proc/$i/x && echo $i; done; true";
    // opening it for writing changes nothing by itself
    let setting = "(: >> /proc/sys/kernel/hostname) && echo writable; true";
    for sandbox in variants(&base().proc("/proc")) {
        assert_eq!(here.prints(&sandbox, directories), "", "{sandbox}");
        // a fact to know: bwrap takes /proc/sys for read-only, and root can write the files in it
        let expected = if here.root { "writable\n" } else { "" };
        assert_eq!(here.prints(&sandbox, setting), expected, "{sandbox}");
        if here.root {
            for child in ["/proc/irq", "/proc/bus"] {
                assert!(mount_on(here, &sandbox, child).has("ro"), "{child}");
            }
        }
    }
    // so whoever runs things as root mounts it read-only
    let closed = base().proc("/proc").ro_bind("/proc/sys", "/proc/sys");
    assert_eq!(here.prints(&closed, setting), "");
}

fn a_remount_is_read_only(here: &Here) {
    let sandbox = base()
        .tmpfs("/tmp/it")
        .file("kept", "/tmp/it/file")
        .tmpfs("/tmp/it/below")
        .add(RemountRo::new("/tmp/it"));
    let script =
        "cat /tmp/it/file; for i in it it/below; do echo new > /tmp/$i/new && echo $i writable; done; true";
    assert_eq!(here.prints(&sandbox, script), "keptit/below writable\n", "submounts stay as they are");
    assert!(mount_on(here, &sandbox, "/tmp/it").has("ro"));
    let failure = setup_failure(here, &base().dir("/tmp/it").add(RemountRo::new("/tmp/it")));
    // 0.13 asks mount_setattr(2), and no mount table
    let errno = (here.bwrap.version() >= Some(Version::new(0, 13, 0))).then_some(libc::EINVAL);
    is_about(&failure, "Can't remount readonly on", "/tmp/it", errno);
}

fn message_queues(here: &Here) {
    let sandbox = base().unshare(Namespaces::IPC).add(Mqueue::new("/tmp/mqueue"));
    assert_eq!(mount_on(here, &sandbox, "/tmp/mqueue").kind, "mqueue");
    assert_eq!(here.prints(&sandbox, "ls /tmp/mqueue; : > /tmp/mqueue/q; ls /tmp/mqueue"), "q\n");
    let shared = base().add(Mqueue::new("/tmp/mqueue"));
    if here.root {
        assert_eq!(mount_on(here, &shared, "/tmp/mqueue").kind, "mqueue");
    } else {
        is_about(&setup_failure(here, &shared), "Can't mount mqueue on", "/tmp/mqueue", Some(libc::EPERM));
    }
}

fn the_host_name(here: &Here) {
    let ours = here.prints(&base(), "uname -n");
    let named = |name: &str| -> Sandbox { base().unshare(Namespaces::UTS).hostname(name) };
    assert_eq!(here.prints(&named("elsewhere"), "uname -n"), "elsewhere\n");
    assert_eq!(here.prints(&named(&"n".repeat(64)), "uname -n"), format!("{}\n", "n".repeat(64)));
    assert_eq!(here.prints(&base().unshare(Namespaces::UTS), "uname -n"), ours);
    assert_eq!(here.prints(&base(), "uname -n"), ours, "the host's own is left alone");
}
