//! `db schema`: the generated files of the working copy.

use std::path::PathBuf;
use std::{env, fs};

use anyhow::Context;
use console::style;
use db::DatabaseSettings;
use db_cli::schema::Schema;
use similar::TextDiff;

/// Writes the files.
pub(crate) async fn generate(settings: &DatabaseSettings) -> anyhow::Result<()> {
    let root = working_copy()?;
    for (name, text) in generated(settings).await? {
        fs::write(root.join(name), text).with_context(|| format!("cannot write {name}"))?;
        println!("wrote {name}");
    }
    Ok(())
}

/// Prints how the files differ from what [`generate`] would write, and returns whether they do not.
pub(crate) async fn check(settings: &DatabaseSettings) -> anyhow::Result<bool> {
    let root = working_copy()?;
    let mut is_current = true;
    for (name, text) in generated(settings).await? {
        let file = fs::read_to_string(root.join(name)).with_context(|| format!("cannot read {name}"))?;
        if file == text {
            println!("{name} is up to date");
        } else {
            is_current = false;
            print_difference(name, &file, &text);
            println!("{name} is not what the migrations create: run `cargo xtask schema generate`");
        }
    }
    Ok(is_current)
}

async fn generated(settings: &DatabaseSettings) -> anyhow::Result<[(&'static str, String); 2]> {
    let schema = Schema::of_migrations(settings).await?;
    Ok([("db/schema.sql", schema.sql()), ("db/src/schema.rs", schema.rust()?)])
}

/// The working copy that the current directory is in: this program may have been built in another one.
fn working_copy() -> anyhow::Result<PathBuf> {
    let directory = env::current_dir()?;
    let root = directory.ancestors().find(|directory| directory.join("db/migrations").is_dir());
    root.map(PathBuf::from).context("the current directory is in no working copy of this project")
}

fn print_difference(name: &str, file: &str, text: &str) {
    let difference = TextDiff::from_lines(file, text).unified_diff().header(name, "the migrations").to_string();
    for line in difference.lines() {
        let styled = match line.chars().next() {
            Some('-') => style(line).red(),
            Some('+') => style(line).green(),
            _ => style(line),
        };
        println!("{styled}");
    }
}
