//! The installation of packages, on Debian and Ubuntu as root. Whether it may be done is decided by who calls.

use std::ffi::OsStr;
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, Stdio};

use anyhow::{Context, Result};
use private_server::Program;
use private_server::claim::Claim;

use crate::process;

/// A server without a service that is started by itself.
const SERVER: [&str; 2] = ["mariadb-server-core", "mariadb-client-core"];

/// The output is read to its end even when nobody here reads it any more: a broken pipe would end dpkg half way. An old
/// package list is no reason to give up, so the second command runs in any case.
const SCRIPT: &str = r#"
{ apt-get update; apt-get install --yes --no-install-recommends "$@"; } 2>&1 </dev/null | {
    trap '' PIPE
    while IFS= read -r line; do printf '%s\n' "$line"; done
}
"#;

/// The same for a package that is only looked into. apt-get downloads into the folder that it is in.
const UNPACK: &str = r#"
{ apt-get update; cd "$1" && apt-get download "$2" && dpkg-deb --extract "$2"_*.deb . && rm "$2"_*.deb; } 2>&1 </dev/null | {
    trap '' PIPE
    while IFS= read -r line; do printf '%s\n' "$line"; done
}
"#;

const TAIL: usize = 10;

/// Whether this is root on a Debian or Ubuntu.
pub(crate) fn is_possible() -> bool {
    let is_root = process::answer(Command::new("id").arg("-u")).as_deref() == Some("0");
    is_root
        && Path::new("/etc/debian_version").exists()
        && process::answer(Command::new("apt-get").arg("--version")).is_some()
}

/// Installs a server and finds it. `detail` gets the output line by line.
pub(crate) fn install_server(detail: &dyn Fn(&str), claim: &Claim) -> Result<Program> {
    let tail = install(&SERVER, detail, claim)?;
    Program::find().with_context(|| format!("no server program after apt-get install {}:\n{tail}", SERVER.join(" ")))
}

/// Runs `apt-get install`, and returns its last lines whether it succeeds or not: what counts is what is there afterwards.
/// A signal does not cut it short: half an installation would have to be repaired by hand.
pub(crate) fn install(packages: &[&str], detail: &dyn Fn(&str), claim: &Claim) -> Result<String> {
    run(SCRIPT, packages.iter().map(OsStr::new), detail, claim)
}

/// Downloads a package and unpacks it into a folder, where nothing of it is started. Else as [`install`].
pub(crate) fn unpack(package: &str, folder: &Path, detail: &dyn Fn(&str), claim: &Claim) -> Result<String> {
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    run(UNPACK, [folder.as_os_str(), OsStr::new(package)].into_iter(), detail, claim)
}

fn run<'a>(
    script: &str,
    arguments: impl Iterator<Item = &'a OsStr>,
    detail: &dyn Fn(&str),
    claim: &Claim,
) -> Result<String> {
    let (output, writer) = io::pipe()?;
    let mut command = Command::new("sh");
    command.args(["-c", script, "sh"]).args(arguments).env("DEBIAN_FRONTEND", "noninteractive");
    command
        // It reads nothing. What counts is that the next owner waits for its end.
        .stdin(claim.lease()?)
        .stdout(writer.try_clone()?)
        .stderr(Stdio::from(writer))
        // Ctrl-C in the terminal does not reach it.
        .process_group(0);
    let mut child = command.spawn().context("cannot run apt-get")?;
    // Its ends of the pipe would keep the output open.
    drop(command);
    let mut lines = Vec::new();
    for line in BufReader::new(output).split(b'\n') {
        let line = String::from_utf8_lossy(&line?).into_owned();
        detail(&line);
        lines.push(line);
    }
    child.wait()?;
    Ok(lines[lines.len().saturating_sub(TAIL)..].join("\n"))
}
