//! Clients for other services.

pub(crate) mod customers;
