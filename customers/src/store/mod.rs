//! All SQL on the customers' and the operators' tables.

pub(crate) mod customers;
pub(crate) mod operators;
