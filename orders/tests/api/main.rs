//! The Orders API from outside: a real server, a real database, the real customers service or a fake that fails on
//! command, and the generated client.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a test fails by panicking")]

mod abandon;
mod bad_input;
mod books;
mod cancel;
mod confirm;
mod connection_loss;
mod create;
mod credentials;
mod customer_check;
mod expiry;
mod fake_customers;
mod harness;
mod lists;
mod products;
mod races;
mod stock;
mod system;
mod time_limits;
