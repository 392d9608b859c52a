//! What is measured: a database server that loses nothing, and the services as they are released, in the production
//! profile. They write their logs to files themselves.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result};
use client_common::{Outbound, send};
use customers_client::types::Credentials;
use harness::{Database, Log, Probe, Process, Program, Secrets, Service};
use tokio::time::{sleep, timeout};

const LOOK_EVERY: Duration = Duration::from_millis(10);
const READY_WITHIN: Duration = Duration::from_secs(60);

/// A service and its process.
struct Running {
    service: Service,
    process: Process,
}

/// Everything that runs.
pub(crate) struct System {
    /// The directory of the run, with the logs.
    pub(crate) directory: PathBuf,
    /// As `MariaDB 10.11.11`.
    pub(crate) engine: String,
    secrets: Secrets,
    database: Database,
    addresses: Vec<(Service, SocketAddr)>,
    running: Vec<Running>,
    probe: Probe,
}

impl System {
    /// Starts a database server with an empty migrated database that has the first rows, and no service yet.
    ///
    /// # Errors
    ///
    /// Where it does not start, or a program is missing beside this one. Nothing stays.
    pub(crate) async fn start_database(program: &private_server::Program, directory: &Path) -> Result<Self> {
        std::fs::create_dir_all(directory).with_context(|| format!("cannot make {}", directory.display()))?;
        let engine = format!("{} {}", program.engine(), program.version());
        let log = Log::create(directory, "database")?;
        let database = Database::start_as_installed(program.clone(), directory, log).await?;
        database.prepare(directory).await?;
        let ports = private_server::free_ports(Service::ALL.len())?;
        let address = |port| SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let addresses = Service::ALL.into_iter().zip(ports.into_iter().map(address)).collect();
        let (secrets, probe) = (Secrets::random(), Probe::new()?);
        let directory = directory.to_owned();
        Ok(Self { directory, engine, secrets, database, addresses, running: Vec::new(), probe })
    }

    /// The same with these services, which are ready.
    ///
    /// # Errors
    ///
    /// As for [`System::start_database`].
    pub(crate) async fn start(
        program: &private_server::Program,
        directory: &Path,
        services: &[Service],
    ) -> Result<Self> {
        let mut system = Self::start_database(program, directory).await?;
        for service in services {
            system.start_service(*service).await?;
        }
        Ok(system)
    }

    /// Starts a service and returns when it is ready.
    ///
    /// # Errors
    ///
    /// Where it is missing, or not ready in time.
    pub(crate) async fn start_service(&mut self, service: Service) -> Result<()> {
        let (process, address) = (self.program(service)?.start().await?, self.address(service)?);
        let ready = async {
            while !self.probe.is_ready(address).await {
                sleep(LOOK_EVERY).await;
            }
        };
        let log = self.directory.join(service.name()).with_extension("log");
        timeout(READY_WITHIN, ready).await.with_context(|| {
            format!("{} is not ready after {} s: see {}", service.name(), READY_WITHIN.as_secs(), log.display())
        })?;
        self.running.push(Running { service, process });
        Ok(())
    }

    /// Ends a service in order.
    pub(crate) async fn stop_service(&mut self, service: Service) {
        while let Some(index) = self.running.iter().position(|running| running.service == service) {
            self.running.remove(index).process.stop().await;
        }
    }

    /// A service that listens where [`System::address`] says once it is started, and writes its log to a file of its name.
    ///
    /// # Errors
    ///
    /// Where there is none beside this program.
    pub(crate) fn program(&self, service: Service) -> Result<Program> {
        let mut program = Program::beside_this(service.name(), Log::create(&self.directory, service.name())?)?;
        // Passing a line on for each request would take time from what is measured.
        let log = self.directory.join(service.name()).with_extension("log");
        let service_program = std::mem::replace(&mut program.path, PathBuf::from("sh"));
        let script = r#"log=$1; shift; exec "$@" >>"$log" 2>&1"#.to_owned();
        let paths = [log, service_program].map(|path| path.display().to_string());
        program.arguments = ["-c".to_owned(), script, "sh".to_owned()].into_iter().chain(paths).collect();
        program.environment = self.settings(service)?;
        Ok(program)
    }

    /// The environment of a service.
    fn settings(&self, service: Service) -> Result<Vec<(String, String)>> {
        let mut settings = self.secrets.settings();
        let mut set = |name: &str, value: String| settings.push((name.to_owned(), value));
        set("PORT", self.address(service)?.port().to_string());
        set("DATABASE_URL", self.database_url()?);
        set("CUSTOMERS_API_BASE", self.base_url(Service::Customers)?);
        set("ORDERS_API_BASE", self.base_url(Service::Orders)?);
        Ok(settings)
    }

    /// Where a service listens, once it is started.
    pub(crate) fn address(&self, service: Service) -> Result<SocketAddr> {
        let found = self.addresses.iter().find(|(named, _)| *named == service);
        found.map(|(_, address)| *address).with_context(|| format!("{} has no address", service.name()))
    }

    /// The base of a service's URLs.
    pub(crate) fn base_url(&self, service: Service) -> Result<String> {
        Ok(format!("http://{}", self.address(service)?))
    }

    /// The process id of a service that was started.
    pub(crate) fn pid(&self, service: Service) -> Option<u32> {
        self.running.iter().find(|running| running.service == service).map(|running| running.process.pid())
    }

    /// The URL of the database.
    pub(crate) fn database_url(&self) -> Result<String> {
        self.database.port().map(Database::url).context("the database server does not run")
    }

    /// A token of the operator, which holds for 15 minutes. The customers service gives it.
    ///
    /// # Errors
    ///
    /// Where that does not run.
    pub(crate) async fn token(&self) -> Result<String> {
        let client = customers_client::Client::connect(&self.base_url(Service::Customers)?, Outbound::new())?;
        let Secrets { admin_user, admin_password, .. } = &self.secrets;
        let credentials = Credentials::builder().username(admin_user.as_str()).password(admin_password.as_str());
        let token = send(client.token_create().body(credentials).send()).await.context("cannot log in")?;
        Ok(token.access_token.clone())
    }

    /// The token of the services.
    pub(crate) fn service_token(&self) -> &str {
        &self.secrets.service_token
    }

    /// Ends the services in the opposite order of their start, then the database server.
    ///
    /// # Errors
    ///
    /// Where the end of the database server cannot be waited for.
    pub(crate) async fn stop(mut self) -> Result<()> {
        while let Some(running) = self.running.pop() {
            running.process.stop().await;
        }
        self.database.stop().await
    }
}
