//! Statements that a connection prepares once.
//!
//! diesel keeps a prepared statement only if it can tell that its text never varies. Of an UPDATE, of whatever has SQL in it
//! that was written by hand and of `sql_query` it cannot tell, and so sends each of them twice: once to be prepared, once to
//! be carried out. [`CachedStatement::cached`] vouches for the text.

use diesel::mysql::Mysql;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::result::QueryResult;

/// What can be kept prepared.
pub trait CachedStatement: Sized {
    /// The same statement, prepared once for each connection and kept by its text. For statements of which there are a
    /// few texts at most, as a connection forgets none of them.
    fn cached(self) -> Cached<Self> {
        Cached(self)
    }
}

impl<S: QueryFragment<Mysql>> CachedStatement for S {}

/// A statement that is kept prepared.
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

    // So that the text decides.
    const HAS_STATIC_QUERY_ID: bool = false;
}

impl<S: Query> Query for Cached<S> {
    type SqlType = S::SqlType;
}

/// These values and the first of them again, until their number is a power of two: a statement that lists them has few texts, and
/// can be [`CachedStatement::cached`].
pub fn padded<T: Clone>(mut values: Vec<T>) -> Vec<T> {
    if let Some(first) = values.first().cloned() {
        values.resize(values.len().next_power_of_two(), first);
    }
    values
}
