//! How a command ends: the exit code, and the errors that choose it.

use std::process::ExitStatus;

use anyhow::{Error, Result};

use crate::workspace::complain;

/// All is well.
pub(crate) const FINE: u8 = 0;
/// The checked system, documents or sources are not as they should be.
pub(crate) const VIOLATION: u8 = 1;
/// Something is missing, does not build or does not start.
pub(crate) const COULD_NOT_RUN: u8 = 3;
const INTERRUPTED: u8 = 130;

/// An error that is the result of a check.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct Violation(pub(crate) String);

/// A signal ended the command before its work was done.
#[derive(Debug, thiserror::Error)]
#[error("interrupted; everything is stopped")]
pub(crate) struct Interrupted;

/// The exit code of this process; an error is reported.
pub(crate) fn exit_code(result: Result<u8>) -> u8 {
    result.unwrap_or_else(|error| {
        complain(&if error.is::<Interrupted>() { error.to_string() } else { format!("error: {error:#}") });
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

/// The exit code for a program with the same exit codes.
pub(crate) fn passed_on(status: ExitStatus) -> u8 {
    // Shells report a signal, or a program that cannot be run, as 126 and above.
    status.code().and_then(|code| u8::try_from(code).ok()).filter(|code| *code < 126).unwrap_or(COULD_NOT_RUN)
}

/// The exit code for a check by a program that reports any failure alike.
pub(crate) fn checked(status: ExitStatus) -> u8 {
    match passed_on(status) {
        code @ (FINE | COULD_NOT_RUN) => code,
        _ => VIOLATION,
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::process::ExitStatusExt;

    use anyhow::{Context, anyhow};

    use super::*;

    #[test]
    fn errors_choose_the_exit_code_whatever_context_they_have() {
        let violation = Err::<(), _>(Violation("5 rows are gone".to_owned())).context("orders").context("audit");
        assert_eq!(code_of(&violation.unwrap_err()), 1);
        assert_eq!(code_of(&Err::<(), _>(Interrupted).context("build").unwrap_err()), 130);
        assert_eq!(code_of(&anyhow!("no database")), 3);
    }

    #[test]
    fn statuses_of_programs_become_exit_codes() {
        let status = |code: i32| ExitStatus::from_raw(code << 8);
        assert_eq!([0, 1, 2, 3, 127].map(status).map(passed_on), [0, 1, 2, 3, 3]);
        assert_eq!([0, 1, 3, 101, 127].map(status).map(checked), [0, 1, 3, 1, 3]);
        assert_eq!(passed_on(ExitStatus::from_raw(9)), 3);
    }
}
