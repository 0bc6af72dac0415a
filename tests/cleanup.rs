//! Every way a launch can end leaves nothing: no process, no zombie, no descriptor, no thread.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "cleanup/callers.rs"]
mod callers;
mod common;
#[path = "cleanup/endings.rs"]
mod endings;
#[path = "cleanup/inventory.rs"]
mod inventory;
#[path = "cleanup/scarcity.rs"]
mod scarcity;
#[path = "verdict/support.rs"]
mod support;

use callers::{
    a_caller_that_ignores_sigchld, a_killed_caller, a_killed_caller_before_the_start, a_subreaper,
    many_threads_launch_at_once, process_one,
};
use endings::{
    a_killed_bwrap, dropped_children, dropped_children_die_with_their_parent, failures,
    id_maps_that_cannot_be_written, prepared_sandboxes, stuck_children, successes,
};
use scarcity::{
    a_bwrap_that_is_gone, a_kill_needs_no_descriptors, a_kill_that_would_miss_the_command_is_refused,
    descriptors_run_out, dropped_children_are_remembered, too_long_a_command,
};

fn main() -> std::process::ExitCode {
    common::main(
        cases![
            successes,
            failures,
            a_killed_bwrap,
            stuck_children,
            dropped_children,
            dropped_children_die_with_their_parent,
            prepared_sandboxes,
            id_maps_that_cannot_be_written,
            descriptors_run_out,
            dropped_children_are_remembered,
            a_kill_needs_no_descriptors,
            a_kill_that_would_miss_the_command_is_refused,
            too_long_a_command,
            a_bwrap_that_is_gone,
            a_caller_that_ignores_sigchld,
            a_subreaper,
            process_one,
            many_threads_launch_at_once,
            a_killed_caller,
            a_killed_caller_before_the_start,
        ],
        &[("everything", callers::everything), ("victim", callers::victim), ("alone", callers::alone)],
    )
}
