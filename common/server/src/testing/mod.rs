//! Helpers shared by the servers' tests: conformance to the OpenAPI document, access checks, and a running program with
//! its log and metrics.

mod credentials;
mod program;
mod responses;
mod scrape;

pub use credentials::credentials_that_get_in;
pub use program::{Program, everything_it_writes};
pub use responses::runtime;
pub use scrape::Scrape;
