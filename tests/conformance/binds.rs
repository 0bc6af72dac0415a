//! Binds: what is mounted, with which flags, from which kinds of sources.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::unix::fs::{FileTypeExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};

use bwrap_launch::op::{Access, Bind, BindFd};
use bwrap_launch::{Namespaces, Stage};
use rustix::fs::StatVfsMountFlags;

use crate::cases;
use crate::common::{Case, Here, host, skip};
use crate::support::{
    Mount, base, directory, fresh, is_about, mount_on, mounts, setup_failure, stage, variants,
};

pub(crate) const CASES: &[Case] = cases![
    a_fuse_directory_can_be_a_source,
    unreadable_files_stay_unreadable,
    nothing_is_bound_from_an_unreadable_directory,
    the_hosts_tmp_is_seen_where_it_is_bound,
    another_directory_replaces_tmp,
    bwraps_own_roots_are_never_visible,
    sockets_can_be_bound_over_themselves,
    a_missing_source_is_told,
    missing_sources_are_forgiven_on_request,
    binds_have_the_flags_of_their_access,
    sources_behind_symlinks_are_resolved,
    read_only_binds_cover_every_submount,
    read_only_binds_cover_every_submount_without_openat2,
    descriptors_are_bound,
    descriptors_are_bound_with_their_flags,
];

/// Where root itself is a stranger: the bind must work although nobody but the user may look.
fn a_fuse_directory_can_be_a_source(here: &Here) {
    let table = fs::read_to_string("/proc/self/mountinfo").unwrap();
    let targets = table.lines().filter(|line| line.contains(" - fuse"));
    let mut targets = targets.filter_map(|line| line.split(' ').nth(4));
    let Some(source) = targets.find(|target| fs::read_dir(target).is_ok()) else {
        skip("there is no FUSE file system to bind");
    };
    for sandbox in variants(&base().proc("/proc").dev("/dev").ro_bind(source, "/tmp/fuse")) {
        assert!(mount_on(here, &sandbox, "/tmp/fuse").kind.starts_with("fuse"));
    }
}

fn unreadable_files_stay_unreadable(here: &Here) {
    let secret = fs::read_to_string("/etc/shadow");
    assert_eq!(secret.is_ok(), here.root, "the user of this run is not fit for this case");
    let script = "cat /etc/shadow || echo refused; cat /tmp/shadow || echo refused";
    let mut sandboxes = variants(&base().bind("/etc/shadow", "/tmp/shadow")).to_vec();
    if !here.root {
        // every capability of a user namespace opens no file of the host's; root is refused this: see capabilities
        sandboxes.extend(sandboxes.clone().into_iter().map(bwrap_launch::Sandbox::cap_add_all));
    }
    let expected = secret.map_or("refused\n".repeat(2), |text| text.repeat(2));
    for sandbox in sandboxes {
        assert_eq!(here.prints(&sandbox, script), expected, "{sandbox}");
    }
}

fn nothing_is_bound_from_an_unreadable_directory(here: &Here) {
    if here.root {
        let own = directory(here, "own", "file", "seen");
        fs::set_permissions(&own, std::os::unix::fs::PermissionsExt::from_mode(0o000)).unwrap();
        for sandbox in variants(&base().bind(own.join("file"), "/tmp/file")) {
            assert_eq!(here.prints(&sandbox, "cat /tmp/file"), "seen", "root may");
        }
        return;
    }
    assert!(fs::read_dir("/root").is_err(), "the user of this run is not fit for this case");
    for sandbox in variants(&base().bind("/root/anything", "/tmp/file")) {
        let failure = setup_failure(here, &sandbox);
        assert_eq!(failure.stage(), Some(Stage::Sources));
        is_about(&failure, "Can't find source path", "/root/anything", Some(libc::EACCES));
    }
}

fn the_hosts_tmp_is_seen_where_it_is_bound(here: &Here) {
    let file = here.scratch.join("file");
    fs::write(&file, "of the host").unwrap();
    let tmp = stage(here).parent().unwrap().to_owned();
    let below = file.strip_prefix(&tmp).unwrap().to_owned();
    let root = host();
    assert_eq!(here.prints(&root, &format!("cat {}", file.display())), "of the host");
    let covered = here.prints(&root.tmpfs(&tmp), &format!("ls {}", tmp.display()));
    assert_eq!(covered, "", "a tmpfs hides it");
    let back = host().tmpfs(&tmp).bind(&tmp, &tmp);
    assert_eq!(here.prints(&back, &format!("cat {}", file.display())), "of the host");
    let elsewhere = host().tmpfs(&tmp).bind(&tmp, "/mnt");
    assert_eq!(here.prints(&elsewhere, &format!("cat /mnt/{}", below.display())), "of the host");
}

fn another_directory_replaces_tmp(here: &Here) {
    let other = directory(here, "other", "file", "another");
    let inside = base().bind(&other, "/tmp/here");
    assert_eq!(here.prints(&inside, "ls /tmp; cat /tmp/here/file"), "here\nanother");
    let instead = base().bind(&other, "/tmp");
    assert_eq!(here.prints(&instead, "ls /tmp; cat /tmp/file"), "file\nanother");
}

fn bwraps_own_roots_are_never_visible(here: &Here) {
    let empty = here.scratch.join("empty");
    fs::create_dir(&empty).unwrap();
    let script = "for i in /oldroot /newroot /tmp/oldroot /tmp/newroot; do test -e $i && echo $i; done; true";
    for sandbox in [host(), base(), host().bind("/tmp", "/tmp"), base().bind(&empty, "/tmp"), fresh()] {
        assert_eq!(here.prints(&sandbox, script), "", "{sandbox}");
    }
    assert_eq!(here.prints(&fresh().tmpfs("/tmp"), "ls -A /tmp"), "");
}

fn sockets_can_be_bound_over_themselves(here: &Here) {
    let path = here.scratch.join("socket");
    let listener = UnixListener::bind(&path).unwrap();
    let sandbox = host().bind(&path, &path);
    let mut command = here.helper(&sandbox, "connect");
    let thread = std::thread::spawn(move || {
        let mut text = String::new();
        listener.accept().unwrap().0.read_to_string(&mut text).unwrap();
        text
    });
    assert!(command.arg(&path).status().unwrap().success());
    assert_eq!(thread.join().unwrap(), "hello");
}

/// Inside: says hello to the socket at a path.
pub(crate) fn connect(arguments: &[String]) {
    assert!(fs::metadata(&arguments[0]).unwrap().file_type().is_socket());
    UnixStream::connect(&arguments[0]).unwrap().write_all(b"hello").unwrap();
}

fn a_missing_source_is_told(here: &Here) {
    for access in [Access::ReadOnly, Access::ReadWrite, Access::Device] {
        let failure = setup_failure(here, &base().add(Bind::new("/nonexistent/source", "/tmp/x", access)));
        assert!(failure.stderr().starts_with(b"bwrap: Can't find source path"), "{failure:?}");
        is_about(&failure, "Can't find source path", "/nonexistent/source", Some(libc::ENOENT));
        assert_eq!(failure.stage(), Some(Stage::Sources));
    }
}

fn missing_sources_are_forgiven_on_request(here: &Here) {
    let there = directory(here, "there", "file", "seen");
    for access in [Access::ReadOnly, Access::ReadWrite, Access::Device] {
        let missing = Bind::new("/nonexistent/source", "/tmp/missing", access).optional();
        let present = Bind::new(&there, "/tmp/present", access).optional();
        let sandbox = base().add(missing).add(present);
        assert_eq!(here.prints(&sandbox, "ls /tmp; cat /tmp/present/file"), "present\nseen");
        // nothing else is forgiven
        let odd = Bind::new(there.join("file/below"), "/tmp/odd", access).optional();
        let failure = setup_failure(here, &base().add(odd));
        is_about(&failure, "Can't find source path", there.join("file/below"), Some(libc::ENOTDIR));
    }
}

fn binds_have_the_flags_of_their_access(here: &Here) {
    let there = directory(here, "there", "file", "old");
    symlink("file", there.join("link")).unwrap();
    symlink("there", here.scratch.join("link")).unwrap();
    for (source, file) in [
        (there.clone(), "/mnt/to/it/file"),
        (here.scratch.join("link"), "/mnt/to/it/file"),
        (there.join("file"), "/mnt/to/it"),
        (there.join("link"), "/mnt/to/it"),
    ] {
        for (access, text) in [(Access::ReadOnly, "old"), (Access::ReadWrite, "new"), (Access::Device, "new")]
        {
            fs::write(there.join("file"), "old").unwrap();
            // its parents are made
            let sandbox = host().tmpfs("/mnt").add(Bind::new(&source, "/mnt/to/it", access));
            let seen = here.prints(&sandbox, &format!("cat {file}; printf new > {file} || true; cat {file}"));
            assert_eq!(seen, format!("old{text}"), "{sandbox}");
            assert_eq!(fs::read_to_string(there.join("file")).unwrap(), text);
            let mount = mount_on(here, &sandbox, "/mnt/to/it");
            assert_eq!(mount.has("ro"), access == Access::ReadOnly, "{mount:?}");
            // a bind gives nothing that its source has not
            let nodev = rustix::fs::statvfs(&there).unwrap().f_flag.contains(StatVfsMountFlags::NODEV);
            assert_eq!(mount.has("nodev"), access != Access::Device || nodev, "{mount:?}");
            assert!(mount.has("nosuid"), "{mount:?}");
        }
    }
    // the flag counts: a device node behind it works, or does not
    let script = "echo x > /mnt/null && echo works || echo fails";
    for (access, expected) in [(Access::ReadWrite, "fails\n"), (Access::Device, "works\n")] {
        let sandbox = host().tmpfs("/mnt").add(Bind::new("/dev/null", "/mnt/null", access));
        assert_eq!(here.prints(&sandbox, script), expected, "{sandbox}");
    }
}

fn sources_behind_symlinks_are_resolved(here: &Here) {
    let real = directory(here, "real/deep", "file", "deep");
    fs::write(real.parent().unwrap().join("file"), "above").unwrap();
    let at = |name: &str| here.scratch.join(name);
    symlink("real/deep", at("one")).unwrap();
    symlink("one", at("two")).unwrap();
    symlink(at("two"), at("three")).unwrap();
    for (source, expected) in [
        ("one/file", "deep"),
        ("three/file", "deep"),
        // as the kernel takes it, not by cutting words
        ("one/../file", "above"),
        ("three/../deep/../file", "above"),
    ] {
        let sandbox = base().ro_bind(at(source), "/tmp/file");
        assert_eq!(here.prints(&sandbox, "cat /tmp/file"), expected, "{source}");
    }
    symlink("loop", at("loop")).unwrap();
    let failure = setup_failure(here, &base().ro_bind(at("loop"), "/tmp/x"));
    is_about(&failure, "Can't find source path", at("loop"), Some(libc::ELOOP));
}

fn all_are_read_only(here: &Here, sandbox: &bwrap_launch::Sandbox, expected: bool) {
    let all = mounts(here, sandbox);
    assert!(all.len() > 2, "there are no submounts here: {all:?}");
    // what is covered by another mount on the same place cannot be reached
    let visible =
        |(index, mount): &(usize, &Mount)| !all[index + 1..].iter().any(|m| m.target == mount.target);
    let visible: Vec<_> = all.iter().enumerate().filter(visible).map(|(_, mount)| mount).collect();
    let writable: Vec<_> =
        visible.iter().filter(|mount| !mount.has("ro")).map(|mount| &mount.target).collect();
    assert_eq!(writable.is_empty(), expected, "{writable:?}");
    assert!(visible.iter().all(|mount| mount.has("nosuid")), "{visible:?}");
}

fn read_only_binds_cover_every_submount(here: &Here) {
    let sandbox = bwrap_launch::Sandbox::new().env("PATH", "/usr/bin:/bin");
    for sandbox in variants(&sandbox.clone().ro_bind("/", "/")) {
        all_are_read_only(here, &sandbox, true);
    }
    all_are_read_only(here, &sandbox.bind("/", "/"), false);
}

/// The same on systems without openat2(2), where bwrap has to walk paths by itself.
fn read_only_binds_cover_every_submount_without_openat2(here: &Here) {
    here.needs("--debug-opt");
    let sandbox = bwrap_launch::Sandbox::new().env("PATH", "/usr/bin:/bin").ro_bind("/", "/");
    let sandbox = sandbox.debug_option("force-openat-fallback");
    let failed = here.command(&sandbox, "true").output().err();
    if let Some(message) = failed.as_ref().and_then(|error| error.failure()?.message()) {
        is_about(failed.as_ref().unwrap().failure().unwrap(), "Can't open source", "/", Some(libc::ENOSYS));
        skip(&format!("this bwrap was built without the fallback: {message}"));
    }
    all_are_read_only(here, &sandbox, true);
}

fn descriptors_are_bound(here: &Here) {
    here.needs("--bind-fd");
    let there = directory(here, "there", "file", "seen");
    let sandbox = base().add(BindFd::read_write(File::open(&there).unwrap(), "/tmp"));
    assert_eq!(here.prints(&sandbox, "cat /tmp/file; echo more >> /tmp/file"), "seen");
    assert_eq!(fs::read_to_string(there.join("file")).unwrap(), "seenmore\n");
    // the descriptor counts, not the path it was opened by
    fs::rename(&there, here.scratch.join("moved")).unwrap();
    directory(here, "there", "file", "an impostor");
    assert_eq!(here.prints(&sandbox, "cat /tmp/file"), "seenmore\n");
}

fn descriptors_are_bound_with_their_flags(here: &Here) {
    here.needs("--ro-bind-fd");
    let there = directory(here, "there", "file", "old");
    for (source, file) in [(there.clone(), "/mnt/to/it/file"), (there.join("file"), "/mnt/to/it")] {
        for (read_only, text) in [(true, "old"), (false, "new")] {
            fs::write(there.join("file"), "old").unwrap();
            let open = File::open(&source).unwrap();
            let bind = if read_only { BindFd::read_only } else { BindFd::read_write };
            let sandbox = host().unshare(Namespaces::PID).tmpfs("/mnt").add(bind(open, "/mnt/to/it"));
            let seen = here.prints(&sandbox, &format!("cat {file}; printf new > {file} || true; cat {file}"));
            assert_eq!(seen, format!("old{text}"), "{sandbox}");
            let mount = mount_on(here, &sandbox, "/mnt/to/it");
            assert_eq!((mount.has("ro"), mount.has("nodev")), (read_only, true), "{mount:?}");
        }
    }
    let memory = File::from(rustix::fs::memfd_create("x", rustix::fs::MemfdFlags::CLOEXEC).unwrap());
    let failure = setup_failure(here, &base().add(BindFd::read_only(memory, "/tmp/x")));
    assert_eq!(failure.stage(), Some(Stage::Sources), "a memory file has no path: {failure:?}");
}
