//! The programs of the workspace: built by cargo, found in what cargo says, and run.
//!
//! Unless they are to be measured, they are built as part of the whole workspace with the features that its tests have. So a build for `up` and a build
//! for the tests share every dependency; cargo would otherwise compile many of them once for each.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use serde_json::Value;

use crate::system::System;
use crate::workspace;

/// Messages for the user stay text; cargo adds a line of JSON for each file that it makes.
const MESSAGES: &str = "--message-format=json-render-diagnostics";

/// The path of each binary by its name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Programs(BTreeMap<String, PathBuf>);

impl Programs {
    /// The command that runs a program in the root of the workspace. `package` is the folder of its package there.
    pub(crate) fn command(&self, name: &str, package: &str) -> Result<Command> {
        let mut command = Command::new(self.path(name)?);
        // As `cargo run` does it; what this process has is for xtask.
        command.current_dir(workspace::root()).env("CARGO_MANIFEST_DIR", workspace::root().join(package));
        Ok(command)
    }

    pub(crate) fn path(&self, name: &str) -> Result<&Path> {
        self.0.get(name).map(PathBuf::as_path).with_context(|| format!("the workspace has no binary {name}"))
    }

    /// Takes a line of cargo's JSON. Most are about other things.
    fn take(&mut self, line: &str) {
        if let Some((name, path)) = executable(line) {
            self.0.insert(name, path);
        }
    }
}

/// Builds programs with one call of cargo, as a step of the progress.
pub(crate) fn build(system: &mut System, names: &[&str]) -> Result<Programs> {
    system.progress.start("build", &names.join(", "));
    let found = Arc::new(Mutex::new(Programs::default()));
    let (programs, progress) = (Arc::clone(&found), system.progress.clone());
    let compiled = Mutex::new(0);
    system.run("build", &cargo_build(names), move |line| {
        let is_text = !line.starts_with('{');
        if is_text {
            progress.detail("build", &with_count(line, &compiled));
        } else {
            programs.lock().unwrap_or_else(PoisonError::into_inner).take(line);
        }
        is_text
    })?;
    system.progress.done("build", "done");
    let programs = found.lock().unwrap_or_else(PoisonError::into_inner).clone();
    Ok(programs)
}

/// The same, but cargo writes to the terminal itself. `None` when something does not compile.
pub(crate) fn build_attached(system: &mut System, names: &[&str]) -> Result<Option<Programs>> {
    run_attached(system, &cargo_build(names))
}

/// Builds the programs of these packages as they are released: with no feature that somebody else in the workspace asks for.
pub(crate) fn build_released(system: &mut System, packages: &[&str]) -> Result<Option<Programs>> {
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release", MESSAGES]);
    cargo.args(packages.iter().flat_map(|package| ["--package", package]));
    run_attached(system, &cargo)
}

fn run_attached(system: &mut System, cargo: &Command) -> Result<Option<Programs>> {
    let (status, output) = system.output_attached("build", cargo)?;
    let mut programs = Programs::default();
    output.lines().for_each(|line| programs.take(line));
    Ok(status.success().then_some(programs))
}

fn cargo_build(names: &[&str]) -> Command {
    let mut cargo = workspace::cargo();
    // There are no examples. Asking for them makes cargo choose features as for tests.
    cargo.args(["build", "--workspace", "--examples"]);
    cargo.args(names.iter().flat_map(|name| ["--bin", name]));
    cargo.arg(MESSAGES);
    cargo
}

/// A line of cargo with the number of crates that it has compiled, the one that it names included.
fn with_count(line: &str, compiled: &Mutex<u32>) -> String {
    if !line.trim_start().starts_with("Compiling ") {
        return line.to_owned();
    }
    let mut compiled = compiled.lock().unwrap_or_else(PoisonError::into_inner);
    *compiled += 1;
    format!("{line} (crate {compiled})")
}

/// The name and path of the executable that a line of cargo's JSON announces.
fn executable(line: &str) -> Option<(String, PathBuf)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message["executable"].as_str()?);
    let name = path.file_stem().and_then(OsStr::to_str)?.to_owned();
    Some((name, path))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_executables_in_the_messages_of_cargo() {
        let line = r#"{"reason":"compiler-artifact","executable":"/tmp/a b/debug/orders"}"#;
        let expected = ("orders".to_owned(), PathBuf::from("/tmp/a b/debug/orders"));
        assert_eq!(executable(line), Some(expected));
        assert_eq!(executable(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(executable("   Compiling orders v0.1.0"), None);
    }

    #[test]
    fn counts_the_crates_and_nothing_else() {
        let compiled = Mutex::new(0);
        assert_eq!(with_count("   Compiling serde v1.0.0", &compiled), "   Compiling serde v1.0.0 (crate 1)");
        assert_eq!(with_count("warning: unused", &compiled), "warning: unused");
        assert_eq!(with_count("   Compiling orders v0.1.0", &compiled), "   Compiling orders v0.1.0 (crate 2)");
    }
}
