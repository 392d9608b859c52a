//! Selects, starts and stops the database of a command. The program `db` runs the migrations and inserts sample data.

use std::fmt;
use std::future::pending;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::sync::Arc;
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

/// Name of the database on a private server. Tests create additional databases.
const SCHEMA: &str = "backoffice";

/// Maximum time until a container's server accepts connections. The first start also initializes the data.
const START_TIMEOUT: Duration = Duration::from_secs(180);
const POLL_INTERVAL: Duration = Duration::from_millis(300);

#[derive(Debug)]
pub(crate) enum Choice {
    /// Database given by `--database-url` or DATABASE_URL.
    Given(String),
    /// Private server that runs an installed program.
    Private(Program),
    /// The `mysql` service of docker-compose.yml.
    Docker,
    /// Like `Private`, but installs a server package first.
    Install,
}

impl Choice {
    /// Selects the first available database, in the order that the help text of `up` documents.
    pub(crate) fn select(given: Option<&str>, install: Install) -> Result<Self> {
        let given = given.filter(|url| !url.is_empty());
        let can_install = || !install.no_install && tools::can_install();
        choose(given, Program::find, docker::is_available, can_install).with_context(|| {
            let advice = "set DATABASE_URL, start a Docker Engine, or install a server";
            format!("no database found: {advice}: {}", install_command())
        })
    }
}

fn choose(
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

/// Describes the database and the reason for its selection, on one line.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(url) => write!(f, "{} (from --database-url or DATABASE_URL)", without_password(url)),
            Self::Private(program) => write!(f, "private server {program} (DATABASE_URL is not set)"),
            Self::Docker => f.write_str(
                "container of the mysql service in docker-compose.yml (DATABASE_URL is not set, and no MySQL or MariaDB \
                 server is installed)",
            ),
            Self::Install => f.write_str(
                "private server, after installing mariadb-server-core and mariadb-client-core with apt-get (DATABASE_URL \
                 is not set, and neither a server nor a Docker Engine is available; use --no-install to prevent this)",
            ),
        }
    }
}

/// Returns the URL with its password masked.
pub(crate) fn without_password(url: &str) -> String {
    let without = url.split_once("://").and_then(|(scheme, rest)| {
        let (user, host) = rest.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some(format!("{scheme}://{name}:***@{host}"))
    });
    without.unwrap_or_else(|| url.to_owned())
}

/// Purpose of a database; determines whether its data is kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// For `up`: keeps the data.
    Up {
        /// Deletes data from earlier runs first. Not supported for a database given by URL.
        reset: bool,
    },
    /// For one run of the named command: deletes the data afterwards.
    Run(&'static str),
}

pub(crate) struct Database {
    pub(crate) url: String,
    server: Server,
}

enum Server {
    /// Database that xtask does not manage.
    External,
    /// Receives a message, or is closed, when the server exits.
    Private(PrivateServer, watch::Receiver<()>),
    Docker(Project, Process),
}

impl Database {
    /// Process group ID of a private server.
    pub(crate) fn group(&self) -> Option<u32> {
        match &self.server {
            Server::Private(server, _) => Some(server.group()),
            Server::External | Server::Docker(..) => None,
        }
    }

    /// Waits until the server process exits. Never completes for an external database.
    pub(crate) async fn exited(&self) -> Option<ExitStatus> {
        match &self.server {
            Server::External => pending().await,
            Server::Private(_, end) => {
                let _ = end.clone().changed().await;
                None
            }
            Server::Docker(_, process) => process.wait().await.ok(),
        }
    }

    /// Stops the server. Has no effect on an external database.
    pub(crate) async fn stop(self) {
        match self.server {
            Server::External => {}
            // `Err` only if dropping the server panicked.
            Server::Private(server, _) => drop(spawn_blocking(|| drop(server)).await),
            Server::Docker(project, process) => {
                process.stop().await;
                project.remove();
            }
        }
    }
}

/// Starts the database, unless it is external, with its data in `data`. The process of a container holds the lease.
pub(crate) async fn start(
    choice: Choice,
    purpose: Purpose,
    data: PathBuf,
    lease: Stdio,
    log: Log,
    interrupt: Interrupt,
) -> Result<Database> {
    let program = match choice {
        Choice::Given(url) => return Ok(Database { url, server: Server::External }),
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
    let on_end = Arc::new(move || sender.send_replace(()));
    let server = Launch { database: Some(SCHEMA), log, on_end, ..Launch::new(program, data, durability) }.start()?;
    // Subscribe after startup: a failed attempt on an occupied port also sends a notification.
    Ok(Database { url: server.url(SCHEMA), server: Server::Private(server, end.subscribe()) })
}

/// Runs the container, pulling its image if necessary, and waits until the server accepts connections.
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
        address = wait_for_handshake(&project) => address,
        _ = process.wait() => Err(anyhow!("the container exited")),
        () = interrupt.requested() => Err(Interrupted.into()),
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

/// Returns the address once the server sends its handshake: it is unreachable while the image initializes its data.
async fn wait_for_handshake(project: &Project) -> Result<String> {
    let mut deadline = None;
    loop {
        if let Some(address) = project.address() {
            if private_server::sends_handshake(&*address) {
                return Ok(address);
            }
            if *deadline.get_or_insert(Instant::now() + START_TIMEOUT) < Instant::now() {
                bail!("no response from {address} after {} s", START_TIMEOUT.as_secs());
            }
        }
        sleep(POLL_INTERVAL).await;
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
    fn given_url_takes_precedence_without_further_lookups() {
        let look = || panic!("unexpected lookup");
        let choice = choose(Some("mysql://x/y"), || panic!("unexpected lookup"), look, look);
        assert_eq!(name(&choice), "given");
    }

    #[test]
    fn installed_server_precedes_docker_and_docker_precedes_installation() {
        let program = Program::find();
        assert!(program.is_some(), "no server found: {}", install_command());
        let look = || panic!("unexpected lookup");
        assert_eq!(name(&choose(None, || program, look, look)), "private");
        assert_eq!(name(&choose(None, || None, || true, look)), "docker");
        assert_eq!(name(&choose(None, || None, || false, || true)), "install");
        assert_eq!(name(&choose(None, || None, || false, || false)), "none");
    }

    #[test]
    fn password_is_masked_in_urls() {
        let shown = without_password("mysql://root:p@ss:word@db.example:3306/x?ssl-mode=REQUIRED");
        assert_eq!(shown, "mysql://root:***@db.example:3306/x?ssl-mode=REQUIRED");
        let open = "mysql://root@127.0.0.1:3306/x";
        assert_eq!(without_password(open), open);
    }
}
