//! The command line. What the commands do is in the other files.

use std::ffi::OsString;
use std::path::PathBuf;

use clap::{Args, ColorChoice, Parser, Subcommand};

use crate::conformance::Step;

/// Runs, migrates, seeds and tests the whole system
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", version, disable_help_subcommand = true)]
#[command(after_help = "Commands marked with … run a program that has its own --help, as `cargo xtask chaos --help`.

Exit codes: 0 fine; 1 a violation was found, or a test or step failed; 2 wrong usage; 3 could not run, as a tool is missing,
a build fails or nothing starts; 130 interrupted.

Examples:
  cargo xtask up                  start everything here, Ctrl-C ends it
  cargo xtask up --watch          the same, and restart what changes
  cargo xtask up --detach         start everything in the background
  cargo xtask test                all tests on a private database server
  cargo xtask openapi generate    write specs/ after a change of an API trait
  cargo xtask openapi diff        report breaking API changes")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
    /// When to use colours; NO_COLOR counts in `auto`
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
    /// Run the whole gate: every step that a change has to pass
    Ci(CiArgs),
    /// Check the documents and the running system with third-party tools
    Conformance(ConformanceArgs),
    /// Run the system by docker-compose.yml, restart and kill its containers, and check them
    #[command(after_help = COMPOSE_TEST)]
    ComposeTest(Install),
    /// Look with libFuzzer for bytes from outside at which something panics
    Fuzz(FuzzArgs),
    /// Check dependencies by deny.toml: advisories, licences, bans and sources
    Deny(DenyArgs),
    /// Write the dependencies of each program to .local/sbom, as CycloneDX
    Sbom(Install),
    /// Write specs/ from the API traits, check them, or report breaking changes …
    Openapi(Arguments),
    /// Run database migrations …
    Migrate(Arguments),
    /// Fill the database with sample data …
    Seed(Arguments),
    /// Write db/schema.sql from the migrations, or check it …
    Schema(Arguments),
    /// Check the data invariants of a database …
    CheckInvariants(Arguments),
    /// Run the whole system under load and faults, and verify the result …
    Chaos(Arguments),
    /// Restart two replicas of each service one by one under load, and verify the result …
    Rolling(Arguments),
    /// Attack the edge proxy, and measure the effect on others …
    Abuse(Arguments),
    /// Measure the released services beside their baselines …
    Bench(Arguments),
}

/// Passed on to the program of the command.
///
/// Taken out before: `--no-install`, and where a database is used `--database-url URL`. The database is that or
/// DATABASE_URL; else the one of the running `up`; else `up`'s database, started for the time of the command.
#[derive(Args, Debug)]
#[command(disable_help_flag = true)]
pub(crate) struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true, value_name = "ARGS")]
    pub(crate) arguments: Vec<OsString>,
}

#[derive(Args, Debug)]
#[command(after_help = "The database is the first of: DATABASE_URL; a mysqld or mariadbd of this machine, run as a \
private server with its data in .local/up/data; the mysql service of docker-compose.yml, \
in a container of this working copy alone; on Debian and Ubuntu as root, a server package that is installed now.

The services listen on HOST (127.0.0.1) and on CUSTOMERS_PORT (3001), ORDERS_PORT (3002) and ORCHESTRATOR_PORT (3003), \
and serve metrics on CUSTOMERS_METRICS_PORT (9101), ORDERS_METRICS_PORT (9102) and ORCHESTRATOR_METRICS_PORT (9103). \
JWT_SECRET, SERVICE_TOKEN, ADMIN_USER, ADMIN_PASSWORD and PROFILE are taken from the environment, with defaults for \
development. In PROFILE production they take no secrets that are known or short.

Examples:
  cargo xtask up
  cargo xtask up --reset
  CUSTOMERS_PORT=4001 cargo xtask up --detach
  cargo xtask up --database-url mysql://root:secret@127.0.0.1:3306/backoffice")]
pub(crate) struct UpArgs {
    /// Delete the data of earlier runs first (never that of a DATABASE_URL)
    #[arg(long)]
    pub(crate) reset: bool,
    /// Return when everything is ready; the log goes to .local/up/up.log
    #[arg(long)]
    pub(crate) detach: bool,
    /// Rebuild and restart the services whose sources change
    #[arg(long)]
    pub(crate) watch: bool,
    #[command(flatten)]
    pub(crate) install: Install,
    /// The database to use, as mysql://USER:PASSWORD@HOST:PORT/NAME; it is created if it is missing
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Report to the process that started this one.
    #[arg(long, hide = true)]
    pub(crate) in_background: bool,
}

#[derive(Args, Debug)]
#[command(after_help = "Examples:
  cargo xtask test
  cargo xtask test -- --package orders confirming
  cargo xtask test --database-url mysql://root:secret@127.0.0.1:3306/test")]
pub(crate) struct TestArgs {
    /// The server to use; its user must be allowed to create databases
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    #[command(flatten)]
    pub(crate) install: Install,
    /// Arguments for `cargo test`; without a --package all packages are tested
    #[arg(last = true, value_name = "ARGS")]
    pub(crate) args: Vec<String>,
}

/// The option of every command that may have to install a package.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Install {
    /// Install nothing
    #[arg(long)]
    pub(crate) no_install: bool,
}

#[derive(Args, Debug)]
pub(crate) struct CiArgs {
    /// Print the steps instead of running them
    #[arg(long)]
    pub(crate) list: bool,
    /// Begin with this step
    #[arg(long, value_name = "STEP", conflicts_with = "only")]
    pub(crate) from: Option<String>,
    /// Run this step alone
    #[arg(long, value_name = "STEP")]
    pub(crate) only: Option<String>,
}

#[derive(Args, Debug)]
#[command(
    after_help = "The targets are the functions of qa/fuzz/src/lib.rs. libFuzzer needs a C++ compiler. The corpus of each target is kept in \
.local/fuzz and tried first; a finding is written to .local/fuzz/findings.

Examples:
  cargo xtask fuzz
  cargo xtask fuzz body event --seconds 3600"
)]
pub(crate) struct FuzzArgs {
    /// Targets to feed; all unless given
    #[arg(value_name = "TARGET")]
    pub(crate) targets: Vec<String>,
    /// Time for each target
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) seconds: u32,
}

#[derive(Args, Debug)]
pub(crate) struct DenyArgs {
    /// Where the list of advisories cannot be fetched, report that and check the rest
    #[arg(long)]
    pub(crate) advisories_if_reachable: bool,
    #[command(flatten)]
    pub(crate) install: Install,
}

#[derive(Args, Debug)]
#[command(
    after_help = "The system is one of its own, freshly seeded, on free ports. The tools run on Node.js and Python; what \
they need is installed into qa/conformance/node_modules and .local/conformance, and Chromium by apt-get on Debian and \
Ubuntu as root. CHROMIUM and PROMTOOL may name those programs. Each step has its log in .local/conformance.

Examples:
  cargo xtask conformance
  cargo xtask conformance lint
  cargo xtask conformance postman tour
  cargo xtask conformance lambda --function target/lambda/orchestrator/bootstrap.zip
  cargo xtask conformance attack --attack-seconds 1800"
)]
pub(crate) struct ConformanceArgs {
    /// What to do; everything unless given
    #[arg(value_enum, value_name = "STEP")]
    pub(crate) steps: Vec<Step>,
    /// How long the attack may last
    #[arg(long, value_name = "N", default_value_t = 60, value_parser = clap::value_parser!(u32).range(1..))]
    pub(crate) attack_seconds: u32,
    /// The function for the step lambda: a bootstrap, or a zip with one; the orchestrator of this build unless given
    #[arg(long, value_name = "PATH", value_parser = absolute)]
    pub(crate) function: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) install: Install,
}

/// A path of the command line. Later this process is in the root of the workspace.
fn absolute(path: &str) -> std::io::Result<PathBuf> {
    std::path::absolute(path)
}

const COMPOSE_TEST: &str = "It builds the images and starts everything in a Compose project of its own, on free ports: a system that runs \
is not disturbed. It does the tour, checks what the containers may do, restarts and kills each of them, takes everything \
down and up again, and checks that the data is still the same and the invariants hold. At the end, also after Ctrl-C or a \
failure, containers, images and data are removed. The files .env of the working copy count as for \
`docker compose up`. It runs on Python, and the tour on Node.js with packages that are installed into \
qa/conformance/node_modules.";

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn arguments_after_the_dashes_go_to_cargo_test() {
        let cli = Cli::parse_from(["xtask", "test", "--", "--package", "orders"]);
        let Command::Test(args) = cli.command else {
            panic!("not the test command: {cli:?}");
        };
        assert_eq!(args.args, ["--package", "orders"]);
    }

    #[test]
    fn a_program_gets_all_of_its_arguments() {
        for line in ["--help", "--minutes 1 --seed 3", "check --version", "-V", "-- --x"] {
            let cli = Cli::parse_from(["xtask", "chaos"].into_iter().chain(line.split(' ')));
            let Command::Chaos(Arguments { arguments }) = cli.command else {
                panic!("not the chaos command: {cli:?}");
            };
            assert_eq!(arguments.join(" ".as_ref()), line.trim_start_matches("-- "));
        }
    }
}
