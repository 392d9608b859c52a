//! The database of a command: which one it is, and its life. What is done in it belongs to the program `db`.

use std::fmt;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use harness::{Log, Process};
use private_server::{Durability, Launch, PrivateServer, Program, install_command};
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::cli::Install;
use crate::docker::{self, Project};
use crate::interrupt::Interrupt;
use crate::outcome::Interrupted;
use crate::tools;

/// The database in a private server. Tests create their own beside it.
const SCHEMA: &str = "backoffice";

/// A container that has its image greets within this time; the first time it creates its data.
const GREETS_WITHIN: Duration = Duration::from_secs(180);
const LOOK_EVERY: Duration = Duration::from_millis(300);

/// The database that will be used.
#[derive(Debug)]
pub(crate) enum Choice {
    /// The one that the user named.
    Given(String),
    /// A server program of this machine, run for this purpose alone.
    Private(Program),
    /// The mysql service of docker-compose.yml.
    Docker,
    /// As `Private`, after the installation of a package.
    Install,
}

impl Choice {
    /// Chooses by what there is: see the help of `up`.
    pub(crate) fn of(given: Option<&str>, install: Install) -> Result<Self> {
        let given = given.filter(|url| !url.is_empty());
        let can_install = || !install.no_install && tools::can_install();
        first_of(given, Program::find, docker::is_available, can_install).with_context(|| {
            format!("no database: set DATABASE_URL, start a Docker Engine, or install a server: {}", install_command())
        })
    }
}

fn first_of(
    given: Option<&str>,
    find_program: impl FnOnce() -> Option<Program>,
    docker_is_available: impl FnOnce() -> bool,
    can_install: impl FnOnce() -> bool,
) -> Option<Choice> {
    let given = given.map(|url| Choice::Given(url.to_owned()));
    given
        .or_else(|| find_program().map(Choice::Private))
        .or_else(|| docker_is_available().then_some(Choice::Docker))
        .or_else(|| can_install().then_some(Choice::Install))
}

/// One line: which database, and why.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(url) => write!(f, "{}, as DATABASE_URL says", without_password(url)),
            Self::Private(program) => write!(f, "a private server, {program}, as DATABASE_URL is not set"),
            Self::Docker => f.write_str(
                "a container of the mysql service of docker-compose.yml, as DATABASE_URL is not set and this machine has no \
                 MySQL or MariaDB server",
            ),
            Self::Install => f.write_str(
                "a private server, after installing mariadb-server-core and mariadb-client-core with apt-get \
                 (--no-install refuses this), as there is no DATABASE_URL, no server and no Docker Engine",
            ),
        }
    }
}

/// A URL that can be shown.
pub(crate) fn without_password(url: &str) -> String {
    let without = url.split_once("://").and_then(|(scheme, rest)| {
        let (user, place) = rest.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:***@{place}"))
    });
    without.unwrap_or_else(|| url.to_owned())
}

/// The use of a database.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Its data stays.
    Up {
        /// Throws away the data of earlier runs first. Not for a given database.
        reset: bool,
    },
    /// Its data goes, with the run of a command of this name.
    Run(&'static str),
}

/// A database that accepts connections.
pub(crate) struct Database {
    pub(crate) url: String,
    server: Server,
}

enum Server {
    /// Somebody else's.
    Foreign,
    /// With a channel that closes or changes at its end.
    Private(PrivateServer, watch::Receiver<()>),
    Docker(Project, Process),
}

impl Database {
    /// The process group of a private server.
    pub(crate) fn group(&self) -> Option<u32> {
        match &self.server {
            Server::Private(server, _) => Some(server.group()),
            Server::Foreign | Server::Docker(..) => None,
        }
    }

    /// Waits for the end of what was started for it.
    pub(crate) async fn ended(&self) -> Option<ExitStatus> {
        match &self.server {
            Server::Foreign => pending().await,
            Server::Private(_, end) => {
                let _ = end.clone().changed().await;
                None
            }
            Server::Docker(_, process) => process.wait().await.ok(),
        }
    }

    /// Stops what was started for it.
    pub(crate) async fn stop(self) {
        match self.server {
            Server::Foreign => {}
            // Only a thread that panics is not joined.
            Server::Private(server, _) => drop(spawn_blocking(|| drop(server)).await),
            Server::Docker(project, process) => {
                process.stop().await;
                project.remove();
            }
        }
    }
}

/// Starts the chosen database, or only passes its URL on. A private server has its data in `data`; a container holds the
/// lease.
pub(crate) async fn start(
    choice: Choice,
    purpose: Purpose,
    data: PathBuf,
    lease: Stdio,
    log: Log,
    interrupt: Interrupt,
) -> Result<Database> {
    let program = match choice {
        Choice::Given(url) => return Ok(Database { url, server: Server::Foreign }),
        Choice::Docker => return start_docker(purpose, lease, log, interrupt).await,
        Choice::Private(program) => program,
        Choice::Install => tools::install_server().await?,
    };
    spawn_blocking(move || start_private(&program, purpose, &data, log)).await?
}

fn start_private(program: &Program, purpose: Purpose, data: &Path, log: Log) -> Result<Database> {
    if purpose != (Purpose::Up { reset: false }) {
        PrivateServer::erase(data)?;
    }
    let durability = match purpose {
        Purpose::Up { .. } => Durability::Durable,
        Purpose::Run(_) => Durability::Relaxed,
    };
    let end = watch::Sender::new(());
    let sender = end.clone();
    let server = Launch::new(program, data, durability)
        .database(SCHEMA)
        .log(log)
        .on_end(move || sender.send_replace(()))
        .start()?;
    // Only now: an attempt on a port that was taken has ended as well.
    Ok(Database { url: server.url(SCHEMA), server: Server::Private(server, end.subscribe()) })
}

/// Runs the container, which may have to load its image first, and waits until its server greets.
async fn start_docker(purpose: Purpose, lease: Stdio, log: Log, interrupt: Interrupt) -> Result<Database> {
    let project = match purpose {
        Purpose::Up { .. } => Project::new("up"),
        Purpose::Run(command) => Project::new(command),
    };
    if purpose != (Purpose::Up { reset: false }) {
        project.erase()?;
    }
    let process = Process::spawn(project.run(), lease, log.clone()).await?;
    let address = tokio::select! {
        address = greeting(&project) => address,
        _ = process.wait() => Err(anyhow!("it has ended")),
        () = interrupt.asked() => Err(Interrupted.into()),
    };
    match address.and_then(|address| project.url(&address)) {
        Ok(url) => Ok(Database { url, server: Server::Docker(project, process) }),
        Err(error) => {
            process.stop().await;
            project.remove();
            Err(error.context(format!("the mysql service did not start:\n{}", log.tail(15))))
        }
    }
}

/// The address of the container's server, once it greets. While the image creates its data, it does not.
async fn greeting(project: &Project) -> Result<String> {
    let mut deadline = None;
    loop {
        if let Some(address) = project.address() {
            if private_server::greets(&*address) {
                return Ok(address);
            }
            if *deadline.get_or_insert(Instant::now() + GREETS_WITHIN) < Instant::now() {
                bail!("nothing answers at {address} after {} s", GREETS_WITHIN.as_secs());
            }
        }
        sleep(LOOK_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(choice: &Option<Choice>) -> &'static str {
        match choice {
            Some(Choice::Given(_)) => "given",
            Some(Choice::Private(_)) => "private",
            Some(Choice::Docker) => "docker",
            Some(Choice::Install) => "install",
            None => "none",
        }
    }

    #[test]
    fn a_given_url_wins_and_nothing_else_is_looked_at() {
        let look = || panic!("looked for more");
        let choice = first_of(Some("mysql://x/y"), || panic!("looked"), look, look);
        assert_eq!(name(&choice), "given");
    }

    #[test]
    fn a_program_comes_before_docker_and_docker_before_an_installation() {
        let program = Program::find();
        assert!(program.is_some(), "no server found: {}", install_command());
        let look = || panic!("looked for more");
        assert_eq!(name(&first_of(None, || program, look, look)), "private");
        assert_eq!(name(&first_of(None, || None, || true, look)), "docker");
        assert_eq!(name(&first_of(None, || None, || false, || true)), "install");
        assert_eq!(name(&first_of(None, || None, || false, || false)), "none");
    }

    #[test]
    fn a_shown_url_has_no_password() {
        let shown = without_password("mysql://root:p@ss:word@db.example:3306/x?ssl-mode=REQUIRED");
        assert_eq!(shown, "mysql://root:***@db.example:3306/x?ssl-mode=REQUIRED");
        let open = "mysql://root@127.0.0.1:3306/x";
        assert_eq!(without_password(open), open);
    }
}
