//! Typed client of the orders service, generated from `specs/orders.json`.
//!
//! Only the error codes and how an error body shows its code are written by hand.

pub mod codes;

mod generated {
    #![expect(missing_docs, reason = "generated code")]

    progenitor::generate_api!(
        spec = "../../specs/orders.json",
        interface = Builder,
        tags = Merged,
        inner_type = outbound::Outbound,
        pre_hook = outbound::stamp,
        post_hook = outbound::note,
        derives = [PartialEq],
    );
}

pub use generated::*;

impl outbound::Coded for types::Error {
    fn code(&self) -> Option<&str> {
        self.error_code.as_deref()
    }
}
