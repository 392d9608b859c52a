//! Location and initialization of a private server's data directory.
//!
//! A data directory is initialized under a temporary name and renamed when complete, so that an interrupted
//! initialization is never mistaken for a complete data directory.

use std::ffi::OsString;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::process::Command;

use nix::unistd::geteuid;

use crate::claim::Claim;
use crate::program::{Engine, Program};
use crate::server::{Durability, Error};

const INCOMPLETE: &str = "incomplete";

/// Returns the server options for a durability level, used both to initialize the data directory and to run the server.
pub(crate) fn durability_options(engine: Engine, durability: Durability) -> &'static [&'static str] {
    match (durability, engine) {
        (Durability::Durable, _) => &[],
        (Durability::Relaxed, Engine::MariaDb) => {
            &["--innodb-flush-method=nosync", "--innodb-flush-log-at-trx-commit=0", "--skip-innodb-doublewrite"]
        }
        (Durability::Relaxed, Engine::MySql) => &[
            "--innodb-flush-method=nosync",
            "--innodb-flush-log-at-trx-commit=0",
            "--innodb-doublewrite=OFF",
            "--innodb-redo-log-capacity=64M",
        ],
    }
}

/// Initializes the data directory below `directory` if it does not exist, and returns its path.
pub(crate) fn prepare(
    program: &Program,
    directory: &Path,
    durability: Durability,
    claim: &Claim,
) -> Result<PathBuf, Error> {
    let other = match program.engine {
        Engine::MariaDb => Engine::MySql,
        Engine::MySql => Engine::MariaDb,
    };
    if directory.join(name(other)).exists() {
        return Err(Error::OtherEngine(directory.to_owned(), other, program.engine));
    }
    let (data, incomplete) = (directory.join(name(program.engine)), directory.join(INCOMPLETE));
    if data.exists() {
        return Ok(data);
    }
    remove_folder(&incomplete)?;
    let mut command = initializer(program, directory)?;
    // The command does not read its input. It holds the lease, so that the next owner waits until it exits.
    command.stdin(claim.lease().map_err(|e| Error::io(directory, e))?);
    let output = command.args(durability_options(program.engine, durability)).output();
    let output = output.map_err(|e| Error::io(Path::new(command.get_program()), e))?;
    if !output.status.success() {
        let text = [output.stdout, output.stderr].concat();
        return Err(Error::Initialize(command.get_program().into(), String::from_utf8_lossy(&text).trim().to_owned()));
    }
    fs::rename(&incomplete, &data).map_err(|e| Error::io(&data, e))?;
    Ok(data)
}

/// Removes the data directories of both engines, including incomplete ones.
pub(crate) fn remove(directory: &Path) -> Result<(), Error> {
    let names = [&*name(Engine::MariaDb), &*name(Engine::MySql), INCOMPLETE];
    names.into_iter().try_for_each(|name| remove_folder(&directory.join(name)))
}

fn remove_folder(path: &Path) -> Result<(), Error> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(Error::io(path, error)),
        _ => Ok(()),
    }
}

fn name(engine: Engine) -> String {
    engine.to_string().to_lowercase()
}

fn initializer(program: &Program, directory: &Path) -> Result<Command, Error> {
    let Some(installer) = &program.installer else {
        let mut command = server(&program.server, directory)?;
        command.arg("--initialize-insecure").arg(option("--datadir=", &directory.join(INCOMPLETE)));
        return Ok(command);
    };
    let mut command = with_private_temp_directory(installer, directory)?;
    command
        .args(["--auth-root-authentication-method=normal", "--skip-test-db"])
        // The installer supports no spaces in paths, so use a relative one. With a user, it would needlessly run chown.
        .arg(format!("--datadir=./{INCOMPLETE}"))
        .current_dir(directory);
    Ok(command)
}

/// Returns a server command with the options that all servers share.
pub(crate) fn server(program: &Path, directory: &Path) -> Result<Command, Error> {
    let mut command = with_private_temp_directory(program, directory)?;
    command.args(geteuid().is_root().then_some("--user=root"));
    Ok(command)
}

/// Returns a command with a private TMPDIR: a starting server deletes all temporary tables in it, also of others.
fn with_private_temp_directory(program: &Path, directory: &Path) -> Result<Command, Error> {
    let temporary = directory.join("tmp");
    fs::create_dir_all(&temporary).map_err(|e| Error::io(&temporary, e))?;
    let mut command = Command::new(program);
    command.arg("--no-defaults").env("TMPDIR", temporary);
    Ok(command)
}

/// Returns `--name=` followed by a path, which may contain arbitrary bytes.
pub(crate) fn option(name: &str, path: &Path) -> OsString {
    let mut option = OsString::from(name);
    option.push(path);
    option
}
