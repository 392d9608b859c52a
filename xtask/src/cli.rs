//! The command line. What the commands do is in the other files.

use std::path::PathBuf;

use clap::{Args, Parser, Subcommand, ValueEnum};

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
    /// Write db/schema.sql from the migrations, or check it
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
    /// Check that everything the books promise is true: 0 if it is, 1 if not, 2 if the database cannot be looked at
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

The services listen on HOST (127.0.0.1) and on CUSTOMERS_PORT (3001), ORDERS_PORT (3002) and ORCHESTRATOR_PORT (3003). \
JWT_SECRET, SERVICE_TOKEN, ADMIN_USER, ADMIN_PASSWORD and PROFILE are taken from the environment, with defaults for \
development.

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

#[derive(Args, Debug)]
#[command(
    after_help = "It kills, stops and restarts the services and a private database server of its own, and cuts, \
delays and truncates the connections between them and the clients. At the end it waits until every client has its \
answer, then checks the invariants and that nothing was lost. Ctrl-C ends it early, with a judgement. The exit code is 0 \
only if all is well.

Examples:
  cargo xtask chaos --minutes 30
  cargo xtask chaos --minutes 2 --seed 4711
  cargo xtask chaos --program /usr/local/mysql/bin/mysqld"
)]
pub(crate) struct ChaosArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) workload: Workload,
}

#[derive(Args, Debug)]
#[command(
    after_help = "HAProxy runs with deploy/haproxy.cfg. It is the program that HAPROXY names, or else the one on the PATH, or \
else it is installed by apt-get on Debian and Ubuntu as root. Everything goes through it: clients to services, and services \
to each other. The exit code is 0 only if no client that tries again was left without an answer, the races ended as \
promised, nothing that was acknowledged is lost, and the invariants hold.

Examples:
  cargo xtask rolling
  cargo xtask rolling --minutes 30 --clients 16
  cargo xtask rolling --program /usr/local/mysql/bin/mysqld"
)]
pub(crate) struct RollingArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    #[command(flatten)]
    pub(crate) workload: Workload,
    #[command(flatten)]
    pub(crate) install: Install,
}

#[derive(Args, Debug)]
#[command(
    after_help = "Two replicas of each service run behind HAProxy with deploy/haproxy.cfg. First come requests that must not get in. Then, \
for 20 s without an attack and 20 s with one, again and again, an operator reads and orders at a steady pace, while 1,000 connections are \
opened and not used, 500 send a header and 500 a body byte by byte, and one sends 100 MB. The exit code is 0 only if nothing got in, \
everybody else was served, at most twice as slowly as usual at the 99th percentile, no connection could be held for long, and no process grew.

Examples:
  cargo xtask abuse
  cargo xtask abuse --minutes 10"
)]
pub(crate) struct AbuseArgs {
    #[command(flatten)]
    pub(crate) run: RunArgs,
    /// Say how much slower others are served, but do not judge it
    #[arg(long)]
    pub(crate) lenient: bool,
    #[command(flatten)]
    pub(crate) install: Install,
}

/// What the runs of `xtask-chaos` have in common.
#[derive(Args, Debug)]
pub(crate) struct RunArgs {
    /// How long the system is disturbed
    #[arg(long, default_value_t = 2, value_parser = clap::value_parser!(u32).range(1..=1440))]
    pub(crate) minutes: u32,
    /// The database server to run, a mariadbd or mysqld; the first one that is found unless given
    #[arg(long, value_name = "PATH")]
    pub(crate) program: Option<PathBuf>,
    /// Keep the logs and the data even if all is well
    #[arg(long)]
    pub(crate) keep: bool,
}

/// What the clients of a run do.
#[derive(Args, Debug)]
pub(crate) struct Workload {
    /// Says what the clients do, and which faults are made; random unless given
    #[arg(long)]
    pub(crate) seed: Option<u64>,
    /// How many clients work at once
    #[arg(long, value_parser = clap::value_parser!(u16).range(1..=256))]
    pub(crate) clients: Option<u16>,
}

#[derive(Args, Debug)]
#[command(
    after_help = "The system is one of its own, freshly seeded, on free ports. The tools run on Node.js and Python; what \
they need is installed into xtask/conformance/node_modules and .local/conformance, and Chromium by apt-get on Debian and \
Ubuntu as root. Each step has its log in .local/conformance. The exit code is 0 only if all is well.

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
    #[arg(long, value_name = "PATH")]
    pub(crate) function: Option<PathBuf>,
    #[command(flatten)]
    pub(crate) install: Install,
}

#[derive(Args, Debug)]
#[command(
    after_help = "It builds the images and starts everything in a Compose project of its own, on free ports: a system that runs \
is not disturbed. It does the tour, looks at what the containers may do, restarts and kills each of them, takes everything \
down and up again, and checks that the data is still the same and the invariants hold. At the end, also after Ctrl-C or a \
failure, containers, images and data are removed. The files .env of the working copy count as for \
`docker compose up`. The tour runs on Node.js, with packages that are installed into xtask/conformance/node_modules."
)]
pub(crate) struct ComposeTestArgs {
    #[command(flatten)]
    pub(crate) install: Install,
}

/// In the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Step {
    /// redocly and spectral find nothing in the documents
    Lint,
    /// cfn-lint finds nothing in deploy/, and moto's server makes all of it and deletes it again
    Aws,
    /// Every request of the collections that Postman's converter makes is answered as documented
    Postman,
    /// The collection in specs/postman does the whole tour
    Tour,
    /// openapi-typescript takes the documents, and a script does the tour with its types
    Typescript,
    /// openapi-python-client takes the documents, and a script does the tour with its clients
    Python,
    /// cargo-lambda invokes the function with every example event, and it answers as orchestrator/events/README.md says
    Lambda,
    /// schemathesis finds no answer that is not as documented
    Attack,
    /// The pages at /docs work in Chromium
    Browser,
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
