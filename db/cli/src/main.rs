//! Command line tool `db`: migrations, sample data, reindexing, schema files, and data audit.

mod audit;
mod files;
mod progress;

use std::env;
use std::process::ExitCode;

use anyhow::Context;
use clap::{ColorChoice, Parser, Subcommand};
use console::style;
use db::{DatabaseSettings, Db, DbError, migrations};
use db_cli::reindex::{self, Batch};
use db_cli::seed::{self, Size};

/// Exit code if `audit` finds a violation or `schema check` finds a difference.
const VIOLATION: u8 = 1;
/// Number of rows between two lines of progress of `reindex`.
const REPORT_EVERY: usize = 10_000;

/// Exit code if the command fails.
const FAILED: u8 = 3;

const EXIT_CODES: &str = "\
Exit codes:
  0  success
  1  violation found by `audit`, or difference found by `schema check`
  2  usage error
  3  command failed";

/// Manage and audit the database of the orders back office
///
/// Select the database with --database-url or DATABASE_URL (mysql://user:password@host:port/name?ssl-mode=…&ssl-ca=…),
/// or with the separate variables DB_HOST, DB_PORT, DB_USER, DB_PASSWORD, DB_NAME, DB_SSL_MODE and DB_SSL_CA.
#[derive(Parser)]
#[command(name = "db", version, max_term_width = 100, after_help = EXIT_CODES)]
struct Arguments {
    #[command(subcommand)]
    command: Command,
    /// Database URL; overrides the environment variables
    #[arg(long, global = true, value_name = "URL")]
    database_url: Option<String>,
    /// When to use colors; `auto` respects NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value_t = ColorChoice::Auto)]
    color: ColorChoice,
}

#[derive(Subcommand)]
enum Command {
    /// Apply, list or revert schema migrations
    #[command(subcommand, after_help = EXIT_CODES)]
    Migrate(Migrate),
    /// Insert sample data without changing existing rows
    #[command(after_help = EXIT_CODES)]
    Seed {
        /// Also insert this many generated orders, with new customers and products
        #[arg(long, value_name = "ORDERS")]
        scale: Option<u32>,
        /// Number of generated customers, at least 10 [default: one tenth of ORDERS]
        #[arg(long, value_name = "N", requires = "scale")]
        customers: Option<u32>,
        /// Number of generated products, at least 10 [default: one twentieth of ORDERS]
        #[arg(long, value_name = "N", requires = "scale")]
        products: Option<u32>,
    },
    /// Rebuild search prefixes and email keys after an upgrade; idempotent, safe under live traffic
    #[command(after_help = EXIT_CODES)]
    Reindex {
        /// Continue after the customer with this ID
        #[arg(long, value_name = "ID", default_value_t = 0)]
        after_customer: i64,
        /// Continue after the product with this ID
        #[arg(long, value_name = "ID", default_value_t = 0)]
        after_product: i64,
    },
    /// Check the data invariants; read-only, safe under live traffic
    #[command(after_help = EXIT_CODES)]
    Audit {
        /// Maximum number of violations to show per invariant
        #[arg(long, value_name = "N", default_value_t = db_audit::DEFAULT_EXAMPLES)]
        examples: usize,
    },
    /// Generate or check db/schema.sql and db/src/schema.rs, using a scratch database on the same server
    #[command(subcommand, after_help = EXIT_CODES)]
    Schema(Schema),
}

#[derive(Subcommand)]
enum Migrate {
    /// Create the database if it is missing, and apply pending migrations
    Up,
    /// List migrations as applied or pending
    Status,
    /// Revert the newest migration; data in the affected tables is lost
    Down,
    /// Revert the newest migration and apply it again; data in the affected tables is lost
    Redo,
}

#[derive(Subcommand)]
enum Schema {
    /// Generate the schema files
    Generate,
    /// Show differences between the schema files and the migrations
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
            ExitCode::from(FAILED)
        }
    }
}

/// Runs the command. Returns false if `audit` finds a violation or `schema check` finds a difference.
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
        Command::Reindex { after_customer, after_product } => {
            reindex(&Db::connect(&settings), [after_customer, after_product]).await?;
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
        .with_minimum()
}

async fn seed(db: &Db, size: Option<Size>) -> anyhow::Result<()> {
    seed::seed(db).await.context("cannot insert sample data; run `db migrate up` first if the tables are missing")?;
    println!("inserted sample data; existing rows unchanged");
    if let Some(size) = size {
        let progress = progress::Progress::of(size);
        let inserted = seed::seed_orders(db, size, |done| progress.advance(done)).await;
        progress.finish(inserted.context("cannot insert generated orders")?);
    }
    Ok(())
}

/// Reindexes customers and products, each after an id. An error states how to continue.
async fn reindex(db: &Db, [mut customer, mut product]: [i64; 2]) -> anyhow::Result<()> {
    let done = async {
        let mut customers = Totals::of("customers");
        while let Some(batch) = reindex::next_customers(db, customer).await? {
            customer = batch.last;
            customers.add(&batch);
        }
        let mut products = Totals::of("products");
        while let Some(batch) = reindex::next_products(db, product).await? {
            product = batch.last;
            products.add(&batch);
        }
        Ok::<_, DbError>((customers, products))
    };
    let done = done.await;
    let (customers, products) = done.with_context(|| {
        format!("stopped; continue with `db reindex --after-customer {customer} --after-product {product}`")
    })?;
    println!(
        "reindexed {} customers, {} changed, and {} products, {} changed",
        customers.rows, customers.changed, products.rows, products.changed
    );
    Ok(())
}

/// Totals of a table, printed as progress.
struct Totals {
    table: &'static str,
    rows: usize,
    changed: usize,
}

impl Totals {
    fn of(table: &'static str) -> Self {
        Self { table, rows: 0, changed: 0 }
    }

    fn add(&mut self, batch: &Batch) {
        for customer in &batch.conflicts {
            println!("customer {customer} keeps its email key: another customer has the same address in another form");
        }
        let before = self.rows;
        self.rows += batch.rows;
        self.changed += batch.changed;
        if self.rows / REPORT_EVERY != before / REPORT_EVERY {
            println!("{} up to ID {}: {} of {} changed", self.table, batch.last, self.changed, self.rows);
        }
    }
}
