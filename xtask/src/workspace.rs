//! The working copy: its folders, and commands that run in it.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::{color, tools};

/// Cargo names the working copy at run time: the program may have been built in another one with the same target folder.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let package = PathBuf::from(package);
    package.parent().unwrap_or(&package).to_owned()
});

/// The root of the workspace.
pub(crate) fn root() -> &'static Path {
    &ROOT
}

/// A folder for the data of a command, ignored by git.
pub(crate) fn local(name: &str) -> PathBuf {
    root().join(".local").join(name)
}

/// A command in the root of the workspace, with the installed tools on its PATH.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).env("PATH", tools::path());
    color::pass_on(&mut command);
    command
}

/// The cargo that runs this program.
pub(crate) fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// The output of a command that succeeds and prints something; `None` otherwise.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Writes a line to standard error. Unlike `eprintln!` it does not panic when the reader is gone.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
