//! Whether a message can be about a line: by the options and the paths that it names.

use std::path::Path;

use crate::bwrap::{Message, Stage};
use crate::sandbox::{Operation, OverlayKind, Plan, Sandbox};

/// What a message names and a sandbox has not, so that it must be about another.
pub(super) fn missing(message: &Message, sandbox: &Sandbox) -> Option<String> {
    let operations = &sandbox.operations;
    let makes = |option| {
        let wanted = |operation: &Operation| is_named(operation, option) || is_of_dev(operation, option);
        operations.iter().any(wanted)
    };
    let option = message.operation().filter(|option| OPERATIONS.contains(option) && !makes(Some(*option)));
    if let Some(option) = option {
        return Some(option.to_owned());
    }
    if message.stage() == Stage::Loopback && !Plan::of(sandbox, None).new_net {
        return Some("--unshare-net".to_owned());
    }
    // a source alone is printed as it was given, a destination may have been resolved
    let absolute = |path: &&Path| path.is_absolute();
    if message.stage() == Stage::Sources {
        let source = message.source().filter(absolute)?;
        let has = operations.iter().any(|operation| is_source(operation, source));
        return (!has).then(|| source.display().to_string());
    }
    let path = message.path().filter(absolute).filter(|_| message.stage() == Stage::Mounts)?;
    let about = |operation: &Operation| {
        let at = operation.destination();
        let inner = matches!(operation, Operation::Dev(_) | Operation::Proc(_)) && path.starts_with(at);
        operation.is_on(path) || at.starts_with(path) || inner || at.file_name() == path.file_name()
    };
    (!operations.iter().any(about)).then(|| path.display().to_string())
}

/// The options by which messages name operations.
const OPERATIONS: &[&str] = &[
    "--bind",
    "--bind-data",
    "--bind-fd",
    "--chmod",
    "--dev",
    "--file",
    "--mqueue",
    "--overlay",
    "--proc",
    "--remount-ro",
    "--symlink",
    "--tmp-overlay",
    "--tmpfs",
];

/// Whether a `/dev` is made with it as well.
fn is_of_dev(operation: &Operation, option: Option<&str>) -> bool {
    matches!(operation, Operation::Dev(_))
        && matches!(option, Some("--bind" | "--tmpfs" | "--symlink" | "--file"))
}

/// Whether an operation is of the family that a message names by its first option.
pub(super) fn is_named(operation: &Operation, option: Option<&str>) -> bool {
    match option {
        Some("--bind") => {
            matches!(operation, Operation::Bind(_) | Operation::BindFd(_) | Operation::BindData(_))
        }
        Some("--bind-fd") => matches!(operation, Operation::BindFd(_)),
        Some("--bind-data") => matches!(operation, Operation::BindData(_)),
        Some("--remount-ro") => matches!(operation, Operation::RemountRo(_)),
        Some("--overlay" | "--tmp-overlay") => matches!(operation, Operation::Overlay(_)),
        Some("--proc") => matches!(operation, Operation::Proc(_)),
        Some("--dev") => matches!(operation, Operation::Dev(_)),
        Some("--tmpfs" | "--size") => matches!(operation, Operation::Tmpfs(_)),
        Some("--mqueue") => matches!(operation, Operation::Mqueue(_)),
        Some("--file") => matches!(operation, Operation::File(_) | Operation::BindData(_)),
        Some("--symlink") => matches!(operation, Operation::Symlink(_)),
        Some("--chmod") => matches!(operation, Operation::Chmod(_)),
        // those that make their destination
        _ => !matches!(operation, Operation::Chmod(_) | Operation::RemountRo(_) | Operation::Symlink(_)),
    }
}

/// Whether an operation takes what is at a path of the host's.
pub(super) fn is_source(operation: &Operation, path: &Path) -> bool {
    match operation {
        Operation::Bind(bind) => bind.source == path,
        Operation::Overlay(overlay) => {
            let upper = match &overlay.kind {
                OverlayKind::Writable { upper, work } => upper == path || work == path,
                _ => false,
            };
            upper || overlay.layers.iter().any(|layer| layer == path)
        }
        // bwrap is given a number, and looks there
        Operation::BindFd(_) => path.starts_with("/proc/self/fd"),
        _ => false,
    }
}
