//! Programs that take bwrap's place in unit tests.

use std::path::Path;
use std::process::Command;

/// Makes an executable script. A shell writes it: a file that this process had open for writing could not be executed
/// while another test forks.
pub(crate) fn script(path: &Path, text: &str) {
    let status = Command::new("sh")
        .args(["-c", "printf '#!/bin/sh\\n%s\\n' \"$1\" >\"$0\" && chmod 755 \"$0\""])
        .arg(path)
        .arg(text)
        .status();
    assert!(status.unwrap().success());
}

/// Whether a process is there and no zombie that its new parent has not reaped yet.
pub(crate) fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}
