//! Create-and-confirm as a saga, behind a local server and AWS Lambda.
//!
//! `create_and_confirm` is the saga, from top to bottom; `failure` gives each way to fail its error code, `wire` converts
//! types, `policy` has the time limits and `upstreams` the clients. `handler` decides every answer; `local` and `lambda`
//! only carry requests to it, and `event` prepares those that come to `lambda`.
//! The contract itself is the `orchestrator-api` crate. There is no store: the orders service keeps all state.

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
use std::time::Duration;

use common_server::auth::Auth;
use common_server::settings::{Env, Profile, bind_address, refuse_weak_secrets};
use common_server::{HasRuntime, RunError, Running, Runtime};
use secrecy::SecretString;

use local::LocalServer;
use upstreams::Upstreams;

pub use handler::Orchestrator;
pub use policy::Policy;

/// Where it listens when `PORT` does not say.
pub const DEFAULT_PORT: u16 = 3003;

/// How long requests may take to end when the server stops: a saga has 20 s, after the body that asks for it.
const CLOSED_WITHIN: Duration = Duration::from_secs(28);

/// What the service promises, shown under `/docs`.
const DOCUMENT: &str = include_str!("../../specs/orchestrator.json");

/// What the service is told by its environment.
pub struct Config {
    bind_address: SocketAddr,
    auth: Auth,
    profile: Profile,
    service_token: SecretString,
    customers_base: String,
    orders_base: String,
    /// Time limits and retries.
    pub policy: Policy,
    /// The default, unless the process shares one with the server.
    pub runtime: Runtime,
}

impl Config {
    /// From `HOST`, `PORT` (3003 by default), `JWT_SECRET`, `JWT_SECRET_SECONDARY`, `SERVICE_TOKEN`, `SERVICE_TOKENS`,
    /// `CUSTOMERS_API_BASE`, `ORDERS_API_BASE` and `PROFILE`.
    ///
    /// # Errors
    ///
    /// Names the first setting that is bad or missing.
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
    /// Ready to answer. The services behind it need not be reachable yet.
    ///
    /// # Errors
    ///
    /// Where no TLS can be set up on this machine.
    pub fn new(config: Config) -> Result<Self, RunError> {
        let Config { bind_address: _, auth, profile, service_token, customers_base, orders_base, policy, runtime } =
            config;
        if profile == Profile::Development {
            tracing::warn!("PROFILE is development: callers without credentials are let in");
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

/// Starts to answer on a port.
///
/// # Errors
///
/// Where the address cannot be listened on.
pub fn start(config: Config) -> Result<Running<Orchestrator>, RunError> {
    let address = config.bind_address;
    let orchestrator = Orchestrator::new(config)?;
    let api = orchestrator_api::orchestrator_api_mod::api_description::<LocalServer>()
        .map_err(|error| RunError::Start(Box::new(error)))?;
    Ok(common_server::serve(common_server::with_docs(api, DOCUMENT)?, orchestrator, address)?
        .closed_within(CLOSED_WITHIN))
}
