//! Sample data and schema generation, for the program `db` and for tests.

pub mod schema;
pub mod seed;
