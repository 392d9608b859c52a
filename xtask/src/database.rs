//! The life of the database: started, used, stopped. What is done in it belongs to the `db` program.

use std::path::PathBuf;
use std::sync::mpsc::channel;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Result, bail};
use private_server::claim::Claim;
use private_server::supervisor::Supervised;
use private_server::{Durability, Launch, PrivateServer, Program};

use crate::choice::Choice;
use crate::docker::{self, Project};
use crate::{apt, process};

/// The database in a private server. Tests make their own ones beside it.
const NAME: &str = "backoffice";

const STOPPED_WITHIN: Duration = Duration::from_secs(60);

/// What a database is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Its data stays.
    Up {
        /// Throws away the data of earlier runs first. Not for a given database.
        reset: bool,
    },
    /// Its data goes.
    Test,
    /// Its data goes, too.
    Conformance,
}

impl Purpose {
    fn durability(self) -> Durability {
        match self {
            Self::Up { .. } => Durability::Durable,
            Self::Test | Self::Conformance => Durability::Relaxed,
        }
    }

    fn starts_empty(self) -> bool {
        !matches!(self, Self::Up { reset: false })
    }

    fn project(self) -> Project {
        match self {
            Self::Up { .. } => Project::new("up", false),
            Self::Test => Project::new("test", true),
            Self::Conformance => Project::new("conformance", true),
        }
    }
}

/// Who is told about a database; all are called from threads.
#[derive(Clone)]
pub(crate) struct Listener {
    /// A line of the server's log.
    pub(crate) log: Arc<dyn Fn(&str) + Send + Sync>,
    /// What is going on while it starts.
    pub(crate) detail: Arc<dyn Fn(&str) + Send + Sync>,
    /// The server has ended.
    pub(crate) end: Arc<dyn Fn() + Send + Sync>,
}

/// How a database is started.
pub(crate) struct Start {
    /// For a private server alone.
    pub(crate) data: PathBuf,
    pub(crate) purpose: Purpose,
    pub(crate) listener: Listener,
    pub(crate) cancel: Cancel,
}

/// Ends what takes long in a start: a container whose image is being loaded. The start then fails.
#[derive(Clone, Default)]
pub(crate) struct Cancel(Arc<Mutex<Cancelled>>);

#[derive(Default)]
struct Cancelled {
    asked: bool,
    child: Option<Supervised>,
}

impl Cancel {
    /// From now on there is nothing to wait for but an orderly end.
    pub(crate) fn cancel(&self) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        state.asked = true;
        if let Some(child) = &mut state.child {
            child.signal_end();
        }
    }

    fn watch(&self, mut child: Supervised) {
        let mut state = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if state.asked {
            child.signal_end();
        }
        state.child = Some(child);
    }

    fn take_back(&self) -> Option<Supervised> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).child.take()
    }
}

/// A database that accepts connections. Dropping it ends what was started for it.
pub(crate) struct Database {
    pub(crate) url: String,
    server: Server,
}

enum Server {
    /// Nothing was started for it.
    Foreign,
    Private(PrivateServer),
    Docker(Option<Supervised>),
}

impl Database {
    /// The process id and group of the server, if it is a private one.
    pub(crate) fn process(&self) -> Option<(u32, u32)> {
        match &self.server {
            Server::Private(server) => Some((server.pid(), server.group())),
            Server::Foreign | Server::Docker(_) => None,
        }
    }
}

impl Drop for Database {
    fn drop(&mut self) {
        if let Server::Docker(container) = &mut self.server
            && let Some(container) = container.take()
        {
            container.stop(STOPPED_WITHIN);
        }
    }
}

/// Starts the chosen database, or only passes its URL on. `claim` is that of the directory in which xtask works.
pub(crate) fn start(choice: Choice, start: &Start, claim: &Claim) -> Result<Database> {
    match choice {
        Choice::Given(url) => Ok(Database { url, server: Server::Foreign }),
        Choice::Private(program) => start_private(&program, start),
        Choice::Docker => start_docker(start, claim),
        Choice::Install => start_private(&apt::install_server(&*start.listener.detail, claim)?, start),
    }
}

fn start_private(program: &Program, start: &Start) -> Result<Database> {
    if start.purpose.starts_empty() {
        PrivateServer::erase(&start.data)?;
    }
    let (log, end) = (Arc::clone(&start.listener.log), Arc::clone(&start.listener.end));
    let server = Launch::new(program, &start.data, start.purpose.durability())
        .database(NAME)
        .on_log(move |line| log(line))
        .on_end(move || end())
        .start()?;
    Ok(Database { url: server.url(NAME), server: Server::Private(server) })
}

/// Starts the container, which may have to load its image first, and waits until it is healthy.
fn start_docker(start: &Start, claim: &Claim) -> Result<Database> {
    let project = start.purpose.project();
    if start.purpose.starts_empty() {
        project.remove()?;
    }
    let Listener { log, detail, end } = start.listener.clone();
    let (sender, lines) = channel();
    let container = process::supervise(
        &project.run(),
        claim.lease()?,
        move |line| {
            log(line);
            detail(line);
            // Nobody listens once it is healthy.
            let _ = sender.send(line.to_owned());
        },
        move |_| end(),
    )?;
    start.cancel.watch(container);
    let mut said = Vec::new();
    // They end with the container.
    for line in lines {
        if let Some(address) = docker::listening(&line) {
            let url = project.url(address)?;
            return Ok(Database { url, server: Server::Docker(start.cancel.take_back()) });
        }
        said.push(line);
    }
    bail!("the mysql service did not start:\n{}", said.join("\n"));
}
