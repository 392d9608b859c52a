//! `cargo xtask`: runs, migrates, seeds and tests the whole system.
//!
//! This file dispatches commands to their modules. Heavy work (compiling, migrating, serving) runs in child processes,
//! so that xtask itself has few dependencies and compiles quickly.

mod ci;
mod cli;
mod color;
mod conformance;
mod database;
mod detach;
mod docker;
mod fuzz;
mod interrupt;
mod metadata;
mod outcome;
mod passthrough;
mod programs;
mod progress;
mod settings;
mod supply;
mod system;
mod test_command;
mod tools;
mod up;
mod watch;
mod work_dir;
mod workspace;

use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;

use crate::cli::{Cli, Command};

#[tokio::main]
async fn main() -> ExitCode {
    color::apply();
    let result = run(Cli::parse().command).await;
    ExitCode::from(outcome::exit_code(result))
}

async fn run(command: Command) -> Result<u8> {
    std::env::set_current_dir(workspace::root()).context("cannot change to the workspace root")?;
    match command {
        Command::Up(args) if args.detach => detach::run(&args),
        Command::Up(args) => up::run(&args).await,
        Command::Down => up::down(),
        Command::Test(args) => test_command::run(&args).await,
        Command::Ci(args) => ci::run(&args).await,
        Command::Conformance(args) => conformance::run(&args).await,
        Command::ComposeTest(install) => conformance::compose_test(install).await,
        Command::Fuzz(args) => fuzz::run(&args).await,
        Command::Deny(args) => supply::deny(&args).await,
        Command::Sbom(install) => supply::sbom(install).await,
        Command::Openapi(arguments) => passthrough::openapi(arguments).await,
        Command::Migrate(arguments) => passthrough::db("migrate", arguments).await,
        Command::Seed(arguments) => passthrough::db("seed", arguments).await,
        Command::Reindex(arguments) => passthrough::db("reindex", arguments).await,
        Command::Schema(arguments) => passthrough::db("schema", arguments).await,
        Command::CheckInvariants(arguments) => passthrough::db("check-invariants", arguments).await,
        Command::Chaos(arguments) => passthrough::faults("chaos", arguments).await,
        Command::Rolling(arguments) => passthrough::faults("rolling", arguments).await,
        Command::Abuse(arguments) => passthrough::faults("abuse", arguments).await,
        Command::Bench(arguments) => passthrough::bench(arguments).await,
    }
}
