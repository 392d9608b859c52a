//! System for `chaos`: one process per service, and a proxy on every link. Injects the faults that `schedule` plans.

use std::io;
use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result};
use harness::{Database, Service};
use nix::sys::signal::Signal;

use super::{Replica, Settings, System};
use crate::proxy::{Behaviour, Proxy};
use crate::schedule::{Fault, Link};
use crate::{Run, sleep_unless};

impl System {
    /// Starts the system with a proxy on every link, and returns once it is ready.
    pub(crate) async fn start_linked(run: &Run) -> Result<Self> {
        let links = Link::ALL.into_iter().map(|link| Ok((link, Proxy::start()?))).collect::<io::Result<Vec<_>>>();
        let links = links.context("no free ports for the proxies")?;
        let mut system = Self::start(run, std::array::from_fn(|index| links[index].1.address())).await?;
        system.links = links;
        system.set_target("database", system.database.lock().await.port().map(local));
        for service in Service::ALL {
            let settings = system.link_settings(service);
            let address = system.launch(service, service.name().to_owned(), settings).await?;
            system.set_target(service.name(), Some(address));
        }
        system.ready().await.context("the system is not ready")?;
        Ok(system)
    }

    fn link_settings(&self, service: Service) -> Settings {
        let links = self.links.iter().filter(|(link, _)| link.from == service.name());
        let settings = links.map(|(link, proxy)| match link.to {
            "database" => ("DATABASE_URL".to_owned(), Database::url(proxy.address().port())),
            to => (format!("{}_API_BASE", to.to_uppercase()), format!("http://{}", proxy.address())),
        });
        settings.chain([("PORT".to_owned(), "0".to_owned())]).collect()
    }

    /// Injects a fault and waits for its end. Returns the time until a restarted service listened, or else zero.
    pub(crate) async fn inject(&self, fault: Fault, lasts: Duration) -> Result<Duration> {
        match fault {
            Fault::Kill(service) => {
                let replica = self.replica(service)?;
                let process = replica.take().await?;
                self.set_target(service.name(), None);
                process.kill().await?;
                sleep_unless(&self.interrupted, lasts).await;
                let (address, took) = replica.start().await?;
                self.set_target(service.name(), Some(address));
                return Ok(took);
            }
            Fault::Pause(service) => {
                let running = self.replica(service)?.running.lock().await;
                let (process, _) = running.as_ref().with_context(|| format!("{} is not running", service.name()))?;
                process.signal(Signal::SIGSTOP)?;
                sleep_unless(&self.interrupted, lasts).await;
                process.signal(Signal::SIGCONT)?;
            }
            Fault::KillDatabase | Fault::RestartDatabase => {
                let mut database = self.database.lock().await;
                let ended = if fault == Fault::KillDatabase { database.kill().await } else { database.stop().await };
                ended?;
                self.set_target("database", None);
                sleep_unless(&self.interrupted, lasts).await;
                database.restart().await?;
                self.set_target("database", database.port().map(local));
            }
            Fault::Disturb(link, behaviour) => {
                let proxy = self.proxy(link)?;
                proxy.set_behaviour(behaviour);
                sleep_unless(&self.interrupted, lasts).await;
                proxy.set_behaviour(Behaviour::Pass);
            }
        }
        Ok(Duration::ZERO)
    }

    /// Sets the target of all links to a server.
    fn set_target(&self, server: &str, address: Option<SocketAddr>) {
        for (_, proxy) in self.links.iter().filter(|(link, _)| link.to == server) {
            proxy.set_target(address);
        }
    }

    pub(crate) fn proxy(&self, wanted: Link) -> Result<&Proxy> {
        let found = self.links.iter().find(|(link, _)| *link == wanted);
        found.map(|(_, proxy)| proxy).with_context(|| format!("there is no link {wanted}"))
    }

    fn replica(&self, service: Service) -> Result<&Replica> {
        let found = self.replicas.iter().find(|replica| replica.name == service.name());
        found.with_context(|| format!("there is no {}", service.name()))
    }
}

fn local(port: u16) -> SocketAddr {
    SocketAddr::from((Ipv4Addr::LOCALHOST, port))
}
