//! MySQL/MariaDB access: pool, transactions, idempotency keys, batch loader, search, migrations.
//!
//! Shared by all services: safe connection pooling, transactions with retries, typed errors and the table declarations.
//! Each service keeps the statements on its own tables in its `store` modules. The command line is in `db-cli`.

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

pub use batch_loader::BatchLoader;
pub use cached::{CachedStatement, padded};
pub use diesel_async::AsyncMysqlConnection as Connection;
pub use email::email_key;
pub use error::{DbError, classify};
pub use metrics::{count_retry, describe_metrics};
pub use pool::Db;
pub use settings::{DatabaseSettings, SettingError, TlsMode};
pub use transaction::TransactionError;
