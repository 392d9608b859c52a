//! The rules: what may be done to customers and operators, and who may log in. Knows neither HTTP nor SQL.
//!
//! `login` exchanges passwords for tokens, `throttle` says how often somebody may guess, `passwords` keeps and compares
//! them, `operators` and `customers` are what may be done to each.

mod customers;
mod error;
mod login;
mod operators;
mod passwords;
mod throttle;

pub(crate) use customers::Customers;
pub(crate) use login::{Bootstrap, Login};
pub(crate) use operators::Operators;
pub(crate) use passwords::Passwords;
pub(crate) use throttle::Throttle;
