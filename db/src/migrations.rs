//! Brings a database to the state that this build expects, and back.
//!
//! The files of `db/migrations` are compiled in. Processes that migrate the same database at once take turns by a lock
//! of the server, which ends with the connection that holds it.

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

/// How long to wait while another process migrates, in seconds.
const LOCK_WAIT: i32 = 120;

/// A migration and whether the database has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct MigrationStatus {
    /// The name of its directory.
    pub name: String,
    /// True if it has been applied.
    pub applied: bool,
}

/// Why migrating failed. One line that names the migration or the database.
#[derive(Debug, Error)]
pub enum MigrateError {
    /// The server cannot be reached or refuses the user.
    #[error("cannot connect to {database}")]
    Connect {
        /// `user@host:port/name`.
        database: String,
        /// What the driver said.
        source: ConnectionError,
    },
    /// Another process has been migrating all the time.
    #[error("another process has been migrating {0} for {LOCK_WAIT} seconds: wait for it or end it")]
    Locked(String),
    /// A migration's statements failed. Statements before the failing one stay applied: DDL is not transactional.
    #[error("migration {name} failed: {reason}")]
    Migration {
        /// The name of its directory.
        name: String,
        /// What the server said.
        reason: String,
    },
    /// The list of applied migrations cannot be read or written.
    #[error("cannot read which migrations are applied: {0}")]
    History(String),
    /// There is nothing to take back.
    #[error("no migration is applied")]
    NothingApplied,
    /// The thread that ran the migrations panicked.
    #[error("migrating was interrupted")]
    Interrupted(#[from] JoinError),
}

/// Creates the database if it does not exist, applies what is missing, and returns the names of what was applied.
///
/// # Errors
///
/// [`MigrateError`]; migrations before the one that failed stay applied.
pub async fn up(settings: &DatabaseSettings) -> Result<Vec<String>, MigrateError> {
    create_database(settings).await?;
    with_harness(settings, |harness| {
        let pending = harness.pending_migrations(MIGRATIONS).map_err(history)?;
        pending.iter().map(|migration| apply(harness, migration.as_ref())).collect()
    })
    .await
}

/// Every migration of this build, oldest first, and whether it is applied.
///
/// # Errors
///
/// [`MigrateError`].
pub async fn status(settings: &DatabaseSettings) -> Result<Vec<MigrationStatus>, MigrateError> {
    with_harness(settings, |harness| {
        let applied = harness.applied_migrations().map_err(history)?;
        let status = |migration: Box<dyn Migration<Mysql>>| MigrationStatus {
            name: migration.name().to_string(),
            applied: applied.contains(&migration.name().version()),
        };
        Ok(known()?.into_iter().map(status).collect())
    })
    .await
}

/// Takes the newest applied migration back and returns its name. The data in its tables is lost.
///
/// # Errors
///
/// [`MigrateError`]; `NothingApplied` if there is none.
pub async fn down(settings: &DatabaseSettings) -> Result<String, MigrateError> {
    with_harness(settings, revert_newest).await
}

/// Takes the newest applied migration back and applies it again. The data in its tables is lost.
///
/// # Errors
///
/// As for [`down`].
pub async fn redo(settings: &DatabaseSettings) -> Result<String, MigrateError> {
    with_harness(settings, |harness| {
        let name = revert_newest(harness)?;
        let pending = harness.pending_migrations(MIGRATIONS).map_err(history)?;
        match pending.iter().find(|migration| migration.name().to_string() == name) {
            Some(migration) => apply(harness, migration.as_ref()),
            None => Err(MigrateError::NothingApplied),
        }
    })
    .await
}

/// Creates the database that `settings` name, unless it exists.
///
/// # Errors
///
/// `Connect` if the server cannot be reached or the user may not create it.
async fn create_database(settings: &DatabaseSettings) -> Result<(), MigrateError> {
    // A user who may only use this one database needs no right to create it once it is there.
    if open_unpooled(settings).await.is_ok() {
        return Ok(());
    }
    let mut connection = open_unpooled_server(settings).await.map_err(|source| cannot_connect(settings, source))?;
    let name = settings.database.replace('`', "``");
    let create = format!("CREATE DATABASE IF NOT EXISTS `{name}` CHARACTER SET utf8mb4 COLLATE utf8mb4_bin");
    connection
        .batch_execute(&create)
        .await
        .map_err(|error| cannot_connect(settings, ConnectionError::CouldntSetupConfiguration(error)))
}

type Harness = AsyncMigrationHarness<AsyncMysqlConnection>;

/// Runs `work` on a thread of its own, because the harness blocks, while this process holds the migration lock.
async fn with_harness<T: Send + 'static>(
    settings: &DatabaseSettings,
    work: impl FnOnce(&mut Harness) -> Result<T, MigrateError> + Send + 'static,
) -> Result<T, MigrateError> {
    let mut connection = open_unpooled(settings).await.map_err(|source| cannot_connect(settings, source))?;
    lock(&mut connection, settings).await?;
    spawn_blocking(move || work(&mut AsyncMigrationHarness::new(connection))).await?
}

#[derive(QueryableByName)]
struct Lock {
    #[diesel(sql_type = Nullable<Integer>)]
    taken: Option<i32>,
}

/// The name is hashed because lock names are limited to 64 characters and shared by all databases of the server.
async fn lock(connection: &mut AsyncMysqlConnection, settings: &DatabaseSettings) -> Result<(), MigrateError> {
    let lock: Lock =
        diesel::sql_query("SELECT CAST(GET_LOCK(CONCAT('migrate ', LEFT(SHA2(?, 256), 40)), ?) AS SIGNED) AS taken")
            .bind::<Text, _>(&settings.database)
            .bind::<Integer, _>(LOCK_WAIT)
            .get_result(connection)
            .await
            .map_err(|error| cannot_connect(settings, ConnectionError::CouldntSetupConfiguration(error)))?;
    match lock.taken {
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
    let applied: Vec<MigrationVersion<'static>> = harness.applied_migrations().map_err(history)?;
    // Newest first.
    let newest = applied.as_slice().first().ok_or(MigrateError::NothingApplied)?;
    let known = known()?;
    let Some(migration) = known.iter().find(|migration| migration.name().version() == *newest) else {
        return Err(MigrateError::History(format!(
            "{newest} was applied by a build that knows more migrations than this one"
        )));
    };
    let name = migration.name().to_string();
    match harness.revert_migration(migration) {
        Ok(_version) => Ok(name),
        Err(error) => Err(MigrateError::Migration { name, reason: error.to_string() }),
    }
}

fn known() -> Result<Vec<Box<dyn Migration<Mysql>>>, MigrateError> {
    let mut known = MigrationSource::<Mysql>::migrations(&MIGRATIONS).map_err(history)?;
    known.sort_by(|a, b| a.name().version().cmp(&b.name().version()));
    Ok(known)
}

#[expect(clippy::needless_pass_by_value, reason = "the error of the harness borrows it: used up at once by map_err")]
fn history(error: Box<dyn std::error::Error + Send + Sync>) -> MigrateError {
    MigrateError::History(error.to_string())
}

fn cannot_connect(settings: &DatabaseSettings, source: ConnectionError) -> MigrateError {
    MigrateError::Connect { database: settings.to_string(), source }
}
