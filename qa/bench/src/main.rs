//! Measures the real system against what its database and its server allow, in the same run: every value beside its
//! floor, both measured in turn.
//!
//! Lives here: the command line, the directory of the run, the order of the cases, and the exit code. `system` has the
//! processes, `wrk` and `oha` drive the programs that make load, `floors` are the bare loops, `cases` say what is
//! measured against what, `stats` has the rounds, `outcome` is what comes of them.

mod case;
mod cases;
mod empty;
mod floors;
mod oha;
mod outcome;
mod plot;
mod report;
mod stats;
mod system;
mod wrk;

use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use clap::Parser;
use tempfile::TempDir;

use crate::case::Case;
use crate::cases::Bench;
use crate::outcome::Results;

/// Measures the real system and what it is held against, in turn
#[derive(Parser)]
struct Arguments {
    /// What to measure; everything unless given
    #[arg(value_enum, value_name = "CASE")]
    cases: Vec<Case>,
    /// Fewer and shorter rounds: everything within 15 minutes
    #[arg(long)]
    quick: bool,
    /// The database server to run, a mariadbd or mysqld; the first one that is found unless given
    #[arg(long, value_name = "PATH")]
    program: Option<PathBuf>,
    /// Write what was measured to this file, as a list of objects
    #[arg(long, value_name = "FILE")]
    json: Option<PathBuf>,
    /// Write plots (SVG) to this directory
    #[arg(long, value_name = "DIRECTORY")]
    plots: Option<PathBuf>,
    /// Compare with what --json wrote before
    #[arg(long, value_name = "FILE")]
    baseline: Option<PathBuf>,
    /// Where the directory of the run is made
    #[arg(long, value_name = "PATH", default_value = ".local/bench")]
    directory: PathBuf,
    /// Keep the logs and the data even if all was measured
    #[arg(long)]
    keep: bool,
    /// The program wrk
    #[arg(long, value_name = "PATH", default_value = "wrk")]
    wrk: PathBuf,
    /// The program oha
    #[arg(long, value_name = "PATH", default_value = "oha")]
    oha: PathBuf,
    /// Only serve the empty operation, for the run that started this process.
    #[arg(long, hide = true)]
    serve_empty: bool,
}

/// How often and for how long everything is measured.
#[derive(Clone, Copy)]
pub(crate) struct Lengths {
    /// In each of them the value and the floor are measured once.
    pub(crate) rounds: u32,
    /// How long one measurement takes.
    pub(crate) each: Duration,
    /// How long load is made before a case, without looking.
    pub(crate) warm_up: Duration,
    /// Whether this is to end within 15 minutes.
    pub(crate) is_quick: bool,
}

impl Lengths {
    const FULL: Self =
        Self { rounds: 5, each: Duration::from_secs(5), warm_up: Duration::from_secs(3), is_quick: false };
    const QUICK: Self =
        Self { rounds: 3, each: Duration::from_secs(2), warm_up: Duration::from_secs(1), is_quick: true };
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    let done = if arguments.serve_empty { empty::serve().await } else { run(arguments).await };
    match done {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(arguments: Arguments) -> Result<()> {
    let program = match &arguments.program {
        Some(path) => private_server::Program::at(path).with_context(|| format!("{} is no server", path.display()))?,
        None => private_server::Program::find()
            .with_context(|| format!("no database server: {}", private_server::install_command()))?,
    };
    // A file that cannot be read should be told before everything is measured.
    let earlier = arguments.baseline.as_deref().map(report::earlier).transpose()?;
    let directory = make_directory(&arguments.directory)?;
    println!("{program}, logs in {}", directory.path().display());
    let mut results = Results::default();
    let measured = measure(&arguments, program, directory.path(), &mut results).await;
    // What was measured until something failed is worth having.
    write(&arguments, &results)?;
    println!("\n{}\n{}", report::table(&results.outcomes), report::summary(&results.outcomes));
    if let Some(earlier) = earlier {
        println!("\n{}", report::comparison(&earlier, &results.outcomes));
    }
    if measured.is_ok() && !arguments.keep {
        directory.close().context("cannot remove the directory of the run")?;
    } else {
        println!("logs and data are kept in {}", directory.keep().display());
    }
    measured
}

/// The files that were asked for.
fn write(arguments: &Arguments, results: &Results) -> Result<()> {
    if let Some(file) = &arguments.json {
        let json = serde_json::to_vec_pretty(&results.outcomes)?;
        std::fs::write(file, json).with_context(|| format!("cannot write {}", file.display()))?;
    }
    match &arguments.plots {
        Some(directory) => plot::write(directory, &results.series),
        None => Ok(()),
    }
}

async fn measure(
    arguments: &Arguments,
    program: private_server::Program,
    directory: &Path,
    results: &mut Results,
) -> Result<()> {
    let lengths = if arguments.quick { Lengths::QUICK } else { Lengths::FULL };
    let (wrk, oha) = (arguments.wrk.clone(), arguments.oha.clone());
    let mut bench = Bench::new(program, directory, lengths, wrk, oha)?;
    // In their own order, and each once: those who share a system come before those who end it.
    let cases = Case::ALL.into_iter().filter(|case| arguments.cases.is_empty() || arguments.cases.contains(case));
    let mut failed = Vec::new();
    for case in cases {
        // The others can be measured all the same.
        if let Err(error) = case.measure(&mut bench, results).await {
            println!("{} FAILED: {error:#}", case.name());
            failed.push(case.name());
        }
    }
    bench.end().await?;
    ensure!(failed.is_empty(), "not everything could be measured: {}", failed.join(", "));
    Ok(())
}

fn make_directory(parent: &PathBuf) -> Result<TempDir> {
    let cannot = || format!("cannot make a directory in {}", parent.display());
    std::fs::create_dir_all(parent).with_context(cannot)?;
    // Scripts and settings get it as a path that holds wherever they run.
    let parent = std::fs::canonicalize(parent).with_context(cannot)?;
    tempfile::Builder::new().prefix("run-").tempdir_in(parent).with_context(cannot)
}
