//! Every rule and trap of bwrap's that is known: it cannot be written, is refused before launch, is linted, or is
//! handled so that what happens is what was wanted.
#![allow(clippy::unwrap_used, clippy::expect_used, clippy::panic, clippy::indexing_slicing)]

#[path = "traps/advice.rs"]
mod advice;
mod common;
#[path = "traps/descriptors.rs"]
mod descriptors;
#[path = "traps/environment.rs"]
mod environment;
#[path = "traps/lifetime.rs"]
mod lifetime;
#[path = "traps/mounts.rs"]
mod mounts;
#[path = "traps/privileges.rs"]
mod privileges;
#[path = "traps/support.rs"]
mod support;
#[path = "traps/values.rs"]
mod values;
#[path = "traps/words.rs"]
mod words;

use advice::{
    a_bound_proc_is_linted, a_wise_sandbox_is_left_alone, a_writable_root_is_linted,
    brought_engine_sockets_are_linted, capabilities_that_nobody_named_are_linted,
    commands_know_their_circumstances, engine_sockets_are_linted, many_binds_are_linted,
    message_queues_want_a_namespace, terminals_are_recognised, the_hosts_proc_is_linted,
    unlimited_memory_is_linted, weak_boundaries_are_linted,
};
use descriptors::{
    a_crashed_caller_does_not_open_the_gate, a_report_without_a_reader_strands_nobody,
    a_spent_descriptor_is_refused, an_owned_descriptor_and_its_number_are_one,
    closed_streams_are_not_replaced, content_from_a_slow_pipe_is_complete, early_failures_leave_no_orphan,
    negative_numbers_are_refused, nothing_of_bwraps_reaches_the_command, one_descriptor_cannot_be_read_twice,
    process_1_does_not_inherit_the_sync_descriptor, standard_streams_as_content_stay_open,
    the_same_bytes_fill_every_file,
};
use environment::{
    a_new_session_is_one, a_script_without_an_interpreter_runs, a_shared_terminal_is_linted,
    an_ignored_sigchld_does_not_hang, an_unsearchable_path_is_seen_through,
    bad_names_of_variables_are_refused, path_changes_the_lookup, pwd_is_always_set,
    signals_are_not_blocked_or_ignored, the_environment_does_not_leak,
    the_terminal_filter_compares_as_the_kernel_does, the_umask_is_the_callers,
    variables_are_for_the_command_only, without_a_path_there_is_a_default,
};
use lifetime::{
    a_command_in_another_namespace_is_killed, a_killed_bwrap_leaves_nothing, a_lock_is_held,
    a_reported_child_is_no_success, a_sandbox_has_what_its_thread_has,
    a_tie_without_a_pid_namespace_is_linted, background_processes_end_with_their_namespace,
    lock_files_have_rules, outliving_the_caller_is_linted, process_1_has_rules,
    process_1_is_ended_by_kill_only, reported_namespaces_are_the_new_ones, status_1_has_one_meaning,
    statuses_are_the_commands_own, the_launching_thread_may_end, the_sandbox_ends_with_the_process,
    the_sync_descriptor_tells_the_end,
};
use mounts::{
    a_cgroup_namespace_is_a_view, bound_data_never_touches_the_host, destinations_are_relative_to_the_root,
    destinations_cannot_climb, destinations_created_on_the_host_are_linted,
    devices_work_where_they_are_asked_for, hiding_what_came_before_is_linted, nosymfollow_is_kept,
    optional_binds_forgive_absence_only, overlay_options_are_not_lost, overlay_paths_are_escaped,
    planted_symlinks_lead_nowhere, problems_name_their_place, races_on_the_mount_table_are_named,
    read_only_is_recursive, relative_sources_are_the_callers, sandboxes_nest,
    share_net_holds_in_either_order, symlinked_destinations_are_refused, the_device_nodes_are_there,
    unmapped_owners_are_nobody,
};
use privileges::{
    a_filter_that_hides_the_command_is_undecided, a_hidden_source_is_named,
    a_joined_namespace_is_not_handed_on, added_capabilities_are_the_only_ones,
    ambient_capabilities_are_explained, an_addition_does_not_undo_drops, devices_do_not_change_the_ids,
    disable_userns_has_rules, drops_are_effective_as_root, drops_hold_where_a_user_namespace_is_skipped,
    filters_have_sizes, filters_stack, joins_have_rules, privileges_cannot_grow, root_cannot_add_all,
    root_cannot_keep_what_bwrap_will_lack, root_cannot_keep_what_it_lacks, root_needs_a_namespace_for_ids,
    user_namespaces_are_made_when_needed, users_have_no_capabilities, users_may_have_all_inside,
};
use values::{
    capabilities_are_spelled_right, host_names_have_limits, id_maps_have_rules, ids_do_not_wrap_around,
    impossible_modes_are_refused, impossible_sizes_are_refused, modes_are_exact,
    modifiers_belong_to_their_operation, overlays_need_their_layers, sizes_are_decimal,
    special_mode_bits_are_not_lost,
};
use words::{
    an_empty_host_name_loses_nothing, an_empty_name_loses_nothing, an_empty_value_loses_nothing,
    any_byte_may_be_in_a_path, commands_are_not_options, destinations_may_look_like_options,
    empty_destinations_are_refused, empty_words_are_refused, nul_bytes_are_refused,
    the_word_limit_counts_arguments, the_word_limit_counts_operations, the_word_limit_counts_variables,
    unknown_options_are_named, values_that_begin_with_a_dash_are_values,
};

#[allow(clippy::too_many_lines, reason = "it is a list")]
fn main() -> std::process::ExitCode {
    common::main(
        cases![
            one_descriptor_cannot_be_read_twice,
            an_owned_descriptor_and_its_number_are_one,
            the_same_bytes_fill_every_file,
            a_spent_descriptor_is_refused,
            standard_streams_as_content_stay_open,
            negative_numbers_are_refused,
            nothing_of_bwraps_reaches_the_command,
            process_1_does_not_inherit_the_sync_descriptor,
            a_crashed_caller_does_not_open_the_gate,
            a_report_without_a_reader_strands_nobody,
            early_failures_leave_no_orphan,
            content_from_a_slow_pipe_is_complete,
            closed_streams_are_not_replaced,
            an_empty_value_loses_nothing,
            an_empty_host_name_loses_nothing,
            an_empty_name_loses_nothing,
            empty_words_are_refused,
            empty_destinations_are_refused,
            nul_bytes_are_refused,
            values_that_begin_with_a_dash_are_values,
            destinations_may_look_like_options,
            commands_are_not_options,
            any_byte_may_be_in_a_path,
            the_word_limit_counts_arguments,
            the_word_limit_counts_operations,
            the_word_limit_counts_variables,
            unknown_options_are_named,
            sizes_are_decimal,
            impossible_sizes_are_refused,
            ids_do_not_wrap_around,
            impossible_modes_are_refused,
            modifiers_belong_to_their_operation,
            modes_are_exact,
            special_mode_bits_are_not_lost,
            overlays_need_their_layers,
            host_names_have_limits,
            id_maps_have_rules,
            capabilities_are_spelled_right,
            the_environment_does_not_leak,
            variables_are_for_the_command_only,
            pwd_is_always_set,
            path_changes_the_lookup,
            without_a_path_there_is_a_default,
            an_unsearchable_path_is_seen_through,
            a_script_without_an_interpreter_runs,
            bad_names_of_variables_are_refused,
            the_umask_is_the_callers,
            signals_are_not_blocked_or_ignored,
            an_ignored_sigchld_does_not_hang,
            a_shared_terminal_is_linted,
            a_new_session_is_one,
            the_terminal_filter_compares_as_the_kernel_does,
            users_have_no_capabilities,
            added_capabilities_are_the_only_ones,
            users_may_have_all_inside,
            root_cannot_add_all,
            root_cannot_keep_what_bwrap_will_lack,
            drops_hold_where_a_user_namespace_is_skipped,
            root_cannot_keep_what_it_lacks,
            drops_are_effective_as_root,
            an_addition_does_not_undo_drops,
            ambient_capabilities_are_explained,
            root_needs_a_namespace_for_ids,
            user_namespaces_are_made_when_needed,
            devices_do_not_change_the_ids,
            a_hidden_source_is_named,
            disable_userns_has_rules,
            joins_have_rules,
            a_joined_namespace_is_not_handed_on,
            privileges_cannot_grow,
            filters_have_sizes,
            filters_stack,
            a_filter_that_hides_the_command_is_undecided,
            share_net_holds_in_either_order,
            devices_work_where_they_are_asked_for,
            the_device_nodes_are_there,
            destinations_are_relative_to_the_root,
            destinations_cannot_climb,
            hiding_what_came_before_is_linted,
            optional_binds_forgive_absence_only,
            destinations_created_on_the_host_are_linted,
            planted_symlinks_lead_nowhere,
            symlinked_destinations_are_refused,
            bound_data_never_touches_the_host,
            read_only_is_recursive,
            overlay_paths_are_escaped,
            overlay_options_are_not_lost,
            relative_sources_are_the_callers,
            races_on_the_mount_table_are_named,
            nosymfollow_is_kept,
            sandboxes_nest,
            a_cgroup_namespace_is_a_view,
            unmapped_owners_are_nobody,
            problems_name_their_place,
            status_1_has_one_meaning,
            statuses_are_the_commands_own,
            a_reported_child_is_no_success,
            reported_namespaces_are_the_new_ones,
            background_processes_end_with_their_namespace,
            a_killed_bwrap_leaves_nothing,
            process_1_is_ended_by_kill_only,
            a_command_in_another_namespace_is_killed,
            the_launching_thread_may_end,
            a_sandbox_has_what_its_thread_has,
            the_sandbox_ends_with_the_process,
            outliving_the_caller_is_linted,
            a_tie_without_a_pid_namespace_is_linted,
            process_1_has_rules,
            lock_files_have_rules,
            a_lock_is_held,
            the_sync_descriptor_tells_the_end,
            a_wise_sandbox_is_left_alone,
            many_binds_are_linted,
            engine_sockets_are_linted,
            brought_engine_sockets_are_linted,
            capabilities_that_nobody_named_are_linted,
            the_hosts_proc_is_linted,
            a_bound_proc_is_linted,
            a_writable_root_is_linted,
            unlimited_memory_is_linted,
            message_queues_want_a_namespace,
            weak_boundaries_are_linted,
            commands_know_their_circumstances,
            terminals_are_recognised,
        ],
        &[
            ("hold", descriptors::hold),
            ("descriptors", common::descriptors),
            ("surrounded", environment::surrounded),
            ("childless", environment::childless),
            ("skipping", privileges::skipping),
            ("ambient", privileges::ambient),
            ("leaving", lifetime::leaving),
        ],
    )
}
