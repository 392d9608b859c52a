//! The database server of a run: started, killed, started again on the same data.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use nix::sys::signal::Signal;
use private_server::{Durability, Launch, Log, PrivateServer, Program};
use tokio::task::spawn_blocking;

use crate::process::{self, Program as Executable};

const NAME: &str = "backoffice";

/// A server that loses nothing that was committed.
pub struct Database {
    program: Program,
    directory: PathBuf,
    log: Log,
    binary_log: bool,
    server: Option<PrivateServer>,
}

impl Database {
    /// Starts a server with an empty database below `directory`.
    pub async fn start(program: Program, directory: &Path, log: Log) -> Result<Self> {
        Self::start_with(program, directory, log, false).await
    }

    /// The same, with the binary log that an installation of this engine has: see [`Launch::binary_log`].
    pub async fn start_as_installed(program: Program, directory: &Path, log: Log) -> Result<Self> {
        Self::start_with(program, directory, log, true).await
    }

    async fn start_with(program: Program, directory: &Path, log: Log, binary_log: bool) -> Result<Self> {
        let mut database = Self { program, directory: directory.join("data"), log, binary_log, server: None };
        database.start_again().await.map(|()| database)
    }

    /// Starts the server on the data that it left, and returns when it accepts connections.
    pub async fn start_again(&mut self) -> Result<()> {
        let (program, directory, log) = (self.program.clone(), self.directory.clone(), self.log.clone());
        let binary_log = self.binary_log;
        let start = move || {
            let launch = Launch::new(&program, &directory, Durability::Durable).database(NAME).log(log);
            if binary_log { launch.binary_log() } else { launch }.start()
        };
        self.server = Some(spawn_blocking(start).await?.context("the database server does not start")?);
        Ok(())
    }

    /// Migrates the database and inserts the first rows, with the program `db`.
    pub async fn prepare(&self, directory: &Path) -> Result<()> {
        let port = self.port().context("the database server does not run")?;
        let log = Log::create(directory, "db")?;
        for arguments in [&["migrate", "up"][..], &["seed"]] {
            let mut program = Executable::beside_this("db", log.clone())?;
            program.arguments = arguments.iter().map(|argument| (*argument).to_owned()).collect();
            program.environment = vec![("DATABASE_URL".to_owned(), Self::url(port))];
            program.run().await?;
        }
        Ok(())
    }

    /// Kills the server with SIGKILL and waits for its end; an error where it had ended before.
    pub async fn kill(&mut self) -> Result<()> {
        if let Some(server) = &self.server {
            process::send(Signal::SIGKILL, server.pid())?;
        }
        self.stop().await
    }

    /// Ends the server in order and waits for its end.
    pub async fn stop(&mut self) -> Result<()> {
        let server = self.server.take();
        spawn_blocking(|| drop(server)).await.context("the database server does not end")
    }

    /// The port on 127.0.0.1, while it runs.
    #[must_use]
    pub fn port(&self) -> Option<u16> {
        self.server.as_ref().map(PrivateServer::port)
    }

    /// The URL of the database, reached on this port of 127.0.0.1.
    #[must_use]
    pub fn url(port: u16) -> String {
        format!("mysql://root@127.0.0.1:{port}/{NAME}")
    }
}
