//! A fresh, migrated database for every test.
//!
//! The server is that of `TEST_DATABASE_URL` or `DATABASE_URL` (the database named there is never touched), or else a
//! private server that is started once per test process and ends with it. The migrations run once per process; every
//! further database is made from the schema that they left, in one trip.

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

/// A database of its own for one test. Dropped together with this value, also when the test fails.
pub struct TestDatabase {
    url: String,
    settings: DatabaseSettings,
    db: Db,
}

impl TestDatabase {
    /// Makes an empty database with all tables.
    ///
    /// # Panics
    ///
    /// In one line, when there is no server to be had or it refuses.
    pub async fn create() -> Self {
        let server = must("find a database server", spawn_blocking(server_url).await);
        let schema = SCHEMA.get_or_init(|| migrated_schema(server)).await;
        let database = Self::named(server, &random_name());
        let mut connection = must("connect to the server", open_unpooled_server(&database.settings).await);
        let name = database.settings.database();
        let statements = format!("CREATE DATABASE {name} COLLATE utf8mb4_bin; USE {name};\n{schema}");
        must("create the tables", connection.batch_execute(&statements).await);
        database
    }

    /// Makes a database with all tables and the rows of `db/cli/seed.sql`.
    ///
    /// # Panics
    ///
    /// As for [`TestDatabase::create`].
    pub async fn seeded() -> Self {
        let database = Self::create().await;
        must("seed", seed::seed(&database.db).await);
        database
    }

    /// Its URL, as `DATABASE_URL` takes it.
    #[must_use]
    pub fn url(&self) -> &str {
        &self.url
    }

    /// How to connect to it.
    #[must_use]
    pub fn settings(&self) -> &DatabaseSettings {
        &self.settings
    }

    /// A pool on it.
    #[must_use]
    pub fn db(&self) -> &Db {
        &self.db
    }

    /// A connection outside the pool, for looking at the tables and for standing in the way of others.
    ///
    /// # Panics
    ///
    /// In one line, when the server refuses.
    pub async fn connection(&self) -> AsyncMysqlConnection {
        must("connect to the test database", open_unpooled(&self.settings).await)
    }

    fn named(server: &Url, name: &str) -> Self {
        let mut url = server.clone();
        url.set_path(name);
        let settings = must("read the database URL", DatabaseSettings::from_url(url.as_str()));
        Self { url: url.into(), db: Db::connect(&settings), settings }
    }
}

/// A thread with a runtime of its own: the test's runtime may be the one that is unwinding.
impl Drop for TestDatabase {
    fn drop(&mut self) {
        let settings = self.settings.clone();
        let dropped = thread::spawn(move || drop_database(&settings)).join();
        match dropped {
            Ok(Ok(())) => {}
            Ok(Err(error)) => eprintln!("could not drop the test database {}: {error}", self.settings),
            Err(_) => eprintln!("could not drop the test database {}: panicked", self.settings),
        }
    }
}

/// The statements that make all tables, read from the first database that this process migrated.
static SCHEMA: OnceCell<String> = OnceCell::const_new();

async fn migrated_schema(server: &Url) -> String {
    let database = TestDatabase::named(server, &random_name());
    must("migrate", migrations::up(&database.settings).await);
    must("read the migrated schema", Schema::read(database.db()).await).sql()
}

fn random_name() -> String {
    format!("b2b_test_{:016x}", rand::random::<u64>())
}

fn drop_database(settings: &DatabaseSettings) -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    runtime::Builder::new_current_thread().enable_all().build()?.block_on(async {
        let mut connection = open_unpooled_server(settings).await?;
        end_sessions(&mut connection, settings.database()).await?;
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

/// A transaction that the test left open would keep the tables from being dropped, and its connection is closed only
/// when the test's runtime runs again, which waits for this.
///
/// Not from `information_schema.processlist`: MySQL fails to read it while some statement has binary values.
async fn end_sessions(connection: &mut AsyncMysqlConnection, database: &str) -> diesel::QueryResult<()> {
    let mut sessions: Vec<Session> = diesel::sql_query("SHOW PROCESSLIST").load(connection).await?;
    sessions.retain(|session| session.database.as_deref() == Some(database));
    for Session { id, .. } in sessions {
        // It may have ended by itself in between.
        let _ = connection.batch_execute(&format!("KILL {id}")).await;
    }
    Ok(())
}

/// The server that all databases of this process are made on.
fn server_url() -> &'static Url {
    static URL: OnceLock<Url> = OnceLock::new();
    URL.get_or_init(|| {
        let given = |name| env::var(name).ok().filter(|url| !url.is_empty());
        let url = given("TEST_DATABASE_URL").or_else(|| given("DATABASE_URL")).unwrap_or_else(private_server);
        must("read the database URL", Url::parse(&url))
    })
}

/// Starts a server that watches this process and ends when it ends, and returns its URL.
fn private_server() -> String {
    let Some(program) = Program::find() else {
        give_up(&format!("no database server for tests: set TEST_DATABASE_URL, or: {}", install_command()))
    };
    let server = must("start a database server for tests", start_in_free_directory(&program));
    let url = server.url("mysql");
    mem::forget(server);
    url
}

/// Test processes may run side by side, each in a directory of its own. A directory is used again by later processes,
/// which saves them making its system tables.
fn start_in_free_directory(program: &Program) -> Result<PrivateServer, ServerError> {
    let mut directories = (0..).map(|slot| servers_directory().join(format!("{}-{slot}", program.engine())));
    loop {
        let Some(directory) = directories.next() else { unreachable!("the numbers do not end") };
        match PrivateServer::start(program, &directory, Durability::Relaxed) {
            Err(ServerError::InUse(_)) => {}
            result => return result,
        }
    }
}

/// In the folder that cargo builds in, wherever that is: a test is the file `<profile>/deps/<name>`.
fn servers_directory() -> PathBuf {
    let program = must("find the folder of this test", env::current_exe());
    program.ancestors().nth(2).unwrap_or(&program).join("test-servers")
}

fn must<T, E: std::fmt::Display>(what: &str, result: Result<T, E>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => give_up(&format!("cannot {what}: {error}")),
    }
}

#[expect(clippy::panic, reason = "a test that cannot have its database has failed")]
fn give_up(message: &str) -> ! {
    panic!("{message}")
}
