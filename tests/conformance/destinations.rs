//! Destinations: what bwrap creates, what stands in the way, and symlinks.

use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use bwrap_launch::op::{BindFd, Symlink};
use bwrap_launch::{Lint, Sandbox};

use crate::cases;
use crate::common::{Case, Here, host, skip};
use crate::support::{base, directory, is_about, setup_failure, since, variants};

pub(crate) const CASES: &[Case] = cases![
    relative_symlinks_as_destinations,
    symlinks_as_destinations_are_refused,
    symlinks_are_made_once,
    symlinks_replace_nothing,
    mount_points_are_created,
    a_bind_covers_what_is_there,
    mounts_lie_on_mounts,
    a_file_is_no_parent,
    a_symlink_can_be_a_parent,
    directories_and_files_do_not_mix,
    a_symlink_cannot_lead_out_of_the_sandbox,
    a_symlink_cannot_lead_out_of_the_sandbox_without_openat2,
];

/// A directory, and a link beside it that leads there.
fn linked() -> Sandbox {
    base().dir("/tmp/real").symlink("real", "/tmp/link")
}

fn relative_symlinks_as_destinations(here: &Here) {
    let there = directory(here, "there", "file", "seen");
    for sandbox in variants(&linked().bind(&there, "/tmp/link")) {
        if here.bwrap.resolves_in_root() {
            let failure = setup_failure(here, &sandbox);
            is_about(&failure, "Can't mount on symlink destination", "/tmp/link", None);
        } else {
            assert_eq!(here.prints(&sandbox, "cat /tmp/real/file; readlink /tmp/link"), "seenreal\n");
        }
    }
}

fn symlinks_as_destinations_are_refused(here: &Here) {
    here.needs("--not-a-security-boundary");
    let there = directory(here, "there", "file", "seen");
    let with_file = || base().file("x", "/tmp/file").symlink("file", "/tmp/to-file");
    let open = |path: &std::path::Path| fs::File::open(path).unwrap();
    let file = there.join("file");
    for (sandbox, path) in [
        (linked().ro_bind(&there, "/tmp/link"), "/tmp/link"),
        (with_file().ro_bind(&file, "/tmp/to-file"), "/tmp/to-file"),
        (linked().add(BindFd::read_only(open(&there), "/tmp/link")), "/tmp/link"),
        (with_file().add(BindFd::read_only(open(&file), "/tmp/to-file")), "/tmp/to-file"),
    ] {
        is_about(&setup_failure(here, &sandbox), "Can't mount on symlink destination", path, None);
    }
}

fn symlinks_are_made_once(here: &Here) {
    let link = || Symlink::new("/etc/passwd", "/tmp/link");
    assert_eq!(here.prints(&base().add(link()), "readlink /tmp/link"), "/etc/passwd\n");
    let again = base().add(link()).add(link());
    let other = base().add(link()).symlink("/etc/group", "/tmp/link");
    if since(here, 9) {
        assert_eq!(here.prints(&again, "readlink /tmp/link"), "/etc/passwd\n");
        let failure = setup_failure(here, &other);
        is_about(&failure, "Can't make symlink at %s: existing destination is", "/tmp/link", None);
        assert_eq!(failure.message().unwrap().source(), Some("/etc/passwd".as_ref()));
    } else {
        for sandbox in [again, other] {
            let failure = setup_failure(here, &sandbox);
            is_about(&failure, "Can't make symlink at %s", "/tmp/link", Some(libc::EEXIST));
        }
    }
}

fn symlinks_replace_nothing(here: &Here) {
    for sandbox in [base().file("x", "/tmp/it"), base().dir("/tmp/it")] {
        let failure = setup_failure(here, &sandbox.symlink("/etc", "/tmp/it"));
        let (text, errno) = if since(here, 9) {
            ("Can't make symlink at %s: destination exists and is not a symlink", None)
        } else {
            ("Can't make symlink at %s", Some(libc::EEXIST))
        };
        is_about(&failure, text, "/tmp/it", errno);
    }
}

/// They stay behind on the host where a writable bind lets bwrap make them.
fn mount_points_are_created(here: &Here) {
    let left = here.scratch.join("left");
    fs::create_dir(&left).unwrap();
    let sandbox =
        host().bind(&left, "/mnt").ro_bind("/etc", "/mnt/parent/dir").ro_bind("/etc/passwd", "/mnt/file");
    let seen = here.prints(&sandbox, "ls /mnt; test -s /mnt/parent/dir/passwd -a -s /mnt/file; echo $?");
    assert_eq!(seen, "file\nparent\n0\n");
    let mode = |name: &str| fs::metadata(left.join(name)).unwrap().mode() & 0o7777;
    assert_eq!([mode("parent/dir"), mode("file")], [0o755, 0o444]);
    // what had to be made above them is for the user of the sandbox alone
    assert_eq!(mode("parent"), 0o700);
    assert_eq!(fs::metadata(left.join("file")).unwrap().len(), 0);
}

fn a_bind_covers_what_is_there(here: &Here) {
    let first = directory(here, "first", "file", "first");
    let second = directory(here, "second", "file", "second");
    let sandbox = base().bind(&first, "/tmp/it").ro_bind(&second, "/tmp/it");
    assert_eq!(here.prints(&sandbox, "cat /tmp/it/file"), "second");
    let sandbox = base().bind(&first, "/tmp/it").ro_bind(second.join("file"), "/tmp/it/file");
    assert_eq!(here.prints(&sandbox, "cat /tmp/it/file"), "second");
    assert_eq!(fs::read_to_string(first.join("file")).unwrap(), "first");
}

fn mounts_lie_on_mounts(here: &Here) {
    let one = directory(here, "one", "file", "one");
    let two = directory(here, "two", "file", "two");
    fs::create_dir(one.join("two")).unwrap();
    fs::create_dir(two.join("three")).unwrap();
    let sandbox = base()
        .ro_bind(&one, "/tmp/one")
        .ro_bind(&two, "/tmp/one/two")
        .tmpfs("/tmp/one/two/three")
        .file("three", "/tmp/one/two/three/file");
    let seen = here.prints(&sandbox, "cd /tmp/one; cat file two/file two/three/file");
    assert_eq!(seen, "onetwothree");
}

fn a_file_is_no_parent(here: &Here) {
    let sandbox = base().file("x", "/tmp/file");
    for sandbox in [
        sandbox.clone().ro_bind("/etc", "/tmp/file/below"),
        sandbox.clone().ro_bind("/etc/passwd", "/tmp/file/below"),
        sandbox.clone().dir("/tmp/file/below"),
        sandbox.clone().tmpfs("/tmp/file/below"),
    ] {
        let failure = setup_failure(here, &sandbox);
        let message = failure.message().unwrap();
        assert_eq!(message.errno().and_then(bwrap_launch::Errno::code), Some(libc::ENOTDIR));
        assert_eq!(message.path(), Some("/tmp/file/below".as_ref()), "{failure:?}");
    }
}

fn a_symlink_can_be_a_parent(here: &Here) {
    let there = directory(here, "there", "file", "seen");
    let sandbox = linked().ro_bind(&there, "/tmp/link/dir").ro_bind(there.join("file"), "/tmp/link/file");
    assert_eq!(here.prints(&sandbox, "cd /tmp/real; cat dir/file file"), "seenseen");
}

fn directories_and_files_do_not_mix(here: &Here) {
    let on_file = base().file("x", "/tmp/it").ro_bind("/etc", "/tmp/it");
    let on_directory = base().dir("/tmp/it").ro_bind("/etc/passwd", "/tmp/it");
    for sandbox in [on_file, on_directory] {
        let failure = setup_failure(here, &sandbox);
        assert_eq!(failure.message().unwrap().path(), Some("/tmp/it".as_ref()), "{failure:?}");
        assert_eq!(failure.stage(), Some(bwrap_launch::Stage::Mounts));
    }
}

/// What a command of an earlier run left in its writable directory, and what the next run makes of it.
fn planted(here: &Here, link: &str) -> (Sandbox, std::path::PathBuf) {
    let writable = here.scratch.join("writable");
    let target = here.scratch.join("target");
    fs::create_dir_all(&writable).unwrap();
    fs::create_dir_all(&target).unwrap();
    let _ = fs::remove_file(writable.join("link"));
    symlink(format!("{link}{}", target.display()), writable.join("link")).unwrap();
    (host().bind(writable, "/mnt").file("escaped", "/mnt/link/file"), target.join("file"))
}

/// Ways out of the new root while it is being built: by bwrap's own names, and by an open descriptor.
const WAYS_OUT: [&str; 3] = ["/oldroot", "/proc/self/fd/3", "../../../../../oldroot"];

fn a_symlink_cannot_lead_out_of_the_sandbox(here: &Here) {
    if !here.bwrap.resolves_in_root() {
        let advice = here.command(&planted(here, "/oldroot").0, "true").lint();
        let warned = |lint: &Lint| matches!(lint, Lint::DestinationBelowWritable { .. });
        assert!(advice.iter().any(|advice| warned(&advice.lint)), "nobody was warned");
        skip("bwrap before 0.12 follows such links (CVE-2026-87766); there it is a lint, which was given");
    }
    for way in WAYS_OUT {
        let (sandbox, escaped) = planted(here, way);
        // whether it fails or finds a place inside is all the same
        let _ = here.command(&sandbox, "true").output();
        assert!(!escaped.exists(), "{way}");
    }
}

fn a_symlink_cannot_lead_out_of_the_sandbox_without_openat2(here: &Here) {
    here.needs("--not-a-security-boundary");
    for way in WAYS_OUT {
        let (sandbox, escaped) = planted(here, way);
        let _ = here.command(&sandbox.debug_option("force-openat-fallback"), "true").output();
        assert!(!escaped.exists(), "{way}");
    }
}
