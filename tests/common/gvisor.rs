//! Cases that run in gVisor, too, whose kernel is none of Linux's: there is no `pidfd_open(2)`, and `/proc` lists no children. What
//! bwrap starts there, we start, stop and judge as elsewhere. (It starts nothing with a network or a user namespace of its own there.)

use std::path::{Path, PathBuf};
use std::process::Command as Process;

/// Some that take little time there, by suite.
const CHOSEN: &[(&str, &[&str])] = &[
    (
        "launch",
        &[
            "status_and_output",
            "streams_are_piped",
            "streams_come_from_std",
            "the_environment_is_built",
            "descriptors_are_mapped_on_purpose",
            "secrets_are_nowhere_to_be_seen",
            "a_missing_program_is_explained",
            "chdir_failures_are_explained",
        ],
    ),
    (
        "verdict",
        &[
            "closed_descriptors",
            "written_descriptors",
            "daemons_do_not_outlive_their_namespace",
            "a_background_process_may_fill_one_stream_and_hold_the_other",
            "a_command_kills_bwrap",
            "files_that_a_shell_takes",
            "filters_that_deny_execve",
            "filters_that_kill_at_execve",
            "filters_that_kill_at_write",
            "lists_of_what_is_allowed",
            "waiting_with_a_limit_leaves_it_running",
            "the_handle_is_readable_at_the_end",
            "a_killed_command_that_bwrap_does_not_wait_for",
            "a_bwrap_that_is_killed",
            "nobody_reads_standard_error",
        ],
    ),
    (
        "stop",
        &[
            "a_kill_after_the_end",
            "a_kill_before_it_is_set_up",
            "a_bwrap_that_hangs",
            "a_held_sandbox",
            "terminate_before_it_is_set_up",
            "a_signal_spares_process_1",
            "descendants_without_a_pid_namespace",
            "dropped_to_be_killed",
            "who_is_named_for_the_end",
            "what_is_set_up_too_slowly",
            "what_is_in_time_is_left_alone",
            "an_interrupt_of_the_group",
        ],
    ),
];

/// The chosen ones of a suite.
pub(super) fn chosen(suite: &str) -> &'static [&'static str] {
    CHOSEN.iter().find(|(name, _)| *name == suite).map_or(&[], |(_, cases)| *cases)
}

/// A command that runs another as root in gVisor, which keeps its own things in this directory. Or why there is none.
pub(super) fn inside(directory: &Path) -> Result<Process, &'static str> {
    let runsc: PathBuf = Path::new(env!("CARGO_MANIFEST_DIR")).join("target/test-tools/runsc/runsc");
    if !rustix::process::geteuid().is_root() {
        return Err("runsc is run as root");
    }
    if !runsc.exists() {
        return Err("runsc is not there; `make setup` fetches it");
    }
    let mut process = Process::new("timeout");
    process.args(["--kill-after=5", "60"]).arg(runsc).arg("--root").arg(directory.join("runsc"));
    // inside is this file system, and what is written there is gone with it
    process.args(["--network=none", "--ignore-cgroups", "do", "--cwd", "/"]);
    // it sends SIGHUP to a process group in which somebody is stopped
    process.args(["sh", "-c", "trap '' HUP; \"$@\"", "sh"]);
    Ok(process)
}
