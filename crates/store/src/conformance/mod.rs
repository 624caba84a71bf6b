//! The suite that every backend runs: one case per promise of the traits, written against the traits alone.
//!
//! A backend gives a [`Harness`] and says [`conformance_tests!`](crate::conformance_tests), which makes one test of
//! each case. Cases know nothing of a backend: they see answers, what is there after a crash, and what arrives.
//! At-least-once is respected (a row that arrives twice is not a failure), and so is "a page may be short".
//!
//! This is test code that lives in the library because other crates run it; it panics where a test does.
#![allow(clippy::unwrap_used, reason = "a case fails by panicking, like any test")]

mod arrivals;
mod audit;
mod cancel;
mod claim;
mod dead_letter;
mod delivery;
mod delivery_log;
mod direct;
mod erase;
mod finish;
mod function;
mod isolation;
mod key;
mod ledger;
mod lifecycle;
mod listing;
mod message;
mod message_dead;
mod outbox;
mod publish;
mod registry;
mod rescue;
mod rollout;
mod secret;
mod settle;
mod walk;
mod world;

use std::sync::Arc;
use std::time::Duration;

use async_trait::async_trait;
use futures::future::LocalBoxFuture;

use crate::Store;
use world::World;

/// A guard for a case that waits for an answer that never comes; no case takes a tenth of it.
const CASE_PATIENCE: Duration = Duration::from_secs(120);

/// A place where a store's data is kept, and the way to open it.
#[async_trait]
pub trait Harness: Send {
    /// Opens the store: empty the first time; later as after a crash, with what earlier handles committed.
    ///
    /// Every earlier handle was dropped, as a rule without `close`; a backend that holds a lock or a thread waits here
    /// until the dropped handle let go of it.
    async fn open(&mut self) -> Arc<dyn Store>;
}

/// One promise.
pub struct Case {
    /// `family::sentence`.
    pub name: &'static str,
    run: for<'a> fn(&'a mut World) -> LocalBoxFuture<'a, ()>,
}

impl Case {
    pub async fn run(&self, harness: Box<dyn Harness>) {
        let mut world = World::open(harness).await;
        let run = tokio::time::timeout(CASE_PATIENCE, (self.run)(&mut world)).await;
        assert!(run.is_ok(), "{} waited for what never came", self.name);
    }
}

/// Runs the case of that name.
pub async fn run_case(name: &str, harness: Box<dyn Harness>) {
    let cases = cases();
    let case = cases.iter().find(|case| case.name == name).unwrap_or_else(|| panic!("there is no case {name}"));
    case.run(harness).await;
}

/// One `#[tokio::test]` per case: `conformance_tests!(make())`, where the expression makes a fresh [`Harness`].
///
/// A macro, because a test runner knows tests by the functions it finds: a loop over `cases()` would be one test that
/// stops at the first broken promise and hides the others. The list of cases stands in here once, and makes both the
/// tests and `cases()`; a case that is not in it is dead code, which the compiler refuses.
#[macro_export]
macro_rules! conformance_tests {
    (@list $what:ident ($($with:tt)*)) => { $crate::conformance_tests! { @$what ($($with)*)
        publish {
            an_accepted_event_is_there_with_what_it_led_to
            events_that_never_run_are_kept_with_their_status
            a_batch_is_answered_entry_by_entry_in_order
            a_repeat_with_the_same_body_gets_the_first_answer
            a_repeat_with_another_body_is_a_conflict
            entries_of_one_call_with_one_identity_see_each_other
            an_identity_is_remembered_across_a_crash
            an_identity_is_free_again_after_its_window
            events_without_an_identity_are_never_repeats
            an_event_is_found_by_its_identity
            an_id_in_use_refuses_the_whole_call
            what_to_run_is_the_event_with_its_policy_and_depth
            bodies_of_every_length_come_back_as_handed_in
            a_trace_context_is_kept_with_the_event_and_its_work
            what_to_run_is_the_input_where_there_is_one
        }
        outbox {
            lines_come_in_order_above_a_mark_and_within_a_limit
            an_event_takes_its_line_once
            of_two_entries_that_name_a_line_the_first_takes_it
            an_event_that_takes_a_line_is_not_refused_for_its_identity
            a_number_is_never_used_twice
            a_line_tells_of_its_settle_also_when_redriven_since
            lines_are_there_after_a_crash
        }
        claim {
            a_claim_starts_an_attempt
            the_token_must_follow
            an_invocation_is_claimed_once
            what_does_not_wait_is_not_claimed
            a_claim_under_a_stale_epoch_is_fenced
            claims_of_one_call_are_answered_each_for_itself
            a_claim_is_carried_out_when_its_answer_is_not_awaited
        }
        settle {
            a_success_keeps_the_attempt_as_handed_in
            each_next_leads_to_its_state
            a_retry_waits_for_its_due_time
            a_retry_counts_against_the_policy_only_when_spent
            a_stale_token_is_fenced
            a_stale_epoch_is_fenced
            an_attempt_ends_once
            what_was_never_claimed_is_not_settled
            a_settle_right_behind_its_claim_is_written_after_it
            the_attempt_the_state_and_the_line_are_one
            no_line_is_written_unless_announced
            an_edge_that_the_states_do_not_have_is_invalid
            attempts_are_listed_from_the_first_start
            attempt_ids_grow_in_commit_order
            what_was_settled_is_there_after_a_crash
        }
        direct {
            an_invoke_runs_at_once_and_ends_with_its_settle
            an_invoke_never_arrives_and_is_not_in_the_balance
            an_invoke_is_neither_retried_nor_a_dead_letter
            an_invoke_under_a_stale_epoch_is_fenced
            an_invoke_with_an_id_in_use_is_a_conflict
            an_invoke_whose_lease_ran_out_has_failed
            an_invoke_whose_process_died_has_failed
        }
        rescue {
            a_lease_that_ran_out_is_given_back_once
            a_lease_that_still_runs_is_kept
            an_extended_lease_is_kept
            a_lost_lease_is_not_extended
            leases_are_extended_each_for_itself
            an_earlier_epochs_attempts_are_given_back_at_acquire
            attempts_of_a_dead_process_are_given_back_once
            a_rescued_attempt_is_a_ledger_line_without_usage
            a_late_settle_is_fenced
            a_fenced_owner_rescues_nothing
            epochs_grow_with_every_owner_and_across_a_crash
        }
        finish {
            a_waiting_invocation_ends_in_the_state_asked_for
            what_does_not_wait_is_not_finished
            a_finish_under_a_stale_epoch_is_fenced
            only_the_three_ends_are_valid
        }
        arrivals {
            what_waits_comes_first_and_then_what_becomes_waiting
            a_tenants_backlog_comes_oldest_due_first
            a_long_backlog_comes_whole
            what_waits_comes_again_after_a_crash
            retried_rescued_and_redriven_ones_come_with_their_counts
            what_runs_or_ended_does_not_come
            a_new_call_replaces_the_former
            a_fenced_owner_hears_nothing_more
        }
        dead_letter {
            dead_letters_are_listed_with_their_reason
            all_are_redriven_due_now_with_fresh_attempts
            only_the_named_ones_are_redriven
            what_is_no_dead_letter_is_passed_over
            a_token_is_never_used_twice_over_a_redrive
        }
        cancel {
            everything_that_waits_is_cancelled
            only_the_named_ones_are_cancelled
            what_runs_is_left_to_its_settle
        }
        delivery {
            a_delivery_waits_until_it_is_delivered
            a_retry_comes_again_with_its_due_time
            a_delivery_is_given_up
            a_delivery_is_settled_once
            a_delivery_that_is_not_there_is_not_found
            pending_deliveries_come_again_after_a_crash
            a_new_call_replaces_the_former
            the_body_is_the_events_envelope
            the_body_is_the_input_where_there_is_one
        }
        message {
            a_queue_is_made_and_replaced_under_one_id
            a_message_waits_until_it_is_received_and_acked
            messages_come_oldest_due_first_and_again_after_a_crash
            a_message_carries_its_events_envelope_or_its_own_input
            a_message_is_received_once_under_each_number
            a_message_that_is_not_due_is_not_received
            a_lease_that_ran_out_needs_no_write_to_be_received_again
            a_late_ack_counts_until_the_message_is_received_again
            an_earlier_lease_is_fenced
            leases_are_answered_each_for_itself_in_order
            an_extended_lease_ends_later_and_one_that_ran_out_is_not_extended
            a_released_message_comes_again_at_once_with_its_receives
            a_lease_holds_across_a_crash
            another_queues_lease_changes_nothing
            a_deleted_queue_takes_its_messages_and_refuses_nothing_else
            a_repeated_event_puts_no_message_twice
        }
        message_dead {
            a_buried_message_is_a_dead_letter_that_keeps_what_it_carries
            a_dead_letter_is_redriven_with_fresh_tries_and_a_number_that_goes_on
            a_dead_letter_is_purged_or_expires
            dead_letters_of_a_queue_page_newest_first
            an_invocation_that_is_lost_is_put_in_the_same_commit
            a_delivery_that_is_given_up_is_put_in_the_same_commit
            what_names_no_queue_or_one_that_is_gone_is_put_nowhere
            a_deleted_tenants_messages_are_erased_wherever_they_are
            the_queues_balance_holds_on_a_random_walk_with_crashes
        }
        delivery_log {
            a_replay_sends_anew_under_the_same_id_with_its_tries_kept
            a_replay_of_what_waits_makes_it_due_now
            all_failed_since_a_time_are_replayed_and_no_others
            a_replay_survives_a_crash
            only_so_many_tries_are_kept
            a_success_ends_and_a_failure_begins_the_webhooks_failures
            every_delivery_is_pending_delivered_or_failed_at_any_moment
        }
        listing {
            events_page_newest_first
            invocations_page_newest_first_and_by_filter
            dead_letters_page_newest_first
            deliveries_page_newest_first_and_by_filter
            versions_page_newest_first
            tenants_and_functions_page_by_name
            a_cursor_that_no_page_gave_is_invalid
            a_row_that_came_in_between_does_not_shift_the_pages
        }
        registry {
            a_tenant_is_made_and_replaced_under_one_id
            a_tenant_is_there_after_a_crash
            a_rule_belongs_to_its_owner
            a_replaced_rule_keeps_its_id
            a_webhook_that_is_replaced_keeps_its_secrets_and_its_state
            a_rotated_secret_signs_along_until_its_end
            a_webhook_is_disabled_for_its_first_reason_until_it_is_enabled
            a_layer_counts_its_versions
            a_key_is_found_by_its_hash_until_deleted
            a_hash_belongs_to_one_key
            deleting_what_is_not_there_is_not_found
            adding_to_a_tenant_that_is_not_there_is_not_found
            every_change_raises_the_revision_and_wakes_who_waits
            ids_grow_with_time
        }
        key {
            a_key_comes_back_as_it_was_made
            an_expired_key_is_found_and_stands_as_expired
            a_rotated_key_is_found_by_both_secrets_and_the_former_has_an_end
            a_second_rotation_forgets_the_former_secret_but_one
            what_cannot_be_rotated_is_refused
            there_are_never_more_keys_than_the_limit_however_many_ask_at_once
            expired_keys_make_room_for_new_ones
            one_key_that_administers_is_left_however_many_are_deleted_at_once
            uses_are_noted_without_a_change_of_the_registry
        }
        secret {
            a_secret_comes_back_as_it_was_put
            a_secret_that_is_put_again_keeps_its_birth_and_changes_all_else
            a_functions_secret_is_another_than_its_tenants
            a_secret_needs_its_tenant_and_its_function
            there_are_never_more_secrets_than_the_limit_however_many_ask_at_once
            secrets_go_with_their_function_and_with_their_tenant
            another_tenants_secrets_are_neither_seen_nor_touched
            everybodys_secrets_page_by_place
            a_secret_is_sealed_anew_only_in_the_place_of_what_was_read
            the_keys_that_seal_are_counted
        }
        audit {
            a_line_is_there_before_its_end_and_after_a_crash
            a_line_ends_once
            lines_are_found_by_tenant_key_operation_and_time_newest_first
            lines_outlive_their_tenant_and_are_not_its_successors
            only_age_removes_a_line
        }
        function {
            a_function_is_made_and_replaced_under_one_id
            versions_count_up_and_never_change
            a_version_goes_live_when_asked
            live_is_an_alias_like_any_other
            an_alias_to_a_missing_version_is_not_found
            a_quarantine_is_lifted_by_the_next_live_version
            a_stop_stays_until_it_is_lifted_whatever_goes_live
            an_image_is_replaced_and_nothing_else
            a_deleted_function_takes_its_versions_and_aliases_along
            a_function_made_anew_is_another_one
            functions_are_there_after_a_crash
        }
        rollout {
            a_rollout_begins_with_its_version_and_knows_whom_it_is_for
            a_step_makes_a_version_and_puts_it_live_in_one_commit
            a_function_whose_live_version_moved_is_passed_over
            each_function_has_one_step_and_only_while_the_rollout_runs
            a_rollout_ends_as_done_or_as_failed_with_what_did_not_build
            a_rollout_goes_on_after_a_crash_with_what_has_no_step
            a_newer_version_supersedes_the_rollout_that_runs
            what_is_taken_back_is_what_the_rollout_made_and_is_still_live
            what_made_nothing_is_taken_back_at_once
            a_way_back_goes_on_after_a_crash
            a_layer_goes_back_version_by_version_and_on_again
            only_the_latest_rollouts_are_kept
            a_deleted_tenants_steps_go_with_it
        }
        erase {
            a_deleted_tenant_is_gone_with_what_it_set_up
            bodies_results_and_logs_are_erased_and_the_records_stay
            long_bodies_are_erased_like_short_ones
            what_waits_is_cancelled_and_what_runs_is_fenced
            outbox_lines_and_pending_deliveries_go
            the_ledger_stays
            identities_are_free_again
            another_tenant_keeps_everything
            the_name_is_free_for_another_tenant
            an_erased_tenant_stays_erased_after_a_crash
            inputs_are_erased_wherever_they_went
        }
        ledger {
            usage_is_added_up_per_hour_tenant_and_function
            a_query_takes_whole_hours_half_open
            a_query_sees_its_tenant_and_function_alone
            sums_equal_the_attempts_after_a_crash
            sums_equal_the_attempts_after_upkeep
        }
        isolation {
            reads_with_another_tenants_id_find_nothing
            queue_writes_with_another_tenants_id_change_nothing
            registry_writes_with_another_tenants_id_change_nothing
            listings_never_show_another_tenants_rows
        }
        lifecycle {
            a_closed_store_refuses_every_write
            what_was_there_at_the_close_is_there_again
            the_greatest_id_is_known_whatever_became_of_its_row
            upkeep_changes_no_answer
            upkeep_keeps_what_is_still_needed
            calls_at_once_are_each_carried_out
        }
        walk {
            the_balance_and_the_ledger_hold_on_a_long_random_walk
            the_balance_and_the_ledger_hold_on_a_random_walk_with_crashes
        }
    } };
    (@cases () $($family:ident { $($case:ident)* })*) => {
        /// Every case, family by family.
        pub fn cases() -> Vec<Case> {
            vec![$($(Case {
                name: concat!(stringify!($family), "::", stringify!($case)),
                run: |world| Box::pin($family::$case(world)),
            }),*),*]
        }
    };
    (@tests ($make:expr) $($family:ident { $($case:ident)* })*) => {$(
        mod $family {
            #[allow(unused_imports, reason = "the expression that makes a harness may name what is outside")]
            use super::*;
            $(
                #[tokio::test]
                async fn $case() {
                    let name = concat!(stringify!($family), "::", stringify!($case));
                    $crate::conformance::run_case(name, Box::new($make)).await;
                }
            )*
        }
    )*};
    ($make:expr) => { $crate::conformance_tests! { @list tests ($make) } };
}

conformance_tests! { @list cases () }
