//! Adversaries of the verdict: whatever a command, a filter, the caller or a broken bwrap does, the outcome is right
//! or says that it cannot be known.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "verdict/endings.rs"]
mod endings;
#[path = "verdict/failures.rs"]
mod failures;
#[path = "verdict/filters.rs"]
mod filters;
#[path = "verdict/kills.rs"]
mod kills;
#[path = "verdict/limits.rs"]
mod limits;
#[path = "verdict/stand_ins.rs"]
mod stand_ins;
#[path = "verdict/support.rs"]
mod support;
#[path = "verdict/threads.rs"]
mod threads;
#[path = "verdict/words.rs"]
mod words;

fn main() -> std::process::ExitCode {
    let cases = [
        endings::CASES,
        failures::CASES,
        filters::CASES,
        kills::CASES,
        limits::CASES,
        stand_ins::CASES,
        threads::CASES,
        words::CASES,
    ];
    common::main_in_turn_on_all(
        cases.concat().leak(),
        &[
            ("close", endings::close),
            ("write", endings::write),
            ("trace", endings::trace),
            ("nested", failures::nested),
            ("ignoring", kills::ignoring),
            ("hold", |_| std::thread::sleep(std::time::Duration::from_secs(4))),
        ],
    )
}
