//! The command line. What the commands do is in the other files; the arguments of those that judge the system are in `judge`.

mod judge;

use clap::{Args, Parser, Subcommand, ValueEnum};

pub(crate) use judge::{
    AbuseArgs, BenchArgs, ChaosArgs, ComposeTestArgs, ConformanceArgs, DenyArgs, FuzzArgs, RollingArgs, RunArgs, Step,
    Workload,
};

/// Runs, migrates, seeds and tests the whole system
#[derive(Debug, Parser)]
#[command(bin_name = "cargo xtask", disable_help_subcommand = true)]
#[command(after_help = "Examples:
  cargo xtask up                  start everything here, Ctrl-C ends it
  cargo xtask up --detach         start everything in the background
  cargo xtask test                all tests on a private database server
  cargo xtask openapi generate    write specs/ after a change of an API trait
  cargo xtask openapi diff        say what of it breaks clients")]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Start a database, migrate and seed it, and run the three services
    Up(UpArgs),
    /// End the `up` that is running, and wait for its end
    Down,
    /// Run database migrations
    #[command(after_help = WHICH_DATABASE)]
    Migrate {
        #[arg(value_enum, default_value_t = MigrateAction::Up)]
        action: MigrateAction,
        #[command(flatten)]
        install: Install,
    },
    /// Fill the database with sample data; a second time changes nothing
    #[command(after_help = WHICH_DATABASE)]
    Seed {
        /// Also append this many generated orders, with customers and products for them
        #[arg(long, value_name = "ORDERS")]
        scale: Option<u32>,
        #[command(flatten)]
        install: Install,
    },
    /// Write db/schema.sql and db/src/schema.rs from the migrations, or check them
    #[command(after_help = WHICH_DATABASE)]
    Schema {
        #[arg(value_enum)]
        action: FileAction,
        #[command(flatten)]
        install: Install,
    },
    /// Write specs/ from the API traits, check them, or say what their changes break
    Openapi {
        #[command(subcommand)]
        action: OpenapiAction,
    },
    /// Check the data against its invariants: exits 0 if all hold, 1 if not, 3 if it could not run
    #[command(after_help = WHICH_DATABASE)]
    CheckInvariants(CheckInvariantsArgs),
    /// Run all tests on a private database server
    Test(TestArgs),
    /// Run the whole system under load while things go wrong, and judge what is left
    Chaos(ChaosArgs),
    /// Run two replicas of each service behind HAProxy under load, restart them one by one, and judge what is left
    Rolling(RollingArgs),
    /// Attack the door in front of the services, and measure what others notice
    Abuse(AbuseArgs),
    /// Measure the released services beside what the database and the server allow
    Bench(BenchArgs),
    /// Let libFuzzer look for bytes from outside at which something panics
    Fuzz(FuzzArgs),
    /// Check what the programs are made of: advisories, licences, bans and sources, as deny.toml says
    Deny(DenyArgs),
    /// Write what each program is made of to .local/sbom, as CycloneDX
    Sbom {
        #[command(flatten)]
        install: Install,
    },
    /// Let tools that others wrote judge the documents and the running system
    Conformance(ConformanceArgs),
    /// Run the whole system by docker-compose.yml, restart and kill its containers, and judge them
    ComposeTest(ComposeTestArgs),
}

const WHICH_DATABASE: &str = "The database is DATABASE_URL; else the one of the running `up`; else `up`'s database, \
                              started for the time of the command.";

#[derive(Args, Debug)]
#[command(after_help = "The database is the first of: DATABASE_URL; a mysqld or mariadbd of this machine, run as a \
private server with its data in .local/up/data; the mysql service of docker-compose.yml, \
in a container of this working copy alone; on Debian and Ubuntu as root, a server package that is installed now.

The services listen on HOST (127.0.0.1) and on CUSTOMERS_PORT (3001), ORDERS_PORT (3002) and ORCHESTRATOR_PORT (3003), \
and show their numbers to Prometheus on CUSTOMERS_METRICS_PORT (9101), ORDERS_METRICS_PORT (9102) and \
ORCHESTRATOR_METRICS_PORT (9103). \
JWT_SECRET, SERVICE_TOKEN, ADMIN_USER, ADMIN_PASSWORD and PROFILE are taken from the environment, with defaults for \
development. In PROFILE production they take no secrets that are known or short.

Examples:
  cargo xtask up
  cargo xtask up --reset
  CUSTOMERS_PORT=4001 cargo xtask up --detach
  cargo xtask up --database-url mysql://root:secret@127.0.0.1:3306/backoffice")]
pub(crate) struct UpArgs {
    /// Throw the data of earlier runs away first (never that of a DATABASE_URL)
    #[arg(long)]
    pub(crate) reset: bool,
    /// Return when everything is ready; the log goes to .local/up/up.log
    #[arg(long)]
    pub(crate) detach: bool,
    #[command(flatten)]
    pub(crate) install: Install,
    /// The database to use, as mysql://USER:PASSWORD@HOST:PORT/NAME; it is created if it is missing
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// Report progress to the process that started this one.
    #[arg(long, hide = true)]
    pub(crate) relay: bool,
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

#[derive(Args, Debug)]
pub(crate) struct CheckInvariantsArgs {
    /// The database to look at, as mysql://USER:PASSWORD@HOST:PORT/NAME
    #[arg(long, value_name = "URL", env = "DATABASE_URL", hide_env_values = true)]
    pub(crate) database_url: Option<String>,
    /// How many violations of an invariant to show
    #[arg(long, value_name = "N", default_value_t = 5)]
    pub(crate) examples: usize,
    #[command(flatten)]
    pub(crate) install: Install,
}

/// What every command has that may have to install a package.
#[derive(Args, Clone, Copy, Debug)]
pub(crate) struct Install {
    /// Install nothing
    #[arg(long)]
    pub(crate) no_install: bool,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum MigrateAction {
    /// Apply what is missing
    Up,
    /// Show which migrations are applied
    Status,
    /// Revert the latest migration; the data in its tables is lost
    Down,
    /// Revert and apply the latest migration; the data in its tables is lost
    Redo,
}

impl MigrateAction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Up => "up",
            Self::Status => "status",
            Self::Down => "down",
            Self::Redo => "redo",
        }
    }
}

#[derive(Clone, Copy, Debug, ValueEnum)]
pub(crate) enum FileAction {
    /// Write the files
    Generate,
    /// Fail when the files are not what would be written
    Check,
}

impl FileAction {
    pub(crate) fn as_str(self) -> &'static str {
        match self {
            Self::Generate => "generate",
            Self::Check => "check",
        }
    }
}

#[derive(Debug, Subcommand)]
pub(crate) enum OpenapiAction {
    /// Write the files
    Generate,
    /// Fail when the files are not what would be written
    Check,
    /// Compare the files with those of an earlier revision, and fail where they break clients
    #[command(
        after_help = "A break is allowed where the document's major version was raised. Without a REV the files are \
                            compared with the last ones that origin/main (or main) had before what is new here."
    )]
    Diff {
        /// A revision of this repository
        #[arg(value_name = "REV")]
        revision: Option<String>,
    },
}

impl OpenapiAction {
    pub(crate) fn arguments(&self) -> Vec<&str> {
        match self {
            Self::Generate => vec!["generate"],
            Self::Check => vec!["check"],
            Self::Diff { revision: None } => vec!["diff"],
            Self::Diff { revision: Some(revision) } => vec!["diff", "--", revision],
        }
    }
}

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
}
