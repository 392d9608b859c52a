//! Clients that use the running system as good clients do: they retry under the same key until they have a definite answer.
//! They keep every request with its answer, and [`History::verify`] checks afterwards that all answers were true.
//!
//! Nothing here shares code with a server: what is known of them is their documents.

mod answer;
mod contract;
mod history;
mod operations;
mod outcome;
mod progress;
mod request;
mod run;
mod session;
mod shop;
mod verify;

pub use history::History;
pub use progress::Progress;
pub use run::Load;

/// Addresses of the system, and credentials for it.
#[derive(Clone)]
pub struct Targets {
    /// The base URL of the customers service.
    pub customers: String,
    /// The base URL of the orders service.
    pub orders: String,
    /// The base URL of the orchestrator.
    pub orchestrator: String,
    /// The operator's name.
    pub admin_user: String,
    /// The operator's password.
    pub admin_password: String,
    /// The token that services share.
    pub service_token: String,
    /// Whether a balancer in front of the services answers 502, 503 or 504 by itself when no service does.
    pub behind_balancer: bool,
}
