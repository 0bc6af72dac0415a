//! What a command writes: merged, kept within a limit, line by line, passed on.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "output/captured.rs"]
mod captured;
mod common;
#[path = "output/lines.rs"]
mod lines;
#[path = "output/merged.rs"]
mod merged;
#[path = "output/terminal.rs"]
mod terminal;

fn main() -> std::process::ExitCode {
    let cases = [merged::CASES, captured::CASES, lines::CASES, terminal::CASES];
    common::main_in_turn(
        cases.concat().leak(),
        &[("mixed", merged::mixed), ("swapped", merged::swapped), ("binary", captured::binary)],
    )
}
