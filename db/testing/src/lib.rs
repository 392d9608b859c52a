//! Test harness: a fresh, migrated database for each test.
//!
//! Uses the server in `TEST_DATABASE_URL` or `DATABASE_URL` without changing the database named there. If neither is
//! set, starts one private server per test process. The migrations run once per process; each database is then created
//! from the resulting schema in one round trip.

use std::path::PathBuf;
use std::sync::OnceLock;
use std::{env, mem, thread};

use db::connect::{open_unpooled, open_unpooled_server};
use db::{DatabaseSettings, Db, migrations};
use db_cli::schema::Schema;
use db_cli::seed;
use diesel::QueryableByName;
use diesel::sql_types::{Bigint, Nullable, Text, Unsigned};
use diesel_async::{AsyncMysqlConnection, RunQueryDsl, SimpleAsyncConnection};
use private_server::{Durability, Error as ServerError, PrivateServer, Program, install_command};
use tokio::runtime;
use tokio::sync::OnceCell;
use tokio::task::spawn_blocking;
use url::Url;

/// Database for one test. Dropping this value drops the database, even if the test fails.
pub struct TestDatabase {
    url: String,
    settings: DatabaseSettings,
    db: Db,
}

impl TestDatabase {
    /// Creates an empty database with all tables.
    ///
    /// # Panics
    ///
    /// Panics with a single-line message if no server is available or the server rejects the connection.
    pub async fn create() -> Self {
        let server = expect_ok("find a database server", spawn_blocking(server_url).await);
        let schema = SCHEMA.get_or_init(|| migrated_schema(server)).await;
        let database = Self::named(server, &random_name());
        let mut connection = expect_ok("connect to the server", open_unpooled_server(&database.settings).await);
        let name = database.settings.database();
        let statements = format!("CREATE DATABASE {name} COLLATE utf8mb4_bin; USE {name};\n{schema}");
        expect_ok("create the tables", connection.batch_execute(&statements).await);
        database
    }

    /// Creates a database with all tables and the rows of `db/cli/seed.sql`.
    ///
    /// # Panics
    ///
    /// Panics under the same conditions as [`TestDatabase::create`].
    pub async fn seeded() -> Self {
        let database = Self::create().await;
        expect_ok("seed", seed::seed(&database.db).await);
        database
    }

    /// Returns the database URL in the format of `DATABASE_URL`.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Returns the connection settings.
    #[must_use]
    pub fn settings(&self) -> &DatabaseSettings {
        &self.settings
    }

    /// Returns a pool for the database.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// Opens a connection outside the pool, to inspect the tables or to hold locks.
    ///
    /// # Panics
    ///
    /// Panics with a single-line message if the server rejects the connection.
    pub async fn connection(&self) -> AsyncMysqlConnection {
        expect_ok("connect to the test database", open_unpooled(&self.settings).await)
    }

    fn named(server: &Url, name: &str) -> Self {
        let mut url = server.clone();
        url.set_path(name);
        let settings = expect_ok("read the database URL", DatabaseSettings::from_url(url.as_str()));
        Self { url: url.into(), db: Db::connect(&settings), settings }
    }
}

/// Drops the database on a new thread with its own runtime, because `drop` cannot await on the test's runtime.
impl Drop for TestDatabase {
    fn drop(&mut self) {
        let settings = self.settings.clone();
        let dropped = thread::spawn(move || drop_database(&settings)).join();
        match dropped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("cannot drop the test database {}: {error}", self.settings),
            Err(_) => eprintln!("cannot drop the test database {}: panicked", self.settings),
        }
    }
}

/// Statements that create all tables, read from the first database that this process migrates.
static SCHEMA: OnceCell<String> = OnceCell::const_new();

async fn migrated_schema(server: &Url) -> String {
    let database = TestDatabase::named(server, &random_name());
    expect_ok("migrate", migrations::up(&database.settings).await);
    expect_ok("read the migrated schema", Schema::read(database.db()).await).sql()
}

fn random_name() -> String {
    format!("b2b_test_{:016x}", rand::random::<u64>())
}

fn drop_database(settings: &DatabaseSettings) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut connection = open_unpooled_server(settings).await?;
        kill_sessions(&mut connection, settings.database()).await?;
        connection.batch_execute(&format!("DROP DATABASE IF EXISTS {}", settings.database())).await?;
        Ok(())
    })
}

#[derive(QueryableByName)]
struct Session {
    #[diesel(sql_type = Unsigned<Bigint>, column_name = "Id")]
    id: u64,
    #[diesel(sql_type = Nullable<Text>, column_name = "db")]
    database: Option<String>,
}

/// Kills all sessions on the database. A transaction left open by the test would block DROP DATABASE, and its
/// connection closes only when the test's runtime continues, but the runtime waits for this function.
///
/// Uses SHOW PROCESSLIST, because MySQL fails to read `information_schema.processlist` while a statement has binary
/// values.
async fn kill_sessions(connection: &mut AsyncMysqlConnection, database: &str) -> diesel::QueryResult<()> {
    let mut sessions: Vec<Session> = diesel::sql_query("SHOW PROCESSLIST").load(connection).await?;
    sessions.retain(|session| session.database.as_deref() == Some(database));
    for Session { id, .. } in sessions {
        // Fails if the session has ended in the meantime.
        let _ = connection.batch_execute(&format!("KILL {id}")).await;
    }
    Ok(())
}

/// Returns the URL of the server that hosts all databases of this process.
fn server_url() -> &'static Url {
    static URL: OnceLock<Url> = OnceLock::new();
    URL.get_or_init(|| {
        let setting = |name| env::var(name).ok().filter(|url| !url.is_empty());
        let url = setting("TEST_DATABASE_URL").or_else(|| setting("DATABASE_URL")).unwrap_or_else(private_server);
        expect_ok("read the database URL", Url::parse(&url))
    })
}

/// Starts a server that stops when this process ends, and returns its URL.
fn private_server() -> String {
    let Some(program) = Program::find() else {
        fail(&format!("no database server for tests; set TEST_DATABASE_URL, or install one: {}", install_command()))
    };
    let server = expect_ok("start a database server for tests", start_in_free_directory(&program));
    let url = server.url("mysql");
    mem::forget(server);
    url
}

/// Starts a server in a data directory that no other test process is using. Directories are reused by later processes,
/// which saves creating the system tables.
fn start_in_free_directory(program: &Program) -> Result<PrivateServer, ServerError> {
    let mut directories = (0..).map(|slot| servers_directory().join(format!("{}-{slot}", program.engine())));
    loop {
        let Some(directory) = directories.next() else { unreachable!("the range is unbounded") };
        match PrivateServer::start(program, &directory, Durability::Relaxed) {
            Err(ServerError::InUse(_)) => {}
            result => return result,
        }
    }
}

/// Returns the directory for server data in cargo's target directory. The path of a test binary is
/// `<profile>/deps/<name>`.
fn servers_directory() -> PathBuf {
    let program = expect_ok("find the directory of this test", env::current_exe());
    program.ancestors().nth(2).unwrap_or(&program).join("test-servers")
}

fn expect_ok<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => fail(&format!("cannot {what}: {error}")),
    }
}

#[expect(clippy::panic, reason = "a test without its database fails")]
fn fail(message: &str) -> ! {
    panic!("{message}")
}
