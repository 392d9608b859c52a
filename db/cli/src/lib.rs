//! Seed rows and schema files, for the program `db` and for tests.

pub mod schema;
pub mod seed;
