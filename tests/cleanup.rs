//! Every way a launch can end leaves nothing: no process, no zombie, no descriptor, no thread.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "cleanup/callers.rs"]
mod callers;
mod common;
#[path = "cleanup/crash.rs"]
mod crash;
#[path = "cleanup/endings.rs"]
mod endings;
#[path = "cleanup/inventory.rs"]
mod inventory;
#[path = "cleanup/scarcity.rs"]
mod scarcity;
#[path = "verdict/support.rs"]
mod support;
#[path = "cleanup/thief.rs"]
mod thief;

fn main() -> std::process::ExitCode {
    let cases = [endings::CASES, scarcity::CASES, callers::CASES, crash::CASES];
    common::main_in_turn(
        cases.concat().leak(),
        &[
            ("everything", callers::everything),
            ("victim", callers::victim),
            ("forker", callers::forker),
            ("launching-forker", callers::launching_forker),
            ("alone", callers::alone),
            ("namesakes", callers::namesakes),
            ("misled", callers::misled),
            ("barren", callers::barren),
            ("launcher", callers::launcher),
            ("crasher", crash::crasher),
            ("leaver", crash::leaver),
            ("gatherer", crash::gatherer),
            ("kennel", crash::kennel),
            ("keeper", crash::keeper),
            ("beside", crash::beside),
        ],
    )
}
