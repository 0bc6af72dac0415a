//! Stopping: from any thread, at every moment, for every reason, and what is said of it afterwards.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "stop/groups.rs"]
mod groups;
#[path = "stop/killers.rs"]
mod killers;
#[path = "verdict/support.rs"]
mod support;
#[path = "stop/timeouts.rs"]
mod timeouts;
#[path = "stop/traced.rs"]
mod traced;

fn main() -> std::process::ExitCode {
    let cases = [killers::CASES, timeouts::CASES, traced::CASES, groups::CASES];
    common::main_in_turn(
        cases.concat().leak(),
        &[
            ("interrupted", groups::interrupted),
            ("signalled", groups::signalled),
            ("late", timeouts::late),
            ("forker", traced::forker),
        ],
    )
}
