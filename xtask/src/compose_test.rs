//! `compose-test`: the system of docker-compose.yml, for real. Its expectations stand here in order; how its containers
//! are asked is in `containers`, what they may do in `confinement`.

mod confinement;
mod containers;

use anyhow::{Result, bail};
use harness::Service;
use serde_json::{Map, Value};

use crate::cli::Install;
use crate::compose_test::containers::{CONFINED, Containers, SERVERS};
use crate::conformance::tools::{Runtime, Tools};
use crate::home::Home;
use crate::outcome::{FINE, Interrupted, Violation};
use crate::system::{READY_WITHIN, System};
use crate::{conformance, docker, workspace};

pub(crate) async fn run(install: Install) -> Result<u8> {
    if !docker::is_available() {
        bail!("compose-test needs a Docker Engine and Compose: `docker info` or `docker compose version` fails");
    }
    let mut system = System::new(Some(Home::take("compose-test")?))?;
    let tools = Tools::prepare(&mut system, install, &[Runtime::Node]).await?;
    let mut trial = Trial { system, tools, containers: Containers::new()? };
    let result = trial.run().await;
    let removed = trial.end(result.as_ref().err()).await;
    result.and(removed).map(|()| FINE)
}

/// Ends the test with what was found.
macro_rules! violation {
    ($($arguments:tt)*) => { return Err(Violation(format!($($arguments)*)).into()) };
}

struct Trial {
    system: System,
    tools: Tools,
    containers: Containers,
}

impl Trial {
    async fn run(&mut self) -> Result<()> {
        // The remains of a killed run.
        self.containers.remove()?;
        self.compose("up", "building and starting", &["up", "--build", "--wait"]).await?;
        self.system.progress.say(&format!("images: {}", self.containers.image_sizes()?));
        self.tour().await?;
        self.check_confinement()?;
        self.check_logs()?;
        let data = self.containers.checksums()?;
        for service in SERVERS {
            self.compose("restart", service, &["restart", service]).await?;
            self.wait_until_ready().await?;
            self.kill(service).await?;
        }
        self.check_data(&data)?;
        self.stop().await?;
        self.compose("down", "removing the containers", &["down"]).await?;
        // Migrations and seeds run again, and find nothing to do.
        self.compose("up again", "starting on the same data", &["up", "--wait"]).await?;
        self.check_data(&data)?;
        self.tour().await?;
        self.check_invariants().await
    }

    /// Leaves nothing behind. After a failure the containers have the last word.
    async fn end(self, error: Option<&anyhow::Error>) -> Result<()> {
        let progress = &self.system.progress;
        progress.clear();
        if error.is_some_and(|error| !error.is::<Interrupted>()) {
            progress.say(&self.containers.last_words());
        }
        progress.start("remove", "containers, images and data");
        let removed = self.containers.remove();
        if removed.is_ok() {
            progress.done("remove", "done");
        }
        self.system.stop().await;
        removed
    }

    async fn compose(&mut self, step: &'static str, text: &str, arguments: &[&str]) -> Result<()> {
        self.system.run_step(step, text, self.containers.compose(arguments)).await
    }

    async fn tour(&mut self) -> Result<()> {
        let logs = workspace::local("compose-test");
        conformance::tour(&mut self.system, &self.tools, &self.containers.settings, &logs).await
    }

    fn check_confinement(&mut self) -> Result<()> {
        self.system.progress.start("confinement", "looking");
        for service in CONFINED {
            let complaints = confinement::complaints(&self.containers.process(service)?);
            if !complaints.is_empty() {
                violation!("{service} may do more than it needs: {}", complaints.join(", "));
            }
            if self.containers.has_shell(service)? {
                violation!("the image of {service} has a shell");
            }
        }
        self.system.progress.done("confinement", "no root, no capabilities, a read-only root, no shell");
        Ok(())
    }

    /// Each line of a service is a JSON object on standard output.
    fn check_logs(&mut self) -> Result<()> {
        for service in Service::ALL.map(Service::name) {
            let (log, complaints) = self.containers.log(service)?;
            if log.is_empty() || !complaints.is_empty() {
                violation!("{service} does not log to standard output alone:\n{log}{complaints}");
            }
            if let Some(line) = log.lines().find(|line| serde_json::from_str::<Map<String, Value>>(line).is_err()) {
                violation!("{service} logs a line that is no JSON object: {line}");
            }
        }
        self.system.progress.done("logs", "JSON, line by line");
        Ok(())
    }

    /// Kills a process in the middle of its work; only the restart policy brings it back.
    async fn kill(&mut self, service: &str) -> Result<()> {
        self.system.progress.start("kill", service);
        let before = self.containers.restarts(service)?;
        self.containers.kill(service)?;
        let containers = &self.containers;
        if !self.system.wait_until(async || Ok(containers.restarts(service)? > before)).await? {
            violation!("{service} was killed, and was not started again");
        }
        self.wait_until_ready().await?;
        self.system.progress.done("kill", &format!("{service}: started again"));
        Ok(())
    }

    async fn wait_until_ready(&mut self) -> Result<()> {
        let containers = &self.containers;
        if !self.system.wait_until(async || containers.are_ready().await).await? {
            violation!("not all is ready after {} s: {}", READY_WITHIN.as_secs(), self.containers.states()?);
        }
        Ok(())
    }

    /// SIGTERM ends everything in order: a process that has to be killed has another exit code.
    async fn stop(&mut self) -> Result<()> {
        self.compose("stop", "SIGTERM to each", &["stop"]).await?;
        for service in SERVERS {
            let code = self.containers.exit_code(service)?;
            if code != 0 {
                violation!("{service} ended with exit code {code} after SIGTERM");
            }
        }
        Ok(())
    }

    fn check_data(&mut self, expected: &str) -> Result<()> {
        let found = self.containers.checksums()?;
        if found != expected {
            violation!("the data has changed. Checksums of the tables before:\n{expected}\nand now:\n{found}");
        }
        self.system.progress.done("data", "as it was, table by table");
        Ok(())
    }

    async fn check_invariants(&mut self) -> Result<()> {
        let audit = self.containers.compose(&["run", "--rm", "--no-TTY", "migrate", "audit"]);
        let log = self.system.detail_log("invariants");
        self.system.progress.start("invariants", "checking");
        match self.system.run(audit, log.clone()).await?.code() {
            Some(0) => self.system.progress.done("invariants", &log.tail(1)),
            Some(1) => violation!("invariants:\n{}", log.tail(usize::MAX)),
            _ => bail!("cannot check the invariants:\n{}", log.tail(usize::MAX)),
        }
        Ok(())
    }
}
