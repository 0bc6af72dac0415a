//! The profile of Zuul beside Zuul's own driver, live: both launch the same, on the same machine, and what is seen inside, what
//! comes back and what is left are compared. The only differences are those that the profile documents.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "zuul/command.rs"]
mod command;
mod common;
#[path = "zuul/fixes.rs"]
mod fixes;
#[path = "zuul/generated.rs"]
mod generated;
#[path = "zuul/given.rs"]
mod given;
#[path = "zuul/kit.rs"]
mod kit;
#[allow(unused_imports, reason = "only its numbers are used here")]
#[path = "verdict/support.rs"]
mod support;
#[allow(dead_code, reason = "its main is called otherwise here")]
#[path = "../examples/zuul_bwrap.rs"]
mod zuul_bwrap;

use std::process::ExitCode;

use command::{the_command_passes_the_status_on, the_command_takes_the_same_arguments};
use fixes::{
    a_command_is_no_option, braces_are_part_of_a_path, members_are_names, nothing_is_left,
    release_files_are_inside, the_hosts_user_database_is_not_written, variables_are_not_inherited,
    what_is_absent_is_left_out,
};
use generated::generated_configurations;
use given::{endings, everything_at_once, minimal, no_network, paths, secrets, ssh_agent};

fn main() -> ExitCode {
    // who is called once more, to play a case or a helper, finds the packages where they were put
    if kit::are_published() || std::env::args().any(|word| word == "--case" || word == "--helper") {
        return run();
    }
    let packages = kit::publish();
    let code = match &packages {
        Some(packages) => kit::with_packages(packages.path()),
        None => run(),
    };
    drop(packages);
    code
}

fn run() -> ExitCode {
    common::main_in_turn(
        cases![
            minimal,
            secrets,
            everything_at_once,
            paths,
            no_network,
            ssh_agent,
            endings,
            generated_configurations,
            a_command_is_no_option,
            braces_are_part_of_a_path,
            the_hosts_user_database_is_not_written,
            release_files_are_inside,
            members_are_names,
            variables_are_not_inherited,
            what_is_absent_is_left_out,
            nothing_is_left,
            the_command_takes_the_same_arguments,
            the_command_passes_the_status_on,
        ],
        &[
            ("zuul-bwrap", command::zuul_bwrap),
            ("compare-commands", command::compare),
            ("compare-statuses", command::compare_statuses),
            ("leave-out", fixes::leave_out),
            ("leave-nothing", fixes::leave_nothing),
        ],
    )
}
