//! In preparation.

mod common;

fn main() -> std::process::ExitCode {
    common::main(&[], &[])
}
