//! `chaos`: a program of its own, which runs the services that are built here.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::ChaosArgs;
use crate::progress::Progress;
use crate::system::System;
use crate::{process, programs, workspace};

const PROGRAMS: [&str; 5] = ["xtask-chaos", "db", "customers", "orders", "orchestrator"];

pub(crate) fn run(args: &ChaosArgs) -> Result<ExitCode> {
    let mut system = System::new(None, Progress::new(false))?;
    let Some(programs) = programs::build_attached(&mut system, &PROGRAMS)? else {
        return Ok(ExitCode::FAILURE);
    };
    let mut command = programs.command("xtask-chaos", "xtask/chaos")?;
    command.arg("--directory").arg(workspace::chaos_directory()).arg("--minutes").arg(args.minutes.to_string());
    if let Some(seed) = args.seed {
        command.arg("--seed").arg(seed.to_string());
    }
    if let Some(clients) = args.clients {
        command.arg("--clients").arg(clients.to_string());
    }
    if let Some(program) = &args.program {
        command.arg("--program").arg(program);
    }
    if args.keep {
        command.arg("--keep");
    }
    system.run_attached("chaos", &command).map(process::exit_code)
}
