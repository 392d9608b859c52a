//! The containers of one Compose project: what is done to them, and what the engine says of them.

use std::collections::BTreeMap;
use std::process::{Command, Output, Stdio};

use anyhow::{Context, Result, bail};
use harness::{Service, ready_status};
use serde_json::Value;

use super::confinement::Process;
use crate::docker::Project;
use crate::settings::Settings;
use crate::workspace;

/// The services that run until they are stopped.
pub(crate) const SERVERS: [&str; 5] = ["mysql", "customers", "orders", "orchestrator", "door"];

/// Those of them that are built here.
pub(crate) const CONFINED: [&str; 4] = ["customers", "orders", "orchestrator", "door"];

/// Run in the container of the database: a line for each table, with its checksum.
const CHECKSUMS: &str = r#"
set -o pipefail
export MYSQL_PWD="$MYSQL_ROOT_PASSWORD"
sql() { mysql --host=127.0.0.1 --user=root --skip-column-names --batch "$MYSQL_DATABASE"; }
echo "SELECT CONCAT('CHECKSUM TABLE ', GROUP_CONCAT(table_name)) FROM information_schema.tables
      WHERE table_schema = DATABASE()" | sql | sql
"#;

/// How much each container says when something has failed.
const LAST_LINES: &str = "15";

/// A Compose project of this working copy on free ports.
pub(crate) struct Containers {
    project: Project,
    ports: BTreeMap<String, u16>,
    mysql_image: String,
    /// Where its services are, and what lets in.
    pub(crate) settings: Settings,
}

impl Containers {
    /// Nothing runs yet.
    pub(crate) fn new() -> Result<Self> {
        let project = Project::new("compose-test", true);
        let names = Vec::from_iter(Settings::port_variables().chain(["MYSQL_PORT".to_owned()]));
        let free = private_server::free_ports(names.len())?;
        let ports = BTreeMap::from_iter(names.into_iter().zip(free));
        let config = project.config()?;
        // It lets operators in, so it knows everything that a client has to know.
        let customers = &config["services"]["customers"]["environment"];
        let settings = Settings::read(|name| match ports.get(name) {
            Some(port) => Some(port.to_string()),
            None => customers[name].as_str().map(str::to_owned),
        })?;
        let mysql_image = config["services"]["mysql"]["image"].as_str().context("mysql has no image")?.to_owned();
        Ok(Self { project, ports, mysql_image, settings })
    }

    /// A command of Compose on them.
    pub(crate) fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = self.project.compose(arguments);
        command.envs(self.ports.iter().map(|(name, port)| (name, port.to_string())));
        command
    }

    /// With their data and the images that were built for them.
    pub(crate) fn remove(&self) -> Result<()> {
        said(&mut self.compose(&["down", "--volumes", "--rmi", "local", "--remove-orphans"])).map(drop)
    }

    /// Whether everything answers, and the engine has noticed.
    pub(crate) async fn are_ready(&self) -> Result<bool> {
        for service in SERVERS {
            if self.inspect(service)?["State"]["Health"]["Status"] != "healthy" {
                return Ok(false);
            }
        }
        for service in Service::ALL {
            if ready_status(self.settings.address(service)).await != Some(200) {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// A table for people.
    pub(crate) fn states(&self) -> Result<String> {
        said(&mut self.compose(&["ps", "--all"]))
    }

    /// Kills the process of a service; the engine sees it die by itself.
    pub(crate) fn kill(&self, service: &str) -> Result<()> {
        said(&mut self.beside(&format!("kill -KILL {}", self.pid(service)?))).map(drop)
    }

    /// How often the engine has started a service again.
    pub(crate) fn restarts(&self, service: &str) -> Result<u64> {
        self.inspect(service)?["RestartCount"].as_u64().with_context(|| format!("{service} has no count of restarts"))
    }

    /// How a service has ended.
    pub(crate) fn exit_code(&self, service: &str) -> Result<i64> {
        let state = &self.inspect(service)?["State"];
        let code = state["ExitCode"].as_i64().filter(|_| state["Running"] == false);
        code.with_context(|| format!("{service} has not ended"))
    }

    /// What the kernel says of the process of a service.
    pub(crate) fn process(&self, service: &str) -> Result<Process> {
        let pid = self.pid(service)?;
        let read = |file: &str| said(&mut self.beside(&format!("cat /proc/{pid}/{file}")));
        Ok(Process { status: read("status")?, mounts: read("mountinfo")? })
    }

    pub(crate) fn has_shell(&self, service: &str) -> Result<bool> {
        let output = output(&mut self.compose(&["exec", "-T", service, "/bin/sh", "-c", "true"]))?;
        match output.status.code() {
            Some(0) => Ok(true),
            // As shells say of a program that cannot be run or is not there.
            Some(126 | 127) => Ok(false),
            _ => bail!("cannot look for a shell in {service} ({}): {}", output.status, text(&output.stderr).trim()),
        }
    }

    /// What a service has written to standard output, and to standard error.
    pub(crate) fn log(&self, service: &str) -> Result<(String, String)> {
        let output = output(workspace::command("docker").arg("logs").arg(self.id(service)?))?;
        Ok((text(&output.stdout), text(&output.stderr)))
    }

    /// The last lines of all, for people.
    pub(crate) fn last_words(&self) -> String {
        let logs = said(&mut self.compose(&["logs", "--no-color", "--tail", LAST_LINES]));
        logs.unwrap_or_else(|error| format!("{error:#}"))
    }

    /// A line for each table of the database, with a checksum of what is in it.
    pub(crate) fn checksums(&self) -> Result<String> {
        said(&mut self.compose(&["exec", "-T", "mysql", "bash", "-c", CHECKSUMS]))
    }

    /// Of each image that is built here, for people.
    pub(crate) fn image_sizes(&self) -> Result<String> {
        let images = CONFINED.map(|service| (service, service)).into_iter().chain([("db", "migrate")]);
        let sizes = images.map(|(name, service)| Ok(format!("{name} {:.1} MB", self.image_megabytes(service)?)));
        Ok(sizes.collect::<Result<Vec<_>>>()?.join(", "))
    }

    fn image_megabytes(&self, service: &str) -> Result<f64> {
        let container = self.inspect(service)?;
        let image = container["Image"].as_str().with_context(|| format!("{service} has no image"))?;
        let size = said(workspace::command("docker").args(["image", "inspect", "--format", "{{.Size}}", image]))?;
        Ok(size.trim().parse::<f64>()? / 1e6)
    }

    fn pid(&self, service: &str) -> Result<u64> {
        let pid = self.inspect(service)?["State"]["Pid"].as_u64().filter(|pid| *pid > 0);
        pid.with_context(|| format!("{service} does not run"))
    }

    fn inspect(&self, service: &str) -> Result<Value> {
        let found = said(workspace::command("docker").arg("inspect").arg(self.id(service)?))?;
        let mut containers: Vec<Value> =
            serde_json::from_str(&found).context("cannot read what docker inspect says")?;
        containers.pop().with_context(|| format!("{service} has no container"))
    }

    fn id(&self, service: &str) -> Result<String> {
        let id = said(&mut self.compose(&["ps", "--all", "--quiet", service]))?;
        let id = id.trim();
        if id.is_empty() {
            bail!("{service} has no container");
        }
        Ok(id.to_owned())
    }

    /// A line of bash where the engine's processes are: the engine may run as somebody else, or in a virtual machine.
    fn beside(&self, line: &str) -> Command {
        let mut command = workspace::command("docker");
        command.args([
            "run",
            "--rm",
            "--pid=host",
            "--network=none",
            "--entrypoint=bash",
            &self.mysql_image,
            "-c",
            line,
        ]);
        command
    }
}

/// What a command says that has to succeed.
fn said(command: &mut Command) -> Result<String> {
    let output = output(command)?;
    if !output.status.success() {
        let arguments = Vec::from_iter(command.get_args().map(|argument| argument.to_string_lossy())).join(" ");
        bail!("docker {arguments} failed ({}): {}", output.status, text(&output.stderr).trim());
    }
    Ok(text(&output.stdout))
}

fn output(command: &mut Command) -> Result<Output> {
    command.stdin(Stdio::null()).output().context("cannot run docker")
}

fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}
