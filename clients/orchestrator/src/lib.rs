//! Typed client of the orchestrator service, generated from `specs/orchestrator.json`.
//!
//! Only the error codes and how an error body shows its code are written by hand.

pub mod codes;

mod generated {
    #![expect(clippy::all, clippy::restriction, clippy::pedantic, missing_docs, reason = "generated code")]

    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

pub use generated::*;

impl outbound::Coded for types::Failure {
    fn code(&self) -> Option<&str> {
        Some(&self.error.code)
    }
}

/// The example in the clients' README compiles.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;
