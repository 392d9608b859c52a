//! `up` and `down`. `up` runs the system until Ctrl-C; other commands reuse its startup sequence.

use std::env;
use std::fs::File;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use harness::Service;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use private_server::claim::Claim;

use crate::cli::UpArgs;
use crate::database::{Choice, Purpose, without_password};
use crate::outcome::{Interrupted, SUCCESS};
use crate::programs::{self, Programs};
use crate::settings::Settings;
use crate::system::System;
use crate::work_dir::{self, State, WorkDir};
use crate::workspace::{self, eprint_line};
use crate::{detach, watch};

const PROGRAMS: [&str; 4] = ["db", "customers", "orders", "orchestrator"];

pub(crate) async fn run(args: &UpArgs) -> Result<u8> {
    let settings = Settings::read(|name| env::var(name).ok())?;
    let mut system = System::new(Some(WorkDir::acquire("up")?))?;
    if args.in_background {
        // Truncate the log only now: another `up` may have written to it until the directory was acquired.
        File::create(detach::log_path())?;
    }
    let result = start_and_follow(&mut system, &settings, args).await;
    if let (true, Err(error)) = (args.in_background, &result) {
        // Write to the log, because standard error is closed once the system is ready.
        let _ = writeln!(io::stdout(), "error: {error:#}");
    }
    system.stop().await;
    match result {
        Err(error) if !error.is::<Interrupted>() => Err(error),
        _ => Ok(SUCCESS),
    }
}

/// Starts the system and runs it until the first signal or until a process exits unexpectedly.
async fn start_and_follow(system: &mut System, settings: &Settings, args: &UpArgs) -> Result<()> {
    settings.check_ports()?;
    let choice = Choice::select(args.database_url.as_deref(), args.install)?;
    if let (true, Choice::Given(_)) = (args.reset, &choice) {
        bail!(
            "--reset cannot be used with DATABASE_URL: it deletes only data that `up` created. To reset that database, drop \
             and create it by hand (DROP DATABASE name; CREATE DATABASE name), then run `cargo xtask up`"
        );
    }
    system.start_database(choice, Purpose::Up { reset: args.reset })?;
    serve(system, settings).await?;
    let url = system.database_url().await?;
    let key = format!("up-{}", SystemTime::now().duration_since(UNIX_EPOCH)?.as_millis());
    system.progress.print(&summary(settings, &without_password(&url), &key));
    if args.in_background {
        eprint_line(detach::READY);
    }
    system.follow();
    if args.watch {
        return watch::run(system, settings, &url).await;
    }
    system.unless_interrupted(std::future::pending()).await
}

/// Builds the programs, migrates and seeds the database, starts the services, and waits until they are ready.
pub(crate) async fn serve(system: &mut System, settings: &Settings) -> Result<Programs> {
    let programs = programs::build(system, &PROGRAMS).await?;
    let url = system.database_url().await?;
    for (name, arguments) in [("migrate", &["migrate", "up"][..]), ("seed", &["seed"])] {
        let mut command = programs.command("db")?;
        command.args(arguments).env("DATABASE_URL", &url);
        system.run_step(name, "running", command).await?;
    }
    for service in Service::ALL {
        let mut command = programs.command(service.name())?;
        command.envs(settings.environment(service, &url));
        system.start_service(service, command).await?;
    }
    for service in Service::ALL {
        system.wait_until_ready(service, settings.address(service)).await?;
    }
    Ok(programs)
}

/// `down`: stops the running `up`, and waits until it has exited.
pub(crate) fn down() -> Result<u8> {
    let directory = workspace::local("up");
    // Also wait until the child processes of a killed `up` have exited.
    if WorkDir::acquire_at(&directory, "down")?.is_some() {
        eprint_line("nothing is running");
        return Ok(SUCCESS);
    }
    let Some(State { pid, .. }) = State::load(&directory).filter(|state| state.command == "up") else {
        bail!(work_dir::owner_message(&directory));
    };
    eprint_line(&format!("stopping `up` (process {pid})"));
    kill(Pid::from_raw(pid.try_into()?), Signal::SIGTERM)?;
    Claim::wait_until_free(&directory)?;
    eprint_line("stopped");
    Ok(SUCCESS)
}

/// Returns a summary with addresses, credentials and a sample request that uses `key` as its idempotency key.
fn summary(settings: &Settings, database: &str, key: &str) -> String {
    let login = format!("{} / {}", settings.get("ADMIN_USER"), settings.get("ADMIN_PASSWORD"));
    let services = Service::ALL.map(|service| (service.name(), settings.base(service)));
    let all = services.into_iter().chain([("database", database.to_owned()), ("login", login)]);
    let lines = String::from_iter(all.map(|(name, value)| format!("  {name:<13} {value}\n")));
    format!("\nReady.\n\n{lines}\nTry it:\n\n{}\n", curl(&settings.base(Service::Orchestrator), key))
}

fn curl(base: &str, key: &str) -> String {
    let body = format!(
        r#"{{"customer_id": 1, "items": [{{"product_id": 2, "qty": 3}}], "idempotency_key": "{key}", "correlation_id": "req-789"}}"#
    );
    format!(
        "curl -sS '{base}/orchestrator/create-and-confirm-order' \\\n  -H 'content-type: application/json' \\\n  -d '{body}'"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sample_request_body_is_valid_json() {
        let text = curl("http://127.0.0.1:3003", "up-17");
        let (command, body) = text.split_once("-d '").unwrap();
        assert!(command.starts_with("curl -sS 'http://127.0.0.1:3003/orchestrator/"));
        let body: serde_json::Value = serde_json::from_str(body.strip_suffix('\'').unwrap()).unwrap();
        assert_eq!(body["idempotency_key"], "up-17");
        assert_eq!(body["items"][0]["qty"], 3);
    }
}
