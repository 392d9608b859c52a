//! Runs the real system under load, makes faults from a seed, restarts its replicas or attacks its door, and judges what
//! is left.
//!
//! Lives here: the command line, the directory of the run, and the exit code. Of chaos, `plan` says which faults are made
//! and when, `system` has the processes and the proxies between them, `run` goes through the plan. Of a rolling restart,
//! `replicas` has the processes and the door before them, `rolling` restarts them, `races` are clients who want the
//! same. `judge` asks what became of either. `abuse` attacks the door of the same replicas. The load and the invariants
//! are crates of their own.

mod abuse;
mod connection;
mod judge;
mod mysql;
mod plan;
mod proxy;
mod races;
mod replicas;
mod report;
mod rolling;
mod run;
mod system;
mod targets;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, Parser};
use tempfile::TempDir;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::abuse::Abuse;
use crate::replicas::Door;
use crate::report::{Verdict, print};
use crate::rolling::Rolling;
use crate::run::Run;

/// Runs the real system, disturbs it, and judges what is left
#[derive(Parser)]
enum Command {
    /// Makes faults from a seed, under load
    Chaos {
        #[command(flatten)]
        frame: Frame,
        #[command(flatten)]
        workload: Workload,
    },
    /// Restarts two replicas of each service behind HAProxy one by one, under load
    Rolling {
        #[command(flatten)]
        frame: Frame,
        #[command(flatten)]
        workload: Workload,
        #[command(flatten)]
        door: Door,
    },
    /// Attacks HAProxy and the services behind it, and measures what others notice
    Abuse {
        #[command(flatten)]
        frame: Frame,
        #[command(flatten)]
        door: Door,
        /// Say how much slower others are served, but do not judge it
        #[arg(long)]
        lenient: bool,
    },
}

/// What every run has.
#[derive(Args)]
struct Frame {
    /// How long the system is disturbed
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// The database server to run, a mariadbd or mysqld; the first one that is found unless given
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Keep the logs and the data even if all is well
    #[arg(long)]
    keep: bool,
    /// Where the directory of the run is made
    #[arg(long, value_name = "PATH")]
    directory: PathBuf,
}

/// What the clients do.
#[derive(Args)]
struct Workload {
    /// Says what the clients do, and which faults are made; random unless given
    #[arg(long)]
    seed: Option<u64>,
    /// How many clients work at once
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    clients: u16,
}

impl Workload {
    fn seed(&self) -> u64 {
        let seed = self.seed.unwrap_or_else(rand::random);
        print(format_args!("seed {seed}"));
        seed
    }
}

impl Command {
    fn frame(&self) -> &Frame {
        match self {
            Self::Chaos { frame, .. } | Self::Rolling { frame, .. } | Self::Abuse { frame, .. } => frame,
        }
    }
}

#[tokio::main]
async fn main() -> ExitCode {
    match run(Command::parse()).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print(format_args!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

/// True when all is well.
async fn run(command: Command) -> Result<bool> {
    let interrupted = listen_for_interrupts()?;
    let &Frame { minutes, ref program, keep, ref directory } = command.frame();
    let program = match program {
        Some(path) => private_server::Program::at(path).with_context(|| format!("{} is no server", path.display()))?,
        None => private_server::Program::find()
            .with_context(|| format!("no database server: {}", private_server::install_command()))?,
    };
    let directory = make_directory(directory)?;
    print(format_args!("{minutes} min, {program}"));
    print(format_args!("logs in {}", directory.path().display()));
    let length = Duration::from_secs(u64::from(minutes) * 60);
    let verdict = carry_out(command, length, program, directory.path(), interrupted).await;
    let is_well = verdict.as_ref().is_ok_and(|verdict| verdict.is_well);
    if let Ok(verdict) = &verdict {
        print(&verdict.text);
    }
    if is_well && !keep {
        directory.close().context("cannot remove the directory of the run")?;
    } else {
        print(format_args!("logs and data are kept in {}", directory.keep().display()));
    }
    verdict.map(|_| is_well)
}

async fn carry_out(
    command: Command,
    length: Duration,
    program: private_server::Program,
    directory: &Path,
    interrupted: watch::Receiver<bool>,
) -> Result<Verdict> {
    match command {
        Command::Chaos { workload, .. } => {
            let (seed, clients) = (workload.seed(), workload.clients.into());
            Ok(Run { seed, length, clients, program }.run(directory, interrupted).await?.into())
        }
        Command::Rolling { workload, door, .. } => {
            let (seed, clients) = (workload.seed(), workload.clients.into());
            Ok(Rolling { seed, length, clients, program, door }.run(directory, interrupted).await?.into())
        }
        Command::Abuse { door, lenient, .. } => {
            Abuse { length, program, door, lenient }.run(directory, interrupted).await
        }
    }
}

fn make_directory(parent: &PathBuf) -> Result<TempDir> {
    let cannot = || format!("cannot make a directory in {}", parent.display());
    std::fs::create_dir_all(parent).with_context(cannot)?;
    tempfile::Builder::new().prefix("run-").tempdir_in(parent).with_context(cannot)
}

/// Turns true at the first SIGINT, SIGTERM or SIGHUP. The second ends this program at once, and what it started ends
/// with it.
fn listen_for_interrupts() -> Result<watch::Receiver<bool>> {
    let (sender, interrupted) = watch::channel(false);
    let listen = |kind| signal(kind).context("cannot listen for signals");
    let (mut int, mut term) = (listen(SignalKind::interrupt())?, listen(SignalKind::terminate())?);
    let mut hangup = listen(SignalKind::hangup())?;
    tokio::spawn(async move {
        loop {
            tokio::select! {
                _ = int.recv() => {}
                _ = term.recv() => {}
                _ = hangup.recv() => {}
            }
            if sender.send_replace(true) {
                print("interrupted twice; everything is ended, nothing is judged");
                std::process::exit(130);
            }
            print("interrupted; the clients finish, then the run is judged");
        }
    });
    Ok(interrupted)
}
