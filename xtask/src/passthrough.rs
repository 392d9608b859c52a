//! Programs with a command line of their own. xtask builds them, prepares what they need and passes the arguments on.

use std::env;
use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use anyhow::{Context, Error, Result, bail};

use crate::cli::{Arguments, Install};
use crate::database::{Choice, Purpose, without_password};
use crate::home::{self, Home, State};
use crate::outcome::passed_on;
use crate::programs::{self, Programs};
use crate::system::System;
use crate::tools::HAPROXY;
use crate::workspace::{self, complain};

/// `openapi`. The program needs the API crates alone, so it works while the servers do not compile.
pub(crate) async fn openapi(Arguments { arguments }: Arguments) -> Result<u8> {
    let system = System::new(None)?;
    let programs = programs::build(&system, &["xtask-openapi"]).await?;
    execute(&programs, "xtask-openapi", arguments)
}

/// `chaos`, `rolling` and `abuse`: the program `faults` beside the services.
pub(crate) async fn faults(name: &str, Arguments { mut arguments }: Arguments) -> Result<u8> {
    let install = Install { no_install: take_flag(&mut arguments, "--no-install") };
    let system = System::new(None)?;
    if name != "chaos" && !only_asks(&arguments) {
        HAPROXY.find_or_install(install, &system).await?;
    }
    let programs = ["faults", "db", "customers", "orders", "orchestrator"];
    let programs = programs::build(&system, &programs).await?;
    arguments.insert(0, name.into());
    execute(&programs, "faults", arguments)
}

/// `bench`, built apart from the measured programs, so that its features do not get into them.
pub(crate) async fn bench(Arguments { mut arguments }: Arguments) -> Result<u8> {
    take_flag(&mut arguments, "--no-install");
    let system = System::new(None)?;
    programs::build_released(&system, &["customers", "orders", "orchestrator", "db-cli"]).await?;
    let programs = programs::build_released(&system, &["bench"]).await?;
    execute(&programs, "bench", arguments)
}

/// Becomes the program: signals and the exit code are its own.
fn execute(programs: &Programs, name: &str, arguments: Vec<OsString>) -> Result<u8> {
    Err(Error::new(programs.command(name)?.args(arguments).exec()).context(format!("cannot run {name}")))
}

/// `migrate`, `seed`, `schema` and `check-invariants`: a program on the given database, or else on that of `up`.
pub(crate) async fn on_database(command: &str, Arguments { mut arguments }: Arguments) -> Result<u8> {
    let install = Install { no_install: take_flag(&mut arguments, "--no-install") };
    let given = take_value(&mut arguments, "--database-url").or_else(|| env::var_os("DATABASE_URL"));
    let given = given.map(OsString::into_string).transpose().ok().context("DATABASE_URL is not valid UTF-8")?;
    if command == "migrate" && arguments.is_empty() {
        arguments.push("up".into());
    }
    let subcommand = if command == "check-invariants" { "audit" } else { command };
    let (url, home) = if only_asks(&arguments) { (given, None) } else { find_database(given, command)? };
    let is_to_start = home.is_some();
    let mut system = System::new(home)?;
    let result = async {
        let programs = programs::build(&system, &["db"]).await?;
        let mut command = programs.command("db")?;
        if is_to_start {
            system.start_database(Choice::of(None, install)?, Purpose::Up { reset: false })?;
            command.env("DATABASE_URL", system.database_url().await?);
        } else if let Some(url) = url {
            command.env("DATABASE_URL", url);
        }
        system.run_attached(command.arg(subcommand).args(arguments)).await.map(passed_on)
    };
    let result = result.await;
    system.stop().await;
    result
}

/// The URL of a database that runs, or the directory of `up` to start its database in.
fn find_database(given: Option<String>, command: &str) -> Result<(Option<String>, Option<Home>)> {
    if let Some(url) = given.filter(|url| !url.is_empty()) {
        return Ok((Some(url), None));
    }
    let directory = workspace::local("up");
    if let Some(home) = Home::take_directory(&directory, command)? {
        return Ok((None, Some(home)));
    }
    let Some(state) = State::load(&directory).filter(|state| state.command == "up") else {
        bail!(home::holder(&directory));
    };
    let Some(url) = state.database_url else {
        bail!("`cargo xtask up` is still starting its database: try again when it is ready");
    };
    complain(&format!("database: that of the running `up`, {}", without_password(&url)));
    Ok((Some(url), None))
}

/// Whether a program is only asked for its help or version.
fn only_asks(arguments: &[OsString]) -> bool {
    arguments.iter().any(|argument| ["--help", "-h", "--version", "-V"].iter().any(|asked| argument == asked))
}

/// Takes an option that is for xtask.
fn take_flag(arguments: &mut Vec<OsString>, name: &str) -> bool {
    let before = arguments.len();
    arguments.retain(|argument| argument != name);
    arguments.len() != before
}

/// Takes an option with its value. Without a value it stays, for the program to refuse.
fn take_value(arguments: &mut Vec<OsString>, name: &str) -> Option<OsString> {
    let joined = |argument: &OsString| Some(argument.to_str()?.strip_prefix(name)?.strip_prefix('=')?.into());
    if let Some((place, value)) = arguments.iter().enumerate().find_map(|(place, it)| Some((place, joined(it)?))) {
        arguments.remove(place);
        return Some(value);
    }
    let place = arguments.iter().position(|argument| argument == name)?;
    (place + 1 < arguments.len()).then(|| arguments.drain(place..place + 2).nth(1)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn arguments(line: &str) -> Vec<OsString> {
        line.split(' ').map(OsString::from).collect()
    }

    #[test]
    fn the_options_of_xtask_are_taken_out_wherever_they_are() {
        let mut all = arguments("--minutes 1 --no-install --seed 3");
        assert!(take_flag(&mut all, "--no-install"));
        assert!(!take_flag(&mut all, "--no-install"));
        assert_eq!(all, arguments("--minutes 1 --seed 3"));
        for line in ["--examples 2 --database-url mysql://x/y", "--database-url=mysql://x/y --examples 2"] {
            let mut all = arguments(line);
            assert_eq!(take_value(&mut all, "--database-url"), Some("mysql://x/y".into()));
            assert_eq!(all, arguments("--examples 2"));
        }
        let mut without = arguments("--database-url");
        assert_eq!(take_value(&mut without, "--database-url"), None);
        assert_eq!(without, arguments("--database-url"));
    }

    #[test]
    fn a_question_for_help_starts_nothing() {
        assert!(only_asks(&arguments("rolling --help")) && only_asks(&arguments("-V")));
        assert!(!only_asks(&arguments("--seed 3")));
    }
}
