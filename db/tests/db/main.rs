//! Integration tests on a real server; see `db_testing` for how the server is selected.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a failing test helper fails the test")]

mod batch_loader;
mod classify;
mod dropped;
mod guard;
mod idempotency;
mod idle;
mod insert;
mod migrations;
mod prefix_index;
mod readiness;
mod support;
mod transaction;
