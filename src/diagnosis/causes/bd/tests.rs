//! What a failure of bwrap is traced back to, in the caller's own operations.
#![allow(clippy::unwrap_used, clippy::indexing_slicing)]

use crate::diagnosis::fixtures::{docker, explain, machine, mounts};
use crate::diagnosis::{
    Action, Bearing, Cause, Confidence, Diagnosis, Outlook, Remedy, SandboxChange, predict,
};
use crate::host::{Fact, Host};
use crate::sandbox::{Bind, Chmod, Overlay, RemountRo, Sandbox, Tmpfs};

mod mount_points;
mod operations;

fn finds(message: &str, sandbox: &Sandbox, cause: Cause, operation: Option<usize>) -> Diagnosis {
    let diagnosis = explain(message, &machine(), sandbox);
    let first = &diagnosis.causes[0];
    assert_eq!((first.cause, first.operation), (cause, operation), "{message}: {diagnosis:#?}");
    assert!(!first.remedies.is_empty() && !first.refuted_by.is_empty(), "{message}");
    assert!(!first.evidence.is_empty(), "{message}");
    diagnosis
}

fn changes(diagnosis: &Diagnosis) -> Vec<SandboxChange> {
    let remedies = diagnosis.causes[0].remedies.iter();
    let change = |action: &Action| match action {
        Action::Sandbox(change) => Some(change.clone()),
        _ => None,
    };
    remedies.filter_map(|remedy| change(&remedy.action)).collect()
}

fn commands(diagnosis: &Diagnosis) -> Vec<String> {
    let remedies = diagnosis.causes[0].remedies.iter();
    let lines = remedies.filter_map(|remedy| match &remedy.action {
        Action::Commands(lines) => Some(lines.clone()),
        _ => None,
    });
    lines.flatten().collect()
}

#[test]
fn nothing_is_foreseen() {
    let odd = Sandbox::new()
        .ro_bind("/nonexistent", "/usr")
        .tmpfs("/usr/x")
        .symlink("a", "/l")
        .symlink("b", "/l")
        .add(RemountRo::new("/nowhere"));
    assert_eq!(predict(&machine(), &odd).outlook, Outlook::Starts);
}

#[test]
fn a_missing_source_is_named_as_the_caller_did() {
    let sandbox = Sandbox::new().ro_bind("/usr", "/usr").ro_bind("/opt/tools", "/opt/tools");
    let diagnosis = finds(
        "Can't find source path /opt/tools: No such file or directory",
        &sandbox,
        Cause::SourceMissing,
        Some(1),
    );
    let first = &diagnosis.causes[0];
    assert_eq!(first.confidence, Confidence::High);
    assert_eq!(first.summary, "operation 2, read-only bind of /opt/tools: /opt/tools does not exist");
    assert_eq!(
        changes(&diagnosis),
        [SandboxChange::OptionalSource { operation: 1 }, SandboxChange::Remove { operation: 1 }]
    );
    assert_eq!(commands(&diagnosis), ["mkdir -p /opt/tools"]);
    // in a container it is another path
    let inside = explain("Can't find source path /opt/tools: No such file or directory", &docker(), &sandbox);
    assert!(inside.causes[0].evidence.iter().any(|evidence| evidence.text.contains("in a container")));
    assert!(commands(&inside).is_empty());
}

#[test]
fn a_missing_layer_is_not_optional() {
    let sandbox = Sandbox::new().add(Overlay::temporary("/usr").layer("/base").layer("/more"));
    let diagnosis = finds(
        "Can't find source path /more: No such file or directory",
        &sandbox,
        Cause::SourceMissing,
        Some(0),
    );
    assert_eq!(changes(&diagnosis), [SandboxChange::Remove { operation: 0 }]);
}

#[test]
fn a_source_out_of_reach_is_not_missing() {
    let sandbox = Sandbox::new().add(Bind::read_only("/root/x", "/x").optional());
    let diagnosis = finds(
        "Can't find source path /root/x: Permission denied",
        &sandbox,
        Cause::SourceUnreachable,
        Some(0),
    );
    // an optional bind would have been refused as well
    assert_eq!(changes(&diagnosis), [SandboxChange::Remove { operation: 0 }]);
    assert!(commands(&diagnosis).iter().any(|line| line == "namei -l /root/x"));
    assert!(diagnosis.causes.iter().all(|finding| finding.cause != Cause::SourceMissing));
}

#[test]
fn a_name_that_is_too_long_is_shortened() {
    let sandbox = Sandbox::new().ro_bind("/srv/long", "/x");
    let first = |answer: &str| {
        let message = format!("Can't find source path /srv/long: {answer}");
        finds(&message, &sandbox, Cause::SourceUnreachable, Some(0)).causes[0].remedies[0].summary.clone()
    };
    assert_eq!(first("File name too long"), "Shorten the path");
    assert_ne!(first("Input/output error"), "Shorten the path");
}

#[test]
fn root_is_not_almighty_in_its_user_namespace() {
    let sandbox = Sandbox::new().ro_bind("/home/a/x", "/x").unshare(crate::Namespaces::USER);
    let diagnosis = explain("Can't find source path /home/a/x: Permission denied", &docker(), &sandbox);
    assert!(
        diagnosis.causes[0].evidence.iter().any(|evidence| evidence.text.contains("only what uid 0 owns"))
    );
}

#[test]
fn a_mount_point_in_a_read_only_bind() {
    // a real bwrap says this to --ro-bind /usr /usr --tmpfs /usr/xx
    let sandbox = Sandbox::new().ro_bind("/", "/").ro_bind("/usr", "/usr").tmpfs("/usr/xx");
    let diagnosis =
        finds("Can't mkdir /usr/xx: Read-only file system", &sandbox, Cause::DestinationReadOnly, Some(2));
    let first = &diagnosis.causes[0];
    assert_eq!(first.confidence, Confidence::High);
    assert_eq!(
        first.summary,
        "operation 3, tmpfs on /usr/xx needs /usr/xx, and that lies in operation 2, read-only bind of /usr"
    );
    assert_eq!(commands(&diagnosis), ["mkdir -p /usr/xx"]);
    // before the bind it would be made, and hidden by it
    assert_eq!(changes(&diagnosis), [SandboxChange::Remove { operation: 2 }]);
    assert!(first.remedies.iter().any(|remedy| remedy.summary.contains("overlay")));
}

#[test]
fn where_the_mount_point_is_on_the_host() {
    let sandbox = Sandbox::new().ro_bind("/srv/a b", "/data").ro_bind("/etc/passwd", "/data/p/f");
    let message = "Can't create file at /newroot/data/p/f: Read-only file system";
    let diagnosis = finds(message, &sandbox, Cause::DestinationReadOnly, Some(1));
    assert_eq!(commands(&diagnosis), ["mkdir -p '/srv/a b/p'", "touch '/srv/a b/p/f'"]);
}

#[test]
fn a_remount_that_comes_too_early_can_come_later() {
    let sandbox = Sandbox::new().tmpfs("/").ro_bind("/usr", "/usr").add(RemountRo::new("/")).dir("/x");
    let diagnosis =
        finds("Can't mkdir /x: Read-only file system", &sandbox, Cause::DestinationReadOnly, Some(3));
    assert_eq!(changes(&diagnosis)[0], SandboxChange::MoveBefore { operation: 3, before: 2 });
    // one that comes later, or is about something else, is not to blame
    let later = Sandbox::new().ro_bind("/", "/").dir("/x").add(RemountRo::new("/"));
    let diagnosis =
        finds("Can't mkdir /x: Read-only file system", &later, Cause::DestinationReadOnly, Some(1));
    assert_eq!(changes(&diagnosis), [SandboxChange::Remove { operation: 1 }]);
}

#[test]
fn a_directory_of_somebody_else() {
    let sandbox = Sandbox::new().bind("/", "/").ro_bind("/etc/passwd", "/etc/x/passwd");
    let message = "Can't mkdir parents for /etc/x/passwd: Permission denied";
    let diagnosis = finds(message, &sandbox, Cause::DestinationReadOnly, Some(1));
    let first = &diagnosis.causes[0];
    assert_eq!(first.confidence, Confidence::High);
    assert!(first.summary.ends_with("the user may not write /etc/x/passwd"), "{}", first.summary);
    assert!(first.evidence.iter().any(|evidence| evidence.text.contains("uid 1000")));
}

#[test]
fn nothing_is_made_in_proc() {
    let sandbox = Sandbox::new().proc("/proc").dir("/proc/x");
    let diagnosis =
        finds("Can't mkdir /proc/x: Operation not permitted", &sandbox, Cause::DestinationReadOnly, Some(1));
    assert!(diagnosis.causes[0].summary.contains("nothing can be made in operation 1, proc on /proc"));
}

#[test]
fn without_the_sandbox_the_message_is_enough() {
    let symptom =
        crate::diagnosis::Symptom::from_text(b"bwrap: Can't mkdir /usr/xx: Read-only file system\n");
    let diagnosis = crate::diagnosis::diagnose(&symptom, &crate::host::Host::default(), None);
    let first = &diagnosis.causes[0];
    assert_eq!((first.cause, first.operation), (Cause::DestinationReadOnly, None));
    assert!(first.evidence.iter().any(|evidence| evidence.bearing == Bearing::Unknown));
    assert!(first.summary.starts_with("what is to be at /usr/xx needs"), "{}", first.summary);
}

#[test]
fn a_link_of_the_sandbox_is_resolved() {
    let sandbox = Sandbox::new().ro_bind("/usr", "/usr").symlink("usr/lib64", "/lib64").tmpfs("/lib64/x");
    let diagnosis =
        finds("Can't mount on symlink destination /lib64/x", &sandbox, Cause::DestinationIsSymlink, Some(2));
    let path = "/usr/lib64/x".into();
    assert_eq!(changes(&diagnosis)[0], SandboxChange::Destination { operation: 2, path });
    // before 0.12 a link that leads nowhere gives this
    let old = Sandbox::new().tmpfs("/tmp").symlink("/nowhere", "/tmp/l").tmpfs("/tmp/l");
    let message = "Can't mount tmpfs on /newroot/tmp/l: No such file or directory";
    let diagnosis = finds(message, &old, Cause::DestinationIsSymlink, Some(2));
    assert_eq!(diagnosis.causes[0].confidence, Confidence::High);
    let path = "/nowhere".into();
    assert_eq!(changes(&diagnosis)[0], SandboxChange::Destination { operation: 2, path });
}

/// Of links that lead round to each other one has to go: the other is no way out.
#[test]
fn a_circle_of_its_own_links_is_opened() {
    let message = "Can't mkdir parents for /mnt/a/x: Too many levels of symbolic links";
    let circle = Sandbox::new().tmpfs("/mnt").symlink("b", "/mnt/a").symlink("a", "/mnt/b").dir("/mnt/a/x");
    let found = finds(message, &circle, Cause::DestinationIsSymlink, Some(3));
    assert!(matches!(changes(&found)[0], SandboxChange::Remove { operation: 1 | 2 }), "{found}");
    // a link to something else, or a chain of them that comes to an end by another answer
    let plain = Sandbox::new().tmpfs("/mnt").symlink("b", "/mnt/a").dir("/mnt/a/x");
    let found = finds(message, &plain, Cause::DestinationIsSymlink, Some(2));
    assert!(matches!(changes(&found)[0], SandboxChange::Destination { operation: 2, .. }), "{found}");
    let nowhere = message.replace("Too many levels of symbolic links", "No such file or directory");
    let found = finds(&nowhere, &circle, Cause::DestinationIsSymlink, Some(3));
    assert!(matches!(changes(&found)[0], SandboxChange::Destination { operation: 3, .. }), "{found}");
}

#[test]
fn a_link_of_the_host_has_to_be_looked_at() {
    let sandbox = Sandbox::new().bind("/srv/root", "/").ro_bind("/run/resolv", "/etc/resolv.conf");
    let message = "Can't mount on symlink destination /etc/resolv.conf";
    let diagnosis = finds(message, &sandbox, Cause::DestinationIsSymlink, Some(1));
    assert_eq!(changes(&diagnosis), [SandboxChange::Remove { operation: 1 }]);
    let Action::Manual(what) = &diagnosis.causes[0].remedies[0].action else { unreachable!() };
    assert!(what.contains("readlink -f /srv/root/etc/resolv.conf"), "{what}");
    assert!(diagnosis.causes[0].evidence.iter().any(|evidence| evidence.text.contains("lead bwrap astray")));
}

#[test]
fn a_device_of_bwraps_own_is_no_link() {
    let sandbox = Sandbox::new().dev("/dev");
    let message = "Can't bind mount /oldroot/dev/tty on /newroot/dev/tty: \
                   Unable to mount source on destination: No such file or directory";
    let diagnosis = explain(message, &machine(), &sandbox);
    assert!(diagnosis.causes.iter().all(|finding| finding.cause != Cause::DestinationIsSymlink));
}

#[test]
fn a_file_on_a_directory_is_meant_to_lie_in_it() {
    let sandbox = Sandbox::new().ro_bind("/", "/").ro_bind("/etc/passwd", "/usr");
    for message in ["Can't create file at /usr: Is a directory", "Destination is not a file /usr"] {
        let diagnosis = finds(message, &sandbox, Cause::DestinationOfOtherKind, Some(1));
        let path = "/usr/passwd".into();
        assert_eq!(changes(&diagnosis)[0], SandboxChange::Destination { operation: 1, path });
    }
    let reverse = Sandbox::new().ro_bind("/", "/").tmpfs("/etc/passwd");
    let diagnosis =
        finds("Can't mkdir /etc/passwd: Not a directory", &reverse, Cause::DestinationOfOtherKind, Some(1));
    assert!(diagnosis.causes[0].summary.ends_with("/etc/passwd is a file, and must be a directory"));
}

#[test]
fn only_mounts_are_remounted() {
    let sandbox = Sandbox::new().ro_bind("/", "/").add(RemountRo::new("/usr/bin"));
    let message =
        "Can't remount readonly on /newroot/usr/bin: Unable to find \"/newroot/usr/bin\" in mount table";
    let diagnosis = finds(message, &sandbox, Cause::DestinationOfOtherKind, Some(1));
    assert!(diagnosis.causes[0].summary.contains("nothing is mounted on /usr/bin"));
    let chmod = Sandbox::new().ro_bind("/", "/").add(Chmod::new(0o755, "/nope"));
    finds(
        "Can't chmod 0755 /nope: No such file or directory",
        &chmod,
        Cause::DestinationOfOtherKind,
        Some(1),
    );
    finds("Can't chmod 0755 /nope: Read-only file system", &chmod, Cause::DestinationReadOnly, Some(1));
}

#[test]
fn of_two_links_the_second_is_refused() {
    let sandbox = Sandbox::new().tmpfs("/tmp").symlink("a", "/tmp/l").symlink("b", "/tmp/l");
    let message = "Can't make symlink at /tmp/l: existing destination is a";
    let diagnosis = finds(message, &sandbox, Cause::DestinationExists, Some(2));
    assert_eq!(
        changes(&diagnosis),
        [SandboxChange::Remove { operation: 2 }, SandboxChange::Remove { operation: 1 }]
    );
    // bwrap 0.8 does not say what is there
    finds("Can't make symlink at /tmp/l: File exists", &sandbox, Cause::DestinationExists, Some(2));
}

#[test]
fn what_the_host_has_is_in_the_way_of_a_link() {
    let sandbox = Sandbox::new().ro_bind("/", "/").symlink("b", "/usr/bin/env");
    let message = "Can't make symlink at /usr/bin/env: destination exists and is not a symlink";
    let diagnosis = finds(message, &sandbox, Cause::DestinationExists, Some(1));
    assert_eq!(changes(&diagnosis), [SandboxChange::Remove { operation: 1 }]);
    assert!(
        diagnosis.causes[0].evidence.iter().any(|evidence| evidence.text.contains("read-only bind of /"))
    );
    // a link that cannot be made for another reason is none that exists
    finds(
        "Can't make symlink at /usr/bin/env: Read-only file system",
        &sandbox,
        Cause::DestinationReadOnly,
        Some(1),
    );
}

#[test]
fn a_file_that_does_not_fit() {
    let sandbox = Sandbox::new().add(Tmpfs::new("/tmp").size(4096)).file(vec![0; 8192], "/tmp/big");
    let message = "Can't write data to file /tmp/big: No space left on device";
    let diagnosis = finds(message, &sandbox, Cause::FileTooBig, Some(1));
    let summary = &diagnosis.causes[0].summary;
    assert!(summary.contains("(8192 bytes)") && summary.contains("may hold 4096 bytes"), "{summary}");
    let on_disk = Sandbox::new().bind("/srv", "/srv").file("x", "/srv/x");
    let message = "Can't write data to file /srv/x: No space left on device";
    assert!(
        finds(message, &on_disk, Cause::FileTooBig, Some(1)).causes[0]
            .summary
            .contains("quota of /srv is full")
    );
    // what is full is what is mounted there, below the source or not
    let whole = Sandbox::new().bind("/", "/").file("x", "/opt/a/x");
    let message = "Can't write data to file /opt/a/x: No space left on device";
    for (mount, full) in [("/opt", "/opt"), ("/opt/a/x/y", "/"), ("/var", "/")] {
        let mut host = machine();
        let line = format!("7 1 0:50 / {mount} rw,relatime - tmpfs t rw");
        host.mounts = Fact::Present(mounts(&["1 0 8:1 / / rw,relatime - ext4 /dev/vda1 rw", &line]));
        let found = explain(message, &host, &whole);
        let summary = &found.causes[0].summary;
        assert!(summary.ends_with(&format!("the disk or quota of {full} is full")), "{mount}: {summary}");
        assert!(commands(&found)[0].starts_with(&format!("df -h {full};")), "{found}");
    }
    // mounts, not bytes, are what a mount has no room for
    let diagnosis = explain("Can't mount tmpfs on /tmp: Limit exceeded (ENOSPC). Hint", &machine(), &sandbox);
    assert!(diagnosis.causes.iter().all(|finding| finding.cause != Cause::FileTooBig));
}

#[test]
fn a_submount_that_does_not_answer() {
    let sandbox = Sandbox::new().bind("/srv", "/data");
    let mut host = machine();
    let mut found = host.mounts.present().unwrap().clone();
    found.extend(mounts(&["7 1 0:50 / /srv/nfs rw,relatime - nfs4 server:/export rw"]));
    host.mounts = Fact::Present(found);
    let message = "Can't bind mount /oldroot/srv on /newroot/data: Unable to apply mount flags: \
                   remount \"/newroot/data/nfs\": Host is down";
    let diagnosis = explain(message, &host, &sandbox);
    let first = &diagnosis.causes[0];
    assert_eq!(
        (first.cause, first.operation, first.confidence),
        (Cause::RemountRefused, Some(0), Confidence::High)
    );
    assert!(first.summary.contains("the mount on /srv/nfs") && first.summary.ends_with("Host is down"));
    assert!(first.evidence.iter().any(|evidence| evidence.text.contains("nfs4 (server:/export)")));
    // a security module answers "Permission denied" about any mount
    let mut confined = host.clone();
    confined.security.label = Fact::Present("system_u:system_r:container_t:s0".into());
    let denied = explain(&message.replace("Host is down", "Permission denied"), &confined, &sandbox);
    assert_eq!(denied.causes[0].confidence, Confidence::Medium);
}

#[test]
fn a_bind_that_the_kernel_refuses() {
    let sandbox = Sandbox::new().bind("/run/netns/x", "/x");
    let message = "Can't bind mount /oldroot/run/netns/x on /newroot/x: \
                   Unable to mount source on destination: Invalid argument";
    let diagnosis = finds(message, &sandbox, Cause::BindDenied, Some(0));
    assert!(diagnosis.causes[0].evidence.iter().any(|evidence| evidence.text.contains("namespace file")));
    // that is a remount
    let other = message.replace(
        "Unable to mount source on destination",
        "Unable to remount destination \"/newroot/x\" with correct flags",
    );
    finds(&other, &sandbox, Cause::RemountRefused, Some(0));
}

#[test]
fn what_becomes_optional_keeps_its_access() {
    for (option, rust) in [("--bind", "read_write"), ("--ro-bind", "read_only"), ("--dev-bind", "device")] {
        let sandbox = Sandbox::from_args([option, "/opt/x", "/opt/x"]).unwrap();
        let found = explain("Can't find source path /opt/x: No such file or directory", &machine(), &sandbox);
        let words: String = found.causes[0].remedies.iter().map(Remedy::instructions).collect();
        assert!(words.contains(&format!("bwrap: {option}-try /opt/x /opt/x instead of")), "{words}");
        assert!(words.contains(&format!("Bind::{rust}(SOURCE, DEST).optional()")), "{words}");
    }
}

/// bwrap keeps the flags that are locked: the kernel has nothing against it.
#[test]
fn a_filter_that_looks_at_the_flags_of_mount() {
    let sandbox = Sandbox::new().ro_bind("/", "/");
    let message = "Can't bind mount /oldroot/ on /newroot/: Unable to remount destination \"/newroot\" with correct flags";
    let mut host = machine();
    host.mounts = Fact::Present(mounts(&["1 0 254:0 / / rw,nosuid,noatime - ext4 /dev/vda rw"]));
    for answer in
        ["Permission denied", "Operation not permitted", "Invalid argument", "Function not implemented"]
    {
        let first = |host: &Host| explain(&format!("{message}: {answer}"), host, &sandbox).causes[0].cause;
        assert_eq!(first(&host), Cause::RemountRefused, "{answer}");
        let mut filtered = host.clone();
        filtered.process.seccomp = Fact::Present(2);
        assert_eq!(first(&filtered), Cause::SeccompDeniesMount, "{answer}");
        // "Permission denied" is what a security module answers
        filtered.security.label = Fact::Present("system_u:system_r:container_t:s0".into());
        let of_module = first(&filtered) == Cause::RemountRefused;
        assert_eq!(of_module, answer == "Permission denied", "{answer}");
    }
}

/// What bwrap 0.13.1 said to these lines, and which operation it is about.
#[test]
fn what_newer_versions_say() {
    const DEV: &[&str] = &["--ro-bind", "/", "/", "--dev", "/dev", "--tmpfs", "/tmp"];
    for (line, message, cause, operation, says) in [
        (
            &["--remount-ro", "/usr/x"][..],
            "Can't create file /usr/x: No such file or directory",
            Cause::DestinationOfOtherKind,
            3,
            "only mounts can be made read-only",
        ),
        (
            &["--dir", "/tmp/x", "--remount-ro", "/tmp/x"],
            "Can't remount readonly on /tmp/x: mount_setattr() failed at \"/newroot/tmp/x\": Invalid argument",
            Cause::DestinationOfOtherKind,
            4,
            "nothing is mounted on /tmp/x",
        ),
        (
            &["--chmod", "0700", "/tmp/x"],
            "Can't open /tmp/x: No such file or directory",
            Cause::DestinationOfOtherKind,
            3,
            "nothing at /tmp/x yet whose mode",
        ),
        (
            &["--symlink", "a", "/tmp/l", "--chmod", "0700", "/tmp/l"],
            "Can't chmod 0700 /tmp/l: Operation not supported",
            Cause::DestinationIsSymlink,
            4,
            "is a symbolic link inside, and those have no mode",
        ),
        (
            &["--dir", "/lib"],
            "Destination is not a directory /lib",
            Cause::DestinationOfOtherKind,
            3,
            "a file or a symbolic link",
        ),
        (
            &["--symlink", "a", "/tmp/l", "--remount-ro", "/tmp/l"],
            "Can't mount on symlink destination /tmp/l",
            Cause::DestinationIsSymlink,
            4,
            "read-only remount on /tmp/l: /tmp/l is a symbolic link",
        ),
        (
            &["--ro-bind", "/etc/passwd", "/tmp/e", "--dir", "/tmp/e"],
            "Destination is not a directory /tmp/e",
            Cause::DestinationOfOtherKind,
            4,
            "dir /tmp/e: /tmp/e is a file",
        ),
        (
            &[],
            "Can't open source /dev/null: No such file or directory",
            Cause::DeviceMissing,
            1,
            "the new /dev needs /dev/null",
        ),
        (
            &["--overlay-src", "/proc", "--tmp-overlay", "/tmp/o"],
            "Can't make overlay mount on (null) with options lowerdir=/proc/self/fd/11: Invalid argument",
            Cause::OverlayUnsupported,
            3,
            "overlay",
        ),
    ] {
        let sandbox = Sandbox::from_args(DEV.iter().chain(line)).unwrap();
        let diagnosis = finds(message, &sandbox, cause, Some(operation));
        let first = &diagnosis.causes[0];
        assert!(first.summary.contains(says), "{message}: {}", first.summary);
        let made = commands(&diagnosis);
        assert!(!made.iter().any(|line| line.contains("mkdir -p /dev")), "{made:?}");
    }
    // one that the caller binds is the caller's
    let own = Sandbox::new().bind("/dev/null", "/x");
    let missing = "Can't open source /dev/null: No such file or directory";
    let diagnosis = finds(missing, &own, Cause::SourceMissing, Some(0));
    assert_eq!(commands(&diagnosis), Vec::<String>::new());
}
