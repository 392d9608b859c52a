//! Commands of other programs: xtask builds the program, prepares its dependencies, and forwards the arguments.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Error, Result, bail};

use crate::cli::{Arguments, Install};
use crate::database::{Choice, Purpose, without_password};
use crate::outcome::exit_code_of;
use crate::programs::{self, Programs, RELEASED};
use crate::system::System;
use crate::tools::HAPROXY;
use crate::work_dir::{self, State, WorkDir};
use crate::workspace::{self, eprint_line};

/// `openapi`: runs a program that depends only on the API crates, so that it works even if the servers do not compile.
pub(crate) async fn openapi(Arguments { arguments }: Arguments) -> Result<u8> {
    let system = System::new(None)?;
    let programs = programs::build(&system, &["xtask-openapi"]).await?;
    execute(&programs, "xtask-openapi", arguments)
}

/// `chaos`, `rolling` and `abuse`: subcommands of the program `faults`, which starts the services.
pub(crate) async fn faults(name: &str, Arguments { mut arguments }: Arguments) -> Result<u8> {
    let install = Install { no_install: remove_flag(&mut arguments, "--no-install") };
    let system = System::new(None)?;
    if name != "chaos" && !is_help_or_version(&arguments) {
        HAPROXY.find_or_install(install, &system).await?;
    }
    let programs = ["faults", "db", "customers", "orders", "orchestrator"];
    let programs = programs::build(&system, &programs).await?;
    arguments.insert(0, name.into());
    execute(&programs, "faults", arguments)
}

/// `bench`: built separately from the measured programs, so that Cargo does not unify its features with theirs.
pub(crate) async fn bench(Arguments { mut arguments }: Arguments) -> Result<u8> {
    remove_flag(&mut arguments, "--no-install");
    let system = System::new(None)?;
    programs::build_released(&system, &RELEASED).await?;
    let programs = programs::build_released(&system, &["bench"]).await?;
    execute(&programs, "bench", arguments)
}

/// Replaces this process with the program, which then handles signals and determines the exit code.
fn execute(programs: &Programs, name: &str, arguments: Vec<OsString>) -> Result<u8> {
    Err(Error::new(programs.command(name)?.args(arguments).exec()).context(format!("cannot run {name}")))
}

/// `migrate`, `seed`, `reindex`, `schema` and `check-invariants`: run `db` on the given database or on `up`'s database.
pub(crate) async fn db(command: &str, Arguments { mut arguments }: Arguments) -> Result<u8> {
    let install = Install { no_install: remove_flag(&mut arguments, "--no-install") };
    let given = remove_value(&mut arguments, "--database-url").or_else(|| env::var_os("DATABASE_URL"));
    let given = given.map(OsString::into_string).transpose().ok().context("DATABASE_URL is not valid UTF-8")?;
    if command == "migrate" && arguments.is_empty() {
        arguments.push("up".into());
    }
    let subcommand = if command == "check-invariants" { "audit" } else { command };
    let (url, work_dir) = if is_help_or_version(&arguments) { (given, None) } else { find_database(given, command)? };
    let starts_database = work_dir.is_some();
    let mut system = System::new(work_dir)?;
    let result = async {
        let programs = programs::build(&system, &["db"]).await?;
        let mut command = programs.command("db")?;
        if starts_database {
            system.start_database(Choice::select(None, install)?, Purpose::Up { reset: false })?;
            command.env("DATABASE_URL", system.database_url().await?);
        } else if let Some(url) = url {
            command.env("DATABASE_URL", url);
        }
        system.run_attached(command.arg(subcommand).args(arguments)).await.map(exit_code_of)
    };
    let result = result.await;
    system.stop().await;
    result
}

/// Returns the URL of a running database, or the working directory of `up` in which to start one.
fn find_database(given: Option<String>, command: &str) -> Result<(Option<String>, Option<WorkDir>)> {
    if let Some(url) = given.filter(|url| !url.is_empty()) {
        return Ok((Some(url), None));
    }
    let directory = workspace::local("up");
    if let Some(work_dir) = WorkDir::acquire_at(&directory, command)? {
        return Ok((None, Some(work_dir)));
    }
    let Some(state) = State::load(&directory).filter(|state| state.command == "up") else {
        bail!(work_dir::owner_message(&directory));
    };
    let Some(url) = state.database_url else {
        bail!("`cargo xtask up` is still starting its database: try again when it is ready");
    };
    eprint_line(&format!("database: {} (of the running `up`)", without_password(&url)));
    Ok((Some(url), None))
}

fn is_help_or_version(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| ["--help", "-h", "--version", "-V"].iter().any(|option| argument == option))
}

/// Removes a flag intended for xtask, and returns whether it was present.
fn remove_flag(arguments: &mut Vec<OsString>, name: &str) -> bool {
    let before = arguments.len();
    arguments.retain(|argument| argument != name);
    arguments.len() != before
}

/// Removes xtask's option and returns its value. Keeps an option without a value, so that the program rejects it.
fn remove_value(arguments: &mut Vec<OsString>, name: &str) -> Option<OsString> {
    let joined = |argument: &OsString| Some(argument.to_str()?.strip_prefix(name)?.strip_prefix('=')?.into());
    if let Some((index, value)) = arguments.iter().enumerate().find_map(|(index, it)| Some((index, joined(it)?))) {
        arguments.remove(index);
        return Some(value);
    }
    let index = arguments.iter().position(|argument| argument == name)?;
    (index + 1 < arguments.len()).then(|| arguments.drain(index..index + 2).nth(1)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn xtask_options_are_removed_at_any_position() {
        let mut all = arguments("--minutes 1 --no-install --seed 3");
        assert!(remove_flag(&mut all, "--no-install"));
        assert!(!remove_flag(&mut all, "--no-install"));
        assert_eq!(all, arguments("--minutes 1 --seed 3"));
        for line in ["--examples 2 --database-url mysql://x/y", "--database-url=mysql://x/y --examples 2"] {
            let mut all = arguments(line);
            assert_eq!(remove_value(&mut all, "--database-url"), Some("mysql://x/y".into()));
            assert_eq!(all, arguments("--examples 2"));
        }
        let mut without = arguments("--database-url");
        assert_eq!(remove_value(&mut without, "--database-url"), None);
        assert_eq!(without, arguments("--database-url"));
    }

    #[test]
    fn help_and_version_are_recognised() {
        assert!(is_help_or_version(&arguments("rolling --help")) && is_help_or_version(&arguments("-V")));
        assert!(!is_help_or_version(&arguments("--seed 3")));
    }
}
