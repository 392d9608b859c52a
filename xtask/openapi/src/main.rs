//! `cargo xtask openapi`: writes the documents in `specs/` from the API traits, checks that they are up to date, or says
//! which of their changes break clients.
//!
//! This program needs the API crates and nothing behind them, so a document can be written while the servers, which
//! are to be changed next, do not compile.

mod complete;
mod diff;
mod rules;
mod tour;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Parser, Subcommand};
use common_contract::Contract;
use dropshot::{ApiDescription, StubContext};
use openapi_document::Document as Readable;
use similar::TextDiff;

/// Writes, checks or compares the OpenAPI documents.
#[derive(Parser)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Write specs/*.json from the API traits
    Generate,
    /// Fail where specs/*.json are not what the API traits say, or break a rule of all documents
    Check,
    /// Fail where specs/*.json break clients of an earlier revision
    ///
    /// Unless a revision is given, a branch is compared with the commit where it left main. Main itself is compared with the
    /// last release, the highest tag like v1.2.3 before HEAD: clients have its documents, and what came after it may still be
    /// mended. Before the first release that is the parent of HEAD, so whoever pushes several commits at once gives the
    /// commit that main had before.
    Diff {
        /// The revision to compare with
        revision: Option<String>,
    },
}

fn main() -> ExitCode {
    match run(&Arguments::parse().command) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("openapi: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn run(command: &Command) -> Result<()> {
    match command {
        Command::Generate => generate(&documents()?),
        Command::Check => check(&documents()?),
        Command::Diff { revision } => {
            let broken = diff::run(&root(), revision.as_deref())?;
            if !broken.is_empty() {
                bail!("{} would break clients: take the change back, or raise the major version", broken.join(", "));
            }
            Ok(())
        }
    }
}

/// A document, and where it belongs.
struct Document {
    path: PathBuf,
    text: String,
}

fn documents() -> Result<Vec<Document>> {
    let mut documents = services()?;
    documents.extend(tour::documents(&documents)?);
    Ok(documents)
}

/// The documents of the services.
fn services() -> Result<Vec<Document>> {
    Ok(vec![
        render(&customers_api::CONTRACT, &customers_api::customers_api_mod::stub_api_description()?)?,
        render(&orders_api::CONTRACT, &orders_api::orders_api_mod::stub_api_description()?)?,
        render(&orchestrator_api::CONTRACT, &orchestrator_api::orchestrator_api_mod::stub_api_description()?)?,
    ])
}

fn render(contract: &Contract, api: &ApiDescription<StubContext>) -> Result<Document> {
    let version = semver::Version::parse(contract.version).context("the contract's version")?;
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
        let changed = current(document)? != document.text;
        if changed {
            let path = root().join(&document.path);
            let written = path.parent().map_or(Ok(()), std::fs::create_dir_all);
            written
                .and_then(|()| std::fs::write(&path, &document.text))
                .with_context(|| format!("writing {}", document.path.display()))?;
        }
        println!("{}: {}", document.path.display(), if changed { "written" } else { "up to date" });
    }
    Ok(())
}

fn check(documents: &[Document]) -> Result<()> {
    let mut stale = 0;
    for document in documents {
        let current = current(document)?;
        if current == document.text {
            println!("{}: up to date", document.path.display());
            continue;
        }
        stale += 1;
        let checked_in = format!("{} as checked in", document.path.display());
        println!(
            "{}",
            TextDiff::from_lines(&current, &document.text).unified_diff().header(&checked_in, "what the trait says")
        );
    }
    let broken = broken_rules(&services()?)?;
    if stale > 0 {
        bail!("{stale} of {} documents are out of date: run `cargo xtask openapi generate`", documents.len());
    }
    if broken > 0 {
        bail!("{broken} rules are broken");
    }
    Ok(())
}

/// Says which rules the documents break, and how many.
fn broken_rules(documents: &[Document]) -> Result<usize> {
    let mut broken = 0;
    for document in documents {
        for finding in rules::broken(&Readable::parse(&document.text)?) {
            println!("{}: {finding}", document.path.display());
            broken += 1;
        }
    }
    Ok(broken)
}

/// What is checked in; empty where nothing is.
fn current(document: &Document) -> Result<String> {
    match std::fs::read_to_string(root().join(&document.path)) {
        Ok(text) => Ok(text),
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => Ok(String::new()),
        Err(error) => Err(error).with_context(|| format!("reading {}", document.path.display())),
    }
}

/// The working copy in which this program runs; it may have been built in another one.
fn root() -> PathBuf {
    let package = std::env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    Path::new(&package).join("../..")
}
