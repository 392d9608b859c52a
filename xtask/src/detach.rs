//! `up --detach`: the same `up` in a process of its own, whose progress is shown here until it is ready.

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
use crate::outcome::{FINE, passed_on};
use crate::workspace::{self, complain};

/// The line after which the process in the foreground may end. It is only read by the same build of this program.
pub(crate) const READY: &str = "\u{1}ready";

/// A signal before the system is ready goes to the process in the background as well.
pub(crate) fn run(args: &UpArgs) -> Result<u8> {
    fs::create_dir_all(workspace::local("up"))?;
    // Another `up` may be writing there: the new one empties it, once it is the only one.
    let output = File::options().append(true).create(true).open(log())?;
    let mut command = workspace::command(env::current_exe()?);
    command.args(["up", "--in-background"]);
    for (flag, is_given) in
        [("--reset", args.reset), ("--watch", args.watch), ("--no-install", args.install.no_install)]
    {
        command.args(is_given.then_some(flag));
    }
    if let Some(url) = &args.database_url {
        // Not an argument, which everybody on this machine could read.
        command.env("DATABASE_URL", url);
    }
    // Ctrl-C in the terminal does not reach a process group of its own.
    command.stdin(Stdio::null()).stdout(output).stderr(Stdio::piped()).process_group(0);
    let mut child = command.spawn().context("cannot start a process in the background")?;
    let (interrupt, background) = (Interrupt::listen()?, Pid::from_raw(child.id().try_into()?));
    interrupt.add_group(child.id());
    tokio::spawn(async move {
        interrupt.asked().await;
        // It may have ended already.
        let _ = kill(background, Signal::SIGTERM);
    });
    for line in BufReader::new(child.stderr.take().context("the process has no output")?).lines() {
        let line = line?;
        if line == READY {
            complain(&format!("Log: {}\nEnd it with: cargo xtask down", log().display()));
            return Ok(FINE);
        }
        complain(&line);
    }
    Ok(passed_on(child.wait()?))
}

/// The log of an `up` in the background.
pub(crate) fn log() -> PathBuf {
    workspace::local("up/up.log")
}
