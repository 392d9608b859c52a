//! The Customers API server.
//!
//! `http` translates between the contract and the rules, `app` is the rules, `store` is all SQL on the customers'
//! and the operators' tables. The contract itself is the `customers-api` crate.

mod app;
mod http;
mod metrics;
mod store;

use std::net::SocketAddr;
use std::sync::Arc;

use common_contract::Username;
use common_server::auth::{Auth, SecretDigest};
use common_server::settings::{Env, SettingError, bind_address, refuse_database_abroad, refuse_weak_secrets};
use common_server::{CursorKey, HasRuntime, RunError, Running, Runtime, TrustedProxies};
use customers_api::Password;
use db::{DatabaseSettings, Db};

use app::{Bootstrap, Customers, Login, Operators, Passwords, Throttle};
use http::CustomersServer;

/// Where it listens when `PORT` does not say.
pub const DEFAULT_PORT: u16 = 3001;

/// What the service promises, shown under `/docs`.
const DOCUMENT: &str = include_str!("../../specs/customers.json");

/// What the service is told by its environment.
pub struct Config {
    bind_address: SocketAddr,
    database: DatabaseSettings,
    auth: Auth,
    cursors: CursorKey,
    bootstrap: Bootstrap,
    proxies: TrustedProxies,
    /// The default, unless the process shares one with the server.
    pub runtime: Runtime,
}

impl Config {
    /// From `HOST`, `PORT` (3001 by default), `DATABASE_URL` or the `DB_*` settings, `JWT_SECRET`, `JWT_SECRET_SECONDARY`,
    /// `SERVICE_TOKEN`, `SERVICE_TOKENS`, `ADMIN_USER`, `ADMIN_PASSWORD`,
    /// `TRUSTED_PROXIES` (none by default) and `PROFILE`.
    ///
    /// # Errors
    ///
    /// Names the first setting that is bad or missing.
    pub fn from_env(env: &Env<'_>) -> Result<Self, RunError> {
        let database = DatabaseSettings::from_lookup(|name| env.get(name));
        let database = database.map_err(|error| RunError::Setting(error.to_string()))?;
        refuse_weak_secrets(env, Some(database.password()))?;
        refuse_database_abroad(env, database.plain_text_to())?;
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

/// Names and passwords that could never be sent are refused here, not at every attempt to log in.
fn bootstrap(env: &Env<'_>) -> Result<Bootstrap, SettingError> {
    let user = Username::try_from(env.required("ADMIN_USER")?);
    let username = user.map_err(|problem| SettingError::invalid("ADMIN_USER", problem))?;
    let password = <Password>::try_from(env.required("ADMIN_PASSWORD")?);
    let password = password.map_err(|problem| SettingError::invalid("ADMIN_PASSWORD", problem))?;
    Ok(Bootstrap { username, password: SecretDigest::of(password.as_str()) })
}

/// State of the server between requests.
pub struct Context {
    runtime: Runtime,
    auth: Auth,
    proxies: TrustedProxies,
    login: Login,
    operators: Operators,
    customers: Customers,
}

impl HasRuntime for Context {
    fn runtime(&self) -> &Runtime {
        &self.runtime
    }
}

/// Starts to answer. The database need not be reachable yet.
///
/// # Errors
///
/// Where the address cannot be listened on.
pub fn start(config: Config) -> Result<Running<Context>, RunError> {
    let Config { bind_address, database, auth, cursors, bootstrap, proxies, runtime } = config;
    db::describe_metrics();
    metrics::describe();
    let db = Db::connect(&database);
    runtime.before_scrape(db.watch());
    let passwords = Arc::new(Passwords::new());
    let context = Context {
        runtime,
        auth,
        proxies,
        login: Login { db: db.clone(), bootstrap, passwords: Arc::clone(&passwords), throttle: Throttle::new() },
        operators: Operators { db: db.clone(), cursors: cursors.clone(), passwords },
        customers: Customers::new(db, cursors),
    };
    let api = customers_api::customers_api_mod::api_description::<CustomersServer>()
        .map_err(|error| RunError::Start(Box::new(error)))?;
    common_server::serve(common_server::with_docs(api, DOCUMENT)?, context, bind_address)
}
