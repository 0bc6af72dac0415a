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

/// Whether a process ends that was killed. On a busy machine that takes a while.
pub(crate) fn dies(pid: &str) -> bool {
    (0..1_000).any(|_| {
        std::thread::sleep(std::time::Duration::from_millis(10));
        !lives(pid)
    })
}

/// Whether a process is there and no zombie that its new parent has not reaped yet.
fn lives(pid: &str) -> bool {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    stat.rsplit(')').next().is_some_and(|rest| !rest.is_empty() && !rest.starts_with(" Z"))
}
