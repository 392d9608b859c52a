//! Invariants of the data, and a check of a database against them.
//!
//! Shares no code with the services: it knows the tables only. Each invariant is a sentence and a query that selects the
//! rows which contradict it; they are in `stock`, `orders`, `keys` and `customers`. All queries see one snapshot, so a
//! check beside live traffic finds nothing half done.

mod customers;
mod keys;
mod orders;
mod stock;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

/// Number of violations of each invariant that [`check`] returns.
pub const DEFAULT_EXAMPLES: usize = 5;

/// `@looked_at` is a time before the snapshot, by the server's clock. What was due then is done in the snapshot, however
/// long the queries take.
const SNAPSHOT: [&str; 4] = [
    "SET NAMES utf8mb4, time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET @looked_at = UTC_TIMESTAMP(6)",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
];

/// A sentence that is true of every database.
#[derive(Clone, Copy, Debug)]
pub struct Invariant {
    /// A short name that stays the same.
    pub name: &'static str,
    /// The sentence.
    pub sentence: &'static str,
    /// Selects one text for each row that contradicts it: which row, and what is wrong.
    query: &'static str,
}

/// Result of the check of one invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the invariant.
    pub name: &'static str,
    /// The invariant.
    pub sentence: &'static str,
    /// Number of rows that contradict it; 0 when it holds.
    pub violations: u64,
    /// The first of them: which row, and what is wrong.
    pub examples: Vec<String>,
}

/// Failure of a check, which says nothing about the data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is wrong, or the server refuses the connection.
    #[error("cannot connect")]
    Connect(#[source] mysql_async::Error),
    /// A statement failed: a table is missing, or the connection was lost.
    #[error("cannot check {invariant}")]
    Query {
        /// Name of the invariant.
        invariant: &'static str,
        /// Cause.
        source: mysql_async::Error,
    },
}

/// All invariants.
pub fn all() -> impl Iterator<Item = &'static Invariant> {
    [stock::INVARIANTS, orders::INVARIANTS, keys::INVARIANTS, customers::INVARIANTS].into_iter().flatten()
}

/// Checks every invariant, and returns also those that hold. The URL is the driver's, without TLS.
///
/// # Errors
///
/// The server cannot be reached, or a table is missing.
pub async fn check(database_url: &str) -> Result<Vec<Finding>, Error> {
    let opts = Opts::from_url(database_url).map_err(|error| Error::Connect(error.into()))?;
    // A server behind a forwarded port names a socket path of its own machine: never follow it.
    let opts = OptsBuilder::from_opts(opts).prefer_socket(false);
    check_on(Conn::new(opts).await.map_err(Error::Connect)?, DEFAULT_EXAMPLES).await
}

/// Does the same on a connection that nothing else uses, with at most `examples` violations of each invariant.
///
/// # Errors
///
/// A table is missing, or the connection is lost.
pub async fn check_on(mut conn: Conn, examples: usize) -> Result<Vec<Finding>, Error> {
    for statement in SNAPSHOT {
        conn.query_drop(statement).await.map_err(Error::Connect)?;
    }
    let mut findings = Vec::new();
    for invariant in all() {
        let found = find(&mut conn, invariant, examples).await;
        findings.push(found.map_err(|source| Error::Query { invariant: invariant.name, source })?);
    }
    // The result is complete, however the connection ends.
    let _ = conn.disconnect().await;
    Ok(findings)
}

async fn find(conn: &mut Conn, invariant: &Invariant, most: usize) -> Result<Finding, mysql_async::Error> {
    let Invariant { name, sentence, query } = *invariant;
    let mut rows = conn.query_iter(query).await?;
    let (mut violations, mut examples) = (0, Vec::new());
    while let Some(mut row) = rows.next().await? {
        violations += 1;
        if examples.len() < most {
            let text: Option<Vec<u8>> = row.take(0);
            examples.push(String::from_utf8_lossy(&text.unwrap_or_default()).into_owned());
        }
    }
    Ok(Finding { name, sentence, violations, examples })
}
