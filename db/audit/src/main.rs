//! `cargo xtask check-invariants`: prints each invariant with its number of violations.

use std::process::ExitCode;

use clap::Parser;
use db_audit::{DEFAULT_EXAMPLES, Finding};

/// Checks that everything the books promise is true. Changes nothing, and can run beside live traffic.
///
/// Ends with 0 if there is no violation, with 1 if there is any, and with 2 if the database could not be looked at.
#[derive(Parser)]
#[command(version, max_term_width = 100)]
struct Arguments {
    /// The database, as mysql://USER:PASSWORD@HOST:PORT/NAME
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    database_url: String,
    /// How many violations of an invariant to show
    #[arg(long, value_name = "N", default_value_t = DEFAULT_EXAMPLES)]
    examples: usize,
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let Arguments { database_url, examples } = Arguments::parse();
    match db_audit::check_with_examples(&database_url, examples).await {
        Ok(findings) => report(&findings),
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::from(2)
        }
    }
}

fn report(findings: &[Finding]) -> ExitCode {
    for Finding { name, sentence, violations, examples } in findings {
        println!("{violations:>8}  {name:<34}{sentence}");
        for example in examples {
            println!("{:>10}  {example}", "");
        }
    }
    let violations: u64 = findings.iter().map(|finding| finding.violations).sum();
    println!("{violations} violations of {} invariants", findings.len());
    if violations == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
