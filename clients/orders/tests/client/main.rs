//! The client before a server that fails in the ways that matter. What the real servers answer is tested with them; what
//! needs a clock, beside `client_common::Retry`.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a helper of a test fails the test")]

mod calls;
mod lists;
mod server;
