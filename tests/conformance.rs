//! bubblewrap's own test table, expressed through this crate. `conformance.md` maps the cases of the one to those of
//! the other.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;

#[path = "conformance/binds.rs"]
mod binds;
#[path = "conformance/capabilities.rs"]
mod capabilities;
#[path = "conformance/command.rs"]
mod command;
#[path = "conformance/destinations.rs"]
mod destinations;
#[path = "conformance/files.rs"]
mod files;
#[cfg(target_arch = "x86_64")]
#[path = "conformance/grid.rs"]
mod grid;
#[path = "conformance/lifetime.rs"]
mod lifetime;
#[path = "conformance/namespaces.rs"]
mod namespaces;
#[path = "conformance/nesting.rs"]
mod nesting;
#[path = "conformance/overlays.rs"]
mod overlays;
mod seeded;
// it tries calls that other machines do not have
#[cfg(target_arch = "x86_64")]
#[path = "conformance/seccomp.rs"]
mod seccomp;
#[path = "conformance/support.rs"]
mod support;
#[path = "conformance/values.rs"]
mod values;

use std::process::ExitCode;

fn main() -> ExitCode {
    let cases = [
        binds::CASES,
        destinations::CASES,
        files::CASES,
        overlays::CASES,
        namespaces::CASES,
        nesting::CASES,
        capabilities::CASES,
        #[cfg(target_arch = "x86_64")]
        grid::CASES,
        #[cfg(target_arch = "x86_64")]
        seccomp::CASES,
        command::CASES,
        lifetime::CASES,
        values::CASES,
    ];
    let helpers = [
        ("nested", nesting::nested as fn(&[String])),
        ("launch", lifetime::launch),
        ("connect", binds::connect),
        ("descriptors", common::descriptors),
        #[cfg(target_arch = "x86_64")]
        ("denied", grid::denied),
    ];
    common::main_on_all(cases.concat().leak(), &helpers)
}
