//! Tests of the client with a fake server that simulates failures. The tests of the servers cover real responses; the
//! tests of `client_common::Retry` cover timing.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

mod calls;
mod lists;
mod server;
