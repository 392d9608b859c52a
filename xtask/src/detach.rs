//! `up --detach`: the same `up` in a process of its own, whose progress is shown here until it is ready.

use std::env;
use std::fs::File;
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitCode, Stdio};

use anyhow::{Context, Result};
use private_server::supervisor::send_signal;

use crate::cli::UpArgs;
use crate::interrupt::{self, Groups};
use crate::progress::Progress;
use crate::{process, workspace};

pub(crate) fn run(args: &UpArgs) -> Result<ExitCode> {
    std::fs::create_dir_all(workspace::up_directory())?;
    let log = log();
    // Another `up` may be writing there: see `empty_log`.
    let file = File::options().append(true).create(true).open(&log)?;
    let mut child = in_background(args, file)?;
    let pid = i64::from(child.id());
    interrupt::install(Groups::default(), move || {
        // It may have ended already.
        let _ = send_signal("TERM", pid);
    })?;
    let progress = Progress::new(false);
    let lines = BufReader::new(child.stderr.take().context("the process has no output")?);
    for line in lines.lines() {
        if progress.replay(&line?) {
            progress.say(&format!("Log: {}\nEnd it with: cargo xtask down", log.display()));
            return Ok(ExitCode::SUCCESS);
        }
    }
    Ok(process::exit_code(child.wait()?))
}

/// Begins the log of an `up` in the background, once it is the only one.
pub(crate) fn empty_log() -> Result<()> {
    File::options().write(true).truncate(true).open(log())?;
    Ok(())
}

fn log() -> PathBuf {
    workspace::up_directory().join("up.log")
}

/// Its log is `log`; its progress comes through the pipe at its standard error.
fn in_background(args: &UpArgs, log: File) -> Result<Child> {
    let mut command = Command::new(env::current_exe()?);
    command.args(["up", "--relay"]);
    if args.reset {
        command.arg("--reset");
    }
    if args.install.no_install {
        command.arg("--no-install");
    }
    if let Some(url) = &args.database_url {
        // Not an argument, which everybody on this machine could read.
        command.env("DATABASE_URL", url);
    }
    command
        .stdin(Stdio::null())
        .stdout(log)
        .stderr(Stdio::piped())
        // Ctrl-C in the terminal does not reach it.
        .process_group(0)
        .spawn()
        .context("cannot start a process in the background")
}
