//! The load against the three real servers, and its judgement against databases that were tampered with.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

mod judgement;
mod proxy;
mod runs;
mod system;
