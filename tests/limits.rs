//! Limits, control groups, usage and results: what is asked for holds inside, and nothing of it is left.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "limits/delegated.rs"]
mod delegated;
#[path = "limits/groups.rs"]
mod groups;
#[path = "limits/process.rs"]
mod process;
#[path = "limits/results.rs"]
mod results;

fn main() -> std::process::ExitCode {
    let cases = [process::CASES, groups::CASES, delegated::CASES, results::CASES];
    common::main_in_turn(cases.concat().leak(), delegated::HELPERS)
}
