//! From a database that starts to three services that are ready: built, migrated, seeded, started. Which database it is,
//! and what happens afterwards, is in the file of each command.

use anyhow::Result;

use crate::programs::{self, Programs};
use crate::services::{SERVICES, Settings};
use crate::system::System;

const PROGRAMS: [&str; 4] = ["db", "customers", "orders", "orchestrator"];

/// Starts the services on the database that [`System::start_database`] is starting. Gives the URL of the
/// database, and the programs.
pub(crate) fn serve(system: &mut System, settings: &Settings) -> Result<(String, Programs)> {
    let programs = programs::build(system, &PROGRAMS)?;
    let url = system.database_url()?;
    for (name, arguments) in [("migrate", &["migrate", "up"][..]), ("seed", &["seed"])] {
        let mut command = programs.command("db", "db/cli")?;
        command.args(arguments).env("DATABASE_URL", &url);
        system.progress.start(name, "running");
        system.run(name, &command, |_| true)?;
        system.progress.done(name, "done");
    }
    start_services(system, settings, &programs, &url)?;
    Ok((url, programs))
}

fn start_services(system: &mut System, settings: &Settings, programs: &Programs, database_url: &str) -> Result<()> {
    for service in &SERVICES {
        let mut command = programs.command(service.name, service.name)?;
        command.envs(settings.environment(service, database_url));
        system.progress.start(service.name, "starting");
        system.start_service(service, &command)?;
    }
    for service in &SERVICES {
        system.wait_until_ready(service, settings.address(service))?;
        system.progress.done(service.name, "ready");
    }
    Ok(())
}
