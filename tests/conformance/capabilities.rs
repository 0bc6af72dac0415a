//! Capabilities of the command.

use bwrap_launch::{Capability, Error, Namespaces, Place, Problem, Sandbox};

use crate::cases;
use crate::common::{Case, Here, skip};
use crate::support::{base, error, variants};

pub(crate) const CASES: &[Case] = cases![
    users_have_no_capabilities_inside,
    users_gain_what_they_ask_for,
    root_keeps_its_capabilities,
    root_drops_capabilities,
    root_cannot_ask_for_everything,
    root_cannot_keep_what_it_lacks,
];

const SETS: [&str; 5] = ["CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb"];

/// The capability sets in a `/proc/PID/status`.
fn sets(status: &str) -> [u64; 5] {
    SETS.map(|name| {
        let line = status.lines().find_map(|line| line.strip_prefix(name)).unwrap();
        u64::from_str_radix(line.trim_start_matches(':').trim(), 16).unwrap()
    })
}

fn inside(here: &Here, sandbox: &Sandbox) -> [u64; 5] {
    sets(&here.prints(sandbox, "cat /proc/self/status"))
}

fn bits(capabilities: &[Capability]) -> u64 {
    capabilities.iter().map(|capability| 1 << capability.number()).sum()
}

fn root_only(here: &Here) {
    if !here.root {
        skip("about root's capabilities");
    }
}

fn users_have_no_capabilities_inside(here: &Here) {
    if here.root {
        skip("about the capabilities of users");
    }
    let sandbox = base().proc("/proc");
    let mut sandboxes = variants(&sandbox).to_vec();
    sandboxes.push(sandbox.clone().unshare(Namespaces::USER).uid(0).gid(0));
    sandboxes.push(sandbox.clone().dev("/dev"));
    sandboxes.push(sandbox.cap_drop_all());
    for sandbox in sandboxes {
        assert_eq!(inside(here, &sandbox), [0; 5], "{sandbox}");
    }
}

fn users_gain_what_they_ask_for(here: &Here) {
    if here.root {
        skip("about the capabilities of users");
    }
    let [kill, raw] = [Capability::CAP_KILL, Capability::CAP_NET_RAW];
    let both = bits(&[kill, raw]);
    for sandbox in variants(&base().proc("/proc").cap_add(kill).cap_add(raw)) {
        let [_, permitted, effective, bounding, ambient] = inside(here, &sandbox);
        assert_eq!([permitted, effective, bounding, ambient], [both; 4], "{sandbox}");
        let [_, permitted, effective, ..] = inside(here, &sandbox.cap_drop(kill));
        assert_eq!([permitted, effective], [bits(&[raw]); 2], "drops count in their order");
    }
    let [_, _, effective, ..] = inside(here, &base().proc("/proc").cap_add_all().cap_drop(kill));
    assert_eq!(effective & both, bits(&[raw]));
}

fn root_keeps_its_capabilities(here: &Here) {
    root_only(here);
    let [_, _, ours, ..] = sets(&std::fs::read_to_string("/proc/self/status").unwrap());
    assert_ne!(ours, 0);
    for sandbox in variants(&base().proc("/proc")) {
        let [_, permitted, effective, ..] = inside(here, &sandbox);
        assert_eq!([permitted, effective], [ours; 2], "{sandbox}");
    }
}

fn root_drops_capabilities(here: &Here) {
    root_only(here);
    let [kill, fowner, bind] =
        [Capability::CAP_KILL, Capability::CAP_FOWNER, Capability::CAP_NET_BIND_SERVICE];
    for sandbox in variants(&base().proc("/proc")) {
        let [_, permitted, effective, _, ambient] = inside(here, &sandbox.clone().cap_drop_all());
        assert_eq!([permitted, effective, ambient], [0; 3], "{sandbox}");
        let [_, permitted, effective, ..] = inside(here, &sandbox.clone().cap_drop(kill).cap_drop(fowner));
        assert_eq!(permitted, effective);
        assert_eq!(effective & bits(&[kill, fowner]), 0, "{sandbox}");
        assert_eq!(effective & bits(&[bind]), bits(&[bind]), "{sandbox}");
        let [_, _, effective, ..] = inside(here, &sandbox.cap_drop_all().cap_add(bind));
        assert_eq!(effective, bits(&[bind]));
    }
}

/// bwrap would silently keep what is dropped afterwards, unless it has them all in a user namespace of its own.
fn root_cannot_ask_for_everything(here: &Here) {
    root_only(here);
    let Error::Invalid(invalid) = error(here, &base().cap_add_all()) else { panic!("launched") };
    assert_eq!((invalid.place, invalid.problem), (Place::Privileges, Problem::CapAddAllAsRoot));
    let [kill, raw] = [Capability::CAP_KILL, Capability::CAP_NET_RAW];
    let sandbox = base().proc("/proc").unshare(Namespaces::USER).cap_add_all().cap_drop(kill);
    let [_, permitted, effective, ..] = inside(here, &sandbox);
    assert_eq!(permitted, effective);
    assert_eq!(effective & bits(&[kill, raw]), bits(&[raw]));
}

fn root_cannot_keep_what_it_lacks(here: &Here) {
    root_only(here);
    caps::drop(None, caps::CapSet::Effective, caps::Capability::CAP_SYS_TIME).unwrap();
    caps::drop(None, caps::CapSet::Permitted, caps::Capability::CAP_SYS_TIME).unwrap();
    let sandbox = base().proc("/proc").cap_drop_all().cap_add(Capability::CAP_SYS_TIME);
    let Error::Invalid(invalid) = error(here, &sandbox) else { panic!("launched") };
    assert_eq!(invalid.problem, Problem::CapabilityMissing("CAP_SYS_TIME".into()));
}
