//! Generator of `db/schema.sql` and `db/src/schema.rs` from the migrated tables.
//!
//! Reads `information_schema`; the output is identical on MySQL and MariaDB.

mod read;
mod rust;
mod sql;

use db::error::DbError;
use db::migrations::{self, MigrateError};
use db::{DatabaseSettings, Db};
use diesel::QueryableByName;
use diesel::sql_types::{Nullable, Text};
use diesel_async::SimpleAsyncConnection;
use thiserror::Error;

pub use rust::UnknownType;

/// Tables of a migrated database in dependency order (referenced tables first), and the applied migrations.
#[derive(Debug)]
pub struct Schema {
    tables: Vec<Table>,
    versions: Vec<String>,
}

/// Error returned by [`Schema::of_migrations`].
#[derive(Debug, Error)]
pub enum SchemaError {
    /// The scratch database could not be created.
    #[error(transparent)]
    Migrate(#[from] MigrateError),
    /// The scratch database could not be read or dropped.
    #[error("cannot read the scratch database")]
    Read(#[from] DbError),
}

impl Schema {
    /// Reads the tables of a migrated database.
    ///
    /// # Errors
    ///
    /// Returns any [`DbError`] that a read can cause.
    pub async fn read(db: &Db) -> Result<Self, DbError> {
        db.run(async |connection| read::schema(connection).await).await
    }

    /// Reads the tables that the migrations of this build create, from a scratch database on the server in `settings`.
    /// The database in `settings` is not accessed.
    ///
    /// # Errors
    ///
    /// Returns an error if the scratch database cannot be migrated, read or dropped.
    pub async fn of_migrations(settings: &DatabaseSettings) -> Result<Self, SchemaError> {
        let scratch = settings.with_database(&format!("schema_{:016x}", rand::random::<u64>()));
        migrations::up(&scratch).await?;
        let db = Db::connect(&scratch);
        let schema = Self::read(&db).await;
        // Drop the scratch database even if reading failed. Its name needs no quoting.
        let drop = format!("DROP DATABASE {}", scratch.database());
        db.run(async |connection| Ok(connection.batch_execute(&drop).await?)).await?;
        Ok(schema?)
    }
}

#[derive(Debug)]
struct Table {
    name: String,
    collation: String,
    columns: Vec<Column>,
    /// Keys, primary key first.
    keys: Vec<Key>,
    foreign_keys: Vec<ForeignKey>,
    checks: Vec<Check>,
}

impl Table {
    fn primary_key(&self) -> &[String] {
        self.keys.first().filter(|key| key.name == "PRIMARY").map_or(&[], |key| &key.columns)
    }
}

#[derive(Debug, QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    column_type: String,
    #[diesel(sql_type = Nullable<Text>)]
    collation: Option<String>,
    #[diesel(sql_type = Text)]
    is_nullable: String,
    #[diesel(sql_type = Nullable<Text>)]
    default_value: Option<String>,
    #[diesel(sql_type = Text)]
    extra: String,
}

impl Column {
    /// Returns the type name without arguments.
    fn base_type(&self) -> &str {
        self.column_type.split('(').next().unwrap_or_default()
    }

    fn is_nullable(&self) -> bool {
        self.is_nullable == "YES"
    }
}

#[derive(Debug)]
struct Key {
    name: String,
    unique: bool,
    columns: Vec<String>,
}

#[derive(Debug, QueryableByName)]
struct ForeignKey {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    columns: String,
    #[diesel(sql_type = Text)]
    parent: String,
    #[diesel(sql_type = Text)]
    parent_columns: String,
    #[diesel(sql_type = Text)]
    delete_rule: String,
}

#[derive(Debug, QueryableByName)]
struct Check {
    #[diesel(sql_type = Text)]
    table_name: String,
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    clause: String,
}
