//! The Customers API server.
//!
//! `http` implements the contract, `app` contains the business rules, and `store` contains all SQL for the customer and
//! user account tables. The contract is defined in the `customers-api` crate.

mod app;
mod http;
mod metrics;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;

use common_contract::Username;
use common_server::auth::{Auth, SecretDigest};
use common_server::settings::{Env, SettingError, bind_address, refuse_weak_secrets, require_tls_to_remote_database};
use common_server::{CursorKey, HasRuntime, RunError, Running, Runtime, TrustedProxies};
use customers_api::Password;
use db::{DatabaseSettings, Db};
use secrecy::ExposeSecret;

use app::{Accounts, Bootstrap, Customers, Login, PasswordHasher, Throttle};
use http::CustomersServer;

/// TCP port used when `PORT` is not set.
pub const DEFAULT_PORT: u16 = 3001;

/// OpenAPI document, served at `/openapi.json` and displayed at `/docs`.
const DOCUMENT: &str = include_str!("../../specs/customers.json");

/// Settings of the service, read from the environment.
pub struct Config {
    bind_address: SocketAddr,
    database: DatabaseSettings,
    auth: Auth,
    cursors: CursorKey,
    bootstrap: Bootstrap,
    proxies: TrustedProxies,
    /// Draining flag and span exporter. The default runtime exports no spans; `main` replaces it with the process's
    /// runtime.
    pub runtime: Runtime,
}

impl Config {
    /// Reads `HOST`, `PORT` (default 3001), `DATABASE_URL` or the `DB_*` settings, `JWT_SECRET`,
    /// `JWT_SECRET_SECONDARY`, `SERVICE_TOKEN`, `SERVICE_TOKENS`, `ADMIN_USER`, `ADMIN_PASSWORD`, `TRUSTED_PROXIES`
    /// (default none) and `PROFILE`.
    ///
    /// # Errors
    ///
    /// Returns an error that names the first invalid or missing setting.
    pub fn from_env(env: &Env<'_>) -> Result<Self, RunError> {
        let database = DatabaseSettings::from_lookup(|name| env.get(name));
        let database = database.map_err(|error| RunError::Setting(error.to_string()))?;
        refuse_weak_secrets(env, Some(database.password()))?;
        require_tls_to_remote_database(env, database.plain_text_to())?;
        Ok(Self {
            bind_address: bind_address(env, DEFAULT_PORT)?,
            database,
            auth: Auth::from_env(env)?,
            cursors: CursorKey::from_env(env)?,
            bootstrap: bootstrap(env)?,
            proxies: TrustedProxies::from_env(env)?,
            runtime: Runtime::default(),
        })
    }
}

/// Reads the credentials of the bootstrap admin.
///
/// A username or password that no login request can contain is rejected at startup rather than at each login.
fn bootstrap(env: &Env<'_>) -> Result<Bootstrap, SettingError> {
    let user = Username::try_from(env.required("ADMIN_USER")?);
    let username = user.map_err(|problem| SettingError::invalid("ADMIN_USER", problem))?;
    let password = <Password>::try_from(env.secret("ADMIN_PASSWORD")?.expose_secret().to_owned());
    let password = password.map_err(|problem| SettingError::invalid("ADMIN_PASSWORD", problem))?;
    Ok(Bootstrap { username, password: SecretDigest::of(&password.normalized()) })
}

/// State shared by all requests.
pub struct Context {
    runtime: Runtime,
    auth: Auth,
    proxies: TrustedProxies,
    login: Login,
    accounts: Accounts,
    customers: Customers,
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
/// Returns an error if the server cannot listen on the configured address.
pub async fn start_with_database(config: Config) -> Result<Running<Context>, RunError> {
    Db::connect(&config.database).wait_until_writable().await;
    start(config)
}

/// Starts the server. The database does not have to be reachable yet.
///
/// # Errors
///
/// Returns an error if the server cannot listen on the configured address.
pub fn start(config: Config) -> Result<Running<Context>, RunError> {
    let Config { bind_address, database, auth, cursors, bootstrap, proxies, runtime } = config;
    db::describe_metrics();
    metrics::describe();
    let db = Db::connect(&database);
    runtime.before_scrape(db.watch());
    let passwords = Arc::new(PasswordHasher::new());
    let context = Context {
        runtime,
        auth,
        proxies,
        login: Login { db: db.clone(), bootstrap, passwords: Arc::clone(&passwords), throttle: Throttle::new() },
        accounts: Accounts { db: db.clone(), cursors: cursors.clone(), passwords },
        customers: Customers::new(db, cursors),
    };
    let api = customers_api::customers_api_mod::api_description::<CustomersServer>()
        .map_err(|error| RunError::Start(Box::new(error)))?;
    common_server::serve(common_server::with_docs(api, DOCUMENT)?, context, bind_address)
}
