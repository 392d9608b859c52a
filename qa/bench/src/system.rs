//! The system under test: a private database server with full durability, and the services in the production profile.

use std::fs::{File, create_dir_all};
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use harness::{Database, Log, Probe, Process, Program, Secrets, Service};
use mysql_async::prelude::{FromRow, Queryable};
use mysql_async::{Conn, Opts, OptsBuilder};
use serde_json::{Value, json};
use tokio::time::{sleep, timeout};

use crate::requests::{Caller, Connection};

const READY_WITHIN: Duration = Duration::from_secs(60);

/// Running processes. Dropping it stops them.
pub(crate) struct System {
    /// Data and logs.
    directory: PathBuf,
    /// For example `MariaDB 10.11.11`.
    pub(crate) engine: String,
    secrets: Secrets,
    database: Database,
    addresses: Vec<SocketAddr>,
    /// In the order of their start.
    running: [Option<Process>; Service::ALL.len()],
    probe: Probe,
}

impl System {
    /// Name of the services' database.
    pub(crate) const DATABASE: &str = "backoffice";

    /// Starts a database server with so many generated orders, customers and products, and no service. Data that is in
    /// the directory already is used again.
    pub(crate) async fn start(program: &private_server::Program, directory: &Path, rows: [u32; 3]) -> Result<Self> {
        let complete = directory.join("complete");
        let is_kept = complete.exists();
        ensure!(is_kept || !directory.exists(), "an earlier run was interrupted: remove {}", directory.display());
        create_dir_all(directory).with_context(|| format!("cannot create {}", directory.display()))?;
        let log = Log::create(directory, "database")?;
        let database = Database::start_as_installed(program.clone(), directory, log).await?;
        database.prepare(directory).await?;
        let ports = private_server::free_ports(Service::ALL.len())?;
        let addresses = ports.into_iter().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port))).collect();
        let engine = format!("{} {}", program.engine(), program.version());
        let (secrets, probe, directory) = (Secrets::random(), Probe::new()?, directory.to_owned());
        let system = Self { directory, engine, secrets, database, addresses, running: [None, None, None], probe };
        if is_kept {
            // The operator of an earlier run had another password.
            system.query::<i64>("DELETE FROM operators").await?;
        } else {
            let [orders, customers, products] = rows.map(|rows| rows.to_string());
            let scale = ["seed", "--scale", &orders, "--customers", &customers, "--products", &products];
            system.db(Self::DATABASE, &scale, 4).await?;
            File::create(complete)?;
        }
        Ok(system)
    }

    /// Starts a service and waits until it is ready, probing at this interval.
    pub(crate) async fn start_service(&mut self, service: Service, interval: Duration) -> Result<()> {
        let (process, address) = (self.program(service)?.start().await?, self.address(service));
        let ready = async {
            while !self.probe.is_ready(address).await {
                sleep(interval).await;
            }
        };
        timeout(READY_WITHIN, ready).await.with_context(|| format!("{} is not ready in time", service.name()))?;
        self.running[service as usize] = Some(process);
        Ok(())
    }

    pub(crate) async fn stop_service(&mut self, service: Service) {
        if let Some(process) = self.running[service as usize].take() {
            process.stop().await;
        }
    }

    /// A service that is not started yet. It listens at [`Self::address`].
    pub(crate) fn program(&self, service: Service) -> Result<Program> {
        let mut program = Program::beside_this(service.name(), Log::create(&self.directory, service.name())?)?;
        // It writes to the file itself: forwarding each line would take time from what is measured.
        let log = self.directory.join(service.name()).with_extension("log");
        let paths = [log, std::mem::replace(&mut program.path, PathBuf::from("sh"))];
        let script = r#"log=$1; shift; exec "$@" >>"$log" 2>&1"#;
        program.arguments = ["-c", script, "sh"].map(str::to_owned).into();
        program.arguments.extend(paths.map(|path| path.display().to_string()));
        program.environment = self.secrets.settings();
        let mut set = |name: &str, value: String| program.environment.push((name.to_owned(), value));
        set("PORT", self.address(service).port().to_string());
        set("DATABASE_URL", self.database_url()?);
        set("CUSTOMERS_API_BASE", format!("http://{}", self.address(Service::Customers)));
        set("ORDERS_API_BASE", format!("http://{}", self.address(Service::Orders)));
        Ok(program)
    }

    /// Starts the empty operation.
    pub(crate) async fn serve_empty(&self) -> Result<(Process, SocketAddr)> {
        let (path, log) = (std::env::current_exe()?, Log::create(&self.directory, "empty")?);
        Program { path, arguments: vec!["--serve-empty".to_owned()], environment: Vec::new(), log }.serve().await
    }

    /// Runs the program `db` on a database of this server, with this many connections.
    pub(crate) async fn db(&self, database: &str, arguments: &[&str], connections: u8) -> Result<()> {
        let mut program = Program::beside_this("db", Log::create(&self.directory, &format!("db-{}", arguments[0]))?)?;
        let url = self.database_url()?.replace(Self::DATABASE, database);
        program.arguments = arguments.iter().map(|&argument| argument.to_owned()).collect();
        let settings = [("DATABASE_URL", url), ("DB_POOL_SIZE", connections.to_string())];
        program.environment = settings.map(|(name, value)| (name.to_owned(), value)).to_vec();
        program.run().await
    }

    pub(crate) fn address(&self, service: Service) -> SocketAddr {
        self.addresses[service as usize]
    }

    pub(crate) fn pid(&self, service: Service) -> Option<u32> {
        self.running[service as usize].as_ref().map(Process::pid)
    }

    pub(crate) fn database_url(&self) -> Result<String> {
        self.database.port().map(Database::url).context("the database server does not run")
    }

    /// Options of connections over TCP, as services have them.
    pub(crate) fn options(&self) -> Result<OptsBuilder> {
        Ok(OptsBuilder::from_opts(Opts::from_url(&self.database_url()?)?).prefer_socket(false))
    }

    /// Rows of a query of the services' database.
    pub(crate) async fn query<T: FromRow + Send + 'static>(&self, sql: &str) -> Result<Vec<T>> {
        let mut connection = Conn::new(self.options()?).await?;
        let rows = connection.query(sql).await.with_context(|| format!("cannot execute {sql}"))?;
        connection.disconnect().await?;
        Ok(rows)
    }

    /// Tables of the services' database, but for that of the migrations.
    pub(crate) async fn tables(&self) -> Result<Vec<String>> {
        let tables = "SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE()";
        self.query(&format!("{tables} AND table_name NOT LIKE '\\_%'")).await
    }

    /// Body of a login as the operator.
    pub(crate) fn credentials(&self) -> String {
        json!({ "username": self.secrets.admin_user, "password": self.secrets.admin_password }).to_string()
    }

    /// Logs in at the customers service. The token is valid for 15 minutes.
    pub(crate) async fn operator(&self) -> Result<Caller> {
        let mut connection = Connection::open(self.address(Service::Customers)).await?;
        let login = connection.call(Caller::new("").post("/auth/token", self.credentials())).await;
        let token: Value = serde_json::from_slice(&login.context("cannot log in")?)?;
        Ok(Caller::new(token["access_token"].as_str().context("the login gives no token")?))
    }

    /// The services as callers of each other.
    pub(crate) fn service(&self) -> Caller {
        Caller::new(&self.secrets.service_token)
    }

    /// Stops the services in the opposite order of their start, then the database server.
    pub(crate) async fn stop(mut self) -> Result<()> {
        for service in Service::ALL.into_iter().rev() {
            self.stop_service(service).await;
        }
        self.database.stop().await
    }
}
