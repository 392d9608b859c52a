//! The programs of the workspace: built by cargo and found in its messages.
//!
//! Unless they are measured, they are built as part of the whole workspace with the features that its tests have, so that
//! `up` and the tests share every dependency.

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::mpsc::channel;

use anyhow::{Context, Result, bail};
use harness::Log;
use serde_json::Value;

use crate::system::System;
use crate::{color, metadata, workspace};

/// Programs that were built, by name.
#[derive(Clone, Debug, Default)]
pub(crate) struct Programs(BTreeMap<String, Program>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    path: PathBuf,
    /// The folder of its package.
    package: PathBuf,
}

impl Programs {
    /// The command that runs a program in the root of the workspace.
    pub(crate) fn command(&self, name: &str) -> Result<Command> {
        let mut command = workspace::command(self.path(name)?);
        // As `cargo run` does it; the value of this process is for xtask.
        command.env("CARGO_MANIFEST_DIR", &self.get(name)?.package);
        Ok(command)
    }

    pub(crate) fn path(&self, name: &str) -> Result<&Path> {
        Ok(&self.get(name)?.path)
    }

    fn get(&self, name: &str) -> Result<&Program> {
        self.0.get(name).with_context(|| format!("the workspace has no program {name}"))
    }
}

/// Builds programs for development with one call of cargo.
pub(crate) async fn build(system: &System, names: &[&str]) -> Result<Programs> {
    let mut cargo = workspace::cargo();
    // There are no examples. Asking for them makes cargo choose features as for tests.
    cargo.args(["build", "--workspace", "--examples"]);
    cargo.args(names.iter().flat_map(|name| ["--bin", name]));
    run(system, cargo, names).await
}

/// Builds programs as they are released: with no feature that another package of the workspace asks for.
pub(crate) async fn build_released(system: &System, names: &[&str]) -> Result<Programs> {
    let packages = metadata::read()?;
    let mut cargo = workspace::cargo();
    cargo.args(["build", "--release"]);
    for name in names {
        cargo.args(["--package", &metadata::package_of(&packages, name)?.name]);
    }
    run(system, cargo, names).await
}

async fn run(system: &System, mut cargo: Command, names: &[&str]) -> Result<Programs> {
    // Messages for people stay text; cargo adds a line of JSON for each artifact.
    cargo.arg("--message-format=json-render-diagnostics");
    cargo.env("CARGO_TERM_COLOR", if color::on_stderr() { "always" } else { "never" });
    system.progress.start("build", &names.join(", "));
    let (text, compiled) = (system.detail_log("build"), AtomicU32::new(0));
    let (found, programs) = channel();
    let messages = text.clone();
    let log = Log::new(move |line| match program(line) {
        // The receiver lives until the end of cargo.
        Some(program) => drop(found.send(program)),
        None if line.starts_with('{') => {}
        None => messages.line(&with_count(line, &compiled)),
    });
    let status = system.run(cargo, log).await?;
    if !status.success() {
        bail!("the build failed:\n{}", text.tail(usize::MAX));
    }
    system.progress.done("build", "done");
    Ok(Programs(programs.try_iter().collect()))
}

/// A line of cargo with the number of crates compiled so far.
fn with_count(line: &str, compiled: &AtomicU32) -> String {
    if !line.contains("Compiling") {
        return line.to_owned();
    }
    format!("{line} (crate {})", compiled.fetch_add(1, Ordering::Relaxed) + 1)
}

/// The program that a line of cargo's JSON announces.
fn program(line: &str) -> Option<(String, Program)> {
    let message: Value = serde_json::from_str(line).ok()?;
    let path = PathBuf::from(message["executable"].as_str()?);
    let name = path.file_stem().and_then(OsStr::to_str)?.to_owned();
    let package = Path::new(message["manifest_path"].as_str()?).parent()?.to_owned();
    Some((name, Program { path, package }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn finds_programs_in_the_messages_of_cargo() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/tmp/a b/orders/Cargo.toml","fresh":true,"executable":"/tmp/a b/debug/orders"}"#;
        let (path, package) = (PathBuf::from("/tmp/a b/debug/orders"), PathBuf::from("/tmp/a b/orders"));
        assert_eq!(program(line), Some(("orders".to_owned(), Program { path, package })));
        assert_eq!(program(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(program("   Compiling orders v0.1.0"), None);
    }

    #[test]
    fn counts_the_crates_and_nothing_else() {
        let compiled = AtomicU32::new(0);
        assert_eq!(with_count("   Compiling serde v1.0.0", &compiled), "   Compiling serde v1.0.0 (crate 1)");
        assert_eq!(with_count("warning: unused", &compiled), "warning: unused");
        assert_eq!(with_count("   Compiling orders v0.1.0", &compiled), "   Compiling orders v0.1.0 (crate 2)");
    }
}
