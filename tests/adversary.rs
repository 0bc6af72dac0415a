//! What commands, files and systems that mean harm try: none of it makes us say or do something false. `SECURITY.md` says what is
//! promised; every promise has its cases here or in `tests/verdict`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "adversary/attackers.rs"]
mod attackers;
mod common;
#[path = "adversary/files.rs"]
mod files;
#[path = "adversary/hardened.rs"]
mod hardened;
#[path = "adversary/overwrite.rs"]
mod overwrite;
#[path = "verdict/support.rs"]
mod support;

use attackers::{
    a_command_forges_bwraps_report, a_command_stops_bwrap_and_ends, a_command_stops_bwrap_and_is_killed,
    a_command_takes_bwraps_descriptors_away, a_command_takes_bwraps_limits_away,
    a_command_takes_bwraps_limits_away_from_a_caller_that_ignores,
};
use files::{a_program_file_writes_no_line_of_a_report, every_problem_is_found_where_bwrap_meets_it};
use hardened::{ordinary_commands_work_under_the_hardened_filter, the_hardened_filter_denies_what_it_says};

use overwrite::cve_2019_5736_the_hosts_bwrap_stays_as_it_is;

fn main() -> std::process::ExitCode {
    common::main(
        cases![
            a_command_forges_bwraps_report,
            a_command_takes_bwraps_descriptors_away,
            a_command_takes_bwraps_limits_away,
            a_command_takes_bwraps_limits_away_from_a_caller_that_ignores,
            a_command_stops_bwrap_and_ends,
            a_command_stops_bwrap_and_is_killed,
            a_program_file_writes_no_line_of_a_report,
            every_problem_is_found_where_bwrap_meets_it,
            cve_2019_5736_the_hosts_bwrap_stays_as_it_is,
            the_hardened_filter_denies_what_it_says,
            ordinary_commands_work_under_the_hardened_filter,
        ],
        &[
            ("forge", attackers::forge),
            ("meddle", attackers::meddle),
            ("overwrite", overwrite::overwrite),
            ("fsize-ignored", attackers::fsize_ignored),
        ],
    )
}
