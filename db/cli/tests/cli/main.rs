//! Tests of sample data, schema files and the program `db` on a real server; see `db_testing` for how the server is
//! selected.

#![expect(clippy::unwrap_used, clippy::expect_used, clippy::panic, reason = "a failing test helper fails the test")]

mod program;
mod reindex;
mod schema;
mod seed;
mod support;
