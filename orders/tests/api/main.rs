//! The Orders API from outside: a real server, a real database, the real customers service or a fake that fails on
//! command, and the generated client.
//!
//! # Which rule is shown where
//!
//! The rule of idempotency keys:
//!
//! | rule | shown by |
//! | --- | --- |
//! | either header, also quoted, 1 to 255 visible ASCII characters, once | `create::a_key_is_taken_under_either_name_of_its_header`, `confirm::a_key_is_required` |
//! | the operation and the caller are part of the key | `create::keys_differ_by_case_caller_and_operation` |
//! | what is hashed is the request as it was understood | `create::the_same_key_and_request_are_answered_with_the_same_bytes` |
//! | same key, other request: 422 | `create::the_same_key_with_another_request_is_refused`, `confirm::a_key_that_was_used_for_another_order_is_refused`, `cancel::a_key_makes_a_cancel_repeatable` |
//! | same key, the first still runs: 409 within 2 s | `confirm::a_key_whose_first_request_still_runs_is_in_progress`, `time_limits::a_key_that_another_request_holds_is_told_in_time` |
//! | a replay has the status and the bytes of the first answer, and says so | `create::the_same_key_and_request_are_answered_with_the_same_bytes`, `create::a_replay_has_the_place_and_the_version_of_the_first_answer` |
//! | only successes are kept | `create::what_was_refused_is_looked_at_anew_under_the_same_key`, `confirm::what_is_refused_is_not_kept` |
//! | outcome of COMMIT unknown: look, never guess | `connection_loss::a_confirm_succeeds_and_happens_once`, `connection_loss::a_doubt_that_cannot_be_settled_is_told_and_the_same_key_settles_it`, `connection_loss::a_create_without_a_key_does_not_guess` |
//! | kept for 72 h; an expired row counts for nothing and is deleted | `confirm::keys_are_kept_for_three_days`, `confirm::an_expired_key_runs_again_and_changes_nothing`, `expiry::expired_keys_are_forgotten_and_live_ones_are_not` |
//!
//! Confirm:
//!
//! | rule | shown by |
//! | --- | --- |
//! | the first call on CREATED | `confirm::a_created_order_becomes_confirmed` |
//! | the same key again | `confirm::the_same_key_again_is_answered_with_the_same_bytes` |
//! | another key: 200, no second transition | `confirm::a_confirmed_order_stays_as_it_is_under_another_key` |
//! | the same key, another order: 422 | `confirm::a_key_that_was_used_for_another_order_is_refused` |
//! | unknown 404, CANCELED 409, nothing kept | `confirm::what_is_refused_is_not_kept` |
//! | confirm, cancel, confirm again: a replay, and the order stays CANCELED | `confirm::a_replay_does_not_bring_a_canceled_order_back` |
//! | bad token with a stored key: 401 | `confirm::a_stored_answer_is_not_given_to_a_stranger` |
//! | an error before COMMIT, then the same key | `confirm::an_error_before_the_commit_leaves_nothing_and_the_same_key_works_afterwards` |
//! | the server dies with the row locked | `connection_loss::a_server_that_dies_with_its_rows_locked_leaves_nothing_to_unlock` |
//! | the connection is cut before or after COMMIT | `connection_loss::a_confirm_succeeds_and_happens_once` |
//! | an expired key | `confirm::an_expired_key_runs_again_and_changes_nothing` |
//! | deadlock, lock timeout, 1020 | `collisions::what_collides_is_tried_again_and_the_caller_does_not_notice`, `collisions::the_victim_of_a_deadlock_starts_over_and_succeeds`, `collisions::a_row_that_is_locked_for_longer_than_a_lock_is_waited_for_only_delays`, `collisions::what_collides_to_the_end_is_unavailable_for_a_moment_and_leaves_nothing` |
//! | `abc` and `ABC` | `confirm::keys_that_differ_by_case_are_two_keys` |
//!
//! Create:
//!
//! | rule | shown by |
//! | --- | --- |
//! | no key: two orders of an operator, 400 for a service | `create::without_a_key_two_calls_of_an_operator_are_two_orders`, `create::without_a_key_a_service_is_refused` |
//! | the same key and body | `create::the_same_key_and_request_are_answered_with_the_same_bytes`, `connection_loss::a_create_under_a_key_succeeds_and_happens_once` |
//! | the same key, another body: 422 | `create::the_same_key_with_another_request_is_refused` |
//! | 409, restock, the same key | `create::what_was_refused_is_looked_at_anew_under_the_same_key` |
//! | a replay while customers is down, the customer gone, the price changed | `customer_check::a_replay_needs_no_customers_service_no_customer_and_no_old_price` |
//! | customers slow, failing, refused on a first call | `customer_check::a_customers_service_that_fails_to_the_end_is_unavailable_and_tells_nothing`, `customer_check::a_customers_service_that_is_silent_is_given_up_after_five_seconds`, `customer_check::a_customers_service_that_is_not_there_is_unavailable`, `time_limits::a_silent_customers_service_is_told_in_time` |
//! | the key's row expired, the order exists | `create::an_expired_key_never_makes_a_second_order` |
//! | `expected_total_cents` differs | `create::an_order_that_would_cost_something_else_is_refused_with_the_current_total` |
//!
//! Stock and the order's states:
//!
//! | rule | shown by |
//! | --- | --- |
//! | CANCELED is final, and gives its stock back once | `cancel::a_created_order_gives_its_stock_back`, `cancel::a_canceled_order_stays_as_it_is` |
//! | CONFIRMED can be canceled for 10 minutes | `cancel::a_confirmed_order_can_be_canceled_for_ten_minutes`, and to the microsecond a unit test beside the rule |
//! | a second restock violates a key; the stock is its ledger | `cancel::a_second_restock_violates_a_key_of_the_ledger`, `stock::the_ledger_has_everything_that_changed_the_stock_newest_first` |
//! | the stock is never negative | `stock::the_stock_cannot_leave_its_limits`, `create::every_product_that_is_short_is_named_and_nothing_is_taken` |
//! | lines of one product count together, in checked numbers | `create::lines_of_one_product_count_together`, `create::the_largest_order_fits_its_total` |
//! | an absolute stock is set only over what the caller saw, where it says what that was | `products::a_change_holds_only_for_the_version_that_the_caller_saw`, `products::a_stock_that_the_caller_did_not_see_is_not_overwritten` |
//! | adjustments | `stock::an_adjustment_adds_or_takes_and_is_written_down` |
//! | reserved for 15 minutes, orders of operators for ever | `create::an_order_of_a_service_is_reserved_for_a_quarter_of_an_hour_and_an_operators_is_not` |
//! | the sweeper | `expiry::an_order_that_is_not_confirmed_in_time_is_canceled_and_its_stock_comes_back`, `expiry::an_order_that_somebody_works_on_holds_up_no_other` |
//! | events | `cancel::the_events_tell_who_did_what_newest_first` |
//!
//! What happens at once, and what happens halfway:
//!
//! | rule | shown by |
//! | --- | --- |
//! | the same key 64 times at once | `races::sixty_four_clients_with_fifty_keys_in_common_make_fifty_orders`, `races::sixty_four_confirms_under_one_key_are_one_transition` |
//! | 64 keys at once on one order | `races::sixty_four_confirms_under_as_many_keys_are_one_transition` |
//! | orders for one product share a transaction, and none fails because of another | `batches::orders_for_one_product_share_commits`, `batches::a_rejected_order_leaves_nothing_and_does_not_affect_its_batch` |
//! | a row that is locked elsewhere delays only the orders for it | `batches::a_locked_product_delays_no_order_for_another_product`, `time_limits::orders_for_a_locked_product_leave_connections_and_time_to_everything_else` |
//! | stock 100, 400 buyers of 1 | `races::four_hundred_buyers_of_a_hundred_pieces_get_a_hundred` |
//! | (A,B) and (B,A) by 32 workers; under 1 % of transactions retried | `retries::two_thousand_orders_of_two_products_in_opposite_orders_all_succeed_and_hardly_one_is_tried_again` |
//! | 64 cancels of one order | `races::sixty_four_cancels_are_one_restock` |
//! | confirm, cancel and expiry at once | `expiry::five_hundred_orders_that_are_confirmed_canceled_and_expired_at_once_end_legally` |
//! | price and stock edits against orders | `races::edits_of_price_and_stock_lose_nothing_to_orders` |
//! | a create and its abandon at once, and an abandon that comes first | `abandon::a_create_and_its_abandon_at_once_leave_no_order_alive`, `abandon::a_create_that_never_arrived_is_refused_from_then_on` |
//! | an abandon leaves other content alone | `abandon::the_order_of_another_request_under_the_key_is_left_alone` |
//! | a caller hangs up, a server ends in the middle | `dropped::clients_that_hang_up_leave_every_connection_and_every_book_in_order`, `dropped::a_server_that_is_torn_down_in_the_middle_of_requests_leaves_nothing_behind` |
//! | the database is killed, or hangs, and comes back | `outage::a_database_that_is_killed_is_told_in_time_and_its_return_is_noticed`, `outage::a_database_that_does_not_answer_is_told_in_time_and_its_return_is_noticed` |
//! | whatever else | `model::whatever_is_done_in_whatever_order_is_answered_as_the_model_says` |

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod abandon;
mod bad_input;
mod batches;
mod books;
mod cancel;
mod collisions;
mod confirm;
mod connection_loss;
mod create;
mod credentials;
mod customer_check;
mod discretion;
mod dropped;
mod expiry;
mod fake_customers;
mod harness;
mod lists;
mod metrics;
mod model;
mod outage;
mod products;
mod races;
mod retries;
mod stock;
mod system;
mod time_limits;
