//! Services that this one calls.

pub(crate) mod customers;
