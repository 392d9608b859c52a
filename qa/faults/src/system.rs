//! The system under test: a database server, three services, and a proxy on every link between them.
//!
//! Every fault is made here. When, and what follows, is decided in `chaos`.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use harness::{Database, Log, Probe, Process, Program, Secrets, Service};
use nix::sys::signal::Signal;
use tokio::sync::{Mutex, watch};
use tokio::time::{Instant, sleep, timeout};
use workload::Targets;

use crate::Run;
use crate::mysql::Cuts;
use crate::proxy::{Behaviour, Protocol, Proxy};
use crate::schedule::{Fault, Link, RESERVATION, Server};

const LOOK_EVERY: Duration = Duration::from_millis(50);

/// A service, running or about to run again.
struct Slot {
    program: Program,
    running: Option<(Process, SocketAddr)>,
}

/// Everything that runs.
pub(crate) struct System {
    secrets: Secrets,
    database: Mutex<Database>,
    services: Vec<(Service, Mutex<Slot>)>,
    links: Vec<(Link, Proxy)>,
    probe: Probe,
    /// The longest that a service took to answer at all, of those that were started since all were ready.
    starting: Mutex<Duration>,
    /// Turns true when nothing shall be held any longer.
    interrupted: watch::Receiver<bool>,
}

impl System {
    /// Starts everything, with an empty migrated database that has the first rows, and returns when it is ready.
    ///
    /// # Errors
    ///
    /// Where a part does not start. Nothing stays.
    pub(crate) async fn start(run: &Run) -> Result<Self> {
        let (directory, interrupted) = (run.directory.as_path(), run.interrupted.clone());
        let database = start_database(run).await?;
        let probe = Probe::new()?;
        let (secrets, links) = (Secrets::random(), start_links()?);
        let (services, database) = (Vec::new(), Mutex::new(database));
        let starting = Mutex::default();
        let mut system = Self { secrets, database, services, links, probe, starting, interrupted };
        system.lead_to(Server::Database, system.database_address().await);
        for service in Service::ALL {
            let program = system.program(service, directory)?;
            system.services.push((service, Mutex::new(Slot { program, running: None })));
            system.start_service(service).await?;
        }
        system.ready(Duration::from_secs(60)).await.context("the system is not ready")?;
        Ok(system)
    }

    fn program(&self, service: Service, directory: &Path) -> Result<Program> {
        let mut program = Program::beside_this(service.name(), Log::create(directory, service.name())?)?;
        let base = |to| self.link(Link { from: Some(service), to }).map(|proxy| format!("http://{}", proxy.address()));
        program.environment = self.secrets.settings();
        program.environment.push((RESERVATION.0.to_owned(), RESERVATION.1.to_owned()));
        program.environment.push(("PORT".to_owned(), "0".to_owned()));
        if let Some(proxy) = self.link(Link { from: Some(service), to: Server::Database }) {
            program.environment.push(("DATABASE_URL".to_owned(), Database::url(proxy.address().port())));
        }
        for (name, to) in [("CUSTOMERS_API_BASE", Service::Customers), ("ORDERS_API_BASE", Service::Orders)] {
            program.environment.extend(base(Server::Service(to)).map(|base| (name.to_owned(), base)));
        }
        Ok(program)
    }

    /// What clients have to know, who reach every service through its proxy.
    pub(crate) fn targets(&self) -> Targets {
        let address = |service| self.link(Link { from: None, to: Server::Service(service) }).map(Proxy::address);
        targets(&self.secrets, address, false)
    }

    /// The URL of the database, not through a proxy.
    pub(crate) async fn database_url(&self) -> Result<String> {
        let port = self.database.lock().await.port();
        port.map(Database::url).context("the database server does not run")
    }

    async fn database_address(&self) -> Option<SocketAddr> {
        self.database.lock().await.port().map(|port| SocketAddr::from((Ipv4Addr::LOCALHOST, port)))
    }

    /// How many connections were cut while they committed.
    pub(crate) fn commit_cuts(&self) -> Cuts {
        self.link(Link::ORDERS_TO_DATABASE).map(|proxy| proxy.commits().cuts()).unwrap_or_default()
    }

    /// Makes a fault, and returns when it is over.
    ///
    /// # Errors
    ///
    /// Where something cannot be started again, or had ended by itself.
    pub(crate) async fn inflict(&self, fault: Fault, lasts: Duration) -> Result<()> {
        match fault {
            Fault::Kill(service) => self.kill_service(service, lasts).await,
            Fault::Pause(service) => self.pause_service(service, lasts).await,
            Fault::KillDatabase | Fault::RestartDatabase => self.end_database(fault, lasts).await,
            Fault::Cut(link) => self.disturb(link, Behaviour::Pass, true, lasts).await,
            Fault::Refuse(link) => self.disturb(link, Behaviour::Refuse, true, lasts).await,
            Fault::Delay(link, delay) => self.disturb(link, Behaviour::Delay(delay), false, lasts).await,
            Fault::Truncate(link, percent) => self.disturb(link, Behaviour::Truncate(percent), false, lasts).await,
            Fault::BlackHole(link) => self.disturb(link, Behaviour::BlackHole, false, lasts).await,
            Fault::AtCommit(side, commits) => {
                let proxy = self.link(Link::ORDERS_TO_DATABASE).context("no such link")?;
                proxy.commits().cut_next(side, commits);
                self.hold_until(lasts, async || proxy.commits().is_done()).await;
                proxy.commits().clear();
                Ok(())
            }
        }
    }

    async fn kill_service(&self, service: Service, lasts: Duration) -> Result<()> {
        let running = self.slot(service)?.lock().await.running.take();
        let (process, _) = running.with_context(|| format!("{} does not run", service.name()))?;
        self.lead_to(Server::Service(service), None);
        process.kill().await?;
        self.hold(lasts).await;
        self.start_service(service).await
    }

    async fn pause_service(&self, service: Service, lasts: Duration) -> Result<()> {
        let slot = self.slot(service)?.lock().await;
        let (process, _) = slot.running.as_ref().with_context(|| format!("{} does not run", service.name()))?;
        process.signal(Signal::SIGSTOP)?;
        self.hold(lasts).await;
        process.signal(Signal::SIGCONT)
    }

    async fn end_database(&self, fault: Fault, lasts: Duration) -> Result<()> {
        let mut database = self.database.lock().await;
        if fault == Fault::KillDatabase {
            database.kill().await?;
        } else {
            database.stop().await?;
        }
        self.lead_to(Server::Database, None);
        self.hold(lasts).await;
        database.start_again().await?;
        drop(database);
        self.lead_to(Server::Database, self.database_address().await);
        Ok(())
    }

    async fn disturb(&self, link: Link, behaviour: Behaviour, cut: bool, lasts: Duration) -> Result<()> {
        let proxy = self.link(link).context("no such link")?;
        proxy.behave(behaviour);
        if cut {
            proxy.cut();
        }
        self.hold(lasts).await;
        proxy.behave(Behaviour::Pass);
        Ok(())
    }

    async fn start_service(&self, service: Service) -> Result<()> {
        let mut slot = self.slot(service)?.lock().await;
        let launched = Instant::now();
        let (process, address) = slot.program.clone().serve().await?;
        let mut starting = self.starting.lock().await;
        *starting = launched.elapsed().max(*starting);
        slot.running = Some((process, address));
        self.lead_to(Server::Service(service), Some(address));
        Ok(())
    }

    /// Sends everybody who connects to this server there.
    fn lead_to(&self, server: Server, address: Option<SocketAddr>) {
        for (_, proxy) in self.links.iter().filter(|(link, _)| link.to == server) {
            proxy.set_target(address);
        }
    }

    fn link(&self, wanted: Link) -> Option<&Proxy> {
        self.links.iter().find(|(link, _)| *link == wanted).map(|(_, proxy)| proxy)
    }

    fn slot(&self, wanted: Service) -> Result<&Mutex<Slot>> {
        let slot = self.services.iter().find(|(service, _)| *service == wanted).map(|(_, slot)| slot);
        slot.with_context(|| format!("{} was never started", wanted.name()))
    }

    /// Waits, or until the run is interrupted.
    async fn hold(&self, lasts: Duration) {
        self.hold_until(lasts, async || false).await;
    }

    async fn hold_until(&self, lasts: Duration, is_over: impl AsyncFn() -> bool) {
        let deadline = Instant::now() + lasts;
        while Instant::now() < deadline && !*self.interrupted.borrow() && !is_over().await {
            sleep(LOOK_EVERY.min(deadline - Instant::now())).await;
        }
    }

    /// Waits until all services say that they are ready, asked directly. Gives how long that took, together with the start
    /// of those that were started anew.
    ///
    /// # Errors
    ///
    /// Where they are not ready within `patience`, or one has ended by itself.
    pub(crate) async fn ready(&self, patience: Duration) -> Result<Duration> {
        let (begin, started) = (Instant::now(), std::mem::take(&mut *self.starting.lock().await));
        let mut late = "";
        let all = async {
            while let Some(service) = self.first_not_ready().await? {
                late = service.name();
                sleep(LOOK_EVERY).await;
            }
            anyhow::Ok(())
        };
        match timeout(patience, all).await {
            Ok(ready) => ready.map(|()| begin.elapsed() + started),
            Err(_) => bail!("{late} is not ready after {} s", patience.as_secs()),
        }
    }

    async fn first_not_ready(&self) -> Result<Option<Service>> {
        for (service, slot) in &self.services {
            let slot = slot.lock().await;
            let (process, address) =
                slot.running.as_ref().with_context(|| format!("{} does not run", service.name()))?;
            if let Some(status) = process.end() {
                bail!("{} has ended by itself ({status})", service.name());
            }
            if !self.probe.is_ready(*address).await {
                return Ok(Some(*service));
            }
        }
        Ok(None)
    }

    /// Ends the services in the opposite order of their start, then the database server.
    ///
    /// # Errors
    ///
    /// Where the end of the database server cannot be waited for.
    pub(crate) async fn stop(self) -> Result<()> {
        for (_, slot) in self.services.into_iter().rev() {
            if let Some((process, _)) = slot.into_inner().running {
                process.stop().await;
            }
        }
        self.database.into_inner().stop().await
    }
}

/// A database server with an empty migrated database that has the first rows.
pub(crate) async fn start_database(run: &Run) -> Result<Database> {
    let log = Log::create(&run.directory, "database")?;
    let database = Database::start(run.program.clone(), &run.directory, log).await?;
    database.prepare(&run.directory).await?;
    Ok(database)
}

/// What clients of the services at these addresses have to know.
pub(crate) fn targets(
    secrets: &Secrets,
    address: impl Fn(Service) -> Option<SocketAddr>,
    behind_balancer: bool,
) -> Targets {
    let base_url = |service| address(service).map(|address| format!("http://{address}")).unwrap_or_default();
    Targets {
        customers: base_url(Service::Customers),
        orders: base_url(Service::Orders),
        orchestrator: base_url(Service::Orchestrator),
        admin_user: secrets.admin_user.clone(),
        admin_password: secrets.admin_password.clone(),
        service_token: secrets.service_token.clone(),
        behind_balancer,
    }
}

fn start_links() -> Result<Vec<(Link, Proxy)>> {
    let start = |link| {
        let protocol = if link == Link::ORDERS_TO_DATABASE { Protocol::MySql } else { Protocol::Any };
        Ok((link, Proxy::start(protocol)?))
    };
    Link::ALL.into_iter().map(start).collect::<std::io::Result<_>>().context("no free ports for the proxies")
}
