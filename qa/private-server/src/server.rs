//! Lifecycle of a private server: startup, readiness and shutdown.

use std::fs;
use std::io::{self, Read};
use std::net::{Ipv4Addr, TcpListener, TcpStream, ToSocketAddrs};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::claim::Claim;
use crate::data;
use crate::log::Log;
use crate::program::{Engine, Program};
use crate::supervisor::{GRACE_PERIOD, Supervised};

/// Maximum startup time, long enough for crash recovery.
const READY_TIMEOUT: Duration = Duration::from_secs(120);
const STOP_TIMEOUT: Duration = Duration::from_secs(60);
const HANDSHAKE_TIMEOUT: Duration = Duration::from_secs(10);

/// Text that every MySQL and MariaDB server logs once it accepts connections.
const READY: &str = "ready for connections";
/// Number of log lines to include in the error for a failed start.
const TAIL: usize = 15;

const PID_FILE: &str = "server.pid";

/// Number of attempts with different ports: another process may take a free port before the server listens on it.
const PORT_ATTEMPTS: u32 = 5;

/// Data that may be lost if the machine crashes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Durability {
    /// Committed data is never lost.
    Durable,
    /// All data may be lost, because nothing is flushed to disk. Many times faster; intended for tests.
    Relaxed,
}

/// Error that prevents a private server from starting.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A running process owns the directory.
    #[error("{} is in use by another running process: stop that process first", .0.display())]
    InUse(PathBuf),
    /// A server of an earlier owner did not stop. Contains the claimed directory and the server's PID file.
    #[error("a server from an earlier run still uses {directory}: stop the process whose id is in {pid_file}",
        directory = .0.display(), pid_file = .1.display())]
    StillRunning(PathBuf, PathBuf),
    /// A different engine created the data. Contains the directory, that engine, and the installed server's engine.
    #[error("the data in {directory} was created by {1}, but the server on this machine is {2}: install {1}, or remove that \
        directory", directory = .0.display())]
    OtherEngine(PathBuf, Engine, Engine),
    /// A program failed to initialize the data directory. Contains the program and its output.
    #[error("{program} failed to initialize a data directory:\n{1}{hint}", program = .0.display(), hint = hint(.1))]
    Initialize(PathBuf, String),
    /// The server exited, or did not become ready in time. Contains the program and the last lines of the server's log.
    #[error("{0} did not start:\n{1}{hint}", hint = hint(.1))]
    NotReady(String, String),
    /// A file, directory or process could not be used.
    #[error("{path}: {1}", path = .0.display())]
    Io(PathBuf, #[source] io::Error),
}

/// Returns advice if the system denied the server a permission, which is usually due to a package's AppArmor profile.
fn hint(log: &str) -> &'static str {
    let forbidden = ["Permission denied", "Operation not permitted", "Errcode: 13", "error number 13", "OS errno 13"];
    if forbidden.iter().any(|words| log.contains(words)) {
        "\nThe system denied a permission, possibly because of a security profile for this program (AppArmor, SELinux). \
         Set DATABASE_URL to use a server that is already running"
    } else {
        ""
    }
}

impl Error {
    pub(crate) fn io(path: &Path, source: io::Error) -> Self {
        Self::Io(path.to_owned(), source)
    }
}

/// Options of a private server. [`Launch::new`] returns the defaults.
pub struct Launch<'a> {
    /// Server program.
    pub program: &'a Program,
    /// Directory of the data, which only this server uses. It is created if necessary.
    pub directory: PathBuf,
    /// Durability of committed data.
    pub durability: Durability,
    /// Database to create empty if it does not exist. The name has only letters, digits and underscores.
    pub database: Option<&'a str>,
    /// Whether to use the engine's default setting for the binary log: MySQL writes a binary log and syncs it at each
    /// commit, MariaDB writes none. Otherwise there is no binary log, because nothing replicates from this server.
    pub binary_log: bool,
    /// Log that receives every line of the server's log.
    pub log: Log,
    /// Called on another thread after the last log line of a server process, even of one that was stopped or failed.
    pub on_end: Arc<dyn Fn() + Send + Sync>,
}

impl<'a> Launch<'a> {
    /// Returns the default options for a server in `directory`.
    #[must_use]
    pub fn new(program: &'a Program, directory: &Path, durability: Durability) -> Self {
        let (log, on_end) = (Log::new(|_| ()), Arc::new(|| ()));
        Self { program, directory: directory.to_owned(), durability, database: None, binary_log: false, log, on_end }
    }

    /// Starts the server and returns once it accepts connections.
    ///
    /// # Errors
    /// See [`Error`]. After an error, no process is left running.
    pub fn start(self) -> Result<PrivateServer, Error> {
        let claim = claim(&self.directory)?;
        let directory = fs::canonicalize(&self.directory).map_err(|e| Error::io(&self.directory, e))?;
        let data = data::prepare(self.program, &directory, self.durability, &claim)?;
        let mut attempt = 1;
        loop {
            let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|listener| listener.local_addr());
            let port = listener.map_err(|e| Error::io(Path::new("127.0.0.1"), e))?.port();
            match self.run(&self.command(&directory, &data, port)?, port, &claim) {
                Ok(child) => return Ok(PrivateServer { child, port, _claim: claim }),
                // Both engines log this text.
                Err(Error::NotReady(_, log)) if log.contains("Bind on TCP/IP port") && attempt < PORT_ATTEMPTS => {
                    attempt += 1;
                }
                Err(error) => return Err(error),
            }
        }
    }

    fn command(&self, directory: &Path, data: &Path, port: u16) -> Result<Command, Error> {
        let engine = self.program.engine;
        let mut command = data::server(&self.program.server, directory)?;
        command
            .arg(data::option("--datadir=", data))
            .arg(data::option("--pid-file=", &directory.join(PID_FILE)))
            // Relative to the data directory, because an absolute path is often longer than the limit for socket paths.
            .arg("--socket=server.sock")
            .arg("--bind-address=127.0.0.1")
            .arg(format!("--port={port}"))
            .args(["--character-set-server=utf8mb4", "--collation-server=utf8mb4_bin"])
            .arg("--max-connections=500")
            .args(data::durability_options(engine, self.durability));
        if engine == Engine::MySql {
            // Disable the X Protocol, a second port, and the compiled-in export directory, which may not exist.
            command.args(["--mysqlx=OFF", "--secure-file-priv=NULL"]);
            command.arg(if self.binary_log { "--sync-binlog=1" } else { "--skip-log-bin" });
        }
        if let Some(name) = &self.database {
            let path = directory.join("init.sql");
            fs::write(&path, format!("CREATE DATABASE IF NOT EXISTS `{name}`;\n")).map_err(|e| Error::io(&path, e))?;
            command.arg(data::option("--init-file=", &path));
        }
        Ok(command)
    }

    /// Starts the server and waits until it is ready. After an error, no process is left running.
    fn run(&self, command: &Command, port: u16, claim: &Claim) -> Result<Supervised, Error> {
        let io = |e| Error::io(&self.program.server, e);
        let lease = claim.lease().map_err(io)?;
        let (mut child, output) = Supervised::spawn(command, lease, |_| ()).map_err(io)?;
        let (sender, ready) = channel();
        let (end_sender, log, on_end) = (sender.clone(), self.log.clone(), Arc::clone(&self.on_end));
        // Only the first message is received.
        let log = Log::new(move |line| {
            log.line(line);
            if line.contains(READY) {
                let _ = sender.send(true);
            }
        });
        log.clone().read(output, move || {
            let _ = end_sender.send(false);
            on_end();
        });
        if ready.recv_timeout(READY_TIMEOUT) == Ok(true) && sends_handshake((Ipv4Addr::LOCALHOST, port)) {
            return Ok(child);
        }
        child.stop(STOP_TIMEOUT);
        Err(Error::NotReady(self.program.to_string(), log.tail(TAIL)))
    }
}

/// Running private server. Dropping it stops the server gracefully and waits until it has exited.
pub struct PrivateServer {
    child: Supervised,
    port: u16,
    // Dropped last, so that the directory is released only after the server has stopped.
    _claim: Claim,
}

impl PrivateServer {
    /// Starts a server in `directory` and returns once it accepts connections. [`Launch`] has more options.
    ///
    /// # Errors
    /// See [`Error`]. After an error, no process is left running.
    pub fn start(program: &Program, directory: &Path, durability: Durability) -> Result<Self, Error> {
        Launch::new(program, directory, durability).start()
    }

    /// Deletes the data in `directory`, after stopping any server that a killed owner left running there.
    ///
    /// # Errors
    /// If a running process uses the directory, or the data cannot be removed.
    pub fn erase(directory: &Path) -> Result<(), Error> {
        let _claim = claim(directory)?;
        data::remove(directory)
    }

    /// Returns the URL of a database on this server. The database need not exist.
    pub fn url(&self, database: &str) -> String {
        format!("mysql://root@127.0.0.1:{}/{database}", self.port)
    }

    /// Returns the port on 127.0.0.1.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// Returns the process ID of the server.
    pub fn pid(&self) -> u32 {
        self.child.pid
    }

    /// Returns the process group ID of the server and its supervisor.
    pub fn group(&self) -> u32 {
        self.child.group
    }
}

impl Drop for PrivateServer {
    fn drop(&mut self) {
        self.child.stop(STOP_TIMEOUT);
    }
}

fn claim(directory: &Path) -> Result<Claim, Error> {
    let io = |e| Error::io(directory, e);
    let claim = Claim::acquire(directory).map_err(io)?.ok_or_else(|| Error::InUse(directory.to_owned()))?;
    if claim.wait_for_children(Duration::ZERO).map_err(io)? {
        return Ok(claim);
    }
    // The server's supervisor is already stopping the server, unless the supervisor was also killed.
    let pid_file = directory.join(PID_FILE);
    if let Some(pid) = server_process(&pid_file) {
        // The server may have exited in the meantime.
        let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
    }
    if claim.wait_for_children(GRACE_PERIOD * 2).map_err(io)? {
        return Ok(claim);
    }
    Err(Error::StillRunning(directory.to_owned(), pid_file))
}

/// Returns the ID in a server's PID file if that process has the file among its arguments: IDs are reused.
fn server_process(pid_file: &Path) -> Option<i32> {
    let pid: i32 = fs::read_to_string(pid_file).ok()?.trim().parse().ok()?;
    let arguments = fs::read(format!("/proc/{pid}/cmdline")).ok()?;
    let wanted = data::option("--pid-file=", &fs::canonicalize(pid_file).ok()?);
    arguments.split(|byte| *byte == 0).any(|argument| argument == wanted.as_encoded_bytes()).then_some(pid)
}

/// Whether a server at the address sends a handshake with protocol version 10: a 4-byte header, then the version.
#[must_use]
pub fn sends_handshake(address: impl ToSocketAddrs) -> bool {
    let handshake = TcpStream::connect(address).and_then(|mut stream| {
        let mut start = [0; 5];
        stream.set_read_timeout(Some(HANDSHAKE_TIMEOUT))?;
        stream.read_exact(&mut start).map(|()| start[4])
    });
    handshake.is_ok_and(|version| version == 10)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn error_about_a_denied_permission_has_a_hint() {
        let message = |log: &str| Error::NotReady("MySQL".to_owned(), log.to_owned()).to_string();
        let denied = "mysqld: Can't create file '/x/ib.log' (OS errno 13 - Permission denied)";
        assert!(message(denied).contains("DATABASE_URL"));
        assert_eq!(message("ibdata1 is broken"), "MySQL did not start:\nibdata1 is broken");
    }
}
