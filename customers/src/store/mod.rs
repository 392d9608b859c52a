//! SQL statements for the customer and user account tables.

pub(crate) mod accounts;
pub(crate) mod customers;
