//! The arguments of the commands that judge the system, or what it is made of.

use std::path::PathBuf;

use clap::{Args, ValueEnum};

use super::Install;

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

#[derive(Args, Debug)]
#[command(
    after_help = "The services are release builds in the production profile; their private database server loses nothing that was \
committed. Each value is measured in turn with its floor: the same statements in a bare loop, an empty operation, or the calls that \
it is made of. wrk makes closed loops and is installed by apt-get on Debian and Ubuntu as root; oha makes open ones and is installed into \
.local/cargo. Nothing else should run meanwhile. The exit code is 0 if everything could be measured, also where a target is missed.

Examples:
  cargo xtask bench --quick
  cargo xtask bench --json after.json --baseline before.json --plots plots
  cargo xtask bench order_create_hot --program /usr/local/mysql/bin/mysqld"
)]
pub(crate) struct BenchArgs {
    /// What to measure, as customer_view; everything unless given
    #[arg(value_name = "CASE")]
    pub(crate) cases: Vec<String>,
    /// Fewer and shorter rounds: everything within 15 minutes
    #[arg(long)]
    pub(crate) quick: bool,
    /// Write what was measured to this file, as a list of objects
    #[arg(long, value_name = "FILE")]
    pub(crate) json: Option<PathBuf>,
    /// Write plots (SVG) to this directory
    #[arg(long, value_name = "DIRECTORY")]
    pub(crate) plots: Option<PathBuf>,
    /// Compare with what --json wrote before
    #[arg(long, value_name = "FILE")]
    pub(crate) baseline: Option<PathBuf>,
    /// The database server to run, a mariadbd or mysqld; the first one that is found unless given
    #[arg(long, value_name = "PATH")]
    pub(crate) program: Option<PathBuf>,
    /// Keep the logs and the data even if all was measured
    #[arg(long)]
    pub(crate) keep: bool,
    #[command(flatten)]
    pub(crate) install: Install,
}

/// What the runs of `faults` have in common.
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
    after_help = "The targets are the functions of qa/fuzz/src/lib.rs. libFuzzer needs a C++ compiler. The corpus of each target is kept in \
.local/fuzz and tried first; a finding is written to .local/fuzz/findings. Exits 0 without a finding, 1 with one, 2 for wrong usage.

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
    /// Where the list of advisories cannot be fetched, say so and check the rest
    #[arg(long)]
    pub(crate) advisories_if_reachable: bool,
    #[command(flatten)]
    pub(crate) install: Install,
}

#[derive(Args, Debug)]
#[command(
    after_help = "The system is one of its own, freshly seeded, on free ports. The tools run on Node.js and Python; what \
they need is installed into qa/conformance/node_modules and .local/conformance, and Chromium by apt-get on Debian and \
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
`docker compose up`. The tour runs on Node.js, with packages that are installed into qa/conformance/node_modules."
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
    /// promtool takes deploy/monitoring and what the services show for Prometheus
    Monitoring,
}
