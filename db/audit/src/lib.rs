//! Reads a database and says whether everything that the books promise is true.
//!
//! Shares no code with the services: what it knows are the tables. Each promise is a sentence and a query that selects
//! the rows which contradict it; they are in `stock`, `orders`, `keys` and `customers`. All queries see one snapshot, so
//! a look beside live traffic finds nothing half done. How it is connected to is in `database`.

mod customers;
mod database;
mod keys;
mod orders;
mod stock;

use mysql_async::Conn;
use mysql_async::prelude::Queryable;

pub use database::Error;

/// How many contradictions [`check`] shows of each invariant.
pub const DEFAULT_EXAMPLES: usize = 5;

/// One promise.
#[derive(Clone, Copy, Debug)]
pub struct Invariant {
    /// A short name that stays the same.
    pub name: &'static str,
    /// What is promised.
    pub sentence: &'static str,
    /// Selects one text for each row that contradicts it: which row, and what is wrong.
    query: &'static str,
}

/// What a look at one invariant found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finding {
    /// The name of the invariant.
    pub name: &'static str,
    /// What is promised.
    pub sentence: &'static str,
    /// How many rows contradict it; 0 when it holds.
    pub violations: u64,
    /// The first of them: which row, and what is wrong.
    pub examples: Vec<String>,
}

/// Everything that is promised.
pub fn all() -> impl Iterator<Item = &'static Invariant> {
    [stock::INVARIANTS, orders::INVARIANTS, keys::INVARIANTS, customers::INVARIANTS].into_iter().flatten()
}

/// Looks at every invariant, also at those that hold. The URL is one of `DATABASE_URL`: see [`check_with_examples`].
///
/// # Errors
///
/// As for [`check_with_examples`].
pub async fn check(database_url: &str) -> Result<Vec<Finding>, Error> {
    check_with_examples(database_url, DEFAULT_EXAMPLES).await
}

/// As [`check`], with at most so many examples of each. The URL is `mysql://user:password@host:port/name`, with
/// `?ssl-mode=` and `&ssl-ca=` as MySQL's own programs name them.
///
/// # Errors
///
/// The database could not be looked at: the URL is wrong, nobody answers, or a table is missing.
pub async fn check_with_examples(database_url: &str, examples: usize) -> Result<Vec<Finding>, Error> {
    let mut snapshot = database::snapshot(database_url).await?;
    let mut findings = Vec::new();
    for invariant in all() {
        let found = look(&mut snapshot, invariant, examples).await;
        findings.push(found.map_err(|error| Error::query(invariant.name, &error))?);
    }
    // Everything is known by now, however the connection ends.
    let _ = snapshot.disconnect().await;
    Ok(findings)
}

async fn look(snapshot: &mut Conn, invariant: &Invariant, most: usize) -> Result<Finding, mysql_async::Error> {
    let Invariant { name, sentence, query } = *invariant;
    let mut rows = snapshot.query_iter(query).await?;
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
