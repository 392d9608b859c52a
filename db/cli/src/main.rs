//! The program `db`: migrations, seed rows, schema files, and the audit of a database.

mod audit;
mod files;
mod progress;

use std::env;
use std::process::ExitCode;

use anyhow::Context;
use clap::{ColorChoice, Parser, Subcommand};
use console::style;
use db::{DatabaseSettings, Db, migrations};
use db_cli::seed::{self, Size};

/// `audit` or `schema check` found something.
const VIOLATION: u8 = 1;
/// Neither a violation nor the absence of one.
const COULD_NOT_RUN: u8 = 3;

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  `audit` found a violation, or `schema check` a difference
  2  wrong usage
  3  could not run";

/// Prepares and audits the database of the back office
///
/// The database is that of --database-url or DATABASE_URL (mysql://user:password@host:port/name?ssl-mode=…&ssl-ca=…), or
/// else that of DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME, DB_SSL_MODE and DB_SSL_CA.
#[derive(Parser)]
#[command(name = "db", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// The database, instead of that of the environment
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// When to use colors; `auto` honors NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

#[derive(Subcommand)]
enum Command {
    /// Change the tables
    #[command(subcommand, after_help = EXIT_CODES)]
    Migrate(Migrate),
    /// Insert sample rows; a second run changes nothing
    #[command(after_help = EXIT_CODES)]
    Seed {
        /// Also append this many generated orders, a tenth as many customers and a twentieth as many products
        #[arg(long, value_name = "ORDERS")]
        scale: Option<u32>,
        /// This many customers instead of a tenth
        #[arg(long, value_name = "N", requires = "scale")]
        customers: Option<u32>,
        /// This many products instead of a twentieth
        #[arg(long, value_name = "N", requires = "scale")]
        products: Option<u32>,
    },
    /// Check the data against its invariants; changes nothing, and can run beside live traffic
    #[command(after_help = EXIT_CODES)]
    Audit {
        /// Violations to show of each invariant
        #[arg(long, value_name = "N", default_value_t = db_audit::DEFAULT_EXAMPLES)]
        examples: usize,
    },
    /// Write db/schema.sql and db/src/schema.rs from the migrations, in a scratch database on the same server
    #[command(subcommand, after_help = EXIT_CODES)]
    Schema(Schema),
}

#[derive(Subcommand)]
enum Migrate {
    /// Create the database if it is missing, and apply pending migrations
    Up,
    /// List the migrations and whether they are applied
    Status,
    /// Revert the newest migration; the data in its tables is lost
    Down,
    /// Revert the newest migration and apply it again; the data in its tables is lost
    Redo,
}

#[derive(Subcommand)]
enum Schema {
    /// Write the files
    Generate,
    /// Show how the files differ from what would be written
    Check,
}

#[tokio::main]
async fn main() -> ExitCode {
    let Arguments { command, database_url, color } = Arguments::parse();
    if color != ColorChoice::Auto {
        console::set_colors_enabled(color == ColorChoice::Always);
        console::set_colors_enabled_stderr(color == ColorChoice::Always);
    }
    match run(command, database_url).await {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::from(VIOLATION),
        Err(error) => {
            eprintln!("{} {error:#}", style("error:").red().for_stderr());
            ExitCode::from(COULD_NOT_RUN)
        }
    }
}

/// Returns whether everything is as it should be.
async fn run(command: Command, database_url: Option<String>) -> anyhow::Result<bool> {
    let from_environment = |name: &str| env::var(name).ok();
    let settings = match database_url {
        Some(url) => DatabaseSettings::from_url(&url)?,
        None => DatabaseSettings::from_lookup(from_environment)?,
    };
    match command {
        Command::Migrate(command) => migrate(&settings, &command).await?,
        Command::Seed { scale, customers, products } => {
            let size = scale.map(|orders| size(orders, customers, products));
            seed(&Db::connect(&settings), size).await?;
        }
        Command::Audit { examples } => return audit::audit(&settings, examples).await,
        Command::Schema(Schema::Generate) => files::generate(&settings).await?,
        Command::Schema(Schema::Check) => return files::check(&settings).await,
    }
    Ok(true)
}

async fn migrate(settings: &DatabaseSettings, command: &Migrate) -> anyhow::Result<()> {
    match command {
        Migrate::Up => {
            let applied = migrations::up(settings).await?;
            for name in &applied {
                println!("applied {name}");
            }
            if applied.is_empty() {
                println!("nothing to apply: {} is up to date", settings.database());
            }
        }
        Migrate::Status => {
            for migration in migrations::status(settings).await? {
                println!("{} {}", if migration.applied { "applied" } else { "pending" }, migration.name);
            }
        }
        Migrate::Down => println!("reverted {}", migrations::down(settings).await?),
        Migrate::Redo => println!("reverted and applied {}", migrations::redo(settings).await?),
    }
    Ok(())
}

fn size(orders: u32, customers: Option<u32>, products: Option<u32>) -> Size {
    let size = Size::of_orders(orders);
    Size { customers: customers.unwrap_or(size.customers), products: products.unwrap_or(size.products), ..size }
        .with_choice()
}

async fn seed(db: &Db, size: Option<Size>) -> anyhow::Result<()> {
    seed::seed(db).await.context("cannot seed: is the database migrated?")?;
    println!("the rows of seed.sql are there");
    if let Some(size) = size {
        let progress = progress::Progress::of(size);
        let inserted = seed::seed_orders(db, size, |done| progress.advance(done)).await;
        progress.finish(inserted.context("cannot insert generated orders")?);
    }
    Ok(())
}
