//! `chaos` and `rolling`: a program of its own, which runs the services that are built here.

use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::cli::{ChaosArgs, RollingArgs, RunArgs};
use crate::home::Home;
use crate::progress::Progress;
use crate::system::System;
use crate::tool::HAPROXY;
use crate::{process, programs, workspace};

const PROGRAMS: [&str; 5] = ["xtask-chaos", "db", "customers", "orders", "orchestrator"];

/// The configuration of the balancer, in the working copy.
const CONFIGURATION: &str = "deploy/haproxy.cfg";

pub(crate) fn run(args: &ChaosArgs) -> Result<ExitCode> {
    let system = System::new(None, Progress::new(false))?;
    run_program(system, "chaos", &args.run, |command| {
        command.arg("--directory").arg(workspace::chaos_directory());
    })
}

pub(crate) fn roll(args: &RollingArgs) -> Result<ExitCode> {
    let directory = workspace::rolling_directory();
    let home = Home::take_or_say_who(&directory, "rolling")?;
    let progress = Progress::new(false);
    let balancer = HAPROXY.find_or_install(args.install, &progress, &home.claim)?;
    run_program(System::new(Some(home), progress)?, "rolling", &args.run, |command| {
        command.arg("--directory").arg(directory).arg("--balancer").arg(balancer);
        command.arg("--configuration").arg(workspace::root().join(CONFIGURATION));
    })
}

fn run_program(
    mut system: System,
    name: &'static str,
    args: &RunArgs,
    complete: impl FnOnce(&mut Command),
) -> Result<ExitCode> {
    let Some(programs) = programs::build_attached(&mut system, &PROGRAMS)? else {
        return Ok(ExitCode::FAILURE);
    };
    let RunArgs { minutes, seed, clients, program, keep } = args;
    let mut command = programs.command("xtask-chaos", "xtask/chaos")?;
    command.arg(name).arg("--minutes").arg(minutes.to_string());
    if let Some(seed) = seed {
        command.arg("--seed").arg(seed.to_string());
    }
    if let Some(clients) = clients {
        command.arg("--clients").arg(clients.to_string());
    }
    if let Some(program) = program {
        command.arg("--program").arg(program);
    }
    if *keep {
        command.arg("--keep");
    }
    complete(&mut command);
    system.run_attached(name, &command).map(process::exit_code)
}
