//! What is wrong with the line itself, or with the files that it names, and no matter of the container's.

use crate::bundle::Bundle;
use crate::faults::{Fault, Says};

pub(crate) fn all() -> Vec<Fault> {
    let bare = Bundle::bare;
    let mut all = programs();
    all.extend(vec![
        line(
            "source_missing",
            bare(),
            "--ro-bind / / --ro-bind /srv/none /mnt true",
            Says::Message("Can't find source path /srv/none: ", "No such file or directory"),
        ),
        line(
            "destination_below_what_is_read_only",
            bare(),
            "--ro-bind / / --tmpfs /nowhere true",
            Says::Message("Can't mkdir ", "Read-only file system"),
        ),
        line(
            "file_on_a_directory",
            bare().prepare("touch \"$root\"/mnt/passwd"),
            "--ro-bind / / --ro-bind /etc/passwd /mnt true",
            Says::Message("Can't create file at ", "Is a directory"),
        ),
        line(
            "link_in_the_place_of_a_directory",
            bare(),
            "--ro-bind / / --symlink /srv /usr true",
            Says::Message("Can't make symlink at ", ""),
        ),
        line(
            "working_directory_missing",
            bare(),
            "--ro-bind / / --chdir /srv/none true",
            Says::Message("Can't chdir to /srv/none: ", "No such file or directory"),
        ),
        line(
            "user_namespaces_not_disabled",
            bare(),
            "--ro-bind / / --assert-userns-disabled true",
            Says::Message("creation of new user namespaces was not disabled as requested", ""),
        ),
        line(
            "source_out_of_reach",
            bare()
                .prepare("mkdir -p \"$root\"/srv/closed/within && chmod 700 \"$root\"/srv/closed")
                .uid(1000)
                .gid(1000),
            "--ro-bind / / --ro-bind /srv/closed/within /mnt true",
            Says::Message("Can't find source path /srv/closed/within: ", "Permission denied"),
        ),
        line(
            "label_without_selinux",
            bare(),
            "--exec-label x_u:x_r:x_t --ro-bind / / true",
            Says::Message("labeling not supported on this system", ""),
        ),
        line(
            "mount_on_a_link",
            bare(),
            "--ro-bind / / --tmpfs /srv --symlink /mnt /srv/link --tmpfs /srv/link true",
            Says::Message("Can't mount tmpfs on ", "No such file or directory"),
        ),
        Fault {
            arguments: &["--unshare-net", "--ro-bind", "/", "/", "true"],
            ..line(
                "network_without_a_user_namespace",
                bare().cap_drop("NET_ADMIN"),
                "",
                Says::Message("loopback: Failed RTM_NEWADDR: ", ""),
            )
        },
    ]);
    all
}

/// What is wrong with the program that is to run.
fn programs() -> Vec<Fault> {
    let bare = Bundle::bare;
    let missing = |program| Says::Message(program, "No such file or directory");
    let foreign = "cp \"$root\"/usr/bin/true \"$root\"/srv/foreign && printf '\\267' | dd of=\"$root\"/srv/foreign bs=1 seek=18 \
                   conv=notrunc status=none";
    let plain = "printf '#!/bin/sh\\n' > \"$root\"/usr/bin/plain && chmod 644 \"$root\"/usr/bin/plain";
    vec![
        line(
            "loader_missing",
            bare(),
            "--ro-bind /usr /usr /usr/bin/true",
            missing("execvp /usr/bin/true: "),
        ),
        line(
            "link_to_a_loader_that_is_missing",
            bare(),
            "--ro-bind /usr /usr --ro-bind /lib64 /lib64 /usr/bin/true",
            missing("execvp /usr/bin/true: "),
        ),
        line(
            "program_missing",
            bare().prepare("mkdir \"$root\"/srv/tools && cp \"$root\"/usr/bin/true \"$root\"/srv/tools"),
            "--ro-bind /usr /usr --symlink usr/lib /lib --symlink usr/lib64 /lib64 /srv/tools/true",
            missing("execvp /srv/tools/true: "),
        ),
        line(
            "program_not_executable",
            bare().prepare(plain),
            "--ro-bind / / /usr/bin/plain",
            Says::Message("execvp /usr/bin/plain: ", "Permission denied"),
        ),
        // without a shell that would try it
        line(
            "program_of_another_machine",
            bare().prepare(foreign),
            "--ro-bind /usr/lib /usr/lib --ro-bind /usr/lib64 /usr/lib64 --symlink usr/lib /lib --symlink usr/lib64 /lib64 --ro-bind /srv \
             /srv /srv/foreign",
            missing("execvp /srv/foreign: "),
        ),
    ]
}

/// With all namespaces of its own, on a machine with a merged `/usr`.
fn line(name: &str, bundle: Bundle, words: &'static str, says: Says) -> Fault {
    let words: Vec<&str> = ["--unshare-all"].into_iter().chain(words.split(' ')).collect();
    Fault { name: format!("line_{name}"), bundle, arguments: words.leak(), says }
}
