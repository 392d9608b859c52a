//! Tests the client with a fake server that fails in relevant ways. Real responses are tested with the servers; timing
//! is tested in `client_common::Retry`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

mod calls;
mod lists;
mod server;
