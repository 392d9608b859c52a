//! Runs the real system, disturbs it, and verifies what is left: `chaos` makes faults from a seed, `rolling` restarts
//! replicas behind the edge proxy, `abuse` attacks that proxy.
//!
//! Here are the command line, the directory of a run, and the exit code. `system` is the system of `chaos` with a proxy on
//! every link, `replicas` the one of the others behind HAProxy, `verify` asks what became of either.

mod abuse;
mod chaos;
mod connection;
mod mysql;
mod proxy;
mod races;
mod replicas;
mod report;
mod rolling;
mod schedule;
mod system;
mod verify;

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};
use clap::{Args, ColorChoice, Parser, Subcommand};
use private_server::Program;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::replicas::Edge;
use crate::report::{Journal, print};

/// The end of each help.
macro_rules! help {
    ($text:literal) => {
        concat!(
            $text,
            "Exit codes: 0 without a violation, 1 with one, 2 for wrong usage, 3 if the run could not be made."
        )
    };
}

/// Run the real system, disturb it, and verify what is left
#[derive(Parser)]
#[command(version, propagate_version = true, disable_help_subcommand = true, after_help = help!(""))]
struct Cli {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    common: Common,
}

#[derive(Subcommand)]
enum Command {
    /// Make faults from a seed, under load
    #[command(after_help = help!("Kills, stops and restarts the services and a private database server, and cuts, delays and \
truncates the connections between them. At the end every client gets its answer; then answers and data invariants are \
verified. Ctrl-C ends the run early and verifies it.

Examples:
  chaos --minutes 30
  chaos --minutes 2 --seed 4711
  chaos --program /usr/local/mysql/bin/mysqld

"))]
    Chaos(Load),
    /// Restart two replicas of each service behind HAProxy one by one, under load
    #[command(after_help = help!("Violations are a client that retries and gets no answer, a race with a wrong end, a lost \
answer, and a broken data invariant.

Examples:
  rolling --minutes 30 --clients 16

"))]
    Rolling {
        #[command(flatten)]
        load: Load,
        #[command(flatten)]
        edge: Edge,
    },
    /// Attack HAProxy and the services behind it, and measure what others notice
    #[command(after_help = help!("Sends requests that must not get in. Then holds 2,001 connections for 20 s, again and again, \
while an operator reads and orders. Violations are a request that gets in, an operator who is not served or is served \
more than twice as slowly at the 99th percentile, a connection that is held for long, and a process that grows.

Examples:
  abuse --minutes 10

"))]
    Abuse {
        #[command(flatten)]
        edge: Edge,
        /// Report how much slower others are served, but accept it
        #[arg(long)]
        lenient: bool,
    },
}

/// Options of every run.
#[derive(Args)]
struct Common {
    /// Length of the disturbance
    #[arg(long, global = true, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1440))]
    minutes: u32,
    /// Database server to run, a mariadbd or mysqld [default: the first one found]
    #[arg(long, global = true, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Keep logs and data without a violation, too
    #[arg(long, global = true)]
    keep: bool,
    /// Parent of the directory of the run [default: .local/COMMAND]
    #[arg(long, global = true, value_name = "PATH")]
    directory: Option<PathBuf>,
    /// Colored output
    #[arg(long, global = true, value_name = "WHEN", default_value_t)]
    color: ColorChoice,
}

/// Options of the load.
#[derive(Args)]
struct Load {
    /// Seed of the clients' requests and of the faults [default: random]
    #[arg(long)]
    seed: Option<u64>,
    /// Number of clients
    #[arg(long, default_value_t = 8, value_parser = clap::value_parser!(u16).range(1..=256))]
    clients: u16,
}

impl Load {
    async fn start(&self, run: &Run, targets: workload::Targets) -> Result<(u64, workload::Load)> {
        let seed = self.seed.unwrap_or_else(rand::random);
        print(format_args!("seed {seed}"));
        run.journal.figure(format_args!("seed        {seed}"));
        let load = workload::Load::start(targets, seed, self.clients.into()).await;
        Ok((seed, load.context("the load does not start")?))
    }
}

/// What every run has.
struct Run {
    length: Duration,
    program: Program,
    directory: PathBuf,
    /// Turns true at the first signal.
    interrupted: watch::Receiver<bool>,
    journal: Journal,
}

#[tokio::main]
async fn main() -> ExitCode {
    let cli = Cli::parse();
    match cli.common.color {
        ColorChoice::Always => anstream::ColorChoice::Always,
        ColorChoice::Never => anstream::ColorChoice::Never,
        ColorChoice::Auto => anstream::ColorChoice::Auto,
    }
    .write_global();
    match run(cli).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            print(format_args!("error: {error:#}"));
            ExitCode::from(3)
        }
    }
}

/// Whether there was no violation.
async fn run(Cli { command, common }: Cli) -> Result<bool> {
    let interrupted = listen_for_interrupts()?;
    let name = match command {
        Command::Chaos(_) => "chaos",
        Command::Rolling { .. } => "rolling",
        Command::Abuse { .. } => "abuse",
    };
    let program = match common.program {
        Some(path) => Program::at(&path).with_context(|| format!("{} is no server", path.display()))?,
        None => {
            Program::find().with_context(|| format!("no database server: {}", private_server::install_command()))?
        }
    };
    // Absolute: the programs of a run may have other working directories.
    let parent = std::path::absolute(common.directory.unwrap_or_else(|| PathBuf::from(".local").join(name)))?;
    let cannot = || format!("cannot create a directory in {}", parent.display());
    std::fs::create_dir_all(&parent).with_context(cannot)?;
    let directory = tempfile::Builder::new().prefix("run-").tempdir_in(&parent).with_context(cannot)?;
    print(format_args!("{} min, {program}", common.minutes));
    print(format_args!("logs in {}", directory.path().display()));
    let length = Duration::from_secs(u64::from(common.minutes) * 60);
    let (path, journal) = (directory.path().to_owned(), Journal::new());
    journal.figure(format_args!("engine      {program}"));
    let run = Run { length, program, directory: path, interrupted, journal };
    let result = match &command {
        Command::Chaos(load) => chaos::run(&run, load).await,
        Command::Rolling { load, edge } => rolling::run(&run, load, edge).await,
        Command::Abuse { edge, lenient } => abuse::run(&run, edge, *lenient).await,
    };
    if result.is_ok() {
        print(&run.journal);
    }
    let is_well = result.is_ok() && !run.journal.has_violations();
    if is_well && !common.keep {
        directory.close().context("cannot remove the directory of the run")?;
    } else {
        print(format_args!("logs and data are kept in {}", directory.keep().display()));
    }
    result.map(|()| is_well)
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
                print("interrupted twice; everything is stopped, nothing is verified");
                std::process::exit(130);
            }
            print("interrupted; the clients finish, then the run is verified");
        }
    });
    Ok(interrupted)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        use clap::CommandFactory;
        Cli::command().debug_assert();
        let cli = Cli::parse_from(["faults", "chaos", "--minutes", "3", "--seed", "7"]);
        assert_eq!(cli.common.minutes, 3);
        assert!(matches!(cli.command, Command::Chaos(Load { seed: Some(7), clients: 8 })));
    }
}
