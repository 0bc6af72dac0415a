//! A message and the sandbox it is about, a NUL between them and between the words: the diagnosis holds nothing that would act
//! on a terminal.
#![no_main]

use std::ffi::OsStr;
use std::os::unix::ffi::OsStrExt;

use bwrap_launch::Sandbox;
use bwrap_launch::diagnosis::{Symptom, diagnose, predict};
use bwrap_launch::host::Host;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|input: &[u8]| {
    let mut parts = input.split(|byte| *byte == 0);
    let symptom = Symptom::from_text(parts.next().unwrap_or_default());
    let sandbox = Sandbox::from_args(parts.map(OsStr::from_bytes)).ok();
    let host = Host::default();
    let text = diagnose(&symptom, &host, sandbox.as_ref()).to_string();
    assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    if let Some(sandbox) = sandbox {
        let text = predict(&host, &sandbox).to_string();
        assert!(!text.contains(|c: char| c.is_control() && c != '\n'), "{text:?}");
    }
});
