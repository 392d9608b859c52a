//! Paths of the working copy, and commands that run in it.

use std::env;
use std::ffi::OsStr;
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::LazyLock;

use crate::{color, tools};

/// Workspace root, found at run time: another working copy that shares the target directory may have built xtask.
static ROOT: LazyLock<PathBuf> = LazyLock::new(|| {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    let package = PathBuf::from(package);
    package.parent().unwrap_or(&package).to_owned()
});

pub(crate) fn root() -> &'static Path {
    &ROOT
}

/// Returns a path in `.local`, the directory for command data, which Git ignores.
pub(crate) fn local(name: &str) -> PathBuf {
    root().join(".local").join(name)
}

/// Returns a command that runs in the workspace root with the installed tools on its PATH.
pub(crate) fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.current_dir(root()).env("PATH", tools::path());
    color::pass_on(&mut command);
    command
}

/// Returns a command that runs the same cargo that started this program.
pub(crate) fn cargo() -> Command {
    command(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}

/// Runs a command and returns its output, or `None` if the command fails or prints nothing.
pub(crate) fn output(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Writes a line to standard error. Unlike `eprintln!`, it does not panic on a closed pipe.
pub(crate) fn eprint_line(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}
