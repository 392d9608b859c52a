//! Typed client of the customers service, generated from `specs/customers.json`.
//!
//! Only the error codes and how an error body shows its code are written by hand.

pub mod codes;

mod generated {
    #![expect(clippy::all, clippy::restriction, clippy::pedantic, missing_docs, reason = "generated code")]

    include!(concat!(env!("OUT_DIR"), "/client.rs"));
}

pub use generated::*;

impl outbound::Coded for types::Error {
    fn code(&self) -> Option<&str> {
        self.error_code.as_deref()
    }
}
