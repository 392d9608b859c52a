//! Clients that use the running system as good clients do: they retry what may pass, under the same key, until they
//! have an answer. They keep what they asked for and what they were told, and judge afterwards whether all of it is
//! true: see [`History::verify`].
//!
//! `session` is what all clients share, `operations` is what they do, `attempt` sends a request, `retry` says whether to
//! send it again, `outcome` is what came of it, `history` keeps that, `verify` holds it against the database. Nothing
//! here shares code with a server: what is known of them is their documents.

mod attempt;
mod history;
mod operation;
mod operations;
mod outcome;
mod progress;
mod retry;
mod run;
mod session;
mod shop;
mod verify;

pub use history::{History, Summary};
pub use operation::Operation;
pub use progress::Progress;
pub use run::Load;

/// Where the system is, and how to be let in.
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
    /// Whether a balancer stands before the services, which answers 502, 503 or 504 by itself where none of them does.
    pub behind_balancer: bool,
}

/// Without the secrets.
impl std::fmt::Debug for Targets {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { customers, orders, orchestrator, admin_user, .. } = self;
        write!(f, "Targets {{ {customers}, {orders}, {orchestrator}, as {admin_user} }}")
    }
}
