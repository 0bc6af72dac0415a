//! What is to be made on the host for a destination, and where it lies.

use super::lookup::{CREATE_FILE, Found};
use crate::diagnosis::causes::prelude::*;
use crate::visible::is_hidden;

/// As that, since 0.12.
pub(super) const MKDIR_PARENTS: &str = "Can't mkdir parents for %s";

/// What is to be made on the host: a directory, or a file for what binds one. Since 0.12 the message says "file" of both.
pub(super) fn mount_point(case: &Case<'_>, found: Option<Found<'_>>, outside: &Path) -> Remedy {
    let operation = found.map(|found| found.operation);
    let file = case.says(&["Can't create file at %s"])
        || matches!(operation, Some(Operation::File(_) | Operation::BindData(_)));
    let (place, parent) = (word(outside), word(outside.parent().unwrap_or(Path::new("/"))));
    if let Some(windows) = in_windows(case, outside).filter(|_| !file && is_wsl(case)) {
        return told!(BD03, "make-in-windows", windows);
    }
    match operation {
        _ if file => told!(BD03, "make-file-for-mount", parent, place),
        // bwrap failed before it came to the kind of the source, or does not say which it is
        Some(Operation::Bind(bind)) if case.says(&[MKDIR_PARENTS, CREATE_FILE]) => {
            told!(BD03, "make-mount-point-of-kind", parent, place, source = word(&bind.source))
        }
        None | Some(Operation::BindFd(_)) if case.says(&[CREATE_FILE]) => {
            told!(BD03, "make-mount-point-of-either-kind", parent, place)
        }
        _ => told!(BD03, "make-directory-for-mount", place),
    }
}

/// Whether it ran below Windows: elsewhere `/mnt/c` is a name like others.
fn is_wsl(case: &Case<'_>) -> bool {
    case.on(Platform::Wsl1) || case.on(Platform::Wsl2)
}

/// A path on a disk of Windows' that was denied, as PowerShell takes it: who is an administrator there decides.
pub(super) fn in_windows(case: &Case<'_>, outside: &Path) -> Option<String> {
    rule_out(!matches!(case.errno(), Some(libc::EACCES | libc::EPERM)))?;
    let (disk, rest) = outside.to_str()?.strip_prefix("/mnt/")?.split_once('/')?;
    let letter = disk.chars().next().filter(|letter| disk.len() == 1 && letter.is_ascii_lowercase())?;
    let path = format!("{}:\\{}", letter.to_ascii_uppercase(), rest.replace('/', "\\"));
    (!path.contains(is_hidden)).then(|| format!("'{}'", path.replace('\'', "''")))
}
