//! Exit codes, and the errors that map to them.

use std::process::ExitStatus;

use anyhow::{Error, Result};

use crate::workspace::eprint_line;

pub(crate) const SUCCESS: u8 = 0;
/// Exit code for a failed check of the system, documents or sources.
pub(crate) const VIOLATION: u8 = 1;
/// Exit code if a tool is missing, a build failed, or a process did not start.
pub(crate) const COULD_NOT_RUN: u8 = 3;
const INTERRUPTED: u8 = 130;

/// Failed check. Maps to exit code 1.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Violation(pub(crate) String);

/// A signal interrupted the command. Maps to exit code 130.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; all processes are stopped")]
pub(crate) struct Interrupted;

/// Returns the exit code for the result of a command. Prints the error, if any.
pub(crate) fn exit_code(result: Result<u8>) -> u8 {
    result.unwrap_or_else(|error| {
        eprint_line(&if error.is::<Interrupted>() { error.to_string() } else { format!("error: {error:#}") });
        code_of(&error)
    })
}

fn code_of(error: &Error) -> u8 {
    match error {
        error if error.is::<Interrupted>() => INTERRUPTED,
        error if error.is::<Violation>() => VIOLATION,
        _ => COULD_NOT_RUN,
    }
}

/// Converts the exit status of a program that uses the same exit codes as xtask.
pub(crate) fn exit_code_of(status: ExitStatus) -> u8 {
    // Other codes from 126 are how a shell reports a signal or a program that could not be run.
    let is_own = |code: &u8| *code < 126 || *code == INTERRUPTED;
    status.code().and_then(|code| u8::try_from(code).ok()).filter(is_own).unwrap_or(COULD_NOT_RUN)
}

/// Converts the exit status of a check that may use other exit codes: every code except 0, 3 and 130 is a violation.
pub(crate) fn check_exit_code(status: ExitStatus) -> u8 {
    match exit_code_of(status) {
        code @ (SUCCESS | COULD_NOT_RUN | INTERRUPTED) => code,
        _ => VIOLATION,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn error_type_determines_the_exit_code_regardless_of_context() {
        let violation = Err::<(), _>(Violation("5 rows are missing".to_owned())).context("orders").context("audit");
        assert_eq!(code_of(&violation.unwrap_err()), 1);
        assert_eq!(code_of(&Err::<(), _>(Interrupted).context("build").unwrap_err()), 130);
        assert_eq!(code_of(&anyhow!("no database")), 3);
    }

    #[test]
    fn program_statuses_map_to_exit_codes() {
        let status = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!([0, 1, 2, 3, 127, 130].map(status).map(exit_code_of), [0, 1, 2, 3, 3, 130]);
        assert_eq!([0, 1, 3, 101, 127, 130].map(status).map(check_exit_code), [0, 1, 3, 1, 3, 130]);
        assert_eq!(exit_code_of(ExitStatus::from_raw(9)), 3);
    }
}
