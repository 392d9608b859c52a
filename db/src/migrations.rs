//! Applies, reverts and lists schema migrations.
//!
//! The files in `db/migrations` are embedded in the program. A server-side lock serialises processes that migrate the
//! same database; the server releases it when the connection that holds it closes.

use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::mysql::Mysql;
use diesel::sql_types::{Integer, Nullable, Text};
use diesel::{ConnectionError, QueryableByName};
use diesel_async::{AsyncMigrationHarness, AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};
use thiserror::Error;
use tokio::task::{JoinError, spawn_blocking};

use crate::connect::{open_unpooled, open_unpooled_server};
use crate::settings::DatabaseSettings;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("migrations");

/// Maximum wait for the migration lock, in seconds.
const LOCK_WAIT: i32 = 120;

/// Migration and whether it has been applied.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// Directory name of the migration.
    pub name: String,
    /// Whether the migration has been applied.
    pub applied: bool,
}

/// Migration error. The message is a single line.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// The server cannot be reached or rejects the user.
    #[error("cannot connect to {database}")]
    Connect {
        /// `user@host:port/name`.
        database: String,
        /// Driver error.
        source: ConnectionError,
    },
    /// Another process holds the migration lock.
    #[error("another process has been migrating {0} for {LOCK_WAIT} seconds; wait for it or stop it")]
    Locked(String),
    /// A statement of a migration failed. The preceding statements remain applied, because DDL is not transactional.
    #[error("migration {name} failed: {reason}")]
    Migration {
        /// Directory name of the migration.
        name: String,
        /// Server message.
        reason: String,
    },
    /// The list of applied migrations cannot be read, or contains a migration that this build does not include.
    #[error("cannot read the list of applied migrations: {0}")]
    History(String),
    /// There is no migration to revert.
    #[error("no migration is applied")]
    NothingApplied,
    /// The thread that ran the migrations panicked.
    #[error("the migration thread panicked")]
    Interrupted(#[from] JoinError),
}

/// Creates the database if it does not exist, applies pending migrations, and returns their names.
///
/// # Errors
///
/// Returns any [`MigrateError`]. Migrations before the failed one remain applied.
pub async fn up(settings: &DatabaseSettings) -> Result<Vec<String>, MigrateError> {
    create_database(settings).await?;
    with_harness(settings, |harness| {
        let pending = harness.pending_migrations(MIGRATIONS).map_err(history_error)?;
        pending.iter().map(|migration| apply(harness, migration.as_ref())).collect()
    })
    .await
}

/// Returns every migration of this build, oldest first, and whether it is applied.
///
/// # Errors
///
/// Returns any [`MigrateError`].
pub async fn status(settings: &DatabaseSettings) -> Result<Vec<MigrationStatus>, MigrateError> {
    with_harness(settings, |harness| {
        let applied = harness.applied_migrations().map_err(history_error)?;
        let status = |migration: Box<dyn Migration<Mysql>>| MigrationStatus {
            name: migration.name().to_string(),
            applied: applied.contains(&migration.name().version()),
        };
        Ok(known_migrations()?.into_iter().map(status).collect())
    })
    .await
}

/// Reverts the newest applied migration and returns its name. Data in the affected tables is lost.
///
/// # Errors
///
/// Returns any [`MigrateError`], such as `NothingApplied` if no migration is applied.
pub async fn down(settings: &DatabaseSettings) -> Result<String, MigrateError> {
    with_harness(settings, revert_newest).await
}

/// Reverts the newest applied migration and applies it again. Data in the affected tables is lost.
///
/// # Errors
///
/// Returns the same errors as [`down`].
pub async fn redo(settings: &DatabaseSettings) -> Result<String, MigrateError> {
    with_harness(settings, |harness| {
        let name = revert_newest(harness)?;
        let pending = harness.pending_migrations(MIGRATIONS).map_err(history_error)?;
        match pending.iter().find(|migration| migration.name().to_string() == name) {
            Some(migration) => apply(harness, migration.as_ref()),
            None => Err(MigrateError::NothingApplied),
        }
    })
    .await
}

/// Creates the database in `settings`, unless it exists.
///
/// # Errors
///
/// Returns `Connect` if the server cannot be reached or the user is not permitted to create the database.
async fn create_database(settings: &DatabaseSettings) -> Result<(), MigrateError> {
    // Try to connect first: a user without the privilege to create databases can still migrate an existing one.
    if open_unpooled(settings).await.is_ok() {
        return Ok(());
    }
    let mut connection = open_unpooled_server(settings).await.map_err(|source| connect_error(settings, source))?;
    let name = settings.database.replace('`', "``");
    let create = format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    connection
        .batch_execute(&create)
        .await
        .map_err(|error| connect_error(settings, ConnectionError::CouldntSetupConfiguration(error)))
}

type Harness = AsyncMigrationHarness<AsyncMysqlConnection>;

/// Runs `work` while holding the migration lock, on a blocking thread because the harness blocks.
async fn with_harness<T: Send + 'static>(
    settings: &DatabaseSettings,
    work: impl FnOnce(&mut Harness) -> Result<T, MigrateError> + Send + 'static,
) -> Result<T, MigrateError> {
    let mut connection = open_unpooled(settings).await.map_err(|source| connect_error(settings, source))?;
    acquire_lock(&mut connection, settings).await?;
    spawn_blocking(move || work(&mut AsyncMigrationHarness::new(connection))).await?
}

#[derive(QueryableByName)]
struct Lock {
    #[diesel(sql_type = Nullable<Integer>)]
    acquired: Option<i32>,
}

/// Acquires the migration lock. Its name contains a hash of the database name: lock names are limited to 64 characters
/// and shared by all databases of the server.
async fn acquire_lock(connection: &mut AsyncMysqlConnection, settings: &DatabaseSettings) -> Result<(), MigrateError> {
    let lock: Lock =
        diesel::sql_query("SELECT CAST(GET_LOCK(CONCAT('migrate ', LEFT(SHA2(?, 256), 40)), ?) AS SIGNED) AS acquired")
            .bind::<Text, _>(&settings.database)
            .bind::<Integer, _>(LOCK_WAIT)
            .get_result(connection)
            .await
            .map_err(|error| connect_error(settings, ConnectionError::CouldntSetupConfiguration(error)))?;
    match lock.acquired {
        Some(1) => Ok(()),
        _ => Err(MigrateError::Locked(settings.to_string())),
    }
}

fn apply(harness: &mut Harness, migration: &dyn Migration<Mysql>) -> Result<String, MigrateError> {
    let name = migration.name().to_string();
    match harness.run_migration(migration) {
        Ok(_version) => Ok(name),
        Err(error) => Err(MigrateError::Migration { name, reason: error.to_string() }),
    }
}

fn revert_newest(harness: &mut Harness) -> Result<String, MigrateError> {
    let applied: Vec<MigrationVersion<'static>> = harness.applied_migrations().map_err(history_error)?;
    // Newest first.
    let newest = applied.as_slice().first().ok_or(MigrateError::NothingApplied)?;
    let known = known_migrations()?;
    let Some(migration) = known.iter().find(|migration| migration.name().version() == *newest) else {
        return Err(MigrateError::History(format!(
            "{newest} is unknown to this build; use the newer build that applied it"
        )));
    };
    let name = migration.name().to_string();
    match harness.revert_migration(migration) {
        Ok(_version) => Ok(name),
        Err(error) => Err(MigrateError::Migration { name, reason: error.to_string() }),
    }
}

fn known_migrations() -> Result<Vec<Box<dyn Migration<Mysql>>>, MigrateError> {
    let mut known = MigrationSource::<Mysql>::migrations(&MIGRATIONS).map_err(history_error)?;
    known.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    Ok(known)
}

#[expect(clippy::needless_pass_by_value, reason = "map_err passes the error by value")]
fn history_error(error: Box<dyn std::error::Error + Send + Sync>) -> MigrateError {
    MigrateError::History(error.to_string())
}

fn connect_error(settings: &DatabaseSettings, source: ConnectionError) -> MigrateError {
    MigrateError::Connect { database: settings.to_string(), source }
}
