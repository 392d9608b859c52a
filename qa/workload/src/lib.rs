//! Load generator whose clients behave as documented: they retry with the same idempotency key until they receive a
//! definite response. They record every request and its response, and [`History::verify`] compares this record with the
//! database.
//!
//! This crate shares no code with the servers. It depends only on their OpenAPI documents.

mod contract;
mod history;
mod operations;
mod outcome;
mod progress;
mod request;
mod response;
mod run;
mod session;
mod shop;
mod verify;

pub use history::History;
pub use progress::Progress;
pub use run::Load;

/// Addresses of the system, and credentials for its clients.
#[derive(Clone)]
pub struct Targets {
    /// The base URL of the customers service.
    pub customers: String,
    /// The base URL of the orders service.
    pub orders: String,
    /// The base URL of the orchestrator.
    pub orchestrator: String,
    /// The admin's username.
    pub admin_user: String,
    /// The admin's password.
    pub admin_password: String,
    /// The token that the services share.
    pub service_token: String,
    /// Whether a load balancer in front of the services responds with 502, 503 or 504 when no service is available.
    pub behind_balancer: bool,
}
