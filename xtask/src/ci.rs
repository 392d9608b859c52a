//! `ci`: the gate, as a list of steps that are the commands a person would type.

use std::env;
use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result};
use harness::{Log, Process};

use crate::cli::CiArgs;
use crate::outcome::{FINE, checked};
use crate::system::System;
use crate::workspace;

/// Runs beside the steps after it: cargo-deny compiles for minutes where it is missing, while tests mostly wait.
const BACKGROUND: &str = "deny";
/// Warnings are errors.
const DOC: &str = "doc";
/// Takes a revision from BASE_REV.
const COMPARING: &str = "openapi-diff";

/// The name and the command line of a step.
type Step = (&'static str, &'static str);

/// The steps in their order. `compose-test` is not among them: it needs a Docker Engine.
const STEPS: [Step; 13] = [
    ("fmt", "cargo fmt --all --check"),
    ("clippy", "cargo clippy --locked --workspace --all-targets -- -D warnings"),
    (DOC, "cargo doc --locked --workspace --no-deps"),
    ("openapi", "cargo xtask openapi check"),
    // Compares with BASE_REV, the commit before a push to main; else with the last release, and before the first with
    // the parent. A CI system fetches the history with its tags for this: a shallow clone is refused.
    (COMPARING, "cargo xtask openapi diff"),
    ("schema", "cargo xtask schema check"),
    ("build", "cargo test --locked --workspace --no-run"),
    // Where RustSec's list cannot be fetched, the log says that advisories were not looked at.
    (BACKGROUND, "nice cargo xtask deny --advisories-if-reachable"),
    ("test", "cargo xtask test"),
    ("conformance", "cargo xtask conformance --attack-seconds 20"),
    ("chaos", "cargo xtask chaos --minutes 1"),
    ("rolling", "cargo xtask rolling --minutes 1"),
    // The slowdown of others is only reported: machines that test are busy.
    ("abuse", "cargo xtask abuse --minutes 1 --lenient"),
];

pub(crate) async fn run(args: &CiArgs) -> Result<u8> {
    let steps = selected(args)?;
    if args.list {
        for (name, line) in steps {
            println!("{name:<14}{line}");
        }
        return Ok(FINE);
    }
    let system = System::new(None)?;
    let mut background = None;
    let result = run_steps(&system, steps, &mut background).await;
    if let Some(process) = background {
        if !matches!(result, Ok(FINE)) {
            process.stop().await;
        }
        print!("{}", fs::read_to_string(workspace::local("deny.log"))?);
    }
    result
}

/// Stops at the first step that fails.
async fn run_steps(system: &System, steps: &[Step], background: &mut Option<Process>) -> Result<u8> {
    for &(name, line) in steps {
        let revision = env::var("BASE_REV").ok().filter(|revision| name == COMPARING && !revision.is_empty());
        let words = Vec::from_iter(line.split(' ').map(str::to_owned).chain(revision));
        println!("\n== {}", words.join(" "));
        let mut command = if words[0] == "cargo" { workspace::cargo() } else { workspace::command(&words[0]) };
        command.args(&words[1..]);
        if name == BACKGROUND {
            fs::create_dir_all(workspace::local(""))?;
            let log = Log::create(&workspace::local(""), BACKGROUND)?;
            *background = Some(Process::spawn(command, Stdio::null(), log).await?);
            continue;
        }
        if name == DOC {
            command.env("RUSTDOCFLAGS", "-D warnings");
        }
        let status = system.run_attached(&command).await?;
        if !status.success() {
            println!("\n== {name} failed ({status})");
            return Ok(checked(status));
        }
    }
    let Some(process) = background else { return Ok(FINE) };
    println!("\n== wait for {BACKGROUND}");
    system.unless_disturbed(process.wait()).await?.map(checked)
}

fn selected(args: &CiArgs) -> Result<&'static [Step]> {
    let place = |name: &String| STEPS.iter().position(|step| step.0 == name);
    let range = match (&args.only, &args.from) {
        (Some(name), _) => place(name).map(|place| &STEPS[place..=place]),
        (None, Some(name)) => place(name).map(|place| &STEPS[place..]),
        (None, None) => Some(&STEPS[..]),
    };
    range.with_context(|| format!("no such step: {}", STEPS.map(|step| step.0).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_of_the_steps_can_be_chosen() {
        let names = |from: Option<&str>, only: Option<&str>| {
            let args = CiArgs { list: false, from: from.map(str::to_owned), only: only.map(str::to_owned) };
            selected(&args).map(|steps| Vec::from_iter(steps.iter().map(|step| step.0)))
        };
        assert_eq!(names(None, None).unwrap().len(), STEPS.len());
        assert_eq!(names(Some("rolling"), None).unwrap(), ["rolling", "abuse"]);
        assert_eq!(names(None, Some("schema")).unwrap(), ["schema"]);
        assert!(names(None, Some("nothing")).unwrap_err().to_string().contains("openapi-diff"));
    }
}
