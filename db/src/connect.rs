//! One new connection: TLS, login, and the session settings that every statement here relies on.
//!
//! Services reach the database through [`crate::Db`] only. A connection outside the pool is for migrations, tests and tools.

use diesel::{ConnectionError, ConnectionResult};
use diesel_async::AsyncMysqlConnection;
use mysql_async::{Conn, DriverError, IoError, OptsBuilder, SslOpts};
use secrecy::ExposeSecret;

use crate::settings::{DatabaseSettings, TlsMode};

/// Everything that can be set goes to the server in one trip.
///
/// READ COMMITTED takes no gap locks on reads and sees what others committed; a lock is waited for 1 second; a value
/// that does not fit is an error, never cut.
const SESSION: &str = "SET NAMES utf8mb4, time_zone = '+00:00', innodb_lock_wait_timeout = 1, \
     sql_mode = 'STRICT_TRANS_TABLES,NO_ZERO_IN_DATE,NO_ZERO_DATE,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION,ONLY_FULL_GROUP_BY'; \
     SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// Whether the session's `sql_mode` has NO_BACKSLASH_ESCAPES, which decides how literals are quoted.
pub(crate) const NO_BACKSLASH_ESCAPES: bool = false;

/// Larger than any statement or row of this system. Given here, so that the driver need not ask the server.
const MAX_PACKET: usize = 16 << 20;

/// How long the driver may believe an idle connection to be open, in seconds. Given here to save the question.
const WAIT_TIMEOUT: usize = 28_800;

/// Opens a connection outside the pool.
///
/// # Errors
///
/// The server refused it: no TLS, access denied, unknown database.
pub async fn open_unpooled(settings: &DatabaseSettings) -> ConnectionResult<AsyncMysqlConnection> {
    AsyncMysqlConnection::try_from(open_unpooled_driver(settings).await?).await
}

/// Opens a connection outside the pool without choosing a database, to create and drop databases.
///
/// # Errors
///
/// As for [`open_unpooled`].
pub async fn open_unpooled_server(settings: &DatabaseSettings) -> ConnectionResult<AsyncMysqlConnection> {
    AsyncMysqlConnection::try_from(open(settings, None).await?).await
}

/// Opens a connection outside the pool for code that speaks to the driver itself.
///
/// # Errors
///
/// As for [`open_unpooled`].
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
        // A server behind a forwarded port names a socket path of its own machine: never follow it.
        .prefer_socket(false)
        .max_allowed_packet(Some(MAX_PACKET))
        .wait_timeout(Some(WAIT_TIMEOUT))
        .tcp_keepalive(Some(30_000_u32))
        // An UPDATE counts the rows it found, also those that already had the value.
        .client_found_rows(true)
        // diesel-async keeps prepared statements itself.
        .stmt_cache_size(0)
        .init(vec![SESSION]);
    let conn = match ssl_options(settings) {
        None => Conn::new(plain).await,
        Some(ssl) => match Conn::new(plain.clone().ssl_opts(ssl)).await {
            Err(error) if settings.tls == TlsMode::Preferred && has_no_tls(&error) => Conn::new(plain).await,
            other => other,
        },
    };
    conn.map_err(connection_error)
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
        // The number tells an unknown database from a wrong password; the text alone is for people.
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
    fn literals_are_quoted_for_the_sql_mode_of_the_session() {
        assert_eq!(SESSION.contains("NO_BACKSLASH_ESCAPES"), NO_BACKSLASH_ESCAPES);
    }
}
