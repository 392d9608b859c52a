//! Tests of the load against the three real servers, and of the verifier against manipulated databases.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod proxy;
mod runs;
mod system;
mod tampering;
