//! A connection of a bare loop that writes: the driver beneath diesel-async, which keeps every statement prepared.

use anyhow::{Context, Result};
use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

/// As the services have them.
const SESSION: &str = "SET NAMES utf8mb4, time_zone = '+00:00', innodb_lock_wait_timeout = 1";
const ISOLATION: &str = "SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED";

/// A lock that was waited for too long, and a deadlock: as the services do, who gets one begins again.
const PASSING: [u16; 2] = [1205, 1213];

/// Opens a connection over TCP, as the services do.
///
/// # Errors
///
/// Where the server refuses.
pub(crate) async fn open(url: &str) -> Result<Conn> {
    let options = OptsBuilder::from_opts(Opts::from_url(url)?)
        .prefer_socket(false)
        .client_found_rows(true)
        .init(vec![SESSION, ISOLATION]);
    Conn::new(options).await.context("cannot connect to the database")
}

/// Runs `work` in a transaction, again and again while it meets somebody else's lock.
///
/// # Errors
///
/// Any other of `work` or of the server.
pub(crate) async fn transaction<W: Work>(connection: &mut Conn, work: &W) -> Result<W::Made> {
    loop {
        connection.query_drop("BEGIN").await?;
        match work.carry_out(connection).await {
            Ok(made) => {
                connection.query_drop("COMMIT").await?;
                return Ok(made);
            }
            Err(mysql_async::Error::Server(error)) if PASSING.contains(&error.code) => {
                connection.query_drop("ROLLBACK").await?;
            }
            Err(error) => return Err(error.into()),
        }
    }
}

/// What is done in a transaction.
pub(crate) trait Work: Sync {
    /// What it gives.
    type Made: Send;

    /// Does it.
    fn carry_out(&self, connection: &mut Conn) -> impl Future<Output = mysql_async::Result<Self::Made>> + Send;
}
