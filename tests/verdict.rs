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
#[path = "verdict/stand_ins.rs"]
mod stand_ins;
#[path = "verdict/support.rs"]
mod support;
#[path = "verdict/words.rs"]
mod words;

use endings::{
    a_background_process_may_fill_one_stream_and_hold_the_other, a_command_in_its_namespace_kills_all_it_can,
    a_command_kills_bwrap, a_command_meddles_with_bwraps_descriptors, a_command_traces_bwrap,
    closed_descriptors, daemons_do_not_outlive_their_namespace, every_signal, every_status,
    printed_messages_are_not_believed, written_descriptors,
};
use failures::{
    commands_that_cannot_be_executed, files_that_a_shell_takes, refusals, refusals_in_a_sandbox,
    setups_that_fail, users_with_capabilities_are_refused,
};
use filters::{
    filters_from_descriptors, filters_that_bwrap_cannot_install, filters_that_deny_execve,
    filters_that_deny_wait4, filters_that_deny_write, filters_that_kill_at_execve,
    filters_that_kill_at_write, lists_of_what_is_allowed, several_filters,
};
use kills::{
    a_caller_that_ignores_sigchld, a_caller_that_waits_for_any_child, bwrap_is_killed_at_any_moment,
    the_child_is_killed_at_any_moment, the_sandbox_is_killed_at_any_moment,
};
use stand_ins::{
    a_bwrap_that_ends_at_once, a_bwrap_that_is_killed, a_bwrap_that_lies, a_bwrap_whose_socket_is_kept,
    a_bwrap_without_its_ready_socket, a_bwrap_without_its_status_descriptor,
};
use words::{
    launches_at_once_with_one_file, nobody_reads_standard_error, programs_for_others,
    programs_of_others_in_a_file, reasons_that_cannot_be_seen, the_end_of_a_rehearsal_is_no_reason,
    words_of_others_in_a_file,
};

fn main() -> std::process::ExitCode {
    common::main(
        cases![
            printed_messages_are_not_believed,
            every_status,
            every_signal,
            closed_descriptors,
            written_descriptors,
            daemons_do_not_outlive_their_namespace,
            a_background_process_may_fill_one_stream_and_hold_the_other,
            a_command_in_its_namespace_kills_all_it_can,
            a_command_kills_bwrap,
            a_command_traces_bwrap,
            a_command_meddles_with_bwraps_descriptors,
            refusals,
            refusals_in_a_sandbox,
            users_with_capabilities_are_refused,
            setups_that_fail,
            commands_that_cannot_be_executed,
            files_that_a_shell_takes,
            filters_that_deny_write,
            filters_that_deny_wait4,
            filters_that_deny_execve,
            filters_that_kill_at_execve,
            filters_that_kill_at_write,
            lists_of_what_is_allowed,
            filters_from_descriptors,
            filters_that_bwrap_cannot_install,
            several_filters,
            bwrap_is_killed_at_any_moment,
            the_child_is_killed_at_any_moment,
            the_sandbox_is_killed_at_any_moment,
            a_caller_that_ignores_sigchld,
            a_caller_that_waits_for_any_child,
            a_bwrap_that_ends_at_once,
            a_bwrap_that_is_killed,
            a_bwrap_that_lies,
            a_bwrap_whose_socket_is_kept,
            a_bwrap_without_its_ready_socket,
            a_bwrap_without_its_status_descriptor,
            the_end_of_a_rehearsal_is_no_reason,
            words_of_others_in_a_file,
            programs_of_others_in_a_file,
            launches_at_once_with_one_file,
            nobody_reads_standard_error,
            reasons_that_cannot_be_seen,
            programs_for_others,
        ],
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
