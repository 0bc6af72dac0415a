//! What is to be made for a destination, and where nothing can be.

use super::*;

/// Since 0.12 bwrap says "file" of directories, too: what is made is what the operation wants, and a stray file would stop every later run.
#[test]
fn a_mount_point_is_of_the_kind_that_comes_on_it() {
    let made = |line: &[&str], message: &str| {
        let line = ["--ro-bind", "/", "/"].iter().chain(line);
        let sandbox = Sandbox::from_args(line).unwrap();
        commands(&finds(message, &sandbox, Cause::DestinationReadOnly, Some(1)))
    };
    let newer = "Can't create file /newdir: Read-only file system";
    for line in [
        &["--tmpfs", "/newdir"][..],
        &["--dir", "/newdir"],
        &["--dev", "/newdir"],
        &["--proc", "/newdir"],
        &["--mqueue", "/newdir"],
        &["--overlay-src", "/usr", "--tmp-overlay", "/newdir"],
    ] {
        assert_eq!(made(line, newer), ["mkdir -p /newdir"], "{line:?}");
    }
    let bound = made(&["--ro-bind", "/usr", "/newdir"], newer);
    assert_eq!(bound, ["mkdir -p /", "test -d /usr && mkdir /newdir || touch /newdir"]);
    let data = made(&["--ro-bind-data", "5", "/newdir"], newer);
    assert_eq!(data, ["mkdir -p /", "touch /newdir"]);
    // older ones say which it is
    let older = |kind: &str| format!("Can't {kind} /newdir: Read-only file system");
    assert_eq!(made(&["--ro-bind", "/usr", "/newdir"], &older("mkdir")), ["mkdir -p /newdir"]);
    let file = made(&["--ro-bind", "/etc/passwd", "/newdir"], &older("create file at"));
    assert_eq!(file, ["mkdir -p /", "touch /newdir"]);
    // a directory in the place of a link would stop it, too
    assert_eq!(made(&["--symlink", "a", "/newdir"], &older("make symlink at")), Vec::<String>::new());
    // and neither a mode nor a name in the root has a directory above it for a tmpfs
    let chmod = made(&["--chmod", "0700", "/usr"], "Can't chmod 0700 /usr: Read-only file system");
    assert_eq!(chmod, Vec::<String>::new());
}

/// Of a read-only mount the kernel says so first: that something is denied is about the way.
#[test]
fn a_way_that_may_not_be_searched_is_no_read_only_mount() {
    let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/sec/x");
    let found = finds("Can't mkdir /sec/x: Permission denied", &sandbox, Cause::ParentUnreadable, Some(1));
    assert_eq!(found.causes.len(), 1, "{found}");
    // a directory that is locked is opened for nobody
    let remedies = &found.causes[0].remedies;
    assert!(!remedies.is_empty() && commands(&found).iter().all(|line| !line.contains("setfacl")), "{found}");
    // that it is read-only, that the bind can be written, that it is a /proc
    finds("Can't mkdir /sec/x: Read-only file system", &sandbox, Cause::DestinationReadOnly, Some(1));
    let written = Sandbox::new().bind("/", "/").tmpfs("/sec/x");
    finds("Can't mkdir /sec/x: Permission denied", &written, Cause::DestinationReadOnly, Some(1));
    let proc = Sandbox::new().ro_bind("/", "/").proc("/proc").tmpfs("/proc/x");
    finds("Can't mkdir /proc/x: Permission denied", &proc, Cause::DestinationReadOnly, Some(2));
}

/// In a procfs nobody can make anything, and a remount makes nothing: neither is a link.
#[test]
fn what_is_not_there_is_no_link() {
    let proc = Sandbox::new().ro_bind("/", "/").proc("/proc").tmpfs("/proc/foo");
    for message in ["Can't mkdir /proc/foo", "Can't create file /proc/foo"] {
        let message = format!("{message}: No such file or directory");
        let found = finds(&message, &proc, Cause::DestinationReadOnly, Some(2));
        assert!(found.causes[0].summary.contains("nothing can be made in"), "{found}");
    }
    let remount = Sandbox::new().ro_bind("/", "/").add(RemountRo::new("/nope"));
    let message = "Can't remount readonly on /newroot/nope: realpath(destination): No such file or directory";
    let found = finds(message, &remount, Cause::DestinationOfOtherKind, Some(1));
    assert!(found.causes[0].summary.contains("there is nothing at /nope"), "{found}");
    assert_eq!(changes(&found), [SandboxChange::Remove { operation: 1 }]);
    // elsewhere it mostly is one, and so it is where the sandbox makes it
    let other = Sandbox::new().ro_bind("/", "/").tmpfs("/var/foo");
    finds("Can't mkdir /var/foo: No such file or directory", &other, Cause::DestinationIsSymlink, Some(1));
    let own = Sandbox::new().tmpfs("/tmp").symlink("/none", "/tmp/l").add(RemountRo::new("/tmp/l"));
    let message = message.replace("/nope", "/tmp/l");
    finds(&message, &own, Cause::DestinationIsSymlink, Some(2));
    // what the sandbox makes itself is not bound from the host
    let made = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").dir("/tmp/a").add(RemountRo::new("/tmp/a"));
    let message =
        "Can't remount readonly on /newroot/tmp/a: Unable to find \"/newroot/tmp/a\" in mount table";
    let found = finds(message, &made, Cause::DestinationOfOtherKind, Some(3));
    let what = found.causes[0].remedies[0].instructions();
    assert!(!what.contains("ro_bind") && what.contains("on /tmp/a before"), "{what}");
}

/// What the user may not write, root's directory helps not: a link, a mode and a content are no mount.
#[test]
fn nothing_is_made_in_the_place_of_what_is_none() {
    let said = |line: &str, message: &str| {
        let sandbox = Sandbox::from_args(line.split(' ')).unwrap();
        let found = explain(&format!("{message}: Permission denied"), &machine(), &sandbox);
        found.causes[0].remedies.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let link = said("--bind / / --symlink a /etc/l", "Can't make symlink at /etc/l");
    assert!(link.contains("ln -s a /etc/l") && !link.contains("mkdir"), "{link}");
    let mode = said("--bind / / --chmod 0777 /etc", "Can't chmod 0777 /etc");
    assert!(!mode.contains("mkdir"), "{mode}");
    let file = said("--bind / / --file 5 /etc/x", "Can't create file /etc/x");
    assert!(file.contains("BindData") && !file.contains("mkdir"), "{file}");
    let directory = said("--bind / / --tmpfs /etc/x", "Can't mkdir /etc/x");
    assert!(directory.contains("mkdir -p /etc/x"), "{directory}");
}

/// A file that is bound on a directory, below what nothing can be made in.
#[test]
fn a_file_gets_a_tmpfs_where_nothing_can_be_made() {
    let said = |line: &str, at: &str| {
        let sandbox = Sandbox::from_args(line.split(' ')).unwrap();
        let message = format!("Can't create file at {at}: Is a directory");
        let found = explain(&message, &machine(), &sandbox);
        found.causes[0].remedies.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n")
    };
    let words = "--tmpfs /mnt --ro-bind /opt/x.sh /mnt/x.sh instead";
    let read_only = said("--ro-bind / / --ro-bind /opt/x.sh /mnt", "/mnt");
    assert!(read_only.contains(words) && read_only.contains("to be there"), "{read_only}");
    let writable = said("--bind / / --ro-bind /opt/x.sh /mnt", "/mnt");
    assert!(!writable.contains("--tmpfs") && !writable.contains("to be there"), "{writable}");
    assert!(!said("--ro-bind / / --ro-bind /opt/x.sh /etc", "/etc").contains("--tmpfs /etc"));
}
