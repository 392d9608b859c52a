//! A program of the system as a process that is started, killed, stopped and continued.
//!
//! It ends with this process, however this one ends: see `private_server::supervisor`.

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

const LISTENS_WITHIN: Duration = Duration::from_secs(30);
/// A service drains for 3 s here at most, and the orchestrator finishes its requests within 28 s.
const STOPPED_WITHIN: Duration = Duration::from_secs(36);

/// A program and its environment.
#[derive(Clone)]
pub struct Program {
    /// The path of the executable.
    pub path: PathBuf,
    /// Its arguments.
    pub arguments: Vec<String>,
    /// Added to the environment of this process.
    pub environment: Vec<(String, String)>,
    /// Where it writes.
    pub log: Log,
}

impl Program {
    /// A program that was built beside this one; an error where there is none of this name.
    pub fn beside_this(name: &str, log: Log) -> Result<Self> {
        let this = std::env::current_exe().context("cannot tell where this program is")?;
        let path = this.parent().unwrap_or(Path::new(".")).join(name);
        if !path.is_file() {
            bail!("{} is missing: `cargo xtask` builds it", path.display());
        }
        Ok(Self { path, arguments: Vec::new(), environment: Vec::new(), log })
    }

    /// Starts it, and returns at once.
    pub async fn start(self) -> Result<Process> {
        let mut command = Command::new(self.path);
        command.args(self.arguments).envs(self.environment);
        Process::spawn(command, Stdio::null(), self.log).await
    }

    /// Runs it to its end, which has to be a successful one.
    pub async fn run(self) -> Result<()> {
        let shown = self.path.display().to_string();
        let status = self.start().await?.wait().await?;
        if !status.success() {
            bail!("{shown} failed ({status}): its log says why");
        }
        Ok(())
    }

    /// Starts it, and returns with its address once it says where it listens.
    pub async fn serve(mut self) -> Result<(Process, SocketAddr)> {
        let shown = self.path.display().to_string();
        let ((sender, mut addresses), log) = (unbounded_channel(), self.log);
        self.log = Log::new(move |line| {
            // The receiver is gone after the first one.
            let _ = listening(line).map(|address| sender.send(address));
            log.line(line);
        });
        let process = self.start().await?;
        match timeout(LISTENS_WITHIN, addresses.recv()).await {
            Ok(Some(address)) => Ok((process, address)),
            _ => bail!("{shown} does not say where it listens: its log may say why"),
        }
    }
}

/// A running program. Dropping it asks it to end, and returns without waiting.
pub struct Process {
    child: Supervised,
    ended: watch::Receiver<Option<ExitStatus>>,
}

impl Process {
    /// Starts a command whose output goes to `log`. Its end is reported after its last line. `lease` stays open until
    /// then: see `private_server::claim`.
    pub async fn spawn(command: Command, lease: Stdio, log: Log) -> Result<Self> {
        let (sender, ended) = watch::channel(None);
        let (exit_sender, exit) = mpsc::channel();
        let start = move || {
            let child = Supervised::spawn(&command, lease, move |status| {
                // The receiver lives until the output ends.
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

    /// Starts a command that writes where this process writes.
    pub fn attach(command: &Command) -> Result<Self> {
        let (sender, ended) = watch::channel(None);
        let child = Supervised::attach(command, move |status| {
            sender.send_replace(Some(status));
        });
        let child = child.with_context(|| format!("cannot run {}", command.get_program().display()))?;
        Ok(Self { child, ended })
    }

    /// Waits for its end.
    pub fn wait(&self) -> impl Future<Output = Result<ExitStatus>> + Send + use<> {
        let mut ended = self.ended.clone();
        async move {
            let status = ended.wait_for(Option::is_some).await.ok().and_then(|status| *status);
            status.context("exit status unknown")
        }
    }

    /// Asks it to end (SIGTERM) and returns at once. A second call kills it.
    pub fn signal_end(&mut self) {
        self.child.signal_end();
    }

    /// Sends a signal to the program alone; an error where it has ended.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        send(signal, self.child.pid())
    }

    /// Kills it with SIGKILL and waits for its end; an error where it had ended before.
    pub async fn kill(self) -> Result<()> {
        self.signal(Signal::SIGKILL)?;
        self.wait().await.map(drop)
    }

    /// The program's own process.
    #[must_use]
    pub fn pid(&self) -> u32 {
        self.child.pid()
    }

    /// The process group of the program and its supervisor.
    #[must_use]
    pub fn group(&self) -> u32 {
        self.child.group()
    }

    /// How it ended, once it has.
    #[must_use]
    pub fn end(&self) -> Option<ExitStatus> {
        *self.ended.borrow()
    }

    /// Ends it in order, and kills it when that takes too long. Gives how it ended, where that is known.
    pub async fn stop(mut self) -> Option<ExitStatus> {
        // Only a thread that panics is not joined.
        spawn_blocking(move || self.child.stop(STOPPED_WITHIN)).await.ok().flatten()
    }
}

/// Sends a signal to a process; an error where there is none.
pub(crate) fn send(signal: Signal, pid: u32) -> Result<()> {
    kill(Pid::from_raw(pid.try_into()?), signal).with_context(|| format!("cannot send {signal} to process {pid}"))
}

/// The address in the line of JSON with which a service says that it listens.
fn listening(line: &str) -> Option<SocketAddr> {
    let line: Value = serde_json::from_str(line).ok()?;
    line["message"].as_str()?.ends_with(" is listening").then(|| line["address"].as_str()?.parse().ok())?
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_is_found_in_the_line_that_tells_it() {
        let line = r#"{"level":"INFO","message":"orders is listening","address":"127.0.0.1:4711","target":"service"}"#;
        assert_eq!(listening(line), Some(SocketAddr::from(([127, 0, 0, 1], 4711))));
        assert_eq!(listening(r#"{"message":"stopping"}"#), None);
        assert_eq!(listening("orders: JWT_SECRET is not set"), None);
    }
}
