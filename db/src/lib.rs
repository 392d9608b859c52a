//! The database: pool, transactions, migrations, seeds, idempotency keys, and databases for tests.
//!
//! Here lives what every service needs of MySQL or MariaDB: connections that are safe to share, transactions that are
//! retried, errors that can be matched on, and the tables as Rust sees them. The statements of one service on its own
//! tables do not live here but in that service's `store` modules.

pub mod cached;
pub mod clock;
pub mod error;
pub mod idempotency;
pub mod insert;
pub mod lookup;
pub mod migrations;
pub mod pool;
pub mod prefix_index;
pub mod schema;
pub mod schema_sql;
pub mod search;
pub mod seed;
pub mod settings;
#[cfg(feature = "testing")]
pub mod testing;
pub mod transaction;

mod connect;
mod metrics;

pub use cached::{CachedStatement, padded};
pub use diesel_async::AsyncMysqlConnection as Connection;
pub use error::{DbError, classify};
pub use lookup::Lookup;
pub use metrics::describe_metrics;
pub use pool::Db;
pub use settings::{DatabaseSettings, SettingError, TlsMode};
pub use transaction::TransactionError;
