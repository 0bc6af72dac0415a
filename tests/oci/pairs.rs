//! Faults of containers two by two: the report's one change for both, and one new container, must be enough.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, Ordering};

use libtest_mimic::Failed;

use crate::bundle::{Bundle, Runtime, Seccomp, Wrapper};
use crate::faults::{EVERYTHING, Fault, Says};
use crate::proof;

/// What may be wrong with a container that is fine otherwise.
type Part = (&'static str, fn(Bundle, Runtime) -> Bundle);

const PARTS: &[Part] = &[
    ("filter", |bundle, _| bundle.seccomp(Runtime::Docker.seccomp())),
    ("setfcap", |bundle, _| bundle.cap_drop("SETFCAP")),
    ("masks", |bundle, runtime| bundle.masked(&runtime.masked()).readonly_paths(&runtime.readonly())),
    ("tmp", |bundle, _| bundle.remove("/tmp")),
    // one for the launcher, and one too few for bwrap's: with fewer nobody could ask bwrap anything
    ("pids", |bundle, _| bundle.pids_limit(3)),
    ("processes", |bundle, _| {
        // the limit is on all processes of a user, in other containers too
        static USERS: AtomicU32 = AtomicU32::new(62_300);
        bundle.uid(USERS.fetch_add(1, Ordering::Relaxed)).rlimit("NPROC", 3, 16_384)
    }),
    ("namespaces", |bundle, _| bundle.wrapper(Wrapper::UserNamespaceLimit { kind: "net", value: 0 })),
    ("device", |bundle, _| bundle.remove_device("/dev/null")),
];

/// Two parts that are no pair.
const MOOT: &[(&str, &str)] = &[
    // only root needs CAP_SETFCAP, and the limit is not on root
    ("setfcap", "processes"),
    // two limits, but one cause: the tighter one
    ("pids", "processes"),
    // nothing in such a container could set a limit on namespaces
    ("filter", "namespaces"),
    ("setfcap", "namespaces"),
    ("masks", "namespaces"),
];

pub(crate) fn all() -> Vec<Fault> {
    let mut found = Vec::new();
    for (engine, bundle, runtime) in [
        ("docker", Bundle::docker as fn() -> Bundle, Runtime::Docker),
        ("podman", Bundle::podman, Runtime::Podman),
    ] {
        for (index, (one, first)) in PARTS.iter().enumerate() {
            for (other, second) in &PARTS[index + 1..] {
                if MOOT.contains(&(*one, *other)) {
                    continue;
                }
                let fine = bundle().seccomp(Seccomp::None).unmasked();
                let bundle = second(first(fine, runtime), runtime);
                let name = format!("{engine}_{one}_{other}");
                found.push(Fault { name, bundle, arguments: EVERYTHING, says: Says::Nothing });
            }
        }
    }
    found
}

/// What was proven, for the count.
static PROVEN: Mutex<BTreeSet<String>> = Mutex::new(BTreeSet::new());

pub(crate) fn prove(fault: &Fault, bundle: Bundle, bwrap: String) -> Result<(), Failed> {
    let causes = proof::at_once(fault, bundle, bwrap)?;
    if causes.len() < 2 {
        return Err(format!("only {causes:?} was seen").into());
    }
    PROVEN.lock().unwrap().insert(fault.name.clone());
    Ok(())
}

pub(crate) fn count() {
    let proven = PROVEN.lock().unwrap().len();
    println!("two or more causes, one change, one new container, started: {proven}");
}
