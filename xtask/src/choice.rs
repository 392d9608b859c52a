//! Which database is used. Starting and stopping it is in `database`.

use std::fmt;

use anyhow::{Context, Result};
use private_server::{Program, install_command};

use crate::cli::Install;
use crate::{apt, docker};

/// The database that will be used.
#[derive(Debug)]
pub(crate) enum Choice {
    /// The one that the user named.
    Given(String),
    /// A server program of this machine, run for this purpose alone.
    Private(Program),
    /// The mysql service of docker-compose.yml.
    Docker,
    /// As `Private`, after a package was installed.
    Install,
}

/// Chooses by what there is: see the help of `up`.
pub(crate) fn choose(given: Option<&str>, install: Install) -> Result<Choice> {
    let given = given.filter(|url| !url.is_empty());
    first_of(given, Program::find, docker::is_available, || !install.no_install && apt::is_possible()).with_context(
        || format!("no database: set DATABASE_URL, start a Docker Engine, or install a server: {}", install_command()),
    )
}

fn first_of(
    given: Option<&str>,
    find_program: impl FnOnce() -> Option<Program>,
    docker_is_available: impl FnOnce() -> bool,
    can_install: impl FnOnce() -> bool,
) -> Option<Choice> {
    if let Some(url) = given {
        return Some(Choice::Given(url.to_owned()));
    }
    if let Some(program) = find_program() {
        return Some(Choice::Private(program));
    }
    if docker_is_available() {
        return Some(Choice::Docker);
    }
    can_install().then_some(Choice::Install)
}

/// One line: which database, and why.
impl fmt::Display for Choice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Given(url) => write!(f, "{}, as DATABASE_URL says", without_password(url)),
            Self::Private(program) => {
                write!(f, "a private server, {program}, as DATABASE_URL is not set")
            }
            Self::Docker => f.write_str(
                "a container of the mysql service of docker-compose.yml, as DATABASE_URL is not set and this machine has no \
                 MySQL or MariaDB server",
            ),
            Self::Install => f.write_str(
                "a private server, after installing mariadb-server-core and mariadb-client-core with apt-get \
                 (--no-install refuses this), as there is no DATABASE_URL, no server and no Docker Engine",
            ),
        }
    }
}

/// A URL that can be shown.
pub(crate) fn without_password(url: &str) -> String {
    let parts = url.split_once("://").and_then(|(scheme, rest)| {
        let (user, place) = rest.rsplit_once('@')?;
        let (name, _) = user.split_once(':')?;
        Some((scheme, name, place))
    });
    match parts {
        Some((scheme, name, place)) => format!("{scheme}://{name}:***@{place}"),
        None => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(choice: &Option<Choice>) -> &'static str {
        match choice {
            Some(Choice::Given(_)) => "given",
            Some(Choice::Private(_)) => "private",
            Some(Choice::Docker) => "docker",
            Some(Choice::Install) => "install",
            None => "none",
        }
    }

    #[test]
    fn a_given_url_wins_and_nothing_else_is_looked_at() {
        let look = || panic!("looked for more");
        let choice = first_of(Some("mysql://x/y"), || panic!("looked"), look, look);
        assert_eq!(name(&choice), "given");
    }

    #[test]
    fn a_program_comes_before_docker_and_docker_before_an_installation() {
        let program = Program::find();
        assert!(program.is_some(), "no server found: {}", install_command());
        let look = || panic!("looked for more");
        assert_eq!(name(&first_of(None, || program, look, look)), "private");
        assert_eq!(name(&first_of(None, || None, || true, look)), "docker");
        assert_eq!(name(&first_of(None, || None, || false, || true)), "install");
        assert_eq!(name(&first_of(None, || None, || false, || false)), "none");
    }

    #[test]
    fn a_shown_url_has_no_password() {
        let shown = without_password("mysql://root:p@ss:word@db.example:3306/x?ssl-mode=REQUIRED");
        assert_eq!(shown, "mysql://root:***@db.example:3306/x?ssl-mode=REQUIRED");
        let open = "mysql://root@127.0.0.1:3306/x";
        assert_eq!(without_password(open), open);
    }
}
