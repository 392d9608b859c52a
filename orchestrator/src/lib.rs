//! Saga that creates and confirms an order, as a local server and an AWS Lambda function.
//!
//! - `create_and_confirm`: the saga.
//! - `failure`: saga failures and their error codes.
//! - `wire`: conversions between upstream types and API types.
//! - `policy`: time limits and retry policy.
//! - `upstreams`: clients for the upstream services.
//! - `handler`: request handling, shared by `local` (dropshot) and `lambda`.
//! - `event`: event sanitization for `lambda`.
//!
//! The `orchestrator-api` crate defines the API contract. The orchestrator is stateless: the orders service stores all
//! state.

mod create_and_confirm;
mod event;
mod failure;
mod handler;
pub mod lambda;
mod local;
mod metrics;
mod policy;
mod upstreams;
mod wire;

use std::net::SocketAddr;

use common_server::auth::Auth;
use common_server::settings::{Env, Profile, bind_address, refuse_weak_secrets};
use common_server::{HasRuntime, RunError, Running, Runtime};
use secrecy::SecretString;

use local::LocalServer;
use upstreams::Upstreams;

pub use handler::Orchestrator;
pub use policy::Policy;

/// Default port, used if `PORT` is not set.
pub const DEFAULT_PORT: u16 = 3003;

/// OpenAPI document, served under `/docs`.
const DOCUMENT: &str = include_str!("../../specs/orchestrator.json");

/// Orchestrator settings.
pub struct Config {
    bind_address: SocketAddr,
    auth: Auth,
    profile: Profile,
    service_token: SecretString,
    customers_base: String,
    orders_base: String,
    /// Time limits and retry policy.
    pub policy: Policy,
    /// Process-wide runtime state. `from_env` sets a default, which the binary replaces.
    pub runtime: Runtime,
}

impl Config {
    /// Reads `HOST`, `PORT` (3003 by default), `JWT_SECRET`, `JWT_SECRET_SECONDARY`, `SERVICE_TOKEN`, `SERVICE_TOKENS`,
    /// `CUSTOMERS_API_BASE`, `ORDERS_API_BASE` and `PROFILE`.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first invalid or missing setting.
    pub fn from_env(env: &Env<'_>) -> Result<Self, RunError> {
        refuse_weak_secrets(env, None)?;
        Ok(Self {
            bind_address: bind_address(env, DEFAULT_PORT)?,
            auth: Auth::from_env(env)?,
            profile: Profile::from_env(env)?,
            service_token: env.secret("SERVICE_TOKEN")?,
            customers_base: env.base_url("CUSTOMERS_API_BASE")?,
            orders_base: env.base_url("ORDERS_API_BASE")?,
            policy: Policy::default(),
            runtime: Runtime::default(),
        })
    }
}

impl Orchestrator {
    /// Creates the orchestrator. The upstream services need not be reachable yet.
    ///
    /// # Errors
    ///
    /// Fails if TLS cannot be initialized.
    pub fn new(config: Config) -> Result<Self, RunError> {
        let Config { bind_address: _, auth, profile, service_token, customers_base, orders_base, policy, runtime } =
            config;
        if profile == Profile::Development {
            tracing::warn!("PROFILE is development: callers without credentials are accepted");
        }
        metrics::describe();
        client_common::describe_metrics();
        let upstreams = Upstreams::new(customers_base, orders_base, service_token, policy);
        let upstreams = upstreams.map_err(|error| RunError::Start(Box::new(error)))?;
        Ok(Self { runtime, auth, profile, upstreams })
    }
}

impl HasRuntime for Orchestrator {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

/// Starts the local server.
///
/// # Errors
///
/// Fails if TLS cannot be initialized or the server cannot bind its listen address.
pub fn start(config: Config) -> Result<Running<Orchestrator>, RunError> {
    let address = config.bind_address;
    let orchestrator = Orchestrator::new(config)?;
    let api = orchestrator_api::orchestrator_api_mod::api_description::<LocalServer>()
        .map_err(|error| RunError::Start(Box::new(error)))?;
    common_server::serve(common_server::with_docs(api, DOCUMENT)?, orchestrator, address)
}
