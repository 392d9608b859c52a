//! The `mysql` service of docker-compose.yml, in a Compose project of this working copy. Affects no other containers.

use std::process::Command;

use anyhow::{Context, Result, bail};
use percent_encoding::{AsciiSet, NON_ALPHANUMERIC, utf8_percent_encode};
use serde_json::Value;

use crate::workspace;

/// Characters to percent-encode: all except the unreserved characters of RFC 3986.
const ENCODED: &AsciiSet = &NON_ALPHANUMERIC.remove(b'-').remove(b'.').remove(b'_').remove(b'~');

/// Compose project specific to this working copy.
pub(crate) struct Project {
    name: String,
    /// Whether the data is deleted together with the container.
    is_disposable: bool,
}

impl Project {
    /// Returns the project for a purpose, given as a command name.
    pub(crate) fn new(purpose: &str) -> Self {
        let name = project_name(workspace::root().as_os_str().as_encoded_bytes(), purpose);
        Self { name, is_disposable: purpose != "up" }
    }

    /// Command that runs the service in the foreground and prints its log; SIGTERM stops the container.
    pub(crate) fn run(&self) -> Command {
        self.compose(&["up", "--no-log-prefix", "mysql"])
    }

    pub(crate) fn address(&self) -> Option<String> {
        workspace::output(&mut self.compose(&["port", "mysql", "3306"]))
    }

    /// Removes the stopped service. Ignores errors: the next run removes or reuses any leftovers.
    pub(crate) fn remove(&self) {
        let _ = if self.is_disposable { self.erase() } else { output(self.compose(&["down"])).map(drop) };
    }

    pub(crate) fn erase(&self) -> Result<()> {
        output(self.compose(&["down", "--volumes"])).context("cannot reset the mysql service").map(drop)
    }

    /// Returns a URL for the database at `address`, with the root user, because tests and checks create databases.
    pub(crate) fn url(&self, address: &str) -> Result<String> {
        // `docker compose config` resolves all variables, including those in `.env`.
        let config = serde_json::from_slice(&output(self.compose(&["config", "--format", "json"]))?)?;
        let missing = "docker-compose.yml sets no MYSQL_ROOT_PASSWORD or MYSQL_DATABASE for the mysql service";
        url_from(&config, address).context(missing)
    }

    fn compose(&self, arguments: &[&str]) -> Command {
        let mut command = workspace::command("docker");
        command.arg("compose").args(arguments).env("COMPOSE_PROJECT_NAME", &self.name);
        // With port 0, Docker chooses a free port.
        command.env("MYSQL_PORT", "0");
        command
    }
}

/// Runs a docker command and returns its output. Returns an error if the command fails.
fn output(mut docker: Command) -> Result<Vec<u8>> {
    let output = docker.output().context("cannot run docker")?;
    if !output.status.success() {
        bail!("docker: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(output.stdout)
}

/// Whether a Docker Engine is running and Compose is installed.
pub(crate) fn is_available() -> bool {
    workspace::output(workspace::command("docker").args(["info", "--format", "{{.ServerVersion}}"])).is_some()
        && workspace::output(workspace::command("docker").args(["compose", "version"])).is_some()
}

/// Returns a project name that is stable for a working copy: it contains the FNV-1a hash of the working copy's path.
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
    fn url_has_the_configured_values_and_an_encoded_password() {
        let environment = json!({"MYSQL_ROOT_PASSWORD": "p@ss/wo-rd", "MYSQL_DATABASE": "backoffice"});
        let config = json!({"services": {"mysql": {"environment": environment}}});
        let expected = "mysql://root:p%40ss%2Fwo-rd@127.0.0.1:3307/backoffice";
        assert_eq!(url_from(&config, "127.0.0.1:3307").as_deref(), Some(expected));
        assert_eq!(url_from(&json!({}), "127.0.0.1:3307"), None);
    }

    #[test]
    fn project_names_differ_by_working_copy_and_purpose() {
        let name = project_name(b"a", "up");
        assert_eq!(name, "backoffice-af63dc4c8601ec8c-up");
        assert_ne!(name, project_name(b"b", "up"));
        assert_ne!(name, project_name(b"a", "test"));
    }
}
