//! `db schema`: the generated schema files in the source tree.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::Context;
use console::style;
use db::DatabaseSettings;
use db_cli::schema::Schema;
use similar::TextDiff;

/// Writes the schema files.
pub(crate) async fn generate(settings: &DatabaseSettings) -> anyhow::Result<()> {
    let root = source_root()?;
    for (name, text) in generated_files(settings).await? {
        fs::write(root.join(name), text).with_context(|| format!("cannot write {name}"))?;
        println!("wrote {name}");
    }
    Ok(())
}

/// Prints differences between the files and the output of [`generate`], and returns whether all files are up to date.
pub(crate) async fn check(settings: &DatabaseSettings) -> anyhow::Result<bool> {
    let root = source_root()?;
    let mut is_current = true;
    for (name, text) in generated_files(settings).await? {
        let file = fs::read_to_string(root.join(name)).with_context(|| format!("cannot read {name}"))?;
        if file == text {
            println!("{name} is up to date");
        } else {
            is_current = false;
            print_difference(name, &file, &text);
            println!("{name} differs from the migrations: run `cargo xtask schema generate`");
        }
    }
    Ok(is_current)
}

async fn generated_files(settings: &DatabaseSettings) -> anyhow::Result<[(&'static str, String); 2]> {
    let schema = Schema::of_migrations(settings).await?;
    Ok([("db/schema.sql", schema.sql()), ("db/src/schema.rs", schema.rust()?)])
}

/// Finds the source tree that contains the current directory. The program may have been built in a different source
/// tree.
fn source_root() -> anyhow::Result<PathBuf> {
    let directory = env::current_dir()?;
    let root = directory.ancestors().find(|directory| directory.join("db/migrations").is_dir());
    root.map(PathBuf::from).context("the current directory is not in a source tree of this project; change to its root")
}

fn print_difference(name: &str, file: &str, text: &str) {
    let difference = TextDiff::from_lines(file, text).unified_diff().header(name, "migrations").to_string();
    for line in difference.lines() {
        let styled = match line.chars().next() {
            Some('-') => style(line).red(),
            Some('+') => style(line).green(),
            _ => style(line),
        };
        println!("{styled}");
    }
}
