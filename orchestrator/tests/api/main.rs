//! The orchestrator from outside: the real servers of this crate, before fakes of the services behind it. Between the
//! two lies a line on which requests and answers get lost on command.

#![expect(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "a helper of a test fails the test")]

mod callers;
mod collisions;
mod confirm;
mod create;
mod fake_customers;
mod fake_orders;
mod fronts;
mod input;
mod keys;
mod line;
mod matrix;
mod outages;
mod program;
mod real;
mod services;
mod system;
mod validate;
mod world;
