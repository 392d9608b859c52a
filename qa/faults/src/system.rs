//! Processes of a run. `links` starts them with a proxy on every link; `edge` starts them behind HAProxy.

pub(crate) mod edge;
mod links;

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::{Database, Log, Process, Program, Secrets, Service, ready_status};
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout};
use workload::Targets;

use crate::Run;
use crate::proxy::Proxy;
use crate::schedule::Link;

const POLL_INTERVAL: Duration = Duration::from_millis(20);
/// Maximum time until the whole system is ready.
const READY_TIMEOUT: Duration = Duration::from_secs(60);
/// Shortest reservation that the orders service accepts, so that reservations expire during a run.
const RESERVATION: (&str, &str) = ("RESERVATION_SECONDS", "60");

type Settings = Vec<(String, String)>;

pub(crate) struct Replica {
    /// Name: `orders`, or `orders-1` if the service has several replicas.
    pub(crate) name: String,
    program: Program,
    running: Mutex<Option<(Process, SocketAddr)>>,
}

impl Replica {
    /// Starts the process. Returns its address and the time until it started to listen.
    async fn start(&self) -> Result<(SocketAddr, Duration)> {
        let begin = Instant::now();
        let (process, address) = self.program.clone().serve().await?;
        *self.running.lock().await = Some((process, address));
        Ok((address, begin.elapsed()))
    }

    /// Removes and returns the process, so that the caller can stop it.
    async fn take(&self) -> Result<Process> {
        let running = self.running.lock().await.take();
        running.map(|(process, _)| process).with_context(|| format!("{} is not running", self.name))
    }

    async fn is_ready(&self) -> Result<bool> {
        let running = self.running.lock().await;
        let (process, address) = running.as_ref().with_context(|| format!("{} is not running", self.name))?;
        if let Some(status) = process.exit_status() {
            bail!("{} exited unexpectedly ({status})", self.name);
        }
        Ok(ready_status(*address).await == Some(200))
    }
}

pub(crate) struct System {
    database: Mutex<Database>,
    /// Replicas, in start order.
    pub(crate) replicas: Vec<Replica>,
    /// Public addresses of the services, in the order of [`Service::ALL`].
    pub(crate) public: [SocketAddr; 3],
    links: Vec<(Link, Proxy)>,
    edge: Option<Process>,
    secrets: Secrets,
    directory: PathBuf,
    /// Becomes true when faults must end early.
    interrupted: watch::Receiver<bool>,
}

impl System {
    /// Starts only the database server, with a migrated and seeded database.
    async fn start(run: &Run, public: [SocketAddr; 3]) -> Result<Self> {
        let directory = run.directory.clone();
        let log = Log::create(&directory, "database")?;
        let database = Database::start(run.program.clone(), &directory, log, false).await?;
        database.prepare(&directory).await?;
        Ok(Self {
            database: Mutex::new(database),
            replicas: Vec::new(),
            public,
            links: Vec::new(),
            edge: None,
            secrets: Secrets::random(),
            directory,
            interrupted: run.interrupted.clone(),
        })
    }

    /// Starts a replica of a service with these settings. Returns its address once it is listening.
    async fn launch(&mut self, service: Service, name: String, settings: Settings) -> Result<SocketAddr> {
        let mut program = Program::sibling(service.name(), Log::create(&self.directory, &name)?)?;
        program.environment = self.secrets.settings();
        program.environment.push((RESERVATION.0.to_owned(), RESERVATION.1.to_owned()));
        program.environment.extend(settings);
        let replica = Replica { name, program, running: Mutex::default() };
        let (address, _) = replica.start().await?;
        self.replicas.push(replica);
        Ok(address)
    }

    pub(crate) fn targets(&self) -> Targets {
        let [customers, orders, orchestrator] = self.public.map(|address| format!("http://{address}"));
        let Secrets { admin_user, admin_password, service_token, .. } = &self.secrets;
        let (admin_user, admin_password) = (admin_user.clone(), admin_password.clone());
        let (service_token, behind_balancer) = (service_token.clone(), self.edge.is_some());
        Targets { customers, orders, orchestrator, admin_user, admin_password, service_token, behind_balancer }
    }

    /// Returns the URL of the database that bypasses its proxy.
    pub(crate) async fn database_url(&self) -> Result<String> {
        let port = self.database.lock().await.port();
        port.map(Database::url).context("the database server is not running")
    }

    /// Waits until all replicas are ready, and returns the elapsed time. Requests bypass all proxies.
    pub(crate) async fn ready(&self) -> Result<Duration> {
        let (begin, mut late) = (Instant::now(), "");
        let all = async {
            let mut replicas = self.replicas.iter();
            while let Some(replica) = replicas.next() {
                if !replica.is_ready().await? {
                    late = &replica.name;
                    sleep(POLL_INTERVAL).await;
                    replicas = self.replicas.iter();
                }
            }
            anyhow::Ok(begin.elapsed())
        };
        match timeout(READY_TIMEOUT, all).await {
            Ok(ready) => ready,
            Err(_) => bail!("{late} was not ready within {} s", READY_TIMEOUT.as_secs()),
        }
    }

    /// Stops the edge proxy, then the services in reverse start order, then the database server.
    pub(crate) async fn stop(self) -> Result<()> {
        if let Some(edge) = self.edge {
            edge.stop().await;
        }
        for replica in self.replicas.into_iter().rev() {
            if let Some((process, _)) = replica.running.into_inner() {
                process.stop().await;
            }
        }
        self.database.into_inner().stop().await
    }
}
