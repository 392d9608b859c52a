//! Other programs as processes, and what is said on standard error.

use std::io::{self, BufRead, Write};
use std::process::{Command, ExitCode, ExitStatus, Stdio};
use std::sync::mpsc::channel;
use std::thread;

use anyhow::{Context, Result};
use private_server::supervisor::Supervised;

/// Writes a line to standard error. Unlike `eprintln!` it does not panic when nobody reads it any more.
pub(crate) fn complain(line: &str) {
    let _ = writeln!(io::stderr(), "{line}");
}

/// The exit code of a program as that of this one. A program that was ended by a signal has none.
pub(crate) fn exit_code(status: ExitStatus) -> ExitCode {
    let code = status.code().and_then(|code| u8::try_from(code).ok());
    code.map_or(ExitCode::FAILURE, ExitCode::from)
}

/// The output of a program that must succeed and say something; `None` otherwise.
pub(crate) fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).output().ok()?;
    let text = String::from_utf8_lossy(&output.stdout).trim().to_owned();
    (output.status.success() && !text.is_empty()).then_some(text)
}

/// Starts a program that ends with this one. `on_line` gets its output; `on_end` is called after the last line.
pub(crate) fn supervise(
    command: &Command,
    lease: impl Into<Stdio>,
    on_line: impl Fn(&str) + Send + 'static,
    on_end: impl FnOnce(ExitStatus) + Send + 'static,
) -> Result<Supervised> {
    let (sender, ended) = channel();
    let (child, mut output) = Supervised::spawn(command, lease, move |status| {
        // The other end is the thread below, which lives longer.
        let _ = sender.send(status);
    })
    .with_context(|| format!("cannot run {}", command.get_program().display()))?;
    thread::spawn(move || {
        let mut bytes = Vec::new();
        while matches!(output.read_until(b'\n', &mut bytes), Ok(1..)) {
            on_line(String::from_utf8_lossy(&bytes).trim_end());
            bytes.clear();
        }
        if let Ok(status) = ended.recv() {
            on_end(status);
        }
    });
    Ok(child)
}
