//! One contract, and every front keeps it: the blocking one, and that for Tokio, on runtimes with one thread and with several.
//! Whatever a case does, afterwards everything is as it was: processes, descriptors, threads.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

mod common;
#[path = "contract/dropped.rs"]
mod dropped;
#[path = "contract/front.rs"]
mod front;
#[path = "cleanup/inventory.rs"]
mod inventory;
#[path = "contract/many.rs"]
mod many;
#[path = "contract/row.rs"]
mod row;
#[path = "contract/streams.rs"]
mod streams;
#[path = "verdict/support.rs"]
mod support;
#[path = "contract/table.rs"]
mod table;
#[path = "cleanup/thief.rs"]
mod thief;

fn main() -> std::process::ExitCode {
    common::main_in_turn(
        [table::CASES, streams::CASES, dropped::CASES, many::CASES, row::CASES].concat().leak(),
        &[],
    )
}
