//! Builds workspace programs with cargo, and finds their paths in cargo's JSON messages.
//!
//! Development builds enable the features of the whole workspace, including its tests, so that `up` and the tests share
//! compiled dependencies. Release builds, which are benchmarked, do not.

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

#[derive(Clone, Debug, Default)]
pub(crate) struct Programs(BTreeMap<String, Program>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Program {
    path: PathBuf,
    package: PathBuf,
}

impl Programs {
    /// Returns a command that runs a program in the workspace root.
    pub(crate) fn command(&self, name: &str) -> Result<Command> {
        let mut command = workspace::command(self.path(name)?);
        // Set the variable as `cargo run` does; the inherited value is xtask's directory.
        command.env("CARGO_MANIFEST_DIR", &self.get(name)?.package);
        Ok(command)
    }

    pub(crate) fn path(&self, name: &str) -> Result<&Path> {
        Ok(&self.get(name)?.path)
    }

    fn get(&self, name: &str) -> Result<&Program> {
        self.0.get(name).with_context(|| format!("the program {name} was not built"))
    }
}

pub(crate) const RELEASED: [&str; 4] = ["customers", "orders", "orchestrator", "db"];

/// Builds programs for development in one cargo invocation.
pub(crate) async fn build(system: &System, names: &[&str]) -> Result<Programs> {
    let mut cargo = workspace::cargo();
    // The workspace has no examples, but this option also enables the features of dev-dependencies, as test builds do.
    cargo.args(["build", "--workspace", "--examples"]);
    cargo.args(names.iter().flat_map(|name| ["--bin", name]));
    run(system, cargo, names).await
}

/// Builds programs in release mode, without features that only other workspace packages enable.
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
    // Diagnostics remain text; cargo additionally prints one line of JSON per artifact.
    cargo.arg("--message-format=json-render-diagnostics");
    cargo.env("CARGO_TERM_COLOR", if color::on_stderr() { "always" } else { "never" });
    system.progress.start("build", &names.join(", "));
    let (text, compiled) = (system.detail_log("build"), AtomicU32::new(0));
    let (found, programs) = channel();
    let messages = text.clone();
    let log = Log::new(move |line| match program(line) {
        // The receiver outlives cargo, so this cannot fail.
        Some(program) => drop(found.send(program)),
        None if line.starts_with('{') => {}
        None => messages.line(&with_count(line, &compiled)),
    });
    let status = system.run(cargo, log).await?;
    if !status.success() {
        bail!("the build failed:\n{}", text.tail(usize::MAX));
    }
    system.progress.finish("build", "done");
    Ok(Programs(programs.try_iter().collect()))
}

/// Appends the number of crates compiled so far to a `Compiling` line.
fn with_count(line: &str, compiled: &AtomicU32) -> String {
    if !line.contains("Compiling") {
        return line.to_owned();
    }
    format!("{line} (crate {})", compiled.fetch_add(1, Ordering::Relaxed) + 1)
}

/// Returns the program that a line of cargo's output reports, if any.
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
    fn programs_are_found_in_cargo_messages() {
        let line = r#"{"reason":"compiler-artifact","manifest_path":"/tmp/a b/orders/Cargo.toml","fresh":true,"executable":"/tmp/a b/debug/orders"}"#;
        let (path, package) = (PathBuf::from("/tmp/a b/debug/orders"), PathBuf::from("/tmp/a b/orders"));
        assert_eq!(program(line), Some(("orders".to_owned(), Program { path, package })));
        assert_eq!(program(r#"{"reason":"compiler-artifact","executable":null}"#), None);
        assert_eq!(program("   Compiling orders v0.1.0"), None);
    }

    #[test]
    fn only_compiling_lines_are_counted() {
        let compiled = AtomicU32::new(0);
        assert_eq!(with_count("   Compiling serde v1.0.0", &compiled), "   Compiling serde v1.0.0 (crate 1)");
        assert_eq!(with_count("warning: unused", &compiled), "warning: unused");
        assert_eq!(with_count("   Compiling orders v0.1.0", &compiled), "   Compiling orders v0.1.0 (crate 2)");
    }

    #[test]
    fn released_programs_are_those_outside_of_qa_and_xtask() {
        let workspace = metadata::read().unwrap();
        let is_tool =
            |folder: &Path| ["qa", "xtask"].iter().any(|tools| folder.starts_with(workspace::root().join(tools)));
        let packages = workspace.packages.iter().filter(|package| !is_tool(metadata::folder(package)));
        let targets = packages.flat_map(|package| &package.targets).filter(|target| target.is_bin());
        let mut programs = Vec::from_iter(targets.map(|target| target.name.as_str()));
        let mut released = RELEASED;
        programs.sort_unstable();
        released.sort_unstable();
        assert_eq!(programs, released);
    }
}
