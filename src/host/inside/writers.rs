//! Who has a file open for writing: nobody may execute it meanwhile.

use std::fs::{self, DirEntry, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::Path;

/// How many descriptors are looked at, at some microseconds each.
const DESCRIPTORS: usize = 20_000;

/// Whether a process whose descriptors may be seen has this file open for writing (`execve(2)`, `ETXTBSY`).
pub(super) fn has_writer(path: &Path, file: &Metadata) -> bool {
    let entries = |directory: &Path| fs::read_dir(directory).into_iter().flatten().flatten();
    let is_process = |entry: &DirEntry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit);
    let path = path.canonicalize().unwrap_or_default();
    entries(Path::new("/proc"))
        .filter(is_process)
        .flat_map(|process| entries(&process.path().join("fdinfo")))
        .take(DESCRIPTORS)
        .any(|descriptor| writes(&descriptor.path(), &path, file) == Some(true))
}

/// The file itself is asked last: to ask one of a server that is gone may take for ever.
fn writes(fdinfo: &Path, path: &Path, file: &Metadata) -> Option<bool> {
    let text = fs::read_to_string(fdinfo).ok()?;
    let flags = flags(&text)?;
    if flags & libc::O_ACCMODE == libc::O_RDONLY || flags & libc::O_PATH != 0 {
        return Some(false);
    }
    let descriptor = fdinfo.parent()?.with_file_name("fd").join(fdinfo.file_name()?);
    let other = match field(&text, "ino:") {
        Some(inode) => inode.parse() != Ok(file.ino()),
        // before Linux 5.14
        None => fs::read_link(&descriptor).ok()? != path,
    };
    if other {
        return Some(false);
    }
    let opened = fs::metadata(descriptor).ok()?;
    Some((opened.dev(), opened.ino()) == (file.dev(), file.ino()))
}

/// The flags with which a descriptor is open (`open(2)`), by its file below `fdinfo` (`proc_pid_fdinfo(5)`).
pub(super) fn flags(fdinfo: &str) -> Option<i32> {
    i32::from_str_radix(field(fdinfo, "flags:")?, 8).ok()
}

fn field<'a>(fdinfo: &'a str, name: &str) -> Option<&'a str> {
    fdinfo.lines().find_map(|line| Some(line.strip_prefix(name)?.trim()))
}
