//! Helpers shared by the servers' tests: conformance to the OpenAPI document, access checks, messages about invalid
//! input, and a running program with its log and metrics.

mod credentials;
mod messages;
mod program;
mod responses;
mod scrape;

pub use credentials::access_violations;
pub use messages::message_violations;
pub use program::{Program, program_output};
pub use responses::runtime;
pub use scrape::Scrape;
