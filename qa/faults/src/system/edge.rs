//! The system behind its edge proxy: HAProxy, and two processes of each service, which reach each other through it, but not
//! where the public comes in.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::{Log, Program, Service, ready_status};
use tokio::time::{sleep, timeout};

use super::{LOOK_EVERY, READY_WITHIN, Replica, System};
use crate::Run;

/// How long a replica goes on serving after SIGTERM, as the configuration of HAProxy asks for.
const DRAIN_SECONDS: &str = "3";
/// The services that others ask.
const ASKED: [Service; 2] = [Service::Customers, Service::Orders];

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

impl System {
    /// Starts everything behind HAProxy, and returns when it is ready.
    pub(crate) async fn start_balanced(run: &Run, edge: &Edge) -> Result<Self> {
        let mut ports = private_server::free_ports(ASKED.len() + 3 * Service::ALL.len())?.into_iter();
        let mut next = || {
            let port = ports.next().context("too few ports")?;
            anyhow::Ok(SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
        };
        let public = [next()?, next()?, next()?];
        let mut system = Self::start(run, public).await?;
        // The addresses in the configuration of HAProxy.
        let names = Service::ALL.map(|service| service.name().to_uppercase());
        let mut addresses = Vec::from_iter(names.into_iter().zip(public));
        let mut settings = vec![
            ("DRAIN_SECONDS".to_owned(), DRAIN_SECONDS.to_owned()),
            ("DATABASE_URL".to_owned(), system.database_url().await?),
            ("TRUSTED_PROXIES".to_owned(), Ipv4Addr::LOCALHOST.to_string()),
        ];
        for service in ASKED {
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
        // HAProxy finds out by itself who is ready.
        let behind = async {
            while !futures::future::join_all(public.map(ready_status)).await.iter().all(|status| *status == Some(200)) {
                sleep(LOOK_EVERY).await;
            }
        };
        timeout(READY_WITHIN, behind).await.context("the services are not ready behind the edge proxy")?;
        Ok(system)
    }

    /// The names and process ids of the edge proxy and of the replicas.
    pub(crate) async fn processes(&self) -> Vec<(String, u32)> {
        let mut processes = Vec::from_iter(self.edge.iter().map(|edge| ("edge".to_owned(), edge.pid())));
        for replica in &self.replicas {
            let running = replica.running.lock().await;
            processes.extend(running.iter().map(|(process, _)| (replica.name.clone(), process.pid())));
        }
        processes
    }

    /// Restarts a replica as a rolling update does: in order, and returns when it is ready again. Gives how long it took
    /// to become ready once it was started.
    ///
    /// # Errors
    ///
    /// Where it does not end as it should, or is not ready again.
    pub(crate) async fn restart(&self, replica: &Replica) -> Result<Duration> {
        match replica.take().await?.stop().await {
            Some(status) if status.success() => {}
            Some(status) => bail!("{} did not stop in order ({status})", replica.name),
            None => bail!("{}: exit status unknown", replica.name),
        }
        let (_, listening) = replica.start().await?;
        Ok(listening + self.ready().await?)
    }
}
