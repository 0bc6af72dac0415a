//! Every line of the threat models of `profile::ci` and `profile::agent`, from inside.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "profile/agent.rs"]
mod agent;
#[path = "profile/ci.rs"]
mod ci;
mod common;
#[path = "profile/kit.rs"]
mod kit;

use agent::{
    changes_only_the_project, gains_nothing_at_all, is_used_on_repositories_only, reads_no_secrets,
    talks_to_nobody, worktrees_have_their_repository,
};
use ci::{
    gains_no_privileges, nothing_outlives_it, reads_nothing_of_the_callers, root_file_systems,
    sees_no_process, shares_the_network_if_told, writes_to_its_work_directory_only,
};

fn main() -> std::process::ExitCode {
    common::main_in_turn(
        cases![
            writes_to_its_work_directory_only,
            reads_nothing_of_the_callers,
            sees_no_process,
            gains_no_privileges,
            nothing_outlives_it,
            shares_the_network_if_told,
            root_file_systems,
            changes_only_the_project,
            reads_no_secrets,
            talks_to_nobody,
            gains_nothing_at_all,
            is_used_on_repositories_only,
            worktrees_have_their_repository,
        ],
        &[("descriptors", common::descriptors), ("abstract", kit::abstract_socket), ("caller", kit::caller)],
    )
}
