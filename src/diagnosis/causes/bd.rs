//! What the caller asks for and the host cannot give: sources, destinations and files of the sandbox's operations.
//!
//! None of this can be foreseen without looking at the host's files, so these rules speak only after a failure.

pub(super) mod binds;
#[cfg(test)]
mod careful;
mod destinations;
mod files;
pub(super) mod lookup;
mod mount_points;
mod sources;
#[cfg(test)]
mod tests;

use super::prelude::*;

rules! {
    SourceMissing, Failed, [in SOURCES => (ENOENT ENOTDIR)] => sources::missing, sources::without_it;

    SourceUnreachable, Failed, [in SOURCES => (EACCES EPERM ELOOP EIO EHOSTDOWN ESTALE ENOTCONN ENAMETOOLONG)]
        => sources::unreachable, sources::reach_it;

    DestinationIsSymlink, Failed, [
        "Can't mount on symlink destination %s", "Can't resolve %s";
        // bwrap before 0.5 gives no reason
        "Can't bind mount %s on %s",
        "Can't mkdir parents for %s", "Can't mkdir %s", "Can't create file at %s", "Can't create file %s",
        "Can't mount tmpfs on %s", "Can't mount proc on %s", "Can't mount mqueue on %s",
        "Unable to mount source on destination", "realpath(destination)" => (ENOENT ELOOP);
        "Can't chmod %#o %s" => (EOPNOTSUPP)
    ] => destinations::symlink, destinations::resolve_it;

    DestinationOfOtherKind, Failed, [
        "Destination is not a directory %s", "Destination is not a file %s", "Can't remount readonly on %s";
        "Can't create file at %s", "Can't mkdir %s", "Can't mkdir parents for %s" => (EISDIR ENOTDIR EEXIST ENXIO);
        "Can't create file %s" => (EISDIR ENOTDIR EEXIST ENOENT);
        "Unable to mount source on destination" => (ENOTDIR);
        "Can't chmod %#o %s", "Can't open %s" => (ENOENT ENOTDIR);
        "realpath(destination)" => (ENOENT)
    ] => destinations::other_kind, destinations::another_kind;

    DestinationReadOnly, Failed, [
        "Can't mkdir %s", "Can't mkdir parents for %s", "Can't create file at %s", "Can't create file %s",
        "Can't make symlink at %s", "Can't chmod %#o %s" => (EROFS EACCES EPERM);
        // of /proc
        "Can't mkdir %s", "Can't mkdir parents for %s", "Can't create file at %s", "Can't create file %s" => (ENOENT)
    ] => destinations::read_only, destinations::make_it;

    ParentUnreadable, Failed, [
        "Can't mkdir parents for %s", "Can't mkdir %s", "Can't create file at %s", "Can't create file %s",
        "Can't make symlink at %s" => (EACCES)
    ],
        unless "`namei -l` on the path shows r for the user on every directory, where bwrap mounts"
        => destinations::unreadable, destinations::let_read;

    DestinationExists, Failed, [
        "Can't make symlink at %s: existing destination is %s",
        "Can't make symlink at %s: destination exists and is not a symlink",
        "Can't make symlink at %s: destination exists, and cannot read symlink target";
        "Can't make symlink at %s", "Can't create symlink %s", "Can't create symlink %s/%s" => (EEXIST)
    ] => files::exists, files::leave_it;

    FileTooBig, Failed, [
        "Can't write data to file %s", "Can't create file %s", "Can't create file at %s",
        "Can't create tmpfile for %s", "Can't mkdir %s", "Can't mkdir parents for %s",
        "Can't make symlink at %s" => (ENOSPC EDQUOT EFBIG); LAUNCH => (EFBIG); "Specified tmpfs size too large (%zu > %zu)"
    ],
        unless "it fails in the same way with an empty file" => files::too_big, files::more_room;

    RemountRefused, Failed, [
        "Unable to apply mount flags: remount \"%s\"",
        "Unable to remount destination \"%s\" with correct flags", "mount_setattr() failed at \"%s\""
    ] => binds::remount, binds::leave_mount_out;

    SourceReplaced, Failed, ["Unable to mount source on destination" => (ENOENT)]
        => binds::replaced, binds::start_outer_anew;

    BindDenied, Failed, [
        // bwrap before 0.5 gives no reason
        "Can't bind mount %s on %s", "Unable to mount source on destination" => (EPERM EACCES EINVAL ENOENT ENOSYS EBUSY ENODEV EIO ESTALE ENOTCONN);
        "Unable to open destination O_PATH fd \"%s\"", "open(\"%s\", O_PATH)",
        "readlink(/proc/self/fd/N) for \"%s\"", "realpath(destination)",
        "Unable to find \"%s\" in mount table", "(unknown/invalid bind_mount_result)"
    ] => binds::denied, binds::bind_otherwise;
}

const SOURCES: &[&str] = &[
    "Can't find source path %s",
    "Can't get type of source %s",
    "Can't open source %s",
    "Can't open overlay source %s",
    "Can't open overlay workdir %s",
];
