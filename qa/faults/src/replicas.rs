//! The system behind its edge proxy: a database server, HAProxy, and two replicas of each service, which reach each other
//! through it, but not where the public comes in.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::{Database, Log, Probe, Process, Program, Secrets, Service};
use tokio::time::{Instant, sleep, timeout};
use workload::Targets;

use crate::Run;
use crate::schedule::RESERVATION;
use crate::system::{start_database, targets};

/// How long a replica goes on serving after it was told to stop, as the configuration of HAProxy asks for.
const DRAIN_SECONDS: &str = "3";
const LOOK_EVERY: Duration = Duration::from_millis(20);
const READY_WITHIN: Duration = Duration::from_secs(60);

/// The edge proxy.
#[derive(clap::Args)]
pub(crate) struct Edge {
    /// Program of HAProxy
    #[arg(long, value_name = "PATH", default_value = "haproxy")]
    haproxy: PathBuf,
    /// Configuration of HAProxy
    #[arg(long, value_name = "PATH", default_value = "deploy/haproxy.cfg")]
    configuration: PathBuf,
}

/// One of the two processes of a service.
pub(crate) struct Replica {
    /// As HAProxy names it: `orders-1`.
    pub(crate) name: String,
    program: Program,
    address: SocketAddr,
    running: Option<Process>,
}

/// Everything that runs.
pub(crate) struct System {
    /// In the order in which they are restarted.
    pub(crate) replicas: Vec<Replica>,
    secrets: Secrets,
    database: Database,
    edge: Process,
    frontends: Frontends,
    probe: Probe,
}

/// Where HAProxy listens.
struct Frontends {
    public: Vec<(Service, SocketAddr)>,
    /// For the services among each other.
    internal: Vec<(Service, SocketAddr)>,
}

/// The services that others ask.
const ASKED: [Service; 2] = [Service::Customers, Service::Orders];

impl System {
    /// Starts everything, with an empty migrated database that has the first rows, and returns when it is ready.
    ///
    /// # Errors
    ///
    /// Where a part does not start. Nothing stays.
    pub(crate) async fn start(run: &Run, edge: &Edge) -> Result<Self> {
        let directory = run.directory.as_path();
        let database = start_database(run).await?;
        let ports = private_server::free_ports(ASKED.len() + 3 * Service::ALL.len())?;
        let mut addresses = ports.into_iter().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)));
        let internal = Vec::from_iter(ASKED.into_iter().zip(addresses.by_ref()));
        let public = Vec::from_iter(Service::ALL.into_iter().zip(addresses.by_ref()));
        let frontends = Frontends { public, internal };
        let addresses = Vec::from_iter(addresses);
        let secrets = Secrets::random();
        let settings = settings(&secrets, &database, &frontends)?;
        let mut replicas = Vec::new();
        for (service, addresses) in Service::ALL.into_iter().zip(addresses.chunks(2)) {
            for (number, address) in (1..).zip(addresses) {
                replicas.push(replica(service, number, *address, &settings, directory)?);
            }
        }
        let edge = start_edge(edge, directory, &frontends, &replicas).await?;
        let probe = Probe::new()?;
        let mut system = Self { replicas, secrets, database, edge, frontends, probe };
        for number in 0..system.replicas.len() {
            system.start_replica(number).await?;
        }
        system.wait_for_the_edge().await?;
        Ok(system)
    }

    /// What clients have to know, who reach everything through the edge proxy.
    pub(crate) fn targets(&self) -> Targets {
        targets(&self.secrets, |service| self.public_address(service), true)
    }

    pub(crate) fn public_address(&self, service: Service) -> Option<SocketAddr> {
        self.public().find(|(named, _)| *named == service).map(|(_, address)| address)
    }

    /// Where the public comes in.
    pub(crate) fn public(&self) -> impl Iterator<Item = (Service, SocketAddr)> {
        self.frontends.public.iter().copied()
    }

    /// The processes of the edge proxy and of the replicas, by their names.
    pub(crate) fn processes(&self) -> impl Iterator<Item = (&str, &Process)> {
        let replicas = self.replicas.iter().filter_map(|replica| Some((&*replica.name, replica.running.as_ref()?)));
        std::iter::once(("edge", &self.edge)).chain(replicas)
    }

    /// The URL of the database.
    pub(crate) fn database_url(&self) -> Result<String> {
        self.database.port().map(Database::url).context("the database server does not run")
    }

    /// Restarts a replica as a rolling update does: in order, and returns when it is ready again. Gives how long it took
    /// to become ready once it was started.
    ///
    /// # Errors
    ///
    /// Where it does not end as it should, or is not ready again.
    pub(crate) async fn restart(&mut self, number: usize) -> Result<Duration> {
        let Replica { name, running, .. } = &mut self.replicas[number];
        let process = running.take().with_context(|| format!("{name} does not run"))?;
        match process.stop().await {
            Some(status) if status.success() => self.start_replica(number).await,
            Some(status) => bail!("{name} did not stop in order ({status})"),
            None => bail!("{name}: exit status unknown"),
        }
    }

    async fn start_replica(&mut self, number: usize) -> Result<Duration> {
        let begin = Instant::now();
        let Self { replicas, probe, .. } = self;
        let Replica { name, program, address, running } = &mut replicas[number];
        let (process, _) = program.clone().serve().await?;
        *running = Some(process);
        wait_until_ready(probe, *address).await.with_context(|| format!("{name} is not ready"))?;
        Ok(begin.elapsed())
    }

    /// HAProxy finds out by itself who is ready.
    async fn wait_for_the_edge(&self) -> Result<()> {
        for (service, address) in self.public() {
            let is_ready = wait_until_ready(&self.probe, address).await;
            is_ready.with_context(|| format!("no {} behind the edge proxy", service.name()))?;
        }
        Ok(())
    }

    /// Ends everything in the opposite order of its start.
    ///
    /// # Errors
    ///
    /// Where the end of the database server cannot be waited for.
    pub(crate) async fn stop(mut self) -> Result<()> {
        self.edge.stop().await;
        for process in self.replicas.drain(..).rev().filter_map(|replica| replica.running) {
            process.stop().await;
        }
        self.database.stop().await
    }
}

/// The settings of every replica, but for its port.
fn settings(secrets: &Secrets, database: &Database, frontends: &Frontends) -> Result<Vec<(String, String)>> {
    let port = database.port().context("the database server does not run")?;
    let mut settings = secrets.settings();
    settings.push((RESERVATION.0.to_owned(), RESERVATION.1.to_owned()));
    settings.push(("DRAIN_SECONDS".to_owned(), DRAIN_SECONDS.to_owned()));
    settings.push(("DATABASE_URL".to_owned(), Database::url(port)));
    settings.push(("TRUSTED_PROXIES".to_owned(), Ipv4Addr::LOCALHOST.to_string()));
    let internal = frontends.internal.iter();
    settings.extend(internal.map(|(service, address)| (variable(service.name()) + "_API_BASE", base_url(address))));
    Ok(settings)
}

fn replica(
    service: Service,
    number: usize,
    address: SocketAddr,
    settings: &[(String, String)],
    directory: &Path,
) -> Result<Replica> {
    let name = format!("{}-{number}", service.name());
    let mut program = Program::beside_this(service.name(), Log::create(directory, &name)?)?;
    program.environment = settings.to_vec();
    program.environment.push(("PORT".to_owned(), address.port().to_string()));
    Ok(Replica { name, program, address, running: None })
}

async fn start_edge(edge: &Edge, directory: &Path, frontends: &Frontends, replicas: &[Replica]) -> Result<Process> {
    let public = frontends.public.iter().map(|(service, address)| (variable(service.name()), address.to_string()));
    let internal = frontends.internal.iter();
    let internal = internal.map(|(service, address)| (variable(service.name()) + "_INTERNAL", address.to_string()));
    let servers = replicas.iter().map(|replica| (variable(&replica.name), replica.address.to_string()));
    let Edge { haproxy, configuration } = edge;
    let program = Program {
        path: haproxy.clone(),
        arguments: vec!["-db".to_owned(), "-f".to_owned(), configuration.display().to_string()],
        environment: public.chain(internal).chain(servers).collect(),
        log: Log::create(directory, "edge")?,
    };
    program.start().await
}

/// The name of an address in the configuration of HAProxy.
fn variable(name: &str) -> String {
    name.to_uppercase().replace('-', "_")
}

async fn wait_until_ready(probe: &Probe, address: SocketAddr) -> Result<()> {
    let ready = async {
        while !probe.is_ready(address).await {
            sleep(LOOK_EVERY).await;
        }
    };
    timeout(READY_WITHIN, ready).await.with_context(|| format!("nothing after {} s", READY_WITHIN.as_secs()))
}

fn base_url(address: &SocketAddr) -> String {
    format!("http://{address}")
}
