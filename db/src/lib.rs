//! MySQL/MariaDB access: pool, transactions, idempotency keys, batch loader, search, migrations.
//!
//! This crate provides all services with safe connection pooling, transactions with retries, typed errors and the table
//! declarations. Each service defines the statements for its own tables in its `store` modules. The command-line tool
//! is in `db-cli`.

pub mod batch_loader;
pub mod cached;
pub mod clock;
pub mod connect;
pub mod email;
pub mod error;
pub mod idempotency;
pub mod insert;
pub mod migrations;
pub mod pool;
pub mod prefix_index;
pub mod schema;
pub mod search;
pub mod settings;
pub mod transaction;

mod metrics;
mod readiness;

pub use batch_loader::BatchLoader;
pub use cached::{CachedStatement, padded};
pub use diesel_async::AsyncMysqlConnection as Connection;
pub use email::email_key;
pub use error::{DbError, classify};
pub use metrics::{count_retry, describe_metrics};
pub use pool::{Db, RUN_LIMIT};
pub use settings::{DatabaseSettings, SettingError, TlsMode};
pub use transaction::{END_LIMIT, TransactionError};
