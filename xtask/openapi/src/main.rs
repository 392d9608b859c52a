//! `cargo xtask openapi`: generates `specs/` from the API traits, checks it, and reports breaking API changes.
//!
//! The program depends only on the API crates, so it can generate a document even while the servers do not compile.

mod complete;
mod diff;
mod rules;
mod walkthrough;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anstyle::{AnsiColor, Style};
use anyhow::{Context, Result};
use clap::{Parser, Subcommand};
use common_contract::Contract;
use dropshot::{ApiDescription, StubContext};
use openapi_document::Document as Readable;
use similar::TextDiff;

/// Generate, check or compare the OpenAPI documents
#[derive(Parser)]
#[command(bin_name = "cargo xtask openapi", version, disable_help_subcommand = true)]
#[command(after_help = "Exit codes:
  0  the documents are up to date, follow the style rules and contain no breaking changes
  1  a document is out of date, violates a style rule, or contains a breaking change
  2  usage error
  3  could not run")]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    #[command(flatten)]
    color: colorchoice_clap::Color,
}

#[derive(Subcommand)]
enum Command {
    /// Generate the documents in specs/ from the API traits
    Generate,
    /// Check that the documents in specs/ are up to date and follow the style rules
    Check,
    /// Report breaking changes in specs/*.json since an earlier revision
    ///
    /// By default, a branch is compared with its merge base with main, and main is compared with the latest release:
    /// the highest tag of the form v1.2.3 that is an ancestor of HEAD. Removing an unreleased API change is therefore
    /// not a breaking change on main. Before the first release, main is compared with the parent of HEAD; if several
    /// commits were pushed, pass the commit that main pointed to before the push. If the
    /// file specs/base exists, the documents are compared with the revision in this file instead.
    Diff {
        /// Revision with which to compare the documents
        revision: Option<String>,
    },
}

fn main() -> ExitCode {
    let arguments = Arguments::parse();
    arguments.color.write_global();
    let (problem, code) = match run(&arguments.command) {
        Ok(None) => return ExitCode::SUCCESS,
        Ok(Some(violation)) => (violation, 1),
        Err(error) => (format!("{error:#}"), 3),
    };
    let red = Style::new().fg_color(Some(AnsiColor::Red.into())).bold();
    anstream::eprintln!("{red}openapi:{red:#} {problem}");
    ExitCode::from(code)
}

/// Runs a command. If the documents have a problem, returns its description.
fn run(command: &Command) -> Result<Option<String>> {
    match command {
        Command::Generate => generate(&documents()?).map(|()| None),
        Command::Check => check(&documents()?),
        Command::Diff { revision } => {
            let broken = diff::run(&root(), revision.as_deref())?.join(", ");
            let violation = || format!("breaking changes in {broken}: revert them, or raise the major version");
            Ok((!broken.is_empty()).then(violation))
        }
    }
}

/// Prints lines: removals and breaking changes in red, additions in green.
fn print(text: &str) {
    for line in text.lines() {
        let color = match line.trim_start() {
            trimmed if line.starts_with('-') || trimmed.starts_with("breaks") => Some(AnsiColor::Red),
            _ if line.starts_with('+') => Some(AnsiColor::Green),
            _ => None,
        };
        let style = Style::new().fg_color(color.map(Into::into));
        anstream::println!("{style}{line}{style:#}");
    }
}

/// Generated document and its path relative to the root.
struct Document {
    path: PathBuf,
    text: String,
}

fn documents() -> Result<Vec<Document>> {
    let mut documents = services()?;
    documents.extend(walkthrough::documents(&documents)?);
    Ok(documents)
}

fn services() -> Result<Vec<Document>> {
    Ok(vec![
        render(&customers_api::CONTRACT, &customers_api::customers_api_mod::stub_api_description()?)?,
        render(&orders_api::CONTRACT, &orders_api::orders_api_mod::stub_api_description()?)?,
        render(&orchestrator_api::CONTRACT, &orchestrator_api::orchestrator_api_mod::stub_api_description()?)?,
    ])
}

fn render(contract: &Contract, api: &ApiDescription<StubContext>) -> Result<Document> {
    let version = semver::Version::parse(contract.version).context("invalid version in CONTRACT")?;
    let mut definition = api.openapi(contract.title, version);
    definition
        .description(contract.description)
        .contact_name("B2B orders back office")
        .license("MIT OR Apache-2.0", "https://spdx.org/licenses/");
    let mut document = definition.json()?;
    complete::complete(&mut document, contract).with_context(|| format!("specs/{}.json", contract.name))?;
    let path = Path::new("specs").join(contract.name).with_extension("json");
    Ok(Document { path, text: format!("{document:#}\n") })
}

fn generate(documents: &[Document]) -> Result<()> {
    for document in documents {
        let (file, name) = (root().join(&document.path), document.path.display());
        let is_changed = current(document)? != document.text;
        if is_changed {
            let folder = std::fs::create_dir_all(file.with_file_name(""));
            let written = folder.and_then(|()| std::fs::write(&file, &document.text));
            written.with_context(|| format!("cannot write {name}"))?;
        }
        println!("{name}: {}", if is_changed { "written" } else { "up to date" });
    }
    Ok(())
}

fn check(documents: &[Document]) -> Result<Option<String>> {
    let (mut stale, mut broken) = (0, 0);
    for document in documents {
        let name = document.path.display();
        let current = current(document)?;
        if current == document.text {
            println!("{name}: up to date");
            continue;
        }
        stale += 1;
        let diff = TextDiff::from_lines(&current, &document.text);
        let diff = diff.unified_diff().header(&format!("{name} as checked in"), "generated from the trait").to_string();
        print(&diff);
    }
    for document in &services()? {
        for finding in rules::violations(&Readable::parse(&document.text)?) {
            println!("{}: {finding}", document.path.display());
            broken += 1;
        }
    }
    Ok(match (stale, broken) {
        (0, 0) => None,
        (0, _) => Some(format!("{broken} rule violations")),
        _ => {
            let all = documents.len();
            Some(format!("{stale} of {all} documents are out of date: run `cargo xtask openapi generate`"))
        }
    })
}

/// Returns the document's text in the working copy, or an empty string if the file does not exist.
fn current(document: &Document) -> Result<String> {
    match std::fs::read_to_string(root().join(&document.path)) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("cannot read {}", document.path.display())),
    }
}

/// Returns the root of the working copy. The run-time value of `CARGO_MANIFEST_DIR` takes precedence over the
/// build-time value, because the program may have been built in another working copy.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("../..")
}
