//! The crate against a real server: see `db_testing` for which one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    reason = "a helper of a test that cannot go on has failed the test"
)]

mod batch_loader;
mod classify;
mod dropped;
mod guard;
mod idempotency;
mod insert;
mod migrations;
mod prefix_index;
mod support;
mod transaction;
