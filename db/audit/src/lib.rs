//! Data invariants, and an audit that checks a database against them.
//!
//! Shares no code with the services; it depends only on the tables. Each invariant is a sentence and a query that
//! selects the rows that violate it; see `stock`, `orders`, `keys`, `customers` and
//! `texts`. All queries read one snapshot, so
//! an audit under live traffic does not see partial changes.

mod customers;
mod keys;
mod orders;
mod stock;
mod texts;

use mysql_async::prelude::Queryable;
use mysql_async::{Conn, Opts, OptsBuilder};

/// Maximum number of example violations per invariant that [`check`] returns.
pub const DEFAULT_EXAMPLES: usize = 5;

/// Statements that open the snapshot. `@audit_time` is the server time immediately before the snapshot, so that overdue
/// rows are determined as of the snapshot, regardless of how long the queries take.
const SNAPSHOT: [&str; 4] = [
    "SET NAMES utf8mb4, time_zone = '+00:00'",
    "SET SESSION TRANSACTION ISOLATION LEVEL REPEATABLE READ",
    "SET @audit_time = UTC_TIMESTAMP(6)",
    "START TRANSACTION WITH CONSISTENT SNAPSHOT, READ ONLY",
];

/// Condition that the data in every database must satisfy.
#[derive(Clone, Copy, Debug)]
pub struct Invariant {
    /// Stable short name.
    pub name: &'static str,
    /// The invariant as a sentence.
    pub sentence: &'static str,
    /// Query that returns one text per violating row, which describes the row and the violation.
    query: &'static str,
}

/// Result of auditing one invariant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// Name of the invariant.
    pub name: &'static str,
    /// The invariant as a sentence.
    pub sentence: &'static str,
    /// Number of violating rows; 0 if the invariant holds.
    pub violations: u64,
    /// Descriptions of the first violations: the row and the violation.
    pub examples: Vec<String>,
}

/// Error that prevented the audit. It implies nothing about the data.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL is invalid, the server rejects the connection, or the snapshot cannot be opened.
    #[error("cannot connect")]
    Connect(#[source] mysql_async::Error),
    /// A statement failed: a table is missing, or the connection was lost.
    #[error("cannot check {invariant}")]
    Query {
        /// Name of the invariant.
        invariant: &'static str,
        /// Driver error.
        source: mysql_async::Error,
    },
}

/// Returns all invariants.
pub fn all() -> impl Iterator<Item = &'static Invariant> {
    [stock::INVARIANTS, orders::INVARIANTS, keys::INVARIANTS, customers::INVARIANTS, texts::INVARIANTS]
        .into_iter()
        .flatten()
}

/// Audits a database and returns a finding per invariant, including those that hold. `database_url` is a URL in the
/// driver's format; the connection does not use TLS.
///
/// # Errors
///
/// Returns an error if the server cannot be reached or a table is missing.
pub async fn check(database_url: &str) -> Result<Vec<Finding>, Error> {
    let opts = Opts::from_url(database_url).map_err(|error| Error::Connect(error.into()))?;
    // A server behind a forwarded port reports a socket path on its own machine, which must not be used.
    let opts = OptsBuilder::from_opts(opts).prefer_socket(false);
    check_on(Conn::new(opts).await.map_err(Error::Connect)?, DEFAULT_EXAMPLES).await
}

/// Audits a database on an exclusive connection, with at most `examples` example violations per invariant.
///
/// # Errors
///
/// Returns an error if a table is missing or the connection is lost.
pub async fn check_on(mut conn: Conn, examples: usize) -> Result<Vec<Finding>, Error> {
    for statement in SNAPSHOT {
        conn.query_drop(statement).await.map_err(Error::Connect)?;
    }
    let mut findings = Vec::new();
    for invariant in all() {
        let found = find_violations(&mut conn, invariant, examples).await;
        findings.push(found.map_err(|source| Error::Query { invariant: invariant.name, source })?);
    }
    // The result is complete, even if disconnecting fails.
    let _ = conn.disconnect().await;
    Ok(findings)
}

async fn find_violations(
    conn: &mut Conn,
    invariant: &Invariant,
    max_examples: usize,
) -> Result<Finding, mysql_async::Error> {
    let Invariant { name, sentence, query } = *invariant;
    let mut rows = conn.query_iter(query).await?;
    let (mut violations, mut examples) = (0, Vec::new());
    while let Some(mut row) = rows.next().await? {
        violations += 1;
        if examples.len() < max_examples {
            let text: Option<Vec<u8>> = row.take(0);
            examples.push(String::from_utf8_lossy(&text.unwrap_or_default()).into_owned());
        }
    }
    Ok(Finding { name, sentence, violations, examples })
}
