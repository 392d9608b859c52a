//! The load against the three real servers, and its verifier against databases that were tampered with.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod proxy;
mod runs;
mod system;
mod tampering;
