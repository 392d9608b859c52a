//! `ci`: runs the checks that every change must pass. Each check is a command that can also be run manually.

use std::env;
use std::fs;
use std::process::Stdio;

use anyhow::{Context, Result};
use harness::{Log, Process};

use crate::cli::CiArgs;
use crate::outcome::{SUCCESS, check_exit_code};
use crate::system::System;
use crate::workspace;

/// Background step: installing cargo-deny can take minutes, and the tests spend most of their time waiting.
const BACKGROUND: &str = "deny";
/// Step that treats rustdoc warnings as errors.
const DOC: &str = "doc";
/// Step that compares with the revision in `BASE_REV`, if it is set.
const OPENAPI_DIFF: &str = "openapi-diff";

/// Name and command line of a step.
type Step = (&'static str, &'static str);

/// All steps, in execution order. Excludes `compose-test`, which requires a Docker Engine.
const STEPS: [Step; 13] = [
    ("fmt", "cargo fmt --all --check"),
    ("clippy", "cargo clippy --locked --workspace --all-targets -- -D warnings"),
    (DOC, "cargo doc --locked --workspace --no-deps"),
    ("openapi", "cargo xtask openapi check"),
    // CI sets BASE_REV to the commit before a push to main. If it is not set, the base is the merge base with main, or,
    // on main, the latest release. Requires the full history with tags; shallow clones are rejected.
    (OPENAPI_DIFF, "cargo xtask openapi diff"),
    ("schema", "cargo xtask schema check"),
    ("build", "cargo test --locked --workspace --no-run"),
    // If the RustSec database cannot be fetched, the log warns that advisories were not checked.
    (BACKGROUND, "nice cargo xtask deny --advisories-if-reachable"),
    ("test", "cargo xtask test"),
    ("conformance", "cargo xtask conformance --attack-seconds 20"),
    ("chaos", "cargo xtask chaos --minutes 1"),
    ("rolling", "cargo xtask rolling --minutes 1"),
    // Lenient: a busy CI machine cannot measure the slowdown of regular clients reliably.
    ("abuse", "cargo xtask abuse --minutes 1 --lenient"),
];

pub(crate) async fn run(args: &CiArgs) -> Result<u8> {
    let steps = selected(args)?;
    if args.list {
        for (name, line) in steps {
            println!("{name:<14}{line}");
        }
        return Ok(SUCCESS);
    }
    let system = System::new(None)?;
    let mut background = None;
    let result = run_steps(&system, steps, &mut background).await;
    if let Some(process) = background {
        if !matches!(result, Ok(SUCCESS)) {
            process.stop().await;
        }
        print!("{}", fs::read_to_string(workspace::local("deny.log"))?);
    }
    result
}

/// Runs the steps in order, and stops at the first one that fails.
async fn run_steps(system: &System, steps: &[Step], background: &mut Option<Process>) -> Result<u8> {
    for &(name, line) in steps {
        let revision = env::var("BASE_REV").ok().filter(|revision| name == OPENAPI_DIFF && !revision.is_empty());
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
            return Ok(check_exit_code(status));
        }
    }
    let Some(process) = background else { return Ok(SUCCESS) };
    println!("\n== waiting for the background step {BACKGROUND}");
    system.unless_interrupted(process.wait()).await?.map(check_exit_code)
}

fn selected(args: &CiArgs) -> Result<&'static [Step]> {
    let index = |name: &String| STEPS.iter().position(|step| step.0 == name);
    let range = match (&args.only, &args.from) {
        (Some(name), _) => index(name).map(|index| &STEPS[index..=index]),
        (None, Some(name)) => index(name).map(|index| &STEPS[index..]),
        (None, None) => Some(&STEPS[..]),
    };
    range.with_context(|| format!("unknown step; the steps are {}", STEPS.map(|step| step.0).join(", ")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn steps_are_selected_by_from_and_only() {
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
