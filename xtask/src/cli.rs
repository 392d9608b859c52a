//! Command-line arguments and help texts.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand};

use crate::conformance::Step;

/// Run, migrate, seed and test the whole system
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", version, disable_help_subcommand = true)]
#[command(after_help = "Commands marked with … accept more options: run, for example, `cargo xtask chaos --help`.

Exit codes:
  0    success
  1    violation found, or a test or step failed
  2    usage error
  3    could not run: a tool is missing, the build failed, or a process did not start
  130  interrupted

Examples:
  cargo xtask up                  start the system; stop it with Ctrl-C
  cargo xtask up --watch          also rebuild and restart services on changes
  cargo xtask up --detach         start the system in the background
  cargo xtask test                run all tests on a private database server
  cargo xtask openapi generate    regenerate specs/ after changing an API trait
  cargo xtask openapi diff        report breaking API changes")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// When to use colors; `auto` respects NO_COLOR
    #[arg(long, global = true, value_name = "WHEN", default_value_t)]
    pub(crate) color: ColorChoice,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a database, migrate and seed it, and run the three services
    Up(UpArgs),
    /// Stop the running `up`
    Down,
    /// Run all tests on a private database server
    Test(TestArgs),
    /// Run every check that a change must pass
    Ci(CiArgs),
    /// Check the OpenAPI documents, deploy/ and a running system with third-party tools
    Conformance(ConformanceArgs),
    /// Test docker-compose.yml: start the system, then restart and kill its containers
    #[command(after_help = COMPOSE_TEST)]
    ComposeTest(Install),
    /// Fuzz the parsers for untrusted input with libFuzzer
    Fuzz(FuzzArgs),
    /// Check dependencies against deny.toml: advisories, licenses, bans and sources
    Deny(DenyArgs),
    /// Write a CycloneDX SBOM for each released program to .local/sbom
    Sbom(Install),
    /// Generate or check the OpenAPI documents in specs/, or report breaking changes …
    Openapi(Arguments),
    /// Run database migrations …
    Migrate(Arguments),
    /// Fill the database with sample data …
    Seed(Arguments),
    /// Rebuild search prefixes and email keys of a database …
    Reindex(Arguments),
    /// Generate or check db/schema.sql from the migrations …
    Schema(Arguments),
    /// Check that a database satisfies the data invariants …
    CheckInvariants(Arguments),
    /// Inject faults into the system under load, and verify the result …
    Chaos(Arguments),
    /// Restart replicas one at a time under load, and verify the result …
    Rolling(Arguments),
    /// Attack the edge proxy, and measure the effect on regular clients …
    Abuse(Arguments),
    /// Benchmark release builds of the services against baselines …
    Bench(Arguments),
}

/// Arguments passed to the program that implements the command.
///
/// xtask itself consumes `--no-install` and, for database commands, `--database-url URL`. A database command uses the
/// first of these that is available: the `--database-url` value, `DATABASE_URL`, the database of a running `up`, or
/// `up`'s database, started for the duration of the command.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(Args, Debug)]
#[command(after_help = "The first available of these databases is used:
  1. the database in --database-url or DATABASE_URL
  2. a private server that runs an installed mysqld or mariadbd; its data is in .local/up/data
  3. the mysql service of docker-compose.yml, in a Compose project specific to this working copy
  4. as root on Debian or Ubuntu: a private server that runs a newly installed package

Environment variables (defaults):
  HOST                       listen address of the services (127.0.0.1)
  CUSTOMERS_PORT             API port of customers (3001)
  ORDERS_PORT                API port of orders (3002)
  ORCHESTRATOR_PORT          API port of orchestrator (3003)
  CUSTOMERS_METRICS_PORT     metrics port of customers (9101)
  ORDERS_METRICS_PORT        metrics port of orders (9102)
  ORCHESTRATOR_METRICS_PORT  metrics port of orchestrator (9103)
  PROFILE                    `production` rejects short and well-known secrets (development)
  JWT_SECRET                 signing key for access tokens (a development key)
  SERVICE_TOKEN              token for calls between services (a development token)
  ADMIN_USER                 user name of the first admin (admin)
  ADMIN_PASSWORD             password of the first admin (admin)

Examples:
  cargo xtask up
  cargo xtask up --reset
  CUSTOMERS_PORT=4001 cargo xtask up --detach
  cargo xtask up --database-url mysql://root:secret@127.0.0.1:3306/backoffice")]
pub(crate) struct UpArgs {
    /// Delete data from earlier runs first; not allowed with DATABASE_URL
    #[arg(long)]
    pub(crate) reset: bool,
    /// Run in the background and log to .local/up/up.log; exit when the system is ready
    #[arg(long)]
    pub(crate) detach: bool,
    /// Rebuild and restart services when their sources change
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) install: Install,
    /// Use this database, mysql://USER:PASSWORD@HOST:PORT/NAME; create it if it is missing
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Set by `--detach` for its background process.
    #[arg(long, hide = true)]
    pub(crate) in_background: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask test
  cargo xtask test -- --package orders confirm
  cargo xtask test --database-url mysql://root:secret@127.0.0.1:3306/test")]
pub(crate) struct TestArgs {
    /// Use this database server; the user in the URL must be allowed to create databases
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    #[command(flatten)]
    pub(crate) install: Install,
    /// Arguments for `cargo test`; --workspace is added unless they select a package
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<String>,
}

/// Option shared by all commands that may install packages.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Install {
    /// Fail instead of installing missing tools
    #[arg(long)]
    pub(crate) no_install: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CiArgs {
    /// Print the steps instead of running them
    #[arg(long)]
    pub(crate) list: bool,
    /// Skip the steps before this one
    #[arg(long, value_name = "STEP", conflicts_with = "only")]
    pub(crate) from: Option<String>,
    /// Run only this step
    #[arg(long, value_name = "STEP")]
    pub(crate) only: Option<String>,
}

#[derive(Args, Debug)]
#[command(after_help = "Each target is a function in qa/fuzz/src/lib.rs. Requires a C++ compiler to build libFuzzer. \
Stores the corpus of each target in .local/fuzz, and writes inputs that cause a crash to .local/fuzz/findings.

Examples:
  cargo xtask fuzz
  cargo xtask fuzz body event --seconds 3600")]
pub(crate) struct FuzzArgs {
    /// Targets to fuzz [default: all]
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Duration per target, in seconds
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: u32,
}

#[derive(Args, Debug)]
pub(crate) struct DenyArgs {
    /// Print a warning and skip the advisory check if the advisory database cannot be fetched
    #[arg(long)]
    pub(crate) advisories_if_reachable: bool,
    #[command(flatten)]
    pub(crate) install: Install,
}

#[derive(Args, Debug)]
#[command(after_help = "Starts a private, newly seeded system on free ports. Requires Node.js and Python. \
Installs npm packages into qa/conformance/node_modules and Python packages into .local/conformance. As root on Debian \
or Ubuntu, also installs Chromium, Go, a JDK, PHP and Ruby and unpacks promtool with apt-get if they are missing. To \
use specific executables, set CHROMIUM and PROMTOOL to their paths. Writes a log file for each step to .local/conformance.

Examples:
  cargo xtask conformance
  cargo xtask conformance lint
  cargo xtask conformance postman tour
  cargo xtask conformance lambda --function target/lambda/orchestrator/bootstrap.zip
  cargo xtask conformance attack --attack-seconds 1800")]
pub(crate) struct ConformanceArgs {
    /// Steps to run [default: all]
    #[arg(value_enum, value_name = "STEP")]
    pub(crate) steps: Vec<Step>,
    /// Maximum duration of the `attack` step, in seconds
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attack_seconds: u32,
    /// Function for the `lambda` step: a bootstrap executable, or a zip file that contains one [default: a new build]
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    pub(crate) function: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) install: Install,
}

/// Resolves a path argument before this process changes to the workspace root.
fn absolute(path: &str) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

const COMPOSE_TEST: &str = "Builds the images and starts the system in a separate Compose project on free ports, so \
that a running system is not affected. Runs the walkthrough, checks the containers' privileges, restarts and kills each \
container, and recreates the system. Fails if the data changes or violates a data invariant. Finally removes the \
containers, images and data, even after Ctrl-C or a failure. Like `docker compose up`, reads the .env files of the \
working copy. Requires a Docker Engine, Python and Node.js. Installs npm packages into qa/conformance/node_modules.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_after_double_dash_are_passed_to_cargo_test() {
        let cli = Cli::parse_from(["xtask", "test", "--", "--package", "orders"]);
        let Command::Test(args) = cli.command else {
            panic!("not the test command: {cli:?}");
        };
        assert_eq!(args.args, ["--package", "orders"]);
    }

    #[test]
    fn all_arguments_are_passed_to_the_program() {
        for line in ["--help", "--minutes 1 --seed 3", "check --version", "-V", "-- --x"] {
            let cli = Cli::parse_from(["xtask", "chaos"].into_iter().chain(line.split(' ')));
            let Command::Chaos(Arguments { arguments }) = cli.command else {
                panic!("not the chaos command: {cli:?}");
            };
            assert_eq!(arguments.join(" ".as_ref()), line.trim_start_matches("-- "));
        }
    }
}
