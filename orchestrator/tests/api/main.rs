//! Integration tests of the orchestrator. They use the real local server and Lambda function, and fake upstream
//! services behind fault-injection proxies. Some tests use the real upstream services.
//!
//! # Rules and their tests
//!
//! | rule | tests |
//! | --- | --- |
//! | invalid body, field that is unknown or out of range, or missing key: 400 | `input::invalid_field_is_named_and_no_step_runs`, `input::body_that_is_not_one_json_document_is_rejected` |
//! | missing or invalid token: 401 | `callers::invalid_credentials_are_rejected_before_any_upstream_call`, `callers::every_operation_enforces_its_documented_credentials` |
//! | validate: unknown or deleted customer | `validate::unknown_customer_is_not_found`, `outages::confirmed_order_of_a_deleted_customer_is_returned`, `outages::unconfirmed_order_of_a_deleted_customer_is_pending` |
//! | validate: 5xx or connection refused in every attempt: 503 | `validate::persistent_customers_failure_is_unavailable`, `validate::refused_customers_connection_is_unavailable` |
//! | validate: timeout in every attempt: 504 | `validate::silent_customers_service_is_a_timeout` |
//! | validate: two attempts fail, and the third succeeds | `validate::two_customers_failures_are_retried` |
//! | validate: 401 from the customers service is reported as `upstream_auth`, without the upstream message | `validate::refused_credentials_are_upstream_auth_and_do_not_leak_the_message` |
//! | create: insufficient stock, unknown product | `create::insufficient_stock_reports_the_available_quantity`, `create::unknown_product_is_not_found`, `real_services::upstream_refusals_are_reported` |
//! | create: request or response lost | `create::lost_request_or_response_still_yields_one_confirmed_order`, `real_services::lost_requests_and_responses_yield_one_confirmed_order_each` |
//! | create: outcome unknown; the request never reached the orders service | `create::create_that_never_arrived_is_abandoned`, `real_services::ambiguous_create_is_abandoned_and_its_key_is_spent` |
//! | create: outcome unknown; the request reached the orders service | `create::create_that_arrived_is_compensated`, `real_services::ambiguous_create_is_abandoned_and_its_key_is_spent` |
//! | create: outcome unknown, and the abandon request fails | `create::failed_abandon_is_pending_and_the_same_key_resolves_it` |
//! | create: an attempt arrives after the abandon request | `create::create_arriving_after_abandon_is_refused`, `create::create_in_flight_is_abandoned_after_a_refused_retry`, `real_services::late_create_is_refused` |
//! | confirm: one 503, or a lost response | `confirm::failed_confirm_is_retried_and_applied_once`, `real_services::lost_requests_and_responses_yield_one_confirmed_order_each` |
//! | confirm: an operator canceled the order | `confirm::order_canceled_by_an_operator_stays_canceled`, `real_services::order_canceled_by_an_operator_is_reported` |
//! | confirm: every attempt fails, and none is applied | `confirm::unconfirmable_order_is_canceled`, `confirm::reserved_time_is_used_for_compensation`, `real_services::unconfirmable_order_is_canceled_once` |
//! | confirm: outcome unknown, but the confirmation was applied: 201 | `confirm::applied_confirm_with_lost_responses_succeeds`, `real_services::confirm_with_lost_responses_succeeds` |
//! | confirm and cancel: all attempts fail | `confirm::failed_confirm_and_cancel_leave_compensation_pending`, `confirm::same_key_resolves_pending_compensation`, `real_services::same_key_resolves_pending_compensation`, `outages::key_of_an_order_with_expired_reservation_is_spent` |
//! | cancel: the response is lost, and the request is retried | `confirm::retried_cancel_restores_stock_once`, `real_services::unconfirmable_order_is_canceled_once` |
//! | the function is killed after the create step | `keys::same_key_resumes_after_a_function_is_killed`, `outages::key_of_an_order_with_expired_reservation_is_spent` |
//! | same key in 32 concurrent requests | `concurrency::fifty_keys_from_32_concurrent_callers_create_fifty_orders`, `real_services::same_key_32_times_concurrently_creates_one_order_despite_lost_responses` |
//! | a run does not compensate an order that another run created or may have created | `confirm::order_created_by_another_run_is_not_canceled`, `confirm::order_with_unknown_creator_is_not_canceled`, `create::create_in_progress_elsewhere_is_not_compensated`, `confirm::confirm_in_progress_elsewhere_is_not_compensated`; exception: a create whose outcome stays unknown is abandoned regardless of its creator: `create::ambiguous_create_is_abandoned_regardless_of_creator` |
//! | another transaction has locked a key in the orders service | `outages::create_key_held_elsewhere_is_waited_for_and_not_compensated`, `outages::confirm_key_held_elsewhere_is_waited_for_and_not_compensated` |
//! | the orders service crashes | `outages::same_key_resolves_a_crash_of_the_orders_server_during_confirm` |
//! | the database server crashes or restarts | not tested here; see `cargo xtask chaos` |
//! | same key, different request: 422 | `keys::same_key_with_a_different_request_is_rejected`, `validate::key_of_a_different_request_is_rejected_despite_failed_validation`, `create::confirmed_order_of_a_different_request_is_not_returned` |
//! | key of a compensated saga is spent: 409 | `keys::key_of_a_canceled_order_is_spent`, `keys::abandoned_key_is_spent` |
//! | a request that differs only in its correlation ID: replay | `keys::different_correlation_id_is_a_replay` |
//! | the same request returns the same bytes | `keys::repeated_request_returns_the_same_bytes`, `real_services::sample_request_creates_a_confirmed_order_and_replays_it` |
//! | every upstream request with every transient fault, once | `matrix::single_transient_fault_does_not_change_the_outcome`, `matrix::brief_connection_refusal_is_retried_without_duplicates` |
//! | every upstream request with every permanent fault, and then a retry with the same key | `matrix::permanent_fault_has_the_documented_outcome_and_the_same_key_resolves_it` |
//! | every step and compensation request is delivered twice | `matrix::duplicate_delivery_has_one_effect`, `matrix::delivery_after_completion_has_no_effect`, `real_services::duplicated_steps_and_compensations_have_one_effect`, `matrix::confirm_after_cancel_is_refused` |
//! | function: the invocation's deadline is earlier than the saga's deadline | `program::function_with_a_short_timeout_responds_before_it_expires`, `program::function_with_no_time_left_fails_at_once_without_upstream_calls` |
//! | function: frozen between two invocations | `program::connections_closed_while_frozen_do_not_fail_the_next_invocation`, `program::invocation_log_is_written_before_the_function_freezes` |
//! | function: all event formats, and malformed events | `entry_points::lambda_and_local_server_respond_identically_to_every_event_shape`, `entry_points::malformed_gateway_events_get_a_response` |
//!
//! Unit tests cover the time limits (`policy`), retries (`client_common::Retry`), and the status, code and retry advice
//! for each failure (`failure`).

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod callers;
mod concurrency;
mod confidentiality;
mod confirm;
mod create;
mod entry_points;
mod fake_customers;
mod fake_orders;
mod fault_proxy;
mod harness;
mod input;
mod instance;
mod keys;
mod matrix;
mod metrics;
mod outages;
mod program;
mod real_services;
mod services;
mod shutdown;
mod system;
mod traces;
mod validate;
