//! The database of a command: which one it is, and its life. What is done in it belongs to the program `db`.

use std::fmt;
use std::path::PathBuf;
use std::process::Stdio;
use std::time::Duration;

use anyhow::{Context, Result, anyhow, bail};
use harness::{Log, Process};
use private_server::{Durability, Launch, PrivateServer, Program, install_command};
use tokio::sync::mpsc::UnboundedSender;
use tokio::task::spawn_blocking;
use tokio::time::{Instant, sleep};

use crate::cli::Install;
use crate::docker::{self, Project};
use crate::interrupt::Interrupt;
use crate::outcome::Interrupted;
use crate::system::Ended;
use crate::tools;

/// In messages.
pub(crate) const NAME: &str = "database";
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
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (user, place) = rest.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some((scheme, name, place))
    });
    match parts {
        Some((scheme, name, place)) => format!("{scheme}://{name}:***@{place}"),
        None => url.to_owned(),
    }
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

/// The start of a database.
pub(crate) struct Start {
    /// For a private server alone.
    pub(crate) data: PathBuf,
    /// Held by a container alone; a private server claims its own directory.
    pub(crate) lease: Stdio,
    pub(crate) purpose: Purpose,
    pub(crate) log: Log,
    pub(crate) interrupt: Interrupt,
    pub(crate) ended: UnboundedSender<Ended>,
}

/// A database that accepts connections.
pub(crate) struct Database {
    pub(crate) url: String,
    server: Server,
}

enum Server {
    /// Somebody else's.
    Foreign,
    Private(PrivateServer),
    Docker(Project, Process),
}

impl Database {
    /// The process group of a private server.
    pub(crate) fn group(&self) -> Option<u32> {
        match &self.server {
            Server::Private(server) => Some(server.group()),
            Server::Foreign | Server::Docker(..) => None,
        }
    }

    /// Stops what was started for it.
    pub(crate) async fn stop(self) {
        match self.server {
            Server::Foreign => {}
            // Only a thread that panics is not joined.
            Server::Private(server) => drop(spawn_blocking(|| drop(server)).await),
            Server::Docker(project, process) => {
                process.stop().await;
                project.remove();
            }
        }
    }
}

/// Starts the chosen database, or only passes its URL on.
pub(crate) async fn start(choice: Choice, start: Start) -> Result<Database> {
    let program = match choice {
        Choice::Given(url) => return Ok(Database { url, server: Server::Foreign }),
        Choice::Docker => return start_docker(start).await,
        Choice::Private(program) => program,
        Choice::Install => tools::install_server().await?,
    };
    spawn_blocking(move || start_private(&program, start)).await?
}

fn start_private(program: &Program, start: Start) -> Result<Database> {
    let Start { data, purpose, log, ended, .. } = start;
    if purpose != (Purpose::Up { reset: false }) {
        PrivateServer::erase(&data)?;
    }
    let durability = match purpose {
        Purpose::Up { .. } => Durability::Durable,
        Purpose::Run(_) => Durability::Relaxed,
    };
    let server = Launch::new(program, &data, durability)
        .database(SCHEMA)
        .on_log(move |line| log.line(line))
        .on_end(move || drop(ended.send(Ended { name: NAME, pid: 0, status: None })))
        .start()?;
    Ok(Database { url: server.url(SCHEMA), server: Server::Private(server) })
}

/// Runs the container, which may have to load its image first, and waits until its server greets.
async fn start_docker(start: Start) -> Result<Database> {
    let project = match start.purpose {
        Purpose::Up { .. } => Project::new("up", false),
        Purpose::Run(command) => Project::new(command, true),
    };
    if start.purpose != (Purpose::Up { reset: false }) {
        project.erase()?;
    }
    let process = Process::spawn(project.run(), start.lease, start.log.clone()).await?;
    let end = process.watch_end();
    let address = tokio::select! {
        address = greeting(&project) => address,
        _ = end => Err(anyhow!("it has ended")),
        () = start.interrupt.asked() => Err(Interrupted.into()),
    };
    let url = address.and_then(|address| project.url(&address));
    let url = match url {
        Ok(url) => url,
        Err(error) => {
            process.stop().await;
            project.remove();
            return Err(error.context(format!("the mysql service did not start:\n{}", start.log.tail(15))));
        }
    };
    let end = process.watch_end();
    tokio::spawn(async move {
        let status = end.await;
        // The receiver is gone at the very end.
        let _ = start.ended.send(Ended { name: NAME, pid: 0, status });
    });
    Ok(Database { url, server: Server::Docker(project, process) })
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
