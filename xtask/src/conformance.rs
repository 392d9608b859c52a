//! `conformance`: a private system, checked by third-party tools. The work of a step is in its own program below
//! `qa/conformance`; what these programs need is in `tools`.

pub(crate) mod tools;

use std::collections::BTreeMap;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::process::Command;

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use harness::{Log, Secrets, Service};
use private_server::PrivateServer;

use crate::cli::{ConformanceArgs, Install};
use crate::database::{Choice, Purpose};
use crate::home::Home;
use crate::outcome::{FINE, Violation, passed_on};
use crate::programs::Programs;
use crate::settings::Settings;
use crate::system::System;
use crate::tools::{CHROMIUM, PROMTOOL};
use crate::{docker, up, workspace};

/// The steps, in the order in which they run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, ValueEnum)]
pub(crate) enum Step {
    /// redocly and spectral find nothing in the documents
    Lint,
    /// cfn-lint finds nothing in deploy/, and moto's server creates all of it and deletes it again
    Aws,
    /// Every request of the collections that Postman's converter creates is answered as documented
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
    /// promtool takes deploy/monitoring and the metrics of the services
    Monitoring,
}

impl Step {
    /// The name of the step, which is also that of its log, and its program below `qa/conformance`.
    fn program(self) -> (&'static str, &'static str) {
        match self {
            Self::Lint => ("lint", "lint.mjs"),
            Self::Aws => ("aws", "aws/run.py"),
            Self::Postman => ("postman", "postman.mjs"),
            Self::Tour => ("tour", "tour.mjs"),
            Self::Typescript => ("typescript", "typescript/run.mjs"),
            Self::Python => ("python", "python/run.py"),
            Self::Lambda => ("lambda", "lambda/run.py"),
            Self::Attack => ("attack", "attack/run.py"),
            Self::Browser => ("browser", "browser.mjs"),
            Self::Monitoring => ("monitoring", "monitoring.py"),
        }
    }

    fn needs_system(self) -> bool {
        !matches!(self, Self::Lint | Self::Aws)
    }

    /// The command that runs the program, after the installation of what is missing.
    async fn command(self, system: &System, install: Install) -> Result<Command> {
        let mut command = tools::command(system, install, self.program().1).await?;
        let (variable, tool) = match self {
            Self::Browser => ("CHROMIUM", CHROMIUM),
            Self::Monitoring => ("PROMTOOL", PROMTOOL),
            _ => return Ok(command),
        };
        if env::var_os(variable).is_none_or(|path| path.is_empty()) {
            command.env(variable, tool.find_or_install(install, system).await?);
        }
        Ok(command)
    }

    /// The argument of the program.
    fn argument(self, programs: &Programs, args: &ConformanceArgs) -> Result<Option<OsString>> {
        Ok(match (self, &args.function) {
            (Self::Attack, _) => Some(args.attack_seconds.to_string().into()),
            (Self::Lambda, Some(path)) => Some(path.into()),
            (Self::Lambda, None) => Some(programs.path(Service::Orchestrator.name())?.into()),
            _ => None,
        })
    }
}

pub(crate) async fn run(args: &ConformanceArgs) -> Result<u8> {
    let settings = settings()?;
    let home = Home::take("conformance")?;
    let data = home.data();
    let mut system = System::new(Some(home))?;
    let result = run_steps(&mut system, &settings, args).await;
    system.stop().await;
    PrivateServer::erase(&data)?;
    result
}

/// Runs every step, also after one that failed.
async fn run_steps(system: &mut System, settings: &Settings, args: &ConformanceArgs) -> Result<u8> {
    let mut commands = Vec::new();
    for step in steps(&args.steps) {
        commands.push((step, step.command(system, args.install).await?));
    }
    let mut programs = Programs::default();
    if commands.iter().any(|(step, _)| step.needs_system()) {
        system.start_database(Choice::of(None, args.install)?, Purpose::Run("conformance"))?;
        programs = up::serve(system, settings).await?;
    }
    let mut failed = Vec::new();
    for (step, mut command) in commands {
        command.envs(environment(settings)).args(step.argument(&programs, args)?);
        if !run_program(system, step.program().0, command).await? {
            failed.push(step.program().0);
        }
    }
    if failed.is_empty() { Ok(FINE) } else { Err(Violation(format!("failed: {}", failed.join(", "))).into()) }
}

/// The named steps once each, in their order; all of them where none is named.
fn steps(named: &[Step]) -> Vec<Step> {
    let mut steps = if named.is_empty() { Step::value_variants().to_vec() } else { named.to_vec() };
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// Whether the program succeeds. The last line of its output is the summary; all of it is kept in a file.
async fn run_program(system: &System, name: &'static str, command: Command) -> Result<bool> {
    let logs = workspace::local("conformance");
    let (file, detail) = (Log::create(&logs, name).context("cannot write the log")?, system.detail_log(name));
    let log = Log::new(move |line| {
        file.line(line);
        detail.line(line);
    });
    system.progress.start(name, "running");
    let status = system.run(command, log.clone()).await?;
    if status.success() {
        system.progress.done(name, &log.tail(1));
        return Ok(true);
    }
    system.progress.clear();
    let output = fs::read(logs.join(name).with_extension("log"))?;
    system.progress.say(&format!("{}\n{name}: failed ({status})", String::from_utf8_lossy(&output).trim_end()));
    Ok(false)
}

/// `compose-test`: a program that drives docker, and exits as this one does.
pub(crate) async fn compose_test(install: Install) -> Result<u8> {
    if !docker::is_available() {
        bail!("compose-test needs a Docker Engine and Compose: `docker info` or `docker compose version` fails");
    }
    tools::require("python3", "install Python 3.11 or newer")?;
    let system = System::new(None)?;
    // For the walkthrough.
    tools::node(&system, install).await?;
    let mut command = workspace::command("python3");
    command.arg(workspace::root().join(tools::FOLDER).join("compose/run.py"));
    system.run_attached(&command).await.map(passed_on)
}

/// The environment of every program: where the services are, and the credentials.
fn environment(settings: &Settings) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::new();
    for service in Service::ALL {
        environment.insert(service.variable("BASE"), settings.base(service));
        environment.insert(service.variable("METRICS"), settings.metrics(service));
    }
    let secrets = ["ADMIN_USER", "ADMIN_PASSWORD", "JWT_SECRET", "SERVICE_TOKEN"];
    environment.extend(secrets.map(|name| (name.to_owned(), settings.get(name).to_owned())));
    environment
}

/// Those of `up`, but on free ports and with random secrets in the production profile: it lets nobody in without
/// credentials, as the documents say.
fn settings() -> Result<Settings> {
    let variables = Vec::from_iter(Settings::port_variables());
    let ports = private_server::free_ports(variables.len())?.into_iter().map(|port| port.to_string());
    let mut environment: BTreeMap<_, _> = Secrets::random().settings().into_iter().collect();
    environment.extend(variables.into_iter().zip(ports));
    Settings::read(|name| environment.get(name).cloned())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::cli::{Cli, Command as CliCommand};
    use clap::Parser;

    fn args(line: &str) -> ConformanceArgs {
        match Cli::parse_from(line.split(' ')).command {
            CliCommand::Conformance(args) => args,
            other => panic!("not the conformance command: {other:?}"),
        }
    }

    #[test]
    fn without_a_step_all_of_them_run_in_order() {
        assert_eq!(steps(&args("xtask conformance").steps), Step::value_variants());
    }

    #[test]
    fn named_steps_run_once_and_in_order() {
        assert_eq!(steps(&args("xtask conformance tour lint tour").steps), [Step::Lint, Step::Tour]);
    }

    #[test]
    fn every_step_has_a_program_of_its_name() {
        for step in Step::value_variants() {
            let value = step.to_possible_value().unwrap();
            let (name, path) = step.program();
            assert_eq!(name, value.get_name());
            let path = workspace::root().join(tools::FOLDER).join(path);
            assert!(path.is_file(), "{} is missing", path.display());
        }
    }

    #[test]
    fn the_programs_know_where_everything_is() {
        let settings = settings().unwrap();
        let environment = environment(&settings);
        let bases = ["CUSTOMERS_BASE", "ORDERS_BASE", "ORCHESTRATOR_BASE"].map(|name| environment[name].clone());
        assert_eq!(BTreeSet::from(bases).len(), 3, "{environment:?}");
        assert!(!environment["ADMIN_USER"].is_empty());
        assert!(!environment["SERVICE_TOKEN"].is_empty());
    }

    #[test]
    fn nobody_gets_in_without_credentials() {
        let settings = settings().unwrap();
        assert_eq!(settings.get("PROFILE"), "production");
        let secrets = ["JWT_SECRET", "SERVICE_TOKEN", "ADMIN_PASSWORD"].map(|name| settings.get(name));
        assert_eq!(BTreeSet::from(secrets).len(), 3, "each is another");
        assert!(secrets.iter().all(|secret| secret.len() == 48), "{secrets:?}");
    }
}
