//! `compose-test`: the system of docker-compose.yml, for real. What is expected of it stands here in order; how its containers
//! are asked is in `containers`, what they may do in `confinement`.

mod confinement;
mod containers;

use anyhow::{Context, Result, bail};
use serde_json::{Map, Value};

use crate::cli::ComposeTestArgs;
use crate::compose_test::containers::{CONFINED, Containers, SERVERS};
use crate::conformance::tools::Tools;
use crate::home::Home;
use crate::interrupt::Interrupted;
use crate::progress::Progress;
use crate::services::SERVICES;
use crate::system::{READY_WITHIN, System};
use crate::{conformance, docker, workspace};

pub(crate) fn run(args: &ComposeTestArgs) -> Result<()> {
    if !docker::is_available() {
        bail!("compose-test needs a Docker Engine and Compose: `docker info` or `docker compose version` fails");
    }
    let home = Home::take_or_say_who(&workspace::compose_test_directory(), "compose-test")?;
    let tools = Tools::new(&home, args.install);
    let system = System::new(Some(home), Progress::new(false))?;
    let mut trial = Trial { system, tools, containers: Containers::new()? };
    let result = trial.run();
    let removed = trial.end(result.as_ref().err());
    result.and(removed)
}

struct Trial {
    system: System,
    tools: Tools,
    containers: Containers,
}

impl Trial {
    fn run(&mut self) -> Result<()> {
        // What a killed run has left.
        self.containers.remove()?;
        self.compose("up", "building and starting", &["up", "--build", "--wait"])?;
        self.system.progress.say(&format!("images: {}", self.containers.image_sizes()?));
        self.tour()?;
        self.check_confinement()?;
        self.check_logs()?;
        let data = self.containers.checksums()?;
        for service in SERVERS {
            self.restart(service)?;
            self.kill(service)?;
        }
        self.check_data(&data)?;
        self.stop()?;
        self.compose("down", "removing the containers", &["down"])?;
        // Migrations and seeds run again, and find nothing to do.
        self.compose("up again", "starting on the same data", &["up", "--wait"])?;
        self.check_data(&data)?;
        self.tour()?;
        self.check_invariants()
    }

    /// Leaves nothing behind. Where something failed, the containers have the last word.
    fn end(self, error: Option<&anyhow::Error>) -> Result<()> {
        self.system.progress.clear();
        if error.is_some_and(|error| !error.is::<Interrupted>()) {
            self.system.progress.say(&self.containers.last_words());
        }
        self.system.progress.start("remove", "containers, images and data");
        let removed = self.containers.remove();
        if removed.is_ok() {
            self.system.progress.done("remove", "done");
        }
        self.system.stop();
        removed
    }

    fn compose(&mut self, step: &'static str, text: &str, arguments: &[&str]) -> Result<()> {
        self.system.progress.start(step, text);
        let progress = self.system.progress.clone();
        let on_line = move |line: &str| {
            progress.detail(step, line);
            true
        };
        self.system.run(step, &self.containers.compose(arguments), on_line)?;
        self.system.progress.done(step, &format!("{text}: done"));
        Ok(())
    }

    fn tour(&mut self) -> Result<()> {
        let logs = workspace::compose_test_directory();
        conformance::tour(&mut self.system, &mut self.tools, &self.containers.settings, &logs)
    }

    fn check_confinement(&mut self) -> Result<()> {
        self.system.progress.start("confinement", "looking");
        for service in CONFINED {
            let complaints = confinement::complaints(&self.containers.process(service)?);
            if !complaints.is_empty() {
                bail!("{service} may do more than it needs: {}", complaints.join(", "));
            }
            if self.containers.has_shell(service)? {
                bail!("the image of {service} has a shell");
            }
        }
        self.system.progress.done("confinement", "no root, no capabilities, a read-only root, no shell");
        Ok(())
    }

    /// Each line of a service is a JSON object on standard output.
    fn check_logs(&mut self) -> Result<()> {
        for service in &SERVICES {
            let (log, complaints) = self.containers.log(service.name)?;
            if log.is_empty() || !complaints.is_empty() {
                bail!("{} does not log to standard output alone:\n{log}{complaints}", service.name);
            }
            for line in log.lines() {
                serde_json::from_str::<Map<String, Value>>(line)
                    .with_context(|| format!("{} logs a line that is no JSON object: {line}", service.name))?;
            }
        }
        self.system.progress.done("logs", "JSON, line by line");
        Ok(())
    }

    fn restart(&mut self, service: &str) -> Result<()> {
        self.compose("restart", service, &["restart", service])?;
        self.wait_until_ready()
    }

    /// Its process dies in the middle of what it does; only the restart policy brings it back.
    fn kill(&mut self, service: &str) -> Result<()> {
        self.system.progress.start("kill", service);
        let before = self.containers.restarts(service)?;
        self.containers.kill(service)?;
        let containers = &self.containers;
        if !self.system.wait_until(|| Ok(containers.restarts(service)? > before))? {
            bail!("{service} was killed, and nobody has started it again");
        }
        self.wait_until_ready()?;
        self.system.progress.done("kill", &format!("{service}: started again"));
        Ok(())
    }

    fn wait_until_ready(&mut self) -> Result<()> {
        let containers = &self.containers;
        if !self.system.wait_until(|| containers.are_ready())? {
            bail!("not all is ready after {} s: {}", READY_WITHIN.as_secs(), self.containers.states()?);
        }
        Ok(())
    }

    /// Everything ends by itself when it is told to: what has to be killed has another exit code.
    fn stop(&mut self) -> Result<()> {
        self.compose("stop", "SIGTERM to each", &["stop"])?;
        for service in SERVERS {
            let code = self.containers.exit_code(service)?;
            if code != 0 {
                bail!("{service} was told to stop and ended with exit code {code}");
            }
        }
        Ok(())
    }

    fn check_data(&mut self, expected: &str) -> Result<()> {
        let found = self.containers.checksums()?;
        if found != expected {
            bail!("the data has changed. Checksums of the tables before:\n{expected}\nand now:\n{found}");
        }
        self.system.progress.done("data", "as it was, table by table");
        Ok(())
    }

    fn check_invariants(&mut self) -> Result<()> {
        let step = "invariants";
        self.system.progress.start(step, "checking");
        let audit = self.containers.compose(&["run", "--rm", "--no-TTY", "migrate", "audit"]);
        self.system.run(step, &audit, |_| true)?;
        self.system.progress.done(step, &self.system.logs.tail(step, 1));
        Ok(())
    }
}
