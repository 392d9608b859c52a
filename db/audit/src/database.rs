//! A connection with a snapshot to look at. What is looked for is elsewhere.

use std::borrow::Cow;
use std::path::PathBuf;
use std::time::Duration;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, DriverError, IoError, Opts, OptsBuilder, SslOpts};
use tokio::time::timeout;
use url::Url;

/// How long a server may take to answer a newcomer.
const CONNECTED_WITHIN: Duration = Duration::from_secs(10);

/// `@looked_at` is a moment before the snapshot, by the server's clock. What was due then is done in the snapshot, however
/// long the queries take.
const SNAPSHOT: [&str; 4] = [
    "SET NAMES utf8mb4, time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET @looked_at = UTC_TIMESTAMP(6)",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
];

/// Why a database could not be looked at. One line, never with a password in it.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct Error(String);

impl Error {
    pub(crate) fn query(invariant: &str, error: &mysql_async::Error) -> Self {
        Self(format!("cannot check {invariant}: {}", text(error)))
    }

    fn url(problem: impl std::fmt::Display) -> Self {
        Self(format!("the database URL cannot be used: {problem}"))
    }
}

/// Opens a connection that sees the database as it is now and changes nothing.
pub(crate) async fn snapshot(database_url: &str) -> Result<Conn, Error> {
    let target = Target::parse(database_url)?;
    let connected = timeout(CONNECTED_WITHIN, target.connect()).await;
    let cannot = |problem: String| Error(format!("cannot connect to {}: {problem}", target.place));
    let mut conn = match connected {
        Ok(Ok(conn)) => conn,
        Ok(Err(error)) => return Err(cannot(text(&error))),
        Err(_) => return Err(cannot(format!("no answer within {CONNECTED_WITHIN:?}"))),
    };
    for statement in SNAPSHOT {
        let set_up = conn.query_drop(statement).await;
        set_up.map_err(|error| Error(format!("cannot open a snapshot: {}", text(&error))))?;
    }
    Ok(conn)
}

/// How the connection is protected.
#[derive(Debug, PartialEq, Eq)]
enum Tls {
    Disabled,
    /// Where the server offers it.
    Preferred,
    /// With any certificate.
    Required,
    /// With a trusted certificate that names the host, trusted by this file if one is given.
    Verify(Option<PathBuf>),
}

struct Target {
    opts: Opts,
    tls: Tls,
    /// The server and the database, for messages.
    place: String,
}

impl Target {
    fn parse(database_url: &str) -> Result<Self, Error> {
        let mut url = Url::parse(database_url).map_err(Error::url)?;
        let tls = tls(&url)?;
        // What stands there is known to MySQL's own programs, but not to the driver.
        url.set_query(None);
        let place = format!("{}{}", url.host_str().unwrap_or_default(), url.path());
        let opts = Opts::from_url(url.as_str()).map_err(Error::url)?;
        if opts.db_name().is_none_or(str::is_empty) {
            return Err(Error::url("it names no database: end it with /NAME"));
        }
        Ok(Self { opts, tls, place })
    }

    async fn connect(&self) -> Result<Conn, mysql_async::Error> {
        // A server behind a forwarded port names a socket path of its own machine: never follow it.
        let plain = OptsBuilder::from_opts(self.opts.clone()).prefer_socket(false);
        let any = SslOpts::default().with_danger_accept_invalid_certs(true);
        match &self.tls {
            Tls::Disabled => Conn::new(plain).await,
            Tls::Required => Conn::new(plain.ssl_opts(any)).await,
            Tls::Verify(None) => Conn::new(plain.ssl_opts(SslOpts::default())).await,
            Tls::Verify(Some(ca)) => {
                let ca = SslOpts::default().with_root_certs(vec![ca.clone().into()]);
                Conn::new(plain.ssl_opts(ca.with_disable_built_in_roots(true))).await
            }
            Tls::Preferred => match Conn::new(plain.clone().ssl_opts(any)).await {
                Err(mysql_async::Error::Driver(DriverError::NoClientSslFlagFromServer)) => Conn::new(plain).await,
                other => other,
            },
        }
    }
}

fn tls(url: &Url) -> Result<Tls, Error> {
    let (mut mode, mut ca) = (Cow::Borrowed("DISABLED"), None);
    for (name, value) in url.query_pairs() {
        match name.as_ref() {
            "ssl-mode" => mode = value,
            "ssl-ca" => ca = Some(PathBuf::from(value.as_ref())),
            other => return Err(Error::url(format!("unknown parameter `{other}`; ssl-mode and ssl-ca are known"))),
        }
    }
    let tls = match mode.to_ascii_uppercase().as_str() {
        "DISABLED" => Tls::Disabled,
        "PREFERRED" => Tls::Preferred,
        "REQUIRED" => Tls::Required,
        "VERIFY_CA" | "VERIFY_IDENTITY" => return Ok(Tls::Verify(ca)),
        other => return Err(Error::url(format!("unknown ssl-mode `{other}`"))),
    };
    match ca {
        None => Ok(tls),
        Some(_) => Err(Error::url("ssl-ca needs ssl-mode=VERIFY_CA or VERIFY_IDENTITY")),
    }
}

/// The error in one line.
fn text(error: &mysql_async::Error) -> String {
    let text = match error {
        mysql_async::Error::Server(error) => format!("{} (error {})", error.message, error.code),
        mysql_async::Error::Io(IoError::Io(error)) => error.to_string(),
        other => other.to_string(),
    };
    text.split_whitespace().collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn tls_of(query: &str) -> Result<Tls, String> {
        Target::parse(&format!("mysql://root:hunter2@h:3307/d{query}"))
            .map(|target| target.tls)
            .map_err(|error| error.to_string())
    }

    #[test]
    fn tls_modes_go_by_the_names_of_mysql() {
        assert_eq!(tls_of(""), Ok(Tls::Disabled));
        assert_eq!(tls_of("?ssl-mode=preferred"), Ok(Tls::Preferred));
        assert_eq!(tls_of("?ssl-mode=REQUIRED"), Ok(Tls::Required));
        assert_eq!(tls_of("?ssl-mode=VERIFY_IDENTITY"), Ok(Tls::Verify(None)));
        assert_eq!(tls_of("?ssl-mode=VERIFY_CA&ssl-ca=/ca.pem"), Ok(Tls::Verify(Some(PathBuf::from("/ca.pem")))));
    }

    #[test]
    fn what_is_wrong_with_an_url_is_said_without_its_password() {
        for (query, problem) in [
            ("?ssl-mode=MAYBE", "unknown ssl-mode `MAYBE`"),
            ("?sslmode=REQUIRED", "unknown parameter `sslmode`"),
            ("?ssl-mode=REQUIRED&ssl-ca=/ca.pem", "ssl-ca needs"),
        ] {
            let error = tls_of(query).unwrap_err();
            assert!(error.contains(problem) && !error.contains("hunter2"), "{error}");
        }
        for url in ["mysql://root:hunter2@h", "mysql://root:hunter2@h/", "postgres://root:hunter2@h/d", "hunter2"] {
            let error = Target::parse(url).err().expect("it is refused").to_string();
            assert!(error.starts_with("the database URL cannot be used: ") && !error.contains("hunter2"), "{error}");
        }
    }

    #[test]
    fn the_parts_of_the_url_are_decoded() {
        let target = Target::parse("mysql://app:p%40ss@db.example:3307/shop?ssl-mode=REQUIRED").unwrap();
        assert_eq!((target.opts.user(), target.opts.pass()), (Some("app"), Some("p@ss")));
        assert_eq!((target.opts.tcp_port(), target.opts.db_name()), (3307, Some("shop")));
        assert_eq!(target.place, "db.example/shop");
    }
}
