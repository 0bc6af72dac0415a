//! The snapshot of a host as JSON: what is read is judged, and is the same once it was written and read again.
#![no_main]

use bwrap_launch::Sandbox;
use bwrap_launch::diagnosis::{Symptom, diagnose, predict};
use bwrap_launch::host::Host;
use libfuzzer_sys::fuzz_target;

fuzz_target!(|text: &[u8]| {
    let Ok(host) = serde_json::from_slice::<Host>(text) else { return };
    let again: Host = serde_json::from_str(&serde_json::to_string(&host).expect("it has JSON")).expect("it is JSON");
    assert_eq!(again, host);
    let sandbox = Sandbox::new().ro_bind("/", "/").proc("/proc").dev("/dev").tmpfs("/tmp").unshare_all();
    let symptom = Symptom::from_text(b"bwrap: Can't mount proc on /newroot/proc: Operation not permitted\n");
    let _ = diagnose(&symptom, &host, Some(&sandbox)).to_string();
    let _ = predict(&host, &sandbox).to_string();
});
