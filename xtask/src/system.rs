//! What a command runs: its processes, what happens to them, and the order in which they end.
//!
//! Everything that happens (a signal, the end of a process, a database that is ready) arrives as an [`Event`] on one
//! channel. The order of the steps is in the file of each command.

use std::io::Read;
use std::net::SocketAddr;
use std::process::{Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Error, Result, anyhow, bail};
use private_server::supervisor::{Attached, Supervised};

use crate::choice::Choice;
use crate::database::{self, Cancel, Database, Listener, Purpose, Start};
use crate::home::Home;
use crate::interrupt::{self, Groups, Interrupted};
use crate::logs::Logs;
use crate::progress::Progress;
use crate::services::Service;
use crate::{process, ready};

/// The orchestrator finishes its requests within 28 s of SIGTERM, the others within 16 s.
const STOPPED_WITHIN: Duration = Duration::from_secs(32);
pub(crate) const READY_WITHIN: Duration = Duration::from_secs(60);
/// Between two looks at a service that is not ready yet.
const LOOK_EVERY: Duration = Duration::from_millis(100);

const TAIL: usize = 20;

enum Event {
    Interrupted,
    Ended {
        name: &'static str,
        /// Unknown for the database.
        status: Option<ExitStatus>,
    },
    Database(Result<Database>),
}

enum DatabaseState {
    None,
    Starting,
    Running(Database),
}

/// Everything that runs for one command.
pub(crate) struct System {
    pub(crate) logs: Logs,
    pub(crate) progress: Progress,
    groups: Groups,
    sender: Sender<Event>,
    events: Receiver<Event>,
    services: Vec<(&'static str, Supervised)>,
    database: DatabaseState,
    cancel: Cancel,
    // Dropped last: the next owner may come when everything has ended. None for a command that starts no database.
    home: Option<Home>,
}

impl System {
    /// Nothing runs yet, but signals are taken from now on. Once per process.
    pub(crate) fn new(home: Option<Home>, progress: Progress) -> Result<Self> {
        let (sender, events) = channel();
        let groups = Groups::default();
        let interrupted = sender.clone();
        interrupt::install(groups.clone(), move || {
            // Nobody listens at the very end.
            let _ = interrupted.send(Event::Interrupted);
        })?;
        Ok(Self {
            logs: Logs::new(),
            progress,
            groups,
            sender,
            events,
            services: Vec::new(),
            database: DatabaseState::None,
            cancel: Cancel::default(),
            home,
        })
    }

    /// Starts the database in the background; [`Self::database_url`] waits for it.
    pub(crate) fn start_database(&mut self, choice: Choice, purpose: Purpose) -> Result<()> {
        let home = self.home.as_ref().context("a database needs a directory of its own")?;
        let (data, listener, cancel) = (home.data(), self.database_listener(), self.cancel.clone());
        let start = Start { data, purpose, listener, cancel };
        let (sender, claim) = (self.sender.clone(), Arc::clone(&home.claim));
        self.progress.start("database", "starting");
        self.database = DatabaseState::Starting;
        thread::spawn(move || {
            let database = database::start(choice, &start, &claim);
            drop(claim);
            // When nobody waits any more, the database is dropped and ends.
            let _ = sender.send(Event::Database(database));
        });
        Ok(())
    }

    fn database_listener(&self) -> Listener {
        let (logs, progress, sender) = (self.logs.clone(), self.progress.clone(), self.sender.clone());
        Listener {
            log: Arc::new(move |line| logs.line("database", line)),
            detail: Arc::new(move |line| progress.detail("database", line)),
            end: Arc::new(move || {
                let (name, status) = ("database", None);
                // Nobody listens at the very end.
                let _ = sender.send(Event::Ended { name, status });
            }),
        }
    }

    /// The URL of the database, once it accepts connections.
    pub(crate) fn database_url(&mut self) -> Result<String> {
        loop {
            if let DatabaseState::Running(database) = &self.database {
                return Ok(database.url.clone());
            }
            let event = self.events.recv()?;
            self.expect_no_end(event)?;
        }
    }

    /// Runs a program to its successful end. `on_line` gets its output and says whether a line belongs in its log.
    pub(crate) fn run(
        &mut self,
        name: &'static str,
        command: &Command,
        on_line: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<()> {
        let status = self.run_to_end(name, command, on_line)?;
        if !status.success() {
            bail!("{name} failed ({status}):\n{}", self.logs.tail(name, usize::MAX));
        }
        Ok(())
    }

    /// The same, but the program may fail: an error is only what concerns the others, too.
    pub(crate) fn run_to_end(
        &mut self,
        name: &'static str,
        command: &Command,
        on_line: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<ExitStatus> {
        let child = self.spawn(name, command, on_line)?;
        let status = self.wait_for_end(name);
        if status.is_err() {
            child.stop(STOPPED_WITHIN);
        }
        status
    }

    /// Runs a program that writes to the terminal itself, to its end.
    pub(crate) fn run_attached(&mut self, name: &'static str, command: &Command) -> Result<ExitStatus> {
        let (status, _) = self.attach(name, command, Stdio::inherit())?;
        Ok(status)
    }

    /// The same, but its standard output is returned instead. Only for little of it.
    pub(crate) fn output_attached(&mut self, name: &'static str, command: &Command) -> Result<(ExitStatus, String)> {
        self.attach(name, command, Stdio::piped())
    }

    fn attach(&mut self, name: &'static str, command: &Command, stdout: Stdio) -> Result<(ExitStatus, String)> {
        let sender = self.sender.clone();
        let (mut child, output) = Attached::spawn(command, stdout, move |status| {
            let status = Some(status);
            // Nobody listens at the very end.
            let _ = sender.send(Event::Ended { name, status });
        })
        .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        self.groups.add(child.group());
        let text = output.map(|mut output| {
            thread::spawn(move || {
                let mut text = String::new();
                output.read_to_string(&mut text).map(|_| text)
            })
        });
        let result = self.wait_for_end(name);
        if result.is_err() {
            child.signal_end();
            // Another signal kills it.
            while !matches!(self.events.recv()?, Event::Ended { name: ended, .. } if ended == name) {}
        }
        let text = text.map(|reader| reader.join().map_err(|_| anyhow!("cannot read what {name} says")));
        let text = text.transpose()?.transpose()?.unwrap_or_default();
        result.map(|status| (status, text))
    }

    fn wait_for_end(&mut self, wanted: &str) -> Result<ExitStatus> {
        loop {
            match self.events.recv()? {
                Event::Ended { name, status: Some(status) } if name == wanted => return Ok(status),
                event => self.expect_no_end(event)?,
            }
        }
    }

    /// Starts a service, which is expected to run until it is stopped.
    pub(crate) fn start_service(&mut self, service: &Service, command: &Command) -> Result<()> {
        let child = self.spawn(service.name, command, |_| true)?;
        self.groups.add(child.group());
        self.remember(service.name, child.pid())?;
        self.services.push((service.name, child));
        Ok(())
    }

    /// Waits until a service answers that it is ready.
    pub(crate) fn wait_until_ready(&mut self, service: &Service, address: SocketAddr) -> Result<()> {
        let mut status = None;
        let is_ready = self.wait_until(|| {
            status = ready::status(address);
            Ok(status == Some(200))
        })?;
        if !is_ready {
            let answer = status.map_or("nothing".to_owned(), |status| status.to_string());
            bail!(
                "{} is not ready after {} s (GET /ready answers {answer}); its last lines:\n{}",
                service.name,
                READY_WITHIN.as_secs(),
                self.logs.tail(service.name, TAIL)
            );
        }
        Ok(())
    }

    /// Looks until something is so; false if it does not become so in time.
    pub(crate) fn wait_until(&mut self, mut is_so: impl FnMut() -> Result<bool>) -> Result<bool> {
        let deadline = Instant::now() + READY_WITHIN;
        while !is_so()? {
            if Instant::now() > deadline {
                return Ok(false);
            }
            match self.events.recv_timeout(LOOK_EVERY) {
                Ok(event) => self.expect_no_end(event)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(error) => return Err(error.into()),
            }
        }
        Ok(true)
    }

    /// Returns at the first signal; an error when something that should run has ended.
    pub(crate) fn watch(&mut self) -> Result<()> {
        loop {
            let event = self.events.recv()?;
            match self.expect_no_end(event) {
                Err(error) if error.is::<Interrupted>() => return Ok(()),
                result => result?,
            }
        }
    }

    /// Ends the services in the opposite order of their start, then the database.
    pub(crate) fn stop(mut self) {
        self.progress.clear();
        while let Some((name, service)) = self.services.pop() {
            self.progress.start(name, "stopping");
            let status = service.stop(STOPPED_WITHIN);
            let how = status.filter(|status| !status.success());
            let how = how.map(|status| format!(" ({status})")).unwrap_or_default();
            self.progress.done(name, &format!("stopped{how}"));
        }
        self.stop_database();
    }

    fn stop_database(&mut self) {
        if matches!(self.database, DatabaseState::None) {
            return;
        }
        let is_starting = matches!(self.database, DatabaseState::Starting);
        let text = if is_starting { "stopping as soon as its start has ended" } else { "stopping" };
        self.progress.start("database", text);
        if is_starting {
            self.cancel.cancel();
            // The thread that starts it always sends its result.
            while let Ok(event) = self.events.recv() {
                if let Event::Database(database) = event {
                    drop(database);
                    break;
                }
            }
        }
        self.database = DatabaseState::None;
        self.progress.done("database", "stopped");
    }

    fn spawn(
        &self,
        name: &'static str,
        command: &Command,
        on_line: impl Fn(&str) -> bool + Send + 'static,
    ) -> Result<Supervised> {
        let (logs, sender) = (self.logs.clone(), self.sender.clone());
        process::supervise(
            command,
            self.lease()?,
            move |line| {
                if on_line(line) {
                    logs.line(name, line);
                }
            },
            move |status| {
                let status = Some(status);
                // Nobody listens at the very end.
                let _ = sender.send(Event::Ended { name, status });
            },
        )
    }

    fn lease(&self) -> Result<Stdio> {
        match &self.home {
            Some(home) => Ok(home.claim.lease().context("too many open files")?.into()),
            None => Ok(Stdio::null()),
        }
    }

    /// What an event means while nothing is expected to end.
    fn expect_no_end(&mut self, event: Event) -> Result<()> {
        match event {
            Event::Interrupted => Err(Error::new(Interrupted)),
            // The start itself says why it failed.
            Event::Ended { name: "database", .. } if matches!(self.database, DatabaseState::Starting) => Ok(()),
            Event::Ended { name, status } => Err(self.unexpected_end(name, status)),
            Event::Database(Err(error)) => {
                self.database = DatabaseState::None;
                Err(error.context("the database did not start"))
            }
            Event::Database(Ok(database)) => {
                self.progress.done("database", "running");
                if let Some(home) = &mut self.home {
                    home.set_database_url(&database.url)?;
                }
                let process = database.process();
                self.database = DatabaseState::Running(database);
                let Some((pid, group)) = process else {
                    return Ok(());
                };
                self.groups.add(group);
                self.remember("database", pid)
            }
        }
    }

    fn unexpected_end(&self, name: &str, status: Option<ExitStatus>) -> Error {
        let how = status.map(|status| format!(" ({status})")).unwrap_or_default();
        let last_lines = self.logs.tail(name, TAIL);
        anyhow!("{name} has ended{how}, everything is stopped; its last lines:\n{last_lines}")
    }

    fn remember(&mut self, name: &str, pid: u32) -> Result<()> {
        match &mut self.home {
            Some(home) => home.remember(name, pid),
            None => Ok(()),
        }
    }
}
