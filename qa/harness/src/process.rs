//! Runs the system's programs as processes that can be started, killed, paused and resumed.
//!
//! Child processes stop when this process exits, even if it is killed: see `private_server::supervisor`.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use private_server::Log;
use private_server::supervisor::Supervised;
use serde_json::Value;
use tokio::sync::mpsc::unbounded_channel;
use tokio::sync::watch;
use tokio::task::spawn_blocking;
use tokio::time::timeout;

const LISTEN_TIMEOUT: Duration = Duration::from_secs(30);
/// In the harness a service drains for at most 3 s, completes its requests within 32 s and its log within 5 s.
const STOP_TIMEOUT: Duration = Duration::from_secs(42);

/// Program to run, including its arguments and environment.
#[derive(Clone)]
pub struct Program {
    /// The path of the executable.
    pub path: PathBuf,
    /// The command-line arguments.
    pub arguments: Vec<String>,
    /// Variables to add to the inherited environment.
    pub environment: Vec<(String, String)>,
    /// Destination of the program's output.
    pub log: Log,
}

impl Program {
    /// Returns the program with this name in the directory of the current executable.
    ///
    /// # Errors
    /// If there is no such program.
    pub fn sibling(name: &str, log: Log) -> Result<Self> {
        let this = std::env::current_exe().context("cannot find the path of this program")?;
        let path = this.parent().unwrap_or(Path::new(".")).join(name);
        if !path.is_file() {
            bail!("{} does not exist: start this program with `cargo xtask`, which builds it", path.display());
        }
        Ok(Self { path, arguments: Vec::new(), environment: Vec::new(), log })
    }

    /// Starts the program and returns immediately.
    pub async fn start(self) -> Result<Process> {
        let mut command = Command::new(self.path);
        command.args(self.arguments).envs(self.environment);
        Process::spawn(command, Stdio::null(), self.log).await
    }

    /// Runs the program until it exits.
    ///
    /// # Errors
    /// If the program cannot be started or does not exit with 0.
    pub async fn run(self) -> Result<()> {
        let shown = self.path.display().to_string();
        let status = self.start().await?.wait().await?;
        if !status.success() {
            bail!("{shown} failed ({status}): see its log");
        }
        Ok(())
    }

    /// Starts the program. Returns the process and its address once the program logs that it is listening.
    pub async fn serve(mut self) -> Result<(Process, SocketAddr)> {
        let shown = self.path.display().to_string();
        let ((sender, mut addresses), log) = (unbounded_channel(), self.log);
        self.log = Log::new(move |line| {
            // The receiver is dropped after it has received the first address.
            let _ = listening(line).map(|address| sender.send(address));
            log.line(line);
        });
        let process = self.start().await?;
        match timeout(LISTEN_TIMEOUT, addresses.recv()).await {
            Ok(Some(address)) => Ok((process, address)),
            _ => bail!("{shown} did not log its listen address: see its log"),
        }
    }
}

/// Running program. Dropping it requests termination without waiting.
pub struct Process {
    child: Supervised,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts a command whose output is written to `log`. Its exit is reported only after its last line of output.
    /// `lease` stays open until then: see `private_server::claim`.
    pub async fn spawn(command: Command, lease: Stdio, log: Log) -> Result<Self> {
        let (sender, ended) = watch::channel(None);
        let (exit_sender, exit) = mpsc::channel();
        let start = move || {
            let child = Supervised::spawn(&command, lease, move |status| {
                // The receiver exists until the output ends.
                let _ = exit_sender.send(status);
            });
            child.with_context(|| format!("cannot run {}", command.get_program().display()))
        };
        let (child, output) = spawn_blocking(start).await??;
        log.read(output, move || {
            sender.send_replace(exit.recv().ok());
        });
        Ok(Self { child, ended })
    }

    /// Starts a command that inherits this process's standard output and standard error.
    pub fn attach(command: &Command) -> Result<Self> {
        let (sender, ended) = watch::channel(None);
        let child = Supervised::attach(command, move |status| {
            sender.send_replace(Some(status));
        });
        let child = child.with_context(|| format!("cannot run {}", command.get_program().display()))?;
        Ok(Self { child, ended })
    }

    /// Waits until the program exits.
    pub fn wait(&self) -> impl Future<Output = Result<ExitStatus>> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            let status = ended.wait_for(Option::is_some).await.ok().and_then(|status| *status);
            status.context("exit status unknown")
        }
    }

    /// Sends SIGTERM and returns immediately. A second call sends SIGKILL.
    pub fn terminate(&mut self) {
        self.child.terminate();
    }

    /// Sends a signal only to the program itself.
    ///
    /// # Errors
    /// If the program has exited.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(signal, self.child.pid)
    }

    /// Kills the program with SIGKILL and waits until it has exited.
    ///
    /// # Errors
    /// If the program has already exited.
    pub async fn kill(self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait().await.map(drop)
    }

    /// Returns the process ID of the program.
    pub fn pid(&self) -> u32 {
        self.child.pid
    }

    /// Returns the process group ID of the program and its supervisor.
    pub fn group(&self) -> u32 {
        self.child.group
    }

    /// Returns the exit status, or `None` while the program is running.
    #[must_use]
    pub fn exit_status(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Stops the program gracefully, and kills it if it does not exit in time. Returns the exit status, if known.
    pub async fn stop(mut self) -> Option<ExitStatus> {
        // Joining the task fails only if it panics.
        spawn_blocking(move || self.child.stop(STOP_TIMEOUT)).await.ok().flatten()
    }
}

/// Sends a signal to a process. Returns an error if there is no such process.
pub(crate) fn send(signal: Signal, pid: u32) -> Result<()> {
    kill(Pid::from_raw(pid.try_into()?), signal).with_context(|| format!("cannot send {signal} to process {pid}"))
}

/// Returns the address from the JSON log line that a service writes when it starts listening.
fn listening(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    line["message"].as_str()?.ends_with(" is listening").then(|| line["address"].as_str()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn address_is_parsed_from_the_listening_log_line() {
        let line = r#"{"level":"INFO","message":"orders is listening","address":"127.0.0.1:4711","target":"service"}"#;
        assert_eq!(listening(line), Some(SocketAddr::from(([127, 0, 0, 1], 4711))));
        assert_eq!(listening(r#"{"message":"stopping"}"#), None);
        assert_eq!(listening("orders: JWT_SECRET is not set"), None);
    }
}
