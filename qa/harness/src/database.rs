//! Database server of a run. It can be killed and restarted with the same data.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use private_server::{Durability, Launch, Log, PrivateServer, Program};
use tokio::task::spawn_blocking;

use crate::process::{self, Program as Executable};

const NAME: &str = "backoffice";

/// Database server with full durability.
pub struct Database {
    program: Program,
    directory: PathBuf,
    log: Log,
    binary_log: bool,
    server: Option<PrivateServer>,
}

impl Database {
    /// Starts a server with an empty database and data below `directory`. See [`Launch::binary_log`].
    pub async fn start(program: Program, directory: &Path, log: Log, binary_log: bool) -> Result<Self> {
        let mut database = Self { program, directory: directory.join("data"), log, binary_log, server: None };
        database.restart().await.map(|()| database)
    }

    /// Starts the server with its existing data, and returns once it accepts connections.
    pub async fn restart(&mut self) -> Result<()> {
        let (program, directory, log) = (self.program.clone(), self.directory.clone(), self.log.clone());
        let binary_log = self.binary_log;
        let start = move || {
            let launch = Launch::new(&program, &directory, Durability::Durable);
            Launch { database: Some(NAME), binary_log, log, ..launch }.start()
        };
        self.server = Some(spawn_blocking(start).await?.context("the database server did not start")?);
        Ok(())
    }

    /// Migrates and seeds the database with the program `db`.
    pub async fn prepare(&self, directory: &Path) -> Result<()> {
        let port = self.port().context("the database server is not running")?;
        let log = Log::create(directory, "db")?;
        for arguments in [&["migrate", "up"][..], &["seed"]] {
            let mut program = Executable::sibling("db", log.clone())?;
            program.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
            program.environment = vec![("DATABASE_URL".to_owned(), Self::url(port))];
            program.run().await?;
        }
        Ok(())
    }

    /// Kills the server with SIGKILL and waits until it has exited.
    ///
    /// # Errors
    /// If the server has already exited.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(server) = &self.server {
            process::send(Signal::SIGKILL, server.pid())?;
        }
        self.stop().await
    }

    /// Stops the server gracefully and waits until it has exited.
    pub async fn stop(&mut self) -> Result<()> {
        let server = self.server.take();
        spawn_blocking(|| drop(server)).await.context("the database server did not stop")
    }

    /// Returns the server's port on 127.0.0.1, or `None` while the server is not running.
    pub fn port(&self) -> Option<u16> {
        self.server.as_ref().map(PrivateServer::port)
    }

    /// Returns the URL of the database for a server on this port of 127.0.0.1.
    pub fn url(port: u16) -> String {
        format!("mysql://root@127.0.0.1:{port}/{NAME}")
    }
}
