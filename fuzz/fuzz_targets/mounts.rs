//! Lines of `/proc/self/mountinfo`.
#![no_main]

use bwrap_launch::host::Mount;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|line: &[u8]| {
    let _ = Mount::parse(&String::from_utf8_lossy(line));
});
