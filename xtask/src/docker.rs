//! The `mysql` service of docker-compose.yml, through the `docker` program. All of its services are tried by `compose-test`.
//!
//! Each working copy has Compose projects of its own, one for each purpose, so that containers of others are never stopped
//! or removed, and whatever a killed run left behind is of this working copy.

use std::process::Command;

use anyhow::{Context, Result, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::workspace;

/// All but what a URL never has to encode.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// A Compose project of this working copy.
#[derive(Clone, Debug)]
pub(crate) struct Project {
    name: String,
    /// Whether the data goes with the container.
    throw_away: bool,
}

impl Project {
    /// The project for one purpose, which is the name of a command.
    pub(crate) fn new(purpose: &str, throw_away: bool) -> Self {
        let name = project_name(workspace::root().as_os_str().as_encoded_bytes(), purpose);
        Self { name, throw_away }
    }

    /// Runs the service in the foreground, with its log as output; SIGTERM stops its container.
    pub(crate) fn run(&self) -> Command {
        self.compose(&["up", "--no-log-prefix", "mysql"])
    }

    /// The address of the service on this machine, while it runs.
    pub(crate) fn address(&self) -> Option<String> {
        workspace::output(&mut self.compose(&["port", "mysql", "3306"]))
    }

    /// Removes the stopped service, as far as possible.
    pub(crate) fn remove(&self) {
        let down = if self.throw_away { self.compose(&["down", "--volumes"]) } else { self.compose(&["down"]) };
        // What stays is removed by the next run.
        let _ = { down }.output();
    }

    /// Removes the service with its data.
    pub(crate) fn erase(&self) -> Result<()> {
        let output = self.compose(&["down", "--volumes"]).output().context("cannot run docker")?;
        if !output.status.success() {
            bail!("cannot reset the mysql service: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }

    /// The URL of the database at an address, for the root user: tests and checks create databases.
    pub(crate) fn url(&self, address: &str) -> Result<String> {
        url_from(&self.config()?, address).context("docker-compose.yml does not say how to reach the mysql service")
    }

    /// docker-compose.yml with all variables filled in, also those from files `.env`.
    pub(crate) fn config(&self) -> Result<Value> {
        let output = self.compose(&["config", "--format", "json"]).output().context("cannot run docker")?;
        if !output.status.success() {
            bail!("docker-compose.yml: {}", String::from_utf8_lossy(&output.stderr).trim());
        }
        serde_json::from_slice(&output.stdout).context("cannot read docker-compose.yml")
    }

    /// A command of Compose on this project.
    pub(crate) fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = workspace::command("docker");
        command.arg("compose").args(arguments).env("COMPOSE_PROJECT_NAME", &self.name);
        // With port 0 the engine takes a free one.
        command.env("MYSQL_PORT", "0");
        command
    }
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
