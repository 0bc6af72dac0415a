//! `bwrap-doctor` under the name bwrap: what calls bwrap finds no difference, unless the sandbox does not start.
//!
//! Each bwrap is tested behind a link of its own, with the real one beside it as `bwrap.distrib`. Cases compare the two, among them
//! bubblewrap's own table (`tests/conformance.md`), and programs that nobody here wrote run on both.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "clients/descriptors.rs"]
mod descriptors;
#[path = "clients/explained.rs"]
mod explained;
#[path = "clients/install.rs"]
mod install;
#[path = "clients/kit.rs"]
mod kit;
#[path = "clients/process.rs"]
mod process;
#[path = "clients/programs.rs"]
mod programs;

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
#[path = "conformance/lifetime.rs"]
mod lifetime;
#[path = "conformance/namespaces.rs"]
mod namespaces;
#[path = "conformance/nesting.rs"]
mod nesting;
#[path = "conformance/overlays.rs"]
mod overlays;
#[cfg(target_arch = "x86_64")]
#[path = "conformance/seccomp.rs"]
mod seccomp;
#[path = "conformance/support.rs"]
mod support;
#[path = "conformance/values.rs"]
mod values;

use std::process::ExitCode;

fn main() -> ExitCode {
    if let Some(done) = kit::behind_links() {
        return done;
    }
    let cases = [
        process::CASES,
        descriptors::CASES,
        explained::CASES,
        install::CASES,
        programs::CASES,
        binds::CASES,
        destinations::CASES,
        files::CASES,
        overlays::CASES,
        namespaces::CASES,
        nesting::CASES,
        capabilities::CASES,
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
    ];
    common::main_in_turn(cases.concat().leak(), &helpers)
}
