//! Everything that runs for one command: programs, services and the database, and the order in which they end.

use std::fs;
use std::future::pending;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, SystemTime};

use anyhow::{Context, Error, Result, anyhow, bail};
use futures::FutureExt;
use futures::future::select_all;
use harness::{Log, Process, Service, ready_status};
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::database::{self, Choice, Database, Purpose};
use crate::home::Home;
use crate::interrupt::Interrupt;
use crate::outcome::Interrupted;
use crate::progress::Progress;

const READY_WITHIN: Duration = Duration::from_secs(60);
const LOOK_EVERY: Duration = Duration::from_millis(100);
const TAIL: usize = 20;

/// ANSI colours that read well on light and dark, by service: cyan, green, magenta.
const COLORS: [u8; 3] = [36, 32, 35];

struct Running {
    service: Service,
    process: Process,
    log: Log,
    started: SystemTime,
}

/// The programs, services and database of one command.
pub(crate) struct System {
    pub(crate) progress: Progress,
    interrupt: Interrupt,
    services: Vec<Running>,
    starting: Option<JoinHandle<Result<Database>>>,
    database: Option<Database>,
    database_log: Log,
    /// Whether the lines of services are printed.
    follows: Arc<AtomicBool>,
    // Dropped last: the next owner may come when everything has ended. None for a command that starts no database.
    home: Option<Home>,
}

impl System {
    /// Takes signals from now on. Once per process.
    pub(crate) fn new(home: Option<Home>) -> Result<Self> {
        Ok(Self {
            progress: Progress::new(),
            interrupt: Interrupt::listen()?,
            services: Vec::new(),
            starting: None,
            database: None,
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
        let (log, interrupt) = (self.database_log.clone(), self.interrupt.clone());
        let start = database::start(choice, purpose, home.data(), home.lease()?, log, interrupt);
        self.starting = Some(tokio::spawn(start));
        Ok(())
    }

    /// The URL of the database, once it accepts connections.
    pub(crate) async fn database_url(&mut self) -> Result<String> {
        if let Some(start) = &mut self.starting {
            let started = tokio::select! {
                started = start => started,
                () = self.interrupt.asked() => bail!(Interrupted),
            };
            self.starting = None;
            let database = started?.context("the database did not start")?;
            self.progress.done("database", "running");
            if let Some(home) = &mut self.home {
                home.set_database_url(&database.url)?;
            }
            database.group().into_iter().for_each(|group| self.interrupt.add_group(group));
            self.database = Some(database);
        }
        Ok(self.database.as_ref().context("no database was started")?.url.clone())
    }

    /// A log that shows its lines as details of a step.
    pub(crate) fn detail_log(&self, step: &'static str) -> Log {
        let progress = self.progress.clone();
        Log::new(move |line| progress.detail(step, line))
    }

    /// Runs a program to its end, with its output in `log`.
    pub(crate) async fn run(&self, command: Command, log: Log) -> Result<ExitStatus> {
        let process = Process::spawn(command, self.lease()?, log).await?;
        let status = self.unless_disturbed(process.wait()).await;
        if status.is_err() {
            process.stop().await;
        }
        status?
    }

    /// Runs a program to its successful end as a step of the progress.
    pub(crate) async fn run_step(&self, step: &'static str, text: &str, command: Command) -> Result<()> {
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
    pub(crate) async fn run_attached(&self, command: &Command) -> Result<ExitStatus> {
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
        let started = SystemTime::now();
        let process = Process::spawn(command, self.lease()?, log.clone()).await?;
        self.interrupt.add_group(process.group());
        self.services.push(Running { service, process, log, started });
        // A restarted service takes its old place.
        self.services.sort_by_key(|running| running.service as usize);
        Ok(())
    }

    /// Whether a service does not run, or was started before its program was built.
    pub(crate) fn is_outdated(&self, service: Service, program: &Path) -> Result<bool> {
        let built = fs::metadata(program)?.modified()?;
        Ok(!self.services.iter().any(|running| running.service == service && running.started >= built))
    }

    /// Waits until a service answers that it is ready.
    pub(crate) async fn wait_until_ready(&self, service: Service, address: SocketAddr) -> Result<()> {
        let (name, deadline) = (service.name(), Instant::now() + READY_WITHIN);
        loop {
            let status = ready_status(address).await;
            if status == Some(200) {
                self.progress.done(name, "ready");
                return Ok(());
            }
            if Instant::now() > deadline {
                let answer = status.map_or("nothing".to_owned(), |status| status.to_string());
                let log = self.services.iter().find(|running| running.service == service).map(|running| &running.log);
                bail!(
                    "{name} is not ready after {} s (GET /ready answers {answer}); its last lines:\n{}",
                    READY_WITHIN.as_secs(),
                    log.map(|log| log.tail(TAIL)).unwrap_or_default()
                );
            }
            self.unless_disturbed(sleep(LOOK_EVERY)).await?;
        }
    }

    /// Prints what the services have written so far, and every line from now on.
    pub(crate) fn follow(&self) {
        for Running { service, log, .. } in &self.services {
            log.tail(usize::MAX).lines().for_each(|line| print(*service, line));
        }
        self.follows.store(true, Ordering::Relaxed);
    }

    /// Waits for `wanted`; an error at the first signal, and when something that should run has ended.
    pub(crate) async fn unless_disturbed<T>(&self, wanted: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            value = wanted => Ok(value),
            error = self.disturbance() => Err(error),
        }
    }

    async fn disturbance(&self) -> Error {
        let signal = async {
            self.interrupt.asked().await;
            Error::new(Interrupted)
        };
        let database = async {
            // The start of a database reports itself why it failed.
            let Some(database) = &self.database else { return pending().await };
            ended("database", database.ended().await, &self.database_log)
        };
        let services = self.services.iter().map(|Running { service, process, log, .. }| {
            async move { ended(service.name(), process.wait().await.ok(), log) }.boxed_local()
        });
        select_all([signal.boxed_local(), database.boxed_local()].into_iter().chain(services)).await.0
    }

    /// Stops a service in order.
    pub(crate) async fn stop_service(&mut self, service: Service) {
        let Some(place) = self.services.iter().position(|running| running.service == service) else { return };
        let Running { process, .. } = self.services.remove(place);
        self.progress.start(service.name(), "stopping");
        let status = process.stop().await.filter(|status| !status.success());
        self.progress.done(service.name(), &format!("stopped{}", in_parentheses(status)));
    }

    /// Stops the services in the opposite order of their start, then the database.
    pub(crate) async fn stop(mut self) {
        self.progress.clear();
        while let Some(Running { service, .. }) = self.services.last() {
            self.stop_service(*service).await;
        }
        if self.starting.is_none() && self.database.is_none() {
            return;
        }
        self.progress.start("database", "stopping");
        if let Some(start) = self.starting.take() {
            // Docker stops loading an image; the start of a private server is short.
            self.interrupt.ask();
            self.database = start.await.ok().and_then(Result::ok);
        }
        if let Some(database) = self.database.take() {
            database.stop().await;
        }
        self.progress.done("database", "stopped");
    }

    fn lease(&self) -> Result<Stdio> {
        self.home.as_ref().map_or(Ok(Stdio::null()), Home::lease)
    }
}

fn ended(name: &str, status: Option<ExitStatus>, log: &Log) -> Error {
    anyhow!("{name} has ended{}; its last lines:\n{}", in_parentheses(status), log.tail(TAIL))
}

fn in_parentheses(status: Option<ExitStatus>) -> String {
    status.map(|status| format!(" ({status})")).unwrap_or_default()
}

fn print(service: Service, line: &str) {
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
