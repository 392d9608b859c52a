//! A service's program as it is run elsewhere, and all that it writes meanwhile.

use std::process::Stdio;

use tokio::io::{AsyncBufReadExt, AsyncReadExt, BufReader};
use tokio::process::Command;

/// Runs a program with these settings on a port of its own, its log at the lowest level of all, while `visit` uses it at its
/// base URL. Gives all that it wrote.
///
/// # Errors
///
/// Where it does not start, with what it wrote.
pub async fn everything_it_writes(
    program: &str,
    settings: &[(&str, &str)],
    visit: impl AsyncFnOnce(String),
) -> Result<String, Box<dyn std::error::Error>> {
    let mut program = Command::new(program);
    program.env_clear().envs(settings.iter().copied());
    program.envs([("PORT", "0"), ("RUST_LOG", "trace"), ("LOG_FORMAT", "json")]);
    let mut child = program.kill_on_drop(true).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn()?;
    let (stdout, stderr) = (child.stdout.take(), child.stderr.take());
    let (mut stdout, mut stderr) = (BufReader::new(stdout.ok_or("no output")?), stderr.ok_or("no errors")?);
    let mut written = String::new();
    let address = loop {
        let start = written.len();
        if stdout.read_line(&mut written).await? == 0 {
            stderr.read_to_string(&mut written).await?;
            return Err(written.into());
        }
        if let Some(address) = listening(&written[start..]) {
            break address;
        }
    };
    // Nobody reads its output meanwhile unless this does: a full pipe would stop it.
    let rest = tokio::spawn(async move {
        let mut rest = String::new();
        stdout.read_to_string(&mut rest).await?;
        stderr.read_to_string(&mut rest).await?;
        Ok::<_, std::io::Error>(rest)
    });
    visit(format!("http://{address}")).await;
    child.kill().await?;
    Ok(written + &rest.await??)
}

fn listening(line: &str) -> Option<String> {
    let line: serde_json::Value = serde_json::from_str(line).ok()?;
    let listens = line["message"].as_str()?.ends_with(" is listening");
    listens.then(|| line["address"].as_str().map(str::to_owned)).flatten()
}
