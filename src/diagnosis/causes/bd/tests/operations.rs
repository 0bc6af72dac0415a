//! Which operation a message is about, where several could be meant.

use super::finds;
use crate::diagnosis::Cause::{DestinationOfOtherKind, DestinationReadOnly, SourceMissing};
use crate::diagnosis::fixtures::{explain, machine};
use crate::diagnosis::{Action, Cause};
use crate::sandbox::Sandbox;

/// The operation that is named for a line.
fn named(line: &str, message: &str) -> Option<usize> {
    let sandbox = Sandbox::from_args(line.split(' ')).unwrap();
    explain(message, &machine(), &sandbox).causes[0].operation
}

#[test]
fn a_relative_destination_is_the_callers() {
    let read_only = "Can't mkdir tmpx: Read-only file system";
    assert_eq!(named("--ro-bind / / --proc /proc --dev /dev --tmpfs tmpx", read_only), Some(3));
    assert_eq!(named("--ro-bind / / --proc /proc --dir tmpx/b", read_only), Some(2));
    // what a /proc is made of since 0.12, and another name of the caller's
    for line in [
        "--ro-bind / / --proc /proc",
        "--ro-bind / / --proc /proc --dir other",
        "--ro-bind / / --proc /proc --dir /tmpx",
    ] {
        assert_eq!(named(line, read_only), Some(1), "{line}");
    }
}

#[test]
fn a_directory_in_the_place_of_a_file_is_the_later_one() {
    let message = "Can't mkdir /tmp/z: Not a directory";
    let sandbox = Sandbox::new().tmpfs("/tmp").ro_bind("/etc/passwd", "/tmp/z").tmpfs("/tmp/z");
    finds(message, &sandbox, DestinationOfOtherKind, Some(2));
    // the only one, and the first that makes what is missing
    let alone = Sandbox::new().tmpfs("/tmp").ro_bind("/usr", "/tmp/z");
    finds(message, &alone, DestinationOfOtherKind, Some(1));
    let read_only = Sandbox::new().ro_bind("/", "/").ro_bind("/usr", "/z").tmpfs("/z");
    finds("Can't mkdir /z: Read-only file system", &read_only, DestinationReadOnly, Some(1));
}

#[test]
fn behind_a_link_of_the_lines_own_another_mount_counts() {
    let message = "Can't create file /tmp/l/zz: Read-only file system";
    let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").symlink("/usr", "/tmp/l").tmpfs("/tmp/l/zz");
    let found = finds(message, &sandbox, DestinationReadOnly, Some(3));
    assert!(found.causes[0].summary.contains("operation 1, read-only bind of /"), "{found}");
    // without the link it is the tmpfs
    let sandbox = Sandbox::new().ro_bind("/", "/").tmpfs("/tmp").symlink("/usr", "/tmp/k").tmpfs("/tmp/l/zz");
    let found = finds(message, &sandbox, DestinationReadOnly, Some(3));
    assert!(found.causes[0].summary.contains("operation 2, tmpfs on /tmp"), "{found}");
}

#[test]
fn a_destination_that_has_to_be_there_says_so() {
    let message = "Can't mkdir /tmp/l/zz: No such file or directory";
    let linked = |root: Sandbox| root.tmpfs("/tmp").symlink("/usr", "/tmp/l").tmpfs("/tmp/l/zz");
    let needs = |sandbox: &Sandbox| {
        let found = explain(message, &machine(), sandbox);
        assert_eq!(found.cause(), Some(Cause::DestinationIsSymlink));
        let remedy = found.causes[0].remedies[0].clone();
        assert!(matches!(remedy.action, Action::Sandbox(_)));
        remedy.to_string().contains("/usr/zz to be there")
    };
    assert!(needs(&linked(Sandbox::new().ro_bind("/", "/"))));
    assert!(!needs(&linked(Sandbox::new().bind("/", "/"))));
}

#[test]
fn a_source_without_a_name_is_shown() {
    let sandbox = Sandbox::new().ro_bind("", "/mnt");
    let found = explain("Can't find source path : No such file or directory", &machine(), &sandbox);
    let first = &found.causes[0];
    assert!(first.cause != SourceMissing || first.summary.contains("''"), "{found}");
}

#[test]
fn of_two_on_one_path_the_one_that_failed_is_named() {
    let directory = "Can't create file at /: Is a directory";
    assert_eq!(named("--ro-bind / / --dev /dev --dev-bind /dev/null /", directory), Some(2));
    assert_eq!(named("--ro-bind /srv/root / --ro-bind /etc/passwd /", directory), Some(1));
    assert_eq!(named("--ro-bind /etc/passwd /", directory), Some(0));
    let mnt = "Can't create file at /mnt: Is a directory";
    assert_eq!(named("--ro-bind / / --ro-bind /etc/passwd /mnt --ro-bind /etc/group /mnt", mnt), Some(1));
    let written = "Can't create file /tmp/x: Read-only file system";
    for bind in ["--ro-bind-data 12", "--ro-bind /etc/passwd"] {
        assert_eq!(
            named(&format!("--tmpfs /tmp {bind} /tmp/x --file 13 /tmp/x"), written),
            Some(2),
            "{bind}"
        );
    }
    // what could not be made itself, and what can be written, is in nobody's way
    let root = "Can't create file /x: Read-only file system";
    assert_eq!(named("--ro-bind / / --ro-bind-data 12 /x --file 13 /x", root), Some(1));
    assert_eq!(named("--tmpfs /tmp --remount-ro /tmp --file 13 /tmp/x", written), Some(2));
}
