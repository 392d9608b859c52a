//! `chaos`, `rolling` and `abuse`: a program of its own, which runs the services that are built here.

use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::Result;

use crate::cli::{AbuseArgs, ChaosArgs, Install, RollingArgs, RunArgs, Workload};
use crate::home::Home;
use crate::progress::Progress;
use crate::system::System;
use crate::tool::HAPROXY;
use crate::{process, programs, workspace};

const PROGRAMS: [&str; 5] = ["faults", "db", "customers", "orders", "orchestrator"];

/// The configuration of HAProxy, in the working copy.
const CONFIGURATION: &str = "deploy/haproxy.cfg";

pub(crate) fn run(args: &ChaosArgs) -> Result<ExitCode> {
    let system = System::new(None, Progress::new(false))?;
    run_program(system, "chaos", &args.run, |command| {
        command.arg("--directory").arg(workspace::chaos_directory());
        add_workload(command, &args.workload);
    })
}

pub(crate) fn roll(args: &RollingArgs) -> Result<ExitCode> {
    run_behind_door("rolling", workspace::rolling_directory(), args.install, &args.run, |command| {
        add_workload(command, &args.workload);
    })
}

pub(crate) fn abuse(args: &AbuseArgs) -> Result<ExitCode> {
    run_behind_door("abuse", workspace::abuse_directory(), args.install, &args.run, |command| {
        if args.lenient {
            command.arg("--lenient");
        }
    })
}

fn run_behind_door(
    name: &'static str,
    directory: PathBuf,
    install: Install,
    args: &RunArgs,
    complete: impl FnOnce(&mut Command),
) -> Result<ExitCode> {
    let home = Home::take_or_say_who(&directory, name)?;
    let progress = Progress::new(false);
    let door = HAPROXY.find_or_install(install, &progress, &home.claim)?;
    run_program(System::new(Some(home), progress)?, name, args, |command| {
        command.arg("--directory").arg(directory).arg("--haproxy").arg(door);
        command.arg("--configuration").arg(workspace::root().join(CONFIGURATION));
        complete(command);
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
    let RunArgs { minutes, program, keep } = args;
    let mut command = programs.command("faults", "qa/faults")?;
    command.arg(name).arg("--minutes").arg(minutes.to_string());
    if let Some(program) = program {
        command.arg("--program").arg(program);
    }
    if *keep {
        command.arg("--keep");
    }
    complete(&mut command);
    system.run_attached(name, &command).map(process::exit_code)
}

fn add_workload(command: &mut Command, workload: &Workload) {
    let Workload { seed, clients } = workload;
    if let Some(seed) = seed {
        command.arg("--seed").arg(seed.to_string());
    }
    if let Some(clients) = clients {
        command.arg("--clients").arg(clients.to_string());
    }
}
