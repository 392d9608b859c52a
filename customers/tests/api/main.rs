//! The Customers API from outside: a real server, a real database, the generated client.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod client;
mod credentials;
mod customers;
mod discretion;
mod harness;
mod lists;
mod login;
mod metrics;
mod operators;
mod passwords;
mod system;
