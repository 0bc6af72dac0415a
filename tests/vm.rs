//! Other kernels, security modules and kernel parameters: the loop from fault to remedy, closed in virtual machines.
//!
//! This program is both sides. On the host it builds and boots guests (`tests/vm/vm`), with itself as what they run, and
//! reports each case; in a guest it makes the faults, tries sandboxes in them, and applies the remedies that the crate proposes.
//! It is not part of `cargo test`: `make test-vm` runs it. Without QEMU every case counts as skipped.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "vm/cases.rs"]
mod cases;
#[path = "vm/guest.rs"]
mod guest;
#[path = "vm/host.rs"]
mod host;
#[path = "common/machines.rs"]
mod machines;
#[path = "common/readme.rs"]
mod readme;
#[path = "common/table.rs"]
mod table;
#[path = "common/trying.rs"]
mod trying;

use std::process::ExitCode;

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().collect();
    match words.get(1).map(String::as_str) {
        Some("--try") => {
            trying::try_line(&words[2..]);
            ExitCode::SUCCESS
        }
        None if std::path::Path::new(guest::BOOT).exists() => guest::main(),
        _ => host::main(),
    }
}
