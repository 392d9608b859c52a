//! `check-invariants`: `db audit` on the right database.

use std::process::ExitCode;

use anyhow::Result;

use crate::cli::CheckInvariantsArgs;
use crate::db_commands::{COULD_NOT_RUN, run_program};
use crate::interrupt::Interrupted;
use crate::process;

pub(crate) fn run(args: &CheckInvariantsArgs) -> Result<ExitCode> {
    let arguments = ["audit", "--examples", &args.examples.to_string()];
    match run_program(args.database_url.clone(), args.install, "check-invariants", &arguments) {
        Ok(code) => Ok(code.unwrap_or(ExitCode::from(COULD_NOT_RUN))),
        Err(error) if error.is::<Interrupted>() => Err(error),
        Err(error) => {
            process::complain(&format!("error: {error:#}"));
            Ok(ExitCode::from(COULD_NOT_RUN))
        }
    }
}
