//! `check-invariants`: a program of its own, which shares nothing with the services that it judges.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::CheckInvariantsArgs;
use crate::db_commands::{DatabaseProgram, run_program};
use crate::interrupt::Interrupted;
use crate::process;

const PROGRAM: &str = "xtask-invariants";
/// The database could not be looked at, which is neither a violation nor the absence of one.
const COULD_NOT_LOOK: u8 = 2;

pub(crate) fn run(args: &CheckInvariantsArgs) -> Result<ExitCode> {
    let examples = args.examples.to_string();
    let arguments = ["--examples", &examples];
    let (command, package) = ("check-invariants", "db/audit");
    let program = DatabaseProgram { command, name: PROGRAM, package, arguments: &arguments };
    match run_program(args.database_url.clone(), args.install, &program) {
        Ok(code) => Ok(code.unwrap_or(ExitCode::from(COULD_NOT_LOOK))),
        Err(error) if error.is::<Interrupted>() => Err(error),
        Err(error) => {
            process::complain(&format!("error: {error:#}"));
            Ok(ExitCode::from(COULD_NOT_LOOK))
        }
    }
}
