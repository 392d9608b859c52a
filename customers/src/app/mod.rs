//! Business rules for customers, user accounts and logins, independent of HTTP and SQL.
//!
//! `login` exchanges passwords for tokens, `throttle` rate limits failed login attempts, and `passwords` hashes and
//! verifies passwords. `accounts` and `customers` contain the operations on user accounts and customers.

mod accounts;
mod customers;
mod error;
mod login;
mod passwords;
mod throttle;

pub(crate) use accounts::Accounts;
pub(crate) use customers::Customers;
pub(crate) use login::{Bootstrap, Login};
pub(crate) use passwords::PasswordHasher;
pub(crate) use throttle::Throttle;
