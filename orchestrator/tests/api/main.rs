//! The orchestrator from outside: the real servers of this crate, before fakes of the services behind it. Between the
//! two lies a line on which requests and answers get lost on command.
//!
//! # Which rule is shown where
//!
//! | rule | shown by |
//! | --- | --- |
//! | an invalid body, a field out of range or unknown, no key: 400 | `input::a_bad_field_is_named_and_nothing_is_done`, `input::a_body_that_is_not_one_json_document_is_refused` |
//! | no or bad token: 401 | `callers::strangers_are_turned_away_before_anything_is_done`, `callers::every_operation_lets_in_whom_its_document_names_and_nobody_else` |
//! | validate: no such customer, or deleted | `validate::a_customer_nobody_knows_is_not_found`, `outages::the_confirmed_order_of_a_customer_who_is_gone_is_told`, `outages::an_order_left_unconfirmed_by_a_customer_who_is_gone_is_pending` |
//! | validate: 5xx or refused to the end: 503 | `validate::a_customers_service_that_keeps_failing_is_unavailable`, `validate::a_customers_service_that_refuses_connections_is_unavailable` |
//! | validate: timeout to the end: 504 | `validate::a_customers_service_that_never_answers_is_a_timeout` |
//! | validate: fails twice, then answers | `validate::a_customers_service_that_fails_twice_and_then_answers_is_good_enough` |
//! | validate: 401 is ours, and does not leak | `validate::refused_credentials_are_our_fault_and_what_was_said_does_not_leak` |
//! | create: too little stock, no such product | `create::too_little_stock_is_told_with_what_there_is`, `create::a_product_nobody_knows_is_not_found`, `real::what_the_services_refuse_is_told` |
//! | create: request or answer lost | `create::a_lost_request_or_a_lost_answer_still_makes_one_confirmed_order`, `real::lost_requests_and_answers_make_one_confirmed_order` |
//! | create: in doubt to the end, never arrived | `create::a_create_that_never_arrived_is_given_up`, `real::a_create_in_doubt_is_given_up_and_its_key_is_spent` |
//! | create: in doubt to the end, had arrived | `create::a_create_that_had_arrived_is_taken_back`, `real::a_create_in_doubt_is_given_up_and_its_key_is_spent` |
//! | create: in doubt, and abandon fails too | `create::a_create_that_cannot_be_given_up_either_is_pending_and_the_same_key_resolves_it` |
//! | create: a late duplicate after the abandon | `create::a_create_that_arrives_after_it_was_given_up_is_refused`, `create::a_create_still_on_its_way_when_another_attempt_is_refused_is_given_up`, `real::a_create_that_comes_late_is_refused` |
//! | confirm: 503 once, answer lost | `confirm::a_confirmation_that_fails_once_is_made_once`, `real::lost_requests_and_answers_make_one_confirmed_order` |
//! | confirm: an operator canceled the order | `confirm::an_order_that_an_operator_canceled_stays_canceled`, `real::an_order_that_an_operator_canceled_is_told` |
//! | confirm: unreachable to the end, never applied | `confirm::an_order_that_cannot_be_confirmed_is_canceled`, `confirm::when_the_time_for_going_forward_is_up_the_rest_is_used_for_undoing`, `real::an_order_that_cannot_be_confirmed_is_canceled_once` |
//! | confirm: in doubt to the end, had been applied: 201 | `confirm::a_confirmation_that_had_been_made_is_a_success`, `real::a_confirmation_that_came_through_unnoticed_is_a_success` |
//! | confirm: unreachable, and cancel too | `confirm::an_order_that_can_neither_be_confirmed_nor_canceled_is_pending`, `confirm::the_same_key_resolves_what_is_pending`, `real::what_is_pending_is_resolved_by_the_same_key`, `outages::the_key_of_an_order_whose_reservation_has_passed_is_spent` |
//! | cancel: answer lost, sent again | `confirm::a_cancelation_whose_answer_is_lost_gives_the_stock_back_once`, `real::an_order_that_cannot_be_confirmed_is_canceled_once` |
//! | killed after the create | `keys::a_function_killed_after_the_create_is_resumed_by_the_same_key`, `outages::the_key_of_an_order_whose_reservation_has_passed_is_spent` |
//! | the same key 32 at once | `collisions::fifty_keys_from_32_callers_at_once_are_fifty_orders`, `real::the_same_key_32_times_at_once_makes_one_order_also_when_answers_are_lost` |
//! | no loser undoes anything | `confirm::whoever_did_not_make_the_order_does_not_cancel_it`, `confirm::an_order_that_this_run_may_not_have_made_is_not_canceled_by_it`, `create::whoever_finds_another_at_work_with_the_key_leaves_everything_to_it`, `confirm::whoever_finds_another_confirming_with_the_key_leaves_the_order_to_it`; but one whose create stays in doubt gives it up, whoever made the order: `create::a_create_in_doubt_to_the_end_is_given_up_whoever_made_the_order` |
//! | somebody else holds a key at the orders service | `outages::a_create_key_that_another_holds_is_waited_for_and_nothing_is_undone`, `outages::a_confirm_key_that_another_holds_is_waited_for_and_nothing_is_undone` |
//! | the orders service dies | `outages::an_orders_server_that_dies_while_it_confirms_is_resolved_by_the_same_key` |
//! | the database server dies or restarts | no test here; `cargo xtask chaos` does it |
//! | same key, other request: 422 | `keys::another_request_under_the_same_key_is_refused`, `validate::the_key_of_another_order_is_no_good_whoever_fails`, `create::the_order_of_another_request_under_the_key_is_no_success` |
//! | a key whose saga was undone is spent: 409 | `keys::a_key_whose_order_was_undone_is_spent`, `keys::a_key_that_was_given_up_is_spent` |
//! | only the correlation id differs: a replay | `keys::another_correlation_id_is_no_other_request` |
//! | the same request again: the same bytes | `keys::the_same_request_again_is_answered_with_the_same_bytes`, `real::the_sample_request_makes_a_confirmed_order_and_again_the_same` |
//! | every request fails once, in every way | `matrix::whatever_fails_once_the_saga_ends_as_if_it_had_not`, `matrix::a_port_that_refuses_for_a_moment_costs_nothing` |
//! | every request always fails, in every way; the same key later | `matrix::whatever_keeps_failing_the_saga_ends_as_documented_and_the_same_key_resolves_it` |
//! | every step and every undo runs twice | `matrix::whatever_is_delivered_twice_has_one_effect`, `matrix::whatever_is_delivered_once_more_after_the_end_has_no_effect`, `real::steps_and_undos_that_are_delivered_twice_have_one_effect`, `matrix::a_confirmation_that_comes_after_the_undo_is_refused` |
//! | as a function: the invocation's deadline comes sooner | `program::a_function_whose_time_is_short_answers_before_it_is_cut_off`, `program::a_function_that_has_no_time_left_does_nothing_and_says_so_at_once` |
//! | as a function: frozen between two invocations | `program::connections_that_ended_while_the_function_was_frozen_are_no_failure_of_the_next_invocation`, `program::the_log_of_an_invocation_is_written_when_its_answer_is_sent` |
//! | as a function: whatever a gateway sends | `fronts::both_fronts_answer_alike_however_an_event_is_shaped`, `fronts::whatever_a_gateway_lets_through_is_answered` |
//!
//! How long a saga takes is shown beside `policy`, how often it retries beside `client_common::Retry`, and what each code
//! lets the caller do beside `failure`.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod callers;
mod collisions;
mod confirm;
mod create;
mod discretion;
mod fake_customers;
mod fake_orders;
mod fronts;
mod input;
mod instance;
mod keys;
mod line;
mod matrix;
mod metrics;
mod outages;
mod program;
mod real;
mod services;
mod stopping;
mod system;
mod traces;
mod validate;
mod world;
