//! HAProxy and two replicas of each service, which call each other through HAProxy's internal addresses.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::{Log, Program, Service, ready_status};
use tokio::time::{sleep, timeout};

use super::{POLL_INTERVAL, READY_TIMEOUT, Replica, System};
use crate::Run;

/// Time for which a replica continues to serve requests after SIGTERM, as HAProxy's configuration requires.
const DRAIN_SECONDS: &str = "3";
/// Services that other services call.
const CALLED: [Service; 2] = [Service::Customers, Service::Orders];

/// Edge proxy options.
#[derive(clap::Args)]
pub(crate) struct Edge {
    /// HAProxy executable
    #[arg(long, value_name = "PATH", default_value = "haproxy")]
    haproxy: PathBuf,
    /// HAProxy configuration file
    #[arg(long, value_name = "PATH", default_value = "deploy/haproxy.cfg")]
    configuration: PathBuf,
}

impl System {
    /// Starts the system behind HAProxy, and returns once it is ready.
    pub(crate) async fn start_balanced(run: &Run, edge: &Edge) -> Result<Self> {
        let mut ports = private_server::free_ports(CALLED.len() + 3 * Service::ALL.len())?.into_iter();
        let mut next = || {
            let port = ports.next().context("too few ports")?;
            anyhow::Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        };
        let public = [next()?, next()?, next()?];
        let mut system = Self::start(run, public).await?;
        // Addresses used in HAProxy's configuration.
        let names = Service::ALL.map(|service| service.name().to_uppercase());
        let mut addresses = Vec::from_iter(names.into_iter().zip(public));
        let mut settings = vec![
            ("DRAIN_SECONDS".to_owned(), DRAIN_SECONDS.to_owned()),
            ("DATABASE_URL".to_owned(), system.database_url().await?),
            ("TRUSTED_PROXIES".to_owned(), Ipv4Addr::LOCALHOST.to_string()),
        ];
        for service in CALLED {
            let internal = next()?;
            addresses.push((service.variable("INTERNAL"), internal));
            settings.push((service.variable("API_BASE"), format!("http://{internal}")));
        }
        for (service, number) in Service::ALL.into_iter().flat_map(|service| [(service, "1"), (service, "2")]) {
            let address = next()?;
            addresses.push((service.variable(number), address));
            let mut settings = settings.clone();
            settings.push(("PORT".to_owned(), address.port().to_string()));
            system.launch(service, format!("{}-{number}", service.name()), settings).await?;
        }
        let program = Program {
            path: edge.haproxy.clone(),
            arguments: vec!["-db".to_owned(), "-f".to_owned(), edge.configuration.display().to_string()],
            environment: addresses.into_iter().map(|(name, address)| (name, address.to_string())).collect(),
            log: Log::create(&run.directory, "edge")?,
        };
        system.edge = Some(program.start().await?);
        system.ready().await?;
        // HAProxy's own health checks must also report the services as ready.
        let behind = async {
            while !futures::future::join_all(public.map(ready_status)).await.iter().all(|status| *status == Some(200)) {
                sleep(POLL_INTERVAL).await;
            }
        };
        timeout(READY_TIMEOUT, behind).await.context("the services are not ready behind the edge proxy")?;
        Ok(system)
    }

    /// Returns the names and process IDs of the edge proxy and the replicas.
    pub(crate) async fn processes(&self) -> Vec<(String, u32)> {
        let mut processes = Vec::from_iter(self.edge.iter().map(|edge| ("edge".to_owned(), edge.pid())));
        for replica in &self.replicas {
            let running = replica.running.lock().await;
            processes.extend(running.iter().map(|(process, _)| (replica.name.clone(), process.pid())));
        }
        processes
    }

    /// Restarts a replica gracefully, like a rolling update. Returns the time from the start of the new process until
    /// it was ready, or an error if the old process does not exit with 0 or the new one does not become ready.
    pub(crate) async fn restart(&self, replica: &Replica) -> Result<Duration> {
        match replica.take().await?.stop().await {
            Some(status) if status.success() => {}
            Some(status) => bail!("{} did not stop gracefully ({status})", replica.name),
            None => bail!("{}: exit status unknown", replica.name),
        }
        let (_, listening) = replica.start().await?;
        Ok(listening + self.ready().await?)
    }
}
