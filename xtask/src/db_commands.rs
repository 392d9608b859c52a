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

/// A program that works on a database.
pub(crate) struct DatabaseProgram<'a> {
    /// As which command of xtask it runs.
    pub(crate) command: &'a str,
    pub(crate) name: &'static str,
    /// The folder of its package.
    pub(crate) package: &'a str,
    pub(crate) arguments: &'a [&'a str],
}

/// Runs `db` with these arguments, of which the first is a command of xtask as well.
pub(crate) fn run(install: Install, arguments: &[&str]) -> Result<ExitCode> {
    let given = env::var("DATABASE_URL").ok();
    let program = DatabaseProgram { command: arguments[0], name: "db", package: "db/cli", arguments };
    let code = run_program(given, install, &program)?;
    Ok(code.unwrap_or(ExitCode::FAILURE))
}

pub(crate) fn seed(install: Install, scale: Option<u32>) -> Result<ExitCode> {
    match scale {
        Some(scale) => run(install, &["seed", "--scale", &scale.to_string()]),
        None => run(install, &["seed"]),
    }
}

/// Runs a program on the database that is given, or else on that of `up`. `None` when it does not compile.
pub(crate) fn run_program(
    given: Option<String>,
    install: Install,
    program: &DatabaseProgram<'_>,
) -> Result<Option<ExitCode>> {
    let source = Source::find(given, program.command)?;
    let progress = Progress::new(false);
    let (mut system, url) = match source {
        Source::Running(url) => (System::new(None, progress)?, Some(url)),
        Source::ToStart(home) => (System::new(Some(home), progress)?, None),
    };
    let code = build_and_run(&mut system, url, install, program);
    system.stop();
    code
}

fn build_and_run(
    system: &mut System,
    url: Option<String>,
    install: Install,
    program: &DatabaseProgram<'_>,
) -> Result<Option<ExitCode>> {
    let DatabaseProgram { name, package, arguments, .. } = *program;
    let Some(programs) = programs::build_attached(system, &[name])? else {
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
    let mut command = programs.command(name, package)?;
    command.args(arguments).env("DATABASE_URL", url);
    system.run_attached(name, &command).map(process::exit_code).map(Some)
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
