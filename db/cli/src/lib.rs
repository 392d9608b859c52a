//! Seed rows and schema files, for the program `db` and for tests.

pub mod schema_sql;
pub mod seed;
