//! Shared parts of the servers' tests: checks by the document, and the program itself with its log and its metrics.

mod answers;
mod credentials;
mod program;
mod scrape;

pub use answers::runtime;
pub use credentials::credentials_that_get_in;
pub use program::{Program, everything_it_writes};
pub use scrape::Scrape;
