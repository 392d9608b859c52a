//! Tests of the Orders API over HTTP. They use a real server and database, the generated client, and either the real
//! customers service or a fake that fails on demand.
//!
//! # Guarantees and their tests
//!
//! Idempotency keys:
//!
//! | guarantee | test |
//! | --- | --- |
//! | a key is accepted in either header, with or without quotes, and has 1 to 255 visible ASCII characters; repeated or contradictory headers: 400 | `create::key_is_accepted_in_either_header`, `confirm::a_key_is_required` |
//! | keys are scoped to the operation and the caller | `create::keys_are_distinct_by_case_caller_and_operation` |
//! | the request hash covers the parsed request | `create::same_key_and_request_replays_the_same_bytes` |
//! | same key, different request: 422 | `create::same_key_with_a_different_request_is_rejected`, `confirm::key_of_another_order_is_rejected`, `cancel::cancel_with_a_key_is_replayed` |
//! | same key, first request in flight: 409 within 2 s | `confirm::key_of_a_request_in_flight_is_in_progress`, `time_limits::key_held_by_another_request_is_reported_in_time` |
//! | a replay has status, headers and bytes of the first response, and is marked | `create::same_key_and_request_replays_the_same_bytes`, `create::replay_has_the_headers_of_the_first_response` |
//! | a retry matches the hash that an earlier release stored | `earlier_release::create_stored_by_the_first_release_is_replayed`, `earlier_release::confirm_and_cancel_stored_by_the_first_release_are_replayed`, `earlier_release::create_stored_by_the_first_release_can_be_abandoned` |
//! | only successes are stored | `create::refused_create_is_evaluated_again_with_the_same_key`, `confirm::refusals_are_not_stored` |
//! | ambiguous COMMIT: the outcome is read, never guessed | `connection_loss::confirm_is_applied_once_if_the_connection_is_lost_at_commit`, `connection_loss::unresolved_commit_is_outcome_unknown_and_a_retry_resolves_it`, `connection_loss::create_without_a_key_is_outcome_unknown_after_an_ambiguous_commit` |
//! | stored for 72 h; an expired row is ignored and deleted | `confirm::keys_are_stored_for_72_hours`, `confirm::expired_key_is_executed_again_and_changes_nothing`, `expiry::expired_keys_are_deleted_and_live_keys_are_kept` |
//!
//! Confirm:
//!
//! | guarantee | test |
//! | --- | --- |
//! | the first confirm request changes a CREATED order to CONFIRMED | `confirm::a_created_order_becomes_confirmed` |
//! | same key: replay | `confirm::same_key_replays_the_same_bytes` |
//! | different key: 200, no second transition | `confirm::different_key_on_a_confirmed_order_changes_nothing` |
//! | same key, different order: 422 | `confirm::key_of_another_order_is_rejected` |
//! | unknown order: 404; CANCELED order: 409; neither response is stored | `confirm::refusals_are_not_stored` |
//! | confirm, cancel, then a retry of the confirm request: replay, and the order stays CANCELED | `confirm::replay_does_not_reopen_a_canceled_order` |
//! | invalid token with a key that has a stored response: 401 | `confirm::stored_response_requires_authentication` |
//! | an error before COMMIT, followed by a retry with the same key | `confirm::error_before_commit_leaves_nothing_and_the_key_can_be_retried` |
//! | server crash while it holds a row lock | `connection_loss::crashed_server_releases_its_row_locks` |
//! | connection lost before or after COMMIT | `connection_loss::confirm_is_applied_once_if_the_connection_is_lost_at_commit` |
//! | expired key | `confirm::expired_key_is_executed_again_and_changes_nothing` |
//! | deadlock, lock timeout, or error 1020 | `conflicts::conflicting_transaction_is_retried_transparently`, `conflicts::deadlock_victim_is_retried_and_succeeds`, `conflicts::lock_timeout_on_a_locked_row_only_delays_the_request`, `conflicts::persistent_conflict_is_unavailable_and_leaves_nothing` |
//! | `abc` and `ABC` are different keys | `confirm::keys_are_case_sensitive` |
//!
//! Create:
//!
//! | guarantee | test |
//! | --- | --- |
//! | without a key: two orders for an operator, 400 for a service | `create::two_creates_of_an_operator_without_a_key_are_two_orders`, `create::create_of_a_service_without_a_key_is_rejected` |
//! | same key and body: one order | `create::same_key_and_request_replays_the_same_bytes`, `connection_loss::create_is_applied_once_if_the_connection_is_lost_at_commit` |
//! | same key, different body: 422 | `create::same_key_with_a_different_request_is_rejected` |
//! | 409, stock adjustment, retry with the same key: 201 | `create::refused_create_is_evaluated_again_with_the_same_key` |
//! | replay while the customers service is down, the customer deleted, the price changed | `customer_check::replay_is_independent_of_customers_service_customer_and_price` |
//! | customers service slow, failing or unreachable | `customer_check::failing_customers_service_is_unavailable_and_its_errors_stay_hidden`, `customer_check::unresponsive_customers_service_times_out_after_five_seconds`, `customer_check::unreachable_customers_service_is_unavailable`, `time_limits::unresponsive_customers_service_is_reported_in_time` |
//! | key expired, order exists: no second order | `create::expired_key_never_creates_a_second_order`, `customer_check::order_of_an_expired_key_is_returned_although_its_customer_was_deleted` |
//! | different `expected_total_cents`: 409 | `create::different_expected_total_is_rejected_with_the_current_total` |
//!
//! Stock and order status:
//!
//! | guarantee | test |
//! | --- | --- |
//! | CANCELED is final, and the stock is returned exactly once | `cancel::cancel_of_a_created_order_returns_its_stock`, `cancel::cancel_of_a_canceled_order_changes_nothing` |
//! | a CONFIRMED order can be canceled for 10 minutes | `cancel::a_confirmed_order_can_be_canceled_for_ten_minutes`; to the microsecond: unit test in `src/app/cancel.rs` |
//! | a second return of the same stock violates a unique key; the stock equals the sum of its ledger entries | `cancel::second_stock_return_violates_a_unique_key_of_the_ledger`, `stock::ledger_lists_every_stock_change_newest_first` |
//! | the stock is never negative | `stock::stock_stays_within_its_limits`, `create::shortage_names_every_product_and_allocates_nothing` |
//! | the quantities of lines for one product are summed, without overflow | `create::lines_of_one_product_are_added_up`, `create::total_of_the_largest_order_does_not_overflow` |
//! | an absolute stock is set only if the version and `expected_stock`, if given, match | `products::update_with_a_wrong_version_is_rejected`, `products::stock_is_not_set_unless_it_equals_the_expected_stock` |
//! | stock adjustments | `stock::adjustment_changes_the_stock_and_is_recorded` |
//! | orders created by services reserve stock for 15 minutes, orders created by operators without a time limit | `create::only_orders_of_services_are_reserved_for_15_minutes` |
//! | expiry of reservations | `expiry::unconfirmed_order_expires_and_returns_its_stock`, `expiry::locked_order_delays_expiry_of_no_other` |
//! | events | `cancel::events_record_status_and_principal_newest_first` |
//!
//! Concurrency and interruptions:
//!
//! | guarantee | test |
//! | --- | --- |
//! | same key from 64 clients | `races::sixty_four_clients_with_the_same_fifty_keys_create_fifty_orders`, `races::sixty_four_confirms_with_one_key_are_one_transition` |
//! | 64 keys on one order | `races::sixty_four_confirms_with_different_keys_are_one_transition` |
//! | orders for one product share a transaction, and none fails because of another one | `batches::orders_for_one_product_share_commits`, `batches::a_rejected_order_leaves_nothing_and_does_not_affect_its_batch`, `batches::an_expired_key_whose_order_exists_affects_only_its_own_order` |
//! | a locked row delays only the orders for its product, also after their batch has failed | `batches::a_locked_product_delays_no_order_for_another_product`, `batches::an_order_that_waits_for_a_locked_product_holds_no_other`, `time_limits::orders_for_a_locked_product_do_not_starve_other_operations`, `time_limits::orders_of_a_failed_batch_do_not_starve_other_operations` |
//! | a key held by another server delays only its own order | `batches::a_key_held_by_another_server_delays_only_its_own_order`, `batches::orders_for_one_product_do_not_wait_for_a_key_held_by_another_server` |
//! | locks are held for a number of round trips that does not depend on the number of products | `round_trips::round_trips_do_not_depend_on_the_number_of_products` |
//! | stock of 100, 400 buyers: 100 orders | `races::four_hundred_buyers_of_a_stock_of_100_get_100_orders` |
//! | orders of (A,B) and (B,A) by 32 workers: under 1 % of transactions are retried | `retries::orders_of_products_in_opposite_order_succeed_with_few_retries` |
//! | 64 cancels of one order | `races::sixty_four_cancels_return_the_stock_once` |
//! | concurrent confirm, cancel and expiry | `expiry::concurrent_confirm_cancel_and_expiry_end_in_a_legal_state` |
//! | concurrent orders and edits of price and stock | `races::concurrent_edits_and_orders_lose_no_update` |
//! | create and abandon, concurrently and in reverse order | `abandon::concurrent_create_and_abandon_leave_no_active_order`, `abandon::abandoned_key_rejects_a_late_create` |
//! | abandon with different content changes nothing | `abandon::abandon_with_different_content_is_rejected_and_changes_nothing` |
//! | client disconnects, server ends during a request | `interruptions::disconnecting_clients_leak_no_connection_and_violate_no_invariant`, `interruptions::server_aborted_during_requests_leaves_no_partial_change` |
//! | database killed or unresponsive, and its recovery | `outage::killed_database_is_reported_in_time_and_recovery_is_detected`, `outage::unresponsive_database_is_reported_in_time_and_recovery_is_detected` |
//! | database read-only; at the start not reachable | `outage::server_is_not_ready_while_the_database_is_read_only`, `outage::program_listens_once_it_has_reached_the_database_and_survives_outages` |
//! | random sequences of operations | `model::random_operations_match_the_model` |

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod abandon;
mod bad_input;
mod batches;
mod cancel;
mod confidentiality;
mod confirm;
mod conflicts;
mod connection_loss;
mod create;
mod credentials;
mod customer_check;
mod earlier_release;
mod expiry;
mod fake_customers;
mod harness;
mod interruptions;
mod invariants;
mod lists;
mod metrics;
mod model;
mod outage;
mod products;
mod races;
mod retries;
mod round_trips;
mod stock;
mod system;
mod time_limits;
