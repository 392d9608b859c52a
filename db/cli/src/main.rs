//! The command `db`: migrations, seeds, and the file `db/schema.sql`. The work is done by the library.

mod progress;

use std::path::PathBuf;
use std::process::ExitCode;
use std::{env, fs};

use anyhow::{Context, bail};
use clap::{Parser, Subcommand};
use db::{DatabaseSettings, Db, migrations};
use db_cli::schema_sql;
use db_cli::seed::{self, Size};
use similar::TextDiff;

/// Prepares the database of the back office.
///
/// The database is that of DATABASE_URL (mysql://user:password@host:port/name), or of DB_HOST, DB_PORT, DB_USER,
/// DB_PASSWORD, DB_NAME, DB_SSL_MODE and DB_SSL_CA.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Change the tables
    #[command(subcommand)]
    Migrate(Migrate),
    /// Insert the rows to start with; running it again changes nothing
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
    /// Keep db/schema.sql equal to what the migrations make; uses a scratch database, never the one named
    #[command(subcommand)]
    Schema(Schema),
}

#[derive(Subcommand)]
enum Migrate {
    /// Create the database if it is missing and apply what is not applied yet
    Up,
    /// List the migrations and whether they are applied
    Status,
    /// Take the newest migration back; the data in its tables is lost
    Down,
    /// Take the newest migration back and apply it again; the data in its tables is lost
    Redo,
}

#[derive(Subcommand)]
enum Schema {
    /// Write the file
    Generate,
    /// Show how the file differs from what would be written, and fail if it does
    Check,
}

#[tokio::main]
async fn main() -> ExitCode {
    let arguments = Arguments::parse();
    match run(arguments.command).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::FAILURE
        }
    }
}

async fn run(command: Command) -> anyhow::Result<()> {
    let settings = DatabaseSettings::from_lookup(|name| env::var(name).ok())?;
    match command {
        Command::Migrate(command) => migrate(&settings, &command).await,
        Command::Seed { scale, customers, products } => {
            let size = scale.map(|orders| size(orders, customers, products));
            seed(&Db::connect(&settings), size).await
        }
        Command::Schema(command) => schema(&settings, &command).await,
    }
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
        Migrate::Down => println!("took back {}", migrations::down(settings).await?),
        Migrate::Redo => println!("took back and applied {}", migrations::redo(settings).await?),
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

async fn schema(settings: &DatabaseSettings, command: &Schema) -> anyhow::Result<()> {
    let made = schema_sql::of_migrations(settings).await?;
    let file = schema_file();
    let shown = file.display();
    match command {
        Schema::Generate => {
            fs::write(&file, made).with_context(|| format!("cannot write {shown}"))?;
            println!("wrote {shown}");
        }
        Schema::Check => {
            let kept = fs::read_to_string(&file).with_context(|| format!("cannot read {shown}"))?;
            if kept != made {
                print!(
                    "{}",
                    TextDiff::from_lines(&kept, &made).unified_diff().header("db/schema.sql", "the migrations")
                );
                bail!("db/schema.sql is not what the migrations make: run `cargo xtask schema generate`");
            }
            println!("db/schema.sql is what the migrations make");
        }
    }
    Ok(())
}

/// That of the working copy in which cargo runs this program; it may have been built in another one.
fn schema_file() -> PathBuf {
    let package = env::var_os("CARGO_MANIFEST_DIR").unwrap_or_else(|| env!("CARGO_MANIFEST_DIR").into());
    PathBuf::from(package).join("../schema.sql")
}
