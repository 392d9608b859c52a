//! Tests of the load with the three real servers, and of the verifier with manipulated databases.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod proxy;
mod runs;
mod system;
mod tampering;
