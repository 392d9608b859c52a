//! Opens connections: TLS, authentication, and the session settings that all statements rely on.
//!
//! Services use [`crate::Db`] only. Connections outside the pool are for migrations, tests and tools.

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncMysqlConnection;
use mysql_async::{Conn, DriverError, IoError, OptsBuilder, SslOpts};
use secrecy::ExposeSecret;

use crate::settings::{DatabaseSettings, TlsMode};

/// Session settings, sent in one round trip together with the idle timeouts.
///
/// With READ COMMITTED, searches take no gap locks, and each statement sees the latest committed data. Lock waits end
/// after 1 second. Strict mode rejects values that do not fit instead of truncating them.
const SESSION: &str = "SET NAMES utf8mb4, time_zone = '+00:00', innodb_lock_wait_timeout = 1, \
     sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY'; \
     SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Whether the session's `sql_mode` contains NO_BACKSLASH_ESCAPES, which determines how literals are quoted.
pub(crate) const NO_BACKSLASH_ESCAPES: bool = false;

/// Maximum packet size in bytes, larger than any statement or row. Set here to save the driver a query at connect.
const MAX_PACKET: usize = 16 << 20;

/// Time after which the server closes an idle connection, in seconds. It ends the transaction of a client that vanished
/// without closing its connection, and so releases its locks. The driver is told too, which saves it a query at
/// connect.
pub(crate) const WAIT_TIMEOUT: usize = 120;

/// The same within a transaction, in seconds. Longer than any transaction of a service waits for its next statement.
/// MariaDB only; on MySQL, `WAIT_TIMEOUT` applies.
const IDLE_TRANSACTION_TIMEOUT: usize = 60;

/// Opens a connection outside the pool.
///
/// # Errors
///
/// The server is unreachable or refuses the connection: no TLS, access denied, unknown database.
pub async fn open_unpooled(settings: &DatabaseSettings) -> ConnectionResult<AsyncMysqlConnection> {
    AsyncMysqlConnection::try_from(open_unpooled_driver(settings).await?).await
}

/// Opens a connection outside the pool without a default database, to create and drop databases.
///
/// # Errors
///
/// Same as [`open_unpooled`].
pub async fn open_unpooled_server(settings: &DatabaseSettings) -> ConnectionResult<AsyncMysqlConnection> {
    AsyncMysqlConnection::try_from(open(settings, None).await?).await
}

/// Opens a driver connection outside the pool, without Diesel.
///
/// # Errors
///
/// Same as [`open_unpooled`].
pub async fn open_unpooled_driver(settings: &DatabaseSettings) -> ConnectionResult<Conn> {
    open(settings, Some(settings.database.clone())).await
}

async fn open(settings: &DatabaseSettings, database: Option<String>) -> ConnectionResult<Conn> {
    let plain = OptsBuilder::default()
        .ip_or_hostname(&settings.host)
        .tcp_port(settings.port)
        .user(Some(&settings.user))
        .pass(Some(settings.password.expose_secret()))
        .db_name(database)
        // A server behind a forwarded port reports a socket path on its own machine: never use it.
        .prefer_socket(false)
        .max_allowed_packet(Some(MAX_PACKET))
        .wait_timeout(Some(WAIT_TIMEOUT))
        .tcp_keepalive(Some(30_000_u32))
        // An UPDATE reports matched rows, including rows that already had the value.
        .client_found_rows(true)
        // diesel-async has its own statement cache.
        .stmt_cache_size(0)
        .init(vec![session()]);
    let conn = match ssl_options(settings) {
        None => Conn::new(plain).await,
        Some(ssl) => match Conn::new(plain.clone().ssl_opts(ssl)).await {
            Err(error) if settings.tls == TlsMode::Preferred && has_no_tls(&error) => Conn::new(plain).await,
            other => other,
        },
    };
    conn.map_err(connection_error)
}

/// Returns the statements that prepare a session.
fn session() -> String {
    // Only MariaDB reads a comment that starts with `M!`.
    format!(
        "{SESSION}; SET wait_timeout = {WAIT_TIMEOUT} /*M!, idle_transaction_timeout = {IDLE_TRANSACTION_TIMEOUT} */"
    )
}

fn ssl_options(settings: &DatabaseSettings) -> Option<SslOpts> {
    match settings.tls {
        TlsMode::Disabled => None,
        TlsMode::Preferred | TlsMode::Required => Some(SslOpts::default().with_danger_accept_invalid_certs(true)),
        TlsMode::Verify => Some(match &settings.tls_ca {
            None => SslOpts::default(),
            Some(ca) => SslOpts::default().with_root_certs(vec![ca.clone().into()]).with_disable_built_in_roots(true),
        }),
    }
}

fn has_no_tls(error: &mysql_async::Error) -> bool {
    matches!(error, mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer))
}

fn connection_error(error: mysql_async::Error) -> ConnectionError {
    match error {
        // Keep the error number: it distinguishes an unknown database from a wrong password.
        mysql_async::Error::Server(error) => {
            ConnectionError::BadConnection(format!("{} (error {})", error.message, error.code))
        }
        mysql_async::Error::Io(IoError::Io(error)) => ConnectionError::BadConnection(error.to_string()),
        other => ConnectionError::BadConnection(other.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::{NO_BACKSLASH_ESCAPES, SESSION};

    #[test]
    fn quoting_constant_matches_session_sql_mode() {
        assert_eq!(SESSION.contains("NO_BACKSLASH_ESCAPES"), NO_BACKSLASH_ESCAPES);
    }
}
