//! Everything that runs for one command: programs, services and the database, and the order in which they end.

use std::net::SocketAddr;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::{Context, Error, Result, anyhow, bail};
use harness::{Log, Process, Service, ready_status};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::database::{self, Choice, Database, Purpose, Start};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::outcome::Interrupted;
use crate::progress::Progress;

pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const TAIL: usize = 20;

/// ANSI colours that read well on light and dark, by service: cyan, green, magenta.
const COLORS: [u8; 3] = [36, 32, 35];

/// The end of something that should run. A process that was stopped on purpose counts as nothing.
pub(crate) struct Ended {
    pub(crate) name: &'static str,
    pub(crate) pid: u32,
    pub(crate) status: Option<ExitStatus>,
}

struct Running {
    service: Service,
    process: Process,
    log: Log,
}

enum DatabaseState {
    None,
    Starting(JoinHandle<Result<Database>>),
    Running(Database),
}

/// The programs, services and database of one command.
pub(crate) struct System {
    pub(crate) progress: Progress,
    interrupt: Interrupt,
    ended: UnboundedReceiver<Ended>,
    sender: UnboundedSender<Ended>,
    services: Vec<Running>,
    database: DatabaseState,
    database_log: Log,
    /// Whether the lines of services are printed.
    follows: Arc<AtomicBool>,
    // Dropped last: the next owner may come when everything has ended. None for a command that starts no database.
    home: Option<Home>,
}

impl System {
    /// Takes signals from now on. Once per process.
    pub(crate) fn new(home: Option<Home>) -> Result<Self> {
        let (sender, ended) = unbounded_channel();
        Ok(Self {
            progress: Progress::new(),
            interrupt: Interrupt::listen()?,
            ended,
            sender,
            services: Vec::new(),
            database: DatabaseState::None,
            database_log: Log::new(|_| ()),
            follows: Arc::default(),
            home,
        })
    }

    /// Starts the database in the background; [`Self::database_url`] waits for it.
    pub(crate) fn start_database(&mut self, choice: Choice, purpose: Purpose) -> Result<()> {
        let home = self.home.as_ref().context("a database needs a directory of its own")?;
        self.progress.say(&format!("database: {choice}"));
        self.progress.start("database", "starting");
        self.database_log = self.detail_log("database");
        let start = Start {
            data: home.data(),
            lease: home.lease()?,
            purpose,
            log: self.database_log.clone(),
            interrupt: self.interrupt.clone(),
            ended: self.sender.clone(),
        };
        self.database = DatabaseState::Starting(tokio::spawn(database::start(choice, start)));
        Ok(())
    }

    /// The URL of the database, once it accepts connections.
    pub(crate) async fn database_url(&mut self) -> Result<String> {
        if let DatabaseState::Starting(start) = &mut self.database {
            let started = tokio::select! {
                started = start => started,
                () = self.interrupt.asked() => bail!(Interrupted),
            };
            self.database = DatabaseState::None;
            let database = started?.context("the database did not start")?;
            self.progress.done("database", "running");
            if let Some(home) = &mut self.home {
                home.set_database_url(&database.url)?;
            }
            database.group().into_iter().for_each(|group| self.interrupt.add_group(group));
            self.database = DatabaseState::Running(database);
        }
        match &self.database {
            DatabaseState::Running(database) => Ok(database.url.clone()),
            _ => bail!("no database was started"),
        }
    }

    /// A log that shows its lines as details of a step.
    pub(crate) fn detail_log(&self, step: &'static str) -> Log {
        let progress = self.progress.clone();
        Log::new(move |line| progress.detail(step, line))
    }

    /// Runs a program to its end, with its output in `log`.
    pub(crate) async fn run(&mut self, command: Command, log: Log) -> Result<ExitStatus> {
        let process = Process::spawn(command, self.lease()?, log).await?;
        let status = self.unless_disturbed(process.wait()).await;
        if status.is_err() {
            process.stop().await;
        }
        status?
    }

    /// Runs a program to its successful end as a step of the progress.
    pub(crate) async fn run_step(&mut self, step: &'static str, text: &str, command: Command) -> Result<()> {
        self.progress.start(step, text);
        let log = self.detail_log(step);
        let status = self.run(command, log.clone()).await?;
        if !status.success() {
            bail!("{step} failed ({status}):\n{}", log.tail(usize::MAX));
        }
        self.progress.done(step, "done");
        Ok(())
    }

    /// Runs a program that writes to the terminal itself to its end.
    pub(crate) async fn run_attached(&mut self, command: &Command) -> Result<ExitStatus> {
        let mut process = Process::attach(command)?;
        self.interrupt.add_group(process.group());
        let status = self.unless_disturbed(process.wait()).await;
        if status.is_err() {
            process.signal_end();
            // Another signal kills it.
            process.wait().await?;
        }
        status?
    }

    /// Starts a service, which is expected to run until it is stopped.
    pub(crate) async fn start_service(&mut self, service: Service, command: Command) -> Result<()> {
        self.progress.start(service.name(), "starting");
        let follows = Arc::clone(&self.follows);
        let log = Log::new(move |line| {
            if follows.load(Ordering::Relaxed) {
                print(service, line);
            }
        });
        let process = Process::spawn(command, self.lease()?, log.clone()).await?;
        self.interrupt.add_group(process.group());
        let (name, pid, sender) = (service.name(), process.pid(), self.sender.clone());
        let end = process.watch_end();
        tokio::spawn(async move {
            let status = end.await;
            // The receiver is gone at the very end.
            let _ = sender.send(Ended { name, pid, status });
        });
        self.services.push(Running { service, process, log });
        // A restarted service takes its old place.
        self.services.sort_by_key(|running| running.service as usize);
        Ok(())
    }

    /// Waits until a service answers that it is ready.
    pub(crate) async fn wait_until_ready(&mut self, service: Service, address: SocketAddr) -> Result<()> {
        let mut last = None;
        if self
            .wait_until(async || {
                last = ready_status(address).await;
                Ok(last == Some(200))
            })
            .await?
        {
            self.progress.done(service.name(), "ready");
            return Ok(());
        }
        let answer = last.map_or("nothing".to_owned(), |status| status.to_string());
        bail!(
            "{} is not ready after {} s (GET /ready answers {answer}); its last lines:\n{}",
            service.name(),
            READY_WITHIN.as_secs(),
            self.tail(service.name())
        );
    }

    /// Polls a condition; false if it does not become true in time.
    pub(crate) async fn wait_until(&mut self, mut is_so: impl AsyncFnMut() -> Result<bool>) -> Result<bool> {
        let deadline = Instant::now() + READY_WITHIN;
        while !is_so().await? {
            if Instant::now() > deadline {
                return Ok(false);
            }
            self.unless_disturbed(sleep(LOOK_EVERY)).await?;
        }
        Ok(true)
    }

    /// Prints what the services have written so far, and every line from now on.
    pub(crate) fn follow(&self) {
        for Running { service, log, .. } in &self.services {
            log.tail(usize::MAX).lines().for_each(|line| print(*service, line));
        }
        self.follows.store(true, Ordering::Relaxed);
    }

    /// Waits for `wanted`; an error at the first signal, and when something that should run has ended.
    pub(crate) async fn unless_disturbed<T>(&mut self, wanted: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            value = wanted => Ok(value),
            error = disturbance(&self.interrupt, &mut self.ended, &self.services, &self.database) => {
                let Some(Ended { name, status, .. }) = error else { return Err(Error::new(Interrupted)) };
                let how = status.map(|status| format!(" ({status})")).unwrap_or_default();
                Err(anyhow!("{name} has ended{how}; its last lines:\n{}", self.tail(name)))
            }
        }
    }

    /// Stops a service in order.
    pub(crate) async fn stop_service(&mut self, service: Service) {
        let Some(place) = self.services.iter().position(|running| running.service == service) else { return };
        let Running { process, .. } = self.services.remove(place);
        self.progress.start(service.name(), "stopping");
        let status = process.stop().await.filter(|status| !status.success());
        let how = status.map(|status| format!(" ({status})")).unwrap_or_default();
        self.progress.done(service.name(), &format!("stopped{how}"));
    }

    /// Stops the services in the opposite order of their start, then the database.
    pub(crate) async fn stop(mut self) {
        self.progress.clear();
        while let Some(Running { service, .. }) = self.services.last() {
            self.stop_service(*service).await;
        }
        let database = std::mem::replace(&mut self.database, DatabaseState::None);
        if matches!(database, DatabaseState::None) {
            return;
        }
        self.progress.start("database", "stopping");
        match database {
            DatabaseState::None => {}
            // Docker stops loading an image; the start of a private server is short.
            DatabaseState::Starting(start) => {
                self.interrupt.ask();
                if let Ok(Ok(database)) = start.await {
                    database.stop().await;
                }
            }
            DatabaseState::Running(database) => database.stop().await,
        }
        self.progress.done("database", "stopped");
    }

    fn tail(&self, name: &str) -> String {
        let running = self.services.iter().find(|running| running.service.name() == name);
        running.map_or(&self.database_log, |running| &running.log).tail(TAIL)
    }

    fn lease(&self) -> Result<Stdio> {
        self.home.as_ref().map_or(Ok(Stdio::null()), Home::lease)
    }
}

/// Waits for a signal (`None`), or for the end of something that should run.
async fn disturbance(
    interrupt: &Interrupt,
    ended: &mut UnboundedReceiver<Ended>,
    services: &[Running],
    database: &DatabaseState,
) -> Option<Ended> {
    loop {
        let ended = tokio::select! {
            () = interrupt.asked() => return None,
            // There is a sender as long as there is a system.
            ended = ended.recv() => ended?,
        };
        // The start of a database reports itself why it failed.
        let is_database = ended.name == database::NAME && matches!(database, DatabaseState::Running(_));
        if is_database || services.iter().any(|running| running.process.pid() == ended.pid) {
            return Some(ended);
        }
    }
}

fn print(service: Service, line: &str) {
    use std::io::Write;
    // The reader may be gone; the services go on.
    let _ = writeln!(anstream::stdout(), "{}", marked(service, line));
}

fn marked(service: Service, line: &str) -> String {
    format!("\x1b[{}m{:<12} |\x1b[0m {line}", COLORS[service as usize], service.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_coloured_by_service() {
        assert_eq!(marked(Service::Orders, "hello"), "\x1b[32morders       |\x1b[0m hello");
        assert!(marked(Service::Customers, "hello").starts_with("\x1b[36m"));
    }
}
