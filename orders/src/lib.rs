//! Orders API server.
//!
//! - `http`: handlers that implement the API contract (the `orders-api` crate).
//! - `app`: business rules.
//! - `store`: SQL for the product and order tables.
//! - `upstream`: client for the customers service.
//! - `jobs`: background jobs.
//! - `metrics`: Prometheus metrics.

mod app;
mod http;
mod jobs;
mod metrics;
mod store;
mod upstream;

use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::sync::Arc;
use std::time::Duration;

use common_server::auth::Auth;
use common_server::settings::{Env, SettingError, bind_address, refuse_weak_secrets, require_tls_to_remote_database};
use common_server::{CursorKey, HasRuntime, RunError, Running, Runtime};
use db::idempotency::StoredResponses;
use db::{DatabaseSettings, Db};
use tokio::task::JoinSet;

use app::{Dispatcher, Orders, Products};
use http::OrdersServer;
use upstream::customers::CustomersService;

/// Allowed retention periods for idempotency keys, in hours: from one day, so that clients can retry after an outage,
/// to one year.
const RETENTION_HOURS: RangeInclusive<u64> = 24..=8760;
/// Allowed reservation durations, in seconds: from one minute, so that a reservation outlasts the caller's retries, to
/// one day, because reserved stock cannot be sold.
const RESERVATION_SECONDS: RangeInclusive<u64> = 60..=86_400;

/// Default port, used if `PORT` is not set.
pub const DEFAULT_PORT: u16 = 3002;

/// OpenAPI document, served at `/openapi.json` and displayed at `/docs`.
const DOCUMENT: &str = include_str!("../../specs/orders.json");

/// Server settings.
pub struct Config {
    bind_address: SocketAddr,
    database: DatabaseSettings,
    auth: Auth,
    cursors: CursorKey,
    customers: CustomersService,
    key_retention: Duration,
    reservation: Duration,
    /// Process-wide runtime state. `from_env` sets a default, which the binary replaces.
    pub runtime: Runtime,
}

impl Config {
    /// Reads `HOST`, `PORT` (3002 by default), `DATABASE_URL` or the `DB_*` settings, `JWT_SECRET`,
    /// `JWT_SECRET_SECONDARY`, `SERVICE_TOKEN`, `SERVICE_TOKENS`, `CUSTOMERS_API_BASE`,
    /// `IDEMPOTENCY_RETENTION_HOURS` (72 by default), `RESERVATION_SECONDS` (900 by default) and `PROFILE`.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first invalid or missing setting.
    pub fn from_env(env: &Env<'_>) -> Result<Self, RunError> {
        let retention_hours = number_in(env, "IDEMPOTENCY_RETENTION_HOURS", 72, RETENTION_HOURS)?;
        let reservation_seconds = number_in(env, "RESERVATION_SECONDS", 900, RESERVATION_SECONDS)?;
        let database = DatabaseSettings::from_lookup(|name| env.get(name));
        let database = database.map_err(|error| RunError::Setting(error.to_string()))?;
        refuse_weak_secrets(env, Some(database.password()))?;
        require_tls_to_remote_database(env, database.plain_text_to())?;
        Ok(Self {
            bind_address: bind_address(env, DEFAULT_PORT)?,
            database,
            auth: Auth::from_env(env)?,
            cursors: CursorKey::from_env(env)?,
            customers: CustomersService::from_env(env)?,
            key_retention: Duration::from_secs(retention_hours * 3600),
            reservation: Duration::from_secs(reservation_seconds),
            runtime: Runtime::default(),
        })
    }
}

fn number_in(env: &Env<'_>, name: &str, default: u64, allowed: RangeInclusive<u64>) -> Result<u64, SettingError> {
    let number = env.parsed(name)?.unwrap_or(default);
    if allowed.contains(&number) {
        Ok(number)
    } else {
        let (least, most) = allowed.into_inner();
        Err(SettingError::invalid(name, format!("expected a number from {least} to {most}")))
    }
}

/// State shared by all requests.
pub struct Context {
    runtime: Runtime,
    auth: Auth,
    products: Products,
    orders: Orders,
    /// Background jobs. Dropping the set aborts them.
    _background: JoinSet<()>,
}

impl HasRuntime for Context {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

/// Starts the server like [`start`], once the database accepts writes. Until then nothing listens, so that a release
/// which cannot reach its database fails its health checks. Later outages only fail readiness.
///
/// # Errors
///
/// If the server cannot listen on the address.
pub async fn start_with_database(config: Config) -> Result<Running<Context>, RunError> {
    Db::connect(&config.database).wait_until_writable().await;
    start(config)
}

/// Starts the server and its background jobs, which run until the server is closed or dropped. The database and the
/// customers service need not be reachable at startup.
///
/// # Errors
///
/// Fails if the server cannot bind its listen address.
pub fn start(config: Config) -> Result<Running<Context>, RunError> {
    let Config { bind_address, database, auth, cursors, customers, key_retention, reservation, runtime } = config;
    db::describe_metrics();
    client_common::describe_metrics();
    metrics::describe();
    let db = Db::connect(&database);
    runtime.before_scrape(db.watch());
    let background = jobs::start(&db);
    let products = Products::new(db.clone(), cursors.clone());
    let dispatcher = Dispatcher::new(db.clone(), key_retention);
    let stored_responses = StoredResponses::new(db.clone());
    let customers = Arc::new(customers);
    let orders = Orders { db, cursors, customers, dispatcher, stored_responses, key_retention, reservation };
    let context = Context { runtime, auth, products, orders, _background: background };
    let api = orders_api::orders_api_mod::api_description::<OrdersServer>()
        .map_err(|error| RunError::Start(Box::new(error)))?;
    common_server::serve(common_server::with_docs(api, DOCUMENT)?, context, bind_address)
}
