//! What commands, files and systems that mean harm try: none of it makes us say or do something false. `SECURITY.md` says what is
//! promised; every promise has its cases here or in `tests/verdict`.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "adversary/attackers.rs"]
mod attackers;
mod common;
#[path = "adversary/duties.rs"]
mod duties;
#[path = "adversary/faults.rs"]
mod faults;
#[path = "adversary/files.rs"]
mod files;
#[path = "adversary/filters.rs"]
mod filters;
#[path = "adversary/hardened.rs"]
mod hardened;
#[path = "adversary/overwrite.rs"]
mod overwrite;
#[path = "adversary/report.rs"]
mod report;
mod seeded;
#[path = "verdict/support.rs"]
mod support;
#[path = "adversary/watchdog.rs"]
mod watchdog;

use attackers::{
    a_command_forges_bwraps_report, a_command_forges_bwraps_report_at_once, a_command_forges_its_failure,
    a_command_stops_bwrap_and_ends, a_command_stops_bwrap_and_is_killed,
    a_command_takes_bwraps_descriptors_away, a_command_takes_bwraps_limits_away,
    a_command_takes_bwraps_limits_away_from_a_caller_that_ignores,
};
use duties::{
    cve_2017_5226_nothing_is_typed_into_the_terminal, cve_2019_10063_high_bits_do_not_get_round_the_filter,
    cve_2021_21261_no_variable_reaches_bwrap, cve_2021_41133_the_newer_calls_do_not_get_round_the_filter,
    cve_2023_28100_nothing_is_pasted_into_the_console,
    cve_2024_21626_neither_directory_nor_descriptor_leads_out, cve_2024_32462_a_command_is_no_option,
    cve_2024_42472_what_was_opened_is_bound, cve_2026_41163_a_setuid_bwrap_is_pointed_out,
    cve_2026_87766_a_planted_link_is_pointed_out_or_leads_nowhere,
};
use faults::single_system_calls_fail;
use files::{a_program_file_writes_no_line_of_a_report, every_problem_is_found_where_bwrap_meets_it};
use filters::{a_filter_that_changes_while_it_is_read, filters_from_hostile_files};
use hardened::{ordinary_commands_work_under_the_hardened_filter, the_hardened_filter_denies_what_it_says};
use overwrite::cve_2019_5736_the_hosts_bwrap_stays_as_it_is;
use report::a_command_names_another_process_in_bwraps_report;
use watchdog::{a_command_goes_for_the_watchdog, a_watchdog_that_sees_otherwise};

fn main() -> std::process::ExitCode {
    common::main_in_turn(
        cases![
            a_command_forges_bwraps_report,
            a_command_forges_bwraps_report_at_once,
            a_command_forges_its_failure,
            a_command_names_another_process_in_bwraps_report,
            a_command_takes_bwraps_descriptors_away,
            a_command_takes_bwraps_limits_away,
            a_command_takes_bwraps_limits_away_from_a_caller_that_ignores,
            a_command_stops_bwrap_and_ends,
            a_command_stops_bwrap_and_is_killed,
            a_command_goes_for_the_watchdog,
            a_watchdog_that_sees_otherwise,
            filters_from_hostile_files,
            a_filter_that_changes_while_it_is_read,
            a_program_file_writes_no_line_of_a_report,
            every_problem_is_found_where_bwrap_meets_it,
            cve_2017_5226_nothing_is_typed_into_the_terminal,
            cve_2019_10063_high_bits_do_not_get_round_the_filter,
            cve_2023_28100_nothing_is_pasted_into_the_console,
            cve_2021_41133_the_newer_calls_do_not_get_round_the_filter,
            cve_2021_21261_no_variable_reaches_bwrap,
            cve_2024_21626_neither_directory_nor_descriptor_leads_out,
            cve_2024_32462_a_command_is_no_option,
            cve_2024_42472_what_was_opened_is_bound,
            cve_2026_41163_a_setuid_bwrap_is_pointed_out,
            cve_2026_87766_a_planted_link_is_pointed_out_or_leads_nowhere,
            cve_2019_5736_the_hosts_bwrap_stays_as_it_is,
            single_system_calls_fail,
            the_hardened_filter_denies_what_it_says,
            ordinary_commands_work_under_the_hardened_filter,
        ],
        &[
            ("forge", attackers::forge),
            ("forge-at-once", attackers::forge_at_once),
            ("forge-failure", attackers::forge_failure),
            ("replace-report", report::replace_report),
            ("guarded", watchdog::guarded),
            ("astray", watchdog::astray),
            ("meddle", attackers::meddle),
            ("overwrite", overwrite::overwrite),
            ("launch", faults::launch),
            ("launch-true", duties::launch_true),
            ("fsize-ignored", attackers::fsize_ignored),
        ],
    )
}
