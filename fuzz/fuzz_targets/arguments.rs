//! A bwrap line, its words with NULs between: what is read is shown, checked and linted, and what is shown is read again.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use bwrap_launch::{Circumstances, Sandbox};
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let words = line.split(|byte| *byte == 0).map(OsStr::from_bytes);
    let Ok(sandbox) = Sandbox::from_args(words) else { return };
    let _ = (sandbox.check(), sandbox.to_string());
    let mut root = Circumstances::default();
    (root.root, root.terminal) = (true, true);
    let _ = sandbox.lint(&root);
});
