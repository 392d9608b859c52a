//! `migrate`, `seed` and `schema`: the `db` program on the right database. How that is found serves others, too.

use std::env;
use std::process::ExitCode;

use anyhow::{Result, bail};

use crate::choice::{self, without_password};
use crate::cli::Install;
use crate::database::Purpose;
use crate::home::{self, Home};
use crate::progress::Progress;
use crate::state::State;
use crate::system::System;
use crate::{process, programs, workspace};

/// The exit code of `db` where it could not run: neither a violation nor the absence of one.
pub(crate) const COULD_NOT_RUN: u8 = 3;

/// Runs `db` with these arguments, of which the first is a command of xtask as well.
pub(crate) fn run(install: Install, arguments: &[&str]) -> Result<ExitCode> {
    let given = env::var("DATABASE_URL").ok();
    let code = run_program(given, install, arguments[0], arguments)?;
    Ok(code.unwrap_or(ExitCode::from(COULD_NOT_RUN)))
}

pub(crate) fn seed(install: Install, scale: Option<u32>) -> Result<ExitCode> {
    match scale {
        Some(scale) => run(install, &["seed", "--scale", &scale.to_string()]),
        None => run(install, &["seed"]),
    }
}

/// Runs `db` on the database that is given, or else on that of `up`, as a command of xtask. `None` when it does not compile.
pub(crate) fn run_program(
    given: Option<String>,
    install: Install,
    command: &str,
    arguments: &[&str],
) -> Result<Option<ExitCode>> {
    let source = Source::find(given, command)?;
    let progress = Progress::new(false);
    let (mut system, url) = match source {
        Source::Running(url) => (System::new(None, progress)?, Some(url)),
        Source::ToStart(home) => (System::new(Some(home), progress)?, None),
    };
    let code = build_and_run(&mut system, url, install, arguments);
    system.stop();
    code
}

fn build_and_run(
    system: &mut System,
    url: Option<String>,
    install: Install,
    arguments: &[&str],
) -> Result<Option<ExitCode>> {
    let Some(programs) = programs::build_attached(system, &["db"])? else {
        return Ok(None);
    };
    let url = match url {
        Some(url) => url,
        None => {
            let choice = choice::choose(None, install)?;
            system.progress.say(&format!("database: {choice}"));
            system.start_database(choice, Purpose::Up { reset: false })?;
            system.database_url()?
        }
    };
    let mut command = programs.command("db", "db/cli")?;
    command.args(arguments).env("DATABASE_URL", url);
    system.run_attached("db", &command).map(process::exit_code).map(Some)
}

enum Source {
    /// It runs anyway, at this URL.
    Running(String),
    /// It is that of `up`, for which this is the directory.
    ToStart(Home),
}

impl Source {
    fn find(given: Option<String>, command: &str) -> Result<Self> {
        if let Some(url) = given.filter(|url| !url.is_empty()) {
            return Ok(Self::Running(url));
        }
        let directory = workspace::up_directory();
        if let Some(home) = Home::take(&directory, command)? {
            return Ok(Self::ToStart(home));
        }
        let state = State::load(&directory).filter(|state| state.command == "up" && state.owner.may_be_running());
        let Some(state) = state else {
            bail!(home::holder(&directory));
        };
        let Some(url) = state.database_url else {
            bail!("`cargo xtask up` is still starting its database: try again when it is ready");
        };
        process::complain(&format!("database: that of the running `up`, {}", without_password(&url)));
        Ok(Self::Running(url))
    }
}
