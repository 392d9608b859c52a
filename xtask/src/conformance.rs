//! `conformance`: a private system, and tools that others wrote to judge it. What a step does is in its own program below
//! `qa/conformance`; what these programs need is in `tools`.

pub(crate) mod tools;

use std::collections::BTreeMap;
use std::ffi::OsString;
use std::fs::File;
use std::io::Write;
use std::net::SocketAddr;
use std::path::Path;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::ValueEnum;
use private_server::PrivateServer;
use rand::distr::{Alphanumeric, SampleString};

use crate::cli::{ConformanceArgs, Step};
use crate::conformance::tools::{Runtime, Tools};
use crate::database::Purpose;
use crate::home::Home;
use crate::programs::Programs;
use crate::progress::Progress;
use crate::serve::serve;
use crate::services::{SERVICES, Settings};
use crate::system::System;
use crate::{choice, workspace};

/// The program of a step.
struct Program {
    name: &'static str,
    runtime: Runtime,
    /// Below `qa/conformance`.
    path: &'static str,
    needs_system: bool,
}

impl Program {
    const fn new(name: &'static str, runtime: Runtime, path: &'static str) -> Self {
        Self { name, runtime, path, needs_system: true }
    }
}

fn program(step: Step) -> Program {
    match step {
        Step::Lint => Program { needs_system: false, ..Program::new("lint", Runtime::Node, "lint.mjs") },
        Step::Aws => Program { needs_system: false, ..Program::new("aws", Runtime::Python, "aws/run.py") },
        Step::Postman => Program::new("postman", Runtime::Node, "postman.mjs"),
        Step::Tour => Program::new("tour", Runtime::Node, "tour.mjs"),
        Step::Typescript => Program::new("typescript", Runtime::Node, "typescript/run.mjs"),
        Step::Python => Program::new("python", Runtime::Python, "python/run.py"),
        Step::Lambda => Program::new("lambda", Runtime::Python, "lambda/run.py"),
        Step::Attack => Program::new("attack", Runtime::Python, "attack/run.py"),
        Step::Browser => Program::new("browser", Runtime::Browser, "browser.mjs"),
        Step::Monitoring => Program::new("monitoring", Runtime::Promtool, "monitoring.py"),
    }
}

pub(crate) fn run(args: &ConformanceArgs) -> Result<ExitCode> {
    let settings = settings()?;
    let home = Home::take_or_say_who(&workspace::conformance_directory(), "conformance")?;
    let data = home.data();
    let mut tools = Tools::new(&home, args.install);
    let mut system = System::new(Some(home), Progress::new(false))?;
    let result = start_and_judge(&mut system, &mut tools, &settings, args);
    system.stop();
    drop(tools);
    PrivateServer::erase(&data)?;
    result
}

fn start_and_judge(
    system: &mut System,
    tools: &mut Tools,
    settings: &Settings,
    args: &ConformanceArgs,
) -> Result<ExitCode> {
    let steps = steps(&args.steps);
    tools.prepare(system, steps.iter().map(|step| program(*step).runtime))?;
    let mut programs = Programs::default();
    if steps.iter().any(|step| program(*step).needs_system) {
        let choice = choice::choose(None, args.install)?;
        system.progress.say(&format!("database: {choice}"));
        system.start_database(choice, Purpose::Conformance)?;
        (_, programs) = serve(system, settings)?;
    }
    judge(system, tools, &steps, settings, &programs, args)
}

/// Each step once, in their order; all of them where none is named.
fn steps(named: &[Step]) -> Vec<Step> {
    let mut steps = if named.is_empty() { Step::value_variants().to_vec() } else { named.to_vec() };
    steps.sort_unstable();
    steps.dedup();
    steps
}

/// Runs every step, whatever became of those before.
fn judge(
    system: &mut System,
    tools: &Tools,
    steps: &[Step],
    settings: &Settings,
    programs: &Programs,
    args: &ConformanceArgs,
) -> Result<ExitCode> {
    let mut failed = Vec::new();
    for step in steps {
        let name = program(*step).name;
        let mut command = command(tools, *step, settings)?;
        command.args(argument(*step, programs, args)?);
        if !run_program(system, name, &command, &workspace::conformance_directory())? {
            failed.push(name);
        }
    }
    if !failed.is_empty() {
        bail!("not all is well: {}", failed.join(", "));
    }
    Ok(ExitCode::SUCCESS)
}

/// The tour alone, on a system that somebody else runs. It ends well or with an error.
pub(crate) fn tour(system: &mut System, tools: &mut Tools, settings: &Settings, logs: &Path) -> Result<()> {
    let program = program(Step::Tour);
    tools.prepare(system, [program.runtime].into_iter())?;
    let command = command(tools, Step::Tour, settings)?;
    if !run_program(system, program.name, &command, logs)? {
        bail!("the tour failed");
    }
    Ok(())
}

/// What runs the program of a step on a system.
fn command(tools: &Tools, step: Step, settings: &Settings) -> Result<Command> {
    let program = program(step);
    let mut command = tools.command(program.runtime)?;
    command.arg(Path::new(tools::FOLDER).join(program.path)).envs(environment(settings));
    Ok(command)
}

/// What a program is told besides its environment.
fn argument(step: Step, programs: &Programs, args: &ConformanceArgs) -> Result<Option<OsString>> {
    Ok(match step {
        Step::Attack => Some(args.attack_seconds.to_string().into()),
        Step::Lambda => Some(match &args.function {
            Some(path) => std::path::absolute(path)?.into(),
            None => programs.path("orchestrator")?.into(),
        }),
        _ => None,
    })
}

/// Whether all is well. The figures are the last line of the program; all that it says is kept in `logs`.
fn run_program(system: &mut System, name: &'static str, command: &Command, logs: &Path) -> Result<bool> {
    let path = logs.join(name).with_extension("log");
    let log = File::create(&path).with_context(|| format!("cannot write {}", path.display()))?;
    let progress = system.progress.clone();
    system.progress.start(name, "running");
    let status = system.run_to_end(name, command, move |line| {
        progress.detail(name, line);
        // A full disk is no verdict on the services.
        let _ = writeln!(&log, "{line}");
        true
    })?;
    if status.success() {
        system.progress.done(name, &system.logs.tail(name, 1));
        return Ok(true);
    }
    system.progress.clear();
    let said = std::fs::read(&path)?;
    system.progress.say(&format!("{}\n{name}: failed ({status})", String::from_utf8_lossy(&said).trim_end()));
    Ok(false)
}

/// What every program is told: where the services are, and what lets it in.
fn environment(settings: &Settings) -> Vec<(String, String)> {
    let bases = SERVICES.iter().map(|service| {
        let name = format!("{}_BASE", service.name.to_uppercase());
        (name, settings.base(service))
    });
    let metrics = SERVICES.iter().map(|service| {
        let host = SocketAddr::new(settings.address(service).ip(), settings.metrics_port(service));
        (format!("{}_METRICS", service.name.to_uppercase()), format!("http://{host}/metrics"))
    });
    let secrets = ["ADMIN_USER", "ADMIN_PASSWORD", "JWT_SECRET", "SERVICE_TOKEN"];
    bases.chain(metrics).chain(secrets.map(|name| (name.to_owned(), settings.get(name).to_owned()))).collect()
}

/// Those of `up`, but on free ports, and in the profile that lets nobody in without credentials: so the documents say.
fn settings() -> Result<Settings> {
    let ports = private_server::free_ports(2 * SERVICES.len())?;
    let variables = SERVICES.iter().flat_map(|service| [service.port_variable, service.metrics_variable]);
    let ports = BTreeMap::from_iter(variables.zip(ports));
    Settings::read(|name| match name {
        "PROFILE" => Some("production".to_owned()),
        "JWT_SECRET" | "SERVICE_TOKEN" | "ADMIN_PASSWORD" => Some(random_secret()),
        _ => ports.get(name).map(u16::to_string),
    })
}

/// In that profile the services take no secret that is known.
fn random_secret() -> String {
    Alphanumeric.sample_string(&mut rand::rng(), 48)
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
            let program = program(*step);
            assert_eq!(program.name, value.get_name());
            let path = workspace::root().join(tools::FOLDER).join(program.path);
            assert!(path.is_file(), "{} is missing", path.display());
        }
    }

    #[test]
    fn the_programs_are_told_where_everything_is() {
        let settings = settings().unwrap();
        let told: BTreeMap<_, _> = environment(&settings).into_iter().collect();
        let bases = ["CUSTOMERS_BASE", "ORDERS_BASE", "ORCHESTRATOR_BASE"].map(|name| told[name].clone());
        assert_eq!(BTreeSet::from(bases).len(), 3, "{told:?}");
        assert_eq!(told["ADMIN_USER"], "admin");
        assert!(!told["SERVICE_TOKEN"].is_empty());
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
