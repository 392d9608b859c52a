//! `up --detach`: runs `up` in a background process, and prints its progress until the system is ready.

use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::cli::UpArgs;
use crate::interrupt::Interrupt;
use crate::outcome::{SUCCESS, exit_code_of};
use crate::workspace::{self, eprint_line};

/// Line that the background process prints when the system is ready. Both processes run the same build of xtask.
pub(crate) const READY: &str = "\u{1}ready";

/// Starts the background process, and forwards signals to it until the system is ready.
pub(crate) fn run(args: &UpArgs) -> Result<u8> {
    fs::create_dir_all(workspace::local("up"))?;
    // Do not truncate the log: another `up` may be writing to it. The background process truncates it after acquiring
    // the directory.
    let output = File::options().append(true).create(true).open(log_path())?;
    let mut command = workspace::command(env::current_exe()?);
    command.args(["up", "--in-background"]);
    for (flag, is_given) in
        [("--reset", args.reset), ("--watch", args.watch), ("--no-install", args.install.no_install)]
    {
        command.args(is_given.then_some(flag));
    }
    if let Some(url) = &args.database_url {
        // Pass the URL in the environment: arguments are visible to all users of the machine.
        command.env("DATABASE_URL", url);
    }
    // Use a separate process group, so that Ctrl-C in the terminal does not signal the process directly.
    command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().context("cannot start the background process")?;
    let (interrupt, background) = (Interrupt::listen()?, Pid::from_raw(child.id().try_into()?));
    interrupt.add_group(child.id());
    tokio::spawn(async move {
        interrupt.requested().await;
        // Fails if the process has already exited.
        let _ = kill(background, Signal::SIGTERM);
    });
    for line in BufReader::new(child.stderr.take().context("the background process has no standard error")?).lines() {
        let line = line?;
        if line == READY {
            eprint_line(&format!("Log: {}\nStop with: cargo xtask down", log_path().display()));
            return Ok(SUCCESS);
        }
        eprint_line(&line);
    }
    Ok(exit_code_of(child.wait()?))
}

pub(crate) fn log_path() -> PathBuf {
    workspace::local("up/up.log")
}
