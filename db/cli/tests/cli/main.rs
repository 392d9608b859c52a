//! Seeds, schema files and the program `db` against a real server: see `db_testing` for which one.

#![expect(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    reason = "a helper of a test that cannot go on has failed the test"
)]

mod program;
mod schema;
mod seed;
mod support;
