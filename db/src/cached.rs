//! Prepared-statement caching for statements that Diesel does not cache.
//!
//! Diesel caches a prepared statement only if it can prove that the text never varies. It cannot prove this for
//! UPDATEs, raw SQL fragments and `sql_query`, so each execution of these takes two round trips: prepare and execute.
//! [`CachedStatement::cached`] enables caching for such a statement.

use diesel::mysql::Mysql;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;

/// Statements that can be cached as prepared statements.
pub trait CachedStatement: Sized {
    /// Returns the statement with caching enabled: each connection prepares it once for each distinct text. Use it only
    /// for statements with few distinct texts, because a connection never evicts a cached statement.
    fn cached(self) -> Cached<Self> {
        Cached(self)
    }
}

impl<S: QueryFragment<Mysql>> CachedStatement for S {}

/// Statement that is cached after it is prepared.
#[derive(Clone, Copy, Debug)]
pub struct Cached<S>(S);

impl<S: QueryFragment<Mysql>> QueryFragment<Mysql> for Cached<S> {
    fn walk_ast<'b>(&'b self, pass: AstPass<'_, 'b, Mysql>) -> QueryResult<()> {
        self.0.walk_ast(pass)
    }

    fn is_safe_to_cache_prepared(&self, _: &Mysql) -> QueryResult<bool> {
        Ok(true)
    }
}

impl<S> QueryId for Cached<S> {
    type QueryId = ();

    // Use the statement text as the cache key.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<S: Query> Query for Cached<S> {
    type SqlType = S::SqlType;
}

/// Pads `values` with copies of the first one to a power of two, so that a statement that lists them has few distinct
/// texts and can be [cached](CachedStatement::cached).
pub fn padded<T: Clone>(mut values: Vec<T>) -> Vec<T> {
    if let Some(first) = values.first().cloned() {
        values.resize(values.len().next_power_of_two(), first);
    }
    values
}
