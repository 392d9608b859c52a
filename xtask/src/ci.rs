//! `ci`: the gate, as a list of steps that are the commands a person would type.

use std::env;
use std::fs;
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use harness::{Log, Process};

use crate::cli::CiArgs;
use crate::outcome::{FINE, checked};
use crate::system::System;
use crate::workspace;

/// A command line of the gate.
struct Step {
    name: &'static str,
    line: &'static str,
    environment: &'static [(&'static str, &'static str)],
}

const fn step(name: &'static str, line: &'static str) -> Step {
    Step { name, line, environment: &[] }
}

/// Runs beside the steps after it: cargo-deny compiles for minutes where it is missing, while tests mostly wait.
const BACKGROUND: &str = "deny";
/// Takes a revision from BASE_REV.
const COMPARING: &str = "openapi-diff";

/// The steps in their order. `compose-test` is not among them: it needs a Docker Engine.
const STEPS: [Step; 13] = [
    step("fmt", "cargo fmt --all --check"),
    step("clippy", "cargo clippy --locked --workspace --all-targets -- -D warnings"),
    Step {
        name: "doc",
        line: "cargo doc --locked --workspace --no-deps",
        environment: &[("RUSTDOCFLAGS", "-D warnings")],
    },
    step("openapi", "cargo xtask openapi check"),
    // Compares with BASE_REV, the commit before a push to main; else with the last release, and before the first with
    // the parent. A CI system fetches the history with its tags for this: a shallow clone is refused.
    step(COMPARING, "cargo xtask openapi diff"),
    step("schema", "cargo xtask schema check"),
    step("build", "cargo test --locked --workspace --no-run"),
    // Where RustSec's list cannot be fetched, the log says that advisories were not looked at.
    step(BACKGROUND, "nice cargo xtask deny --advisories-if-reachable"),
    step("test", "cargo xtask test"),
    step("conformance", "cargo xtask conformance --attack-seconds 20"),
    step("chaos", "cargo xtask chaos --minutes 1"),
    step("rolling", "cargo xtask rolling --minutes 1"),
    // The slowdown of others is only reported: machines that test are busy.
    step("abuse", "cargo xtask abuse --minutes 1 --lenient"),
];

pub(crate) async fn run(args: &CiArgs) -> Result<u8> {
    let steps = selected(args)?;
    if args.list {
        for step in steps {
            println!("{:<14}{}", step.name, step.line);
        }
        return Ok(FINE);
    }
    let mut system = System::new(None)?;
    let mut background = None;
    let result = run_steps(&mut system, &steps, &mut background).await;
    if let Some(process) = background {
        if !matches!(result, Ok(FINE)) {
            process.stop().await;
        }
        print!("{}", fs::read_to_string(workspace::local("deny.log"))?);
    }
    result
}

/// Stops at the first step that fails.
async fn run_steps(system: &mut System, steps: &[&Step], background: &mut Option<Process>) -> Result<u8> {
    for step in steps {
        let words = step.words();
        println!("\n== {}", words.join(" "));
        let mut command = command(&words);
        if step.name == BACKGROUND {
            fs::create_dir_all(workspace::local(""))?;
            let log = Log::create(&workspace::local(""), BACKGROUND)?;
            *background = Some(Process::spawn(command, Stdio::null(), log).await?);
            continue;
        }
        let status = system.run_attached(command.envs(step.environment.iter().copied())).await?;
        if !status.success() {
            println!("\n== {} failed ({status})", step.name);
            return Ok(checked(status));
        }
    }
    match background {
        None => Ok(FINE),
        Some(process) => {
            println!("\n== wait for {BACKGROUND}");
            let ended = process.watch_end();
            system.unless_disturbed(ended).await?.context("exit status unknown").map(checked)
        }
    }
}

impl Step {
    /// The words of the line, with BASE_REV where it counts.
    fn words(&self) -> Vec<String> {
        let revision = env::var("BASE_REV").ok().filter(|revision| self.name == COMPARING && !revision.is_empty());
        self.line.split(' ').map(str::to_owned).chain(revision).collect()
    }
}

fn command(words: &[String]) -> Command {
    let mut command = if words[0] == "cargo" { workspace::cargo() } else { workspace::command(&words[0]) };
    command.args(&words[1..]);
    command
}

fn selected(args: &CiArgs) -> Result<Vec<&'static Step>> {
    let place = |name: &String| STEPS.iter().position(|step| step.name == name);
    let range = match (&args.only, &args.from) {
        (Some(name), _) => place(name).map(|place| place..=place),
        (None, Some(name)) => place(name).map(|place| place..=STEPS.len() - 1),
        (None, None) => Some(0..=STEPS.len() - 1),
    };
    match range {
        Some(range) => Ok(STEPS[range].iter().collect()),
        None => bail!("no such step: {}", STEPS.map(|step| step.name).join(", ")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_steps_can_be_chosen() {
        let names = |from: Option<&str>, only: Option<&str>| {
            let args = CiArgs { list: false, from: from.map(str::to_owned), only: only.map(str::to_owned) };
            selected(&args).map(|steps| Vec::from_iter(steps.iter().map(|step| step.name)))
        };
        assert_eq!(names(None, None).unwrap().len(), STEPS.len());
        assert_eq!(names(Some("rolling"), None).unwrap(), ["rolling", "abuse"]);
        assert_eq!(names(None, Some("schema")).unwrap(), ["schema"]);
        assert!(names(None, Some("nothing")).unwrap_err().to_string().contains("openapi-diff"));
    }
}
