//! `cargo xtask`: runs, migrates, seeds and tests the whole system.
//!
//! Lives here: the command line and the exit code. Each family of commands has a file of its own. Heavy work
//! (compiling, migrating, serving) is done by other programs that run as processes, so that xtask itself stays small.

mod apt;
mod bench;
mod cargo_tool;
mod chaos;
mod check_invariants;
mod choice;
mod cli;
mod compose_test;
mod conformance;
mod database;
mod db_commands;
mod detach;
mod docker;
mod down;
mod fuzz;
mod home;
mod interrupt;
mod logs;
mod openapi;
mod process;
mod programs;
mod progress;
mod ready;
mod sample;
mod serve;
mod services;
mod state;
mod supply;
mod system;
mod test_command;
mod tool;
mod up;
mod workspace;

use std::process::ExitCode;

use anyhow::Result;
use clap::Parser;

use crate::cli::{Cli, Command};

fn main() -> ExitCode {
    match run(Cli::parse().command) {
        Ok(code) => code,
        Err(error) if error.is::<interrupt::Interrupted>() => {
            process::complain("interrupted; everything is stopped");
            ExitCode::from(130)
        }
        Err(error) => {
            process::complain(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::Up(args) if args.detach => detach::run(&args),
        Command::Up(args) => up::run(&args).map(|()| ExitCode::SUCCESS),
        Command::Down => down::run().map(|()| ExitCode::SUCCESS),
        Command::Migrate { action, install } => db_commands::run(install, &["migrate", action.as_str()]),
        Command::Seed { scale, install } => db_commands::seed(install, scale),
        Command::Schema { action, install } => db_commands::run(install, &["schema", action.as_str()]),
        Command::Openapi { action } => openapi::run(&action),
        Command::CheckInvariants(args) => check_invariants::run(&args),
        Command::Test(args) => test_command::run(&args),
        Command::Chaos(args) => chaos::run(&args),
        Command::Rolling(args) => chaos::roll(&args),
        Command::Abuse(args) => chaos::abuse(&args),
        Command::Bench(args) => bench::run(&args),
        Command::Fuzz(args) => fuzz::run(&args),
        Command::Deny(args) => supply::deny(&args),
        Command::Sbom { install } => supply::sbom(install),
        Command::Conformance(args) => conformance::run(&args),
        Command::ComposeTest(args) => compose_test::run(&args).map(|()| ExitCode::SUCCESS),
    }
}
