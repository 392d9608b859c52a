//! Starts, monitors and stops all processes of a command: programs, services and the database.

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
use crate::interrupt::Interrupt;
use crate::outcome::Interrupted;
use crate::progress::Progress;
use crate::work_dir::WorkDir;

const READY_TIMEOUT: Duration = Duration::from_secs(60);
const POLL_INTERVAL: Duration = Duration::from_millis(100);
const LOG_TAIL_LINES: usize = 20;

/// ANSI colors by service, legible on light and dark backgrounds: cyan, green, magenta.
const COLORS: [u8; 3] = [36, 32, 35];

struct Running {
    service: Service,
    process: Process,
    log: Log,
    started: SystemTime,
}

/// Programs, services and database that a command runs.
pub(crate) struct System {
    pub(crate) progress: Progress,
    interrupt: Interrupt,
    services: Vec<Running>,
    starting: Option<JoinHandle<Result<Database>>>,
    database: Option<Database>,
    database_log: Log,
    /// Whether the services' log lines are printed.
    is_following: Arc<AtomicBool>,
    // Last, so that the directory is released after all else is dropped. `None` if a command starts no database.
    work_dir: Option<WorkDir>,
}

impl System {
    /// Creates an empty system and installs the signal handlers. Call once per process.
    pub(crate) fn new(work_dir: Option<WorkDir>) -> Result<Self> {
        Ok(Self {
            progress: Progress::new(),
            interrupt: Interrupt::listen()?,
            services: Vec::new(),
            starting: None,
            database: None,
            database_log: Log::new(|_| ()),
            is_following: Arc::default(),
            work_dir,
        })
    }

    /// Starts the database in the background. [`Self::database_url`] waits until it is ready.
    pub(crate) fn start_database(&mut self, choice: Choice, purpose: Purpose) -> Result<()> {
        let work_dir = self.work_dir.as_ref().context("a database needs a working directory")?;
        self.progress.print(&format!("database: {choice}"));
        self.progress.start("database", "starting");
        self.database_log = self.detail_log("database");
        let (log, interrupt) = (self.database_log.clone(), self.interrupt.clone());
        let start = database::start(choice, purpose, work_dir.data(), work_dir.lease()?, log, interrupt);
        self.starting = Some(tokio::spawn(start));
        Ok(())
    }

    /// Waits until the database accepts connections, and returns its URL.
    pub(crate) async fn database_url(&mut self) -> Result<String> {
        if let Some(start) = &mut self.starting {
            let started = tokio::select! {
                started = start => started,
                () = self.interrupt.requested() => bail!(Interrupted),
            };
            self.starting = None;
            let database = started?.context("the database did not start")?;
            self.progress.finish("database", "running");
            if let Some(work_dir) = &mut self.work_dir {
                work_dir.set_database_url(&database.url)?;
            }
            database.group().into_iter().for_each(|group| self.interrupt.add_group(group));
            self.database = Some(database);
        }
        Ok(self.database.as_ref().context("no database was started")?.url.clone())
    }

    /// Returns a log whose lines are shown as details of a step.
    pub(crate) fn detail_log(&self, step: &'static str) -> Log {
        let progress = self.progress.clone();
        Log::new(move |line| progress.detail(step, line))
    }

    /// Runs a program until it exits, and writes its output to `log`.
    pub(crate) async fn run(&self, command: Command, log: Log) -> Result<ExitStatus> {
        let process = Process::spawn(command, self.lease()?, log).await?;
        let status = self.unless_interrupted(process.wait()).await;
        if status.is_err() {
            process.stop().await;
        }
        status?
    }

    /// Runs a program as a step of the progress display. Returns an error if the program fails.
    pub(crate) async fn run_step(&self, step: &'static str, text: &str, command: Command) -> Result<()> {
        self.progress.start(step, text);
        let log = self.detail_log(step);
        let status = self.run(command, log.clone()).await?;
        if !status.success() {
            bail!("{step} failed ({status}):\n{}", log.tail(usize::MAX));
        }
        self.progress.finish(step, "done");
        Ok(())
    }

    /// Runs a program that uses the terminal directly, until it exits.
    pub(crate) async fn run_attached(&self, command: &Command) -> Result<ExitStatus> {
        let mut process = Process::attach(command)?;
        self.interrupt.add_group(process.group());
        let status = self.unless_interrupted(process.wait()).await;
        if status.is_err() {
            process.terminate();
            // The second signal to this process kills the program.
            process.wait().await?;
        }
        status?
    }

    /// Starts a service. From then on, an unexpected exit of the service is an error.
    pub(crate) async fn start_service(&mut self, service: Service, command: Command) -> Result<()> {
        self.progress.start(service.name(), "starting");
        let is_following = Arc::clone(&self.is_following);
        let log = Log::new(move |line| {
            if is_following.load(Ordering::Relaxed) {
                print(service, line);
            }
        });
        let started = SystemTime::now();
        let process = Process::spawn(command, self.lease()?, log.clone()).await?;
        self.interrupt.add_group(process.group());
        self.services.push(Running { service, process, log, started });
        // Keep the services in start order, which a restart would otherwise change.
        self.services.sort_by_key(|running| running.service as usize);
        Ok(())
    }

    /// Whether a service is not running, or was started before its program was last built.
    pub(crate) fn is_outdated(&self, service: Service, program: &Path) -> Result<bool> {
        let built = fs::metadata(program)?.modified()?;
        Ok(!self.services.iter().any(|running| running.service == service && running.started >= built))
    }

    /// Waits until `GET /ready` of a service returns 200.
    pub(crate) async fn wait_until_ready(&self, service: Service, address: SocketAddr) -> Result<()> {
        let (name, deadline) = (service.name(), Instant::now() + READY_TIMEOUT);
        loop {
            let status = ready_status(address).await;
            if status == Some(200) {
                self.progress.finish(name, "ready");
                return Ok(());
            }
            if Instant::now() > deadline {
                let response = status.map_or("no response".to_owned(), |status| status.to_string());
                let running = self.services.iter().find(|running| running.service == service);
                let log = running.map(|running| running.log.tail(LOG_TAIL_LINES)).unwrap_or_default();
                let seconds = READY_TIMEOUT.as_secs();
                bail!("{name} is not ready after {seconds} s (GET /ready: {response}); last log lines:\n{log}");
            }
            self.unless_interrupted(sleep(POLL_INTERVAL)).await?;
        }
    }

    /// Prints the services' log lines: those already written, and all later ones.
    pub(crate) fn follow(&self) {
        for Running { service, log, .. } in &self.services {
            log.tail(usize::MAX).lines().for_each(|line| print(*service, line));
        }
        self.is_following.store(true, Ordering::Relaxed);
    }

    /// Waits for `wanted`. Returns an error at the first signal, or if a service or the database exits.
    pub(crate) async fn unless_interrupted<T>(&self, wanted: impl Future<Output = T>) -> Result<T> {
        tokio::select! {
            biased;
            value = wanted => Ok(value),
            error = self.interruption() => Err(error),
        }
    }

    async fn interruption(&self) -> Error {
        let signal = async {
            self.interrupt.requested().await;
            Error::new(Interrupted)
        };
        let database = async {
            // During startup, `database_url` reports errors.
            let Some(database) = &self.database else { return pending().await };
            exit_error("database", database.exited().await, &self.database_log)
        };
        let services = self.services.iter().map(|Running { service, process, log, .. }| {
            async move { exit_error(service.name(), process.wait().await.ok(), log) }.boxed_local()
        });
        select_all([signal.boxed_local(), database.boxed_local()].into_iter().chain(services)).await.0
    }

    pub(crate) async fn stop_service(&mut self, service: Service) {
        let Some(index) = self.services.iter().position(|running| running.service == service) else { return };
        let Running { process, .. } = self.services.remove(index);
        self.progress.start(service.name(), "stopping");
        let status = process.stop().await.filter(|status| !status.success());
        self.progress.finish(service.name(), &format!("stopped{}", in_parentheses(status)));
    }

    /// Stops the services in reverse start order, then the database.
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
            // Abort the startup of a container. A private server starts quickly and is stopped below.
            self.interrupt.request();
            self.database = start.await.ok().and_then(Result::ok);
        }
        if let Some(database) = self.database.take() {
            database.stop().await;
        }
        self.progress.finish("database", "stopped");
    }

    fn lease(&self) -> Result<Stdio> {
        self.work_dir.as_ref().map_or(Ok(Stdio::null()), WorkDir::lease)
    }
}

fn exit_error(name: &str, status: Option<ExitStatus>, log: &Log) -> Error {
    anyhow!("{name} exited{}; last log lines:\n{}", in_parentheses(status), log.tail(LOG_TAIL_LINES))
}

fn in_parentheses(status: Option<ExitStatus>) -> String {
    status.map(|status| format!(" ({status})")).unwrap_or_default()
}

fn print(service: Service, line: &str) {
    // Ignore a closed pipe, so that the services keep running.
    let _ = writeln!(anstream::stdout(), "{}", prefixed(service, line));
}

fn prefixed(service: Service, line: &str) -> String {
    format!("\x1b[{}m{:<12} |\x1b[0m {line}", COLORS[service as usize], service.name())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_are_aligned_and_colored_by_service() {
        assert_eq!(prefixed(Service::Orders, "hello"), "\x1b[32morders       |\x1b[0m hello");
        assert!(prefixed(Service::Customers, "hello").starts_with("\x1b[36m"));
    }
}
