//! System under test: a private database server with full durability, and the services in the production profile.

use std::fs::{File, create_dir_all};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use harness::{Database, Log, Process, Program, Secrets, Service, ready_status};
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Opts, OptsBuilder};
use serde_json::json;
use tokio::time::{sleep, timeout};

use crate::requests::Connection;

/// Running processes. Dropping this value stops them.
pub(crate) struct System {
    /// Directory for data and logs.
    directory: PathBuf,
    secrets: Secrets,
    database: Database,
    ports: Vec<u16>,
    running: [Option<Process>; Service::ALL.len()],
}

impl System {
    pub(crate) const DATABASE: &str = "backoffice";

    /// Starts a database server with these numbers of orders, customers and products, or with the directory's data.
    pub(crate) async fn start(program: &private_server::Program, directory: &Path, rows: [u32; 3]) -> Result<Self> {
        let complete = directory.join("complete");
        let is_kept = complete.exists();
        ensure!(is_kept || !directory.exists(), "an earlier run was interrupted: remove {}", directory.display());
        create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let log = Log::create(directory, "database")?;
        let database = Database::start(program.clone(), directory, log, true).await?;
        database.prepare(directory).await?;
        let ports = private_server::free_ports(Service::ALL.len())?;
        let (secrets, directory, running) = (Secrets::random(), directory.to_owned(), [None, None, None]);
        let system = Self { directory, secrets, database, ports, running };
        if is_kept {
            // The stored admin has the password of an earlier run, so delete it.
            system.query::<i64>("DELETE FROM operators").await?;
        } else {
            let [orders, customers, products] = rows.map(|rows| rows.to_string());
            let scale = ["seed", "--scale", &orders, "--customers", &customers, "--products", &products];
            system.db(Self::DATABASE, &scale, 4).await?;
            File::create(complete)?;
        }
        Ok(system)
    }

    /// Starts or restarts a service. Returns the time until the service was ready.
    pub(crate) async fn start_service(&mut self, service: Service) -> Result<Duration> {
        self.stop_service(service).await;
        let (begin, address) = (Instant::now(), self.address(service));
        self.running[service as usize] = Some(self.program(service)?.start().await?);
        let ready = async {
            while ready_status(address).await != Some(200) {
                sleep(Duration::from_millis(1)).await;
            }
        };
        let ready = timeout(Duration::from_secs(60), ready).await;
        ready.with_context(|| format!("{} is not ready within 60 s", service.name()))?;
        Ok(begin.elapsed())
    }

    async fn stop_service(&mut self, service: Service) {
        if let Some(process) = self.running[service as usize].take() {
            process.stop().await;
        }
    }

    /// Returns the program of a service, configured to listen on [`Self::address`].
    pub(crate) fn program(&self, service: Service) -> Result<Program> {
        let mut program = Program::sibling(service.name(), Log::create(&self.directory, service.name())?)?;
        // The service writes to the file itself: forwarding each line would consume CPU time during the measurement.
        let log = self.directory.join(service.name()).with_extension("log").display().to_string();
        let path = std::mem::replace(&mut program.path, PathBuf::from("sh")).display().to_string();
        program.arguments = vec!["-c".to_owned(), r#"exec "$0" >>"$1" 2>&1"#.to_owned(), path, log];
        let own = [
            ("PORT", self.address(service).port().to_string()),
            ("DATABASE_URL", self.database_url()?),
            ("CUSTOMERS_API_BASE", format!("http://{}", self.address(Service::Customers))),
            ("ORDERS_API_BASE", format!("http://{}", self.address(Service::Orders))),
        ];
        program.environment = self.secrets.settings();
        program.environment.extend(own.map(|(name, value)| (name.to_owned(), value)));
        Ok(program)
    }

    /// Starts the server with the no-op operation.
    pub(crate) async fn serve_empty(&self) -> Result<(Process, SocketAddr)> {
        let (path, log) = (std::env::current_exe()?, Log::create(&self.directory, "empty")?);
        Program { path, arguments: vec!["--serve-empty".to_owned()], environment: Vec::new(), log }.serve().await
    }

    /// Runs the program `db` against a database on this server, with the given number of connections.
    pub(crate) async fn db(&self, database: &str, arguments: &[&str], connections: u8) -> Result<()> {
        let mut program = Program::sibling("db", Log::create(&self.directory, &format!("db-{}", arguments[0]))?)?;
        let url = self.database_url()?.replace(Self::DATABASE, database);
        program.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let settings = [("DATABASE_URL", url), ("DB_POOL_SIZE", connections.to_string())];
        program.environment = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
        program.run().await
    }

    pub(crate) fn address(&self, service: Service) -> SocketAddr {
        ([127, 0, 0, 1], self.ports[service as usize]).into()
    }

    pub(crate) fn pid(&self, service: Service) -> Option<u32> {
        self.running[service as usize].as_ref().map(Process::pid)
    }

    pub(crate) fn database_url(&self) -> Result<String> {
        self.database.port().map(Database::url).context("the database server is not running")
    }

    /// Returns options for a TCP connection, as used by the services.
    pub(crate) fn options(&self) -> Result<OptsBuilder> {
        Ok(OptsBuilder::from_opts(Opts::from_url(&self.database_url()?)?).prefer_socket(false))
    }

    /// Executes a query on the services' database.
    pub(crate) async fn query<T: FromRow + Send + 'static>(&self, sql: &str) -> Result<Vec<T>> {
        let mut connection = Conn::new(self.options()?).await?;
        let rows = connection.query(sql).await.with_context(|| format!("cannot execute {sql}"))?;
        connection.disconnect().await?;
        Ok(rows)
    }

    /// Returns the tables in the services' database, excluding the migrations table.
    pub(crate) async fn tables(&self) -> Result<Vec<String>> {
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()";
        self.query(&format!("{tables} AND table_name NOT LIKE '\\_%'")).await
    }

    /// Returns the request body for logging in as the admin.
    pub(crate) fn credentials(&self) -> String {
        json!({ "username": self.secrets.admin_user, "password": self.secrets.admin_password }).to_string()
    }

    /// Logs in as the admin and returns the token, which is valid for 15 minutes.
    pub(crate) async fn log_in(&self) -> Result<Arc<str>> {
        let mut connection = Connection::open(self.address(Service::Customers)).await?;
        let login = connection.call("", "/auth/token", Some(self.credentials())).await.context("cannot log in")?;
        Ok(login["access_token"].as_str().context("the login response has no token")?.into())
    }

    pub(crate) fn service_token(&self) -> Arc<str> {
        self.secrets.service_token.as_str().into()
    }

    /// Stops the services in reverse start order, then stops the database server.
    pub(crate) async fn stop(mut self) -> Result<()> {
        for service in Service::ALL.into_iter().rev() {
            self.stop_service(service).await;
        }
        self.database.stop().await
    }
}
