//! Sample data, reindexing and schema generation, for the program `db` and for tests.

pub mod reindex;
pub mod schema;
pub mod seed;
