//! End-to-end tests of the Customers API: a running server, a database and the generated client.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod bad_input;
mod client;
mod confidentiality;
mod credentials;
mod customers;
mod harness;
mod lists;
mod login;
mod metrics;
mod passwords;
mod system;
mod user_accounts;
