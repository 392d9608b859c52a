//! The `mysql` service of docker-compose.yml, in a Compose project of this working copy: containers of others are never
//! stopped or removed.

use std::process::Command;

use anyhow::{Context, Result, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::workspace;

/// All but what a URL never has to encode.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A Compose project of this working copy.
pub(crate) struct Project {
    name: String,
    /// Whether the data goes with the container.
    throw_away: bool,
}

impl Project {
    /// The project for one purpose, which is the name of a command.
    pub(crate) fn new(purpose: &str) -> Self {
        let name = project_name(workspace::root().as_os_str().as_encoded_bytes(), purpose);
        Self { name, throw_away: purpose != "up" }
    }

    /// Runs the service in the foreground, with its log as output; SIGTERM stops its container.
    pub(crate) fn run(&self) -> Command {
        self.compose(&["up", "--no-log-prefix", "mysql"])
    }

    /// The address of the service on this machine, while it runs.
    pub(crate) fn address(&self) -> Option<String> {
        workspace::output(&mut self.compose(&["port", "mysql", "3306"]))
    }

    /// Removes the stopped service, as far as possible. What stays is removed by the next run.
    pub(crate) fn remove(&self) {
        let _ = if self.throw_away { self.erase() } else { output(self.compose(&["down"])).map(drop) };
    }

    /// Removes the service with its data.
    pub(crate) fn erase(&self) -> Result<()> {
        output(self.compose(&["down", "--volumes"])).context("cannot reset the mysql service").map(drop)
    }

    /// The URL of the database at an address, for the root user: tests and checks create databases.
    pub(crate) fn url(&self, address: &str) -> Result<String> {
        // With all variables filled in, also those from files `.env`.
        let config = serde_json::from_slice(&output(self.compose(&["config", "--format", "json"]))?)?;
        url_from(&config, address).context("docker-compose.yml does not say how to reach the mysql service")
    }

    fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = workspace::command("docker");
        command.arg("compose").args(arguments).env("COMPOSE_PROJECT_NAME", &self.name);
        // With port 0 the engine takes a free one.
        command.env("MYSQL_PORT", "0");
        command
    }
}

/// The output of a command of docker, which has to succeed.
fn output(mut docker: Command) -> Result<Vec<u8>> {
    let output = docker.output().context("cannot run docker")?;
    if !output.status.success() {
        bail!("docker: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// Whether a Docker Engine answers and Compose is there.
pub(crate) fn is_available() -> bool {
    workspace::output(workspace::command("docker").args(["info", "--format", "{{.ServerVersion}}"])).is_some()
        && workspace::output(workspace::command("docker").args(["compose", "version"])).is_some()
}

/// The same in every run, but another one in another directory: FNV-1a of its path.
fn project_name(root: &[u8], purpose: &str) -> String {
    let hash = root
        .iter()
        .fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x0100_0000_01b3));
    format!("backoffice-{hash:016x}-{purpose}")
}

fn url_from(config: &Value, address: &str) -> Option<String> {
    let environment = &config["services"]["mysql"]["environment"];
    let password = environment["MYSQL_ROOT_PASSWORD"].as_str()?;
    let password = utf8_percent_encode(password, ENCODED);
    let database = environment["MYSQL_DATABASE"].as_str()?;
    Some(format!("mysql://root:{password}@{address}/{database}"))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn the_url_has_the_configured_values_with_the_password_encoded() {
        let environment = json!({"MYSQL_ROOT_PASSWORD": "p@ss/wo-rd", "MYSQL_DATABASE": "backoffice"});
        let config = json!({"services": {"mysql": {"environment": environment}}});
        let expected = "mysql://root:p%40ss%2Fwo-rd@127.0.0.1:3307/backoffice";
        assert_eq!(url_from(&config, "127.0.0.1:3307").as_deref(), Some(expected));
        assert_eq!(url_from(&json!({}), "127.0.0.1:3307"), None);
    }

    #[test]
    fn each_working_copy_and_purpose_has_its_project() {
        let name = project_name(b"a", "up");
        assert_eq!(name, "backoffice-af63dc4c8601ec8c-up");
        assert_ne!(name, project_name(b"b", "up"));
        assert_ne!(name, project_name(b"a", "test"));
    }
}
